//! However busy the cache is, and however long it takes, a request goes on as it would without it.

use crate::kept::{Stage, lasting, of, stale};
use crate::support::{AskedClock, SECOND, asked, server, soon};
use mainstay_http::{Answer, Because, Error, ErrorKind, Source};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// Every answer that was kept of any address, while a request waited for its turn, cost it one of three looks; after them it went
/// without conditions, and had nothing to fall back on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_of_others_meanwhile_costs_nobody_its_older_answer() {
    let asked_for_a = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&asked_for_a);
    let server = server(move |request, _| {
        if request.target != "/a" {
            return lasting("other");
        }
        let mut asked = asked.lock().unwrap();
        asked.push(request.header("if-none-match").map(str::to_owned));
        let is_first = asked.len() == 1;
        if is_first {
            lasting("old")
        } else {
            Reaction::answer(503)
        }
    })
    .await;
    let stage = Stage::new();
    let url = server.url("/a");
    stage.get(&url).await;
    stage.pass(70);
    let is_over = Arc::new(AtomicBool::new(false));
    let mut others = JoinSet::new();
    for other in 0..8 {
        let (client, is_over) = (stage.client.clone(), Arc::clone(&is_over));
        let base = server.url("/other");
        others.spawn(async move {
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let url = format!("{base}/{other}/{number}");
                client.get(&url).send().await.unwrap();
            }
        });
    }
    for _ in 0..50 {
        let answer = stage.get(&url).await;
        let failed = Because::Failed(ErrorKind::Status(503));
        assert_eq!(
            (answer.source, answer.text().as_str()),
            (stale(70, failed), "old")
        );
    }
    is_over.store(true, Ordering::Relaxed);
    soon("the others", others.join_all()).await;
    let conditions = asked_for_a.lock().unwrap().split_off(1);
    assert!(conditions.iter().all(|tag| tag.as_deref() == Some("\"1\"")));
}

/// Those who wait for one another use up their looks by it.
#[tokio::test]
async fn what_has_to_be_confirmed_each_time_is_asked_for_with_its_conditions_by_all() {
    let released = Arc::new(Notify::new());
    let release = Arc::clone(&released);
    let server = server(move |request, number| {
        let same = Reaction::answer(304).header("ETag", "\"1\"");
        match (number, request.header("if-none-match")) {
            (1, _) => Reaction::After(Arc::clone(&released), Box::new(same)),
            (_, Some("\"1\"")) => same,
            _ => Reaction::answer(200)
                .header("Cache-Control", "no-cache")
                .header("ETag", "\"1\"")
                .body("one"),
        }
    })
    .await;
    let stage = Stage::new();
    let url = server.url("/a");
    stage.get(&url).await;
    let mut asking = JoinSet::new();
    for _ in 0..10 {
        asking.spawn(stage.client.get(&url).send());
    }
    soon("the first", server.conversation().wait_for(2)).await;
    release.notify_one();
    for answer in soon("all answers", asking.join_all()).await {
        let answer = answer.unwrap();
        assert_eq!(
            (answer.source, &answer.body[..]),
            (Source::Revalidated, &b"one"[..])
        );
    }
    for request in server.conversation().requests().split_off(1) {
        assert_eq!(request.header("if-none-match"), Some("\"1\""));
    }
}

// === A cache that takes for ever ===

/// A runtime with one thread for what blocks.
pub(crate) fn with_one_thread() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap()
}

/// Takes that thread, as a disk that has gone silent does; given back when dropped.
pub(crate) struct Silent(#[expect(dead_code, reason = "it is held")] mpsc::SyncSender<()>);

pub(crate) fn silence() -> Silent {
    let (end, ended) = mpsc::sync_channel(1);
    drop(tokio::task::spawn_blocking(move || ended.recv()));
    Silent(end)
}

/// A silence that begins while a server is asked, and how many waits of a second there were before.
#[derive(Clone, Default)]
struct Later {
    silent: Arc<Mutex<Option<Silent>>>,
    begun: Arc<watch::Sender<Option<usize>>>,
}

impl Later {
    fn begin(&self, clock: &AskedClock) {
        *self.silent.lock().unwrap() = Some(silence());
        self.begun.send_replace(Some(clock.asked_for(SECOND)));
    }

    /// What comes of it, where each wait of a second passes at once as soon as the silence has begun.
    async fn by_seconds<T>(&self, clock: &AskedClock, work: impl Future<Output = T>) -> T {
        let passing = async {
            let mut begun = self.begun.subscribe();
            let before = *begun.wait_for(Option::is_some).await.unwrap();
            clock.pass_each_after(before.unwrap(), SECOND).await
        };
        tokio::select! {
            done = soon("it", work) => done,
            _ = passing => unreachable!("it never ends"),
        }
    }
}

pub(crate) fn stage() -> (AskedClock, Stage) {
    let clock = AskedClock::new();
    let shared = clock.shared();
    let stage = Stage::on(clock.manual.clone(), shared, |settings| {
        settings.retry.attempts = 1;
    });
    (clock, stage)
}

#[test]
fn a_cache_that_says_nothing_is_not_waited_for() {
    with_one_thread().block_on(async {
        let server = server(|_, number| lasting(&number.to_string())).await;
        let (clock, stage) = stage();
        let url = server.url("/a");
        stage.get(&url).await;
        let silent = Later::default();
        silent.begin(&clock);
        // It may be fresh: nobody can tell.
        let answer = silent.by_seconds(&clock, stage.get(&url)).await;
        assert_eq!(
            (answer.source, answer.text().as_str()),
            (Source::Network, "1")
        );
        let offline = stage.client.get(&url).offline().send();
        let error = silent.by_seconds(&clock, offline).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Offline);
        let put = stage.send(mainstay_http::Method::PUT, &url);
        assert_eq!(silent.by_seconds(&clock, put).await.unwrap().text(), "2");
    });
}

#[test]
fn what_was_confirmed_is_served_although_the_cache_does_not_say_so() {
    with_one_thread().block_on(async {
        let (later, (clock, stage)) = (Later::default(), stage());
        let (silence, asked) = (later.clone(), clock.clone());
        let server = server(move |_, number| {
            if number == 0 {
                return lasting("one");
            }
            silence.begin(&asked);
            Reaction::answer(304)
                .header("ETag", "\"1\"")
                .header("X-New", "1")
        })
        .await;
        let url = server.url("/a");
        stage.get(&url).await;
        stage.pass(70);
        let answer = later.by_seconds(&clock, stage.get(&url)).await;
        assert_eq!(
            (answer.source, answer.text().as_str()),
            (Source::Revalidated, "one")
        );
        assert_eq!(answer.headers.get("x-new").unwrap(), "1");
    });
}

/// The server's failure; then the cache says nothing, and the older answer is at hand.
async fn failing(clock: &AskedClock, reaction: Reaction) -> (FaultyServer, Later) {
    let later = Later::default();
    let (silence, clock) = (later.clone(), clock.clone());
    let server = server(move |_, number| {
        if number == 0 {
            return lasting("old");
        }
        silence.begin(&clock);
        reaction.clone()
    })
    .await;
    (server, later)
}

#[test]
fn an_older_answer_is_served_although_the_cache_does_not_say_so() {
    with_one_thread().block_on(async {
        let (clock, stage) = stage();
        let (server, later) = failing(&clock, Reaction::answer(503)).await;
        let url = server.url("/a");
        stage.get(&url).await;
        stage.pass(70);
        let answer = later.by_seconds(&clock, stage.get(&url)).await;
        // By then it is a second older.
        let failed = Because::Failed(ErrorKind::Status(503));
        assert_eq!(
            (answer.source, answer.text().as_str()),
            (stale(71, failed), "old")
        );
    });
}

/// There was a second look after the end, at a disk.
#[test]
fn when_the_total_limit_is_over_an_older_answer_is_served_at_once() {
    with_one_thread().block_on(async {
        let (clock, stage) = stage();
        let (server, later) = failing(&clock, Reaction::Hang).await;
        let url = server.url("/a");
        stage.get(&url).await;
        stage.pass(70);
        let asking = stage.client.get(&url).timeout(10 * SECOND).send();
        let (answer, ()) = tokio::join!(soon("it", asking), async {
            soon("the request", server.conversation().wait_for(2)).await;
            clock.pass(10 * SECOND).await;
        });
        let failed = Because::Failed(ErrorKind::TotalTimeout);
        let answer: Result<Answer, Error> = answer;
        assert_eq!(answer.unwrap().source, stale(80, failed));
        drop(later);
    });
}

/// Whoever waited for somebody else until its time was over got nothing.
#[tokio::test]
async fn who_waits_in_vain_for_another_gets_the_older_answer() {
    let server = server(|_, number| match number {
        0 => lasting("old"),
        _ => Reaction::Hang,
    })
    .await;
    let (clock, stage) = stage();
    let url = server.url("/a");
    stage.get(&url).await;
    stage.pass(70);
    let leading = tokio::spawn(stage.client.get(&url).send());
    soon("the leader", server.conversation().wait_for(2)).await;
    let waiting = stage.client.get(&url).timeout(10 * SECOND).send();
    let (answer, ()) = tokio::join!(soon("it", waiting), clock.pass(10 * SECOND));
    let failed = Because::Failed(ErrorKind::TotalTimeout);
    assert_eq!(answer.unwrap().source, stale(80, failed));
    assert_eq!(asked(&server), 2);
    leading.abort();
}

/// Each of them waited two seconds in front of every lookup.
#[tokio::test]
async fn what_is_fresh_is_served_while_many_wait_to_have_theirs_kept() {
    let server = server(|_, _| lasting("x")).await;
    let stage = Stage::new();
    let url = server.url("/a");
    stage.get(&url).await;
    let other = rusqlite::Connection::open(stage.folder.path().join("index.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut storing = JoinSet::new();
    for number in 0..30 {
        let url = server.url(&format!("/other/{number}"));
        storing.spawn(stage.client.get(&url).send());
    }
    soon("the others", server.conversation().wait_for(31)).await;
    // More than are remembered before they are written down.
    for _ in 0..150 {
        let answer = tokio::time::timeout(Duration::from_secs(10), stage.get(&url)).await;
        assert_eq!(answer.unwrap().source, of(0));
    }
    other.execute_batch("COMMIT").unwrap();
    soon("the others", storing.join_all()).await;
}

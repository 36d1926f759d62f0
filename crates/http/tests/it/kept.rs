//! What is kept of earlier answers is asked first, says so, and never costs anybody more than to go without it.

use crate::support::{asked, server, settings, soon};
use mainstay_clock::{ManualClock, SharedClock};
use mainstay_http::{
    Answer, Because, Cache, CacheSettings, Client, ClientCertificate, ClientSettings, Download,
    ErrorKind, Method, Source,
};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Notify;

/// A client with a cache, on a clock that is moved by hand.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) client: Client,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new();
        let shared = Arc::new(clock.clone());
        Self::on(clock, shared, |settings| settings.retry.attempts = 1)
    }

    /// On a clock that goes by itself, so that pauses pass.
    pub(crate) fn by_the_day(change: impl FnOnce(&mut ClientSettings)) -> Self {
        Self::on(ManualClock::new(), mainstay_clock::system(), change)
    }

    /// On another clock, that is moved with this one.
    pub(crate) fn on(
        clock: ManualClock,
        shared: SharedClock,
        change: impl FnOnce(&mut ClientSettings),
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = CacheSettings::default();
        let cache = Cache::open(folder.path(), settings, Arc::clone(&shared)).unwrap();
        let mut settings = ClientSettings {
            cache: Some(Arc::new(cache)),
            ..crate::support::settings()
        };
        settings.breaker.consecutive = Some(1_000);
        change(&mut settings);
        let client = Client::new(settings, shared).unwrap();
        Self {
            folder,
            clock,
            client,
        }
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.try_get(url).await.unwrap()
    }

    pub(crate) async fn try_get(&self, url: &str) -> Result<Answer, ErrorKind> {
        let answer = soon("the answer", self.client.get(url).send()).await;
        answer.map_err(|error| error.kind())
    }

    pub(crate) async fn send(&self, method: Method, url: &str) -> Result<Answer, ErrorKind> {
        let answer = soon("the answer", self.client.request(method, url).send()).await;
        answer.map_err(|error| error.kind())
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn stats(&self) -> mainstay_http::CacheStats {
        self.client.cache_stats().await.unwrap().unwrap()
    }
}

pub(crate) fn of(seconds: u64) -> Source {
    Source::Cache {
        age: Duration::from_secs(seconds),
    }
}

pub(crate) fn stale(seconds: u64, because: Because) -> Source {
    Source::Stale {
        age: Duration::from_secs(seconds),
        because,
    }
}

/// An answer for a minute, with a tag.
pub(crate) fn lasting(body: &str) -> Reaction {
    Reaction::answer(200)
        .header("Cache-Control", "max-age=60")
        .header("ETag", "\"1\"")
        .body(body)
}

#[tokio::test]
async fn what_is_fresh_is_answered_without_asking_and_says_so() {
    let server = server(|_, _| lasting("one")).await;
    let stage = Stage::new();
    let first = stage.get(&server.url("/a")).await;
    assert_eq!((first.source, first.attempts), (Source::Network, 1));
    stage.pass(59);
    let second = stage.get(&server.url("/a")).await;
    assert_eq!((second.source, second.attempts), (of(59), 0));
    assert_eq!(
        (&second.body[..], second.status.as_u16()),
        (&b"one"[..], 200)
    );
    assert_eq!(second.url.as_str(), server.url("/a"));
    let head = stage.send(Method::HEAD, &server.url("/a")).await.unwrap();
    assert_eq!((head.source, head.body.len()), (of(59), 0));
    assert_eq!(asked(&server), 1);
    let stats = stage.stats().await;
    assert_eq!((stats.hits, stats.misses, stats.stored), (2, 1, 1));
    let without = crate::support::client(settings());
    assert!(without.cache_stats().await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_over_is_asked_for_with_its_conditions_and_holds_again() {
    let server = server(
        |request, number| match (number, request.header("if-none-match")) {
            (1, Some("\"1\"")) => Reaction::answer(304)
                .header("ETag", "\"1\"")
                .header("Cache-Control", "max-age=100"),
            (2, Some("\"1\"")) => lasting("two"),
            // It confirms what nobody has: it is asked once more, without conditions.
            (3, Some("\"1\"")) => Reaction::answer(304).header("ETag", "\"3\""),
            (_, None) => lasting(if number == 0 { "one" } else { "four" }),
            _ => Reaction::answer(500),
        },
    )
    .await;
    let stage = Stage::new();
    let url = server.url("/a");
    stage.get(&url).await;
    stage.pass(60);
    let confirmed = stage.get(&url).await;
    assert_eq!(confirmed.source, Source::Revalidated);
    assert_eq!(
        (confirmed.status.as_u16(), &confirmed.body[..]),
        (200, &b"one"[..])
    );
    stage.pass(99);
    assert_eq!(stage.get(&url).await.source, of(99));
    stage.pass(1);
    let changed = stage.get(&url).await;
    assert_eq!(
        (changed.source, &changed.body[..]),
        (Source::Network, &b"two"[..])
    );
    stage.pass(60);
    let other = stage.get(&url).await;
    assert_eq!(
        (other.source, &other.body[..]),
        (Source::Network, &b"four"[..])
    );
    assert_eq!(asked(&server), 5);
    assert_eq!(stage.stats().await.revalidated, 1);
}

#[tokio::test]
async fn when_the_server_fails_what_is_kept_is_served_within_its_bounds_and_says_why() {
    let server = server(|request, number| match (number, request.target.as_str()) {
        (0, _) => lasting("old"),
        (1, _) => Reaction::answer(200)
            .header("Cache-Control", "max-age=60, must-revalidate")
            .body("strict"),
        (_, "/reset" | "/strict") => Reaction::Reset,
        _ => Reaction::answer(503),
    })
    .await;
    let stage = Stage::new();
    let (url, strict) = (server.url("/a"), server.url("/strict"));
    stage.get(&url).await;
    stage.get(&strict).await;
    stage.pass(70);
    let failed = Because::Failed(ErrorKind::Status(503));
    let answer = stage.get(&url).await;
    assert_eq!(
        (answer.source, &answer.body[..]),
        (stale(70, failed), &b"old"[..])
    );
    assert_eq!(answer.attempts, 1, "it was asked");
    assert_eq!(
        stage.try_get(&strict).await.unwrap_err(),
        ErrorKind::BrokenAnswer
    );
    drop(server);
    let gone = Because::Failed(ErrorKind::Refused);
    // Its last connection may be closed while it is asked.
    let source = stage.get(&url).await.source;
    let broken = Because::Failed(ErrorKind::BrokenAnswer);
    assert!(
        [stale(70, gone), stale(70, broken)].contains(&source),
        "{source:?}"
    );
    stage.pass(24 * 3_600);
    stage.try_get(&url).await.unwrap_err();
    assert_eq!(stage.stats().await.stale_served, 2);
}

#[tokio::test]
async fn what_may_be_served_meanwhile_is_and_is_asked_for_once_in_the_background() {
    let released = Arc::new(Notify::new());
    let release = Arc::clone(&released);
    let server = server(move |_, number| {
        let answer = |body| {
            Reaction::answer(200)
                .header("Cache-Control", "max-age=60, stale-while-revalidate=30")
                .body(body)
        };
        match number {
            0 => answer("old"),
            _ => Reaction::After(Arc::clone(&released), Box::new(answer("new"))),
        }
    })
    .await;
    let stage = Stage::new();
    let url = server.url("/a");
    stage.get(&url).await;
    stage.pass(70);
    for _ in 0..10 {
        let answer = stage.get(&url).await;
        let expected = stale(70, Because::Refreshing);
        assert_eq!((answer.source, &answer.body[..]), (expected, &b"old"[..]));
    }
    soon("the refresh", server.conversation().wait_for(2)).await;
    release.notify_one();
    let refreshed = async {
        while stage.get(&url).await.source != of(0) {
            tokio::task::yield_now().await;
        }
    };
    soon("the new answer", Box::pin(refreshed)).await;
    assert_eq!(&stage.get(&url).await.body[..], b"new");
    assert_eq!(asked(&server), 2);
}

/// Answers of so many who ask at once; the server's first answer is let go once it was asked.
async fn together(
    stage: &Stage,
    server: &FaultyServer,
    release: &Notify,
    count: usize,
) -> Vec<Answer> {
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..count {
        asking.spawn(stage.client.get(&server.url("/a")).send());
    }
    soon("the first", server.conversation().wait_for(1)).await;
    release.notify_one();
    let answers = soon("all answers", asking.join_all()).await;
    answers.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn of_many_who_want_the_same_one_asks() {
    let released = Arc::new(Notify::new());
    let release = Arc::clone(&released);
    let shared =
        server(move |_, _| Reaction::After(Arc::clone(&released), Box::new(lasting("shared"))))
            .await;
    let stage = Stage::new();
    let answers = together(&stage, &shared, &release, 20).await;
    assert!(answers.iter().all(|answer| &answer.body[..] == b"shared"));
    let from_network = answers
        .iter()
        .filter(|answer| answer.source == Source::Network);
    assert_eq!((from_network.count(), asked(&shared)), (1, 1));
}

#[tokio::test]
async fn what_cannot_be_shared_is_asked_for_by_each() {
    let released = Arc::new(Notify::new());
    let release = Arc::clone(&released);
    let own = server(move |_, number| {
        let answer = Reaction::answer(200).header("Cache-Control", "private");
        let answer = answer.body(number.to_string());
        match number {
            0 => Reaction::After(Arc::clone(&released), Box::new(answer)),
            _ => answer,
        }
    })
    .await;
    let stage = Stage::new();
    let answers = together(&stage, &own, &release, 10).await;
    let mut bodies: Vec<_> = answers.iter().map(|answer| answer.body.clone()).collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!((bodies.len(), asked(&own)), (10, 10));
}

#[tokio::test]
async fn what_changes_something_makes_void_what_is_kept() {
    let server = server(
        |request, _| match (request.method.as_str(), request.target.as_str()) {
            ("GET", _) => lasting("x"),
            ("POST", "/broken") => Reaction::Reset,
            ("POST", "/refused") => Reaction::answer(422),
            ("POST", "/made") => Reaction::answer(303).header("Location", "/other"),
            _ => Reaction::answer(204),
        },
    )
    .await;
    let stage = Stage::new();
    let source = async |path: &str| stage.get(&server.url(path)).await.source;
    for (method, path, is_void) in [
        (Method::PUT, "/put", true),
        (Method::DELETE, "/delete", true),
        (Method::POST, "/made", true),
        (Method::POST, "/refused", false),
        // Nobody knows whether it happened.
        (Method::POST, "/broken", true),
        (Method::OPTIONS, "/options", false),
    ] {
        source(path).await;
        drop(stage.send(method.clone(), &server.url(path)).await);
        let expected = if is_void { Source::Network } else { of(0) };
        assert_eq!(source(path).await, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn offline_what_is_kept_is_served_and_says_so_and_nothing_is_sent() {
    let server = server(|_, _| lasting("kept")).await;
    let stage = Stage::new();
    let url = server.url("/a");
    stage.get(&url).await;
    for (pass, is_stale) in [(30, false), (1_000_000, true)] {
        stage.pass(pass);
        let answer = soon("it", stage.client.get(&url).offline().send())
            .await
            .unwrap();
        let Source::Offline { age, is_stale: is } = answer.source else {
            panic!("{answer:?}");
        };
        assert_eq!(
            (is, &answer.body[..], answer.attempts),
            (is_stale, &b"kept"[..], 0)
        );
        assert!(pass <= age.as_secs());
    }
    let nothing = stage.client.get(&server.url("/b")).offline().send().await;
    let error = nothing.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Offline, 0));
    let without = crate::support::client(settings());
    let error = without.get(&url).offline().send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline);
    let path = stage.folder.path().join("file");
    let file = stage.client.get(&url).offline();
    let error = file.download(&path, Download::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline);
    assert_eq!(asked(&server), 1);
}

#[tokio::test]
async fn whoever_shows_who_it_is_gets_an_answer_of_its_own() {
    let server = server(|_, number| lasting(&number.to_string())).await;
    let stage = Stage::new();
    let url = server.url("/a");
    stage.get(&url).await;
    let known = [
        stage.client.get(&url).header("Authorization", "Bearer a"),
        stage.client.get(&url).header("Cookie", "id=a"),
        stage.client.get(&url).secret_header("X-Ours", "a"),
        stage.client.get(&server.url("/a?api_key=a")),
        stage.client.get(&url).header("Cache-Control", "no-store"),
    ];
    let count = known.len();
    for request in known {
        let answer = soon("it", request.send()).await.unwrap();
        assert_eq!(answer.source, Source::Network);
    }
    assert_eq!(asked(&server), 1 + count);
    assert_eq!(&stage.get(&url).await.body[..], b"0");
    // Whoever shows a certificate is known by it, too.
    let mut settings = ClientSettings {
        cache: Some(Arc::new(
            Cache::open(
                stage.folder.path(),
                CacheSettings::default(),
                mainstay_clock::system(),
            )
            .unwrap(),
        )),
        ..settings()
    };
    settings.tls.client = Some(ClientCertificate {
        certificate: "client.pem".into(),
        key: "client.key".into(),
    });
    let refused = Client::new(settings, mainstay_clock::system()).unwrap_err();
    assert!(refused.to_string().contains("for it alone"), "{refused}");
}

#[tokio::test]
async fn a_redirect_is_asked_for_and_what_it_leads_to_is_kept() {
    let server = server(|request, _| match request.target.as_str() {
        "/a" => Reaction::answer(302).header("Location", "/b"),
        _ => lasting("b"),
    })
    .await;
    let stage = Stage::new();
    for source in [Source::Network, of(0)] {
        let answer = stage.get(&server.url("/a")).await;
        assert_eq!((answer.source, answer.url.path()), (source, "/b"));
    }
    let targets: Vec<_> = server.conversation().requests();
    let targets: Vec<_> = targets
        .iter()
        .map(|request| request.target.as_str())
        .collect();
    assert_eq!(targets, ["/a", "/b", "/a"]);
}

#[tokio::test]
async fn what_is_too_large_for_the_cache_and_what_is_downloaded_go_past_it() {
    let server = server(|_, _| lasting(&"x".repeat(100_000))).await;
    let folder = TempDir::new().unwrap();
    let small = CacheSettings {
        entry_max: 1_000,
        ..CacheSettings::default()
    };
    let cache = Cache::open(folder.path(), small, mainstay_clock::system()).unwrap();
    let settings = ClientSettings {
        cache: Some(Arc::new(cache)),
        ..settings()
    };
    let client = crate::support::client(settings);
    for _ in 0..2 {
        let answer = soon("it", client.get(&server.url("/a")).send())
            .await
            .unwrap();
        assert_eq!(
            (answer.body.len(), answer.source),
            (100_000, Source::Network)
        );
    }
    let stage = Stage::new();
    for name in ["one", "two"] {
        let path = stage.folder.path().join(name);
        let url = server.url("/a");
        let downloading = stage.client.download(&url, &path, Download::default());
        assert_eq!(soon("it", downloading).await.unwrap().bytes, 100_000);
    }
    assert_eq!(asked(&server), 4);
    let stats = client.cache_stats().await.unwrap().unwrap();
    assert_eq!((stats.entries, stats.bytes), (0, 0));
    assert_eq!(stage.stats().await.entries, 0);
}

/// The only thread of this test has to go on while the cache waits for another process, or nobody ends the wait.
#[tokio::test]
async fn a_cache_that_waits_holds_up_nobody_else() {
    let server = server(|_, _| lasting("x")).await;
    let stage = Stage::new();
    let other = rusqlite::Connection::open(stage.folder.path().join("index.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let url = server.url("/a");
    let meanwhile = async {
        soon("the request", server.conversation().wait_for(1)).await;
        let plain = crate::support::client(settings());
        let answer = soon("it", plain.get(&server.url("/b")).send()).await;
        other.execute_batch("COMMIT").unwrap();
        answer.unwrap()
    };
    let (answer, _) = tokio::join!(stage.get(&url), meanwhile);
    assert_eq!(answer.source, Source::Network);
    assert_eq!(
        stage.get(&url).await.source,
        of(0),
        "it was stored after the wait"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "the folder is taken away past the crate"
)]
#[tokio::test]
async fn a_cache_that_fails_fails_no_request() {
    let server = server(|_, number| lasting(&number.to_string())).await;
    let stage = Stage::new();
    let url = server.url("/a");
    stage.get(&url).await;
    std::fs::remove_dir_all(stage.folder.path()).unwrap();
    std::fs::write(stage.folder.path(), "no folder").unwrap();
    for number in ["1", "2"] {
        let answer = stage.get(&url).await;
        assert_eq!(
            (answer.source, answer.text().as_str()),
            (Source::Network, number)
        );
    }
    stage.send(Method::PUT, &url).await.unwrap();
    let error = stage.client.cache_stats().await.unwrap_err();
    assert!(error.to_string().contains("see its folder"), "{error}");
    std::fs::remove_file(stage.folder.path()).unwrap();
    std::fs::create_dir(stage.folder.path()).unwrap();
}

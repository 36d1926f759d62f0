//! What a lookup does not take, does not wait for, and does not blame anybody for.

use super::{failure, go, lookup, server, settings, tracks};
use mainstay_clock::{ManualClock, SharedClock};
use mainstay_http::{Cache, CacheSettings, Client, ClientSettings, Limits};
use mainstay_lookup::{
    FailureKind, Lookup, LookupSettings, OnFailure, Secret, UrlTemplate, Verdict,
};
use mainstay_resilience::RateLimit;
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

const CHOICES: [OnFailure; 3] = [OnFailure::Wait, OnFailure::Pass, OnFailure::Bury];

/// No limit of the client's own is near.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

/// Time passes as long as it is not done.
async fn in_time<T>(clock: &ManualClock, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::task::yield_now() => clock.advance(Duration::from_secs(1)),
        }
    }
}

fn by_hand(settings: LookupSettings, client: ClientSettings, clock: &ManualClock) -> Lookup {
    let clock: SharedClock = Arc::new(clock.clone());
    let client = Client::new(client, clock.clone()).unwrap();
    Lookup::new(settings, client, clock).unwrap()
}

fn unlimited() -> ClientSettings {
    let mut client = ClientSettings::default();
    client.limits.general = Limits {
        read: FOR_EVER,
        total: FOR_EVER,
    };
    client.retry.attempts = 1;
    client
}

/// Each of `count` things is asked about by its number.
fn numbered(server: &FaultyServer, count: usize) -> (LookupSettings, String) {
    let things: Vec<String> = (0..count).map(|n| format!("{{\"n\":{n}}}")).collect();
    let settings = LookupSettings {
        each: "*".parse().unwrap(),
        ..settings(server, "/{n}", &[("a", "b")])
    };
    (settings, format!("[{}]", things.join(",")))
}

/// E3. Who would have waited longer than a moment for the rate was turned away, and that counted as the server's failure.
#[tokio::test]
async fn a_limit_of_our_own_buries_no_document_and_lets_none_go_without() {
    for on_failure in CHOICES {
        let server = server(|_, _| Reaction::answer(200).body(r#"{"b":1}"#)).await;
        let (settings, document) = numbered(&server, 6);
        let settings = LookupSettings {
            on_failure,
            total: FOR_EVER,
            ..settings
        };
        let client = ClientSettings {
            limit: RateLimit {
                permits: 1,
                per: Duration::from_mins(10),
                burst: 1,
            },
            ..unlimited()
        };
        let clock = ManualClock::new();
        let lookup = by_hand(settings, client, &clock);
        let verdict = in_time(&clock, lookup.apply(document.into())).await;
        let Verdict::Go(_, report) = verdict else {
            panic!("{on_failure:?}: {verdict:?}");
        };
        assert_eq!((report.fields, report.without), (6, None), "{on_failure:?}");
    }
}

/// E3: also where there is no place at once.
#[tokio::test]
async fn no_place_for_a_request_is_no_failure_of_the_server() {
    for on_failure in CHOICES {
        let server = server(|_, _| Reaction::answer(200).body(r#"{"b":1}"#)).await;
        let (settings, document) = numbered(&server, 40);
        let settings = LookupSettings {
            on_failure,
            total: FOR_EVER,
            concurrency: 8,
            ..settings
        };
        let mut client = unlimited();
        client.bulkhead.max_concurrent = 1;
        client.bulkhead.max_waiting = 0;
        let clock = ManualClock::new();
        let lookup = by_hand(settings, client, &clock);
        let verdict = in_time(&clock, lookup.apply(document.into())).await;
        let Verdict::Go(_, report) = verdict else {
            panic!("{on_failure:?}: {verdict:?}");
        };
        assert_eq!((report.fields, report.without), (40, None));
    }
}

/// E3: a server that says nothing for ever holds no document for ever.
#[tokio::test]
async fn a_document_that_takes_too_long_waits_whatever_was_chosen() {
    let server = server(|_, _| Reaction::Hang).await;
    for on_failure in CHOICES {
        let (settings, document) = numbered(&server, 2);
        let settings = LookupSettings {
            on_failure,
            ..settings
        };
        let clock = ManualClock::new();
        let lookup = by_hand(settings, unlimited(), &clock);
        let verdict = in_time(&clock, lookup.apply(document.into())).await;
        assert!(matches!(verdict, Verdict::Wait(_)), "{verdict:?}");
        let failure = failure(verdict);
        assert_eq!(failure.kind, FailureKind::Limit);
        assert!(failure.reason.contains("within 3600 s"), "{failure}");
    }
}

/// Three questions are never answered; that one failed is told all the same, and not that time ran out.
#[tokio::test]
async fn questions_that_hang_keep_nobody_from_being_told_that_another_one_failed() {
    let server = server(|request, _| match request.target.as_str() {
        "/0" => Reaction::answer(500),
        _ => Reaction::Hang,
    })
    .await;
    for on_failure in [OnFailure::Wait, OnFailure::Bury] {
        let (settings, document) = numbered(&server, 4);
        let settings = LookupSettings {
            on_failure,
            total: FOR_EVER,
            concurrency: 4,
            ..settings
        };
        let clock = ManualClock::new();
        let lookup = by_hand(settings, unlimited(), &clock);
        let failure = failure(in_time(&clock, lookup.apply(document.into())).await);
        assert_eq!(failure.kind, FailureKind::Server, "{failure}");
        assert!(failure.reason.contains("500"), "{failure}");
    }
}

/// What the server itself wants is told from what we want of ourselves.
#[tokio::test]
async fn a_server_that_wants_to_be_left_alone_is_passed_where_that_was_chosen() {
    let server = server(|_, _| Reaction::answer(429).header("retry-after", "3000")).await;
    let (settings, document) = numbered(&server, 1);
    let clock = ManualClock::new();
    let settings = LookupSettings {
        on_failure: OnFailure::Pass,
        ..settings
    };
    let lookup = by_hand(settings, unlimited(), &clock);
    for _ in 0..2 {
        // No time passes: what had to wait would wait for ever.
        let verdict = lookup.apply(document.clone().into()).await;
        let Verdict::Go(_, report) = verdict else {
            panic!("{verdict:?}");
        };
        let failure = report.without.unwrap();
        assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
        assert!(failure.retry_after.is_some());
    }
    assert_eq!(server.conversation().requests().len(), 1);
}

/// One control sign in an answer buried the document.
#[tokio::test]
async fn an_answer_that_cannot_be_put_in_is_the_servers_fault() {
    let server = server(|request, _| {
        Reaction::answer(200).body(match request.target.as_str() {
            "/long" => format!("{{\"b\":\"{}\"}}", "x".repeat(64 << 10)),
            "/control" => "{\"b\":\"\\u0001\"}".to_owned(),
            "/listed" => "{\"b\":[\"x\",\"\\u0001\"]}".to_owned(),
            _ => "{\"b\":\"\\ud83d\"}".to_owned(),
        })
    })
    .await;
    let (json, xml) = ("{\"x\":1}", "<a x='1'/>");
    for (document, path, why) in [
        (json, "/long", "65538 bytes"),
        (xml, "/long", "65538 bytes"),
        (xml, "/control", "no way to write"),
        (xml, "/listed", "no way to write"),
        (json, "/half", "half a sign"),
        (xml, "/half", "half a sign"),
    ] {
        let settings = settings(&server, path, &[("a", "b")]);
        let verdict = lookup(settings).apply(document.into()).await;
        assert!(matches!(verdict, Verdict::Wait(_)), "{path}: {verdict:?}");
        let failure = failure(verdict);
        assert_eq!(failure.kind, FailureKind::Server);
        assert!(
            failure.reason.contains(why) && failure.reason.contains("`b`"),
            "{failure}"
        );
    }
    let (completed, _) = go(settings(&server, "/control", &[("a", "b")]), json).await;
    assert_eq!(completed, "{\"x\":1,\"a\":\"\\u0001\"}");
}

/// One answer of 16 MiB was copied for each of 200,000 things.
#[tokio::test]
async fn what_is_answered_does_not_make_a_document_longer_than_one_may_be() {
    let server = server(|_, _| {
        Reaction::answer(200).body(format!("{{\"b\":\"{}\"}}", "x".repeat(60 << 10)))
    })
    .await;
    let same = settings(&server, "/same", &[("a", "b")]);
    let json = format!("[{}{{}}]", "{},".repeat(2_000));
    let xml = format!("<r>{}</r>", "<t/>".repeat(2_000));
    let (different, many) = numbered(&server, 1_200);
    for (settings, each, document, why) in [
        (same.clone(), "*", json, "would be longer"),
        (same, "r/t", xml, "would be longer"),
        (different, "*", many, "bytes together"),
    ] {
        let settings = LookupSettings {
            each: each.parse().unwrap(),
            ..settings
        };
        let verdict = lookup(settings).apply(document.into()).await;
        assert!(matches!(verdict, Verdict::Wait(_)), "{verdict:?}");
        let failure = failure(verdict);
        assert_eq!(failure.kind, FailureKind::Server);
        assert!(failure.reason.contains(why), "{failure}");
    }
}

/// One field of 70 KB opened the breaker of the server, and so stopped every other document.
#[tokio::test]
async fn what_says_too_much_for_an_address_is_not_asked_about() {
    let server = server(|_, _| Reaction::answer(200).body(r#"{"genre":"House"}"#)).await;
    let long = "x".repeat(70_000);
    let document = super::COLLECTION.replace("Name='2'", &format!("Name='{long}'"));
    let (_, report) = go(tracks(&server), &document).await;
    assert_eq!((report.items, report.asked, report.unasked), (4, 1, 2));
    assert_eq!(server.conversation().requests().len(), 1);
}

#[tokio::test]
async fn what_the_client_would_not_send_is_refused_at_once() {
    let client = Client::new(ClientSettings::default(), mainstay_clock::system()).unwrap();
    for (name, value, why) in [
        ("Host", "elsewhere", "belongs to the connection"),
        ("te", "trailers", "belongs to the connection"),
        ("Accept-Encoding", "br", "belongs to the connection"),
        ("a b", "c", "name that cannot be sent"),
        ("", "c", "name that cannot be sent"),
        ("x", "s3cret\r\ny: z", "value that cannot be sent"),
    ] {
        let header = (name.to_owned(), Secret::new(value));
        let url = UrlTemplate::parse("http://h/{a}").unwrap();
        let take = vec![("a".parse().unwrap(), "b".parse().unwrap())];
        let plain = LookupSettings::new(url, take);
        let mut as_auth = plain.clone();
        as_auth.auth = Some(header.clone());
        let as_header = LookupSettings {
            headers: vec![header],
            ..plain
        };
        for settings in [as_header, as_auth] {
            let refused = Lookup::new(settings, client.clone(), mainstay_clock::system());
            let refused = refused.unwrap_err().to_string();
            assert!(
                refused.contains(why) && !refused.contains("s3cret"),
                "{name}: {refused}"
            );
        }
    }
}

/// What was answered to one `x-tenant` was served to another, where the server did not say that it varies.
#[tokio::test]
async fn answers_are_kept_unless_they_may_be_for_whoever_asked_alone() {
    let server = server(|_, _| {
        Reaction::answer(200)
            .header("cache-control", "max-age=60")
            .body(r#"{"b":1}"#)
    })
    .await;
    let keeping = Keeping::new();
    let header = |name: &str| Some((name.to_owned(), Secret::new("x")));
    for (path, headers, keeps_any, auth, asked) in [
        ("/plain", header("accept-language"), false, None, 1),
        // Another route may send another one, and be served what was answered to this.
        ("/unknown", header("x-site"), false, None, 2),
        ("/wanted", header("x-site"), true, None, 1),
        ("/key", header("X-Api-Key"), true, None, 2),
        ("/auth", None, true, header("x-whoever"), 2),
    ] {
        let before = server.conversation().requests().len();
        let settings = LookupSettings {
            headers: headers.into_iter().collect(),
            keeps_any,
            auth,
            ..settings(&server, path, &[("a", "b")])
        };
        let lookup = keeping.lookup(settings);
        for _ in 0..2 {
            let verdict = lookup.apply("{}".into()).await;
            assert!(matches!(verdict, Verdict::Go(..)), "{verdict:?}");
        }
        let requests = server.conversation().requests();
        assert_eq!(requests.len() - before, asked, "{path}");
        let sent = ["accept-language", "x-site", "x-api-key", "x-whoever"];
        assert!(
            sent.iter()
                .any(|name| requests[before].header(name) == Some("x"))
        );
    }
}

/// What keeps answers, on a clock that stands still: however slow the disk is, an answer is kept before the next one is asked for.
struct Keeping {
    _folder: tempfile::TempDir,
    client: Client,
    clock: ManualClock,
}

impl Keeping {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new();
        let shared: SharedClock = Arc::new(clock.clone());
        let cache = Cache::open(folder.path(), CacheSettings::default(), shared.clone()).unwrap();
        let settings = ClientSettings {
            cache: Some(Arc::new(cache)),
            ..ClientSettings::default()
        };
        Self {
            _folder: folder,
            client: Client::new(settings, shared).unwrap(),
            clock,
        }
    }

    fn lookup(&self, settings: LookupSettings) -> Lookup {
        let clock = Arc::new(self.clock.clone());
        Lookup::new(settings, self.client.clone(), clock).unwrap()
    }
}

/// A page of a network that wants a password first was kept for 7 days, and whoever was right again was not asked.
#[tokio::test]
async fn an_answer_that_cannot_be_used_is_not_kept_and_one_that_is_kept_is_asked_for_again() {
    for is_kept_before in [false, true] {
        let server = server(|request, number| {
            let conditions = ["if-none-match", "if-modified-since"];
            if number == 0 {
                Reaction::answer(200)
                    .header("ETag", "\"1\"")
                    .header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
                    .body("<html>Who are you?</html>")
            } else if conditions.iter().any(|name| request.header(name).is_some()) {
                // It has not changed since: so the page would be confirmed.
                Reaction::answer(304)
            } else {
                Reaction::answer(200).body(r#"{"b":1}"#)
            }
        })
        .await;
        let keeping = Keeping::new();
        let lookup = keeping.lookup(settings(&server, "/a", &[("a", "b")]));
        if is_kept_before {
            let request = keeping.client.get(&server.url("/a"));
            request.send().await.unwrap();
        } else {
            let failure = failure(lookup.apply("{}".into()).await);
            assert!(failure.reason.contains("no JSON"), "{failure}");
        }
        // The second is answered by what is kept of the first.
        for _ in 0..2 {
            let verdict = lookup.apply("{}".into()).await;
            let Verdict::Go(completed, _) = verdict else {
                panic!("{verdict:?}");
            };
            assert_eq!(completed, "{\"a\":1}");
        }
        assert_eq!(server.conversation().requests().len(), 2);
    }
}

/// What is of use to one document may be of none to another; the server is asked once about it, and not for ever.
#[tokio::test]
async fn what_stays_of_no_use_is_asked_for_once_in_each_try() {
    let server = server(|_, _| Reaction::answer(200).body("{\"b\":\"\\u0001\"}")).await;
    let keeping = Keeping::new();
    let lookup = keeping.lookup(settings(&server, "/a", &[("a", "b")]));
    let verdict = lookup.apply("{}".into()).await;
    assert!(matches!(verdict, Verdict::Go(..)), "{verdict:?}");
    for tries in 1..=2 {
        let failure = failure(lookup.apply("<a/>".into()).await);
        assert!(failure.reason.contains("no way to write"), "{failure}");
        assert_eq!(server.conversation().requests().len(), 1 + tries);
    }
}

/// E3: nobody is asked, what is kept is the answer however old, and what is not kept ends as was chosen.
#[tokio::test]
async fn where_nobody_is_to_be_asked_what_is_kept_is_the_answer_and_the_rest_is_as_was_chosen() {
    let server = server(|_, _| Reaction::answer(200).body(r#"{"b":1}"#)).await;
    let keeping = Keeping::new();
    let online = settings(&server, "/{n}", &[("a", "b")]);
    let verdict = keeping
        .lookup(online.clone())
        .apply("{\"n\":1}".into())
        .await;
    assert!(matches!(verdict, Verdict::Go(..)), "{verdict:?}");
    let offline = |on_failure| {
        keeping.lookup(LookupSettings {
            offline: true,
            on_failure,
            ..online.clone()
        })
    };
    for stale in [0, 1] {
        let verdict = offline(OnFailure::Wait).apply("{\"n\":1}".into()).await;
        let Verdict::Go(completed, report) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(completed, "{\"n\":1,\"a\":1}");
        assert_eq!(report.stale, stale);
        keeping.clock.advance(Duration::from_hours(30 * 24));
    }
    for on_failure in CHOICES {
        let verdict = offline(on_failure).apply("{\"n\":2}".into()).await;
        let failure = match (on_failure, verdict) {
            (OnFailure::Wait, Verdict::Wait(failure))
            | (OnFailure::Bury, Verdict::Bury(failure)) => failure,
            (OnFailure::Pass, Verdict::Go(same, report)) => {
                assert_eq!(same, "{\"n\":2}");
                report.without.unwrap()
            }
            (_, other) => panic!("{other:?}"),
        };
        assert_eq!(failure.kind, FailureKind::Server);
        assert!(
            failure.reason.contains("nothing is kept")
                && failure.reason.contains("while `offline` is set"),
            "{failure}"
        );
    }
    assert_eq!(server.conversation().requests().len(), 1);
}

/// What is of no use to one document may be of use to another, and there is no other one to be had.
#[tokio::test]
async fn what_is_of_no_use_is_kept_where_nobody_is_to_be_asked_for_another() {
    let server = server(|_, _| Reaction::answer(200).body("{\"b\":\"\\u0001\"}")).await;
    let keeping = Keeping::new();
    let mut settings = settings(&server, "/a", &[("a", "b")]);
    keeping.lookup(settings.clone()).apply("{}".into()).await;
    settings.offline = true;
    let lookup = keeping.lookup(settings);
    for _ in 0..2 {
        let failure = failure(lookup.apply("<a/>".into()).await);
        assert!(failure.reason.contains("no way to write"), "{failure}");
    }
    let verdict = lookup.apply("{}".into()).await;
    assert!(matches!(verdict, Verdict::Go(..)), "{verdict:?}");
    assert_eq!(server.conversation().requests().len(), 1);
}

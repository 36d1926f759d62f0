//! Documents that are looked up at a real server.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests end them where something is wrong"
)]

mod bounds;

use mainstay_http::{Cache, CacheSettings, Client, ClientSettings};
use mainstay_lookup::{
    DOCUMENT_MAX, Failure, FailureKind, Lookup, LookupSettings, OnFailure, Report, Secret,
    UrlTemplate, Verdict,
};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction, Request};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Notify;

const COLLECTION: &str = "<DJ><COLLECTION>\n<TRACK Artist='A' Name='1' Genre=''/>\n<TRACK Artist='A' Name='2'/>\
    <TRACK Name='nobody'/><TRACK Artist='A' Name='1'/></COLLECTION></DJ>";

async fn server(
    script: impl Fn(&Request, usize) -> Reaction + Send + Sync + 'static,
) -> FaultyServer {
    FaultyServer::start(script).await.unwrap()
}

fn settings(server: &FaultyServer, path: &str, take: &[(&str, &str)]) -> LookupSettings {
    let place = |text: &str| text.parse().unwrap();
    LookupSettings::new(
        UrlTemplate::parse(&server.url(path)).unwrap(),
        take.iter()
            .map(|(to, from)| (place(to), place(from)))
            .collect(),
    )
}

fn tracks(server: &FaultyServer) -> LookupSettings {
    LookupSettings {
        each: "DJ/COLLECTION/TRACK".parse().unwrap(),
        ..settings(
            server,
            "/t?a={Artist}&n={Name}",
            &[("Genre", "genre"), ("Year", "release/year")],
        )
    }
}

fn lookup(settings: LookupSettings) -> Lookup {
    // One attempt: what is tried again is the client's business, and tested there.
    let mut client = ClientSettings::default();
    client.retry.attempts = 1;
    let clock = mainstay_clock::system();
    Lookup::new(settings, Client::new(client, clock.clone()).unwrap(), clock).unwrap()
}

async fn go(settings: LookupSettings, document: &str) -> (String, Report) {
    match lookup(settings).apply(document.to_owned().into()).await {
        Verdict::Go(bytes, report) => (String::from_utf8(bytes.to_vec()).unwrap(), report),
        other => panic!("{other:?}"),
    }
}

fn failure(verdict: Verdict) -> Failure {
    match verdict {
        Verdict::Wait(failure) | Verdict::Bury(failure) => failure,
        Verdict::Go(..) => panic!("it went on"),
    }
}

/// E1, E2.
#[tokio::test]
async fn each_thing_is_asked_once_and_gets_what_was_answered() {
    let server = server(|request, _| match request.target.as_str() {
        "/t?a=A&n=1" => Reaction::answer(200)
            .body(r#"{"genre":["House","D&B"],"release":{"year":1999},"more":"no"}"#),
        "/t?a=A&n=2" => Reaction::answer(404),
        other => panic!("{other}"),
    })
    .await;
    let (completed, report) = go(tracks(&server), COLLECTION).await;
    let taken = "Genre=\"House, D&amp;B\" Year=\"1999\"";
    assert_eq!(
        completed,
        COLLECTION
            .replace("Genre=''/", "Genre='House, D&amp;B' Year=\"1999\"/")
            .replace("Name='1'/>", &format!("Name='1' {taken}/>"))
    );
    let expected = Report {
        items: 4,
        asked: 2,
        unknown: 1,
        unasked: 1,
        fields: 4,
        stale: 0,
        without: None,
    };
    assert_eq!(report, expected);
    assert_eq!(server.conversation().requests().len(), 2);
}

/// E1, for JSON.
#[tokio::test]
async fn a_document_in_json_gets_values_as_they_were_answered() {
    let server = server(|request, _| {
        assert_eq!(request.target, "/parts/4711%2Fb");
        assert_eq!(request.header("x-key"), Some("hunter2"));
        Reaction::answer(200).body(r#"{"limits":{"high":1.50e1,"low":null},"name":"bolt"}"#)
    })
    .await;
    let mut settings = settings(
        &server,
        "/parts/{part/number}",
        &[
            ("part/limits", "limits"),
            ("part/low", "limits/low"),
            ("part/name", "name"),
        ],
    );
    settings.headers = vec![("x-key".to_owned(), Secret::new("hunter2"))];
    assert!(!format!("{settings:?}").contains("hunter2"));
    let document =
        "\u{feff}{\"part\": {\"number\": \"4711/b\", \"name\": \"screw\"}, \"ok\": true}\n";
    let (completed, report) = go(settings, document).await;
    assert_eq!(
        completed,
        document.replace(
            "\"screw\"",
            "\"screw\",\"limits\":{\"high\":1.50e1,\"low\":null}"
        )
    );
    assert_eq!((report.items, report.fields), (1, 1));
}

/// E3.
#[tokio::test]
async fn without_an_answer_a_document_waits_goes_on_or_is_set_aside_as_was_chosen() {
    let server = server(|request, _| {
        if request.target.ends_with("n=1") {
            Reaction::answer(200).body(r#"{"genre":"House"}"#)
        } else {
            Reaction::answer(503).header("retry-after", "7")
        }
    })
    .await;
    let with = |on_failure| {
        lookup(LookupSettings {
            on_failure,
            ..tracks(&server)
        })
    };
    let Verdict::Wait(waits) = with(OnFailure::Wait).apply(COLLECTION.into()).await else {
        panic!("it does not wait");
    };
    assert_eq!(waits.kind, FailureKind::Server);
    assert_eq!(waits.retry_after.map(|wait| wait.as_secs()), Some(7));
    assert!(
        waits.reason.contains("503") && !waits.reason.contains("n=2"),
        "{waits}"
    );
    let verdict = with(OnFailure::Bury).apply(COLLECTION.into()).await;
    assert!(matches!(verdict, Verdict::Bury(_)), "{verdict:?}");
    let Verdict::Go(completed, report) = with(OnFailure::Pass).apply(COLLECTION.into()).await
    else {
        panic!("it does not go on");
    };
    // What was answered is in it all the same.
    assert!(String::from_utf8_lossy(&completed).contains("Name='1' Genre=\"House\"/>"));
    assert_eq!((report.fields, report.without.is_some()), (2, true));
}

/// E3: nobody waits for what cannot become better.
#[tokio::test]
async fn what_cannot_be_read_is_never_waited_for() {
    let server = server(|_, _| Reaction::answer(200).body("{}")).await;
    let many = format!("[{}1]", "1,".repeat(200_001));
    let large = vec![b' '; DOCUMENT_MAX + 1];
    let cases: [(&[u8], &str, &str); 7] = [
        (b"", "no JSON", ""),
        (b"<DJ>", "no XML", ""),
        (b"{\"a\":", "no JSON", ""),
        (b"serial;result\n", "no JSON", ""),
        (b"\xff\xfe<", "not UTF-8", ""),
        (many.as_bytes(), "more than 200000", "*"),
        (&large, "bytes", ""),
    ];
    for (document, why, each) in cases {
        let mut settings = settings(&server, "/{x}", &[("a", "b")]);
        settings.each = each.parse().unwrap();
        let verdict = lookup(settings.clone())
            .apply(document.to_vec().into())
            .await;
        assert!(matches!(verdict, Verdict::Bury(_)), "{verdict:?}");
        let failure = failure(verdict);
        assert_eq!(failure.kind, FailureKind::Document);
        assert!(failure.reason.contains(why), "{failure}");
        settings.on_failure = OnFailure::Pass;
        let Verdict::Go(same, report) = lookup(settings).apply(document.to_vec().into()).await
        else {
            panic!("{why}: it does not go on");
        };
        assert!(same == document && report.without.is_some(), "{why}");
    }
    assert_eq!(server.conversation().requests().len(), 0);
}

/// A page of HTML, a number where an object should be: the server's fault, which may end.
#[tokio::test]
async fn an_answer_that_is_no_json_is_a_failure_of_the_server_and_one_of_another_shape_has_nothing()
{
    let server = server(|request, _| match request.target.as_str() {
        "/html" => Reaction::answer(200).body("<html>log in</html>"),
        _ => Reaction::answer(200).body("7"),
    })
    .await;
    let take = [("a", "b/c")];
    let verdict = lookup(settings(&server, "/html", &take))
        .apply("{}".into())
        .await;
    let failure = failure(verdict);
    assert_eq!(failure.kind, FailureKind::Server);
    assert!(failure.reason.contains("no JSON"), "{failure}");
    let (same, report) = go(settings(&server, "/number", &take), "{}").await;
    assert_eq!((same.as_str(), report.fields), ("{}", 0));
}

/// E4.
#[tokio::test]
async fn no_document_chooses_the_server_or_leads_out_of_the_path() {
    let server = server(|request, _| {
        assert!(
            request.target.starts_with("/only/here/"),
            "{}",
            request.target
        );
        Reaction::answer(200).body("{}")
    })
    .await;
    for value in [
        "..",
        "../..",
        "@elsewhere",
        "//elsewhere",
        "%2e%2e",
        "?a#b",
        "\\r\\nx: y",
        "a\\u0000b",
    ] {
        let document = format!("{{\"x\":\"{value}\"}}");
        let take = [("a", "b")];
        let (same, report) = go(settings(&server, "/only/here/{x}", &take), &document).await;
        assert_eq!(same, document);
        assert_eq!((report.items, report.asked + report.unasked), (1, 1));
    }
}

/// E3: what is the same for every document is told apart from what one question met.
#[tokio::test]
async fn a_server_that_nobody_reaches_is_told_from_one_that_fails() {
    let server = server(|request, _| match request.target.as_str() {
        "/forbidden" => Reaction::answer(403).body("{\"b\":\"a page of its own\"}"),
        "/wrong" => Reaction::answer(400).body("{\"b\":\"a page of its own\"}"),
        _ => Reaction::answer(500),
    })
    .await;
    let nobody = UrlTemplate::parse("http://127.0.0.1:1/").unwrap();
    let of = |path| settings(&server, path, &[("a", "b")]);
    for (settings, kind) in [
        (of("/failing"), FailureKind::Server),
        (of("/wrong"), FailureKind::Server),
        (of("/forbidden"), FailureKind::Unreachable),
        (
            LookupSettings {
                url: nobody,
                ..of("/")
            },
            FailureKind::Unreachable,
        ),
    ] {
        let failure = failure(lookup(settings).apply("{}".into()).await);
        assert_eq!(failure.kind, kind, "{failure}");
    }
}

/// E3: of four questions to a server that has just come back three are turned away, while the fourth is how it is found out that it is
/// back. Given up with them it was never found out, and the document waited for as long as luck would have it.
#[tokio::test]
async fn what_is_under_way_when_another_question_fails_comes_to_its_end_and_is_kept() {
    let server = server(|request, _| {
        if request.target.ends_with("n=1") {
            return Reaction::answer(500);
        }
        let answer = Reaction::answer(200).body("{\"genre\":\"House\"}");
        // It is slow.
        let (late, released) = (Arc::new(Notify::new()), Duration::from_millis(300));
        let release = Arc::clone(&late);
        tokio::spawn(async move {
            mainstay_clock::system().sleep(released).await;
            release.notify_one();
        });
        Reaction::After(late, answer.into())
    })
    .await;
    let (folder, clock) = (TempDir::new().unwrap(), mainstay_clock::system());
    let cache = Cache::open(folder.path(), CacheSettings::default(), clock.clone()).unwrap();
    let mut client = ClientSettings {
        cache: Some(Arc::new(cache)),
        ..ClientSettings::default()
    };
    client.retry.attempts = 1;
    let client = Client::new(client, clock.clone()).unwrap();
    let lookup = Lookup::new(tracks(&server), client, clock).unwrap();
    let tracks = (1..=6).map(|number| format!("<TRACK Artist='A' Name='{number}'/>"));
    let document = tracks.collect::<Vec<_>>().concat();
    let document = format!("<DJ><COLLECTION>{document}</COLLECTION></DJ>");
    let asked = || {
        let requests = server.conversation().requests();
        let mut asked: Vec<String> = requests.into_iter().map(|request| request.target).collect();
        asked.sort();
        asked
    };
    failure(lookup.apply(document.clone().into()).await);
    let first = ["n=1", "n=2", "n=3", "n=4"].map(|end| format!("/t?a=A&{end}"));
    assert_eq!(asked(), first, "nothing more is asked once one has failed");
    failure(lookup.apply(document.into()).await);
    let again = asked();
    let again = |end: &str| again.iter().filter(|target| target.ends_with(end)).count();
    assert_eq!(["n=1", "n=2", "n=3", "n=4"].map(again), [2, 1, 1, 1]);
}

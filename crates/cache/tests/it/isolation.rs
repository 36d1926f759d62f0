//! One caller's answer is never another's.

use crate::stage::{PAGE, Stage, asked, files, get, said};
use http::{HeaderName, Method};
use mainstay_cache::{CacheSettings, Lookup, Refusal, Stored};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

const PUBLIC: [(&str, &str); 1] = [("cache-control", "public, max-age=60, s-maxage=60")];

#[test]
fn what_one_caller_got_with_its_credentials_nobody_else_gets() {
    for name in ["authorization", "cookie", "x-api-key", "private-token"] {
        let stage = Stage::new();
        let of = |value| asked(Method::GET, PAGE, &[(name, value)]);
        let stored = stage.put_for(&of("A's secret"), &PUBLIC, b"for A");
        assert_eq!(stored, Stored::Refused(Refusal::Credentials), "{name}");
        for request in [of("B's secret"), of("A's secret"), get(PAGE)] {
            assert!(
                matches!(stage.cache.lookup(&request), Lookup::Miss),
                "{name}"
            );
            assert!(stage.cache.stale_on_error(&request).is_none());
            assert!(stage.cache.offline(&request).is_none());
        }
    }
}

#[test]
fn whoever_has_credentials_is_not_answered_from_what_others_got() {
    let stage = Stage::new();
    stage.put(PAGE, &PUBLIC, b"for all");
    let known = asked(Method::GET, PAGE, &[("authorization", "A's secret")]);
    assert!(matches!(stage.cache.lookup(&known), Lookup::Miss));
    assert!(stage.cache.offline(&known).is_none());
    assert!(stage.cache.key(&known).is_none());
    // Nor does a view of its own cost the others theirs.
    let refused = stage
        .cache
        .store(&known, &said(200, &[("cache-control", "private")]), b"A's");
    assert_eq!(refused.unwrap(), Stored::Refused(Refusal::Credentials));
    assert_eq!(&stage.fresh(PAGE).unwrap().body[..], b"for all");
}

#[test]
fn a_secret_in_an_address_keeps_its_answer_out() {
    let stage = Stage::new();
    for url in [
        "https://user:password@example.org/page",
        "https://example.org/page?access_token=abc",
        "https://example.org/page?a=1&API_KEY=abc",
        "https://example.org/page?X-Amz-Signature=abc",
    ] {
        let stored = stage.put(url, &PUBLIC, b"for A");
        assert_eq!(stored, Stored::Refused(Refusal::Credentials), "{url}");
        assert!(!stage.has(url));
    }
    assert_eq!(
        stage.put("https://example.org/page?pageToken=2", &PUBLIC, b"x"),
        Stored::Kept { evicted: 0 }
    );
}

#[test]
fn a_header_that_a_person_names_is_a_credential() {
    let mut settings = CacheSettings::default();
    settings
        .credential_headers
        .push(HeaderName::from_static("x-station"));
    let stage = Stage::with(settings);
    let request = asked(Method::GET, PAGE, &[("X-Station", "7")]);
    assert_eq!(
        stage.put_for(&request, &PUBLIC, b"x"),
        Stored::Refused(Refusal::Credentials)
    );
}

#[test]
fn a_value_that_is_marked_as_secret_is_a_credential_whatever_its_name() {
    let stage = Stage::new();
    let mut request = get(PAGE);
    let mut value = http::HeaderValue::from_static("7");
    value.set_sensitive(true);
    request.headers.insert("x-station", value);
    assert_eq!(
        stage.put_for(&request, &PUBLIC, b"x"),
        Stored::Refused(Refusal::Credentials)
    );
    stage.put(PAGE, &PUBLIC, b"for all");
    assert!(matches!(stage.cache.lookup(&request), Lookup::Miss));
}

#[test]
fn what_must_not_be_shared_is_not_stored_however_it_is_spelt() {
    let forbidden: &[&[(&str, &str)]] = &[
        &[("cache-control", "no-store")],
        &[("cache-control", "No-Store, max-age=60")],
        &[("cache-control", "private, max-age=60")],
        &[("cache-control", "PRIVATE")],
        &[("cache-control", "max-age=60; private")],
        &[("cache-control", "private=\"x-user\", max-age=60")],
        &[
            ("cache-control", "max-age=60"),
            ("cache-control", "private"),
        ],
        &[
            ("cache-control", "public, max-age=60"),
            ("set-cookie", "id=A"),
        ],
        &[
            ("cache-control", "immutable, max-age=60"),
            ("set-cookie", "id=A"),
        ],
    ];
    for headers in forbidden {
        let stage = Stage::new();
        stage.put(PAGE, &PUBLIC, b"before");
        assert_eq!(
            stage.put(PAGE, headers, b"A's"),
            Stored::Refused(Refusal::Forbidden),
            "{headers:?}"
        );
        // What was public before is not served any more, either.
        assert!(!stage.has(PAGE), "{headers:?}");
    }
}

#[test]
fn a_request_that_wants_nothing_stored_leaves_nothing() {
    let stage = Stage::new();
    let request = asked(Method::GET, PAGE, &[("cache-control", "no-store")]);
    assert_eq!(
        stage.put_for(&request, &PUBLIC, b"x"),
        Stored::Refused(Refusal::Forbidden)
    );
    assert_eq!(stage.stats().entries, 0);
}

#[test]
fn who_differs_in_what_an_answer_varies_with_gets_another() {
    let stage = Stage::new();
    let of = |values: &[&str]| {
        let headers: Vec<_> = values
            .iter()
            .map(|value| ("accept-language", *value))
            .collect();
        asked(Method::GET, PAGE, &headers)
    };
    let varies = [
        ("vary", "Accept-Language, x-unused"),
        ("cache-control", "max-age=60"),
    ];
    let kinds: [&[&str]; 5] = [&["de"], &["en"], &["de", "en"], &["de, en"], &[]];
    for kind in kinds {
        assert!(stage.fresh_for(&of(kind)).is_none(), "{kind:?}");
        stage.put_for(&of(kind), &varies, format!("{kind:?}").as_bytes());
    }
    for kind in kinds {
        let answer = stage.fresh_for(&of(kind)).unwrap();
        assert_eq!(&answer.body[..], format!("{kind:?}").as_bytes());
    }
    assert!(stage.fresh_for(&of(&["fr"])).is_none());
}

#[test]
fn a_server_that_varies_otherwise_than_before_makes_its_old_answers_void() {
    let stage = Stage::new();
    stage.put(PAGE, &[], b"for all");
    let german = asked(Method::GET, PAGE, &[("accept-language", "de")]);
    stage.put_for(&german, &[("vary", "accept-language")], b"deutsch");
    assert!(stage.fresh(PAGE).is_none());
    assert_eq!(&stage.fresh_for(&german).unwrap().body[..], b"deutsch");
}

#[test]
fn what_varies_with_everything_is_not_stored() {
    for vary in ["*", "accept, *", "b\u{e4}d", "not a name"] {
        let stage = Stage::new();
        assert_eq!(
            stage.put(PAGE, &[("vary", vary)], b"x"),
            Stored::Refused(Refusal::Varies),
            "{vary}"
        );
    }
}

#[test]
fn variants_of_one_address_are_bounded() {
    let stage = Stage::new();
    for number in 0..20 {
        stage.clock.advance(std::time::Duration::from_secs(1));
        let request = asked(Method::GET, PAGE, &[("x-kind", &number.to_string())]);
        stage.put_for(
            &request,
            &[("vary", "x-kind")],
            number.to_string().as_bytes(),
        );
    }
    assert_eq!(stage.stats().entries, 16);
    let last = asked(Method::GET, PAGE, &[("x-kind", "19")]);
    assert_eq!(&stage.fresh_for(&last).unwrap().body[..], b"19");
}

#[test]
fn no_secret_reaches_the_disk() {
    let stage = Stage::new();
    let secrets = [
        ("authorization", "Bearer SECRET-1"),
        ("cookie", "SECRET-2"),
        ("proxy-authorization", "SECRET-3"),
        ("x-kind", "SECRET-4"),
    ];
    for header in secrets {
        let request = asked(Method::GET, PAGE, &[header]);
        let varies = [
            ("vary", "x-kind, authorization, proxy-authorization"),
            ("cache-control", "public"),
        ];
        stage.put_for(&request, &varies, header.0.as_bytes());
        stage.put_for(&request, &[("set-cookie", "SECRET-5")], b"x");
    }
    for path in files(&stage.folder()) {
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(6).any(|window| window == b"SECRET");
        assert!(!found, "{}", path.display());
    }
    assert!(stage.stats().stored >= 2);
}

#[test]
fn no_line_of_the_log_shows_what_may_be_secret_in_an_address() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let write = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || Lines(Arc::clone(&write)))
        .finish();
    // With a single subscriber, whoever comes first on a thread without one would switch a line off for all.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    tracing::subscriber::with_default(subscriber, || {
        let stage = Stage::new();
        let url = "https://example.org/s3cr3t?s3cr3t";
        stage.put(url, &[], b"x");
        std::fs::write(stage.body_file(), "y").unwrap();
        assert!(!stage.has(url));
    });
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("damaged") && log.contains("example.org"),
        "{log}"
    );
    assert!(!log.contains("s3cr3t"), "{log}");
}

/// Everything that was logged.
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_on_the_machine_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    stage.put(PAGE, &PUBLIC, b"x");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&stage.folder().join("bodies")), 0);
    for path in files(&stage.folder()) {
        assert_eq!(mode(&path), 0, "{}", path.display());
    }
}

#[test]
fn a_request_that_goes_to_another_server_is_not_the_address_s() {
    let stage = Stage::new();
    let request = |host| asked(Method::GET, PAGE, &[("host", host)]);
    assert_eq!(
        stage.put_for(&request("evil.example"), &PUBLIC, b"x"),
        Stored::Refused(Refusal::Address)
    );
    assert!(matches!(
        stage.cache.lookup(&request("evil.example")),
        Lookup::Miss
    ));
    assert_eq!(
        stage.put_for(&request("Example.org:443"), &PUBLIC, b"x"),
        Stored::Kept { evicted: 0 }
    );
    assert!(stage.fresh_for(&get(PAGE)).is_some());
}

#[test]
fn answers_to_other_methods_and_parts_of_answers_are_not_stored() {
    let stage = Stage::new();
    for method in [Method::POST, Method::PUT, Method::HEAD, Method::OPTIONS] {
        let request = asked(method.clone(), PAGE, &[]);
        assert_eq!(
            stage.put_for(&request, &PUBLIC, b"x"),
            Stored::Refused(Refusal::Method),
            "{method}"
        );
    }
    let part = said(
        206,
        &[
            ("cache-control", "max-age=60"),
            ("content-range", "bytes 0-0/9"),
        ],
    );
    assert_eq!(
        stage.cache.store(&get(PAGE), &part, b"x").unwrap(),
        Stored::Refused(Refusal::Status)
    );
    let cut = stage.put(PAGE, &[("content-length", "9")], b"x");
    assert_eq!(cut, Stored::Refused(Refusal::Incomplete));
    assert_eq!(stage.stats().entries, 0);
    // Nor is a request for a part answered with the whole.
    stage.put(PAGE, &PUBLIC, b"whole");
    for header in [("range", "bytes=0-1"), ("if-none-match", "\"1\"")] {
        let request = asked(Method::GET, PAGE, &[header]);
        assert!(matches!(stage.cache.lookup(&request), Lookup::Miss));
    }
}

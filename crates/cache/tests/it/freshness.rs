//! What is fresh, and for how long.

use crate::stage::{PAGE, Stage, asked, get, said};
use http::Method;
use mainstay_cache::{CacheSettings, ErrorKind, Lookup, Refusal, Rule, Stored};
use std::time::Duration;

const DAY: u64 = 24 * 3_600;

/// For how many seconds an answer is fresh, as tried out at `seconds` and one before.
fn is_fresh_for(settings: CacheSettings, headers: &[(&str, &str)], seconds: u64) {
    let stage = Stage::with(settings);
    stage.put(PAGE, headers, b"x");
    if seconds > 0 {
        stage.wait(seconds - 1);
        let answer = stage.fresh(PAGE);
        let answer =
            answer.unwrap_or_else(|| panic!("not fresh after {}: {headers:?}", seconds - 1));
        assert!(!answer.is_stale && !answer.is_offline);
        stage.wait(1);
    }
    assert!(
        stage.fresh(PAGE).is_none(),
        "fresh after {seconds}: {headers:?}"
    );
    assert!(stage.stale(PAGE).is_some());
}

#[test]
fn an_answer_is_fresh_as_long_as_it_says() {
    let cases: &[(&[(&str, &str)], u64)] = &[
        (&[("cache-control", "max-age=60")], 60),
        (&[("cache-control", "Max-Age=\"60\"")], 60),
        (&[("cache-control", "max-age=60, s-maxage=30")], 30),
        (&[("cache-control", "max-age=60"), ("age", "20")], 40),
        // By its date it was on the way for 25 s, whatever was counted there.
        (
            &[
                ("cache-control", "max-age=60"),
                ("date", "Tue, 31 Dec 2019 23:59:35 GMT"),
            ],
            35,
        ),
        (
            &[
                ("cache-control", "max-age=60"),
                ("date", "Tue, 31 Dec 2019 23:59:35 GMT"),
                ("age", "20"),
            ],
            35,
        ),
        (
            &[
                ("cache-control", "max-age=60"),
                ("date", "Tue, 31 Dec 2019 23:59:35 GMT"),
                ("age", "30"),
            ],
            30,
        ),
        (
            &[
                ("cache-control", "max-age=60"),
                ("date", "Wed, 01 Jan 2020 00:00:20 GMT"),
            ],
            60,
        ),
        (&[("cache-control", "max-age=60"), ("date", "soon")], 60),
        (
            &[
                ("cache-control", "max-age=60"),
                ("age", "18446744073709551615"),
            ],
            0,
        ),
        // That it never changes says nothing about how long it may be served without being asked for again.
        (&[("cache-control", "max-age=1, immutable")], 1),
        (
            &[
                ("cache-control", "immutable"),
                ("date", "Wed, 01 Jan 2020 00:00:00 GMT"),
                ("expires", "Tue, 31 Dec 2019 23:00:00 GMT"),
            ],
            0,
        ),
        (
            &[
                ("cache-control", "immutable"),
                ("last-modified", "Tue, 31 Dec 2019 23:00:00 GMT"),
            ],
            360,
        ),
        (&[("cache-control", "max-age=0")], 0),
        (&[("cache-control", "max-age=soon")], 0),
        (&[("cache-control", "max-age=60, max-age=10")], 10),
        (&[("cache-control", "no-cache"), ("etag", "\"1\"")], 0),
        (&[("pragma", "no-cache"), ("etag", "\"1\"")], 0),
        (
            &[
                ("date", "Wed, 01 Jan 2020 00:00:00 GMT"),
                ("expires", "Wed, 01 Jan 2020 00:01:30 GMT"),
            ],
            90,
        ),
        (&[("expires", "0")], 0),
        (&[("cache-control", "max-age=60"), ("expires", "0")], 60),
        (
            &[("cache-control", "max-age=99999999999999999999")],
            1 << 31,
        ),
    ];
    for (headers, seconds) in cases {
        is_fresh_for(CacheSettings::default(), headers, *seconds);
    }
}

#[test]
fn an_answer_that_says_nothing_is_fresh_for_seven_days_and_zero_is_zero() {
    is_fresh_for(CacheSettings::default(), &[], 7 * DAY);
    is_fresh_for(
        CacheSettings::default(),
        &[("cache-control", "public")],
        7 * DAY,
    );
    let zero = CacheSettings {
        default_ttl: Duration::ZERO,
        ..CacheSettings::default()
    };
    is_fresh_for(zero, &[("etag", "\"1\"")], 0);
}

#[test]
fn an_answer_that_says_when_it_last_changed_is_fresh_for_a_tenth_of_that_and_never_longer_than_the_usual()
 {
    let hour_ago = [("last-modified", "Tue, 31 Dec 2019 23:00:00 GMT")];
    is_fresh_for(CacheSettings::default(), &hour_ago, 360);
    let years_ago = [("last-modified", "Sun, 01 Jan 2012 00:00:00 GMT")];
    is_fresh_for(CacheSettings::default(), &years_ago, 7 * DAY);
}

fn rules(rules: &[(&str, Option<u64>, bool)]) -> CacheSettings {
    let rules = rules.iter().map(|(pattern, ttl, never)| Rule {
        pattern: (*pattern).to_owned(),
        ttl: ttl.map(Duration::from_secs),
        never: *never,
    });
    CacheSettings {
        rules: rules.collect(),
        ..CacheSettings::default()
    }
}

#[test]
fn a_rule_decides_for_a_host_or_an_address_and_the_first_that_fits_counts() {
    let of = || {
        rules(&[
            ("https://example.org/pa*", Some(5), false),
            ("EXAMPLE.*", Some(10), false),
            ("*", Some(15), false),
        ])
    };
    is_fresh_for(of(), &[("cache-control", "max-age=60")], 5);
    is_fresh_for(of(), &[("expires", "0")], 5);
    is_fresh_for(
        rules(&[("*.org", Some(0), false)]),
        &[("cache-control", "max-age=60")],
        0,
    );
    // What has to be asked for again each time stays so.
    is_fresh_for(of(), &[("cache-control", "no-cache"), ("etag", "\"1\"")], 0);
    is_fresh_for(
        rules(&[("other.org", Some(5), false)]),
        &[("cache-control", "max-age=60")],
        60,
    );
    for (url, seconds) in [
        ("https://example.org/other", 10),
        ("https://elsewhere.net/", 15),
    ] {
        let stage = Stage::with(of());
        stage.put(url, &[], b"x");
        stage.wait(seconds - 1);
        assert!(stage.fresh(url).is_some());
        stage.wait(1);
        assert!(stage.fresh(url).is_none());
    }
}

#[test]
fn a_rule_fits_however_scheme_host_and_port_are_written() {
    for pattern in [
        "HTTPS://Example.ORG/pa*",
        "https://example.org:443/page",
        "https://*.ORG:443/*",
        "https://example.org:443*",
        "*://EXAMPLE.org/page",
    ] {
        is_fresh_for(
            rules(&[(pattern, Some(5), false)]),
            &[("cache-control", "max-age=60")],
            5,
        );
    }
    // Another port, and another path, are others.
    for pattern in ["https://example.org:80/page", "https://example.org/PAGE"] {
        is_fresh_for(
            rules(&[(pattern, Some(5), false)]),
            &[("cache-control", "max-age=60")],
            60,
        );
    }
    let stage = Stage::with(rules(&[("http://Example.org:80", None, true)]));
    assert_eq!(
        stage.put("http://example.org/", &[], b"x"),
        Stored::Refused(Refusal::Rule)
    );
}

#[test]
fn a_rule_holds_for_what_is_stored_already() {
    let stage = Stage::new();
    stage.put(PAGE, &[], b"x");
    let stage = stage.reopened(rules(&[("example.org", None, true)]), |_| {});
    assert!(!stage.has(PAGE));
    assert!(stage.cache.offline(&get(PAGE)).is_none());
    assert_eq!(stage.put(PAGE, &[], b"x"), Stored::Refused(Refusal::Rule));
    let stage = stage.reopened(rules(&[("example.org", Some(0), false)]), |_| {});
    stage.put(PAGE, &[], b"x");
    let stage = stage.reopened(rules(&[("example.org", Some(60), false)]), |_| {});
    assert!(stage.fresh(PAGE).is_some());
}

#[test]
fn rules_that_cannot_work_are_refused_by_name() {
    for pattern in ["", "a[", &"x".repeat(2_000), "example.org:80"] {
        let folder = tempfile::tempdir().unwrap();
        let settings = rules(&[(pattern, None, true)]);
        let opened = mainstay_cache::Cache::open(folder.path(), settings, mainstay_clock::system());
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

fn of(pattern: &str) -> Rule {
    Rule {
        pattern: pattern.to_owned(),
        ttl: None,
        never: true,
    }
}

/// `[::1]` was a colon or a one, which no host is: the rule was taken, and never counted.
#[test]
fn a_rule_for_an_address_of_ipv6_counts_however_it_is_written() {
    for (pattern, kept) in [
        ("[::1]", false),
        ("::1", false),
        ("[0:0:0:0:0:0:0:1]", false),
        ("http://[::1]:8080/*", false),
        ("HTTP://[0::1]:8080*", false),
        ("http://[::1]*", false),
        ("[::*]", false),
        ("[::2]", true),
        ("http://[::1]/*", true),
        ("http://[::1]", true),
        ("[fe80::1]", true),
    ] {
        let stage = Stage::with(rules(&[(pattern, None, true)]));
        let stored = stage.put("http://[::1]:8080/list", &[], b"x");
        assert_eq!(stored != Stored::Refused(Refusal::Rule), kept, "{pattern}");
    }
    let stage = Stage::with(rules(&[("http://[::1]", None, true)]));
    let stored = stage.put("http://[::1]:80/", &[], b"x");
    assert_eq!(stored, Stored::Refused(Refusal::Rule), "the place alone");
    assert!(of("[::1]:8080").check().is_err(), "a host has no port");
    assert!(of("[ab]").check().is_ok(), "and a class is one");
}

/// A rule that nothing fits looks as if it were obeyed.
#[test]
fn a_pattern_that_nothing_can_fit_is_refused_and_no_other_is() {
    for pattern in [
        "localhost:8099",
        "localhost:*",
        "example.org/api/*",
        "*/api/*",
        "exa mple.org",
        "user@example.org",
        "bücher.example",
        "ftp://example.org/*",
        "://example.org/",
        "https:///api/*",
        "https://*.example.org",
        "https://user@example.org/*",
        "https://example.org/page#part",
        "https://example.org/a b",
        "https://example.org/ü",
        "https://example.org:99999/",
    ] {
        let refused = of(pattern).check().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        let said = refused.to_string();
        assert!(
            said.contains(&format!("`{pattern}` fits no")) && said.contains("https://example.org/"),
            "{said}"
        );
    }
    for pattern in [
        "*",
        "example.org",
        "EXAMPLE.org",
        "*.example.org",
        "127.0.0.?",
        "*::1*",
        "\\[::1\\]",
        "{a,b}.example.org",
        "http://localhost:8099/*",
        "http://localhost:*",
        "https://*",
        "*://*.example.org:443/*",
        "http*://example.org/tracks?artist=*&title=*",
        "https://example.org:443",
        "{http,https}://example.org/*",
        "https://example.org/%C3%BC",
    ] {
        assert!(of(pattern).check().is_ok(), "{pattern}");
    }
}

#[test]
fn a_rule_that_stands_behind_one_that_fits_all_of_it_never_counts() {
    for (first, later) in [
        ("example.org", "EXAMPLE.ORG"),
        ("*", "example.org"),
        ("*", "https://*/api/*"),
        ("*.example.org", "api.example.org"),
        ("*.example.org", "*.api.example.org"),
        ("*.org", "https://example.org:8443/api/*"),
        ("https://*", "https://example.org/?*"),
        (
            "https://example.org/api/*",
            "HTTPS://example.org:443/api/v1/*",
        ),
        ("a[bc].org", "a[bc].org"),
    ] {
        assert!(of(first).covers(&of(later)), "{first} {later}");
    }
    for (first, later) in [
        ("api.example.org", "*.example.org"),
        ("https://example.org/*", "example.org"),
        ("http://example.org/*", "https://example.org/*"),
        ("*.example.org", "https://*.example.org/api/*"),
        ("example.org", "*://example.org/api/*"),
        ("a?c.org", "a*c.org"),
        ("*", "["),
        ("example.org", "other.org"),
    ] {
        assert!(!of(first).covers(&of(later)), "{first} {later}");
    }
}

#[test]
fn who_asks_for_news_gets_none_from_the_cache() {
    let stage = Stage::new();
    stage.put(PAGE, &[("cache-control", "max-age=60")], b"x");
    stage.wait(30);
    let wants = |name: &str, value: &str| {
        let request = asked(Method::GET, PAGE, &[(name, value)]);
        stage.fresh_for(&request).is_some()
    };
    assert!(!wants("cache-control", "no-cache"));
    assert!(!wants("Pragma", "No-Cache"));
    assert!(!wants("cache-control", "max-age=29"));
    assert!(wants("cache-control", "max-age=30"));
    assert!(!wants("cache-control", "min-fresh=31"));
    assert!(wants("cache-control", "min-fresh=30"));
    // What cannot be read may have asked for more than there is.
    for unreadable in ["min-fresh", "min-fresh=soon", "min-fresh=1, min-fresh=31"] {
        assert!(!wants("cache-control", unreadable), "{unreadable}");
    }
}

#[test]
fn an_answer_tells_its_age_and_its_headers_as_they_came() {
    let stage = Stage::new();
    let date = "Wed, 01 Jan 2020 00:00:00 GMT";
    let headers = [
        ("link", "<a>"),
        ("link", "<b>"),
        ("date", date),
        ("age", "5"),
        ("connection", "close"),
        ("content-length", "4"),
    ];
    stage.put(PAGE, &headers, b"body");
    stage.wait(30);
    let answer = stage.fresh(PAGE).unwrap();
    assert_eq!(answer.age, Duration::from_secs(35));
    assert_eq!(answer.headers["age"], "35");
    assert_eq!(answer.headers["date"], date);
    let links: Vec<_> = answer.headers.get_all("link").iter().collect();
    assert_eq!(links, ["<a>", "<b>"]);
    assert!(!answer.headers.contains_key("connection"));
    // To HEAD the same, without the body.
    let head = stage.fresh_for(&asked(Method::HEAD, PAGE, &[])).unwrap();
    assert_eq!((head.headers, head.body.len()), (answer.headers, 0));
}

#[test]
fn what_is_missing_or_moved_is_stored_only_as_the_server_wants() {
    let stored = |status, headers: &[(&str, &str)]| {
        let stage = Stage::new();
        let stored = stage
            .cache
            .store(&get(PAGE), &said(status, headers), b"")
            .unwrap();
        matches!(stored, Stored::Kept { .. })
    };
    let lives = [("cache-control", "max-age=60")];
    for status in [200, 203, 301, 308] {
        assert!(stored(status, &[]), "{status}");
    }
    for status in [404, 410] {
        assert!(!stored(status, &[]) && stored(status, &lives), "{status}");
    }
    for status in [206, 300, 302, 304, 401, 403, 500, 503] {
        assert!(!stored(status, &lives), "{status}");
    }
}

#[test]
fn what_would_have_to_be_asked_for_each_time_and_cannot_be_compared_is_not_stored() {
    let stage = Stage::new();
    let stored = stage.put(PAGE, &[("cache-control", "no-cache")], b"x");
    assert_eq!(stored, Stored::Refused(Refusal::Useless));
}

#[test]
fn a_date_that_jumps_back_makes_nothing_fresher() {
    let stage = Stage::new();
    let start = mainstay_clock::Clock::wall(&stage.clock);
    stage.clock.set_wall(start + 10 * DAY * 1_000);
    stage.put(
        PAGE,
        &[("cache-control", "max-age=60"), ("etag", "\"1\"")],
        b"x",
    );
    stage.clock.set_wall(start);
    let Lookup::Stale(stale) = stage.cache.lookup(&get(PAGE)) else {
        panic!("nobody knows how old it is");
    };
    assert!(!stale.may_serve_while_revalidating);
    assert!(stage.cache.stale_on_error(&get(PAGE)).is_none());
    for far in [0, u64::MAX] {
        stage.clock.set_wall(far);
        assert!(stage.fresh(PAGE).is_none());
        stage.put("https://example.org/far", &[], b"x");
        stage.cache.prune().unwrap();
    }
}

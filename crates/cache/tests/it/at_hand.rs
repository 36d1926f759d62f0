//! What is at hand in memory: the same answers as from the disk, at once, and for no longer than they hold.

use crate::stage::{PAGE, Stage, asked, get, said};
use http::{HeaderValue, Method, request};
use mainstay_cache::{Answer, Cache, CacheSettings};
use std::sync::Arc;
use std::time::Duration;

const OTHER: &str = "https://example.org/other";

/// So long what others did may be missed.
const BELIEVED: Duration = Duration::from_millis(100);

const AN_HOUR: &[(&str, &str)] = &[("cache-control", "max-age=3600")];

fn at_hand(stage: &Stage, request: &request::Parts) -> Option<Answer> {
    stage.cache.at_hand(request)
}

/// Stored, looked at, and so at hand.
fn full() -> Stage {
    let stage = Stage::new();
    for url in [PAGE, OTHER] {
        stage.put(url, AN_HOUR, url.as_bytes());
        assert!(
            at_hand(&stage, &get(url)).is_none(),
            "it was not served yet"
        );
        stage.fresh(url).unwrap();
        assert!(at_hand(&stage, &get(url)).is_some());
    }
    stage
}

#[test]
fn what_was_served_is_at_hand_as_it_was_with_its_age_and_is_counted() {
    let stage = Stage::new();
    stage.put(
        PAGE,
        &[("cache-control", "max-age=60"), ("x-kind", "a")],
        b"body",
    );
    stage.wait(7);
    let served = stage.fresh(PAGE).unwrap();
    let again = at_hand(&stage, &get(PAGE)).unwrap();
    assert_eq!(
        (again.status, &again.body, again.age),
        (served.status, &served.body, served.age)
    );
    assert_eq!(again.headers, served.headers);
    assert_eq!(again.headers["age"], "7");
    assert!(!again.is_stale && !again.is_offline);
    let head = asked(Method::HEAD, PAGE, &[]);
    assert!(at_hand(&stage, &head).unwrap().body.is_empty());
    let stats = stage.stats();
    assert_eq!((stats.hits, stats.misses, stats.bytes_saved), (3, 0, 8));
}

#[test]
fn what_may_not_be_served_from_the_disk_is_not_at_hand_either() {
    let stage = full();
    let mut secret = get(PAGE);
    secret
        .headers
        .insert("authorization", HeaderValue::from_static("Bearer x"));
    assert!(at_hand(&stage, &secret).is_none());
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("cache-control", "no-store"),
        ("range", "bytes=0-1"),
    ] {
        let request = asked(Method::GET, PAGE, &[(name, value)]);
        assert!(at_hand(&stage, &request).is_none(), "{name}: {value}");
    }
    assert!(at_hand(&stage, &asked(Method::POST, PAGE, &[])).is_none());

    let german = asked(Method::GET, PAGE, &[("accept-language", "de")]);
    let varies = [AN_HOUR, &[("vary", "accept-language")]].concat();
    stage.put_for(&german, &varies, b"deutsch");
    stage.fresh_for(&german).unwrap();
    assert!(at_hand(&stage, &german).is_some());
    assert!(at_hand(&stage, &get(PAGE)).is_none());

    // Its time is over.
    let brief = "https://example.org/brief";
    stage.put(brief, &[("cache-control", "max-age=1")], b"brief");
    stage.fresh(brief).unwrap();
    stage
        .clock
        .set_wall(mainstay_clock::Clock::wall(&stage.clock) + 1_000);
    assert!(at_hand(&stage, &get(brief)).is_none());
}

#[test]
fn what_this_process_removed_or_stored_anew_is_not_at_hand_from_then_on() {
    type Change = fn(&Cache);
    let changes: [(&str, Change); 8] = [
        ("an address", |cache| {
            drop(cache.invalidate_url(&PAGE.parse().unwrap()));
        }),
        ("a host", |cache| drop(cache.invalidate_host("example.org"))),
        ("a pattern", |cache| {
            drop(cache.invalidate_glob("https://example.org/*"));
        }),
        ("an age", |cache| drop(cache.older_than(Duration::ZERO))),
        ("all", |cache| drop(cache.clear())),
        ("to nothing", |cache| drop(cache.prune_to(0))),
        ("a request that changed it", |cache| {
            let (request, response) = (asked(Method::PUT, PAGE, &[]), said(200, &[]));
            cache.store(&request, &response, b"").unwrap();
        }),
        ("an answer that may not be kept", |cache| {
            let response = said(200, &[("cache-control", "no-store")]);
            cache.store(&get(PAGE), &response, b"new").unwrap();
        }),
    ];
    for (what, change) in changes {
        let stage = full();
        change(&stage.cache);
        assert!(at_hand(&stage, &get(PAGE)).is_none(), "{what}");
        assert!(!stage.has(PAGE), "{what}");
    }
    let stage = full();
    stage.put(PAGE, AN_HOUR, b"new");
    assert!(at_hand(&stage, &get(PAGE)).is_none());
    assert!(at_hand(&stage, &get(OTHER)).is_some(), "it is another one");
    stage.fresh(PAGE).unwrap();
    assert_eq!(&at_hand(&stage, &get(PAGE)).unwrap().body[..], b"new");
}

#[test]
fn what_another_process_removed_is_at_hand_for_a_tenth_of_a_second_at_most() {
    let stage = full();
    // A second cache on the folder is to the first one what another process is.
    let other = Cache::open(
        &stage.folder(),
        CacheSettings::default(),
        Arc::new(stage.clock.clone()),
    );
    let other = other.unwrap();
    stage.clock.advance(BELIEVED);
    assert!(
        at_hand(&stage, &get(PAGE)).is_none(),
        "nobody has asked since"
    );
    stage.fresh(PAGE).unwrap();
    stage.fresh(OTHER).unwrap();
    assert!(at_hand(&stage, &get(OTHER)).is_some());

    other.invalidate_url(&PAGE.parse().unwrap()).unwrap();
    stage.clock.advance(BELIEVED);
    assert!(at_hand(&stage, &get(PAGE)).is_none());
    // Whoever looks at anything finds that somebody else changed something.
    stage.fresh(OTHER).unwrap();
    assert!(at_hand(&stage, &get(PAGE)).is_none());
    assert!(at_hand(&stage, &get(OTHER)).is_some());
    assert!(!stage.has(PAGE));

    // Hits of our own that are written down, and stores, are known here: what is not of them stays.
    stage.put(PAGE, AN_HOUR, b"again");
    stage.fresh(PAGE).unwrap();
    for number in 0..150 {
        stage.fresh(OTHER).unwrap();
        stage.put(&format!("{PAGE}/{number}"), AN_HOUR, b"x");
        assert!(at_hand(&stage, &get(PAGE)).is_some(), "{number}");
        stage.clock.advance(BELIEVED);
    }
}

#[test]
fn an_index_that_was_removed_takes_with_it_what_was_at_hand() {
    let stage = full();
    std::fs::remove_file(stage.folder().join("index.sqlite")).unwrap();
    stage.clock.advance(BELIEVED);
    assert!(!stage.has(OTHER));
    assert!(at_hand(&stage, &get(PAGE)).is_none());
    stage.put(PAGE, AN_HOUR, b"new");
    stage.fresh(PAGE).unwrap();
    assert_eq!(&at_hand(&stage, &get(PAGE)).unwrap().body[..], b"new");
}

/// What the index does not have any more, nobody is told of when another process makes it void.
#[test]
fn what_was_evicted_is_not_at_hand_either() {
    let stage = Stage::with(CacheSettings {
        limit_bytes: 10_000,
        ..CacheSettings::default()
    });
    stage.put(PAGE, AN_HOUR, &[b'x'; 4_000]);
    stage.fresh(PAGE).unwrap();
    stage.put(OTHER, AN_HOUR, &[b'y'; 4_000]);
    assert!(
        at_hand(&stage, &get(PAGE)).is_some(),
        "there is room for both"
    );
    stage.fresh(OTHER).unwrap();
    stage.put("https://example.org/third", AN_HOUR, &[b'z'; 4_000]);
    assert!(at_hand(&stage, &get(PAGE)).is_none());
    assert!(!stage.has(PAGE));
}

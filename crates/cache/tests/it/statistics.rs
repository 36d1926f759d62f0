//! What is counted is what happened.

use crate::stage::{PAGE, Stage, asked, body, get, said};
use http::Method;
use mainstay_cache::{CacheSettings, CacheStats, Refusal, Stored};
use mainstay_clock::Clock;

#[test]
fn every_kind_of_lookup_is_counted_once() {
    let stage = Stage::new();
    let start = stage.clock.wall();
    assert!(!stage.has(PAGE));
    stage.put(
        PAGE,
        &[
            ("cache-control", "max-age=10, stale-while-revalidate=60"),
            ("etag", "\"1\""),
        ],
        b"12345",
    );
    for _ in 0..3 {
        stage.fresh(PAGE).unwrap();
    }
    stage.wait(20);
    let stale = stage.stale(PAGE).unwrap();
    stage.cache.stale_on_error(&get(PAGE)).unwrap();
    stage.cache.offline(&get(PAGE)).unwrap();
    stage
        .cache
        .revalidated(&get(PAGE), &stale.answer, &said(304, &[]))
        .unwrap();
    // What the cache keeps out of is neither found nor missed.
    stage
        .cache
        .lookup(&asked(Method::GET, PAGE, &[("authorization", "A's")]));
    stage.cache.lookup(&asked(Method::POST, PAGE, &[]));
    let stats = stage.stats();
    assert!(stats.enabled);
    assert_eq!((stats.hits, stats.misses, stats.expired), (3, 1, 1));
    assert_eq!(
        (stats.stale_served, stats.revalidated, stats.stored),
        (3, 1, 1)
    );
    assert_eq!(stats.bytes_saved, 7 * 5);
    assert_eq!((stats.entries, stats.limit_bytes), (1, 100 * 1024 * 1024));
    assert_eq!(
        (stats.oldest, stats.newest),
        (Some(start + 20_000), Some(start + 20_000))
    );
    assert_eq!(stats.last_prune, None);
    stage.wait(5);
    stage.put("https://example.org/other", &[], b"x");
    stage.cache.prune().unwrap();
    let stats = stage.stats();
    assert_eq!(stats.last_prune, Some(start + 25_000));
    assert_eq!(
        (stats.oldest, stats.newest),
        (Some(start + 20_000), Some(start + 25_000))
    );
}

#[test]
fn counts_survive_the_process_and_what_was_used_last_does_too() {
    let limit = CacheSettings {
        entries_max: 3,
        ..CacheSettings::default()
    };
    let stage = Stage::with(limit.clone());
    let url = |number| format!("https://example.org/{number}");
    for number in 0..3 {
        stage.put(&url(number), &[], &body(number, 10));
    }
    stage.fresh(&url(0)).unwrap();
    let stage = stage.reopened(limit, |_| {});
    let stats = stage.stats();
    assert_eq!((stats.hits, stats.stored, stats.evictions), (1, 3, 0));
    stage.put(&url(3), &[], b"x");
    assert!(stage.has(&url(0)) && !stage.has(&url(1)));
    assert_eq!(stage.stats().evictions, 1);
}

#[test]
fn hits_are_written_down_by_the_hundred() {
    let stage = Stage::new();
    stage.put(PAGE, &[], b"x");
    let reader = mainstay_cache::Cache::open(
        &stage.folder(),
        CacheSettings::default(),
        std::sync::Arc::new(stage.clock.clone()),
    )
    .unwrap();
    for _ in 0..99 {
        stage.fresh(PAGE).unwrap();
    }
    assert_eq!(reader.stats().unwrap().hits, 0);
    stage.fresh(PAGE).unwrap();
    assert_eq!(reader.stats().unwrap().hits, 100);
}

#[test]
fn a_cache_that_is_switched_off_does_nothing_and_says_so() {
    let off = || CacheSettings {
        enabled: false,
        ..CacheSettings::default()
    };
    let stage = Stage::with(off());
    assert_eq!(
        stage.put(PAGE, &[], b"x"),
        Stored::Refused(Refusal::Disabled)
    );
    assert!(!stage.has(PAGE));
    assert_eq!(stage.cache.clear().unwrap(), 0);
    assert_eq!(
        stage.cache.prune().unwrap(),
        mainstay_cache::Pruned::default()
    );
    assert_eq!(stage.stats(), CacheStats::default());
    assert!(!stage.folder().exists());
    // What was stored while it was on is neither served nor kept from being removed.
    let stage = stage.reopened(CacheSettings::default(), |_| {});
    stage.put(PAGE, &[], b"x");
    let stage = stage.reopened(off(), |_| {});
    assert!(!stage.has(PAGE));
    assert!(stage.cache.offline(&get(PAGE)).is_none());
    assert_eq!(stage.stats(), CacheStats::default());
    assert_eq!(stage.cache.clear().unwrap(), 1);
}

#[test]
fn statistics_are_told_as_json() {
    let json = serde_json::to_value(Stage::new().stats()).unwrap();
    let fields = json.as_object().unwrap();
    for name in [
        "enabled",
        "entries",
        "bytes",
        "limit_bytes",
        "usage_percent",
        "disk_bytes",
        "hits",
        "misses",
        "stale_served",
        "revalidated",
        "evictions",
        "bytes_saved",
        "oldest",
        "newest",
        "last_prune",
    ] {
        assert!(fields.contains_key(name), "{name}");
    }
}

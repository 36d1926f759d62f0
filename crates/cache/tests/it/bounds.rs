//! All that is stored counts no more than the limit, and what goes first is what is missed least.

use crate::stage::{Stage, body, disk_bytes, files};
use mainstay_cache::{CacheSettings, Refusal, Stored};

const KEPT: Stored = Stored::Kept { evicted: 0 };

fn url(number: usize) -> String {
    format!("https://example.org/{number:04}")
}

/// What one entry of [`put`] counts: the body, the headers as they are kept, and the address.
fn cost(len: usize) -> u64 {
    (len + "cache-control:max-age=60\n".len() + url(0).len()) as u64
}

fn put(stage: &Stage, number: usize, len: usize) -> Stored {
    let headers = [("cache-control", "max-age=60")];
    stage.put(&url(number), &headers, &body(number, len))
}

fn limited(limit_bytes: u64) -> Stage {
    Stage::with(CacheSettings {
        limit_bytes,
        ..CacheSettings::default()
    })
}

#[test]
fn what_fits_to_the_byte_stays_and_one_byte_more_costs_one_answer() {
    let stage = limited(10 * cost(1_000));
    for number in 0..10 {
        assert_eq!(put(&stage, number, 1_000), KEPT);
    }
    assert_eq!(stage.stats().bytes, 10 * cost(1_000));
    assert!(stage.stats().usage_percent >= 100.0);
    assert_eq!(stage.cache.prune_to(10 * cost(1_000)).unwrap(), 0);
    assert_eq!(stage.cache.prune_to(10 * cost(1_000) - 1).unwrap(), 1);
    assert_eq!(put(&stage, 10, 1_000), KEPT);
    assert_eq!(put(&stage, 11, 1_001), Stored::Kept { evicted: 2 });
    assert_eq!(stage.stats().bytes, 8 * cost(1_000) + cost(1_001));
    assert_eq!(put(&stage, 12, 999), KEPT);
    assert_eq!(stage.stats().bytes, 10 * cost(1_000));
}

#[test]
fn what_is_over_goes_first_however_recently_it_was_used() {
    let stage = limited(3 * cost(100));
    let keep = |number: usize, age: &str| {
        let headers = [("cache-control", age)];
        stage.put(&url(number), &headers, &body(number, 100))
    };
    keep(0, "max-age=60");
    keep(1, "max-age=05");
    keep(2, "max-age=60");
    stage.wait(10);
    assert!(stage.has(&url(1)));
    assert_eq!(keep(3, "max-age=60"), Stored::Kept { evicted: 1 });
    assert!(!stage.has(&url(1)));
    for kept in [0, 2, 3] {
        assert!(stage.has(&url(kept)), "{kept}");
    }
}

#[test]
fn what_was_used_longest_ago_goes_next_though_no_time_passed() {
    let stage = limited(4 * cost(100));
    for number in 0..4 {
        put(&stage, number, 100);
    }
    // Nothing of this is written down before it is needed.
    for used in [0, 2] {
        assert!(stage.fresh(&url(used)).is_some());
    }
    for number in [4, 5] {
        assert_eq!(put(&stage, number, 100), Stored::Kept { evicted: 1 });
    }
    for (number, stays) in [
        (0, true),
        (1, false),
        (2, true),
        (3, false),
        (4, true),
        (5, true),
    ] {
        assert_eq!(stage.has(&url(number)), stays, "{number}");
    }
}

#[test]
fn what_is_too_large_is_not_stored_and_costs_nobody_else() {
    let stage = Stage::with(CacheSettings {
        limit_bytes: 10 * cost(100),
        entry_max: cost(500),
        ..CacheSettings::default()
    });
    put(&stage, 0, 100);
    assert_eq!(put(&stage, 1, 501), Stored::Refused(Refusal::TooLarge));
    assert_eq!(put(&stage, 1, 500), KEPT);
    assert!(stage.has(&url(0)));
}

#[test]
fn a_limit_of_zero_stores_nothing() {
    for settings in [
        CacheSettings {
            limit_bytes: 0,
            ..CacheSettings::default()
        },
        CacheSettings {
            entry_max: 0,
            ..CacheSettings::default()
        },
        CacheSettings {
            entries_max: 0,
            ..CacheSettings::default()
        },
    ] {
        let stage = Stage::with(settings);
        assert_eq!(put(&stage, 0, 0), Stored::Refused(Refusal::TooLarge));
        assert_eq!(stage.stats().entries, 0);
        assert!(stage.stats().usage_percent.abs() < f64::EPSILON);
    }
}

#[test]
fn the_number_of_answers_has_a_limit_of_its_own() {
    let stage = Stage::with(CacheSettings {
        entries_max: 3,
        ..CacheSettings::default()
    });
    for number in 0..3 {
        assert_eq!(put(&stage, number, 0), KEPT);
    }
    assert_eq!(put(&stage, 3, 0), Stored::Kept { evicted: 1 });
    assert_eq!(stage.stats().entries, 3);
    assert!(!stage.has(&url(0)));
}

#[test]
fn a_newer_answer_takes_the_place_of_the_old_one_and_evicts_nobody() {
    let stage = limited(2 * cost(100));
    put(&stage, 0, 100);
    put(&stage, 1, 100);
    assert_eq!(put(&stage, 0, 100), KEPT);
    assert_eq!(stage.stats().bytes, 2 * cost(100));
    assert_eq!(put(&stage, 0, 90), KEPT);
    assert_eq!(stage.fresh(&url(0)).unwrap().body.len(), 90);
    // The old body is gone from the disk.
    assert_eq!(files(&stage.folder().join("bodies")).len(), 2);
}

#[test]
fn answers_of_one_content_share_a_file_that_goes_with_the_last() {
    let stage = Stage::new();
    for number in 0..3 {
        stage.put(&url(number), &[], b"the same");
    }
    let bodies = stage.folder().join("bodies");
    assert_eq!(files(&bodies).len(), 1);
    for number in 0..3 {
        assert_eq!(files(&bodies).len(), 1);
        assert_eq!(
            stage
                .cache
                .invalidate_url(&url(number).parse().unwrap())
                .unwrap(),
            1
        );
    }
    assert_eq!(files(&bodies).len(), 0);
}

#[test]
fn a_lower_limit_holds_from_when_the_cache_is_opened_with_it() {
    let stage = Stage::new();
    for number in 0..10 {
        put(&stage, number, 1_000);
    }
    let lower = CacheSettings {
        limit_bytes: 4 * cost(1_000),
        ..CacheSettings::default()
    };
    let stage = stage.reopened(lower, |_| {});
    assert_eq!(stage.stats().bytes, 4 * cost(1_000));
    assert!(stage.has(&url(9)) && stage.has(&url(6)) && !stage.has(&url(5)));
}

#[test]
fn room_is_really_given_back() {
    let stage = limited(2_000_000);
    let empty = disk_bytes(&stage.folder());
    for number in 0..1_000 {
        put(&stage, number, 10_000);
    }
    // The index of 200 entries, and a log of 1 MiB at most.
    let full = disk_bytes(&stage.folder());
    assert!((1_900_000..3_400_000).contains(&full), "{full}");
    assert_eq!(full, stage.stats().disk_bytes);
    stage.cache.prune_to(500_000).unwrap();
    stage.cache.prune().unwrap();
    let pruned = disk_bytes(&stage.folder());
    assert!(pruned < 700_000, "{pruned}");
    assert_eq!(stage.cache.clear().unwrap(), 49);
    let cleared = disk_bytes(&stage.folder());
    assert!(cleared <= empty, "{cleared} of {empty}");
    assert_eq!(stage.stats().entries, 0);
}

#[test]
fn an_index_of_many_small_answers_shrinks_with_them() {
    let stage = Stage::new();
    for number in 0..1_000 {
        put(&stage, number, 0);
    }
    let index = || {
        let all = files(&stage.folder()).into_iter();
        let index = all.filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("index.sqlite")
        });
        index
            .map(|path| path.metadata().unwrap().len())
            .sum::<u64>()
    };
    let full = index();
    assert_eq!(stage.cache.invalidate_host("example.org").unwrap(), 1_000);
    assert!(index() < full / 4, "{} of {full}", index());
}

#[test]
fn bodies_that_belong_to_nothing_go_once_they_are_an_hour_old() {
    let stage = Stage::new();
    put(&stage, 0, 100);
    let orphan = stage.folder().join("bodies").join("ab".repeat(32));
    std::fs::write(&orphan, "left by a process that was killed").unwrap();
    assert_eq!(stage.cache.prune().unwrap().orphans, 0);
    let file = std::fs::File::options().write(true).open(&orphan).unwrap();
    let hours_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(2);
    file.set_modified(hours_ago).unwrap();
    assert_eq!(stage.cache.prune().unwrap().orphans, 1);
    assert!(!orphan.exists());
    assert!(stage.has(&url(0)));
}

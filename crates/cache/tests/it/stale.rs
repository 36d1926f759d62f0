//! What is served although its time is over, and that it says so.

use crate::stage::{PAGE, Stage, asked, get};
use http::Method;
use mainstay_cache::{CacheSettings, Lookup};
use std::time::Duration;

fn after(seconds: u64, cache_control: &str, settings: CacheSettings) -> Stage {
    let stage = Stage::with(settings);
    let headers = [("cache-control", cache_control), ("etag", "\"1\"")];
    stage.put(PAGE, &headers, b"old");
    stage.wait(seconds);
    stage
}

#[test]
fn when_the_server_fails_an_answer_is_served_within_the_shorter_of_both_bounds() {
    let served = |seconds, says: &str, settings: CacheSettings| {
        let stage = after(seconds, says, settings);
        let answer = stage.cache.stale_on_error(&get(PAGE));
        assert!(
            answer
                .iter()
                .all(|answer| answer.is_stale && !answer.is_offline)
        );
        answer.is_some()
    };
    let usual = CacheSettings::default;
    let day = 24 * 3_600;
    assert!(served(10 + day, "max-age=10", usual()));
    assert!(!served(11 + day, "max-age=10", usual()));
    assert!(served(15, "max-age=10, stale-if-error=5", usual()));
    assert!(!served(16, "max-age=10, stale-if-error=5", usual()));
    assert!(!served(
        11 + day,
        "max-age=10, stale-if-error=9999999",
        usual()
    ));
    assert!(!served(11, "max-age=10, stale-if-error=0", usual()));
    let never = CacheSettings {
        stale_if_error_max: Duration::ZERO,
        ..usual()
    };
    assert!(!served(11, "max-age=10", never.clone()));
    // Nor at the very moment of its end.
    assert!(!served(10, "max-age=10", never));
    assert!(!served(10, "max-age=10, stale-if-error=0", usual()));
    for forbids in [
        "must-revalidate",
        "proxy-revalidate",
        "no-cache",
        "s-maxage=10",
    ] {
        assert!(
            !served(11, &format!("max-age=10, {forbids}"), usual()),
            "{forbids}"
        );
    }
}

#[test]
fn what_is_fresh_is_no_less_so_because_the_server_fails() {
    let stage = after(5, "max-age=10, must-revalidate", CacheSettings::default());
    let answer = stage.cache.stale_on_error(&get(PAGE)).unwrap();
    assert_eq!((answer.is_stale, answer.age.as_secs()), (false, 5));
}

#[test]
fn who_wants_news_gets_nothing_old_instead() {
    let stage = after(
        11,
        "max-age=10, stale-while-revalidate=60",
        CacheSettings::default(),
    );
    for wants in ["no-cache", "max-age=1", "min-fresh=1"] {
        let request = asked(Method::GET, PAGE, &[("cache-control", wants)]);
        assert!(stage.cache.stale_on_error(&request).is_none(), "{wants}");
        let Lookup::Stale(stale) = stage.cache.lookup(&request) else {
            panic!("it is over");
        };
        assert!(!stale.may_serve_while_revalidating, "{wants}");
    }
}

#[test]
fn while_it_is_asked_for_again_an_answer_is_served_where_the_server_allows_it_and_no_longer_than_a_minute()
 {
    let may = |seconds, says: &str| {
        let stage = after(seconds, says, CacheSettings::default());
        stage.stale(PAGE).unwrap().may_serve_while_revalidating
    };
    assert!(may(15, "max-age=10, stale-while-revalidate=5"));
    assert!(!may(16, "max-age=10, stale-while-revalidate=5"));
    assert!(may(70, "max-age=10, stale-while-revalidate=3600"));
    assert!(!may(71, "max-age=10, stale-while-revalidate=3600"));
    assert!(!may(11, "max-age=10"));
    assert!(!may(10, "max-age=10, stale-while-revalidate=0"));
    assert!(!may(
        11,
        "max-age=10, stale-while-revalidate=60, must-revalidate"
    ));
}

#[test]
fn offline_what_there_is_is_served_however_old_and_says_so() {
    let stage = after(5, "max-age=10", CacheSettings::default());
    let answer = stage.cache.offline(&get(PAGE)).unwrap();
    assert!(answer.is_offline && !answer.is_stale);
    stage.wait(1_000_000);
    let answer = stage.cache.offline(&get(PAGE)).unwrap();
    assert!(answer.is_offline && answer.is_stale);
    assert_eq!(
        (answer.age.as_secs(), &answer.body[..]),
        (1_000_005, &b"old"[..])
    );
    assert!(
        stage
            .cache
            .offline(&get("https://example.org/other"))
            .is_none()
    );
}

#[test]
fn offline_too_what_has_to_be_confirmed_is_not_served_once_it_is_over() {
    for forbids in ["must-revalidate", "no-cache", "s-maxage=10"] {
        let stage = after(
            11,
            &format!("max-age=10, {forbids}"),
            CacheSettings::default(),
        );
        assert!(stage.cache.offline(&get(PAGE)).is_none(), "{forbids}");
    }
}

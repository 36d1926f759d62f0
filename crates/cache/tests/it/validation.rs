//! An answer whose time is over is asked for again, and holds again when the server says so.

use crate::stage::{PAGE, Stage, asked, get, said};
use http::Method;
use mainstay_cache::{CacheSettings, Refusal, Stored};

const TAGGED: [(&str, &str); 3] = [
    ("cache-control", "max-age=10"),
    ("etag", "\"1\""),
    ("last-modified", "Tue, 31 Dec 2019 23:00:00 GMT"),
];

fn over(headers: &[(&str, &str)]) -> Stage {
    let stage = Stage::new();
    stage.put(PAGE, headers, b"body");
    stage.wait(20);
    stage
}

#[test]
fn the_server_is_asked_with_what_the_answer_has_to_compare() {
    let stale = over(&TAGGED).stale(PAGE).unwrap();
    assert!(stale.answer.is_stale);
    assert_eq!(stale.conditions.len(), 2);
    assert_eq!(stale.conditions["if-none-match"], "\"1\"");
    assert_eq!(stale.conditions["if-modified-since"], TAGGED[2].1);
    let plain = over(&[("cache-control", "max-age=10")])
        .stale(PAGE)
        .unwrap();
    assert!(plain.conditions.is_empty());
}

#[test]
fn a_confirmed_answer_holds_again_with_what_the_confirmation_says() {
    let stage = over(&TAGGED);
    let stale = stage.stale(PAGE).unwrap();
    let mut request = get(PAGE);
    request.headers.extend(stale.conditions.clone());
    let confirmation = said(
        304,
        &[
            ("etag", "\"1\""),
            ("cache-control", "max-age=100"),
            ("x-new", "1"),
            ("content-length", "0"),
        ],
    );
    let answer = stage
        .cache
        .revalidated(&request, &stale.answer, &confirmation)
        .unwrap();
    assert_eq!((answer.is_stale, &answer.body[..]), (false, &b"body"[..]));
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["x-new"]),
        (200, &"1".parse().unwrap())
    );
    assert!(!answer.headers.contains_key("content-length"));
    stage.wait(99);
    let answer = stage.fresh(PAGE).unwrap();
    assert_eq!(
        (&answer.headers["x-new"], answer.age.as_secs()),
        (&"1".parse().unwrap(), 99)
    );
    stage.wait(1);
    assert!(stage.fresh(PAGE).is_none());
    let stats = stage.stats();
    assert_eq!((stats.expired, stats.revalidated, stats.entries), (2, 1, 1));
}

#[test]
fn an_answer_that_was_confirmed_is_as_old_as_its_confirmation() {
    let date = ("date", "Wed, 01 Jan 2020 00:00:00 GMT");
    for (confirms, age) in [
        (vec![("etag", "\"1\"")], 0),
        (vec![("date", "Wed, 01 Jan 2020 00:00:15 GMT")], 5),
        (vec![("age", "7")], 7),
    ] {
        let stage = over(&[TAGGED[0], TAGGED[1], date]);
        let stale = stage.stale(PAGE).unwrap().answer;
        let confirmed = stage
            .cache
            .revalidated(&get(PAGE), &stale, &said(304, &confirms))
            .unwrap();
        assert_eq!(confirmed.age.as_secs(), age, "{confirms:?}");
        assert_eq!(stage.fresh(PAGE).unwrap().age.as_secs(), age);
    }
}

#[test]
fn what_confirms_something_else_confirms_nothing() {
    let cases: &[(&[(&str, &str)], bool)] = &[
        (&[("etag", "\"1\"")], true),
        (&[], true),
        (&[("last-modified", TAGGED[2].1)], true),
        (&[("etag", "\"2\"")], false),
        (&[("etag", "W/\"2\"")], false),
        (&[("etag", "W/\"1\"")], true),
        (&[("last-modified", "Wed, 01 Jan 2020 00:00:00 GMT")], false),
    ];
    for (headers, confirms) in cases {
        let stage = over(&TAGGED);
        let stale = stage.stale(PAGE).unwrap().answer;
        let answer = stage
            .cache
            .revalidated(&get(PAGE), &stale, &said(304, headers));
        assert_eq!(answer.is_some(), *confirms, "{headers:?}");
        // What the server does not know any more is not kept.
        assert_eq!(stage.has(PAGE), *confirms, "{headers:?}");
    }
    let stage = over(&TAGGED);
    let stale = stage.stale(PAGE).unwrap().answer;
    assert!(
        stage
            .cache
            .revalidated(&get(PAGE), &stale, &said(200, &[]))
            .is_none()
    );
    // A weak tag is not confirmed by a strong one.
    let stage = over(&[("cache-control", "max-age=10"), ("etag", "W/\"1\"")]);
    let stale = stage.stale(PAGE).unwrap().answer;
    assert!(
        stage
            .cache
            .revalidated(&get(PAGE), &stale, &said(304, &[("etag", "\"1\"")]))
            .is_none()
    );
}

#[test]
fn a_confirmation_that_makes_an_answer_one_caller_s_own_drops_it() {
    for header in [
        ("set-cookie", "id=A"),
        ("cache-control", "private"),
        ("vary", "*"),
    ] {
        let stage = over(&TAGGED);
        let stale = stage.stale(PAGE).unwrap().answer;
        let answer = stage
            .cache
            .revalidated(&get(PAGE), &stale, &said(304, &[header]));
        assert_eq!(&answer.unwrap().body[..], b"body");
        assert!(!stage.has(PAGE), "{header:?}");
    }
}

#[test]
fn a_confirmation_of_what_was_replaced_meanwhile_changes_nothing() {
    let stage = over(&TAGGED);
    let stale = stage.stale(PAGE).unwrap().answer;
    stage.put(PAGE, &[("etag", "\"2\"")], b"newer");
    let answer = stage
        .cache
        .revalidated(&get(PAGE), &stale, &said(304, &[("etag", "\"1\"")]));
    assert_eq!(&answer.unwrap().body[..], b"body");
    assert_eq!(&stage.fresh(PAGE).unwrap().body[..], b"newer");
}

#[test]
fn head_is_confirmed_like_get() {
    let stage = over(&TAGGED);
    let head = asked(Method::HEAD, PAGE, &[]);
    let mainstay_cache::Lookup::Stale(stale) = stage.cache.lookup(&head) else {
        panic!("its time is over");
    };
    let answer = stage
        .cache
        .revalidated(&head, &stale.answer, &said(304, &[]))
        .unwrap();
    assert!(answer.body.is_empty());
    assert_eq!(&stage.fresh(PAGE).unwrap().body[..], b"body");
}

#[test]
fn a_whole_answer_to_the_question_takes_the_place_of_the_old() {
    let stage = over(&TAGGED);
    let stale = stage.stale(PAGE).unwrap();
    let mut request = get(PAGE);
    request.headers.extend(stale.conditions);
    stage.put_for(&request, &[("etag", "\"2\"")], b"newer");
    assert_eq!(&stage.fresh(PAGE).unwrap().body[..], b"newer");
}

#[test]
fn an_answer_that_is_not_stored_makes_the_stored_one_void_unless_the_server_only_failed() {
    let void = [
        (404, true),
        (401, true),
        (403, true),
        (302, true),
        (500, false),
        (503, false),
        (429, false),
        (416, false),
    ];
    for (status, is_void) in void {
        let stage = over(&TAGGED);
        let stored = stage
            .cache
            .store(&get(PAGE), &said(status, &[]), b"")
            .unwrap();
        assert_eq!(stored, Stored::Refused(Refusal::Status));
        assert_eq!(stage.has(PAGE), !is_void, "{status}");
    }
    // Nor does one that was cut off.
    let stage = over(&TAGGED);
    stage.put(PAGE, &[("content-length", "100")], b"cut");
    assert!(stage.has(PAGE));
}

#[test]
fn a_confirmation_counts_to_the_byte() {
    let stage = Stage::new();
    stage.put(PAGE, &TAGGED, b"body");
    let before = stage.stats().bytes;
    stage.wait(20);
    let stale = stage.stale(PAGE).unwrap().answer;
    stage
        .cache
        .revalidated(&get(PAGE), &stale, &said(304, &[("x-new", "1")]))
        .unwrap();
    assert_eq!(stage.stats().bytes, before + "x-new:1\n".len() as u64);
    // And may cost others their place, never the limit.
    let limit = stage.stats().bytes;
    let stage = stage.reopened(
        CacheSettings {
            limit_bytes: limit,
            ..CacheSettings::default()
        },
        |_| {},
    );
    stage.wait(20);
    let stale = stage.stale(PAGE).unwrap().answer;
    assert!(
        stage
            .cache
            .revalidated(&get(PAGE), &stale, &said(304, &[("x-more", "1")]))
            .is_some()
    );
    assert!(stage.stats().bytes <= limit);
}

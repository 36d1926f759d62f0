//! What was removed is not served again.

use crate::stage::{PAGE, Stage, asked, files, get, said};
use http::Method;
use mainstay_cache::{Cache, CacheSettings, ErrorKind, Refusal, Stored};
use std::time::Duration;

fn full() -> Stage {
    let stage = Stage::new();
    for url in [
        "https://example.org/",
        "https://example.org/list?page=1",
        "https://example.org/list?page=2",
        "https://example.org:8443/list",
        "http://example.org/list",
        "https://cdn.example.org/list",
    ] {
        stage.put(url, &[], url.as_bytes());
    }
    stage
}

#[test]
fn an_address_is_found_in_any_spelling_and_with_all_its_variants() {
    let stage = Stage::new();
    for language in ["de", "en"] {
        let request = asked(Method::GET, PAGE, &[("accept-language", language)]);
        stage.put_for(
            &request,
            &[("vary", "accept-language")],
            language.as_bytes(),
        );
    }
    let url = "HTTPS://EXAMPLE.ORG:443/page".parse().unwrap();
    assert_eq!(stage.cache.invalidate_url(&url).unwrap(), 2);
    assert_eq!(stage.cache.invalidate_url(&url).unwrap(), 0);
    assert_eq!(
        stage
            .cache
            .invalidate_url(&"/page".parse().unwrap())
            .unwrap(),
        0
    );
    assert_eq!(stage.stats().entries, 0);
}

#[test]
fn a_host_goes_with_all_its_ports_and_without_those_below_it() {
    let stage = full();
    assert_eq!(stage.cache.invalidate_host("Example.ORG").unwrap(), 5);
    assert!(stage.has("https://cdn.example.org/list"));
}

#[test]
fn a_pattern_takes_what_fits_it_and_is_refused_where_it_is_none() {
    let stage = full();
    assert_eq!(
        stage
            .cache
            .invalidate_glob("https://*/list?page=*")
            .unwrap(),
        2
    );
    assert_eq!(
        stage
            .cache
            .invalidate_glob("HTTPS://CDN.Example.org:443/l*")
            .unwrap(),
        1
    );
    assert_eq!(stage.cache.invalidate_glob("https://*/list").unwrap(), 1);
    assert_eq!(stage.cache.invalidate_glob("ftp*").unwrap(), 0);
    assert_eq!(stage.stats().entries, 2);
    assert_eq!(
        stage.cache.invalidate_glob("a[").unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn what_the_caller_calls_void_goes_and_nothing_else() {
    let stage = full();
    let key = Cache::key_of(&"https://example.org/list?page=2".parse().unwrap()).unwrap();
    assert_eq!(stage.cache.invalidate_where(|url| url == key).unwrap(), 1);
    assert!(!stage.has("https://example.org/list?page=2"));
    assert!(stage.has("https://example.org/list?page=1"));
    assert_eq!(stage.stats().entries, 5);
}

#[test]
fn what_is_older_goes_and_zero_means_everything() {
    let stage = Stage::new();
    for number in 0..4 {
        stage.put(&format!("https://example.org/{number}"), &[], b"x");
        stage.wait(100);
    }
    let older = |seconds| {
        stage
            .cache
            .older_than(Duration::from_secs(seconds))
            .unwrap()
    };
    assert_eq!(older(401), 0);
    assert_eq!(older(400), 1);
    assert_eq!(older(200), 2);
    assert!(stage.has("https://example.org/3"));
    assert_eq!(older(0), 1);
    stage.put(PAGE, &[], b"now");
    assert_eq!(older(0), 1);
}

#[test]
fn what_is_over_goes_where_that_is_asked() {
    let stage = Stage::new();
    stage.put(PAGE, &[("cache-control", "max-age=10")], b"x");
    stage.put(
        "https://example.org/longer",
        &[("cache-control", "max-age=11")],
        b"x",
    );
    stage.wait(10);
    assert_eq!(stage.cache.remove_expired().unwrap(), 1);
    assert!(stage.has("https://example.org/longer"));
}

#[test]
fn a_request_that_changed_something_makes_the_address_void() {
    for method in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::from_bytes(b"PURGE").unwrap(),
    ] {
        let stage = Stage::new();
        stage.put(PAGE, &[], b"x");
        // With credentials, too: what changed has changed for all.
        let request = asked(method.clone(), PAGE, &[("authorization", "A's")]);
        for failed in [400, 404, 500] {
            stage
                .cache
                .store(&request, &said(failed, &[]), b"")
                .unwrap();
            assert!(stage.has(PAGE), "{method} {failed}");
        }
        stage.cache.store(&request, &said(204, &[]), b"").unwrap();
        assert!(!stage.has(PAGE), "{method}");
    }
    let stage = Stage::new();
    stage.put(PAGE, &[], b"x");
    let asked = asked(Method::OPTIONS, PAGE, &[]);
    assert_eq!(
        stage
            .cache
            .invalidate_after(&asked, &said(200, &[]))
            .unwrap(),
        0
    );
    assert!(stage.has(PAGE));
}

#[test]
fn a_change_by_an_address_with_a_user_makes_void_what_lies_without_one() {
    let stage = Stage::new();
    stage.put(PAGE, &[], b"x");
    stage.put("https://example.org/made", &[], b"x");
    let with_user = "https://ann:secret@example.org/page";
    let request = asked(Method::POST, with_user, &[]);
    let made = said(201, &[("location", "/made")]);
    assert_eq!(stage.cache.invalidate_after(&request, &made).unwrap(), 2);
    stage.put(PAGE, &[], b"x");
    let moved = said(201, &[("location", PAGE)]);
    let request = asked(Method::POST, "https://ann@example.org/list", &[]);
    assert_eq!(stage.cache.invalidate_after(&request, &moved).unwrap(), 1);
    stage.put(PAGE, &[], b"x");
    let url = with_user.parse().unwrap();
    assert_eq!(stage.cache.invalidate_url(&url).unwrap(), 1);
}

#[test]
fn a_change_makes_void_what_it_names_on_the_same_server_alone() {
    let stage = full();
    stage.put("https://example.org/made", &[], b"x");
    let request = asked(Method::POST, "https://example.org/list?page=1", &[]);
    let made = said(
        201,
        &[
            ("location", "/made"),
            ("content-location", "https://cdn.example.org/list"),
        ],
    );
    assert_eq!(stage.cache.invalidate_after(&request, &made).unwrap(), 2);
    assert!(stage.has("https://cdn.example.org/list"));
    let moved = said(303, &[("location", "https://example.org/list?page=2")]);
    assert_eq!(stage.cache.invalidate_after(&request, &moved).unwrap(), 1);
}

#[test]
fn what_was_removed_is_gone_after_the_cache_was_opened_again() {
    let stage = full();
    stage.cache.invalidate_host("example.org").unwrap();
    let stage = stage.reopened(CacheSettings::default(), |_| {});
    assert_eq!(stage.stats().entries, 1);
    assert_eq!(stage.cache.clear().unwrap(), 1);
    let stage = stage.reopened(CacheSettings::default(), |_| {});
    assert_eq!(stage.stats().entries, 0);
}

#[test]
fn what_was_made_void_on_its_way_is_not_kept_and_leaves_no_body() {
    let stage = Stage::new();
    let (request, response) = (get(PAGE), said(200, &[("cache-control", "max-age=60")]));
    let store = |is_outdated| {
        let cache = &stage.cache;
        cache.store_unless(&request, &response, b"old", || is_outdated)
    };
    let refused = Stored::Refused(Refusal::Outdated);
    assert_eq!(store(true).unwrap(), refused);
    assert!(!stage.has(PAGE));
    assert_eq!(
        files(&stage.folder().join("bodies")),
        [""; 0].map(std::path::PathBuf::from)
    );
    assert_eq!(store(false).unwrap(), Stored::Kept { evicted: 0 });
    assert!(stage.has(PAGE));
}

#[test]
fn what_a_change_makes_void_is_told_before_it_goes() {
    let put = asked(Method::PUT, PAGE, &[("authorization", "Bearer a")]);
    let location = [
        ("location", "/new"),
        ("content-location", "https://cdn.example.org/"),
    ];
    let void = |status| {
        let urls = Cache::voided_by(&put, &said(status, &location));
        let keys = urls.iter().map(|url| Cache::key_of(url).unwrap());
        keys.collect::<Vec<_>>()
    };
    assert_eq!(void(201), [PAGE, "https://example.org/new"]);
    assert_eq!(void(422), [""; 0]);
    let read = Cache::voided_by(&get(PAGE), &said(200, &location));
    assert!(read.is_empty());
}

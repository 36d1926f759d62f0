//! What may have changed something makes void what is kept, and what was on its way meanwhile is not kept.

use crate::kept::{Stage, lasting, of, stale};
use crate::kept_bounds::{silence, stage, with_one_thread};
use crate::support::{SECOND, server, soon};
use mainstay_http::{Because, ErrorKind, Method, Source};
use mainstay_testkit::faulty_server::Reaction;
use std::sync::Arc;
use tokio::sync::Notify;

/// A PUT whose first attempt broke off, and may have been applied, ended as what stopped the second one: as never sent.
#[tokio::test]
async fn what_broke_off_once_makes_void_what_is_kept_however_it_ends() {
    let server = server(|request, number| match request.method.as_str() {
        "GET" => lasting("x"),
        _ if number == 1 => Reaction::Reset,
        _ => Reaction::answer(404),
    })
    .await;
    // The breaker is open before the second attempt.
    let stage = Stage::by_the_day(|settings| settings.breaker.consecutive = Some(1));
    let url = server.url("/a");
    stage.get(&url).await;
    let stopped = stage.send(Method::PUT, &url).await.unwrap_err();
    assert_eq!(stopped, ErrorKind::BreakerOpen);
    let after = stage.try_get(&url).await;
    assert_eq!(after.unwrap_err(), ErrorKind::BreakerOpen);
}

#[tokio::test]
async fn what_is_deleted_and_not_found_the_second_time_is_void() {
    let server = server(|request, number| match request.method.as_str() {
        "GET" => lasting("x"),
        _ if number == 1 => Reaction::Reset,
        _ => Reaction::answer(404),
    })
    .await;
    let stage = Stage::by_the_day(|_| ());
    let url = server.url("/a");
    stage.get(&url).await;
    let gone = stage.send(Method::DELETE, &url).await.unwrap();
    assert_eq!((gone.status.as_u16(), gone.attempts), (404, 2));
    assert_eq!(stage.get(&url).await.source, Source::Network);
}

/// Whoever answers with a failure may have failed after it was done.
#[tokio::test]
async fn a_failure_of_the_server_may_have_changed_something() {
    let server = server(|request, _| match request.target.trim_start_matches('/') {
        _ if request.method == "GET" => lasting("x"),
        status => Reaction::answer(status.parse().unwrap()),
    })
    .await;
    let stage = Stage::new();
    for (status, is_void) in [
        (500, true),
        (502, true),
        (503, true),
        (504, true),
        (507, true),
        // It was not done: the server says so.
        (409, false),
        (425, false),
        (429, false),
    ] {
        let url = server.url(&format!("/{status}"));
        stage.get(&url).await;
        drop(stage.send(Method::POST, &url).await);
        let expected = if is_void { Source::Network } else { of(0) };
        // What was limited is let go at once.
        stage.client.registry().reset(&limiter(&url)).unwrap();
        assert_eq!(stage.get(&url).await.source, expected, "{status}");
    }
}

fn limiter(url: &str) -> String {
    let origin = url.rsplit_once('/').unwrap().0;
    format!("{origin}/limiter")
}

/// The answer of a GET that was asked before a PUT, and came after it, was kept for as long as it said.
#[tokio::test]
async fn what_was_asked_before_a_change_is_not_kept_after_it() {
    for (method, changed) in [(Method::PUT, "/a"), (Method::POST, "/list")] {
        let released = Arc::new(Notify::new());
        let release = Arc::clone(&released);
        let server = server(move |request, number| match request.method.as_str() {
            "GET" if number == 0 => {
                Reaction::After(Arc::clone(&released), Box::new(lasting("old")))
            }
            "GET" => lasting("new"),
            "POST" => Reaction::answer(201).header("Location", "/a"),
            _ => Reaction::answer(204),
        })
        .await;
        let stage = Stage::new();
        let url = server.url("/a");
        let change = async {
            soon("the request", server.conversation().wait_for(1)).await;
            let url = server.url(changed);
            // Whoever changes something mostly shows who it is.
            let request = stage.client.request(method, &url);
            let request = request.header("Authorization", "Bearer a");
            soon("the change", request.send()).await.unwrap();
            release.notify_one();
        };
        let (old, ()) = tokio::join!(stage.get(&url), change);
        assert_eq!(old.text(), "old", "it was asked before");
        let answer = stage.get(&url).await;
        assert_eq!(
            (answer.source, answer.text().as_str()),
            (Source::Network, "new")
        );
        assert_eq!(stage.get(&url).await.source, of(0), "and kept from here on");
    }
}

/// What was confirmed, in front of somebody or in the background, is as void as what came anew.
#[tokio::test]
async fn what_was_to_be_confirmed_before_a_change_is_not_kept_after_it() {
    for (lifetime, is_waited_for) in [
        ("max-age=60", true),
        ("max-age=60, stale-while-revalidate=60", false),
    ] {
        let released = Arc::new(Notify::new());
        let release = Arc::clone(&released);
        let server = server(move |request, number| match request.method.as_str() {
            "GET" if number == 1 => {
                let same = Reaction::answer(304).header("ETag", "\"1\"");
                Reaction::After(Arc::clone(&released), Box::new(same))
            }
            "GET" => Reaction::answer(200)
                .header("Cache-Control", lifetime)
                .header("ETag", "\"1\"")
                .body(number.to_string()),
            _ => Reaction::answer(204),
        })
        .await;
        let stage = Stage::new();
        let url = server.url("/a");
        stage.get(&url).await;
        stage.pass(70);
        let change = async {
            soon("the request", server.conversation().wait_for(2)).await;
            stage.send(Method::PUT, &url).await.unwrap();
            release.notify_one();
        };
        let (old, ()) = tokio::join!(stage.get(&url), change);
        let expected = if is_waited_for {
            Source::Revalidated
        } else {
            stale(70, Because::Refreshing)
        };
        assert_eq!((old.source, old.text().as_str()), (expected, "0"));
        let answer = stage.get(&url).await;
        assert_eq!(answer.source, Source::Network, "{lifetime}");
        let requests = server.conversation().requests();
        assert_eq!(requests.last().unwrap().header("if-none-match"), None);
    }
}

/// What is to go is not served meanwhile, although nobody knows when the disk lets it go.
#[test]
fn what_is_void_is_not_served_while_the_cache_cannot_let_it_go() {
    with_one_thread().block_on(async {
        let server = server(|request, _| match request.method.as_str() {
            "GET" => lasting("x"),
            _ => Reaction::answer(204),
        })
        .await;
        let (clock, stage) = stage();
        let url = server.url("/a");
        stage.get(&url).await;
        let silent = silence();
        let before = clock.asked_for(SECOND);
        tokio::select! {
            changed = stage.send(Method::PUT, &url) => drop(changed.unwrap()),
            _ = clock.pass_each_after(before, SECOND) => unreachable!("it never ends"),
        }
        // It does not even wait for the disk.
        let offline = soon("it", stage.client.get(&url).offline().send()).await;
        assert_eq!(offline.unwrap_err().kind(), ErrorKind::Offline);
        drop(silent);
        assert_eq!(stage.get(&url).await.source, Source::Network);
    });
}

/// Whoever was to let go of it was refused, and told nobody but the log: what was void was served for as long as it had said.
#[tokio::test]
async fn what_the_cache_refuses_to_let_go_of_is_not_served_and_goes_once_it_can() {
    let server = server(|request, number| match request.method.as_str() {
        "GET" if number == 0 => lasting("old"),
        "GET" => lasting("new"),
        _ => Reaction::answer(204),
    })
    .await;
    let stage = Stage::new();
    let url = server.url("/a");
    stage.get(&url).await;
    let other = rusqlite::Connection::open(stage.folder.path().join("index.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    stage.send(Method::PUT, &url).await.unwrap();
    let offline = soon("it", stage.client.get(&url).offline().send()).await;
    assert_eq!(offline.unwrap_err().kind(), ErrorKind::Offline);
    other.execute_batch("ROLLBACK").unwrap();
    stage.pass(10);
    let served_again = async {
        loop {
            let answer = stage.get(&url).await;
            assert_eq!(answer.text(), "new");
            if answer.source != Source::Network {
                return answer.source;
            }
        }
    };
    assert_eq!(soon("what is kept anew", served_again).await, of(0));
}

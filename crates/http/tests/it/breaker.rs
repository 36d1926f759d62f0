//! The breaker, the limit and the places of each origin.

use crate::support::{SECOND, asked, client, get, server, settings, soon};
use mainstay_http::{Client, ErrorKind};
use mainstay_resilience::{Part, RateLimit};
use mainstay_testkit::faulty_server::Reaction;
use std::error::Error as _;
use std::time::Duration;

/// Without retries, so that requests are counted.
fn once() -> mainstay_http::ClientSettings {
    let mut settings = settings();
    settings.retry.attempts = 1;
    settings
}

#[tokio::test]
async fn it_opens_for_the_origin_that_fails_and_for_no_other() {
    let (bad, good) = (
        server(|_, _| Reaction::answer(500)).await,
        server(|_, _| Reaction::answer(200)).await,
    );
    let client = client(once());
    for _ in 0..5 {
        assert_eq!(
            get(&client, &bad.url("/")).await,
            Err(ErrorKind::Status(500))
        );
    }
    let error = soon("it", client.get(&bad.url("/")).send())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::BreakerOpen, 0)
    );
    assert!(error.retry_after().unwrap() > 50 * SECOND);
    assert!(error.to_string().contains("did not work lately"), "{error}");
    assert_eq!(asked(&bad), 5);
    assert_eq!(get(&client, &good.url("/")).await, Ok(200));
    // By hand it is closed at once.
    let name = format!("http://{}/breaker", bad.address());
    client.registry().reset(&name).unwrap();
    assert_eq!(
        get(&client, &bad.url("/")).await,
        Err(ErrorKind::Status(500))
    );
}

/// A document that said too much for an address opened the breaker, and stopped all others.
#[tokio::test]
async fn an_address_that_cannot_be_sent_says_nothing_of_the_server() {
    let server = server(|_, _| Reaction::answer(200)).await;
    let client = client(settings());
    let long = server.url(&format!("/{}", "x".repeat(70_000)));
    for _ in 0..6 {
        let error = soon("it", client.get(&long).send()).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Url, 1));
    }
    assert_eq!(get(&client, &server.url("/")).await, Ok(200));
    assert_eq!(asked(&server), 1);
}

#[tokio::test]
async fn when_it_opens_between_two_attempts_the_last_failure_is_told_too() {
    let server = server(|_, _| Reaction::answer(500)).await;
    let mut settings = settings();
    settings.breaker.consecutive = Some(2);
    let client = client(settings);
    let error = soon("it", client.get(&server.url("/")).send())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::BreakerOpen, 2)
    );
    assert!(error.source().unwrap().to_string().contains("answers 500"));
}

#[tokio::test]
async fn what_the_caller_did_wrong_and_what_is_too_much_opens_nothing_and_closes_nothing() {
    for code in [400, 401, 404, 422, 501] {
        let server = server(move |request, _| match request.target.as_str() {
            "/bad" => Reaction::answer(500),
            _ => Reaction::answer(code),
        })
        .await;
        let client = client(once());
        for _ in 0..10 {
            assert_ne!(
                get(&client, &server.url("/")).await,
                Err(ErrorKind::BreakerOpen)
            );
        }
        // Four failures, the caller's own between them, and the fifth failure opens it.
        for _ in 0..4 {
            assert_eq!(
                get(&client, &server.url("/bad")).await,
                Err(ErrorKind::Status(500))
            );
        }
        assert_ne!(
            get(&client, &server.url("/")).await,
            Err(ErrorKind::BreakerOpen)
        );
        assert_eq!(
            get(&client, &server.url("/bad")).await,
            Err(ErrorKind::Status(500))
        );
        let kind = get(&client, &server.url("/")).await;
        assert_eq!(kind, Err(ErrorKind::BreakerOpen), "{code}");
    }
    let server = server(|_, _| Reaction::answer(429)).await;
    let client = client(once());
    for _ in 0..10 {
        assert_eq!(
            get(&client, &server.url("/")).await,
            Err(ErrorKind::LimitedUntil)
        );
    }
}

#[tokio::test]
async fn what_is_taken_back_counts_for_nothing() {
    let server = server(|_, _| Reaction::Hang).await;
    let mut settings = once();
    settings.breaker.consecutive = Some(1);
    let client = client(settings);
    for taken_back in 1..=3 {
        tokio::select! {
            _ = client.get(&server.url("/")).send() => panic!("the server says nothing"),
            () = server.conversation().wait_for(taken_back) => {}
        }
    }
}

#[tokio::test]
async fn a_server_that_came_back_is_found_again() {
    let server = server(|_, number| Reaction::answer(if number < 5 { 500 } else { 200 })).await;
    let clock = mainstay_clock::ManualClock::new();
    let client = Client::new(once(), std::sync::Arc::new(clock.clone())).unwrap();
    for _ in 0..5 {
        assert_eq!(
            get(&client, &server.url("/")).await,
            Err(ErrorKind::Status(500))
        );
    }
    assert_eq!(
        get(&client, &server.url("/")).await,
        Err(ErrorKind::BreakerOpen)
    );
    clock.advance(Duration::from_secs(70));
    for _ in 0..3 {
        assert_eq!(get(&client, &server.url("/")).await, Ok(200));
    }
}

#[tokio::test]
async fn our_own_limit_and_full_places_turn_away_and_say_so() {
    let server = server(|request, _| match request.target.as_str() {
        "/hang" => Reaction::Hang,
        _ => Reaction::answer(200),
    })
    .await;
    let mut limited = settings();
    limited.limit = RateLimit {
        permits: 1,
        per: 100 * SECOND,
        burst: 2,
    };
    let limited = client(limited);
    assert_eq!(get(&limited, &server.url("/")).await, Ok(200));
    assert_eq!(get(&limited, &server.url("/")).await, Ok(200));
    let error = soon("it", limited.get(&server.url("/")).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitedUntil);
    assert!(error.retry_after().unwrap() > 90 * SECOND, "{error:?}");

    let mut narrow = settings();
    narrow.bulkhead.max_concurrent = 1;
    narrow.bulkhead.max_wait = Duration::ZERO;
    let narrow = client(narrow);
    let hanging = narrow.get(&server.url("/hang")).send();
    let meanwhile = async {
        server.conversation().wait_for(3).await;
        get(&narrow, &server.url("/")).await
    };
    tokio::select! {
        _ = hanging => panic!("the server says nothing"),
        kind = meanwhile => assert_eq!(kind, Err(ErrorKind::Full)),
    }
    assert_eq!(
        get(&narrow, &server.url("/")).await,
        Ok(200),
        "its place was given back"
    );
}

#[tokio::test]
async fn the_parts_of_each_origin_are_listed_and_the_oldest_origin_goes() {
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(server(|_, _| Reaction::answer(200)).await);
    }
    let mut settings = settings();
    settings.origins_max = 2;
    let client = client(settings);
    for at in [0, 1, 0, 2] {
        assert_eq!(get(&client, &servers[at].url("/")).await, Ok(200));
    }
    let has = |at: usize| {
        let name = format!("http://{}", servers[at].address());
        ["breaker", "limiter", "bulkhead"]
            .map(|part| client.registry().get(&format!("{name}/{part}")).is_some())
    };
    assert_eq!([has(0), has(1), has(2)], [[true; 3], [false; 3], [true; 3]]);
    assert!(matches!(
        client.registry().get("http/retries"),
        Some(Part::Budget(_))
    ));
}

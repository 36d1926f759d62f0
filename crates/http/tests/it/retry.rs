//! What is tried again, how often, and when.

use crate::support::{AskedClock, SECOND, asked, client, get, server, settings, soon};
use mainstay_clock::Clock;
use mainstay_http::{Client, ErrorKind, Method, RequestBuilder};
use mainstay_resilience::{Backoff, Classify, Jitter};
use mainstay_testkit::faulty_server::Reaction;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);

/// How often a request that is always answered with this is made, and what it comes to.
async fn made(code: u16, change: impl Fn(&Client, &str) -> RequestBuilder) -> (usize, u16) {
    let server = server(move |_, _| Reaction::answer(code)).await;
    let client = client(settings());
    let status = match soon("the answer", change(&client, &server.url("/")).send()).await {
        Ok(answer) => answer.status.as_u16(),
        Err(error) => error.status().unwrap(),
    };
    (asked(&server), status)
}

#[tokio::test]
async fn each_status_is_tried_again_or_not_as_in_the_table() {
    for (code, times) in [
        (200, 1),
        (204, 1),
        (304, 1),
        (400, 1),
        (401, 1),
        (403, 1),
        (404, 1),
        (408, 4),
        (409, 1),
        (410, 1),
        (422, 1),
        (425, 4),
        (429, 4),
        (500, 4),
        (501, 1),
        (502, 4),
        (503, 4),
        (504, 4),
        (505, 1),
    ] {
        let made = made(code, Client::get).await;
        assert_eq!(made, (times, code));
    }
}

#[tokio::test]
async fn what_is_not_there_is_an_answer_after_one_request() {
    let server = server(|_, _| Reaction::answer(404).body("no such part")).await;
    let client = client(settings());
    let answer = client.get(&server.url("/part")).send().await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.attempts), (404, 1));
    assert_eq!(answer.text(), "no such part");
    assert_eq!(asked(&server), 1);
    let error = answer.error_for_status().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Status(404));
    assert!(
        error
            .to_string()
            .contains("there is nothing at this address"),
        "{error}"
    );
    assert_eq!(error.answer().unwrap().text(), "no such part");
}

#[tokio::test]
async fn what_fails_to_the_end_is_an_error_with_the_last_answer_that_nobody_tries_again() {
    let server = server(|_, n| Reaction::answer(502).body(format!("try {n}"))).await;
    let client = client(settings());
    let error = client.get(&server.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Status(502));
    assert_eq!((error.attempts(), error.status()), (4, Some(502)));
    assert_eq!(error.answer().unwrap().text(), "try 3");
    assert!(!error.class().is_retryable, "retries would multiply");
    assert!(error.to_string().ends_with("(4 attempts)"), "{error}");
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    let server = server(|_, number| match number {
        0 => Reaction::Reset,
        1 => Reaction::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec()),
        2 => Reaction::Raw(b"no HTTP at all\r\n\r\n".to_vec()),
        _ => Reaction::answer(200).body("whole"),
    })
    .await;
    let client = client(settings());
    let answer = client.get(&server.url("/")).send().await.unwrap();
    assert_eq!((answer.text().as_str(), answer.attempts), ("whole", 4));
}

#[tokio::test]
async fn what_may_not_happen_twice_is_sent_once_unless_it_has_a_key() {
    for (method, times) in [
        (Method::POST, 1),
        (Method::PATCH, 1),
        (Method::PUT, 4),
        (Method::DELETE, 4),
        (Method::HEAD, 4),
        (Method::OPTIONS, 4),
    ] {
        let send = |client: &Client, url: &str| client.request(method.clone(), url).body("x");
        assert_eq!(made(503, send).await, (times, 503), "{method}");
    }
    let with_key = |client: &Client, url: &str| {
        let request = client.request(Method::POST, url);
        request.idempotency_key("key-1").body("x")
    };
    assert_eq!(made(503, with_key).await, (4, 503));
}

#[tokio::test]
async fn the_same_key_and_the_same_body_go_with_every_attempt() {
    let server = server(|_, _| Reaction::answer(500)).await;
    let client = client(settings());
    let request = client.request(Method::POST, &server.url("/"));
    let sending = request.idempotency_key("key-1").body("order").send();
    soon("the error", sending).await.unwrap_err();
    let requests = server.conversation().requests();
    assert_eq!(requests.len(), 4);
    for request in requests {
        assert_eq!(request.header("idempotency-key"), Some("key-1"));
        assert_eq!(request.body, b"order");
    }
}

#[tokio::test]
async fn a_wait_that_the_server_asks_for_is_kept_to_in_seconds_and_as_a_date() {
    for (code, retry_after) in [
        (429, "7"),
        (503, "7"),
        (429, "Wed, 21 Oct 2015 07:28:07 GMT"),
        (503, "Wed, 21 Oct 2015 07:28:07 GMT"),
    ] {
        let server = server(move |_, number| match number {
            0 => Reaction::answer(code)
                .header("Retry-After", retry_after)
                .header("Date", "Wed, 21 Oct 2015 07:28:00 GMT"),
            _ => Reaction::answer(200),
        })
        .await;
        let clock = AskedClock::new();
        let client = Client::new(settings(), clock.shared()).unwrap();
        let begun = clock.now();
        let request = client.get(&server.url("/"));
        let (answer, ()) = tokio::join!(soon("it", request.send()), clock.pass(7 * SECOND));
        assert_eq!(answer.unwrap().attempts, 2, "{code} {retry_after}");
        assert_eq!(clock.now().since(begun), 7 * SECOND);
    }
}

#[tokio::test]
async fn a_wait_beside_another_status_is_none_of_ours() {
    let server = server(|_, number| match number {
        0 => Reaction::answer(500).header("Retry-After", "600"),
        _ => Reaction::answer(200),
    })
    .await;
    assert_eq!(get(&client(settings()), &server.url("/")).await, Ok(200));
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_and_not_waited_for() {
    let server = server(|_, _| Reaction::answer(429).header("Retry-After", "600")).await;
    let client = client(settings());
    let url = server.url("/");
    let error = soon("the error", client.get(&url).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitedUntil);
    assert_eq!(error.retry_after(), Some(600 * SECOND));
    assert!(
        error.to_string().contains("left alone for 600 s"),
        "{error}"
    );
    // And nobody else asks meanwhile.
    let error = soon("the error", client.get(&url).send())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::LimitedUntil, 0)
    );
    assert!(error.retry_after().unwrap() > 590 * SECOND);
    assert_eq!(asked(&server), 1);
}

#[tokio::test]
async fn when_a_server_says_that_nothing_is_left_the_next_request_waits_for_its_reset() {
    let server = server(|_, _| {
        Reaction::answer(200)
            .header("X-RateLimit-Remaining", "0")
            .header("X-RateLimit-Reset", "3")
    })
    .await;
    let clock = AskedClock::new();
    let client = Client::new(settings(), clock.shared()).unwrap();
    let url = server.url("/");
    soon("the first", client.get(&url).send()).await.unwrap();
    let begun = clock.now();
    let second = client.get(&url);
    let (second, ()) = tokio::join!(soon("it", second.send()), clock.pass(3 * SECOND));
    assert_eq!(second.unwrap().attempts, 1);
    assert_eq!(clock.now().since(begun), 3 * SECOND);
}

#[tokio::test]
async fn clients_in_an_outage_share_a_budget_of_retries() {
    let server = server(|_, _| Reaction::answer(503)).await;
    let mut settings = settings();
    settings.breaker.consecutive = Some(1_000);
    let client = client(settings);
    let url = server.url("/");
    let calls = (0..200).map(|_| client.get(&url).send());
    for call in calls {
        soon("the error", call).await.unwrap_err();
    }
    // 600 retries would be allowed; the budget is 10 a second over 10 s, and a fifth of the calls.
    let retries = asked(&server) - 200;
    assert!((100..=150).contains(&retries), "{retries}");
}

#[tokio::test]
async fn what_is_tried_again_can_be_watched_by_its_origin_until_it_is_over() {
    let server = server(|_, _| Reaction::answer(500)).await;
    let mut settings = settings();
    settings.retry.backoff = Backoff::doubling(60 * MINUTE, 60 * MINUTE).with_jitter(Jitter::None);
    settings.limits.general.total = 600 * MINUTE;
    let client = client(settings);
    let (url, origin) = (server.url("/"), format!("http://{}", server.address()));
    assert!(client.retrying().is_empty());
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.get(&url).send().await }
    });
    soon("the pause", async {
        while client.retrying().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut all = client.retrying();
    let retrying = all.remove(&origin).unwrap();
    assert!(all.is_empty());
    assert_eq!((retrying.attempt, retrying.of), (2, 4));
    assert!(retrying.error.contains("answers 500"), "{retrying:?}");
    assert!(59 * MINUTE < retrying.next_in && retrying.next_in <= 60 * MINUTE);
    // What is given up is not tried again.
    asking.abort();
    soon("the end", asking).await.unwrap_err();
    assert!(client.retrying().is_empty());
}

//! Where a redirect leads, and what goes along.

use crate::support::{asked, client, get, server, settings, soon};
use mainstay_http::{ErrorKind, Method};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction, Request};

/// Sends everybody there.
async fn to(code: u16, location: String) -> FaultyServer {
    server(move |_, _| Reaction::answer(code).header("Location", &location)).await
}

fn sensible(request: &Request) -> Vec<&str> {
    let ours = [
        "authorization",
        "cookie",
        "x-api-key",
        "x-marked",
        "accept",
        "if-none-match",
    ];
    let names = request.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| ours.contains(name)).collect()
}

#[tokio::test]
async fn credentials_never_go_to_another_origin_and_do_not_come_back() {
    // The first sends to the second, and that back to the first.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let first_url = format!("http://{}", listener.local_addr().unwrap());
    let back = format!("{first_url}/end");
    let second = server(move |_, _| Reaction::answer(302).header("Location", &back)).await;
    let on = second.url("/middle");
    let script = move |request: &Request, _| match request.target.as_str() {
        "/start" => Reaction::answer(307).header("Location", "/near"),
        "/near" => Reaction::answer(307).header("Location", &on),
        _ => Reaction::answer(200),
    };
    let first = FaultyServer::on(listener, script).unwrap();
    let request = client(settings())
        .get(&first.url("/start"))
        .header("Authorization", "Bearer s3cr3t")
        .header("Cookie", "id=s3cr3t")
        .header("X-Api-Key", "s3cr3t")
        .secret_header("X-Marked", "s3cr3t")
        .header("Accept", "text/csv")
        .header("If-None-Match", "\"1\"");
    let answer = soon("the answer", request.send()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.attempts), (200, 4));
    assert_eq!(answer.url.as_str(), first.url("/end"));
    let all = [
        "authorization",
        "cookie",
        "x-api-key",
        "x-marked",
        "accept",
        "if-none-match",
    ];
    let heard = first.conversation().requests();
    assert_eq!(sensible(&heard[0]), all);
    assert_eq!(sensible(&heard[1]), all, "the same origin");
    assert_eq!(sensible(&second.conversation().requests()[0]), all[4..]);
    assert_eq!(
        sensible(&heard[2]),
        all[4..],
        "what was dropped stays dropped"
    );
}

#[tokio::test]
async fn a_post_becomes_a_get_where_the_standard_says_so() {
    for (code, method) in [(302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
        let server = server(move |request, _| match request.target.as_str() {
            "/a" => Reaction::answer(code).header("Location", "b"),
            _ => Reaction::answer(201),
        })
        .await;
        let client = client(settings());
        let request = client.request(Method::POST, &server.url("/a")).body("x");
        let answer = soon("it", request.header("Content-Type", "text/csv").send()).await;
        assert_eq!(answer.unwrap().status.as_u16(), 201);
        let second = server.conversation().requests().remove(1);
        assert_eq!(
            (second.method.as_str(), second.target.as_str()),
            (method, "/b")
        );
        assert_eq!(second.body.is_empty(), method == "GET");
        assert_eq!(second.header("content-type").is_none(), method == "GET");
    }
}

#[tokio::test]
async fn a_body_does_not_follow_to_another_origin() {
    let other = server(|_, _| Reaction::answer(200)).await;
    let first = to(307, other.url("/")).await;
    let client = client(settings());
    let request = client
        .request(Method::PUT, &first.url("/"))
        .body("password");
    let error = soon("it", request.send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirect);
    assert!(
        error.to_string().contains("not meant to get the body"),
        "{error}"
    );
    assert_eq!(asked(&other), 0);
}

#[tokio::test]
async fn a_circle_ends_and_each_round_of_it_is_counted() {
    let circle = to(302, "/again".to_owned()).await;
    let error = soon("it", client(settings()).get(&circle.url("/")).send())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Redirect, 11));
    assert!(error.to_string().contains("more than 10 times"), "{error}");
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_the_answer_and_one_to_nonsense_is_refused() {
    let nowhere = server(|_, _| Reaction::answer(302)).await;
    assert_eq!(get(&client(settings()), &nowhere.url("/")).await, Ok(302));
    for location in ["ftp://h/", "http://ann:s3cr3t@h/", "http://["] {
        let server = to(302, location.to_owned()).await;
        let kind = get(&client(settings()), &server.url("/")).await;
        assert_eq!(kind, Err(ErrorKind::Redirect), "{location}");
        assert_eq!(asked(&server), 1);
    }
}

#[tokio::test]
async fn each_hop_has_the_breaker_of_where_it_leads() {
    let bad = server(|_, _| Reaction::answer(500)).await;
    let first = to(302, bad.url("/")).await;
    let mut settings = settings();
    settings.retry.attempts = 1;
    let client = client(settings);
    for _ in 0..5 {
        assert_eq!(
            get(&client, &first.url("/")).await,
            Err(ErrorKind::Status(500))
        );
    }
    assert_eq!(
        get(&client, &first.url("/")).await,
        Err(ErrorKind::BreakerOpen)
    );
    assert_eq!((asked(&bad), asked(&first)), (5, 6));
}

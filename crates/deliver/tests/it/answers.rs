//! D1: what a server says over the wire, and what it means.

use crate::support::{again, clock, document, http, reason, send_with, soon};
use mainstay_deliver::{Cause, Compression, Destination, Http, HttpConfig, Method, Outcome};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use std::time::Duration;

async fn answered(reaction: Reaction) -> Outcome {
    let server = FaultyServer::start(move |_, _| reaction.clone())
        .await
        .unwrap();
    http(&server.url("/in")).send(document(b"{}")).await
}

fn retry_after(outcome: &Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Retry { after, .. } | Outcome::Hold { after, .. } => *after,
        Outcome::Busy { after, .. } => Some(*after),
        _ => None,
    }
}

#[tokio::test]
async fn a_2xx_is_delivered_with_or_without_a_body() {
    for status in [200, 201, 202, 204] {
        assert_eq!(answered(Reaction::answer(status)).await, Outcome::Delivered);
    }
    assert_eq!(
        answered(Reaction::answer(200).body("thank you")).await,
        Outcome::Delivered
    );
}

#[tokio::test]
async fn a_large_answer_is_not_read_to_its_end_and_spoils_nothing() {
    let large = vec![b'x'; 300 * 1024];
    let server = FaultyServer::start(move |_, _| Reaction::answer(200).body(large.clone()))
        .await
        .unwrap();
    let http = http(&server.url("/in"));
    for _ in 0..3 {
        assert_eq!(http.send(document(b"{}")).await, Outcome::Delivered);
    }
}

/// What it says stands in the head, and is not kept waiting for the rest.
#[tokio::test]
async fn an_answer_without_an_end_holds_up_nothing() {
    let mut endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n".to_vec();
    endless.resize(endless.len() + 100 * 1024, b'x');
    let outcome = soon("the outcome", answered(Reaction::RawThenHang(endless))).await;
    assert_eq!(outcome, Outcome::Delivered);
}

#[tokio::test]
async fn retry_after_is_understood_in_both_forms() {
    let outcome = answered(Reaction::answer(429).header("Retry-After", "7")).await;
    assert_eq!(retry_after(&outcome), Some(Duration::from_secs(7)));
    assert!(matches!(outcome, Outcome::Busy { .. }));

    let date = Reaction::answer(503)
        .header("Date", "Wed, 21 Oct 2015 07:28:00 GMT")
        .header("Retry-After", "Wed, 21 Oct 2015 07:28:45 GMT");
    assert_eq!(
        retry_after(&answered(date).await),
        Some(Duration::from_secs(45))
    );

    let past = Reaction::answer(500).header("Retry-After", "Wed, 21 Oct 2015 07:28:45 GMT");
    assert_eq!(retry_after(&answered(past).await), Some(Duration::ZERO));
    assert_eq!(retry_after(&answered(Reaction::answer(500)).await), None);
}

#[tokio::test]
async fn what_concerns_all_documents_holds_the_destination() {
    for (status, cause) in [
        (401, Cause::Credentials),
        (403, Cause::Forbidden),
        (404, Cause::Unclear),
        (302, Cause::Unclear),
    ] {
        let outcome = answered(Reaction::answer(status).body("no")).await;
        assert!(
            matches!(&outcome, Outcome::Hold { cause: found, .. } if *found == cause),
            "{status}: {outcome:?}"
        );
        assert!(
            reason(&outcome).contains(&status.to_string()),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let elsewhere = FaultyServer::start(|_, _| Reaction::answer(200))
        .await
        .unwrap();
    let target = format!("{}?token=s3cr3t", elsewhere.url("/in"));
    for status in [301, 302, 303, 307, 308] {
        let outcome = answered(Reaction::answer(status).header("Location", &target)).await;
        assert!(matches!(outcome, Outcome::Hold { .. }), "{outcome:?}");
        assert!(
            reason(&outcome).contains(&elsewhere.url("/in"))
                && !reason(&outcome).contains("s3cr3t"),
            "{outcome:?}"
        );
    }
    assert!(elsewhere.conversation().requests().is_empty());
}

#[tokio::test]
async fn a_conflict_counts_as_delivered_only_with_our_own_key() {
    let server = FaultyServer::start(|request, number| {
        let key = request.header("idempotency-key").unwrap();
        match number {
            0 => Reaction::answer(409).header("Idempotency-Key", key),
            1 => Reaction::answer(409).body(format!("{{\"duplicate\": \"{key}\"}}")),
            2 => Reaction::answer(412).header("Mainstay-Receipt", key),
            3 => Reaction::answer(409)
                .header("Idempotency-Key", "01890a5d-ac96-774b-bcce-b302099a8057"),
            4 => Reaction::answer(409).body("already exists"),
            _ => Reaction::answer(412),
        }
    })
    .await
    .unwrap();
    let http = http(&server.url("/in"));
    for _ in 0..3 {
        assert_eq!(http.send(document(b"{}")).await, Outcome::AlreadyThere);
    }
    for _ in 0..3 {
        let outcome = http.send(document(b"{}")).await;
        assert!(matches!(outcome, Outcome::Reject { .. }), "{outcome:?}");
    }
}

/// Where the address holds the key, every error page that quotes the address does too.
#[tokio::test]
async fn an_error_page_that_quotes_the_address_is_no_receipt() {
    let server = FaultyServer::start(|request, _| {
        Reaction::answer(409).body(format!("{} has no parent that exists", request.target))
    })
    .await
    .unwrap();
    for (method, path) in [
        (Method::Post, "/in/{id}"),
        (Method::Put, "/in/{id}"),
        (Method::Put, "/in/{name}"),
    ] {
        let mut config = HttpConfig::new(server.url(path));
        config.method = method;
        let outcome = send_with(&config).await;
        assert!(matches!(outcome, Outcome::Reject { .. }), "{outcome:?}");
    }
}

/// A file server that has something under every address, and answers questions about it with `asked`.
async fn file_server(asked: Reaction) -> (FaultyServer, Http) {
    let server =
        FaultyServer::start(
            move |request, number| match (request.method.as_str(), number) {
                ("PUT", 0) => Reaction::answer(201),
                ("PUT", _) => Reaction::answer(if request.header("if-none-match") == Some("*") {
                    412
                } else {
                    500
                }),
                _ => asked.clone(),
            },
        )
        .await
        .unwrap();
    let mut config = HttpConfig::new(server.url("/dav/{id}?token=t0k3n"));
    config.method = Method::Put;
    config.if_none_match = true;
    let http = Http::new(&config, clock()).unwrap();
    (server, http)
}

#[tokio::test]
async fn what_a_plain_file_server_has_whole_is_already_there_the_second_time() {
    let (server, http) = file_server(Reaction::answer(200).body("{}")).await;
    let document = document(b"{}");
    let repeat = again(&document);
    assert_eq!(http.send(document).await, Outcome::Delivered);
    assert_eq!(http.send(repeat).await, Outcome::AlreadyThere);
    let requests = server.conversation().requests();
    assert_eq!(
        (requests[2].method.as_str(), &requests[2].target),
        ("HEAD", &requests[1].target)
    );
}

/// Many file servers keep what they had got when the connection broke.
#[tokio::test]
async fn half_a_document_on_a_file_server_is_not_taken_for_the_whole() {
    for (asked, words) in [
        (Reaction::answer(200).body("{"), "has 1 bytes under the id"),
        (
            Reaction::Raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec()),
            "does not say how large",
        ),
        (Reaction::answer(405), "answered 405"),
    ] {
        let (_server, http) = file_server(asked).await;
        let document = document(b"{}");
        let repeat = again(&document);
        assert_eq!(http.send(document).await, Outcome::Delivered);
        let outcome = http.send(repeat).await;
        assert!(matches!(outcome, Outcome::Reject { .. }), "{outcome:?}");
        assert!(
            reason(&outcome).contains(words) && !reason(&outcome).contains("t0k3n"),
            "{outcome:?}"
        );
    }
    let (_server, http) = file_server(Reaction::Reset).await;
    let document = document(b"{}");
    let repeat = again(&document);
    http.send(document).await;
    assert!(matches!(http.send(repeat).await, Outcome::Retry { .. }));
}

#[tokio::test]
async fn if_none_match_is_refused_where_it_could_not_tell_documents_apart() {
    let refusal = |url: &str, compression| {
        let mut config = HttpConfig::new(url);
        config.method = Method::Put;
        config.if_none_match = true;
        config.compression = compression;
        Http::new(&config, clock()).unwrap_err().to_string()
    };
    assert!(refusal("http://h/dav/{name}", Compression::None).contains("{id}"));
    assert!(refusal("http://h/dav/{id}", Compression::Gzip).contains("lengths"));
}

#[tokio::test]
async fn every_other_4xx_is_about_this_document() {
    for status in [400, 405, 410, 413, 415, 422, 451] {
        let outcome = answered(Reaction::answer(status).body("field `serial` is missing")).await;
        assert!(matches!(outcome, Outcome::Reject { .. }), "{outcome:?}");
        assert!(
            reason(&outcome).ends_with("field `serial` is missing"),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_says_yes_before_it_has_the_document_is_not_believed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let hasty = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Only the beginning is read; then the answer comes, and nothing more is read.
        stream.read_exact(&mut [0; 1024]).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        stream
    });
    let bytes = vec![7; 64 * 1024 * 1024];
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    let mut large = document(b"");
    large.hash = Some(crate::support::hash(&bytes));
    large.body = mainstay_deliver::Content::File(file, bytes.len() as u64);
    let outcome = crate::support::soon("the outcome", http(&url).send(large)).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    drop(hasty.await);
}

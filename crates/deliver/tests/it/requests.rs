//! D2, D6: what goes over the wire: the same key on every attempt, and the bytes that were stored.

use crate::support::{again, clock, document, hash, http, in_file};
use mainstay_deliver::{
    Auth, Compression, Content, Destination, Http, HttpConfig, Method, Outcome, Secret,
};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction, Request};
use std::io::Read;

async fn accepting() -> FaultyServer {
    FaultyServer::start(|_, _| Reaction::answer(200))
        .await
        .unwrap()
}

async fn request_with(change: impl FnOnce(&mut HttpConfig), path: &str, body: &[u8]) -> Request {
    let server = accepting().await;
    let mut config = HttpConfig::new(server.url(path));
    change(&mut config);
    let outcome = Http::new(&config, clock())
        .unwrap()
        .send(document(body))
        .await;
    assert_eq!(outcome, Outcome::Delivered);
    server.conversation().requests().remove(0)
}

#[tokio::test]
async fn every_attempt_carries_the_same_key_and_the_same_bytes() {
    let server = FaultyServer::start(|_, number| match number {
        0 => Reaction::answer(500),
        1 => Reaction::Reset,
        2 => Reaction::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec()),
        3 => Reaction::answer(401),
        4 => Reaction::answer(422),
        _ => Reaction::answer(200),
    })
    .await
    .unwrap();
    let http = http(&server.url("/in"));
    let document = document(b"{\"serial\":4711}");
    let id = document.id.to_string();
    for _ in 0..6 {
        http.send(again(&document)).await;
    }
    let requests = server.conversation().requests();
    assert_eq!(requests.len(), 6);
    for request in requests {
        assert_eq!(request.header("idempotency-key"), Some(id.as_str()));
        assert_eq!(request.body, b"{\"serial\":4711}");
    }
}

#[tokio::test]
async fn a_request_says_what_it_carries() {
    let request = request_with(|_| (), "/in", b"{}").await;
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/in")
    );
    let header = |name: &str| request.header(name).map(str::to_owned);
    assert_eq!(header("content-type").unwrap(), "application/json");
    assert_eq!(header("content-length").unwrap(), "2");
    assert_eq!(header("mainstay-source").unwrap(), "report.json");
    assert_eq!(header("mainstay-route").unwrap(), "lab");
    assert_eq!(
        header("content-digest").unwrap(),
        "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:"
    );
    assert_eq!(header("content-encoding"), None);
}

#[tokio::test]
async fn an_empty_document_is_sent_as_one() {
    let request = request_with(|_| (), "/in", b"").await;
    assert_eq!(
        (request.header("content-length"), request.body.len()),
        (Some("0"), 0)
    );
}

#[tokio::test]
async fn a_plain_file_server_gets_each_document_under_its_own_address() {
    let server = accepting().await;
    let mut config = HttpConfig::new(server.url("/dav/{route}/{id}-{name}"));
    config.method = Method::Put;
    let http = Http::new(&config, clock()).unwrap();
    let mut document = document(b"{}");
    document.source = b"m\xfcll /../x?.json".to_vec();
    let id = document.id;
    assert_eq!(http.send(document).await, Outcome::Delivered);
    let request = server.conversation().requests().remove(0);
    assert_eq!(request.method, "PUT");
    assert_eq!(
        request.target,
        format!("/dav/lab/{id}-m%FCll%20%2F..%2Fx%3F.json")
    );
}

#[tokio::test]
async fn who_we_are_and_what_was_configured_is_sent() {
    let request = request_with(
        |config| {
            config.auth = Auth::Bearer(Secret::new("t0k3n"));
            config.headers = vec![("X-Site".into(), Secret::new("hall 3"))];
        },
        "/in?tenant=7",
        b"{}",
    )
    .await;
    assert_eq!(request.header("authorization"), Some("Bearer t0k3n"));
    assert_eq!(request.header("x-site"), Some("hall 3"));
    assert_eq!(request.target, "/in?tenant=7");
}

#[tokio::test]
async fn a_compressed_body_is_the_same_document_after_it_was_unpacked() {
    let body = b"serial;result\n4711;ok\n".repeat(1000);
    for (compression, name) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let request = request_with(|config| config.compression = compression, "/in", &body).await;
        assert_eq!(request.header("content-encoding"), Some(name));
        assert!(request.body.len() < body.len() / 5);
        assert_eq!(unpacked(&request), body);
        let digest = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, hash(&request.body));
        assert_eq!(
            request.header("content-digest"),
            Some(format!("sha-256=:{digest}:").as_str()),
            "of what is on the wire"
        );
    }
    let request = request_with(
        |config| config.compression = Compression::Zstd,
        "/in",
        b"{}",
    )
    .await;
    assert_eq!(
        (request.header("content-encoding"), request.body.as_slice()),
        (None, &b"{}"[..])
    );
}

fn unpacked(request: &Request) -> Vec<u8> {
    let mut plain = Vec::new();
    match request.header("content-encoding") {
        Some("gzip") => drop(
            flate2::read::GzDecoder::new(&request.body[..])
                .read_to_end(&mut plain)
                .unwrap(),
        ),
        Some("zstd") => plain = zstd::decode_all(&request.body[..]).unwrap(),
        _ => plain.extend_from_slice(&request.body),
    }
    plain
}

/// Twenty megabytes stand for 256: it is streamed in pieces either way.
#[tokio::test]
async fn a_large_file_is_streamed_byte_for_byte() {
    let bytes: Vec<u8> = (0..20_000_003_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let server = accepting().await;
        let mut config = HttpConfig::new(server.url("/in"));
        config.compression = compression;
        let outcome = Http::new(&config, clock())
            .unwrap()
            .send(in_file(&bytes, &bytes))
            .await;
        assert_eq!(outcome, Outcome::Delivered);
        let request = server.conversation().requests().remove(0);
        assert_eq!(
            request.header("content-length").is_some(),
            compression == Compression::None
        );
        assert!(unpacked(&request) == bytes, "{compression:?}");
    }
}

#[tokio::test]
async fn what_does_not_match_its_hash_is_never_taken_for_a_document() {
    let bytes = vec![7; 3_000_000];
    let mut damaged = bytes.clone();
    damaged[2_999_999] ^= 1;
    for compression in [Compression::None, Compression::Zstd] {
        let server = accepting().await;
        let mut config = HttpConfig::new(server.url("/in"));
        config.compression = compression;
        let http = Http::new(&config, clock()).unwrap();
        let outcome = http.send(in_file(&damaged, &bytes)).await;
        assert!(
            matches!(&outcome, Outcome::Unsendable { reason } if reason.contains("does not match the hash")),
            "{outcome:?}"
        );

        let mut small = document(b"one");
        small.body = Content::Bytes(bytes::Bytes::from_static(b"two"));
        assert!(matches!(http.send(small).await, Outcome::Unsendable { .. }));

        let mut empty = document(b"one");
        empty.body = Content::File(tempfile::tempfile().unwrap(), 0);
        assert!(matches!(http.send(empty).await, Outcome::Unsendable { .. }));
        assert!(
            server.conversation().requests().is_empty(),
            "the server never saw a whole request"
        );
    }
}

#[tokio::test]
async fn documents_share_connections() {
    let server = accepting().await;
    let http = http(&server.url("/in"));
    for _ in 0..20 {
        assert_eq!(http.send(document(b"{}")).await, Outcome::Delivered);
    }
    assert_eq!(server.connections(), 1);
}

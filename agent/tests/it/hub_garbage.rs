//! What a hub is sent and is no document: it is refused, nothing of it is kept, and the next document is taken.

use crate::hubs::{Answer, Hub, KEY, NOWHERE, head, ledger, status};
use crate::support::{PATIENCE, Stage, until};
use std::io::{Read, Write};
use std::time::Instant;

/// Nothing was kept, and the next document is taken.
fn is_well(stage: &Stage, hub: &Hub) {
    assert_eq!(ledger(stage, "accepted"), 0);
    let bodies = stage.path("hub/queue/bodies");
    until("no body is left behind", || {
        std::fs::read_dir(&bodies).map_or(0, Iterator::count) == 0
    });
    assert_eq!(hub.post(&[KEY], b"whole").status, 202);
}

#[test]
fn a_request_that_is_no_document_is_refused_with_its_reason_and_counted() {
    let stage = Stage::new();
    let limits = "types = [\"application/json\", \"text/*\"]\nmax_body = \"1 KiB\"";
    let hub = Hub::to(&stage, NOWHERE, limits);
    let csv = "content-type: text/csv; header=present";
    let refused = |answer: Answer, status: u16, words: &str| {
        assert_eq!(answer.status, status, "{words}: {answer:?}");
        assert!(answer.body.contains(words), "{words}: {answer:?}");
    };
    let with = |headers: &[&str]| hub.post(&[headers, &[csv]].concat(), b"abc");
    refused(with(&[]), 400, "Idempotency-Key is missing");
    refused(with(&["idempotency-key: a b"]), 400, "visible characters");
    refused(with(&[KEY, "content-encoding: br"]), 415, "gzip and zstd");
    let encoded = [KEY, "content-encoding: gzip"];
    refused(with(&encoded), 400, "cannot be decoded");
    let digest = [KEY, "content-digest: sha-256=:AAAA:"];
    refused(with(&digest), 400, "Content-Digest");
    let wrong = "content-digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    refused(with(&[KEY, wrong]), 400, "damaged on the way");
    refused(hub.post(&[KEY], b"abc"), 415, "takes application/json");
    let png = "content-type: image/png";
    refused(hub.post(&[KEY, png], b"abc"), 415, "text/*");
    let large = hub.post(&[KEY, csv], &[b'x'; 1025]);
    refused(large, 413, "larger than 1 KiB");
    let bomb = zstd::encode_all(&vec![0; 100_000][..], 3).unwrap();
    let zstd = [KEY, csv, "content-encoding: zstd"];
    refused(hub.post(&zstd, &bomb), 413, "larger than 1 KiB");
    refused(hub.ask("POST", "/", &[KEY], b""), 404, "/ingest");
    refused(hub.ask("POST", "/ingested", &[KEY], b""), 404, "/ingest");
    let get = hub.ask("GET", "/ingest", &[], b"");
    assert!(get.has("allow: head, post, put"), "{get:?}");
    refused(get, 405, "POST or PUT");
    assert_eq!(hub.ask("HEAD", "/ingest", &[], b"").status, 204);
    let without =
        format!("POST /ingest HTTP/1.1\r\nconnection: close\r\nhost: h\r\n{KEY}\r\n{csv}\r\n\r\n");
    refused(hub.raw(without.as_bytes()), 411, "Content-Length");

    let counted = &status(&stage)["routes"][0]["from"]["refused"];
    let expected = serde_json::json!({
        "bad_request": 5, "method": 1, "no_length": 1, "not_found": 2, "too_large": 2, "type": 3
    });
    assert_eq!(counted, &expected);
    assert_eq!(ledger(&stage, "accepted"), 0);
    assert_eq!(hub.post(&[KEY, csv], &[b'x'; 1024]).status, 202);
}

#[test]
fn only_whoever_has_the_token_hands_documents_in() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "token = \"s3cret-token\"");
    let wrong = [
        "x: y",
        "authorization: Bearer",
        "authorization: Bearer s3cret-toke",
        "authorization: Bearer s3cret-token2",
        "authorization: Basic s3cret-token",
    ];
    for header in wrong {
        // Large enough that it is still on its way when it is refused.
        let answer = hub.post(&[KEY, header], &vec![b'x'; 600_000]);
        assert_eq!(answer.status, 401, "{header}: {answer:?}");
        assert!(
            answer.has("www-authenticate: bearer realm=\"mainstay\""),
            "{answer:?}"
        );
    }
    assert_eq!(ledger(&stage, "accepted"), 0);
    let right = "authorization: Bearer s3cret-token";
    assert_eq!(hub.post(&[KEY, right], b"x").status, 202);
    assert!(!hub.process.log().contains("s3cret"));
    assert!(!status(&stage).to_string().contains("s3cret"));
}

#[test]
fn a_refusal_is_heard_by_a_sender_that_still_sends() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "max_body = \"1 KiB\"");
    let still_sends = || {
        let mut stream = hub.connect();
        stream
            .write_all(&head("POST", "/ingest", &[KEY], 1_000_000))
            .unwrap();
        let answer = Answer::read(stream.try_clone().unwrap());
        assert_eq!(answer.status, 413, "{answer:?}");
        // Where nobody read it, the system would break the connection after the first piece.
        (0..10).all(|_| stream.write_all(&[b'x'; 10_000]).is_ok())
    };
    // It is read for two seconds, which a busy machine may let pass once.
    assert!((0..3).any(|_| still_sends()));
}

#[test]
fn a_body_that_ends_before_its_end_is_no_document_wherever_it_is_cut() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "");
    let body = vec![b'x'; 600_000];
    let mut whole = head("POST", "/ingest", &[KEY], body.len());
    let start = whole.len();
    whole.extend(&body);
    let mut chunked =
        format!("POST /ingest HTTP/1.1\r\nhost: h\r\n{KEY}\r\ntransfer-encoding: chunked\r\n\r\n")
            .into_bytes();
    let chunks = chunked.len();
    chunked.extend(b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n");
    let cuts = [
        1,
        start - 2,
        start,
        start + 1,
        start + 262_143,
        start + 262_144,
        start + 262_145,
        whole.len() - 1,
    ];
    for cut in cuts {
        assert_ne!(cut_at(&hub, &whole, cut), 202, "cut at {cut}");
    }
    for cut in chunks..chunked.len() {
        assert_ne!(cut_at(&hub, &chunked, cut), 202, "chunked, cut at {cut}");
    }
    is_well(&stage, &hub);
}

/// Sends the beginning of a request, then says that nothing follows.
fn cut_at(hub: &Hub, request: &[u8], cut: usize) -> u16 {
    let mut stream = hub.connect();
    stream.write_all(&request[..cut]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    Answer::read(stream).status
}

#[test]
fn what_is_no_http_is_refused_and_harms_nobody() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "");
    let start = format!("POST /ingest HTTP/1.1\r\nhost: h\r\n{KEY}\r\n");
    let chunked = format!("{start}transfer-encoding: chunked\r\n\r\n");
    let requests = [
        "\0\u{1}\u{2}\u{3}\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "POST /ingest HTTP/9.9\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned(),
        format!("{start}bad header\r\n\r\n"),
        format!("{start}content-length: five\r\n\r\nabcde"),
        format!("{start}content-length: -1\r\n\r\n"),
        format!("{start}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd"),
        format!("{start}content-length: 99999999999999999999999\r\n\r\n"),
        format!("{chunked}xyz\r\nabc\r\n0\r\n\r\n"),
        format!("{chunked}fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        format!("{chunked}3\r\nabcdef\r\n0\r\n\r\n"),
        format!("{start}transfer-encoding: gzip\r\n\r\nabc"),
        format!("{start}x: {}\r\n\r\n", "y".repeat(100_000)),
        format!("{start}{}\r\n", "x: y\r\n".repeat(2_000)),
    ];
    for request in requests {
        let mut stream = hub.connect();
        drop(stream.write_all(request.as_bytes()));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let status = Answer::read(stream).status;
        let shown: String = request.chars().take(120).collect();
        assert!((400..500).contains(&status), "{status}: {shown:?}");
    }
    is_well(&stage, &hub);
}

#[test]
fn a_body_that_stalls_or_trickles_is_given_up() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "timeout = \"700ms\"");
    let mut stalls = hub.connect();
    stalls
        .write_all(&head("POST", "/ingest", &[KEY], 9))
        .unwrap();
    let mut trickles = hub.connect();
    let other = ["idempotency-key: other"];
    trickles
        .write_all(&head("POST", "/ingest", &other, 1_000_000))
        .unwrap();
    let started = Instant::now();
    while started.elapsed() < PATIENCE && trickles.write_all(b"x").is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(Answer::read(stalls).status, 408);
    until("both are counted", || {
        status(&stage)["routes"][0]["from"]["refused"]["too_slow"] == 2
    });
    is_well(&stage, &hub);
}

#[test]
fn connections_that_say_nothing_do_not_keep_others_out_for_ever() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "max_connections = 2");
    let mut silent = hub.connect();
    let mut begun = hub.connect();
    begun.write_all(b"POST /ingest HTTP/1.1\r\nhost:").unwrap();
    // The third waits until one of them is given up, then it is served.
    assert_eq!(hub.post(&[KEY], b"x").status, 202);
    for stream in [&mut silent, &mut begun] {
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        assert!(!rest.starts_with(b"HTTP/1.1 2"));
    }
}

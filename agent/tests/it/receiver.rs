//! `mainstay receive` stores each document once, and misbehaves exactly as it is told.

use crate::support::{Receiver, Running, Stage, mainstay, say, stored_in, until};
use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;

const KEY: &str = "idempotency-key: 0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";

fn status(receiver: &Receiver) -> Value {
    let (code, body) = receiver.ask("GET", "/status", &[], b"");
    assert_eq!(code, 200);
    serde_json::from_str(&body).unwrap()
}

#[test]
fn a_document_is_stored_once_and_a_repeat_is_answered_already_there() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let headers = [KEY, "mainstay-source: Pr%C3%BCfung%201.json"];
    let (code, body) = receiver.ask("POST", "/ingest", &headers, b"{}");
    assert_eq!(
        (code, body.contains("\"stored\":true")),
        (201, true),
        "{body}"
    );
    let (code, body) = receiver.ask("PUT", "/elsewhere", &headers, b"{}");
    assert_eq!(
        (code, body.contains("\"already_there\":true")),
        (200, true),
        "{body}"
    );
    assert_eq!(receiver.stored()["Prüfung 1.json"], b"{}");
    assert_eq!(status(&receiver)["stored"], 1);
    assert_eq!(status(&receiver)["duplicates"], 1);
    assert_eq!(status(&receiver)["bytes"], 2);
}

#[test]
fn what_is_stored_is_known_after_a_kill() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    assert_eq!(receiver.ask("POST", "/ingest/a.txt", &[KEY], b"one").0, 201);
    receiver.process.kill();
    let receiver = stage.receiver(&[]);
    assert_eq!(receiver.ask("POST", "/ingest/a.txt", &[KEY], b"one").0, 200);
    assert_eq!(receiver.stored()["a.txt"], b"one");
}

#[test]
fn the_same_key_with_other_content_is_refused_and_changes_nothing() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    assert_eq!(receiver.ask("POST", "/ingest/a.txt", &[KEY], b"one").0, 201);
    let (code, body) = receiver.ask("POST", "/ingest/a.txt", &[KEY], b"two");
    assert_eq!(
        (code, body.contains("other content")),
        (422, true),
        "{body}"
    );
    assert_eq!(receiver.stored()["a.txt"], b"one");
}

#[test]
fn a_request_that_cannot_be_a_document_is_refused_with_the_reason() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let refused = |headers: &[&str], status: u16, reason: &str| {
        let (code, body) = receiver.ask("POST", "/ingest", headers, b"abc");
        assert_eq!(
            (code, body.contains(reason)),
            (status, true),
            "{headers:?}: {code} {body}"
        );
    };
    refused(&[], 400, "Idempotency-Key is missing");
    refused(
        &["idempotency-key: ../../etc/passwd"],
        400,
        "letters, digits and single hyphens",
    );
    refused(&[KEY, "content-encoding: br"], 415, "gzip and zstd");
    refused(&[KEY, "content-encoding: gzip"], 400, "cannot be decoded");
    refused(
        &[KEY, "content-digest: sha-256=:AAAA:"],
        400,
        "Content-Digest",
    );
    let wrong = "content-digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    refused(&[KEY, wrong], 400, "damaged on the way");
    assert!(receiver.stored().is_empty());
    assert_eq!(receiver.ask("GET", "/ingest", &[], b"").0, 405);
}

#[test]
fn an_encoded_document_is_stored_as_it_was_before() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let body = b"part;result\n".repeat(100);
    let zstd = zstd::encode_all(&body[..], 3).unwrap();
    let headers = [KEY, "content-encoding: zstd", "mainstay-source: a.csv"];
    assert_eq!(receiver.ask("POST", "/ingest", &headers, &zstd).0, 201);
    assert_eq!(receiver.stored()["a.csv"], body);
}

#[test]
fn a_body_that_breaks_off_leaves_nothing_behind() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let mut stream = TcpStream::connect(&receiver.address).unwrap();
    let head = format!(
        "POST /ingest HTTP/1.1\r\nhost: r\r\ncontent-length: 100\r\n{KEY}\r\n\r\nonly this much"
    );
    stream.write_all(head.as_bytes()).unwrap();
    drop(stream);
    until("the broken request is counted", || {
        status(&receiver)["refused"] == 1
    });
    assert!(receiver.stored().is_empty());
    assert_eq!(receiver.ask("POST", "/ingest", &[KEY], b"whole").0, 201);
    let hidden = std::fs::read_dir(stage.path("store")).unwrap().count();
    assert_eq!(
        hidden, 2,
        "the document and the lock, and no unfinished file"
    );
}

#[test]
fn of_many_requests_with_one_key_one_stores_and_the_others_hear_of_it() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let codes: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| receiver.ask("POST", "/ingest", &[KEY], b"one").0))
            .collect();
        asking
            .into_iter()
            .map(|asking| asking.join().unwrap())
            .collect()
    });
    assert_eq!(
        codes.iter().filter(|code| **code == 201).count(),
        1,
        "{codes:?}"
    );
    assert_eq!(
        codes.iter().filter(|code| **code == 200).count(),
        15,
        "{codes:?}"
    );
}

#[test]
fn faults_come_as_they_were_ordered() {
    let stage = Stage::new();
    let receiver = stage.receiver(&["--fail", "429:1", "--retry-after", "1500ms"]);
    let mut stream = TcpStream::connect(&receiver.address).unwrap();
    let request = format!(
        "POST /ingest HTTP/1.1\r\nhost: r\r\nconnection: close\r\ncontent-length: 1\r\n{KEY}\r\n\r\nx"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let answer = std::io::read_to_string(stream).unwrap().to_lowercase();
    assert!(
        answer.starts_with("http/1.1 429 ") && answer.contains("\r\nretry-after: 2\r\n"),
        "{answer}"
    );
    drop(receiver);

    let receiver = stage.receiver(&["--reset", "1", "--seed", "3"]);
    let keys = (0..20).map(|number| format!("idempotency-key: {number}"));
    assert!(
        keys.into_iter()
            .all(|key| receiver.ask("POST", "/ingest", &[&key], b"x").0 == 0),
        "no answer at all"
    );
    let stored = stored_in(&stage.path("store")).len();
    assert!(
        (1..20).contains(&stored),
        "about half was stored before the cut, not {stored}"
    );
}

#[test]
fn a_receiver_that_is_down_refuses_connections_and_comes_back_at_its_address() {
    let stage = Stage::new();
    // Longer than a busy machine takes from here to the next line.
    let receiver = stage.receiver(&["--down-for", "5s"]);
    assert!(TcpStream::connect(&receiver.address).is_err());
    until("it is back", || {
        TcpStream::connect(&receiver.address).is_ok()
    });
    assert_eq!(receiver.ask("POST", "/ingest", &[KEY], b"x").0, 201);
}

#[test]
fn it_stops_in_order_also_while_requests_hang() {
    let stage = Stage::new();
    let receiver = stage.receiver(&["--hang", "1"]);
    let mut hanging = TcpStream::connect(&receiver.address).unwrap();
    hanging
        .write_all(format!("POST /ingest HTTP/1.1\r\nhost: r\r\n{KEY}\r\n\r\n").as_bytes())
        .unwrap();
    receiver.process.signal("TERM");
    assert_eq!(receiver.process.end(), Some(0));
}

#[test]
fn a_second_receiver_on_one_store_is_refused() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let said =
        say(mainstay(&["receive", "--listen", "127.0.0.1:0", "--store"]).arg(stage.path("store")));
    assert_eq!(said.code, Some(34));
    assert!(
        said.err.starts_with("error: cannot use the store"),
        "{}",
        said.err
    );
    assert!(
        said.err
            .contains(&format!("process {}", receiver.process.pid())),
        "{}",
        said.err
    );
}

#[test]
fn an_address_that_is_taken_is_told() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let mut command = mainstay(&["receive", "--listen", &receiver.address, "--store"]);
    let said = say(command.arg(stage.path("other")));
    assert_eq!(said.code, Some(40));
    assert!(
        said.err
            .contains(&format!("cannot listen on {}", receiver.address)),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("help: choose another address"),
        "{}",
        said.err
    );
}

#[test]
fn shares_that_make_no_sense_are_a_usage_error() {
    let stage = Stage::new();
    for flags in [
        &["--fail", "503"][..],
        &["--fail", "200:1"],
        &["--hang", "2"],
        &["--hang", "0.6", "--reset", "0.6"],
    ] {
        let mut command = mainstay(&["receive", "--listen", "127.0.0.1:0", "--store"]);
        let said = say(command.arg(stage.path("store")).args(flags));
        assert_eq!(said.code, Some(2), "{flags:?}: {said:?}");
    }
}

#[test]
fn it_ends_with_the_process_it_was_tied_to() {
    let stage = Stage::new();
    let said =
        say(mainstay(&["receive", "--with-parent", "1", "--store"]).arg(stage.path("store")));
    assert_eq!(said.code, Some(2), "{said:?}");

    // A shell in between: when it is killed, the receiver goes with it.
    let command = format!(
        "{} receive --listen 127.0.0.1:0 --store {} --ready-file {} --with-parent $$; :",
        env!("CARGO_BIN_EXE_mainstay"),
        stage.text("store"),
        stage.text("ready")
    );
    let shell = Running::start(
        std::process::Command::new("sh").args(["-c", &command]),
        stage.path("shell.log"),
    );
    until("the receiver is ready", || stage.path("ready").exists());
    let address = std::fs::read_to_string(stage.path("ready")).unwrap();
    shell.kill();
    until("the receiver has ended", || {
        TcpStream::connect(address.trim()).is_err()
    });
}

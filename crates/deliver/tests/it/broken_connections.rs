//! D1: no connection holds the destination; one that breaks leaves everything open.

use crate::support::{document, http, reason, soon, until};
use mainstay_clock::ManualClock;
use mainstay_deliver::{Cause, Content, Destination, Http, HttpConfig, Outcome};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;

async fn outcome_of(reaction: Reaction) -> Outcome {
    let server = FaultyServer::start(move |_, _| reaction.clone())
        .await
        .unwrap();
    soon(
        "the outcome",
        http(&server.url("/in")).send(document(b"{}")),
    )
    .await
}

fn assert_retry(outcome: &Outcome) {
    assert!(
        matches!(outcome, Outcome::Retry { after: None, .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_connection_that_is_reset_or_closed_without_an_answer_is_tried_again() {
    for reaction in [Reaction::Reset, Reaction::Close] {
        let outcome = outcome_of(reaction).await;
        assert_retry(&outcome);
        assert!(
            reason(&outcome).contains("broke before it answered"),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_no_answer() {
    for cut in [
        &b"HTTP/1.1 200 OK\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 401 X\r\nContent-Length: 100\r\n\r\nabc",
    ] {
        assert_retry(&outcome_of(Reaction::Raw(cut.to_vec())).await);
    }
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    for nonsense in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"\x16\x03\x01\x00\x00\xff\xfe\x00",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 xx OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
        b"",
    ] {
        let outcome = outcome_of(Reaction::Raw(nonsense.to_vec())).await;
        assert!(
            matches!(outcome, Outcome::Retry { .. }),
            "{}: {outcome:?}",
            nonsense.escape_ascii()
        );
    }
}

#[tokio::test]
async fn a_status_that_http_does_not_define_is_tried_again() {
    for answer in [
        &b"HTTP/1.1 600 What\r\nContent-Length: 0\r\n\r\n"[..],
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ] {
        assert_retry(&outcome_of(Reaction::Raw(answer.to_vec())).await);
    }
}

/// Sends to a server that falls silent, and lets the time pass that it may be silent for.
async fn silent_for_a_minute(reaction: Reaction) -> Outcome {
    let clock = ManualClock::new();
    let server = FaultyServer::start(move |_, _| reaction.clone())
        .await
        .unwrap();
    let http = Http::new(&HttpConfig::new(server.url("/in")), Arc::new(clock.clone())).unwrap();
    let sending = tokio::spawn(async move { http.send(document(b"{}")).await });
    soon("the request", server.conversation().wait_for(1)).await;
    clock.advance(Duration::from_secs(59));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!sending.is_finished());
    clock.advance(Duration::from_secs(1));
    soon("the timeout", sending).await.unwrap()
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_a_minute() {
    let outcome = silent_for_a_minute(Reaction::Hang).await;
    assert_retry(&outcome);
    assert!(
        reason(&outcome).contains("gave no answer within 60 s"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_is_given_up_after_a_minute() {
    for start in [
        &b"HTTP/1.1 200"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
    ] {
        assert_retry(&silent_for_a_minute(Reaction::RawThenHang(start.to_vec())).await);
    }
}

#[tokio::test]
async fn a_large_body_that_nobody_takes_is_given_up_a_minute_after_it_stopped_moving() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let clock = ManualClock::new();
    let http = Http::new(&HttpConfig::new(url), Arc::new(clock.clone())).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![7; 64 * 1024 * 1024]).unwrap();
    let mut large = document(b"");
    large.hash = None;
    large.body = Content::File(file, 64 * 1024 * 1024);
    let sending = tokio::spawn(async move { http.send(large).await });
    let (mut taken, _) = soon("the connection", listener.accept()).await.unwrap();
    soon("the head", taken.read_exact(&mut [0; 64]))
        .await
        .unwrap();
    // Every time the clock moves, the attempt looks whether a piece went since; it cannot for ever, with a full socket.
    until("the attempt is given up", || {
        clock.advance(Duration::from_secs(61));
        sending.is_finished()
    })
    .await;
    assert_retry(&sending.await.unwrap());
    drop(taken);
}

#[tokio::test]
async fn a_port_where_nobody_listens_holds_the_destination() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/in?token=s3cr3t", listener.local_addr().unwrap());
    drop(listener);
    let outcome = http(&url).send(document(b"{}")).await;
    assert!(
        matches!(
            outcome,
            Outcome::Hold {
                cause: Cause::Unreachable,
                after: None,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert!(
        reason(&outcome).contains("cannot connect to") && reason(&outcome).contains("refused"),
        "{outcome:?}"
    );
    assert!(!reason(&outcome).contains("s3cr3t"), "{outcome:?}");
}

/// A label of 64 characters cannot be in the name service, so that the system says no without asking the network.
#[tokio::test]
async fn a_name_that_is_not_known_holds_the_destination() {
    let outcome = soon(
        "the outcome",
        http(&format!("http://{}.invalid/in", "a".repeat(64))).send(document(b"{}")),
    )
    .await;
    assert!(
        matches!(
            outcome,
            Outcome::Hold {
                cause: Cause::Unreachable,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert!(
        reason(&outcome).contains("cannot find the host")
            && reason(&outcome).contains("check the name"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_holds_the_destination_after_five_seconds() {
    // A listener whose waiting line is full lets every further connection wait.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = tokio::time::timeout(
        Duration::from_millis(300),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 1000, "the line is never full here");
    }
    let clock = ManualClock::new();
    let http = Http::new(
        &HttpConfig::new(format!("http://{address}/in")),
        Arc::new(clock.clone()),
    )
    .unwrap();
    let sending = tokio::spawn(async move { http.send(document(b"{}")).await });
    until("the connection is given up", || {
        clock.advance(Duration::from_secs(1));
        sending.is_finished()
    })
    .await;
    let outcome = sending.await.unwrap();
    assert!(
        matches!(
            outcome,
            Outcome::Hold {
                cause: Cause::Unreachable,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert!(reason(&outcome).contains("within 5s"), "{outcome:?}");
}

#[tokio::test]
async fn the_address_of_cloud_credentials_is_refused() {
    for url in [
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
    ] {
        let message = Http::new(&HttpConfig::new(url), crate::support::clock())
            .unwrap_err()
            .to_string();
        assert!(message.contains("link-local"), "{message}");
    }
    // Written as one number it is a name to us; the system's resolver makes the address of it.
    let outcome = soon(
        "the outcome",
        http("http://2852039166/latest").send(document(b"{}")),
    )
    .await;
    assert!(
        matches!(&outcome, Outcome::Hold { reason, .. } if reason.contains("link-local address 169.254.169.254")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_costs_no_attempt() {
    let server = FaultyServer::start(|_, _| {
        Reaction::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())
    })
    .await
    .unwrap();
    let http = http(&server.url("/in"));
    for _ in 0..50 {
        assert_eq!(http.send(document(b"{}")).await, Outcome::Delivered);
    }
}

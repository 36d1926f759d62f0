//! Whether there is a network, told by what attempts met.

use crate::support::{clock, document, soon};
use bytes::Bytes;
use mainstay_deliver::{Content, Destination, Http, HttpConfig, Outcome};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use mainstay_wire::{Connectivity, Host, State, Why};
use std::sync::Arc;
use std::time::Duration;

/// A destination that tells `connectivity`.
fn telling(connectivity: &Arc<Connectivity>, url: &str) -> Http {
    let mut config = HttpConfig::new(url);
    config.connectivity = Some(Arc::clone(connectivity));
    Http::new(&config, clock()).unwrap()
}

fn known() -> Arc<Connectivity> {
    Arc::new(Connectivity::new(clock()))
}

/// How the host and the network stand after one document to it.
fn standing(connectivity: &Connectivity, http: &Http) -> (Host, State, Why) {
    let network = connectivity.network();
    let host = connectivity.host(http.host().unwrap());
    (host, network.state, network.why)
}

const ONLINE: (Host, State, Why) = (Host::Reachable, State::Online, Why::Reached);
const DOWN: (Host, State, Why) = (Host::Down, State::Unknown, Why::OneHostDown);
const PORTAL: (Host, State, Why) = (Host::Down, State::Offline, Why::CaptivePortal);
const NOTHING: (Host, State, Why) = (Host::Unknown, State::Unknown, Why::NothingKnown);

#[tokio::test]
async fn what_an_attempt_met_says_whether_the_network_leads_there() {
    let away = || Reaction::answer(302).header("Location", "http://portal.example/login");
    let cut = |head: &str| Reaction::Raw(format!("HTTP/1.1 {head}\r\n\r\nhalf").into());
    for (reaction, expected) in [
        (Reaction::answer(201), ONLINE),
        // Whoever refuses is there, and whoever fails too.
        (Reaction::answer(401), ONLINE),
        (Reaction::answer(422), ONLINE),
        (Reaction::answer(503), ONLINE),
        (cut("200 OK\r\nContent-Length: 99"), ONLINE),
        (Reaction::answer(302).header("Location", "/other"), ONLINE),
        (away(), PORTAL),
        (Reaction::answer(511), PORTAL),
        (Reaction::Close, DOWN),
        (Reaction::Reset, DOWN),
        (Reaction::Raw("no HTTP at all\r\n\r\n".into()), DOWN),
    ] {
        let said = format!("{reaction:?}");
        let server = FaultyServer::start(move |_, _| reaction.clone())
            .await
            .unwrap();
        let connectivity = known();
        let http = telling(&connectivity, &server.url("/in"));
        drop(soon("the outcome", http.send(document(b"{}"))).await);
        assert_eq!(standing(&connectivity, &http), expected, "{said}");

        // A look without a document is told the same way.
        let connectivity = known();
        let http = telling(&connectivity, &server.url("/in"));
        soon("the probe", http.probe()).await;
        assert_eq!(standing(&connectivity, &http), expected, "HEAD: {said}");
    }
}

#[tokio::test]
async fn two_hosts_without_a_way_are_the_network_and_two_that_refuse_are_not() {
    let refused = || {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        format!("http://{}/in", listener.local_addr().unwrap())
    };
    let nameless = |letter: &str| format!("http://{}.invalid/in", letter.repeat(64));
    for (urls, state, why) in [
        ([refused(), refused()], State::Unknown, Why::OneHostDown),
        (
            [nameless("a"), nameless("a")],
            State::Unknown,
            Why::OneHostDown,
        ),
        (
            [nameless("a"), nameless("b")],
            State::Offline,
            Why::SeveralHostsDown,
        ),
    ] {
        let connectivity = known();
        for url in &urls {
            let http = telling(&connectivity, url);
            drop(soon("the outcome", http.send(document(b"{}"))).await);
            assert_eq!(connectivity.host(http.host().unwrap()), Host::Down);
        }
        let network = connectivity.network();
        assert_eq!((network.state, network.why), (state, why), "{urls:?}");
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_read_says_nothing_of_the_network() {
    let server = FaultyServer::start(|_, _| Reaction::Hang).await.unwrap();
    let connectivity = known();
    let http = telling(&connectivity, &server.url("/in"));
    let mut damaged = document(b"{}");
    damaged.body = Content::Bytes(Bytes::from_static(b"[]"));
    let outcome = soon("the outcome", http.send(damaged)).await;
    assert!(matches!(outcome, Outcome::Unsendable { .. }), "{outcome:?}");
    assert_eq!(standing(&connectivity, &http), NOTHING);

    // A file that is shorter than it was: found only while it is sent.
    let mut short = document(b"{}");
    short.body = Content::File(tempfile::tempfile().unwrap(), 1 << 20);
    let outcome = soon("the outcome", http.send(short)).await;
    assert!(!matches!(outcome, Outcome::Hold { .. }), "{outcome:?}");
    assert_eq!(standing(&connectivity, &http), NOTHING);
}

#[tokio::test]
async fn a_server_that_had_less_time_than_a_connection_takes_may_be_slow_and_nothing_else() {
    let server = FaultyServer::start(|_, _| Reaction::Hang).await.unwrap();
    let connectivity = known();
    let mut config = HttpConfig::new(server.url("/in"));
    config.connectivity = Some(Arc::clone(&connectivity));
    config.timeout = Duration::from_millis(200);
    let http = Http::new(&config, clock()).unwrap();
    let outcome = soon("the outcome", http.send(document(b"{}"))).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert_eq!(standing(&connectivity, &http), NOTHING);
}

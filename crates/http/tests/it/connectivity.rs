//! Whether there is a network, told by what requests met.

use crate::support::{SECOND, asked, client, get, server, settings, soon};
use mainstay_clock::ManualClock;
use mainstay_http::{
    Client, Connectivity, ErrorKind, Expect, Fact, Host, Network, Probe, State, Why,
};
use mainstay_testkit::faulty_server::Reaction;
use std::sync::Arc;
use std::time::Duration;

enum Step {
    Met(&'static str, Fact),
    Link(bool),
    Pass(u64),
}

use Fact::{Lost, NoNetwork, Portal, Reached, Refused};
use State::{Offline, Online, Unknown};
use Step::{Link, Met, Pass};

fn after(steps: &[Step]) -> (State, Why) {
    let clock = ManualClock::new();
    let connectivity = Connectivity::new(Arc::new(clock.clone()));
    let told = connectivity.subscribe();
    for step in steps {
        match step {
            Met(host, fact) => connectivity.note(host, *fact),
            Link(is_up) => connectivity.link_changed(*is_up),
            Pass(seconds) => clock.advance(SECOND * *seconds as u32),
        }
    }
    let network = connectivity.network();
    assert_eq!(*told.borrow(), network, "whoever subscribed knows it too");
    (network.state, network.why)
}

const TABLE: &[(&[Step], State, Why)] = &[
    (&[], Unknown, Why::NothingKnown),
    (&[Met("a", Reached)], Online, Why::Reached),
    (&[Met("a", Reached), Pass(30)], Online, Why::Reached),
    (&[Met("a", Reached), Pass(31)], Unknown, Why::NothingKnown),
    // One host, however often, says nothing of the network.
    (&[Met("a", Lost)], Unknown, Why::OneHostDown),
    (&[Met("a", Lost), Met("a", Lost)], Unknown, Why::OneHostDown),
    (&[Met("a", Lost), Pass(31)], Unknown, Why::NothingKnown),
    (
        &[Met("b", Reached), Met("a", Lost)],
        Online,
        Why::OneHostDown,
    ),
    (&[Met("a", Lost), Met("b", Reached)], Online, Why::Reached),
    (&[Met("a", Lost), Met("a", Reached)], Online, Why::Reached),
    // Who refuses is there; so is the network up to it.
    (&[Met("a", Refused)], Unknown, Why::OneHostDown),
    (
        &[Met("a", Refused), Met("b", Refused)],
        Unknown,
        Why::OneHostDown,
    ),
    (
        &[Met("a", Refused), Met("b", Lost)],
        Unknown,
        Why::OneHostDown,
    ),
    // Two that cannot be reached are the network, until one answers.
    (
        &[Met("a", Lost), Met("b", Lost)],
        Offline,
        Why::SeveralHostsDown,
    ),
    (
        &[Met("a", Reached), Met("a", Lost), Met("b", Lost)],
        Offline,
        Why::SeveralHostsDown,
    ),
    // While another one answers, they are not.
    (
        &[Met("c", Reached), Met("a", Lost), Met("b", Lost)],
        Online,
        Why::SeveralHostsDown,
    ),
    (
        &[
            Met("c", Reached),
            Met("a", Lost),
            Met("b", Lost),
            Met("c", Lost),
        ],
        Offline,
        Why::SeveralHostsDown,
    ),
    (
        &[Met("c", Reached), Pass(60), Met("a", Lost), Met("b", Lost)],
        Unknown,
        Why::SeveralHostsDown,
    ),
    (
        &[Met("c", Reached), Pass(61), Met("a", Lost), Met("b", Lost)],
        Offline,
        Why::SeveralHostsDown,
    ),
    (
        &[Met("a", Lost), Met("b", Lost), Met("c", Reached)],
        Online,
        Why::Reached,
    ),
    (
        &[Met("a", Lost), Pass(31), Met("b", Lost)],
        Unknown,
        Why::OneHostDown,
    ),
    (
        &[Met("a", Lost), Met("b", Lost), Pass(31)],
        Unknown,
        Why::NothingKnown,
    ),
    // The system knows.
    (&[Met("a", NoNetwork)], Offline, Why::NoNetwork),
    (
        &[Met("a", Reached), Met("a", NoNetwork)],
        Offline,
        Why::NoNetwork,
    ),
    (
        &[Met("a", NoNetwork), Met("b", Reached)],
        Online,
        Why::Reached,
    ),
    (&[Met("a", NoNetwork), Pass(31)], Unknown, Why::NothingKnown),
    // Something answers for others.
    (&[Met("a", Portal)], Offline, Why::CaptivePortal),
    (
        &[Met("a", Portal), Met("b", Lost), Met("c", Lost)],
        Offline,
        Why::CaptivePortal,
    ),
    (&[Met("a", Portal), Met("a", Reached)], Online, Why::Reached),
    // Hints of the link.
    (&[Link(false)], Offline, Why::LinkDown),
    (&[Link(false), Pass(3600)], Offline, Why::LinkDown),
    (&[Met("a", Reached), Link(false)], Offline, Why::LinkDown),
    (&[Link(false), Met("a", Reached)], Online, Why::Reached),
    (&[Link(false), Met("a", NoNetwork)], Offline, Why::LinkDown),
    (&[Link(false), Link(true)], Unknown, Why::NothingKnown),
    (
        &[Met("a", Reached), Link(false), Link(true)],
        Unknown,
        Why::NothingKnown,
    ),
    (
        &[Met("a", Lost), Met("b", Lost), Link(true)],
        Unknown,
        Why::NothingKnown,
    ),
    (&[Met("a", Reached), Link(true)], Online, Why::Reached),
];

#[test]
fn the_truth_table_holds() {
    for (row, (steps, state, why)) in TABLE.iter().enumerate() {
        assert_eq!(after(steps), (*state, *why), "row {row}");
    }
}

#[test]
fn a_jump_of_the_date_changes_nothing() {
    let clock = ManualClock::new();
    let connectivity = Connectivity::new(Arc::new(clock.clone()));
    connectivity.note("a", Reached);
    clock.set_wall(u64::MAX);
    assert_eq!(connectivity.state(), State::Online);
    clock.set_wall(0);
    assert_eq!(connectivity.state(), State::Online);
}

#[test]
fn a_probe_is_wanted_when_nothing_is_fresh_and_of_many_who_ask_by_one() {
    let clock = ManualClock::new();
    let connectivity = Connectivity::new(Arc::new(clock.clone()));
    let wanted = || (0..100).filter(|_| connectivity.wants_probe()).count();
    assert_eq!(wanted(), 1);
    clock.advance(31 * SECOND);
    assert_eq!(wanted(), 1, "and again after a while");
    connectivity.note("a", Lost);
    clock.advance(29 * SECOND);
    assert_eq!(wanted(), 0, "what is fresh is good enough");
    connectivity.link_changed(false);
    connectivity.link_changed(true);
    assert_eq!(wanted(), 1, "a new network is asked at once");
}

#[test]
fn hosts_are_told_apart_and_only_so_many_are_remembered() {
    let clock = ManualClock::new();
    let connectivity = Connectivity::new(Arc::new(clock.clone()));
    connectivity.note("a", Reached);
    connectivity.note("b", Refused);
    assert_eq!(connectivity.host("a"), Host::Reachable);
    assert_eq!(connectivity.host("b"), Host::Down);
    assert_eq!(connectivity.host("c"), Host::Unknown);
    for number in 0..255 {
        connectivity.note(&format!("h{number}"), Reached);
    }
    assert_eq!(connectivity.host("a"), Host::Unknown);
    assert_eq!(connectivity.host("b"), Host::Down);
    clock.advance(31 * SECOND);
    assert_eq!(connectivity.host("b"), Host::Unknown);
}

#[tokio::test]
async fn requests_tell_by_themselves_and_only_changes_are_told() {
    let good = server(|_, number| Reaction::answer(if number < 5 { 200 } else { 500 })).await;
    let mut settings = settings();
    settings.retry.attempts = 1;
    let client = client(settings);
    let mut told = client.connectivity().subscribe();
    for _ in 0..6 {
        drop(client.get(&good.url("/")).send().await);
    }
    let online = Network {
        state: State::Online,
        why: Why::Reached,
    };
    assert_eq!(
        *told.borrow_and_update(),
        online,
        "also a server that fails was reached"
    );
    assert!(!told.has_changed().unwrap());
    let host = format!("http://{}", good.address());
    assert_eq!(client.connectivity().host(&host), Host::Reachable);

    let dns = get(&client, "http://host.invalid/").await;
    assert_eq!(dns, Err(ErrorKind::Dns));
    assert_eq!(client.connectivity().network().why, Why::OneHostDown);
    assert_eq!(
        get(&client, "http://other.invalid/").await,
        Err(ErrorKind::Dns)
    );
    let several_down = |state| Network {
        state,
        why: Why::SeveralHostsDown,
    };
    assert_eq!(*told.borrow_and_update(), several_down(State::Online));
    assert_eq!(asked(&good), 6, "nothing was sent to find out");

    let url = good.url("/");
    drop(good);
    assert!(get(&client, &url).await.is_err(), "it is gone");
    assert_eq!(*told.borrow_and_update(), several_down(State::Offline));
}

/// What a probe finds that is answered so.
async fn probed(expect: Expect, reaction: Reaction) -> (State, Why) {
    let server = server(move |_, _| reaction.clone()).await;
    let probe = Probe {
        url: server.url("/alive"),
        expect,
    };
    let found = soon("it", client(settings()).probe(&probe)).await.unwrap();
    (found.state, found.why)
}

#[tokio::test]
async fn a_captive_portal_is_told_from_a_host_that_is_down() {
    let online = (State::Online, Why::Reached);
    let portal = (State::Offline, Why::CaptivePortal);
    let down = (State::Unknown, Why::OneHostDown);
    let page = || Reaction::answer(200).body("<html>log in");
    let to = |location| Reaction::answer(302).header("Location", location);
    let body = || Expect::Body("alive".into());
    let cut =
        |body| Reaction::Raw(format!("HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{body}").into());
    for (expect, reaction, found) in [
        (Expect::Anything, Reaction::answer(200), online),
        (Expect::Anything, Reaction::answer(404), online),
        (Expect::Anything, Reaction::answer(503), online),
        (Expect::Anything, to("/login"), online),
        (Expect::Anything, to("http://portal.example/login"), portal),
        (Expect::Anything, Reaction::answer(511), portal),
        (Expect::Status(204), Reaction::answer(204), online),
        (Expect::Status(204), page(), portal),
        (Expect::Status(204), Reaction::answer(500), online),
        (body(), Reaction::answer(200).body("alive"), online),
        (body(), page(), portal),
        (body(), Reaction::answer(200).body("alive and more"), portal),
        (body(), Reaction::answer(200).body("ali"), portal),
        // What broke off said nothing of who it was.
        (body(), cut("alive"), down),
        (body(), cut("ali"), down),
        (body(), cut("<html>"), portal),
        (Expect::Anything, Reaction::Close, down),
    ] {
        let said = format!("{expect:?} {reaction:?}");
        assert_eq!(probed(expect, reaction).await, found, "{said}");
    }
}

#[tokio::test]
async fn a_probe_passes_an_open_breaker_and_repairs_nothing_by_itself() {
    let server = server(|_, number| Reaction::answer(if number < 5 { 500 } else { 204 })).await;
    let mut settings = settings();
    settings.retry.attempts = 1;
    let client = Client::new(settings, Arc::new(ManualClock::new())).unwrap();
    for _ in 0..5 {
        assert_eq!(
            get(&client, &server.url("/")).await,
            Err(ErrorKind::Status(500))
        );
    }
    let probe = Probe {
        url: server.url("/"),
        expect: Expect::Status(204),
    };
    let found = soon("it", client.probe(&probe)).await.unwrap();
    assert_eq!(found.state, State::Online);
    assert_eq!(
        get(&client, &server.url("/")).await,
        Err(ErrorKind::BreakerOpen)
    );
    let wrong = Probe {
        url: "ftp://h/".into(),
        expect: Expect::Anything,
    };
    assert_eq!(
        client.probe(&wrong).await.unwrap_err().kind(),
        ErrorKind::Url
    );
}

#[tokio::test]
async fn that_a_caller_waits_only_a_moment_says_nothing_of_the_network() {
    let silent = server(|_, _| Reaction::Hang).await;
    let client = client(settings());
    let impatient = client
        .get(&silent.url("/"))
        .timeout(Duration::from_millis(50));
    let error = soon("it", impatient.send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TotalTimeout);
    assert_eq!(client.connectivity().network().why, Why::NothingKnown);
}

/// Somebody who only asked could tell, after it, what was so before the last fact.
#[test]
fn what_was_told_last_is_what_is_so() {
    let connectivity = Connectivity::new(Arc::new(ManualClock::new()));
    let told = connectivity.subscribe();
    for round in 0..2_000 {
        let fact = if round % 2 == 0 { Reached } else { NoNetwork };
        let start = std::sync::Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..20 {
                        connectivity.network();
                    }
                });
            }
            start.wait();
            connectivity.note("a", fact);
        });
        let last = *told.borrow();
        assert_eq!(last, connectivity.network(), "round {round}");
    }
}

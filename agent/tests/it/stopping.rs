//! A stop finishes within its grace, and a second one at once; nothing is lost either way.

use crate::support::{Stage, say, until};
use std::time::{Duration, Instant};

#[test]
fn an_idle_agent_stops_at_once_and_cleanly() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let dropped = stage.drop_files("a", 10);
    let agent = stage.agent(&receiver.url(), &[]);
    until("all have arrived", || {
        receiver.stored() == dropped && stage.ledger("queued") == 0
    });
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    assert!(!stage.path("data/control.sock").exists());
    assert_eq!(stage.ledger("delivered"), 10);
}

/// Its grace is half a second; without one they would hang for longer than the test waits for the end.
#[test]
fn deliveries_that_do_not_end_are_given_up_after_the_grace_and_sent_again_later() {
    let stage = Stage::new();
    let receiver = stage.receiver(&["--hang", "1"]);
    let dropped = stage.drop_files("a", 3);
    let agent = stage.agent(&receiver.url(), &["--grace", "500ms"]);
    until("documents are in flight", || {
        stage.json(&["status"])["routes"][0]["to"][0]["in_flight"] == 3
    });
    let asked = Instant::now();
    agent.signal("INT");
    assert_eq!(agent.end(), Some(75));
    assert!(
        asked.elapsed() > Duration::from_millis(400),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(stage.ledger("queued"), 3);
    drop(receiver);
    let receiver = stage.receiver(&[]);
    assert_eq!(
        say(&mut stage.run(&receiver.url(), &["--until-empty"])).code,
        Some(0)
    );
    assert!(receiver.stored() == dropped);
}

#[test]
fn a_second_signal_stops_at_once() {
    let stage = Stage::new();
    let receiver = stage.receiver(&["--hang", "1"]);
    stage.drop_files("a", 3);
    let agent = stage.agent(&receiver.url(), &["--grace", "1h"]);
    until("documents are in flight", || {
        stage.json(&["status"])["routes"][0]["to"][0]["in_flight"] == 3
    });
    agent.signal("TERM");
    until("it is stopping", || {
        stage.json(&["status"])["state"] == "stopping"
    });
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(75));
    assert_eq!(stage.ledger("queued"), 3);
}

#[test]
fn an_agent_that_waits_for_a_dead_destination_can_be_stopped() {
    let stage = Stage::new();
    stage.drop_files("a", 3);
    let agent = stage.agent("http://127.0.0.1:1/ingest", &["--until-empty"]);
    until("the destination is held", || {
        stage.json(&["status"])["routes"][0]["to"][0]["state"] == "held"
    });
    until("the log says so", || agent.log().contains("held"));
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    assert_eq!(stage.ledger("queued"), 3);
}

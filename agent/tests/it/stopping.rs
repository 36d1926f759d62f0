//! A stop finishes within its grace, and a second one at once; nothing is lost either way.

use crate::support::{Receiver, Running, Stage, say, until};
use serde_json::Value;
use std::time::{Duration, Instant};

/// An agent that has handed all that was dropped to a receiver which does not answer, and stops with this grace.
fn with_all_in_flight(stage: &Stage, documents: u32, grace: &str) -> (Receiver, Running) {
    let receiver = stage.receiver(&["--hang", "1"]);
    let agent = stage.agent(&receiver.url(), &["--grace", grace]);
    until("documents are in flight", || {
        stage.json(&["status"])["routes"][0]["to"][0]["in_flight"] == documents
    });
    (receiver, agent)
}

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
    let dropped = stage.drop_files("a", 3);
    let (receiver, agent) = with_all_in_flight(&stage, 3, "500ms");
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

/// It stood in the log alone, where a person who waits for the stop does not look.
#[test]
fn a_stop_that_waits_is_shown_with_its_phase_and_what_is_still_running_and_for_how_long() {
    let stage = Stage::new();
    stage.drop_files("a", 3);
    let (_receiver, agent) = with_all_in_flight(&stage, 3, "1h");
    let status = stage.json(&["status"]);
    assert!(status["stop"].is_null(), "{status}");
    let lane = status["routes"][0]["to"][0]["lane"].clone();
    let lane = lane.as_str().unwrap();

    agent.signal("TERM");
    let stop = || stage.json(&["status"])["stop"].clone();
    until("it is told what it waits for", || {
        let remaining = stop()["remaining"].as_array().map_or(0, Vec::len);
        stop()["phase"] == "drain" && remaining == 1
    });
    let told = stop();
    let delivery = &told["remaining"][0];
    assert_eq!(delivery["who"], "the delivery", "{told}");
    assert_eq!(delivery["what"], format!("3 on `{lane}`"), "{told}");
    assert_eq!(told["limit_ms"], 3_600_200, "{told}");
    // The log tells it every five seconds; whoever asks sees the time that has passed now.
    let times = |told: &Value| {
        let (phase, one) = (&told["for_ms"], &told["remaining"][0]["for_ms"]);
        (phase.as_u64().unwrap(), one.as_u64().unwrap())
    };
    until("the time goes on", || {
        let (before, now) = (times(&told), times(&stop()));
        before.0 < now.0 && before.1 < now.1
    });
    assert_eq!(stop()["since"].as_str().map(str::len), Some(24), "{told}");

    let line = format!("the delivery still runs: 3 on `{lane}`, for ");
    let page = say(&mut stage.command(&["status"])).out;
    assert!(page.contains("what is under way finishes, for "), "{page}");
    assert!(page.contains("of at most 1h"), "{page}");
    assert!(page.contains(&line), "{page}");
    let book = say(&mut stage.command(&["runbook", "stuck-shutdown"])).out;
    assert!(book.contains(&line), "{book}");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(75));
}

#[test]
fn a_second_signal_stops_at_once() {
    let stage = Stage::new();
    stage.drop_files("a", 3);
    let (_receiver, agent) = with_all_in_flight(&stage, 3, "1h");
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

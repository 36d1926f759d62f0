//! A stop finishes within its grace, and a second one at once; nothing is lost either way.

use crate::health::Watched;
use crate::support::{Receiver, Running, Stage, say, until};
use mainstay_testkit::cutting_proxy::{Cut, CuttingProxy, Manner, Side};
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

/// They were computed and forgotten: whoever looked after a stop saw its whole time, and nothing of what became of the work.
#[test]
fn a_stop_that_is_over_is_told_with_its_phases_and_what_was_finished_given_up_and_left() {
    let stage = Stage::new();
    stage.drop_files("a", 3);
    let (_receiver, agent) = with_all_in_flight(&stage, 3, "500ms");
    agent.signal("TERM");
    let log = stage.text("agent.log");
    assert_eq!(agent.end(), Some(75));
    let log = std::fs::read_to_string(log).unwrap();
    let line = log.lines().rfind(|line| line.contains("took_ms="));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    for field in [
        "drain_ms=",
        "cancel_ms=",
        "clean_up_ms=",
        "completed=0",
        "cancelled=3",
        "left=3",
    ] {
        assert!(line.contains(field), "{field}: {line}");
    }

    let words = "; 0 finished, 3 given up, 3 left for the next start";
    let told = |status: &Value| {
        let report = &status["last_stop_report"];
        assert_eq!(report["outcome"], "clean", "{status}");
        let phases = report["phases"].as_array().unwrap();
        let names: Vec<&str> = { phases.iter() }
            .map(|phase| phase["phase"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["drain", "cancel", "clean_up"], "{report}");
        assert!(phases[0]["took_ms"].as_u64() >= Some(500), "{report}");
        let sums = serde_json::json!({"completed": 0, "cancelled": 3, "left": 3});
        assert_eq!(report["drained"], sums, "{report}");
        let last = status["last_stop"].as_str().unwrap();
        assert!(last.contains("(drain ") && last.ends_with(words), "{last}");
    };
    told(&stage.json(&["status"]));
    let port = crate::hubs::quiet_port();
    let config = format!(
        "[health]\nlisten = \"127.0.0.1:{port}\"\n[[route]]\nname = \"cli\"\n[route.to.http]\nurl = \"http://127.0.0.1:1/\"\n"
    );
    let agent = stage.start(&mut stage.configured(&config));
    told(&stage.json(&["status"]));
    let page = say(&mut stage.command(&["status"])).out;
    assert!(page.contains(words), "{page}");
    let metrics = Watched::of(stage, port, agent).get("/metrics").1;
    for line in [
        "mainstay_last_stop_phase_seconds{phase=\"drain\"} ",
        "mainstay_last_stop_work{became=\"completed\"} 0\n",
        "mainstay_last_stop_work{became=\"cancelled\"} 3\n",
        "mainstay_last_stop_work{became=\"left\"} 3\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
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

/// The receiver has the document, and its answer never comes: the stop neither waits for its whole grace nor takes it for delivered.
#[test]
fn a_network_that_drops_while_a_stop_waits_for_deliveries_ends_the_wait_and_loses_and_doubles_nothing()
 {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let server = receiver.address.parse().unwrap();
    let proxy = runtime.block_on(CuttingProxy::start(server)).unwrap();
    proxy.cut_next(Cut {
        side: Side::Answer,
        at: 0,
        manner: Manner::Hold,
    });
    let to = format!("http://{}/ingest", proxy.address());
    let agent = stage.agent(&to, &["--grace", "1h"]);
    stage.drop_file("one.csv", b"1");
    until("the receiver has it", || receiver.stored().len() == 1);
    runtime.block_on(proxy.until_it_holds());
    agent.signal("TERM");
    until("the stop waits for it", || {
        let stop = stage.json(&["status"])["stop"].clone();
        stop["phase"] == "drain" && stop.to_string().contains("1 on `")
    });
    // Nobody listens there any more, and the connection is gone.
    drop(proxy);
    runtime.shutdown_background();
    assert_eq!(agent.end(), Some(0));
    assert_eq!(stage.ledger("delivered"), 0);
    assert_eq!(stage.ledger("queued"), 1);

    let said = say(&mut stage.run(&receiver.url(), &["--until-empty"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(receiver.stored().len(), 1);
    assert_eq!(stage.ledger("delivered"), 1);
}

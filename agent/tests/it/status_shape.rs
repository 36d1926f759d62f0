//! The status has one shape, beside a running agent and without one, and its ledger balances.

use crate::support::{Stage, say, until};
use serde_json::Value;

fn assert_shape(status: &Value) {
    let ledger = &status["ledger"];
    let number = |name: &str| {
        ledger[name]
            .as_u64()
            .unwrap_or_else(|| panic!("ledger.{name} in {status}"))
    };
    let accounted = ["delivered", "queued", "dead", "discarded", "unreadable"]
        .map(number)
        .iter()
        .sum::<u64>();
    assert_eq!(number("accepted"), accounted, "{status}");
    assert_eq!(ledger["balanced"], true);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        status["data"].is_string() && status["queue"]["mode"] == "writable",
        "{status}"
    );
    assert_eq!(status["queue"]["damage"], Value::Array(Vec::new()));
    for route in status["routes"].as_array().unwrap() {
        assert!(route["name"].is_string());
        for to in route["to"].as_array().unwrap() {
            assert!(
                to["lane"].is_string() && to["state"].is_string() && to["in_flight"].is_u64(),
                "{to}"
            );
        }
    }
}

#[test]
fn it_has_the_same_shape_with_and_without_an_agent() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    stage.drop_files("a", 10);
    let agent = stage.agent(&receiver.url(), &[]);
    until("all are delivered", || stage.ledger("delivered") == 10);
    let running = stage.json(&["status"]);
    assert_shape(&running);
    assert_eq!(
        (&running["state"], &running["pid"]),
        (&"running".into(), &agent.pid().into())
    );
    assert_eq!(running["routes"][0]["from"]["state"], "watching");
    assert_eq!(running["routes"][0]["from"]["taken"], 10);
    assert_eq!(running["routes"][0]["to"][0]["address"], receiver.url());
    agent.kill();
    let stopped = stage.json(&["status"]);
    assert_shape(&stopped);
    assert_eq!(
        (&stopped["state"], &stopped["pid"]),
        (&"stopped".into(), &Value::Null)
    );
    assert_eq!(stopped["ledger"], running["ledger"]);
}

#[test]
fn the_page_for_people_says_what_is_wrong_and_where() {
    let stage = Stage::new();
    stage.drop_files("a", 2);
    let agent = stage.agent("http://127.0.0.1:1/ingest", &[]);
    until("the destination is held", || {
        stage.json(&["status"])["routes"][0]["to"][0]["state"] == "held"
    });
    let said = say(&mut stage.command(&["status"]));
    assert_eq!(said.code, Some(0));
    assert!(
        said.out.contains("running, and something needs attention"),
        "{}",
        said.out
    );
    assert!(
        said.out
            .contains("2 accepted = 0 delivered + 2 queued + 0 dead + 0 discarded"),
        "{}",
        said.out
    );
    assert!(
        said.out
            .contains("http://127.0.0.1:1/ingest  held (cannot be reached), 2 queued"),
        "{}",
        said.out
    );
    assert!(
        !said.out.contains('\x1b'),
        "no colours where nobody sees them: {:?}",
        said.out
    );
    drop(agent);
}

#[test]
fn a_drop_folder_that_vanishes_is_told_and_taken_up_again_when_it_returns() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let agent = stage.agent(&receiver.url(), &[]);
    std::fs::rename(stage.path("drop"), stage.path("away")).unwrap();
    until("it is told", || {
        stage.json(&["status"])["routes"][0]["from"]["state"] == "missing"
    });
    assert_eq!(stage.json(&["status"])["state"], "degraded");
    std::fs::rename(stage.path("away"), stage.path("drop")).unwrap();
    let dropped = stage.drop_files("a", 3);
    until("all have arrived", || receiver.stored() == dropped);
    drop(agent);
}

#[test]
fn without_a_data_folder_there_is_nothing_to_show() {
    let stage = Stage::new();
    let said = say(&mut stage.command(&["status"]));
    assert_eq!(said.code, Some(32));
    assert!(
        said.err.contains("error: no agent runs on the data folder"),
        "{}",
        said.err
    );
    assert!(!stage.path("data").exists(), "looking makes nothing");
}

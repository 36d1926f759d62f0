//! What the agent takes for what it does is held against what it may take, while it works.

use crate::health::Watched;
use crate::hubs::quiet_port;
use crate::support::{Stage, say, until};
use serde_json::Value;

/// What was measured of one operation.
fn measured(stage: &Stage, operation: &str) -> Value {
    let report = stage.json(&["status", "--budgets"]);
    let operations = report["operations"].as_array().unwrap();
    let found = operations.iter().find(|found| found["name"] == operation);
    found.unwrap_or_else(|| panic!("{report}")).clone()
}

/// How often it finished, and how often it failed.
fn ends(measured: &Value) -> (u64, u64) {
    let of = |number: usize| measured["outcomes"][number].as_u64().unwrap();
    (of(0), of(1))
}

#[test]
fn what_the_agent_takes_is_measured_against_its_budgets() {
    let home = Stage::new();
    // Slower than its target, and quicker than what counts as broken on any machine.
    let receiver = home.receiver(&["--delay", "300ms"]);
    let watched = Watched::start(&receiver.url(), "");
    let stage = &watched.stage;
    for name in ["1.csv", "2.csv", "3.csv"] {
        stage.drop_file(name, b"x");
    }
    until("all are delivered", || stage.ledger("delivered") == 3);
    until("the memory was looked at", || {
        ends(&measured(stage, "memory")).0 > 0
    });
    assert_eq!(ends(&measured(stage, "startup")), (1, 0));
    assert_eq!(ends(&measured(stage, "document")), (3, 0));
    let (batches, failed) = ends(&measured(stage, "intake"));
    assert!(
        (1..=3).contains(&batches) && failed == 0,
        "{batches} {failed}"
    );
    let before = ends(&measured(stage, "command")).0;
    stage.json(&["status"]);
    assert!(before < ends(&measured(stage, "command")).0);
    let resident = measured(stage, "memory")["most"]["bytes"].as_u64().unwrap();
    assert!((1 << 20..1 << 30).contains(&resident), "{resident}");

    let document = measured(stage, "document");
    let levels: Vec<u64> = document["levels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap())
        .collect();
    assert_eq!((levels[0], levels.iter().sum()), (0, 3), "{document}");
    assert!(
        document["recent"]["p50"]["ms"].as_f64().unwrap() >= 300.0,
        "{document}"
    );
    let page = say(&mut stage.command(&["status", "--budgets"]));
    assert_eq!(page.code, Some(0), "{page:?}");
    for words in [
        "operation",
        "startup",
        "command",
        "memory",
        "`document` took 3",
    ] {
        assert!(page.out.contains(words), "{words}: {page:?}");
    }
    let (_, metrics) = watched.get("/metrics");
    for line in [
        "mainstay_operation_seconds_count{operation=\"document\"} 3",
        "mainstay_operation_seconds_bucket{operation=\"document\",le=\"0.25\"} 0",
        "mainstay_operation_outcomes_total{operation=\"document\",outcome=\"finished\"} 3",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
    // Each was asked for once more by then.
    watched.get("/health");
    assert!(ends(&measured(stage, "health")).0 > 0);
}

#[test]
fn what_fails_is_measured_and_counted_as_that() {
    let to = format!("http://127.0.0.1:{}/ingest", quiet_port());
    let watched = Watched::start(&to, "");
    watched.stage.drop_file("1.csv", b"x");
    until("it was tried", || {
        ends(&measured(&watched.stage, "document")).1 > 0
    });
    assert_eq!(ends(&measured(&watched.stage, "document")).0, 0);
}

#[test]
fn without_an_agent_nothing_is_measured() {
    let stage = Stage::new();
    let said = say(&mut stage.command(&["status", "--budgets"]));
    assert_eq!(said.code, Some(32), "{said:?}");
    assert!(said.err.contains("no agent runs"), "{said:?}");
}

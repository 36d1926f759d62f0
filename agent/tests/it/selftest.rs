//! The program tries its own promises on the disk that it is to work on.

use crate::support::{Running, Stage, say, until};

#[test]
fn the_self_test_gives_a_verdict_for_each_part_and_leaves_nothing() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("data")).unwrap();
    let said = say(&mut stage.command(&["selftest", "--json", "--seed", "7"]));
    let report: serde_json::Value =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!(said.code, Some(0), "{report}");
    let parts = report["parts"].as_array().unwrap();
    let names: Vec<&str> = parts
        .iter()
        .map(|part| part["part"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "killed processes",
            "damaged queue",
            "full disk",
            "power cut"
        ]
    );
    for (part, needs_root) in parts.iter().zip([false, false, true, true]) {
        let verdict = part["verdict"].as_str().unwrap();
        assert!(
            verdict == "pass" || needs_root && verdict == "not_measured",
            "{part}"
        );
        assert!(!part["account"].as_str().unwrap().is_empty(), "{part}");
    }
    assert_eq!(std::fs::read_dir(stage.path("data")).unwrap().count(), 0);
}

#[test]
fn a_self_test_that_is_interrupted_takes_away_what_it_made() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("data")).unwrap();
    let mut command = stage.command(&["selftest", "--torture", "1h"]);
    let selftest = Running::start(&mut command, stage.path("selftest.log"));
    let entries = || std::fs::read_dir(stage.path("data")).unwrap().count();
    until("it has begun", || entries() == 1);
    selftest.signal("INT");
    assert_eq!(selftest.end(), Some(75));
    assert_eq!(entries(), 0);
}

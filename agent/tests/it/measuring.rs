//! The program measures the disk that it is to work on, and leaves nothing behind.

use crate::support::{Running, Stage, say, until};

#[test]
fn the_disk_is_measured_and_nothing_is_left() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("data")).unwrap();
    let said = say(&mut stage.command(&["bench", "--seconds", "1", "--json"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    let measured: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let rows = measured["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5, "{measured}");
    for row in rows {
        let rate = row["per_second"].as_f64();
        assert!(
            rate.is_some_and(|rate| rate > 0.0) || row["not_measured"].is_string(),
            "{row}"
        );
    }
    assert!(rows[2]["per_second"].as_f64().unwrap() > 0.0, "{measured}");
    assert_eq!(std::fs::read_dir(stage.path("data")).unwrap().count(), 0);
}

#[test]
fn a_measurement_that_is_interrupted_leaves_nothing_either() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("data")).unwrap();
    let mut command = stage.command(&["bench", "--seconds", "300"]);
    let bench = Running::start(&mut command, stage.path("bench.log"));
    let entries = || std::fs::read_dir(stage.path("data")).unwrap().count();
    until("it has begun", || entries() == 1);
    bench.signal("INT");
    assert_eq!(bench.end(), Some(75));
    assert_eq!(entries(), 0);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_with_what_to_do() {
    let stage = Stage::new();
    let mut command = crate::support::mainstay(&["bench", "--data", "/proc/nowhere"]);
    let said = say(&mut command);
    assert_eq!(said.code, Some(73), "{said:?}");
    assert!(said.err.contains("--data"), "{said:?}");
    drop(stage);
}

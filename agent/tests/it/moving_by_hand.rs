//! `mainstay migrate`: a folder gets another place, and everything in it goes on there.

use crate::support::{Said, Stage, mainstay, names, until};
use serde_json::Value;
use std::path::Path;

fn migrate(old: &Path, new: &Path, more: &[&str]) -> Said {
    let mut command = mainstay(&["migrate"]);
    command.arg(old).arg(new).args(more);
    command.output().unwrap().into()
}

/// A data folder with a document in its queue that nobody takes.
fn with_a_document() -> Stage {
    let stage = Stage::new();
    let agent = stage.agent("http://127.0.0.1:1/nobody", &[]);
    stage.drop_file("a.csv", b"part;result\n");
    until("it is accepted", || stage.ledger("accepted") == 1);
    agent.signal("TERM");
    agent.end();
    stage
}

#[test]
fn a_queue_that_was_moved_goes_on_at_its_new_place_with_all_its_documents() {
    let stage = with_a_document();
    let (old, new) = (stage.path("data"), stage.path("elsewhere/data"));
    let moved = migrate(&old, &new, &["--copy", "--yes", "--json"]);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    assert!(moved.err.contains("to undo it: mv "), "{}", moved.err);
    let told: Value = serde_json::from_str(&moved.out).unwrap();
    assert_eq!(told["way"], "copy");
    let kept = Path::new(told["kept"].as_str().unwrap());
    assert!(kept.join("queue").is_dir() && !old.exists());
    let mut status = mainstay(&["status", "--json", "--data"]);
    let status: Said = status.arg(&new).output().unwrap().into();
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["ledger"]["queued"], 1, "{status}");
    assert_eq!(names(&stage.path("elsewhere")), ["data"]);
}

#[test]
fn a_folder_that_an_agent_runs_in_is_not_moved_and_the_agent_is_named() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("out")).unwrap();
    let agent = stage.agent(&stage.text("out"), &[]);
    let refused = migrate(&stage.path("data"), &stage.path("new"), &["--yes"]);
    assert_eq!(refused.code, Some(34), "{refused:?}");
    let process = format!("process {} uses the folder", agent.pid());
    assert!(refused.err.contains(&process), "{}", refused.err);
    assert!(!stage.path("new").exists());
}

#[test]
fn a_dry_run_lists_what_would_go_and_nobody_is_moved_without_a_yes() {
    let stage = with_a_document();
    let (old, new) = (stage.path("data"), stage.path("new"));
    let planned = migrate(&old, &new, &["--dry-run"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(planned.out.contains("queue/FORMAT\n"), "{}", planned.out);
    assert!(planned.err.contains("rename: "), "{}", planned.err);
    let asked = migrate(&old, &new, &[]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.err.contains("gets the name"), "{}", asked.err);
    assert!(old.exists() && !new.exists());

    std::fs::create_dir(&new).unwrap();
    std::fs::write(new.join("precious"), "").unwrap();
    let planned = migrate(&old, &new, &["--dry-run", "--json"]);
    assert_eq!(planned.code, Some(73));
    let told: Value = serde_json::from_str(&planned.out).unwrap();
    assert_eq!(told["obstacles"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(migrate(&old, &new, &["--yes"]).code, Some(73));
    assert!(old.join("queue").is_dir());
}

#[test]
fn a_folder_is_moved_by_its_name_on_one_disk_and_the_way_back_works_as_it_is_told() {
    let root = tempfile::tempdir().unwrap();
    let (old, new) = (root.path().join("old"), root.path().join("new"));
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("state"), "1").unwrap();
    let moved = migrate(&old, &new, &["--yes"]);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    let undo = format!("to undo it: mv {} {}", new.display(), old.display());
    assert!(moved.err.contains(&undo), "{}", moved.err);
    assert_eq!(migrate(&new, &old, &["--yes"]).code, Some(0));
    assert_eq!(std::fs::read(old.join("state")).unwrap(), b"1");
    assert_eq!(migrate(&new, &old, &["--yes"]).code, Some(66));
    assert_eq!(migrate(&old, &old.join("in"), &["--yes"]).code, Some(66));
}

//! `mainstay demo` shows the outage, the kills and the recovery, and proves its last line.

use crate::support::{Running, mainstay, say, until};
use serde_json::Value;
use std::path::Path;

#[test]
fn it_ends_with_a_balanced_ledger_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let said = say(mainstay(&["demo", "--files", "200", "--json"]).env("TMPDIR", folder.path()));
    assert_eq!(said.code, Some(0), "{said:?}");
    let verdict: Value = serde_json::from_str(&said.out).unwrap();
    for (name, number) in [
        ("offered", 200),
        ("stored", 200),
        ("lost", 0),
        ("duplicated", 0),
        ("foreign", 0),
    ] {
        assert_eq!(verdict[name], number, "{name} in {verdict}");
    }
    let last = "200 accepted = 200 delivered, 0 lost, 0 duplicated at the receiver";
    assert!(said.err.contains(last), "{}", said.err);
    for moment in [
        "the receiver is killed",
        "the agent is killed (SIGKILL)",
        "the receiver is back",
        "the agent is killed again",
    ] {
        assert!(said.err.contains(moment), "{moment}: {}", said.err);
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "its folder is gone"
    );
}

/// The processes that have `folder` in their command line.
fn processes_in(folder: &Path) -> usize {
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(&folder))
        .count()
}

fn started(folder: &Path, log: &Path) -> Running {
    let demo = Running::start(mainstay(&["demo"]).env("TMPDIR", folder), log.to_owned());
    until("the receiver and the agent run", || {
        processes_in(folder) == 2
    });
    demo
}

#[test]
fn interrupted_it_leaves_no_process_and_no_folder() {
    let (folder, log) = (
        tempfile::tempdir().unwrap(),
        tempfile::NamedTempFile::new().unwrap(),
    );
    let demo = started(folder.path(), log.path());
    demo.signal("INT");
    assert_eq!(demo.end(), Some(75));
    assert_eq!(processes_in(folder.path()), 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn killed_it_takes_its_processes_with_it() {
    let (folder, log) = (
        tempfile::tempdir().unwrap(),
        tempfile::NamedTempFile::new().unwrap(),
    );
    started(folder.path(), log.path()).kill();
    until("its processes are gone", || {
        processes_in(folder.path()) == 0
    });
}

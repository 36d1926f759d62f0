//! `mainstay files` for any file.

use crate::support::{Running, Said, mainstay, until};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

fn said(args: &[&str]) -> Said {
    mainstay(args).output().unwrap().into()
}

#[test]
fn checksums_are_printed_as_the_systems_own_program_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report 7.csv");
    std::fs::write(&path, "abc").unwrap();
    let path = path.to_str().unwrap();
    let printed = said(&["files", "checksum", path]);
    assert_eq!(printed.code, Some(0));
    assert_eq!(
        printed.out,
        format!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  {path}\n")
    );
    let list = folder.path().join("list");
    std::fs::write(&list, &printed.out).unwrap();
    let checked = Command::new("sha256sum")
        .args(["--check", "--strict"])
        .arg(&list)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(checked.success());
}

#[test]
fn a_file_is_verified_changed_or_unknown_and_the_exit_code_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (good, bad, new, missing) = (at("good"), at("bad"), at("new"), at("missing"));
    for path in [&good, &bad, &new] {
        std::fs::write(path, "abc").unwrap();
    }
    assert_eq!(
        said(&["files", "checksum", "--write", &good, &bad]).code,
        Some(0)
    );
    std::fs::write(&bad, "abd").unwrap();

    let verified = said(&["files", "verify", &good]);
    assert_eq!(
        (verified.code, verified.out),
        (Some(0), format!("{good}: verified\n"))
    );
    let unknown = said(&["files", "verify", &good, &new]);
    assert_eq!(unknown.code, Some(66));
    assert!(unknown.out.contains(&format!(
        "{new}: unknown: there is no `new.sha256` beside it"
    )));
    let failed = said(&["files", "verify", &missing, &bad, &good]);
    assert_eq!(
        failed.code,
        Some(65),
        "what changed tells more than what is missing"
    );
    assert!(
        failed.out.contains(&format!("{bad}: mismatch")),
        "{}",
        failed.out
    );
    assert!(
        failed.out.contains(&format!("{good}: verified")),
        "{}",
        failed.out
    );

    let json = said(&["files", "verify", "--json", &bad, &new]);
    let told: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(told[0]["state"], "mismatch");
    assert_eq!(told[0]["algorithm"], "sha256");
    assert_eq!(told[1]["state"], "unknown");
}

/// A `mainstay files watch` that has read its files.
fn watching(folder: &Path, args: &[&str]) -> Running {
    let mut command = mainstay(&["files", "watch", "--settle", "50ms"]);
    command.args(args);
    let mut running = Running::start(&mut command, folder.join("watch.log"));
    until("it watches", || {
        assert!(!running.has_ended(), "{}", running.log());
        running.log().contains("Ctrl-C ends it")
    });
    running
}

/// Lines of the log that tell of changes.
fn told(running: &Running) -> Vec<String> {
    let log = running.log();
    let lines = log.lines().filter(|line| line.contains(" → "));
    lines.map(str::to_owned).collect()
}

#[test]
fn every_way_in_which_editors_save_is_told_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let (path, aside) = (folder.path().join("notes.txt"), folder.path().join("aside"));
    std::fs::write(&path, "one\n").unwrap();
    let name = path.to_str().unwrap();
    let running = watching(folder.path(), &[name]);
    // A save that takes two steps may be seen as two where the machine pauses in between, so it is the end of it that is awaited.
    let mut lines = 0;
    let mut expect = |what: &str, after: &str| {
        let end = format!("→ {after}  {name}");
        let mut line = None;
        until(&format!("{what}, {end}, is told"), || {
            let new = told(&running).into_iter().enumerate().skip(lines);
            line = new.into_iter().find(|(_, line)| line.ends_with(&end));
            line.is_some()
        });
        let (number, line) = line.unwrap();
        assert!(line.contains(&format!("  {what}  ")), "{line}");
        lines = number + 1;
    };

    std::fs::write(&path, "truncated and written\n").unwrap();
    expect("changed", "22 B");
    std::fs::write(&aside, "renamed over\n").unwrap();
    std::fs::rename(&aside, &path).unwrap();
    expect("replaced", "13 B");
    std::fs::rename(&path, &aside).unwrap();
    expect("deleted", "nothing");
    std::fs::rename(&aside, &path).unwrap();
    expect("created", "13 B");

    running.signal("INT");
    assert_eq!(running.end(), Some(0));
}

#[test]
fn programs_get_a_line_of_json_and_the_end_after_the_first_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later");
    let name = path.to_str().unwrap();
    let running = watching(folder.path(), &[name, "--once", "--json"]);
    assert!(
        running.log().contains("later is not there yet"),
        "{}",
        running.log()
    );
    let aside = folder.path().join("aside");
    std::fs::write(&aside, "abc").unwrap();
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(running.end(), Some(0));
    let log = std::fs::read_to_string(folder.path().join("watch.log")).unwrap();
    let line = log.lines().find(|line| line.starts_with('{')).unwrap();
    let told: Value = serde_json::from_str(line).unwrap();
    assert_eq!(told["file"], name);
    assert_eq!(told["change"], "created");
    assert_eq!(told["bytes_before"], Value::Null);
    assert_eq!(told["bytes"], 3);
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(told["sha256"], sum);
}

#[test]
fn what_cannot_be_watched_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing/x");
    let refused = said(&["files", "watch", missing.to_str().unwrap()]);
    assert_eq!(refused.code, Some(66));
    assert!(
        refused.err.contains("missing` does not exist"),
        "{}",
        refused.err
    );
    let refused = said(&["files", "watch", folder.path().to_str().unwrap()]);
    assert_eq!(refused.code, Some(66));
    assert!(
        refused.err.contains("it is not a regular file"),
        "{}",
        refused.err
    );
}

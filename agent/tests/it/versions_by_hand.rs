//! `mainstay backup`, `history` and `trash`, as a person uses them.

use crate::support::{Said, mainstay};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        std::fs::canonicalize(self.root.path()).unwrap().join(name)
    }

    fn said(&self, args: &[&str]) -> Said {
        let mut command = mainstay(args);
        command.arg("--data").arg(self.path("data"));
        command.stdin(Stdio::null()).output().unwrap().into()
    }

    /// The same on a terminal of its own, where somebody types; what is said comes on one stream.
    fn typed(&self, args: &[&str], typed: &str) -> Option<Said> {
        let data = self.path("data");
        let words = [
            &[env!("CARGO_BIN_EXE_mainstay")],
            args,
            &["--data", text(&data)],
        ]
        .concat();
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let started = Command::new("script")
            .args([
                "--quiet",
                "--return",
                "--command",
                &quoted.join(" "),
                "/dev/null",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut terminal = match started {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return not_measured();
            }
            started => started.unwrap(),
        };
        let mut keys = terminal.stdin.take().unwrap();
        keys.write_all(typed.as_bytes()).unwrap();
        // It ends with the command; an end of the keys before that would be typed, too.
        let said = terminal.wait_with_output().unwrap().into();
        drop(keys);
        Some(said)
    }

    /// A file that was deleted with this content, and is there again with another.
    fn deleted(&self, deleted: &str, now: &str) -> PathBuf {
        let path = self.file("report.csv", deleted);
        assert_eq!(self.said(&["trash", "put", text(&path)]).code, Some(0));
        self.file("report.csv", now)
    }

    fn ids(&self, path: &Path) -> Vec<String> {
        let said = self.said(&["backup", "list", "--json", text(path)]);
        let listed: Value = serde_json::from_str(&said.out).unwrap();
        let listed = listed.as_array().unwrap().iter();
        listed
            .map(|backup| backup["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[expect(
    clippy::print_stdout,
    reason = "whoever reads the test's output has to know what was not measured"
)]
fn not_measured<T>() -> Option<T> {
    println!("NOT MEASURED: `script` (util-linux) is not there to make a terminal");
    None
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn content(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_backup_is_made_listed_verified_restored_and_the_restore_undone() {
    let place = Place::new();
    let path = place.file("a [1] *.txt", "one\n");
    let path_text = text(&path);
    let made = place.said(&["backup", "create", path_text]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let ids = place.ids(&path);
    assert_eq!(made.out, format!("{}  {path_text}\n", ids[0]));
    std::fs::write(&path, "two\n").unwrap();

    let listed = place.said(&["backup", "list", path_text]);
    assert!(listed.out.starts_with(&ids[0]), "{}", listed.out);
    let all = place.said(&["backup", "list"]);
    assert!(
        all.out.contains("1 backup of 1 file, 4 B in "),
        "{}",
        all.out
    );
    assert_eq!(
        place.said(&["backup", "verify"]).out,
        format!("{}  {path_text}: verified\n", ids[0])
    );

    let unasked = place.said(&["backup", "restore", path_text]);
    assert_eq!(unasked.code, Some(2));
    assert!(unasked.err.contains("say --yes"), "{}", unasked.err);
    assert_eq!(content(&path), "two\n");

    let restored = place.said(&["backup", "restore", "--yes", path_text]);
    assert_eq!(restored.code, Some(0), "{}", restored.err);
    assert_eq!(content(&path), "one\n");
    let undo = restored.err.lines().last().unwrap();
    let (_, id) = undo.rsplit_once("--id ").unwrap();
    let undone = place.said(&["backup", "restore", "--yes", path_text, "--id", id]);
    assert_eq!(undone.code, Some(0), "{}", undone.err);
    assert_eq!(content(&path), "two\n");
}

#[test]
fn what_is_damaged_unknown_or_not_there_is_told_with_what_to_do() {
    let place = Place::new();
    let path = place.file("x", "one");
    let none = place.said(&["backup", "restore", "--yes", text(&path)]);
    assert_eq!(none.code, Some(66));
    assert!(none.err.contains("there is no backup of"), "{}", none.err);
    assert_eq!(place.said(&["backup", "list", text(&path)]).code, Some(0));
    let missing = place.said(&["backup", "create", text(&place.path("missing"))]);
    assert_eq!(missing.code, Some(66));
    assert!(missing.err.contains("does not exist"), "{}", missing.err);
    let no_id = place.said(&["backup", "restore", text(&path), "--id", "yesterday"]);
    assert_eq!(no_id.code, Some(2));
    assert!(
        no_id.err.contains("not the id of a backup"),
        "{}",
        no_id.err
    );

    place.said(&["backup", "create", text(&path)]);
    let same = place.said(&["backup", "restore", "--yes", text(&path)]);
    assert_eq!(same.code, Some(69), "{}", same.err);
    for shelf in std::fs::read_dir(place.path("data/backups")).unwrap() {
        for file in std::fs::read_dir(shelf.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|kind| kind == "content") {
                std::fs::write(file, "rotten").unwrap();
            }
        }
    }
    std::fs::write(&path, "two").unwrap();
    let verified = place.said(&["backup", "verify", text(&path)]);
    assert_eq!(verified.code, Some(65));
    assert!(verified.out.contains(": mismatch: "), "{}", verified.out);
    let refused = place.said(&["backup", "restore", "--yes", text(&path)]);
    assert_eq!(refused.code, Some(65), "{}", refused.err);
    assert!(refused.err.contains("is damaged"), "{}", refused.err);
    assert_eq!(content(&path), "two");
}

#[test]
fn pruning_shows_what_goes_and_goes_on_only_when_told() {
    let place = Place::new();
    let path = place.file("x", "0");
    for number in 1..5 {
        place.said(&["backup", "create", text(&path)]);
        std::fs::write(&path, number.to_string()).unwrap();
    }
    let ids = place.ids(&path);
    let dry = place.said(&["backup", "prune", "--keep", "1", "--dry-run"]);
    assert_eq!((dry.code, dry.out.lines().count()), (Some(0), 3));
    let unasked = place.said(&["backup", "prune", "--keep", "1"]);
    assert_eq!(unasked.code, Some(2));
    assert_eq!(place.ids(&path).len(), 4);
    let archive = place.path("archive");
    let pruned = place.said(&[
        "backup",
        "prune",
        "--keep",
        "1",
        "--yes",
        "--archive",
        text(&archive),
    ]);
    assert_eq!(pruned.code, Some(0), "{}", pruned.err);
    assert_eq!(place.ids(&path), ids[..1]);
    let shelf = std::fs::read_dir(archive).unwrap().next().unwrap().unwrap();
    assert_eq!(std::fs::read_dir(shelf.path()).unwrap().count(), 6);
}

#[test]
fn versions_are_listed_shown_compared_and_gone_back_to() {
    let place = Place::new();
    let path = place.file("notes.txt", "one\ntwo\n");
    place.said(&["backup", "create", text(&path)]);
    std::fs::write(&path, "one\n2\n").unwrap();
    place.said(&["backup", "create", text(&path)]);
    std::fs::write(&path, "one\n2\nthree\n").unwrap();
    let ids = place.ids(&path);

    let listed = place.said(&["history", "list", text(&path)]);
    let lines: Vec<&str> = listed.out.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0].starts_with("now ") && lines[0].contains("changed"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with(&ids[0]) && lines[2].starts_with(&ids[1]));
    assert_eq!(
        place.said(&["history", "show", text(&path)]).out,
        "one\n2\n"
    );
    let oldest = place.said(&["history", "show", text(&path), "--id", &ids[1]]);
    assert_eq!(oldest.out, "one\ntwo\n");

    let diff = place.said(&["history", "diff", text(&path)]);
    let expected = format!(
        "--- {}\n+++ now\n@@ -1,2 +1,3 @@\n one\n 2\n+three\n",
        ids[0]
    );
    assert_eq!(diff.out, expected);
    let between = place.said(&[
        "history",
        "diff",
        text(&path),
        "--id",
        &ids[1],
        "--with",
        &ids[0],
    ]);
    assert!(between.out.contains("-two\n+2\n"), "{}", between.out);

    let reverted = place.said(&["history", "revert", text(&path), "--id", &ids[1], "--yes"]);
    assert_eq!(reverted.code, Some(0), "{}", reverted.err);
    assert_eq!(content(&path), "one\ntwo\n");
    std::fs::remove_file(&path).unwrap();
    let gone = place.said(&["history", "list", text(&path)]);
    assert!(
        gone.out.lines().next().unwrap().ends_with("gone"),
        "{}",
        gone.out
    );
}

#[test]
fn the_trash_gives_back_what_was_deleted_and_is_emptied_only_when_told() {
    let place = Place::new();
    let path = place.file("report.csv", "precious");
    let put = place.said(&["trash", "put", text(&path)]);
    assert_eq!(put.code, Some(0), "{}", put.err);
    assert!(put.err.contains("mainstay trash restore"), "{}", put.err);
    assert!(!path.exists());
    let listed = place.said(&["trash", "list"]);
    assert!(listed.out.contains(text(&path)), "{}", listed.out);

    std::fs::write(&path, "new").unwrap();
    let refused = place.said(&["trash", "restore", text(&path)]);
    assert_eq!(refused.code, Some(73), "{}", refused.err);
    assert_eq!(content(&path), "new");
    let elsewhere = place.path("report-old.csv");
    let restored = place.said(&["trash", "restore", text(&path), "--to", text(&elsewhere)]);
    assert_eq!(restored.code, Some(0), "{}", restored.err);
    assert_eq!(content(&elsewhere), "precious");

    place.said(&["trash", "put", text(&path)]);
    let young = place.said(&["trash", "empty", "--older-than", "1h", "--yes"]);
    assert!(young.err.contains("nothing to remove"), "{}", young.err);
    assert_eq!(place.said(&["trash", "empty"]).code, Some(2));
    let emptied = place.said(&["trash", "empty", "--yes"]);
    assert_eq!(emptied.code, Some(0), "{}", emptied.err);
    assert!(
        place
            .said(&["trash", "list"])
            .err
            .contains("the trash is empty")
    );
}

#[test]
fn where_something_is_there_a_flag_decides_and_no_decision_loses_a_content() {
    let decide = |rule: &str| {
        let place = Place::new();
        let path = place.deleted("old", "new");
        let said = place.said(&["trash", "restore", text(&path), "--on-conflict", rule]);
        (place, path, said)
    };
    let (place, path, said) = decide("overwrite");
    assert_eq!((said.code, content(&path).as_str()), (Some(0), "old"));
    let (_, undo) = said.err.split_once("to undo it: mainstay ").unwrap();
    let undo: Vec<&str> = undo.split_whitespace().collect();
    let undone = place.said(&undo);
    assert_eq!(undone.code, Some(0), "{}", undone.err);
    assert_eq!(content(&path), "new");

    let (place, path, said) = decide("skip");
    assert_eq!((said.code, content(&path).as_str()), (Some(0), "new"));
    assert!(place.said(&["trash", "list"]).out.contains(text(&path)));

    let (place, path, said) = decide("rename");
    assert_eq!((said.code, content(&path).as_str()), (Some(0), "new"));
    assert_eq!(content(&place.path("report (1).csv")), "old");

    let (place, path, said) = decide("keep-both");
    assert_eq!((said.code, content(&path).as_str()), (Some(0), "old"));
    assert_eq!(content(&place.path("report (1).csv")), "new");

    let (place, path, said) = decide("cancel");
    assert_eq!((said.code, content(&path).as_str()), (Some(69), "new"));
    assert!(place.said(&["trash", "list"]).out.contains(text(&path)));

    let refused = place.said(&["trash", "restore", text(&path)]);
    assert_eq!(refused.code, Some(73), "{}", refused.err);
    assert!(refused.err.contains("--on-conflict"), "{}", refused.err);
}

#[test]
fn a_restore_over_what_no_backup_has_is_decided_by_a_flag_too() {
    let place = Place::new();
    let path = place.file("notes.txt", "one\n");
    let other = place.path("notes (1).txt");
    place.said(&["backup", "create", text(&path)]);
    std::fs::write(&path, "two\n").unwrap();
    let restore = |rule: &str| {
        let verb = ["history", "revert", text(&path), "--on-conflict", rule];
        let said = place.said(&verb);
        (said.code, content(&path), said.err)
    };
    let (code, now, _) = restore("skip");
    assert_eq!((code, now.as_str()), (Some(0), "two\n"));
    let (code, now, _) = restore("cancel");
    assert_eq!((code, now.as_str()), (Some(69), "two\n"));
    let (code, now, _) = restore("rename");
    assert_eq!((code, now.as_str()), (Some(0), "two\n"));
    assert_eq!(content(&other), "one\n");
    std::fs::remove_file(&other).unwrap();
    let (code, now, err) = restore("keep-both");
    assert_eq!((code, now.as_str()), (Some(0), "one\n"), "{err}");
    assert_eq!(content(&other), "two\n");
    // What is there now is in a backup, so nothing is in the way.
    assert_eq!(place.ids(&path).len(), 2);
    let (code, now, err) = restore("cancel");
    assert_eq!((code, now.as_str()), (Some(0), "two\n"), "{err}");
}

#[test]
fn on_a_terminal_the_difference_is_shown_and_the_answer_is_done() {
    let place = Place::new();
    let path = place.deleted("one\ntwo\n", "one\n2\n");
    let verb = ["trash", "restore", text(&path)];
    let Some(asked) = place.typed(&verb, "\n") else {
        return;
    };
    assert_eq!(asked.code, Some(69), "{asked:?}");
    assert_eq!(content(&path), "one\n2\n");
    for shown in ["something is there already", "-2", "+two", "[k]eep both"] {
        assert!(asked.out.contains(shown), "{shown}: {}", asked.out);
    }
    assert!(!asked.out.contains("[m]erge"), "{}", asked.out);
    let Some(asked) = place.typed(&verb, "perhaps\nk\n") else {
        return;
    };
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert_eq!(content(&path), "one\ntwo\n");
    assert_eq!(content(&place.path("report (1).csv")), "one\n2\n");
}

#[test]
fn on_a_terminal_an_older_version_and_what_was_changed_since_can_be_put_together() {
    let place = Place::new();
    let path = place.file("notes.txt", "a\nb\nc\nd\n");
    place.said(&["backup", "create", text(&path)]);
    std::fs::write(&path, "A\nb\nc\nd\n").unwrap();
    place.said(&["backup", "create", text(&path)]);
    std::fs::write(&path, "A\nb\nc\nD\n").unwrap();
    let oldest = place.ids(&path).pop().unwrap();
    let verb = ["history", "revert", text(&path), "--id", &oldest];
    let Some(asked) = place.typed(&verb, "m\n") else {
        return;
    };
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(asked.out.contains("no backup has"), "{}", asked.out);
    assert_eq!(content(&path), "a\nb\nc\nD\n");
    // What was there is kept.
    let newest = place.said(&["history", "show", text(&path)]);
    assert_eq!(newest.out, "A\nb\nc\nD\n");
}

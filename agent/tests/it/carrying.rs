//! Documents are carried to another queue by hand; a damaged queue is read, repaired and goes on.

use crate::support::{Stage, say, until};
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

/// Submits files to a data folder without an agent; answers their ids.
fn submitted(stage: &Stage, data: &str, count: usize) -> Vec<String> {
    let mut command = crate::support::mainstay(&["submit", "--data", &stage.text(data)]);
    for number in 0..count {
        let path = stage.path(&format!("doc-{number:03}.txt"));
        let len = if number % 20 == 19 { 400_000 } else { 3_000 };
        std::fs::write(&path, vec![b'a' + (number % 26) as u8; len]).unwrap();
        command.arg(path);
    }
    let said = say(&mut command);
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out.lines().map(str::to_owned).collect()
}

fn queue(stage: &Stage, data: &str, args: &[&str]) -> std::process::Command {
    let mut command = crate::support::mainstay(&["queue"]);
    command.args(args).args(["--data", &stage.text(data)]);
    command
}

fn ids(stage: &Stage, data: &str) -> Vec<String> {
    let said = say(&mut queue(stage, data, &["list", "--json"]));
    let listed: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let listed = listed.as_array().unwrap().iter();
    listed
        .map(|document| document["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_exported_is_imported_once_without_an_agent() {
    let stage = Stage::new();
    let sent = submitted(&stage, "data", 40);
    let file = stage.text("carried.tar");
    let said = say(&mut queue(&stage, "data", &["export", "--to", &file]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("40 documents"), "{said:?}");
    let said = say(&mut queue(&stage, "data", &["export", "--to", &file]));
    assert_eq!(
        (said.code, said.err.contains("there already")),
        (Some(73), true),
        "{said:?}"
    );

    let said = say(&mut queue(&stage, "other", &["import", &file]));
    assert_eq!(said.out, "import: 40 new, 0 already there\n", "{said:?}");
    let said = say(&mut queue(&stage, "other", &["import", &file]));
    assert_eq!(said.out, "import: 0 new, 40 already there\n", "{said:?}");
    assert_eq!(ids(&stage, "other"), sent);
    let large = &sent[19];
    let body = say(&mut queue(&stage, "other", &["show", large, "--body"]));
    assert_eq!(body.out.len(), 400_000);
}

#[test]
fn beside_running_agents_an_archive_goes_through_a_pipe() {
    let stage = Stage::new();
    stage.drop_files("a", 60);
    let _agent = stage.agent("http://127.0.0.1:1/", &[]);
    until("all are taken", || stage.ledger("accepted") == 60);
    let exported = queue(&stage, "data", &["export"]).output().unwrap();
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");

    let receiver = stage.receiver(&[]);
    let mut command = crate::support::mainstay(&["run", "--to", &receiver.url()]);
    let from = stage.text("second-drop");
    std::fs::create_dir(&from).unwrap();
    command.args(["--from", &from, "--data", &stage.text("other")]);
    let mut second = crate::support::Running::start(&mut command, stage.path("second.log"));
    second.until_it_answers(&stage.path("other/control.sock"));
    let mut importing = queue(&stage, "other", &["import", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = importing.stdin.take().unwrap();
    pipe.write_all(&exported.stdout).unwrap();
    drop(pipe);
    let said = crate::support::Said::from(importing.wait_with_output().unwrap());
    assert_eq!(said.out, "import: 60 new, 0 already there\n", "{said:?}");
    until("all have arrived", || receiver.stored().len() == 60);

    // An archive that is cut off is refused, and what came before it is stored.
    let half = stage.path("half.tar");
    std::fs::write(&half, &exported.stdout[..exported.stdout.len() / 2]).unwrap();
    let said = say(&mut queue(
        &stage,
        "other",
        &["import", &half.display().to_string()],
    ));
    assert_eq!(
        (said.code, said.err.contains("nothing is stored twice")),
        (Some(66), true),
        "{said:?}"
    );
}

#[test]
fn an_archive_that_cannot_be_written_leaves_nothing_behind() {
    let stage = Stage::new();
    submitted(&stage, "data", 2);
    let cases = [
        ("nowhere/carried.tar", "make its folder first"),
        ("/dev/full", "there already"),
    ];
    for (to, expected) in cases {
        let to = stage.path(to).display().to_string();
        let said = say(&mut queue(&stage, "data", &["export", "--to", &to]));
        assert_eq!(
            (said.code, said.err.contains(expected)),
            (Some(73), true),
            "{said:?}"
        );
    }
    // Standard output on a full disk.
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut child = queue(&stage, "data", &["export"])
        .stdout(full)
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(73));
    let left = crate::support::names(&stage.path("."));
    assert!(left.iter().all(|name| !name.contains(".tar")), "{left:?}");
    let said = say(&mut queue(
        &stage,
        "data",
        &["import", &stage.text("doc-000.txt")],
    ));
    assert_eq!(
        (said.code, said.err.contains("queue export")),
        (Some(66), true),
        "{said:?}"
    );
}

/// The segments of a queue's log.
fn segments(stage: &Stage) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(stage.path("data/queue")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
    paths.sort();
    paths
}

/// Changes one byte in the middle of the content of the document that was submitted as number `number`.
fn damage(stage: &Stage, number: u8) {
    for path in segments(stage) {
        let mut bytes = std::fs::read(&path).unwrap();
        let wanted = [b'a' + number; 200];
        if let Some(place) = bytes.windows(200).position(|window| window == wanted) {
            bytes[place + 100] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("the document is in no segment");
}

#[test]
fn a_damaged_queue_is_verified_unchanged_repaired_once_and_then_well() {
    let stage = Stage::new();
    let sent = submitted(&stage, "data", 20);
    damage(&stage, 3);
    let bodies = std::fs::read_dir(stage.path("data/queue/bodies")).unwrap();
    for body in bodies {
        std::fs::write(body.unwrap().path(), vec![0; 400_000]).unwrap();
    }
    let content = || {
        segments(&stage)
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect::<Vec<_>>()
    };
    let before = content();
    for _ in 0..2 {
        let said = say(&mut stage.command(&["queue", "verify"]));
        assert_eq!(said.code, Some(65), "{said:?}");
        assert!(
            said.out.contains(".log` ") && said.out.contains("bodies/"),
            "{said:?}"
        );
        assert!(content() == before, "verify changes nothing");
    }
    let said = say(&mut stage.command(&["queue", "repair"]));
    assert_eq!(said.code, Some(65), "{said:?}");
    assert!(said.out.contains("1 document lost to damage"), "{said:?}");
    assert!(
        said.out.contains("1 document whose content is damaged"),
        "{said:?}"
    );
    assert!(said.out.contains("data/queue/damaged"), "{said:?}");
    assert!(
        std::fs::read_dir(stage.path("data/queue/damaged"))
            .unwrap()
            .count()
            > 0
    );
    assert_eq!(
        (
            stage.ledger("unreadable"),
            stage.ledger("dead"),
            stage.ledger("queued")
        ),
        (1, 1, 18)
    );

    let left = ids(&stage, "data");
    let expected: Vec<_> = sent.iter().filter(|id| **id != sent[3]).cloned().collect();
    assert_eq!(left, expected, "every document that can be read is there");
    let dead = stage.json(&["dead", "list"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let said = say(&mut stage.command(&["dead", "discard", &dead]));
    assert_eq!(said.code, Some(0), "{said:?}");
    for verb in ["repair", "verify"] {
        let said = say(&mut stage.command(&["queue", verb]));
        assert_eq!(
            (said.code, said.out.contains("all is well")),
            (Some(0), true),
            "{said:?}"
        );
    }
}

#[test]
fn repair_is_refused_beside_a_running_agent_and_verify_is_not() {
    let stage = Stage::new();
    let agent = stage.agent("http://127.0.0.1:1/", &[]);
    let said = say(&mut stage.command(&["queue", "repair"]));
    assert_eq!(said.code, Some(34), "{said:?}");
    assert!(
        said.err.contains(&format!("kill {}", agent.pid())),
        "{said:?}"
    );
    assert_eq!(say(&mut stage.command(&["queue", "verify"])).code, Some(0));
}

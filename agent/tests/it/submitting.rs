//! `submit` makes a document durable before it prints the id, beside a running agent and without one.

use crate::support::{Stage, say, until};
use std::io::Write;
use std::process::Stdio;

#[test]
fn a_document_that_is_submitted_without_an_agent_is_delivered_by_the_next() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    std::fs::write(
        stage.path("m.toml"),
        crate::end_to_end::config(&stage, &receiver.url()),
    )
    .unwrap();
    let config = ["--config", &stage.text("m.toml")];
    std::fs::write(stage.path("one.csv"), b"a;b\n").unwrap();
    std::fs::write(stage.path("big.bin"), vec![7; 700_000]).unwrap();
    let mut command = stage.command(&["submit", &stage.text("one.csv"), &stage.text("big.bin")]);
    let said = say(command.args(config));
    assert_eq!(said.code, Some(0), "{said:?}");
    let ids: Vec<&str> = said.out.lines().collect();
    assert_eq!(ids.len(), 2, "{said:?}");
    let shown = stage.json(&["queue", "show", ids[0], "--config", &stage.text("m.toml")]);
    assert_eq!(
        (&shown["source"], &shown["content_type"]),
        (&"one.csv".into(), &"text/csv".into())
    );
    assert_eq!(
        say(stage.command(&["run", "--until-empty"]).args(config)).code,
        Some(0)
    );
    let stored = receiver.stored();
    assert!(stored["one.csv"] == b"a;b\n" && stored["big.bin"] == vec![7; 700_000]);
    assert!(
        stage
            .path("store")
            .join(format!("{}--one.csv", ids[0]))
            .exists(),
        "the id is the key"
    );
}

#[test]
fn standard_input_is_submitted_to_a_running_agent() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let agent = stage.agent(&receiver.url(), &[]);
    let body = "x;y\n".repeat(200_000);
    let mut command = stage.command(&[
        "submit",
        "-",
        "--name",
        "Prüf ung.csv",
        "--priority",
        "1",
        "--json",
    ]);
    let mut submitting = command.stdin(Stdio::piped()).spawn().unwrap();
    submitting
        .stdin
        .take()
        .unwrap()
        .write_all(body.as_bytes())
        .unwrap();
    let output = submitting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let submitted: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&submitted[0]["route"], &submitted[0]["bytes"]),
        (&"cli".into(), &body.len().into())
    );
    until("it has arrived", || {
        receiver.stored().contains_key("Prüf ung.csv")
    });
    assert!(receiver.stored()["Prüf ung.csv"] == body.as_bytes());
    drop(agent);
}

#[test]
fn what_cannot_be_submitted_is_refused_with_the_reason() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("out")).unwrap();
    std::fs::write(stage.path("a"), b"a").unwrap();
    let agent = stage.agent(&stage.text("out"), &[]);
    let refused = |args: &[&str], code: i32, expected: &str| {
        let said = say(&mut stage.command(args));
        assert_eq!(
            (said.code, said.err.contains(expected)),
            (Some(code), true),
            "{args:?}: {said:?}"
        );
    };
    refused(
        &["submit", "/no/such/file"],
        66,
        "error: cannot read `/no/such/file`",
    );
    refused(
        &["submit", &stage.text("out")],
        66,
        "it is not a regular file",
    );
    refused(
        &["submit", &stage.text("a"), "--route", "nowhere"],
        2,
        "there is no route `nowhere`",
    );
    refused(
        &["submit", &stage.text("a"), "--route", "nowhere"],
        2,
        "help: routes: cli",
    );
    refused(
        &["submit", &stage.text("a"), &stage.text("a"), "--name", "x"],
        2,
        "--name fits one file only",
    );
    assert_eq!(stage.ledger("accepted"), 0);
    drop(agent);
}

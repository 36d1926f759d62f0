//! What was told stays told over the lives of the agent, and what could not be told yet is told later.

use crate::alerts::{
    Told, config, hear, program, start, start_with, until_checked, webhook, webhook_of,
};
use crate::support::{Running, Stage, say, until};
use crate::tasks::meets;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

/// A second destination that is away, for documents that are submitted.
const OTHER: &str = "[[route]]\nname = \"other\"\n[route.to.server]\nurl = \"http://127.0.0.1:1/\"\nretry = { initial = \"20ms\", max = \"200ms\" }\n";

/// What is told of a check from here on.
fn hear_of(stage: &Stage, hears: &Receiver<Told>, check: &str) -> (Told, Value) {
    loop {
        let told = hear(stage, hears);
        let body: Value = serde_json::from_str(&told.body).unwrap();
        if body["check"] == check {
            return (told, body);
        }
    }
}

/// Has a document wait for the second destination.
fn submit(stage: &Stage) {
    std::fs::write(stage.path("two.csv"), "2").unwrap();
    let mut submit = stage.command(&["submit", "--route", "other"]);
    let said = say(submit.arg(stage.path("two.csv")));
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn until_told(agent: &Running, times: usize) {
    until("it is noted as told", || {
        agent.log().matches("an alert was told").count() == times
    });
}

/// A new life of the agent knew nothing of what the one before had told: what was bad was told again, and what had become well never.
#[test]
fn what_was_told_before_a_new_configuration_is_told_as_mended_after_it_and_not_again() {
    let stage = Stage::new();
    let (url, hears) = webhook(Some("204 No Content"));
    let alert = format!("[[alert]]\nurl = \"{url}\"\nchecks = [\"to *\"]\n");
    let agent = start(&stage, &format!("{alert}{OTHER}"));
    submit(&stage);
    for _ in 0..2 {
        hear(&stage, &hears);
    }
    until_told(&agent, 2);

    let receiver = stage.receiver(&[]);
    config(&stage, &format!("{alert}{OTHER}"));
    let text = std::fs::read_to_string(stage.path("lab.toml")).unwrap();
    let mended = text.replace(crate::hubs::NOWHERE, &receiver.url());
    std::fs::write(stage.path("lab.toml"), mended).unwrap();
    agent.signal("HUP");
    until("the document is delivered", || receiver.stored().len() == 1);

    let body: Value = serde_json::from_str(&hear(&stage, &hears).body).unwrap();
    assert_eq!(body["check"], "to lab/server", "{body}");
    assert_eq!(
        (&body["state"], &body["was"]),
        (&"healthy".into(), &"degraded".into()),
        "{body}"
    );
    until_told(&agent, 3);
    // The other is still away, which was told; it is looked at no less.
    let health = say(&mut stage.command(&["health"]));
    assert!(health.out.contains("to other/server"), "{health:?}");
    assert!(hears.try_recv().is_err());
    assert!(!agent.log().contains("was not told"), "{}", agent.log());
}

/// While the server held off one, all others were given up at once.
#[test]
fn a_webhook_that_asks_for_a_pause_is_told_everything_after_it() {
    let stage = Stage::new();
    let (url, hears) = webhook_of(|request| match request {
        0 => Some("429 Too Many Requests\r\nretry-after: 10"),
        _ => Some("204 No Content"),
    });
    let agent = start(
        &stage,
        &format!("[[alert]]\nurl = \"{url}\"\nchecks = [\"to *\"]\n{OTHER}"),
    );
    let (first, _) = hear_of(&stage, &hears, "to lab/server");
    submit(&stage);
    let told = [(); 2].map(|()| hear(&stage, &hears));
    let again = told
        .iter()
        .find(|told| told.header("idempotency-key") == first.header("idempotency-key"));
    assert!(again.is_some(), "{told:?}");
    assert!(
        told.iter()
            .any(|told| told.body.contains("to other/server")),
        "{told:?}"
    );
    until_told(&agent, 2);
    assert!(!agent.log().contains("was not told"), "{}", agent.log());
}

/// A pause that is longer than a request may take was taken for a failure, and what it was about was never told.
#[test]
fn a_webhook_that_asks_for_a_long_pause_is_told_when_it_is_over() {
    let stage = Stage::new();
    let (url, hears) = webhook_of(|request| match request {
        0 => Some("429 Too Many Requests\r\nretry-after: 55"),
        _ => Some("204 No Content"),
    });
    let agent = start(
        &stage,
        &format!("[[alert]]\nurl = \"{url}\"\nchecks = [\"to *\"]"),
    );
    let (first, body) = hear_of(&stage, &hears, "to lab/server");
    let (again, later) = hear_of(&stage, &hears, "to lab/server");
    assert_eq!(
        first.header("idempotency-key"),
        again.header("idempotency-key")
    );
    assert_eq!(body, later);
    until_told(&agent, 1);
    let log = agent.log();
    assert!(log.contains("an alert is put off"), "{log}");
    assert!(!log.contains("was not told"), "{log}");
}

/// The HTTP client wrote each attempt down with its path, and a message that was cut had what was to be struck out of it.
#[test]
fn a_secret_address_stands_in_no_line_of_the_log_however_long_it_is() {
    let stage = Stage::new();
    let (url, hears) = webhook(Some("503 Service Unavailable"));
    let address = format!("{url}/{}", "s3cr3t/".repeat(60));
    let agent = start_with(
        &stage,
        &format!("[[alert]]\nurl = \"{address}\"\nchecks = [\"to *\"]"),
        &["--log-level", "debug"],
    );
    hear(&stage, &hears);
    until("it is given up", || {
        agent.log().contains("an alert was not told")
    });
    let log = agent.log();
    assert!(log.contains("attempt failed"), "{log}");
    let line = log.lines().find(|line| line.contains("s3cr3t"));
    assert_eq!(line, None);
}

/// What was killed as its telling was given up was never waited for.
#[test]
fn a_command_that_is_given_up_leaves_nothing_behind() {
    let stage = Stage::new();
    let folder = stage.path("pids");
    std::fs::create_dir(&folder).unwrap();
    let script = "#!/bin/sh\n: > \"$1/$$\"\nexec sleep 1000\n";
    program(&stage.path("tell"), script);
    let agent = start_with(
        &stage,
        &format!(
            "[[alert]]\ncommand = [\"./tell\", \"{}\"]\nchecks = [\"to lab/*\"]",
            folder.display()
        ),
        &["--test-faults"],
    );
    let mut known: Vec<PathBuf> = Vec::new();
    let mut next = |what: &str| {
        let mut found = None;
        until_checked(&stage, what, || {
            let mut entries = std::fs::read_dir(&folder).unwrap();
            found = entries.find_map(|entry| {
                let path = entry.unwrap().path();
                (!known.contains(&path)).then_some(path)
            });
            found.is_some()
        });
        let found = found.unwrap();
        known.push(found.clone());
        Path::new("/proc").join(found.file_name().unwrap())
    };
    let first = next("the command runs");
    // What was not told to its end is told by the task that comes after it.
    meets(&stage, "the alerts", "panic");
    let second = next("the command runs again");
    until("the first is gone", || !first.exists());
    agent.signal("HUP");
    let third = next("the command runs in the next life");
    until("the second is gone", || !second.exists());
    assert!(third.exists(), "{}", agent.log());
}

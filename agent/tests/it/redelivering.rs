//! A destination that lost what it had: what was delivered and is still kept is sent again.

use crate::support::{Receiver, Running, Stage, say, stored_in, until};
use std::collections::BTreeMap;

/// What the store holds, by key.
fn by_key(stage: &Stage) -> BTreeMap<String, Vec<u8>> {
    let stored = stored_in(&stage.path("store"));
    stored
        .into_iter()
        .map(|(key, _, body)| (key, body))
        .collect()
}

/// An agent that has delivered these files, and its receiver.
fn delivered(stage: &Stage, count: usize) -> (Receiver, Running) {
    let receiver = stage.receiver(&[]);
    stage.drop_files("a", count);
    let agent = stage.agent(&receiver.url(), &[]);
    until("all are delivered", || {
        stage.ledger("delivered") == count as u64
    });
    (receiver, agent)
}

/// The receiver loses everything that it had stored, and starts anew at its address.
fn lose_everything(stage: &Stage, receiver: Receiver) -> Receiver {
    let address = receiver.address.clone();
    receiver.process.kill();
    std::fs::remove_dir_all(stage.path("store")).unwrap();
    Receiver::start(stage, &address, &[])
}

fn account(stage: &Stage) -> [u64; 5] {
    ["accepted", "delivered", "queued", "dead", "discarded"].map(|name| stage.ledger(name))
}

#[test]
fn a_destination_that_lost_its_documents_gets_them_again_under_the_same_keys() {
    let stage = Stage::new();
    let (receiver, _agent) = delivered(&stage, 20);
    let before = by_key(&stage);
    let receiver = lose_everything(&stage, receiver);

    let dry = stage.json(&["redeliver", "--since", "10m", "--dry-run"]);
    assert_eq!(
        (dry["documents"].as_u64(), dry["dry_run"].as_bool()),
        (Some(20), Some(true))
    );
    assert_eq!(
        account(&stage),
        [20, 20, 0, 0, 0],
        "a dry run changes nothing"
    );

    let said = say(&mut stage.command(&["redeliver", "--since", "10m"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.starts_with("redeliver: 20 documents"), "{said:?}");
    until("all have arrived again", || by_key(&stage).len() == 20);
    assert_eq!(by_key(&stage), before);
    until("the account is as before", || {
        account(&stage) == [20, 20, 0, 0, 0]
    });
    drop(receiver);
}

#[test]
fn without_an_agent_they_are_lined_up_and_sent_when_one_starts() {
    let stage = Stage::new();
    let (receiver, agent) = delivered(&stage, 5);
    let before = by_key(&stage);
    agent.kill();
    let receiver = lose_everything(&stage, receiver);
    let said = say(&mut stage.command(&["redeliver", "--since", "1h", "--route", "cli"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("sent when `mainstay run` is started"),
        "{said:?}"
    );
    assert_eq!(account(&stage), [5, 0, 5, 0, 0]);
    let _agent = stage.agent(&receiver.url(), &[]);
    until("all have arrived again", || by_key(&stage).len() == 5);
    assert_eq!(by_key(&stage), before);
    until("the account is as before", || {
        account(&stage) == [5, 5, 0, 0, 0]
    });
}

#[test]
fn only_what_was_delivered_in_that_time_to_that_lane_is_sent_again() {
    let stage = Stage::new();
    let (_receiver, _agent) = delivered(&stage, 2);
    let listed = stage.json(&["queue", "list", "--state", "sent"]);
    let sent_at =
        |document: &serde_json::Value| document["lanes"][0]["sent_at"].as_str().unwrap().to_owned();
    let first: Vec<String> = listed.as_array().unwrap().iter().map(sent_at).collect();
    stage.drop_files("b", 1);
    until("the third is delivered", || stage.ledger("delivered") == 3);
    let third = stage.json(&["queue", "list", "--state", "sent", "--text", "b-0000"]);
    let (third, id) = (
        sent_at(&third[0]),
        third[0]["id"].as_str().unwrap().to_owned(),
    );
    assert!(
        first.iter().all(|first| *first < third),
        "{first:?} {third}"
    );
    let page = say(&mut stage.command(&["queue", "show", &id]));
    assert!(page.out.contains(&format!("sent at {third}")), "{page:?}");

    let count = |args: &[&str]| {
        let mut command = vec!["redeliver", "--dry-run"];
        command.extend(args);
        stage.json(&command)["documents"].as_u64().unwrap()
    };
    assert_eq!(count(&["--since", &third]), 1);
    assert_eq!(count(&["--since", "1h", "--until", &third]), 2);
    assert_eq!(count(&["--since", "1h", "--to", "cli/http"]), 3);
}

#[test]
fn what_cannot_be_sent_again_is_refused_with_what_to_do() {
    let stage = Stage::new();
    let (_receiver, _agent) = delivered(&stage, 1);
    let refused = |args: &[&str], code: i32, expected: &str| {
        let mut command = vec!["redeliver"];
        command.extend(args);
        let said = say(&mut stage.command(&command));
        assert_eq!(
            (said.code, said.err.contains(expected)),
            (Some(code), true),
            "{args:?}: {said:?}"
        );
    };
    refused(
        &["--since", "1h", "--until", "30min"],
        69,
        "retain_after_ack",
    );
    refused(
        &["--since", "1h", "--until", "2h"],
        2,
        "not later than --since",
    );
    refused(
        &["--since", "1h", "--to", "no/where"],
        64,
        "help: lanes: cli/http",
    );
    refused(
        &["--since", "1h", "--route", "nowhere"],
        64,
        "help: routes: cli",
    );
    refused(&["--since", "yesterday"], 2, "write it like");
    assert_eq!(stage.ledger("queued"), 0);
}

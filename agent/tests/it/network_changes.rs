//! A change of the machine's network shortens the wait for what cannot be reached, and decides nothing by itself.

use crate::support::{Running, Stage, until};
use std::process::Command;
use std::time::Duration;

/// The same command in a network of its own, of which nobody else knows.
fn apart(command: &Command, words: &[&str]) -> Command {
    let mut apart = Command::new(words[0]);
    apart.args(&words[1..]);
    apart.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => apart.env(name, value),
            None => apart.env_remove(name),
        };
    }
    apart
}

/// How many seconds it would still wait before it probes its destination; none while it is not held, or asks.
fn waits(stage: &Stage) -> Option<f64> {
    let to = &stage.json(&["status"])["routes"][0]["to"][0];
    let is_held = to["breaker"] == "open";
    to["next_attempt_seconds"].as_f64().filter(|_| is_held)
}

#[test]
fn a_change_of_the_network_ends_the_wait_for_a_destination_that_was_out_of_reach() {
    let can = Command::new("unshare").args(["-n", "true"]).status();
    if !can.is_ok_and(|status| status.success()) {
        println!("NOT MEASURED: no network of its own can be had");
        return;
    }
    let stage = Stage::new();
    // In a new network there is nothing, and its loopback is down.
    let to = "http://127.0.0.1:8901/ingest";
    let agent = apart(&stage.run(to, &[]), &["unshare", "-n"]);
    let agent = stage.start(&mut { agent });
    let pid = agent.pid().to_string();
    let within = ["nsenter", "-t", &pid, "-n"];
    let receive = crate::support::mainstay(&[
        "receive",
        "--listen",
        "127.0.0.1:8901",
        "--store",
        &stage.text("store"),
    ]);
    let mut receive = apart(&receive, &within);
    let _receiver = Running::start(&mut receive, stage.path("receiver.log"));
    stage.drop_file("one.csv", b"1");
    until("it has to wait for long", || {
        waits(&stage).is_some_and(|seconds| seconds > 9.0)
    });
    let clock = mainstay_clock::system();
    let begun = clock.now();

    let up = Command::new(within[0])
        .args(&within[1..])
        .args(["ip", "link", "set", "lo", "up"])
        .status();
    if !up.is_ok_and(|status| status.success()) {
        println!("NOT MEASURED: `nsenter` and `ip` cannot change the link of another network");
        return;
    }
    until("it is delivered", || stage.ledger("delivered") == 1);
    let took = clock.now().since(begun);
    assert!(took < Duration::from_secs(7), "{took:?}");
    let log = agent.log();
    assert!(log.contains("the network of this machine changed"), "{log}");
}

#[test]
fn where_no_way_leads_out_any_more_the_link_is_told_to_be_down_until_one_does() {
    let can = Command::new("unshare").args(["-n", "true"]).status();
    if !can.is_ok_and(|status| status.success()) {
        println!("NOT MEASURED: no network of its own can be had");
        return;
    }
    let stage = Stage::new();
    let agent = apart(
        &stage.run("http://198.51.100.9:8901/ingest", &[]),
        &["unshare", "-n"],
    );
    let agent = stage.start(&mut { agent });
    let pid = agent.pid().to_string();
    let ip = |words: &[&str]| {
        let done = Command::new("nsenter")
            .args(["-t", &pid, "-n", "ip"])
            .args(words)
            .status();
        done.is_ok_and(|status| status.success())
    };
    let kinds = ["dummy", "ifb", "bridge"];
    if !kinds
        .iter()
        .any(|kind| ip(&["link", "add", "d0", "type", kind]))
    {
        println!("NOT MEASURED: `nsenter` and `ip` cannot add a link to another network");
        return;
    }
    assert!(ip(&["addr", "add", "198.51.100.1/24", "dev", "d0"]));
    assert!(ip(&["link", "set", "d0", "up"]));
    let why = || stage.json(&["status"])["network"]["why"].clone();
    until("it is not told to be down", || why() != "link_down");
    assert!(ip(&["link", "set", "d0", "down"]));
    until("it is told to be down", || why() == "link_down");
    let status = stage.json(&["status"]);
    assert_eq!(status["network"]["state"], "offline", "{status}");
    let page = crate::support::say(&mut stage.command(&["status"]));
    assert!(
        page.out.contains("network   offline: the link is down"),
        "{page:?}"
    );
    assert!(ip(&["link", "set", "d0", "up"]));
    until("it is no longer", || why() != "link_down");
}

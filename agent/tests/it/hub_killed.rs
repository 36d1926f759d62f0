//! A hub and two agents, killed at any moment, lose nothing and double nothing.

use crate::hubs::{self, configure};
use crate::support::{Receiver, Running, Stage, mainstay, say};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

/// Each round kills at least one of the three.
const ROUNDS: u64 = 16;

/// A row of numbers that looks like chance and is the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The agent `name`, with a drop folder and a data folder of that name, sends to the hub.
fn configure_agent(stage: &Stage, name: &str, port: u16) {
    let folder = stage.path(&format!("drop-{name}"));
    std::fs::create_dir(&folder).unwrap();
    let config = format!(
        "[[route]]\nname = \"{name}\"\n[route.from]\nfolder = \"{}\"\nsettle = \"0s\"\n[route.to.hub]\nurl = \"http://127.0.0.1:{port}/ingest\"\nauth = {{ bearer = \"file:token\" }}\nretry = {{ initial = \"20ms\", max = \"200ms\" }}\n",
        folder.display()
    );
    std::fs::write(stage.path(&format!("{name}.toml")), config).unwrap();
}

fn command(stage: &Stage, name: &str) -> Command {
    let mut command = mainstay(&["run", "--config"]);
    command
        .arg(stage.path(&format!("{name}.toml")))
        .arg("--data")
        .arg(stage.path(name));
    command
}

fn start(stage: &Stage, name: &str) -> Running {
    let log = stage.path(&format!("{name}.log"));
    Running::start(&mut command(stage, name), log)
}

/// Drops files for an agent, whole; answers them by name.
fn drop_files(stage: &Stage, name: &str, round: u64) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for number in 0..8 {
        let file = format!("{name}-{round:02}-{number}.json");
        let body = match number {
            6 => Vec::new(),
            7 => file.repeat(20_000).into_bytes(),
            _ => format!("{{\"name\": \"{file}\"}}").into_bytes(),
        };
        let unfinished = stage.path(&format!("{file}.unfinished"));
        std::fs::write(&unfinished, &body).unwrap();
        std::fs::rename(unfinished, stage.path(&format!("drop-{name}")).join(&file)).unwrap();
        // An empty one says no name of its own; all others are told apart by their content too.
        files.insert(file, body);
    }
    files
}

fn numbers(stage: &Stage, name: &str) -> [u64; 3] {
    let mut command = mainstay(&["status", "--json", "--data"]);
    let said = say(command.arg(stage.path(name)));
    let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(status["ledger"]["balanced"], true, "{name}: {status}");
    ["accepted", "delivered", "queued"].map(|key| status["ledger"][key].as_u64().unwrap())
}

#[test]
fn a_hub_and_two_agents_that_are_killed_again_and_again_deliver_every_file_once() {
    let stage = Stage::new();
    let receiver = stage.receiver(&["--delay", "2ms"]);
    let port = hubs::quiet_port();
    hubs::write_token(&stage.path("token"));
    let http = format!("listen = \"127.0.0.1:{port}\"\ntoken = \"file:token\"");
    configure(&stage, "", &http, &receiver.url());
    let names = ["one", "two", "hub"];
    for name in ["one", "two"] {
        configure_agent(&stage, name, port);
    }
    let mut chance = Chance(4711);
    let mut dropped = BTreeMap::new();
    let mut running = names.map(|name| Some(start(&stage, name)));
    for round in 0..ROUNDS {
        for name in ["one", "two"] {
            dropped.extend(drop_files(&stage, name, round));
        }
        // Spread over the time that the way from the folder through the hub takes, and that a start takes.
        std::thread::sleep(Duration::from_millis(chance.below(400)));
        let which = 1 + chance.below(7);
        for (number, name) in names.iter().enumerate() {
            if which & (1 << number) != 0 {
                if let Some(process) = running[number].take() {
                    process.kill();
                }
                running[number] = Some(start(&stage, name));
            }
        }
    }
    finish(&stage, running);
    compare(&stage, &receiver, &dropped);
}

/// The agents run until they have nothing left while the hub stands, then the hub does.
fn finish(stage: &Stage, running: [Option<Running>; 3]) {
    let [one, two, hub] = running.map(Option::unwrap);
    for (name, agent) in [("one", one), ("two", two)] {
        agent.kill();
        let said = say(command(stage, name).arg("--until-empty"));
        assert_eq!(said.code, Some(0), "{name}: {said:?}");
    }
    hub.kill();
    let said = say(command(stage, "hub").arg("--until-empty"));
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn compare(stage: &Stage, receiver: &Receiver, dropped: &BTreeMap<String, Vec<u8>>) {
    let count = dropped.len() as u64;
    let stored = receiver.stored();
    let missing: Vec<&String> = dropped
        .keys()
        .filter(|name| !stored.contains_key(*name))
        .collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
    assert!(
        stored == *dropped,
        "what was stored is not what was dropped"
    );
    assert_eq!(numbers(stage, "hub"), [count, count, 0]);
    for name in ["one", "two"] {
        assert_eq!(numbers(stage, name), [count / 2, count / 2, 0], "{name}");
    }
}

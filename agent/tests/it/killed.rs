//! `kill -9` at any moment loses nothing and doubles nothing.

use crate::support::{Stage, say, until};
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn an_agent_that_is_killed_again_and_again_delivers_every_file_once() {
    let stage = Stage::new();
    let receiver = stage.receiver(&["--delay", "2ms"]);
    let mut dropped = BTreeMap::new();
    for life in 0..20 {
        let agent = stage.agent(&receiver.url(), &[]);
        dropped.extend(stage.drop_files(&format!("life{life:02}"), 20));
        // Spread over the time that taking, committing, archiving and delivering these files takes.
        std::thread::sleep(Duration::from_millis(life * 3));
        agent.kill();
    }
    let said = say(&mut stage.run(&receiver.url(), &["--until-empty"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.err.contains("400 accepted = 400 delivered"),
        "{}",
        said.err
    );
    assert!(
        receiver.stored() == dropped,
        "what was stored is not what was dropped"
    );
}

#[test]
fn a_kill_while_the_receiver_hangs_sends_the_same_key_again() {
    let stage = Stage::new();
    let receiver = stage.receiver(&["--delay", "1h"]);
    let address = receiver.address.clone();
    let dropped = stage.drop_files("a", 3);
    let agent = stage.agent(&receiver.url(), &[]);
    until("documents are in flight", || {
        stage.json(&["status"])["routes"][0]["to"][0]["in_flight"] == 3
    });
    // They are stored by now or will be: the answer is what hangs.
    until("they are stored", || receiver.stored().len() == 3);
    agent.kill();
    receiver.process.kill();
    let receiver = crate::support::Receiver::start(&stage, &address, &[]);
    assert_eq!(
        say(&mut stage.run(&receiver.url(), &["--until-empty"])).code,
        Some(0)
    );
    assert!(receiver.stored() == dropped);
    let (_, status) = receiver.ask("GET", "/status", &[], b"");
    assert!(status.contains("\"duplicates\":3"), "{status}");
}

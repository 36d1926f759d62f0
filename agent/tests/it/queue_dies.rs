//! A thread of the queue dies while files flow: it is told with its cause, the queue is opened anew, and nothing is lost or doubled.

use crate::hubs::quiet_port;
use crate::support::{Receiver, Running, Stage, say, until};
use crate::tasks::meets;
use crate::told::{Begun, at_once, in_status};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const WRITER: &str = "the writer of the queue";
const HOUSE: &str = "the house of the queue";

/// The files that are dropped at most while a test looks on.
const FILES_MAX: usize = 5_000;

/// An agent from `drop` to `to`, with its health at this port.
fn start(stage: &Stage, to: &str, port: u16) -> Running {
    let config = format!(
        "[health]\nlisten = \"127.0.0.1:{port}\"\n\
         [[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{to}\"\n",
        stage.text("drop"),
    );
    stage.start(stage.configured(&config).arg("--test-faults"))
}

/// Drops one file after the other until it is told to end; answers all of them.
fn flow(stage: &Stage, ends: &AtomicBool) -> BTreeMap<String, Vec<u8>> {
    let mut dropped = BTreeMap::new();
    for number in 0..FILES_MAX {
        if ends.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("{number}.csv");
        stage.drop_file(&name, name.as_bytes());
        dropped.insert(name.clone(), name.into_bytes());
        std::thread::sleep(Duration::from_millis(5));
    }
    dropped
}

/// How many lives this agent has begun.
fn lives(agent: &Running) -> usize {
    agent.log().matches("queue open").count()
}

/// Waits until this life of the agent can be asked.
fn until_life(stage: &Stage, agent: &Running, life: usize) {
    until("this life works", || {
        lives(agent) == life && say(&mut stage.command(&["status"])).out.contains("process")
    });
}

/// Kills a thread while files flow, and lets some flow before and after it.
fn dies_in_the_flow(stage: &Stage, agent: &Running, receiver: &Receiver, thread: &str, port: u16) {
    let ends = AtomicBool::new(false);
    let dropped = std::thread::scope(|scope| {
        let flowing = scope.spawn(|| flow(stage, &ends));
        until("documents flow", || receiver.stored().len() > 20);
        let begun = Begun::now();
        meets(stage, thread, "panic");
        until_life(stage, agent, 2);
        let told = begun.told_by_all(stage, port, "last crash");
        assert_eq!(told["runbook"], "crash-loop", "{told}");
        let message = told["message"].as_str().unwrap();
        assert!(message.contains("has died of a bug"), "{told}");
        let before = receiver.stored().len();
        until("documents flow again", || {
            receiver.stored().len() > before + 20
        });
        ends.store(true, Ordering::Relaxed);
        flowing.join().unwrap()
    });
    until("all have arrived", || {
        receiver.stored().len() == dropped.len()
    });
    assert!(receiver.stored() == dropped);
    until("all of it is known", || stage.ledger("queued") == 0);
    let ledger = stage.json(&["status"])["ledger"].clone();
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert_eq!(ledger["delivered"], dropped.len(), "{ledger}");
    assert_eq!(ledger["accepted"], dropped.len(), "{ledger}");
}

#[test]
fn whichever_thread_of_the_queue_dies_it_is_opened_anew_by_itself_and_nothing_is_lost_or_doubled() {
    for thread in [WRITER, HOUSE] {
        let (stage, home, port) = (Stage::new(), Stage::new(), quiet_port());
        let receiver = Receiver::start(&home, "127.0.0.1:0", &[]);
        let agent = start(&stage, &receiver.url(), port);
        dies_in_the_flow(&stage, &agent, &receiver, thread, port);
        let log = agent.log();
        for words in [
            "a test asked for it",
            "has died of a bug",
            "the queue is opened anew",
        ] {
            assert!(log.contains(words), "{words}: {log}");
        }
        let page = say(&mut stage.command(&["status"])).out;
        assert!(page.contains("1 panic since the start"), "{page}");
        agent.signal("TERM");
        assert_eq!(agent.end(), Some(0));
    }
}

/// It comes again at once: another life each second would fill the log and help nobody.
#[test]
fn a_queue_that_dies_a_fourth_time_in_five_minutes_is_an_error_that_rests_and_a_person_can_end_that()
 {
    let (stage, home, port) = (Stage::new(), Stage::new(), quiet_port());
    let receiver = Receiver::start(&home, "127.0.0.1:0", &[]);
    let agent = start(&stage, &receiver.url(), port);
    for life in 1..=3 {
        meets(&stage, WRITER, "panic");
        until_life(&stage, &agent, life + 1);
    }
    let begun = Begun::now();
    meets(&stage, WRITER, "panic");
    let tasks = begun.told_by_all(&stage, port, "tasks");
    assert_eq!(tasks["runbook"], "crash-loop", "{tasks}");
    let message = tasks["message"].as_str().unwrap();
    assert!(
        message.contains("the thread that writes the queue has died"),
        "{tasks}"
    );
    let intake = begun.told_by_all(&stage, port, "intake");
    assert_eq!(intake["state"], "unhealthy", "{intake}");
    assert_eq!(intake["runbook"], "crash-loop", "{intake}");
    until("it failed for good", || {
        stage.json(&["status"])["service"]["state"] == "error"
    });
    stage.drop_file("late.csv", b"late");
    assert_eq!(lives(&agent), 4, "{}", agent.log());

    agent.signal("HUP");
    until("it is delivered", || receiver.stored().len() == 1);
    until("it is well but for what was", || {
        at_once(&stage, "tasks").is_none() && in_status(&stage, "intake").is_none()
    });
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

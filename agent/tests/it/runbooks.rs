//! A runbook is walked: what goes wrong is made to go wrong, the page shows it as it is, and its steps put it right.

use crate::hubs::{NOWHERE, quiet_port};
use crate::support::{Receiver, Said, Stage, say, until};
use serde_json::Value;

fn book(stage: &Stage, name: &str) -> Said {
    say(&mut stage.command(&["runbook", name]))
}

fn to(stage: &Stage) -> Value {
    stage.json(&["status"])["routes"][0]["to"][0].clone()
}

/// A receiver at an address that stays the same when it is started anew.
fn receiver_at(stage: &Stage, port: u16, flags: &[&str]) -> Receiver {
    Receiver::start(stage, &format!("127.0.0.1:{port}"), flags)
}

#[test]
fn every_runbook_is_listed_and_says_what_is_so_now_with_an_agent_and_without() {
    let stage = Stage::new();
    let listed = say(&mut stage.command(&["runbook"]));
    assert_eq!(listed.code, Some(0), "{listed:?}");
    // Before there is a data folder the text helps all the same.
    let said = book(&stage, "disk-full");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("nothing can be said of now"), "{said:?}");

    let receiver = stage.receiver(&[]);
    let agent = stage.agent(&receiver.url(), &[]);
    let pid = agent.pid();
    let books = say(&mut stage.command(&["runbook", "--json"]));
    let books: Value = serde_json::from_str(&books.out).unwrap();
    let names = books.as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|book| book["name"].as_str().unwrap()).collect();
    assert!(names.len() >= 16, "{names:?}");
    for name in &names {
        assert!(listed.out.contains(name), "{name}");
        let said = book(&stage, name);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.out.contains("\nNow\n"), "{said:?}");
        assert!(
            !said.out.contains("<data>") && !said.out.contains("+++"),
            "{name}: {said:?}"
        );
    }
    let memory = book(&stage, "high-memory").out;
    assert!(
        memory.contains(&format!("process {pid}, version")),
        "{memory}"
    );
    agent.kill();
    let stopped = book(&stage, "crash-loop").out;
    assert!(stopped.contains("no agent runs"), "{stopped}");

    let said = book(&stage, "nonsense");
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("disk-full"), "{said:?}");
}

#[test]
fn refused_credentials_are_shown_and_once_they_are_right_everything_arrives() {
    let (stage, port) = (Stage::new(), quiet_port());
    let refusing = receiver_at(&stage, port, &["--fail", "401:1"]);
    stage.drop_files("a", 3);
    let _agent = stage.agent(&refusing.url(), &[]);
    until("the destination is held", || to(&stage)["state"] == "held");
    let said = book(&stage, "unauthorized").out;
    assert!(said.contains("answered 401 Unauthorized"), "{said}");
    assert!(said.contains("3 queued"), "{said}");
    assert!(!said.contains("try it now"), "it runs by flags: {said}");
    assert_eq!(
        stage.ledger("dead"),
        0,
        "a wrong password costs no document"
    );
    drop(refusing);
    let receiver = receiver_at(&stage, port, &[]);
    until("all arrive", || receiver.stored().len() == 3);
}

/// It named routes that no configuration has, so that the command found none of that name.
#[test]
fn the_command_that_a_runbook_prints_can_be_run_and_where_it_cannot_there_is_none() {
    let stage = Stage::new();
    let config = stage.text("lab.toml");
    let start = |to: &str| {
        let drop = stage.text("drop");
        let text = format!(
            "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{drop}\"\n[route.to.{to}]\nurl = \"{NOWHERE}\"\n"
        );
        stage.start(&mut stage.configured(&text))
    };
    let growing = || {
        let mut command = stage.command(&["runbook", "queue-growing", "--config", &config]);
        say(&mut command).out
    };
    stage.drop_file("one.csv", b"1");
    let agent = start("server");
    until("it is queued", || stage.ledger("queued") == 1);
    let said = growing();
    let printed = said
        .lines()
        .find_map(|line| line.split_once("try it now: "));
    let (_, printed) = printed.unwrap_or_else(|| panic!("{said}"));
    let program = env!("CARGO_BIN_EXE_mainstay");
    let printed = printed.replacen("mainstay", program, 1);
    let tried = say(std::process::Command::new("sh").args(["-c", &printed]));
    assert_eq!(tried.code, Some(41), "{tried:?}");
    assert!(tried.out.contains("cannot connect to"), "{tried:?}");

    agent.kill();
    let _agent = start("another");
    let said = growing();
    assert!(said.contains("lab/server () is unassigned"), "{said}");
    assert!(!said.contains("try it now"), "{said}");
}

#[test]
fn a_rate_that_is_exceeded_is_shown_and_goes_by_itself() {
    let (stage, port) = (Stage::new(), quiet_port());
    let busy = receiver_at(&stage, port, &["--fail", "429:1", "--retry-after", "1h"]);
    stage.drop_file("one.csv", b"1");
    let agent = stage.agent(&busy.url(), &[]);
    until("it keeps quiet", || to(&stage)["state"] == "waiting");
    let said = book(&stage, "rate-limit-exceeded").out;
    assert!(
        said.contains("is waiting") && said.contains("429"),
        "{said}"
    );
    drop(busy);
    // An hour is not waited for: what a server asked for lasts as long as the process that heard it.
    agent.kill();
    let receiver = receiver_at(&stage, port, &[]);
    let _agent = stage.agent(&receiver.url(), &[]);
    let mut retry = stage.command(&["queue", "retry", "--all"]);
    assert_eq!(say(&mut retry).code, Some(0));
    until("it arrives", || receiver.stored().len() == 1);
}

#[test]
fn documents_that_fail_again_and_again_are_shown_and_arrive_once_they_are_replayed() {
    let (stage, port) = (Stage::new(), quiet_port());
    let refusing = receiver_at(&stage, port, &["--fail", "400:1"]);
    let lab = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{}\"\nbury_after = 2\nretry = {{ initial = \"10ms\", max = \"20ms\" }}\n",
        stage.text("drop"),
        refusing.url()
    );
    stage.drop_files("a", 2);
    let _agent = stage.start(&mut stage.configured(&lab));
    until("both are dead letters", || stage.ledger("dead") == 2);
    let said = book(&stage, "dead-letters").out;
    let step = "2 dead letters on lab/server: mainstay dead list --lane lab/server";
    assert!(said.contains(step), "{said}");
    let listed = say(&mut stage.command(&["dead", "list", "--lane", "lab/server"]));
    assert!(listed.out.contains("told to fail"), "{listed:?}");
    drop(refusing);
    let receiver = receiver_at(&stage, port, &[]);
    let mut replay = stage.command(&["dead", "replay", "--all"]);
    assert_eq!(say(&mut replay).code, Some(0));
    until("both arrive", || receiver.stored().len() == 2);
}

#[test]
fn a_queue_that_grows_shows_where_to_and_empties_once_somebody_is_there() {
    let (stage, port) = (Stage::new(), quiet_port());
    stage.drop_files("a", 20);
    let _agent = stage.agent(&format!("http://127.0.0.1:{port}/ingest"), &[]);
    until("all are queued and the destination is held", || {
        stage.ledger("queued") == 20 && to(&stage)["state"] == "held"
    });
    let said = book(&stage, "queue-growing").out;
    assert!(
        said.contains("the queue is writable: 20 documents"),
        "{said}"
    );
    assert!(said.contains("cannot be reached, 20 queued"), "{said}");
    let receiver = receiver_at(&stage, port, &[]);
    until("all arrive", || receiver.stored().len() == 20);
}

#[test]
fn an_agent_that_does_not_stop_is_ended_at_once_and_loses_nothing() {
    let (stage, port) = (Stage::new(), quiet_port());
    let hanging = receiver_at(&stage, port, &["--hang", "1"]);
    stage.drop_file("one.csv", b"1");
    let agent = stage.agent(&hanging.url(), &[]);
    until("it is under way", || to(&stage)["in_flight"] == 1);
    agent.signal("TERM");
    until("it stops", || {
        stage.json(&["status"])["state"] == "stopping"
    });
    let said = book(&stage, "stuck-shutdown").out;
    let step = format!("kill -9 {}", agent.pid());
    assert!(said.contains(&step), "{said}");
    agent.kill();
    drop(hanging);
    let receiver = receiver_at(&stage, port, &[]);
    let _agent = stage.agent(&receiver.url(), &[]);
    until("it arrives", || receiver.stored().len() == 1);
}

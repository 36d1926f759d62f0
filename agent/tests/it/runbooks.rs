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

/// The words that stand for what is known while an agent runs, in the commands of a page as it is printed.
fn left(page: &str) -> Vec<String> {
    let fenced = page.split("```").skip(1).step_by(2);
    let spans = page.split("```").step_by(2);
    let quoted = spans.flat_map(|part| part.split('`').skip(1).step_by(2));
    let code = fenced.chain(quoted);
    let words = code.flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric()));
    let known = ["PID", "ROUTE", "DESTINATION", "URL"];
    { words.filter(|word| known.contains(word)) }
        .map(str::to_owned)
        .collect()
}

/// They stood there as they were, so that whoever copied a command had to find out what to put in their place.
#[test]
fn no_word_stands_for_what_is_known_and_where_nothing_is_known_it_stays() {
    let stage = Stage::new();
    let ports = [quiet_port(), quiet_port()];
    let config = stage.text("lab.toml");
    let routes = [("lab", ports[0]), ("shop", ports[1])].map(|(route, port)| {
        format!(
            "[[route]]\nname = \"{route}\"\n[route.to.server]\nurl = \"http://127.0.0.1:{port}/in\"\n"
        )
    });
    let agent = stage.start(&mut stage.configured(&routes.concat()));
    let printed = |name: &str| {
        let mut command = stage.command(&["runbook", name, "--config", &config]);
        say(&mut command).out
    };
    // Nothing is affected: the process is known, and no destination is meant.
    let held = printed("destination-held");
    assert!(left(&held).contains(&"ROUTE".to_owned()), "{held}");
    assert!(printed("high-memory").contains(&format!("ps -o rss= -p {}`", agent.pid())));

    let sample = stage.text("one.csv");
    std::fs::write(&sample, "1").unwrap();
    for route in ["lab", "shop"] {
        let said = say(&mut stage.command(&["submit", "--route", route, &sample]));
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    until("the checks say that both are held", || {
        let status = stage.json(&["status"]);
        let unwell = status["unwell"].as_array().cloned().unwrap_or_default();
        let held = { unwell.iter() }.filter(|one| one["runbook"] == "destination-held");
        held.count() == 2
    });
    let books = say(&mut stage.command(&["runbook", "--json"]));
    let books: Value = serde_json::from_str(&books.out).unwrap();
    let of_destinations = [
        "destination-held",
        "credentials-refused",
        "rate-limited",
        "slow-responses",
        "persistent-errors",
        "queue-growing",
    ];
    for book in books.as_array().unwrap() {
        let name = book["name"].as_str().unwrap();
        let page = printed(name);
        let left = left(&page);
        // Of one that is about no destination none is known.
        if of_destinations.contains(&name) {
            assert_eq!(left, [""; 0], "{name}: {page}");
        } else {
            assert!(!left.contains(&"PID".to_owned()), "{name}: {page}");
        }
    }
    let held = printed("destination-held");
    let url = format!("curl -v http://127.0.0.1:{}/in`", ports[0]);
    let test = format!("mainstay route test lab --config '{config}' --send FILE");
    for command in [
        url.as_str(),
        &test,
        "mainstay protections reset lab/server/gate",
    ] {
        assert!(held.contains(command), "{command}: {held}");
    }
    assert!(held.contains("404 | the path in the URL |"), "{held}");
    let note =
        "the steps name lab/server, the first of 2 that are affected; the others: shop/server";
    assert!(held.contains(note), "{held}");
    let mut told = stage.command(&["runbook", "destination-held", "--config", &config]);
    let told: Value = serde_json::from_str(&say(told.arg("--json")).out).unwrap();
    let steps = told["steps"].as_array().unwrap();
    let step = steps[2].as_str().unwrap();
    assert!(
        step.contains("`mainstay protections reset lab/server/gate`"),
        "{told}"
    );
    assert_eq!(told["escalation"][1]["level"], "L2", "{told}");

    agent.kill();
    let memory = printed("high-memory");
    assert!(left(&memory).contains(&"PID".to_owned()), "{memory}");
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

//! One life of the agent after the other: a new configuration, and what is told of the life before.

use crate::support::{Receiver, Running, Stage, say, until};

fn configured(stage: &Stage, to: &str) {
    let config = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{to}\"\n",
        stage.text("drop"),
    );
    std::fs::write(stage.path("lab.toml"), config).unwrap();
}

fn start(stage: &Stage) -> Running {
    let mut command = stage.command(&["run"]);
    command.arg("--config").arg(stage.path("lab.toml"));
    let agent = Running::start(&mut command, stage.path("agent.log"));
    let socket = stage.path("data/control.sock");
    until("the agent answers", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    agent
}

#[test]
fn a_new_configuration_is_taken_at_sighup_and_one_that_cannot_be_used_is_not() {
    let (stage, first_home, second_home) = (Stage::new(), Stage::new(), Stage::new());
    let first = Receiver::start(&first_home, "127.0.0.1:0", &[]);
    let second = Receiver::start(&second_home, "127.0.0.1:0", &[]);
    configured(&stage, &first.url());
    let agent = start(&stage);
    stage.drop_file("a.csv", b"a");
    until("the first has it", || first.stored().len() == 1);

    std::fs::write(stage.path("lab.toml"), "[[route]]\nnonsense = 1\n").unwrap();
    agent.signal("HUP");
    until("it says what is wrong", || {
        agent.log().contains("is not taken") && agent.log().contains("nonsense")
    });
    stage.drop_file("b.csv", b"b");
    until("the first has it", || first.stored().len() == 2);

    // It can be read, and cannot be used: the port is taken.
    configured(&stage, &second.url());
    let good = std::fs::read_to_string(stage.path("lab.toml")).unwrap();
    let bad = format!("[health]\nlisten = \"{}\"\n{good}", second.address);
    std::fs::write(stage.path("lab.toml"), bad).unwrap();
    agent.signal("HUP");
    until("it goes on with the one before", || {
        agent.log().contains("cannot be used")
    });
    stage.drop_file("c.csv", b"c");
    until("the first has it", || first.stored().len() == 3);

    std::fs::write(stage.path("lab.toml"), good).unwrap();
    agent.signal("HUP");
    until("the second is known", || {
        stage.json(&["status"])["routes"][0]["to"][0]["address"] == second.url()
    });
    stage.drop_file("d.csv", b"d");
    until("the second has it", || second.stored().len() == 1);
    assert_eq!(first.stored().len(), 3);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn an_agent_without_a_configuration_ends_with_its_terminal() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let agent = stage.agent(&receiver.url(), &[]);
    agent.signal("HUP");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn an_agent_that_was_told_to_ignore_its_terminal_outlives_it() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    configured(&stage, &receiver.url());
    let mut run = stage.command(&["run"]);
    run.arg("--config").arg(stage.path("lab.toml"));
    // As `nohup` does.
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    shell.arg(run.get_program()).args(run.get_args());
    let agent = Running::start(&mut shell, stage.path("agent.log"));
    until("the agent answers", || {
        std::os::unix::net::UnixStream::connect(stage.path("data/control.sock")).is_ok()
    });
    let before = stage.json(&["status"])["since"].clone();
    agent.signal("HUP");
    stage.drop_file("a.csv", b"a");
    until("it is delivered", || receiver.stored().len() == 1);
    assert_eq!(stage.json(&["status"])["since"], before, "it began anew");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn how_the_life_before_ended_is_told_at_the_next_start() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    configured(&stage, &receiver.url());
    let agent = start(&stage);
    assert!(stage.json(&["status"])["last_stop"].is_null());
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));

    let agent = start(&stage);
    let last = stage.json(&["status"])["last_stop"].clone();
    assert!(last.as_str().unwrap().contains("stopped cleanly"), "{last}");
    let health = say(&mut stage.command(&["health"]));
    assert_eq!(health.code, Some(0), "{health:?}");
    until("its start is written down", || {
        let lives = std::fs::read_to_string(stage.path("data/stops.json")).unwrap();
        lives.matches("started_ms").count() == 2
    });
    agent.kill();

    let agent = start(&stage);
    let last = stage.json(&["status"])["last_stop"].clone();
    assert!(last.as_str().unwrap().contains("was not stopped"), "{last}");
    let health = say(&mut stage.command(&["health"]));
    assert!(health.out.contains("last stop"), "{health:?}");
    assert!(health.out.contains("was not stopped"), "{health:?}");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

//! What a person does with documents: look, move, give up; beside a running agent and without one.

use crate::support::{Receiver, Running, Stage, say, until};

/// An agent whose documents are refused, each by itself, until they are dead letters.
fn with_dead_letters(stage: &Stage, count: usize) -> (Receiver, Running) {
    let receiver = stage.receiver(&["--fail", "422:1"]);
    std::fs::write(
        stage.path("m.toml"),
        crate::end_to_end::config(stage, &receiver.url()),
    )
    .unwrap();
    stage.drop_files("a", count);
    let mut command = stage.command(&["run", "--config", &stage.text("m.toml")]);
    let agent = Running::start(&mut command, stage.path("agent.log"));
    until("the agent answers", || {
        stage.path("data/control.sock").exists()
    });
    until("all are dead letters", || {
        stage.ledger("dead") == count as u64
    });
    (receiver, agent)
}

#[test]
fn a_dead_letter_is_listed_shown_and_replayed_under_its_own_id() {
    let stage = Stage::new();
    let (receiver, agent) = with_dead_letters(&stage, 3);
    let dead = stage.json(&["dead", "list"]);
    let dead = dead.as_array().unwrap();
    assert_eq!(dead.len(), 3);
    let id = dead[0]["id"].as_str().unwrap();
    let shown = stage.json(&["dead", "show", id]);
    assert_eq!(shown["lanes"][0]["state"], "dead");
    assert!(
        shown["lanes"][0]["error"].as_str().unwrap().contains("422"),
        "{shown}"
    );
    let body = say(&mut stage.command(&["queue", "show", id, "--body"]));
    assert!(body.out.starts_with("{\"from\": \"a\""), "{body:?}");

    let address = receiver.address.clone();
    receiver.process.kill();
    let receiver = Receiver::start(&stage, &address, &[]);
    let said = say(&mut stage.command(&["dead", "replay", id]));
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "replay: 1 document\n"),
        "{said:?}"
    );
    until("it has arrived", || receiver.stored().len() == 1);
    assert!(crate::support::stored_in(&stage.path("store"))[0].0 == id);
    assert_eq!(
        say(&mut stage.command(&["dead", "replay", "--all"])).code,
        Some(0)
    );
    until("all have arrived", || {
        receiver.stored().len() == 3 && stage.ledger("delivered") == 3
    });
    drop(agent);
}

#[test]
fn the_verbs_work_without_an_agent_too_and_the_ledger_keeps_count() {
    let stage = Stage::new();
    let (_receiver, agent) = with_dead_letters(&stage, 3);
    agent.kill();
    let ids: Vec<String> = stage
        .json(&["dead", "list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| letter["id"].as_str().unwrap().to_owned())
        .collect();
    let said = say(&mut stage.command(&["dead", "discard", &ids[0], "--reason", "test piece"]));
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "discard: 1 document\n"),
        "{said:?}"
    );
    assert_eq!(
        say(&mut stage.command(&["queue", "retry", &ids[1]])).code,
        Some(0)
    );
    let counts =
        ["accepted", "delivered", "queued", "dead", "discarded"].map(|name| stage.ledger(name));
    assert_eq!(counts, [3, 0, 1, 1, 1]);
    assert_eq!(
        say(&mut stage.command(&["queue", "bury", &ids[1], "--reason", "no"])).code,
        Some(0)
    );
    assert_eq!(stage.ledger("dead"), 2);
    let listed = stage.json(&[
        "queue", "list", "--state", "dead", "--lane", "lab/http", "--text", "NO",
    ]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
}

#[test]
fn what_does_not_fit_or_is_not_there_changes_nothing_and_says_so() {
    let stage = Stage::new();
    let (_receiver, agent) = with_dead_letters(&stage, 1);
    let mut agent = Some(agent);
    let id = stage.json(&["dead", "list"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for _ in 0..2 {
        let refused = |args: &[&str], code: i32, expected: &str| {
            let said = say(&mut stage.command(args));
            assert_eq!(
                (said.code, said.err.contains(expected)),
                (Some(code), true),
                "{args:?}: {said:?}"
            );
        };
        refused(
            &["queue", "bury", &id],
            69,
            "no document is in a state that `bury` fits",
        );
        refused(
            &["queue", "show", "x"],
            64,
            "`x` is not the id of a document",
        );
        refused(
            &["queue", "show", "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6"],
            64,
            "no document 0192f0c1",
        );
        refused(
            &["queue", "list", "--lane", "no/where"],
            64,
            "help: lanes: lab/http",
        );
        refused(&["queue", "discard", "--all"], 2, "name their lane");
        assert_eq!(stage.ledger("dead"), 1);
        // The second time round nobody runs.
        if let Some(agent) = agent.take() {
            agent.kill();
        }
    }
}

#[test]
fn verify_reads_everything_back_and_finds_a_damaged_body() {
    let stage = Stage::new();
    std::fs::write(stage.path("big.bin"), vec![7; 400_000]).unwrap();
    std::fs::write(
        stage.path("m.toml"),
        crate::end_to_end::config(&stage, "http://127.0.0.1:1/"),
    )
    .unwrap();
    let config = stage.text("m.toml");
    let mut command = stage.command(&[
        "submit",
        &stage.text("big.bin"),
        &config,
        "--config",
        &config,
    ]);
    assert_eq!(say(&mut command).code, Some(0));
    let said = say(&mut stage.command(&["queue", "verify"]));
    assert_eq!(
        (said.code, said.out.contains("2 documents")),
        (Some(0), true),
        "{said:?}"
    );
    let body = std::fs::read_dir(stage.path("data/queue/bodies"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(&body, vec![8; 400_000]).unwrap();
    let said = say(&mut stage.command(&["queue", "verify"]));
    assert_eq!(
        (said.code, said.out.contains("not what was stored")),
        (Some(65), true),
        "{said:?}"
    );
}

//! One agent for each data folder; whoever comes second is told who is first.

use crate::support::{Stage, say, until};

#[test]
fn a_second_agent_on_one_data_folder_is_refused_with_the_first_one_s_process() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("out")).unwrap();
    let agent = stage.agent(&stage.text("out"), &[]);
    let said = say(&mut stage.run(&stage.text("out"), &[]));
    assert_eq!(said.code, Some(34), "{said:?}");
    let holder = format!(
        "error: cannot use the data folder `{}`: process {} has it",
        stage.text("data"),
        agent.pid()
    );
    assert!(said.err.contains(&holder), "{}", said.err);
    assert!(
        said.err.contains("help: stop that one first"),
        "{}",
        said.err
    );
}

#[test]
fn the_folder_of_a_killed_agent_is_free_at_once() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("out")).unwrap();
    stage.agent(&stage.text("out"), &[]).kill();
    let agent = stage.agent(&stage.text("out"), &[]);
    until("it answers", || {
        stage.json(&["status"])["pid"] == agent.pid()
    });
}

#[test]
fn two_agents_on_one_drop_folder_share_the_files_and_double_none() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let first = stage.agent(&receiver.url(), &[]);
    let mut second = crate::support::mainstay(&[
        "run",
        "--from",
        &stage.text("drop"),
        "--to",
        &receiver.url(),
    ]);
    second.args(["--data", &stage.text("data2")]);
    let second = crate::support::Running::start(&mut second, stage.path("second.log"));
    let dropped = stage.drop_files("a", 100);
    until("all have arrived", || receiver.stored() == dropped);
    drop((first, second));
}

#[test]
fn the_data_folder_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    std::fs::create_dir(stage.path("out")).unwrap();
    let _agent = stage.agent(&stage.text("out"), &[]);
    for (path, mode) in [
        ("data", 0o700),
        ("data/control.sock", 0o600),
        ("data/work", 0o700),
        ("data/archive", 0o700),
    ] {
        let found = std::fs::metadata(stage.path(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(found, mode, "{path} has {found:o}");
    }
}

//! A folder in, a server or a folder out: every file, byte for byte, once.

use crate::support::{Stage, names, say, until};
use std::os::unix::ffi::OsStrExt;

#[test]
fn every_file_arrives_byte_for_byte() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let dropped = stage.drop_files("a", 200);
    let said = say(&mut stage.run(&receiver.url(), &["--until-empty"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.err
            .contains("200 accepted = 200 delivered + 0 queued + 0 dead + 0 discarded"),
        "{}",
        said.err
    );
    assert!(
        receiver.stored() == dropped,
        "what was stored is not what was dropped"
    );
    assert_eq!(names(&stage.path("drop")), [""; 0]);
}

#[test]
fn files_that_appear_while_it_runs_are_taken_too() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let agent = stage.agent(&receiver.url(), &[]);
    let mut dropped = stage.drop_files("a", 20);
    until("the first have arrived", || receiver.stored().len() == 20);
    dropped.extend(stage.drop_files("b", 20));
    until("all have arrived", || receiver.stored() == dropped);
    drop(agent);
}

#[test]
fn it_delivers_to_a_folder_and_keeps_the_names() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("out")).unwrap();
    let dropped = stage.drop_files("a", 60);
    let said = say(&mut stage.run(&stage.text("out"), &["--until-empty"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(names(&stage.path("out")).iter().eq(dropped.keys()));
    for (name, body) in dropped {
        assert!(
            std::fs::read(stage.path("out").join(&name)).unwrap() == body,
            "{name}"
        );
    }
}

#[test]
fn without_any_flag_files_go_from_the_inbox_to_the_outbox() {
    let stage = Stage::new();
    std::fs::create_dir_all(stage.path("data/inbox")).unwrap();
    std::fs::write(stage.path("data/inbox/a.txt"), b"one").unwrap();
    let mut command = stage.command(&["run", "--until-empty"]);
    let said = say(command
        .env("HOME", stage.path("home"))
        .env("CONFIGURATION_DIRECTORY", stage.path("none")));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        std::fs::read(stage.path("data/outbox/a.txt")).unwrap(),
        b"one"
    );
}

#[test]
fn names_that_are_not_text_and_the_same_name_twice_are_two_documents() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let odd = stage
        .path("drop")
        .join(std::ffi::OsStr::from_bytes(b"m\xfcll \n.csv"));
    std::fs::write(odd, b"odd").unwrap();
    stage.drop_file("same.txt", b"first");
    assert_eq!(
        say(&mut stage.run(&receiver.url(), &["--until-empty"])).code,
        Some(0)
    );
    stage.drop_file("same.txt", b"second");
    assert_eq!(
        say(&mut stage.run(&receiver.url(), &["--until-empty"])).code,
        Some(0)
    );
    let mut bodies: Vec<_> = crate::support::stored_in(&stage.path("store"))
        .into_iter()
        .map(|(_, _, body)| body)
        .collect();
    bodies.sort();
    assert_eq!(
        bodies,
        [b"first".to_vec(), b"odd".to_vec(), b"second".to_vec()]
    );
}

#[test]
fn a_failing_receiver_loses_and_doubles_nothing() {
    let stage = Stage::new();
    let mut faults = vec![
        "--fail",
        "503:0.1",
        "--fail",
        "429:0.04",
        "--retry-after",
        "1s",
    ];
    faults.extend([
        "--reset", "0.2", "--hang", "0.05", "--delay", "5ms", "--seed", "1",
    ]);
    let receiver = stage.receiver(&faults);
    let dropped = stage.drop_files("a", 60);
    std::fs::write(stage.path("m.toml"), config(&stage, &receiver.url())).unwrap();
    let said =
        say(&mut stage.command(&["run", "--until-empty", "--config", &stage.text("m.toml")]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        receiver.stored() == dropped,
        "what was stored is not what was dropped"
    );
    let (_, status) = receiver.ask("GET", "/status", &[], b"");
    assert!(
        !status.contains("\"duplicates\":0"),
        "cut answers have to make repeats: {status}"
    );
}

#[test]
fn a_receiver_that_is_down_at_first_gets_everything_once_it_is_back() {
    let stage = Stage::new();
    let receiver = stage.receiver(&["--down-for", "6s"]);
    let dropped = stage.drop_files("a", 20);
    let agent = stage.agent(&receiver.url(), &[]);
    until("the destination is held", || {
        let status = stage.json(&["status"]);
        status["state"] == "degraded" && status["routes"][0]["to"][0]["state"] == "held"
    });
    until("all have arrived", || receiver.stored() == dropped);
    drop(agent);
}

/// The same route as on the command line, with shorter waits.
pub(crate) fn config(stage: &Stage, url: &str) -> String {
    let from = stage.text("drop");
    format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{from}\"\n\
         [route.to.http]\nurl = \"{url}\"\ntimeout = \"1s\"\nretry = {{ initial = \"10ms\", max = \"100ms\" }}\n"
    )
}

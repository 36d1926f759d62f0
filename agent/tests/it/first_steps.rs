//! What a person meets who is new to it: each slip of the hand is told with what, where and what to do.

use crate::support::{Said, Stage, mainstay, say};
use std::process::Stdio;

fn refused(said: &Said, code: i32, parts: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    for part in parts {
        assert!(said.err.contains(part), "`{part}` is missing: {said:?}");
    }
}

#[test]
fn a_slip_of_the_hand_is_told_with_what_where_and_what_to_do() {
    let stage = Stage::new();
    std::fs::write(stage.path("file"), "x").unwrap();
    std::fs::write(stage.path("garbage.toml"), [0xff, 0xfe, 0x00]).unwrap();
    let (drop, file) = (stage.text("drop"), stage.text("file"));
    let run = |args: &[&str]| {
        let mut all = vec!["run"];
        all.extend(args);
        say(&mut stage.command(&all))
    };
    let run_to = |to: &str| run(&["--from", &drop, "--to", to]);
    refused(
        &run_to("ftp://h/"),
        2,
        &["--to", "write it as http://host/path or https://host/path"],
    );
    refused(&run_to("http://"), 2, &["--to", "http://host:port/path"]);
    refused(&run_to(&file), 66, &[&file, "it is not a folder"]);
    refused(&run_to(&stage.text("no")), 66, &["make the folder first"]);
    refused(&run(&["--from", &file]), 66, &[&file, "it is not a folder"]);
    let garbage = stage.text("garbage.toml");
    refused(
        &run(&["--config", &garbage]),
        20,
        &[&garbage, "text in UTF-8"],
    );
    let said = say(&mut mainstay(&["status", "--data", &file]));
    refused(&said, 32, &[&file, "is a file, not a data folder"]);
    let said = say(&mut mainstay(&["status", "--data", &drop]));
    refused(&said, 32, &[&drop, "--data"]);
    let said = say(&mut mainstay(&[
        "receive",
        "--listen",
        "127.0.0.1:0",
        "--store",
        &file,
    ]));
    refused(&said, 30, &[&file, "--store"]);
    let said = say(&mut stage.command(&["submit", "no-such-file"]));
    refused(&said, 66, &["no-such-file", "check its name"]);
}

#[test]
fn an_empty_standard_input_is_a_document_and_is_remarked_on() {
    let stage = Stage::new();
    let said = say(stage.command(&["submit", "-"]).stdin(Stdio::null()));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("standard input was empty"), "{said:?}");
}

#[test]
fn of_many_files_the_first_that_is_not_stored_is_named_with_how_many_were() {
    let stage = Stage::new();
    let limited = "[queue]\nmax_documents = 2\nwhen_full = \"reject\"\n[[route]]\nname = \"a\"\n[route.to.folder]\npath = \"drop\"\n";
    std::fs::write(stage.path("m.toml"), limited).unwrap();
    let mut command = stage.command(&["submit", "--config", &stage.text("m.toml")]);
    for name in ["one", "two", "three"] {
        std::fs::write(stage.path(name), name).unwrap();
        command.arg(stage.path(name));
    }
    let said = say(&mut command);
    refused(
        &said,
        67,
        &["three` was not stored; 2 were before it", "help: "],
    );
    assert_eq!(said.out.lines().count(), 2);
}

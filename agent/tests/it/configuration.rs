//! What cannot be is refused before anything starts: what, where, what to do, and the documented code.

use crate::support::{Stage, mainstay, say};

#[test]
fn every_problem_of_a_configuration_is_told_with_file_line_and_column() {
    let stage = Stage::new();
    let file = stage.text("m.toml");
    std::fs::write(
        &file,
        "[[route]]\nname = \"a b\"\n[route.from]\nfolder = \"drop\"\n[route.to.x]\n",
    )
    .unwrap();
    let expected = format!(
        "error: the configuration `{file}` cannot be used\n\
         {file}:2:8: `a b` is not a name for a route\n  \
         help: begin with a letter or digit, then letters, digits, `-`, `_` and `.`, 64 at most\n\
         {file}:5:11: the destination `x` has neither a `url` nor a `path`\n  \
         help: give it a `url` (HTTP) or a `path` (a folder)\n"
    );
    for command in [
        &["config", "check"][..],
        &["config", "show"],
        &["route", "list"],
        &["run"],
    ] {
        let said = say(stage.command(command).args(["--config", &file]));
        assert_eq!(
            (said.code, said.err),
            (Some(22), expected.clone()),
            "{command:?}"
        );
    }
}

#[test]
fn a_configuration_that_is_not_there_or_cannot_be_read_has_its_own_code() {
    let stage = Stage::new();
    let said = say(stage
        .command(&["config", "check"])
        .args(["--config", "/no/such.toml"]));
    assert_eq!(said.code, Some(21));
    assert!(
        said.err
            .starts_with("error: there is no configuration file `/no/such.toml`\n  help: "),
        "{}",
        said.err
    );
    std::fs::write(stage.path("m.toml"), b"\xff\xfe").unwrap();
    let said = say(stage
        .command(&["config", "check"])
        .args(["--config", &stage.text("m.toml")]));
    assert_eq!(said.code, Some(20), "{said:?}");
}

#[test]
fn a_configuration_that_can_be_used_is_said_to_be() {
    let stage = Stage::new();
    let text = crate::end_to_end::config(&stage, "http://127.0.0.1:1/ingest");
    std::fs::write(stage.path("m.toml"), text).unwrap();
    let said = say(stage
        .command(&["config", "check"])
        .args(["--config", &stage.text("m.toml")]));
    assert_eq!(
        (said.code, said.out),
        (
            Some(0),
            format!(
                "`{}` can be used: 1 route, 0 warnings\n",
                stage.text("m.toml")
            )
        )
    );
    let shown = stage.json(&["config", "show", "--config", &stage.text("m.toml")]);
    assert_eq!(shown["route"][0]["to"]["http"]["retry"]["max"], "100ms");
    let routes = stage.json(&["route", "list", "--config", &stage.text("m.toml")]);
    assert_eq!(routes[0]["name"], "lab");
}

#[test]
fn what_the_command_line_asks_for_is_checked_before_anything_starts() {
    let stage = Stage::new();
    let refused = |from: &str, to: &str, code: i32, expected: &str| {
        let data = stage.text("data");
        let said = say(&mut mainstay(&[
            "run", "--from", from, "--to", to, "--data", &data,
        ]));
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.err.contains(expected), "{expected}: {}", said.err);
        assert!(!stage.path("data").exists(), "nothing was made");
    };
    let (drop, missing) = (stage.text("drop"), stage.text("missing"));
    refused(
        &drop,
        "htp://h/",
        2,
        "--to: the address of the destination is neither http nor https; write it as http://host/path or https://host/path",
    );
    refused(&drop, "http://u:s3cret@h/", 2, "set them as `auth`");
    refused(
        &missing,
        "http://h/",
        66,
        &format!("error: cannot take files from `{missing}`"),
    );
    refused(
        &missing,
        "http://h/",
        66,
        "help: make the folder first, or name another with --from",
    );
    refused(
        &drop,
        &missing,
        66,
        &format!("error: cannot deliver to `{missing}`"),
    );
    refused(&stage.text(""), "http://h/", 2, "lies in the drop folder");
}

#[test]
fn usage_errors_and_help_have_the_usual_codes() {
    assert_eq!(say(&mut mainstay(&["frobnicate"])).code, Some(2));
    assert_eq!(
        say(&mut mainstay(&["run", "--config", "a", "--from", "b"])).code,
        Some(2)
    );
    assert_eq!(say(&mut mainstay(&["--help"])).code, Some(0));
    assert_eq!(
        say(&mut mainstay(&["run", "--log-level", "loud=x=y"])).code,
        Some(2)
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let stage = Stage::new();
    let command = format!(
        "{} config show --data {} | head -c 1",
        env!("CARGO_BIN_EXE_mainstay"),
        stage.text("data")
    );
    let said = say(std::process::Command::new("bash").args(["-o", "pipefail", "-c", &command]));
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
}

//! `mainstay files status`, `files check` and `backup scrub`, as a person uses them.

use crate::support::{Running, Said, Stage, mainstay, say, until};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        std::fs::canonicalize(self.root.path()).unwrap().join(name)
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    fn said(&self, args: &[&str]) -> Said {
        let mut command = mainstay(args);
        command.arg("--data").arg(self.path("data"));
        command.stdin(Stdio::null()).output().unwrap().into()
    }

    fn said_without_data(&self, args: &[&str]) -> Said {
        let mut command = mainstay(args);
        command.current_dir(self.root.path());
        command.output().unwrap().into()
    }

    fn status(&self, file: &str) -> (Value, Option<i32>) {
        let said = self.said(&["files", "status", "--json", file]);
        let mut told: Vec<Value> = serde_json::from_str(&said.out).unwrap();
        (told.remove(0), said.code)
    }
}

/// Changes a byte and nothing that the system tells of the file.
fn rot(path: &Path) {
    let before = std::fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    file.set_modified(before).unwrap();
}

#[test]
fn how_a_file_stands_is_told_with_what_to_do_and_a_code() {
    let place = Place::new();
    let file = place.file("recipe.json", "{\"a\": 1}\n");
    let (status, code) = place.status(&file);
    assert_eq!((status["state"].as_str(), code), (Some("unknown"), Some(0)));
    let said = place.said(&["files", "status", &file]);
    assert!(said.out.contains("`mainstay backup create"), "{}", said.out);

    assert_eq!(place.said(&["backup", "create", &file]).code, Some(0));
    let (status, code) = place.status(&file);
    assert_eq!((status["state"].as_str(), code), (Some("saved"), Some(0)));
    assert_eq!(status["backups"], 1);
    assert!(status["verified"].as_str() >= status["saved"].as_str());

    place.file("recipe.json", "{\"a\": 2}\n");
    let (status, code) = place.status(&file);
    assert_eq!(
        (status["state"].as_str(), code),
        (Some("modified"), Some(0))
    );

    assert_eq!(place.said(&["backup", "create", &file]).code, Some(0));
    rot(Path::new(&file));
    let (status, code) = place.status(&file);
    assert_eq!(
        (status["state"].as_str(), code),
        (Some("damaged"), Some(65))
    );
    let said = place.said(&["files", "status", &file]);
    assert!(said.out.contains("mainstay backup restore"), "{}", said.out);

    std::fs::remove_file(&file).unwrap();
    let (status, code) = place.status(&file);
    assert_eq!(
        (status["state"].as_str(), code),
        (Some("missing"), Some(66))
    );
    let said = place.said(&["backup", "scrub", "--repair"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.contains("1 missing"), "{}", said.out);
    assert!(said.err.contains("recipe.json: missing"), "{}", said.err);
    assert!(!Path::new(&file).exists(), "somebody removed it");
    let gone = place.path("never");
    let (status, code) = place.status(gone.to_str().unwrap());
    assert_eq!((status["state"].as_str(), code), (Some("unknown"), Some(0)));
}

#[test]
fn a_scrub_finds_what_the_disk_lost_and_repairs_it_only_where_it_may() {
    let place = Place::new();
    let file = place.file("recipe.json", "{\"a\": 1}\n");
    let other = place.file("other.json", "{}\n");
    for path in [&file, &other] {
        assert_eq!(place.said(&["backup", "create", path]).code, Some(0));
    }
    // Slow enough to wait for it.
    let said = place.said(&["backup", "scrub", "--rate", "100B"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(
        said.out.starts_with("2 files and 2 backups read: "),
        "{}",
        said.out
    );

    rot(Path::new(&file));
    let said = place.said(&["backup", "scrub", "--rate", "0"]);
    assert_eq!(said.code, Some(65));
    assert!(said.err.contains("recipe.json: damaged"), "{}", said.err);
    assert_ne!(std::fs::read(&file).unwrap(), b"{\"a\": 1}\n");

    let said = place.said(&["backup", "scrub", "--repair"]);
    assert_eq!(
        said.code,
        Some(65),
        "it was damaged, and that is told once more"
    );
    assert!(said.err.contains("; repaired from 2"), "{}", said.err);
    assert_eq!(std::fs::read(&file).unwrap(), b"{\"a\": 1}\n");
    let said = place.said(&["backup", "scrub", "--json"]);
    assert_eq!(said.code, Some(0));
    let told: Vec<Value> = serde_json::from_str(&said.out).unwrap();
    assert!(told.iter().all(|thing| thing["complaint"].is_null()));
    assert_eq!(
        told.len(),
        2 + 3,
        "two files, their backups, and what was damaged"
    );
}

#[test]
fn a_file_is_valid_by_the_format_of_its_name_or_the_one_that_was_given() {
    let place = Place::new();
    let good = place.file("good.json", "{}\n");
    let bad = place.file("bad.TOML", "a = \n");
    let said = place.said_without_data(&["files", "check", &good]);
    assert_eq!(
        (said.code, said.out.ends_with(": valid\n")),
        (Some(0), true)
    );
    let said = place.said_without_data(&["files", "check", &good, &bad]);
    assert_eq!(said.code, Some(65));
    assert!(said.out.contains("at line 1"), "{}", said.out);
    let said = place.said_without_data(&["files", "check", "--format", "text", &bad]);
    assert_eq!(said.code, Some(0), "{}", said.out);
    let said = place.said_without_data(&["files", "check", "--format", "yaml", &bad]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("json, toml, xml, csv and text"),
        "{}",
        said.err
    );
}

#[test]
fn a_file_has_to_fit_the_schema_that_was_given() {
    let place = Place::new();
    let schema = place.file(
        "schema.json",
        "{\"properties\": {\"a\": {\"type\": \"integer\"}}}",
    );
    let (good, bad) = (
        place.file("good.toml", "a = 1\n"),
        place.file("bad.json", "{\"a\": \"x\"}"),
    );
    let said = place.said_without_data(&["files", "check", "--schema", &schema, &good, &bad]);
    assert_eq!(said.code, Some(65));
    assert!(said.out.contains("good.toml: valid\n"), "{}", said.out);
    assert!(
        said.out
            .contains("bad.json: not valid: it does not fit its schema: /a: "),
        "{}",
        said.out
    );
    let said = place.said_without_data(&["files", "check", "--schema", &bad, &schema]);
    assert_eq!(
        said.code,
        Some(0),
        "an object without rules fits everything"
    );
    let said = place.said_without_data(&["files", "check", "--schema", &good, &bad]);
    assert_eq!(said.code, Some(65));
    assert!(said.err.contains("good.toml` as a schema"), "{}", said.err);
    let text = place.file("notes.txt", "hello");
    let said = place.said_without_data(&["files", "check", "--schema", &schema, &text]);
    assert!(
        said.out.contains("a schema is for JSON and TOML"),
        "{}",
        said.out
    );
}

#[test]
fn a_running_agent_scrubs_its_backups_repairs_what_it_may_and_says_so() {
    let stage = Stage::new();
    let file = stage.path("recipe.json");
    std::fs::write(&file, "{\"a\": 1}\n").unwrap();
    let made = say(&mut stage.command(&["backup", "create", file.to_str().unwrap()]));
    assert_eq!(made.code, Some(0), "{}", made.err);
    rot(&file);
    std::fs::create_dir(stage.path("in")).unwrap();
    let config = stage.path("mainstay.toml");
    let text = "[backups]\nscrub_every = \"1s\"\nrepair = true\n[[route]]\nname = \"r\"\n\
        [route.from]\nfolder = \"in\"\n[route.to.folder]\npath = \"out\"\n";
    std::fs::write(&config, text).unwrap();
    let mut command = stage.command(&["run", "--config", config.to_str().unwrap()]);
    let agent = Running::start(&mut command, stage.path("agent.log"));
    until("the file is repaired", || {
        std::fs::read(&file).unwrap() == b"{\"a\": 1}\n"
    });
    until("the status tells of a scrub that found all well", || {
        let last = &stage.json(&["status"])["last_scrub"];
        last["files"] == 1 && last["damaged"] == 0 && last["backups"] == 2
    });
    assert!(
        agent.log().contains("recipe.json: damaged"),
        "{}",
        agent.log()
    );
    let page = say(&mut stage.command(&["status"]));
    assert!(
        page.out.contains("backups   1 file and 2 versions read 2"),
        "{}",
        page.out
    );
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    // What was told stays known without an agent.
    assert_eq!(stage.json(&["status"])["last_scrub"]["files"], 1);
}

//! What fails beside the documents is told by the agent's health until it is well again, and not by its log alone.

use crate::support::{Running, Said, Stage, say, until};
use serde_json::Value;
use std::path::Path;

/// A check as it is now; nothing while nobody answers.
fn check(stage: &Stage, name: &str) -> Value {
    let said = say(stage.command(&["health"]).arg("--json"));
    let health: Value = serde_json::from_str(&said.out).unwrap_or_default();
    health["checks"][name].clone()
}

/// Waits until a check is in this state, and gives what it says.
fn is(stage: &Stage, name: &str, state: &str) -> String {
    let mut now = Value::Null;
    until(&format!("`{name}` is {state}"), || {
        now = check(stage, name);
        now["state"] == state
    });
    now["last"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// An agent with this configuration, to which a route from a folder to a folder is added.
fn agent(stage: &Stage, config: &str) -> Running {
    std::fs::create_dir_all(stage.path("out")).unwrap();
    let route = "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"drop\"\nsettle = \"0s\"\n\
                 [route.to.folder]\npath = \"out\"\n";
    stage.start(&mut stage.configured(&format!("{config}{route}")))
}

/// A file where the agent has a folder: no right of anybody lets it be used as one.
fn in_the_way(stage: &Stage, folder: &str) -> std::path::PathBuf {
    let place = stage.path("data").join(folder);
    std::fs::create_dir_all(stage.path("data")).unwrap();
    if place.is_dir() {
        std::fs::rename(&place, stage.path("aside")).unwrap();
    }
    std::fs::write(&place, "not a folder").unwrap();
    place
}

fn passes(stage: &Stage, name: &str) {
    stage.drop_file(name, b"1");
    let arrived = stage.path("out").join(name);
    until("documents go on", || arrived.exists());
}

fn book(stage: &Stage) -> Said {
    say(&mut stage.command(&["runbook", "upkeep"]))
}

fn shown(stage: &Stage, words: &str) {
    let page = say(&mut stage.command(&["status"])).out;
    assert!(page.contains(words), "{words}: {page}");
    assert!(page.contains("`mainstay runbook upkeep`"), "{page}");
}

#[test]
fn a_trash_that_cannot_be_emptied_is_told_until_it_can() {
    let stage = Stage::new();
    let place = in_the_way(&stage, "trash");
    let agent = agent(&stage, "[backups]\nempty_trash_after = \"1s\"\n");
    let said = is(&stage, "upkeep", "degraded");
    let failed =
        |said: &str| said.starts_with("the trash is not emptied: ") && said.contains("trash");
    assert!(failed(&said), "{said}");
    shown(&stage, "the trash is not emptied: ");
    passes(&stage, "one.csv");
    let listed = say(&mut stage.command(&["trash", "list"]));
    assert_ne!(listed.code, Some(0), "step 1 tries it: {listed:?}");
    let log = agent.log();
    assert_eq!(
        log.matches("WARN the trash is not emptied").count(),
        1,
        "{log}"
    );

    std::fs::remove_file(place).unwrap();
    is(&stage, "upkeep", "healthy");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// The check kept what the last good scrub had found: nobody heard that there was none any more.
#[test]
fn backups_that_cannot_be_scrubbed_are_told_until_they_can() {
    let stage = Stage::new();
    let file = stage.path("recipe.json");
    std::fs::write(&file, "{}").unwrap();
    let made = say(&mut stage.command(&["backup", "create", file.to_str().unwrap()]));
    assert_eq!(made.code, Some(0), "{made:?}");
    let agent = agent(&stage, "[backups]\nscrub_every = \"1s\"\n");
    until("they were scrubbed", || {
        stage.json(&["status"])["last_scrub"]["files"] == 1
    });
    is(&stage, "backups", "healthy");

    let place = in_the_way(&stage, "backups");
    let said = is(&stage, "backups", "degraded");
    assert!(said.starts_with("the backups are not scrubbed: "), "{said}");
    shown(&stage, "the backups are not scrubbed: ");
    is(&stage, "upkeep", "healthy");
    passes(&stage, "one.csv");

    std::fs::remove_file(&place).unwrap();
    std::fs::rename(stage.path("aside"), &place).unwrap();
    is(&stage, "backups", "healthy");
    // All is read, and what it came to cannot be written down: it would be read again and again, and the status would stay old.
    let last = place.join("last-scrub.json");
    std::fs::remove_file(&last).unwrap();
    std::fs::create_dir(&last).unwrap();
    let said = is(&stage, "backups", "degraded");
    assert!(said.contains("last-scrub.json"), "{said}");
    std::fs::remove_dir(&last).unwrap();
    is(&stage, "backups", "healthy");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn answers_that_cannot_be_kept_are_told_and_are_kept_after_the_steps_of_the_runbook() {
    let stage = Stage::new();
    let place = in_the_way(&stage, "cache");
    std::fs::create_dir(stage.path("parts")).unwrap();
    let lookup = "[[route]]\nname = \"parts\"\n[[route.lookup]]\nname = \"parts\"\nurl = \"http://127.0.0.1:1/{n}\"\ntake = { a = \"b\" }\n\
                  [route.to.folder]\npath = \"parts\"\n";
    let agent = agent(&stage, lookup);
    let said = is(&stage, "upkeep", "degraded");
    assert!(
        said.starts_with("answers to lookups are not kept: "),
        "{said}"
    );
    shown(&stage, "answers to lookups are not kept: ");
    passes(&stage, "one.csv");

    let page = book(&stage).out;
    let step = format!(
        "\"answers to lookups are not kept\": the same of `{}`",
        place.display()
    );
    assert!(page.contains(&step), "{page}");
    assert!(
        page.contains("`systemctl reload mainstay`, or SIGHUP"),
        "{page}"
    );
    std::fs::remove_file(&place).unwrap();
    agent.signal("HUP");
    is(&stage, "upkeep", "healthy");
    assert!(Path::new(&place).is_dir());
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

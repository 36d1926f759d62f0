//! `mainstay paths` and `mainstay doctor`: where everything is, and what is wrong there.

use crate::support::{Said, Stage, mainstay, say, until};
use serde_json::Value;
use std::path::Path;

fn said(verb: &str, data: &Path, more: &[&str]) -> Said {
    let mut command = mainstay(&[verb]);
    command.arg("--data").arg(data).args(more);
    command.output().unwrap().into()
}

fn checks(said: &Said) -> Vec<(String, String)> {
    let told: Value = serde_json::from_str(&said.out).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = told.as_array().unwrap().iter();
    checks
        .map(|check| (text(&check["check"]), text(&check["verdict"])))
        .collect()
}

#[test]
fn every_folder_is_shown_with_what_can_be_done_with_it() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let told = said("paths", &data, &["--json"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    let find = |name: &str| {
        let mut places = told.as_array().unwrap().iter();
        places.find(|place| place["name"] == name).unwrap().clone()
    };
    assert_eq!(find("data")["path"], data.display().to_string());
    assert_eq!(
        (
            find("data")["exists"].clone(),
            find("queue")["writable"].clone()
        ),
        (false.into(), true.into())
    );
    assert!(find("data")["free_bytes"].as_u64().unwrap() > 0);
    for name in [
        "config file",
        "config",
        "cache",
        "logs",
        "runtime",
        "temp",
        "exports",
    ] {
        assert!(
            Path::new(find(name)["path"].as_str().unwrap()).is_absolute(),
            "{name}"
        );
    }
    let page = said("paths", &data, &[]);
    assert!(page.out.contains(data.to_str().unwrap()), "{}", page.out);
    assert!(page.out.contains("not there yet"), "{}", page.out);
    assert!(!data.exists(), "looking makes nothing");
}

#[test]
fn the_doctor_finds_what_is_in_the_way_and_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let well = said("doctor", &data, &["--json"]);
    let verdict = |said: &Said, name: &str| {
        let mut all = checks(said).into_iter();
        all.find(|(check, _)| check == name).unwrap().1
    };
    assert_eq!(verdict(&well, "configuration"), "good");
    assert_eq!(verdict(&well, "data folder"), "good");
    assert_eq!(verdict(&well, "agent"), "note");

    let broken = root.path().join("mainstay.toml");
    std::fs::write(&broken, "[[route]]\nfrm = 1\n").unwrap();
    let ill = said(
        "doctor",
        &data,
        &["--json", "--config", broken.to_str().unwrap()],
    );
    assert_eq!(ill.code, Some(30));
    assert_eq!(verdict(&ill, "configuration"), "bad");
    let page = said("doctor", &data, &["--config", broken.to_str().unwrap()]);
    assert!(
        page.out.contains("help: `mainstay config check`"),
        "{}",
        page.out
    );
    assert!(page.out.contains("to be put right"), "{}", page.out);
}

#[test]
fn a_folder_on_a_disk_that_takes_nothing_is_found_by_trying() {
    // The kernel's own folder takes nothing, not even from root.
    let ill = said("doctor", Path::new("/proc/mainstay"), &["--json"]);
    assert_eq!(ill.code, Some(30));
    let told = checks(&ill);
    assert!(
        told.contains(&("data folder".into(), "bad".into())),
        "{told:?}"
    );
}

#[test]
fn who_has_the_data_folder_and_since_when_is_shown() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("out")).unwrap();
    let agent = stage.agent(&stage.text("out"), &[]);
    let data = stage.path("data");
    let page = said("doctor", &data, &[]);
    let process = format!("process {} (since 20", agent.pid());
    assert!(page.out.contains(&process), "{}", page.out);
    let told = said("paths", &data, &["--json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    let mut places = told.as_array().unwrap().iter();
    let held = &places.find(|place| place["name"] == "data").unwrap()["held_by"];
    assert_eq!(held["pid"], agent.pid());
    assert!(held["since_ms"].as_u64().unwrap() > 0);
}

#[test]
fn a_data_folder_that_others_can_look_into_is_told_and_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mode = |bits| std::fs::Permissions::from_mode(bits);
    std::fs::set_permissions(&data, mode(0o755)).unwrap();
    let privacy = ("privacy".to_owned(), "note".to_owned());
    assert!(checks(&said("doctor", &data, &["--json"])).contains(&privacy));
    let found = std::fs::metadata(&data).unwrap().permissions().mode() & 0o777;
    assert_eq!(found, 0o755);
    std::fs::set_permissions(&data, mode(0o700)).unwrap();
    assert!(!checks(&said("doctor", &data, &["--json"])).contains(&privacy));
}

#[test]
fn an_agent_warns_where_others_can_look_into_its_data_folder_and_not_of_one_that_it_makes() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let run = || said("run", &data, &["--until-empty"]);
    assert!(!run().err.contains("warning"), "{}", run().err);
    let mode = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(&data, mode).unwrap();
    let exposed = format!(
        "warning: `{}` can be looked into by others (mode 0750)",
        data.display()
    );
    assert!(run().err.contains(&exposed), "{}", run().err);
}

/// In the program before, each part worked out the places by itself, and several of them were others than those shown.
#[test]
fn every_part_uses_the_places_that_are_shown() {
    let stage = Stage::new();
    let shown: Value = stage.json(&["paths"]);
    let place = |name: &str| {
        let places = shown.as_array().unwrap();
        let place = places.iter().find(|place| place["name"] == name).unwrap();
        Path::new(place["path"].as_str().unwrap()).to_owned()
    };
    let (kept, gone) = (stage.path("kept.txt"), stage.path("gone.txt"));
    for file in [&kept, &gone] {
        std::fs::write(file, "a file").unwrap();
    }
    let done = |args: &[&str]| {
        let said = say(&mut stage.command(args));
        assert_eq!(said.code, Some(0), "{}", said.err);
    };
    done(&["backup", "create", kept.to_str().unwrap()]);
    done(&["trash", "put", gone.to_str().unwrap()]);
    assert_eq!(std::fs::read_dir(place("backups")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(place("trash")).unwrap().count(), 1);

    let receiver = stage.receiver(&[]);
    let agent = stage.agent(&receiver.url(), &[]);
    stage.drop_files("shown", 1);
    until("the file is delivered", || stage.ledger("delivered") == 1);
    let status = stage.json(&["status"]);
    assert_eq!(Path::new(status["data"].as_str().unwrap()), place("data"));
    assert!(
        std::fs::read_dir(place("queue")).unwrap().count() > 1,
        "the queue lies where it is said to lie"
    );
    let checked = say(&mut stage.command(&["doctor", "--json"]));
    let data = place("data").display().to_string();
    assert!(checked.out.contains(&data), "{}", checked.out);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

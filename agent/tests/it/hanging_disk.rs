//! S11: a disk that does not answer, or refuses, is told as that, and everything goes on once it does not.

use crate::hubs::quiet_port;
use crate::support::{Stage, say, until};
use crate::told::{Begun, in_health, in_status};
use mainstay_testkit::image::{Cut, Image, Kind};
use std::path::Path;
use std::process::{Command, Stdio};

/// A file system whose writes wait until this is dropped, also where the test fails: nobody could unmount it.
struct Frozen<'a>(&'a Path);

impl<'a> Frozen<'a> {
    fn at(point: &'a Path) -> Self {
        let frozen = Command::new("fsfreeze").arg("-f").arg(point).status();
        assert!(frozen.unwrap().success());
        Self(point)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let thawed = Command::new("fsfreeze").arg("-u").arg(self.0).status();
        assert!(thawed.unwrap().success());
    }
}

/// Nobody told: the status asks no disk, and a task that waits for one beats.
#[test]
fn a_disk_that_does_not_answer_is_told_and_what_waited_for_it_is_stored_once_it_does() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    // With room enough that nothing else is said of it.
    let size = 512 << 20;
    let disk = match Image::make_of(&stage.path(""), "slow", Kind::Ext4, size) {
        Ok(disk) => disk,
        Err(error) => return println!("NOT MEASURED: {error:#}"),
    };
    let health = quiet_port();
    let config = format!(
        "[health]\nlisten = \"127.0.0.1:{health}\"\n[queue]\ndir = \"{}\"\n[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\nsettle = \"100ms\"\n[route.to.server]\nurl = \"{}\"\n",
        disk.path().join("queue").display(),
        stage.path("drop").display(),
        receiver.url(),
    );
    let agent = stage.start(&mut stage.configured(&config));
    let file = stage.path("a.csv");
    std::fs::write(&file, b"a").unwrap();
    let submit = || stage.command(&["submit", "--route", "lab", file.to_str().unwrap()]);
    let said = say(&mut submit());
    assert_eq!(said.code, Some(0), "{said:?}");

    let frozen = Frozen::at(disk.path());
    let mut waits = submit();
    let waits = waits.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    stage.drop_file("b.csv", b"b");
    let begun = Begun::now();
    for told in [
        begun.told("the disk", || in_status(&stage, "disk")),
        begun.told("the disk", || in_health(health, "disk")),
        begun.told("intake", || in_status(&stage, "intake")),
    ] {
        assert_eq!(told["runbook"], "disk-hangs", "{told}");
        assert_eq!(told["state"], "unhealthy", "{told}");
        assert!(
            told["message"]
                .as_str()
                .unwrap()
                .contains("has not answered for")
        );
    }
    until("its folder is not blamed", || {
        let status = stage.json(&["status"]);
        let reason = status["routes"][0]["from"]["reason"].as_str().unwrap();
        assert!(!reason.contains("its folder has not answered"), "{reason}");
        reason.contains("the disk of the queue, which has not answered for")
    });
    let page = say(&mut stage.command(&["runbook", "disk-hangs"])).out;
    assert!(
        page.contains(&format!("/proc/{}/wchan", agent.pid())),
        "{page}"
    );

    // Step 1.
    drop(frozen);
    assert!(waits.unwrap().wait().unwrap().success());
    for check in ["disk", "intake"] {
        until("it is well again", || in_health(health, check).is_none());
    }
    until("all are delivered", || stage.ledger("delivered") == 3);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// The runbook of a full disk was named, of which nothing is true then.
#[test]
fn a_disk_that_refuses_is_told_as_that_within_half_a_minute() {
    let stage = Stage::new();
    let size = 512 << 20;
    let disk = match Image::make_of(&stage.path(""), "failing", Kind::Ext4, size) {
        Ok(disk) => disk,
        Err(error) => return println!("NOT MEASURED: {error:#}"),
    };
    let (health, port) = (quiet_port(), quiet_port());
    let config = format!(
        "[health]\nlisten = \"127.0.0.1:{health}\"\n[queue]\ndir = \"{}\"\n[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\nsettle = \"100ms\"\n[route.to.server]\nurl = \"http://127.0.0.1:{port}/\"\n",
        disk.path().join("queue").display(),
        stage.path("drop").display(),
    );
    let agent = stage.start(&mut stage.configured(&config));
    let file = stage.path("a.csv");
    std::fs::write(&file, b"a").unwrap();
    let submit = || say(&mut stage.command(&["submit", "--route", "lab", file.to_str().unwrap()]));
    let said = submit();
    assert_eq!(said.code, Some(0), "{said:?}");

    disk.cut(Cut::Nothing).unwrap();
    let said = submit();
    assert_eq!(said.code, Some(67), "{said:?}");
    let begun = Begun::now();
    for told in [
        begun.told("intake", || in_status(&stage, "intake")),
        begun.told("intake", || in_health(health, "intake")),
    ] {
        assert_eq!(told["runbook"], "disk-fails", "{told}");
        assert_eq!(told["state"], "unhealthy", "{told}");
    }
    stage.drop_file("b.csv", b"b");
    until("the folder says what it waits for", || {
        let status = stage.json(&["status"]);
        let reason = status["routes"][0]["from"]["reason"].as_str().unwrap();
        reason.contains("the disk of the queue, which refuses")
    });
    let page = say(&mut stage.command(&["runbook", "disk-fails"])).out;
    assert!(page.contains("read_only"), "{page}");
    agent.signal("TERM");
    agent.end();
}

//! More runbooks that are walked: machines and programs that are slow, short of something, damaged or replaced.

use crate::hubs::quiet_port;
use crate::support::{Receiver, Said, Stage, say, until};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

fn book(stage: &Stage, name: &str) -> Said {
    say(&mut stage.command(&["runbook", name]))
}

/// The destination, as the agent tells it; nothing between two lives, when nobody does.
fn to(stage: &Stage) -> Value {
    let said = say(stage.command(&["status"]).arg("--json"));
    let status: Value = serde_json::from_str(&said.out).unwrap_or_default();
    status["routes"][0]["to"][0].clone()
}

#[test]
fn a_slow_destination_is_told_from_a_slow_disk_and_takes_more_at_once() {
    let stage = Stage::new();
    let receiver = stage.receiver(&["--delay", "2s"]);
    let configure = |concurrency: u16| {
        let config = format!(
            "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{}\"\nconcurrency = {concurrency}\n",
            stage.text("drop"),
            receiver.url(),
        );
        stage.configured(&config)
    };
    stage.drop_files("a", 6);
    let agent = stage.start(&mut configure(1));
    until("one is under way, and others wait", || {
        let to = to(&stage);
        to["in_flight"] == 1 && to["queued"].as_u64() > Some(1)
    });
    let said = book(&stage, "slow-responses").out;
    assert!(said.contains("1 in flight"), "{said}");
    until("what is slow is known", || {
        let page = say(&mut stage.command(&["status", "--budgets"])).out;
        page.contains("critical: `document` took 2")
    });
    let report = stage.json(&["status", "--budgets"]);
    let intake = report["operations"].as_array().unwrap().iter();
    let intake = { intake }.find(|operation| operation["name"] == "intake");
    let intake = &intake.unwrap()["recent"]["p50"]["ms"];
    assert!(intake.as_f64().unwrap() < 2_000.0, "not the disk: {intake}");

    configure(6);
    agent.signal("HUP");
    until("several are under way at once", || {
        to(&stage)["in_flight"].as_u64() > Some(1)
    });
    until("all arrive", || receiver.stored().len() == 6);
}

#[test]
fn an_agent_with_too_few_descriptors_says_so_and_is_well_with_more() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let agent = stage.agent(&receiver.url(), &[]);
    let check = || {
        let said = say(stage.command(&["health"]).arg("--json"));
        let health: Value = serde_json::from_str(&said.out).unwrap();
        health["checks"]["open files"].clone()
    };
    assert_eq!(check()["state"], "healthy");
    let open = std::fs::read_dir(format!("/proc/{}/fd", agent.pid()));
    let open = open.unwrap().count();
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));

    // As few more as a connection needs, and its answer.
    let run = stage.run(&receiver.url(), &[]);
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -n \"$1\"; shift; exec \"$@\"", "sh"]);
    few.arg((open + 4).to_string());
    few.arg(run.get_program()).args(run.get_args());
    let agent = stage.start(&mut few);
    until("it is told", || check()["state"] != "healthy");
    assert_eq!(check()["runbook"], "open-files");
    let said = book(&stage, "open-files").out;
    assert!(said.contains("files open"), "{said}");
    assert!(said.contains(&format!("process {}", agent.pid())), "{said}");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));

    let agent = stage.agent(&receiver.url(), &[]);
    assert_eq!(check()["state"], "healthy");
    stage.drop_file("a.csv", b"a");
    until("it is delivered", || receiver.stored().len() == 1);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_document_that_the_disk_lost_is_named_and_comes_back_from_the_archive() {
    let (stage, port) = (Stage::new(), quiet_port());
    let url = format!("http://127.0.0.1:{port}/ingest");
    let bodies = ["first document", "second document", "third document"];
    for (number, body) in bodies.iter().enumerate() {
        stage.drop_file(&format!("{number}.txt"), body.as_bytes());
    }
    let agent = stage.agent(&url, &[]);
    until("all are queued", || stage.ledger("queued") == 3);
    // They are archived after they are queued, and one that is on its way there is not to be looked for.
    until("the originals are archived", || {
        let is_there = |number| found(&stage.path("data/archive"), &format!("{number}.txt"));
        (0..bodies.len()).all(|number| is_there(number).is_some())
    });
    agent.kill();
    let rotten = std::fs::read_dir(stage.path("data/queue")).unwrap();
    let rotten = rotten.flatten().map(|entry| entry.path()).find_map(|path| {
        let bytes = std::fs::read(&path).ok()?;
        let body = bodies[1].as_bytes();
        let place = bytes.windows(body.len()).position(|part| part == body)?;
        Some((path, bytes, place))
    });
    let (path, mut bytes, place) = rotten.unwrap();
    bytes[place] ^= 0x20;
    std::fs::write(path, bytes).unwrap();

    let verify = say(&mut stage.command(&["queue", "verify"]));
    assert_eq!(verify.code, Some(65), "{verify:?}");
    let repair = say(&mut stage.command(&["queue", "repair"]));
    assert_eq!(repair.code, Some(65), "{repair:?}");
    let again = say(&mut stage.command(&["queue", "repair"]));
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(stage.path("data/queue/damaged").is_dir());
    let said = book(&stage, "damaged-segment").out;
    assert!(said.contains("1 document lost to damage"), "{said}");

    let original = found(&stage.path("data/archive"), "1.txt").unwrap();
    let content = std::fs::read(original).unwrap();
    assert_eq!(content, bodies[1].as_bytes());
    stage.drop_file("1.txt", &content);
    let receiver = Receiver::start(&stage, &format!("127.0.0.1:{port}"), &[]);
    let _agent = stage.agent(&url, &[]);
    until("all three arrive", || receiver.stored().len() == 3);
}

/// A file of this name below a folder.
fn found(folder: &std::path::Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            found(&path, name)
        } else {
            (entry.file_name() == name).then_some(path)
        }
    })
}

/// CRC-32C, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let shift = |crc: u32| {
        if crc & 1 == 1 {
            crc >> 1 ^ 0x82f6_3b78
        } else {
            crc >> 1
        }
    };
    let step = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shift(crc));
    !bytes.iter().fold(!0, step)
}

/// A queue whose format is that of a newer program, until this is dropped.
pub(crate) struct Newer {
    format: PathBuf,
    before: Vec<u8>,
}

impl Drop for Newer {
    fn drop(&mut self) {
        std::fs::write(&self.format, &self.before).unwrap();
    }
}

pub(crate) fn written_by_a_newer_one(stage: &Stage) -> Newer {
    let format = stage.path("data/queue/FORMAT");
    let before = std::fs::read(&format).unwrap();
    let text = String::from_utf8_lossy(&before).into_owned();
    let queue = text.split_whitespace().nth(2).unwrap();
    let newer = format!("mainstay-queue 2 {queue}");
    let newer = format!("{newer} {:08x}\n", checksum(newer.as_bytes()));
    std::fs::write(&format, newer).unwrap();
    Newer { format, before }
}

#[test]
fn a_program_is_replaced_while_documents_wait_and_one_that_is_too_old_touches_nothing() {
    let (stage, port) = (Stage::new(), quiet_port());
    let url = format!("http://127.0.0.1:{port}/ingest");
    stage.drop_files("a", 3);
    let agent = stage.agent(&url, &[]);
    until("all are queued", || stage.ledger("queued") == 3);
    agent.signal("TERM");
    agent.end();
    // The new program, beside the old one.
    let new = stage.path("mainstay.new");
    std::fs::copy(stage.run(&url, &[]).get_program(), &new).unwrap();
    let run = |url: &str| {
        let mut command = Command::new(&new);
        command.args(stage.run(url, &[]).get_args());
        command
    };

    // What a newer one has written is refused, and is as it was.
    let written = written_by_a_newer_one(&stage);
    let newer = std::fs::read(&written.format).unwrap();
    let said = say(&mut run(&url));
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("newer"), "{said:?}");
    assert_eq!(std::fs::read(&written.format).unwrap(), newer);
    drop(written);

    stage.drop_file("b.csv", b"b");
    let receiver = Receiver::start(&stage, &format!("127.0.0.1:{port}"), &[]);
    let _agent = stage.start(&mut run(&url));
    until("all arrive", || receiver.stored().len() == 4);
    let status = stage.json(&["status"]);
    assert_eq!(status["ledger"]["balanced"], true, "{status}");
    let said = book(&stage, "upgrade").out;
    let version = status["version"].as_str().unwrap();
    assert!(said.contains(&format!("version {version}")), "{said}");
}

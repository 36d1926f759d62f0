//! Each change of a check is told to whom the configuration names, whatever becomes of the telling.

use crate::hubs::NOWHERE;
use crate::support::{PATIENCE, Running, Stage, say, until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// What a webhook was sent.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// A server that answers every request with `answer`, or with nothing; its address, and what it was sent.
pub(crate) fn webhook(answer: Option<&'static str>) -> (String, Receiver<Told>) {
    webhook_of(move |_| answer)
}

/// A server that answers with what there is for the number of the request, from 0 on.
pub(crate) fn webhook_of(
    answer: impl Fn(usize) -> Option<&'static str> + Send + Sync + 'static,
) -> (String, Receiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, hears) = sync_channel(64);
    let requests = AtomicUsize::new(0);
    let answer = Arc::new(move || answer(requests.fetch_add(1, Ordering::Relaxed)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (told, answer) = (told.clone(), Arc::clone(&answer));
            std::thread::spawn(move || serve(stream.unwrap(), &*answer, &told));
        }
    });
    (format!("http://{address}/hooks/s3cr3t"), hears)
}

fn serve(stream: TcpStream, answer: &dyn Fn() -> Option<&'static str>, told: &SyncSender<Told>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let mut one = Told {
            head,
            body: String::new(),
        };
        let len: usize = one.header("content-length").unwrap().parse().unwrap();
        let mut body = vec![0; len];
        reader.read_exact(&mut body).unwrap();
        one.body = String::from_utf8(body).unwrap();
        let answer = answer();
        // The test may be over.
        drop(told.send(one));
        match answer {
            Some(answer) => {
                write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").unwrap();
            }
            None => std::thread::sleep(Duration::from_hours(1)),
        }
    }
}

/// Writes a program that can be run.
pub(crate) fn program(path: &Path, script: &str) {
    std::fs::write(path, script).unwrap();
    let executable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(path, executable).unwrap();
}

/// Writes the file of an agent called T-4 whose destination is away, with further tables.
pub(crate) fn config(stage: &Stage, tables: &str) {
    let drop = stage.text("drop");
    std::fs::create_dir_all(stage.path("copies")).unwrap();
    let text = format!(
        "[station]\nname = \"T-4\"\n{tables}\n[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{drop}\"\n[route.to.server]\nurl = \"{NOWHERE}\"\nretry = {{ initial = \"20ms\", max = \"200ms\" }}\n[[route]]\nname = \"away\"\n[route.to.copy]\npath = \"{}\"\n",
        stage.text("copies"),
    );
    std::fs::write(stage.path("lab.toml"), text).unwrap();
}

/// An agent with these tables, whose one document cannot be delivered.
pub(crate) fn start(stage: &Stage, tables: &str) -> Running {
    start_with(stage, tables, &[])
}

/// The same, with further flags.
pub(crate) fn start_with(stage: &Stage, tables: &str, flags: &[&str]) -> Running {
    config(stage, tables);
    let mut command = stage.command(&["run"]);
    command
        .args(flags)
        .arg("--config")
        .arg(stage.path("lab.toml"))
        .env("NOTIFY_SOCKET", stage.text("nobody"));
    let mut agent = Running::start(&mut command, stage.path("agent.log"));
    until("the agent answers", || {
        assert!(!agent.has_ended(), "{}", agent.log());
        say(&mut stage.command(&["status"])).code == Some(0)
    });
    // Each check has looked once, so that what changes from here on was well before.
    say(&mut stage.command(&["health"]));
    stage.drop_file("one.csv", b"1");
    agent
}

/// Has the checks run now and then, until `done`.
pub(crate) fn until_checked(stage: &Stage, what: &str, mut done: impl FnMut() -> bool) {
    // Of one check something is told once in a minute.
    let deadline = Instant::now() + PATIENCE + PATIENCE;
    loop {
        let health = say(&mut stage.command(&["health"]));
        if done() {
            return;
        }
        let log = std::fs::read_to_string(stage.path("agent.log")).unwrap_or_default();
        assert!(
            Instant::now() < deadline,
            "waited in vain until {what}; {health:?}; the log:\n{log}"
        );
    }
}

/// The next that a webhook is told.
pub(crate) fn hear(stage: &Stage, hears: &Receiver<Told>) -> Told {
    let mut heard = None;
    until_checked(stage, "the webhook is told", || {
        heard = hears.try_recv().ok();
        heard.is_some()
    });
    heard.unwrap()
}

#[test]
fn a_webhook_is_told_what_changed_once_with_its_token() {
    let stage = Stage::new();
    std::fs::write(stage.path("token"), "t0k3n\n").unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(stage.path("token"), private).unwrap();
    let (url, hears) = webhook(Some("204 No Content"));
    let _agent = start(
        &stage,
        &format!("[[alert]]\nurl = \"{url}\"\ntoken = \"file:token\"\nchecks = [\"to *\"]"),
    );
    let told = hear(&stage, &hears);
    assert!(
        told.head.starts_with("POST /hooks/s3cr3t HTTP/1.1"),
        "{told:?}"
    );
    assert_eq!(told.header("authorization"), Some("Bearer t0k3n"));
    assert_eq!(told.header("content-type"), Some("application/json"));
    assert!(told.header("idempotency-key").is_some(), "{told:?}");
    let body: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(body["check"], "to lab/server", "{body}");
    assert_eq!(
        (&body["state"], &body["was"]),
        (&"degraded".into(), &"healthy".into()),
        "{body}"
    );
    assert_eq!(body["runbook"], "destination-held", "{body}");
    assert_eq!(body["station"], "T-4", "{body}");
    assert!(
        body["reason"].as_str().unwrap().contains("cannot connect"),
        "{body}"
    );
    // It is so still, and is not told again.
    for _ in 0..5 {
        say(&mut stage.command(&["health"]));
    }
    assert!(hears.try_recv().is_err());
}

#[test]
fn a_command_is_told_by_its_input_and_its_variables_and_does_not_speak_for_the_agent() {
    let stage = Stage::new();
    let script = "#!/bin/sh\n{ cat; env; } > \"$1.part\" && mv \"$1.part\" \"$1\"\n";
    program(&stage.path("tell"), script);
    let told = stage.path("told of; it");
    let command = format!(
        "[[alert]]\ncommand = [\"./tell\", \"{}\"]\nchecks = [\"to lab/*\"]\nfrom = \"degraded\"",
        told.display()
    );
    let _agent = start(&stage, &command);
    until_checked(&stage, "the command has written", || told.exists());
    let text = std::fs::read_to_string(told).unwrap();
    let (json, variables) = text.split_once('\n').unwrap();
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["check"], "to lab/server", "{json}");
    for line in [
        "MAINSTAY_CHECK=to lab/server",
        "MAINSTAY_STATE=degraded",
        "MAINSTAY_WAS=healthy",
        "MAINSTAY_RUNBOOK=destination-held",
        "MAINSTAY_STATION=T-4",
    ] {
        assert!(
            variables.lines().any(|found| found == line),
            "{line}: {variables}"
        );
    }
    assert!(variables.contains("\nMAINSTAY_REASON="), "{variables}");
    assert!(!variables.contains("NOTIFY_SOCKET"), "{variables}");
}

/// What it started went on for as long as it liked, and the agent said that it had stopped cleanly.
#[test]
fn a_stop_takes_a_command_that_hangs_with_it_and_says_so() {
    let stage = Stage::new();
    let script = "#!/bin/sh\necho $$ > \"$1.part\" && mv \"$1.part\" \"$1\"\nsleep 1000\n";
    program(&stage.path("tell"), script);
    let began = stage.path("began");
    let agent = start(
        &stage,
        &format!(
            "[[alert]]\ncommand = [\"./tell\", \"{}\"]\nchecks = [\"to lab/*\"]\nfrom = \"degraded\"",
            began.display()
        ),
    );
    until_checked(&stage, "the command runs", || began.exists());
    let pid = std::fs::read_to_string(&began).unwrap();
    let process = std::path::Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    assert!(!process.exists());
    let text = std::fs::read_to_string(stage.path("data/stops.json")).unwrap();
    let stops: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(stops["lives"][0]["stop"]["outcome"], "clean", "{stops}");
}

#[test]
fn a_webhook_that_hangs_delays_nothing() {
    let stage = Stage::new();
    let (hangs, hears) = webhook(None);
    let (works, told) = webhook(Some("200 OK"));
    let agent = start(
        &stage,
        &format!("[[alert]]\nurl = \"{hangs}\"\n[[alert]]\nurl = \"{works}\""),
    );
    hear(&stage, &hears);
    hear(&stage, &told);
    // While it hangs, others are told, documents are taken and delivered, and the agent stops at once.
    std::fs::write(stage.path("two.csv"), "2").unwrap();
    let mut submit = stage.command(&["submit", "--route", "away"]);
    let said = say(submit.arg(stage.path("two.csv")));
    assert_eq!(said.code, Some(0), "{said:?}");
    until("it is delivered", || stage.path("copies/two.csv").exists());
    agent.signal("TERM");
    // What holds up a stop is given up, and the code says so.
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_webhook_that_fails_is_tried_four_times_and_then_logged_without_its_secret() {
    let stage = Stage::new();
    let (url, hears) = webhook(Some("503 Service Unavailable"));
    let agent = start(
        &stage,
        &format!("[[alert]]\nurl = \"{url}\"\nchecks = [\"to *\"]"),
    );
    let first = hear(&stage, &hears);
    until("it is given up", || {
        agent.log().contains("an alert was not told")
    });
    let keys: Vec<Told> = hears.try_iter().collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    for told in &keys {
        assert_eq!(
            told.header("idempotency-key"),
            first.header("idempotency-key")
        );
    }
    assert!(!agent.log().contains("s3cr3t"), "{}", agent.log());
}

#[test]
fn an_alert_that_cannot_be_is_refused_with_its_place() {
    let stage = Stage::new();
    let refused = |table: &str| {
        config(&stage, &format!("[[alert]]\n{table}"));
        let mut check = stage.command(&["config", "check"]);
        let said = say(check.arg("--config").arg(stage.path("lab.toml")));
        assert_eq!(said.code, Some(22), "{table}: {said:?}");
        said.err
    };
    for (table, place, words) in [
        (
            "url = \"https://h/x\"\ncommand = [\"true\"]",
            "lab.toml:5:",
            "not both",
        ),
        (
            "checks = [\"disk\"]",
            "lab.toml:3:",
            "neither a `url` nor a `command`",
        ),
        (
            "urll = \"https://h/x\"",
            "lab.toml:4:1",
            "did you mean `url`?",
        ),
        (
            "url = \"h/s3cr3t\"",
            "lab.toml:4:",
            "no address that can be told",
        ),
        (
            "url = \"https://h/\"\nfrom = \"unknown\"",
            "lab.toml:5:",
            "unknown variant",
        ),
        ("command = []", "lab.toml:4:", "the command is empty"),
        (
            "command = [\"./none\"]",
            "lab.toml:4:",
            "there is no program",
        ),
        (
            "command = [\"true\"]\ntoken = \"env:PATH\"",
            "lab.toml:5:",
            "belongs to a `url`",
        ),
        (
            "command = [\"true\"]\nchecks = [\"disks\"]",
            "lab.toml:5:",
            "to lab/server",
        ),
        (
            "url = \"file:gone\"",
            "lab.toml:4:",
            "the secret is missing",
        ),
    ] {
        let said = refused(table);
        assert!(
            said.contains(place) && said.contains(words),
            "{table}: {said}"
        );
        assert!(!said.contains("s3cr3t"), "{said}");
    }
    let many = refused(&"command = [\"true\"]\n[[alert]]\n".repeat(17));
    assert!(many.contains("more than 16 alerts"), "{many}");
}

#[test]
fn the_configuration_shows_alerts_without_their_secrets() {
    let stage = Stage::new();
    let alerts = "[[alert]]\nurl = \"https://h.example/hooks/s3cr3t\"\ntoken = \"s3cr3t\"\n[[alert]]\ncommand = [\"true\", \"-x\"]\nchecks = [\"disk\"]\nfrom = \"unhealthy\"";
    config(&stage, alerts);
    let mut show = stage.command(&["config", "show"]);
    let said = say(show.arg("--config").arg(stage.path("lab.toml")));
    assert_eq!(said.code, Some(0), "{said:?}");
    for line in [
        "url = \"https://h.example/(hidden)\"",
        "token = \"(hidden)\"",
        "checks = [\"disk\"]",
        "from = \"degraded\"",
        "from = \"unhealthy\"",
    ] {
        assert!(said.out.contains(line), "{line}: {said:?}");
    }
    assert!(
        !said.out.contains("s3cr3t") && !said.err.contains("s3cr3t"),
        "{said:?}"
    );
}

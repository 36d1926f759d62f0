//! Each task of the agent is made to panic, to fail, to end and to hang: it is seen with its cause, started again, and the rest goes on.

use crate::hubs::quiet_port;
use crate::support::{Receiver, Running, Stage, say, until};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// An agent with every task that there is: a folder and an address, to two receivers, and its health.
struct Whole {
    stage: Stage,
    agent: Running,
    lab: Receiver,
    _home: Stage,
}

impl Whole {
    fn start() -> Self {
        let (stage, home, health) = (Stage::new(), Stage::new(), quiet_port());
        let lab = stage.receiver(&[]);
        let config = format!(
            "[health]\nlisten = \"127.0.0.1:{health}\"\n\
             [[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{}\"\n\
             [[route]]\nname = \"hub\"\n[route.from.http]\nlisten = \"127.0.0.1:0\"\n[route.to.folder]\npath = \"{}\"\n",
            stage.text("drop"),
            lab.url(),
            home.text("out"),
        );
        let agent = stage.start(stage.configured(&config).arg("--test-faults"));
        let whole = Self {
            stage,
            agent,
            lab,
            _home: home,
        };
        until("the agent answers", || whole.service().is_some());
        whole
    }

    /// What runs in it; none while it does not answer.
    fn service(&self) -> Option<Value> {
        let said = say(self.stage.command(&["status"]).arg("--json"));
        let mut status: Value = serde_json::from_str(&said.out).ok()?;
        Some(status["service"].take()).filter(|service| !service.is_null())
    }

    fn tasks(&self) -> Vec<String> {
        let service = self.service().unwrap();
        let tasks = service["tasks"].as_array().unwrap().iter();
        tasks
            .map(|task| task["name"].as_str().unwrap().to_owned())
            .collect()
    }

    fn task(&self, name: &str) -> Option<Value> {
        let service = self.service()?;
        let mut tasks = service["tasks"].as_array()?.iter();
        tasks.find(|task| task["name"] == name).cloned()
    }

    /// Has a task meet this fault.
    fn meets(&self, task: &str, fault: &str) {
        meets(&self.stage, task, fault);
    }

    fn is_well(&self, task: &str, failures: u64) -> bool {
        self.task(task).is_some_and(|task| {
            task["state"] == "running"
                && task["failures"].as_u64() == Some(failures)
                && task["attempts"].as_u64() == Some(failures + 1)
        })
    }

    /// Whether everything still does what it is for.
    fn delivers(&self, name: &str) {
        let before = self.lab.stored().len();
        self.stage.drop_file(name, name.as_bytes());
        until("a file is delivered all the same", || {
            self.lab.stored().len() == before + 1
        });
    }

    /// Each task meets the fault once, one after the other.
    fn each_meets(self, fault: &str, words: &str) {
        let tasks = self.tasks();
        assert!(tasks.len() >= 10, "{tasks:?}");
        for task in &tasks {
            self.meets(task, fault);
            until(&format!("{task} runs again after its {fault}"), || {
                self.is_well(task, 1)
            });
            let told = self.task(task).unwrap();
            assert!(
                told["last_failure"].as_str().unwrap().contains(words),
                "{told}"
            );
        }
        self.delivers("after.csv");
        let log = self.agent.log();
        for task in &tasks {
            let id = self.task(task).unwrap()["last_failure_id"].clone();
            let is_told = |line: &str| line.contains(task) && line.contains(words);
            assert!(log.lines().any(is_told), "{task} ({id}) in:\n{log}");
        }
        assert_eq!(self.service().unwrap()["state"], "running");
        self.agent.signal("TERM");
        assert_eq!(self.agent.end(), Some(0), "{log}");
    }
}

/// Has a task of the agent of this stage meet a fault.
pub(crate) fn meets(stage: &Stage, task: &str, fault: &str) {
    let body = serde_json::json!({ "task": task, "fault": fault }).to_string();
    let mut stream = UnixStream::connect(stage.path("data/control.sock")).unwrap();
    stream.write_all(request(&body).as_bytes()).unwrap();
    // The task that answers may be the one that meets it.
    drop(stream.read_to_end(&mut Vec::new()));
}

/// That a task meets a fault, as one piece.
fn request(body: &str) -> String {
    format!(
        "POST /fault HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn whatever_task_panics_is_told_and_started_again_and_the_rest_goes_on() {
    Whole::start().each_meets("panic", "a test asked for it");
}

/// It was a line on standard error: what serves one connection is nobody's task.
#[test]
fn a_panic_that_is_no_task_s_is_counted_logged_and_shown_with_its_place() {
    let whole = Whole::start();
    assert_eq!(whole.service().unwrap()["panics"]["count"], 0);
    whole.meets("this connection", "panic");
    let panics = whole.service().unwrap()["panics"].clone();
    assert_eq!(panics["count"], 1, "{panics}");
    let last = panics["last"].as_str().unwrap();
    assert!(
        last.contains("a test asked for it at agent/src/control/server.rs:"),
        "{last}"
    );
    let shown = say(&mut whole.stage.command(&["status"])).out;
    assert!(shown.contains("1 panic since the start"), "{shown}");
    assert!(shown.contains(last), "{shown}");
    let log = whole.agent.log();
    assert!(log.contains("a panic, which is a bug"), "{log}");
    whole.delivers("after.csv");
}

#[test]
fn whatever_task_fails_is_told_and_started_again_and_the_rest_goes_on() {
    Whole::start().each_meets("error", "a test asked for it");
}

#[test]
fn whatever_task_ends_unasked_is_told_and_started_again_and_the_rest_goes_on() {
    Whole::start().each_meets("return", "nobody had asked it to");
}

#[test]
fn whatever_task_hangs_is_told_within_half_a_minute_and_started_again() {
    let whole = Whole::start();
    let tasks = whole.tasks();
    // The socket is the last, as nobody can ask without it.
    let (socket, others): (Vec<&String>, Vec<&String>) =
        tasks.iter().partition(|task| *task == "the control socket");
    for task in others.iter().chain(&socket) {
        whole.meets(task, "hang");
    }
    for task in &tasks {
        until(&format!("{task} runs again"), || whole.is_well(task, 1));
        let told = whole.task(task).unwrap();
        assert!(
            told["last_failure"]
                .as_str()
                .unwrap()
                .contains("no heartbeat for 15"),
            "{told}"
        );
    }
    whole.delivers("after.csv");
    whole.agent.signal("TERM");
    assert_eq!(whole.agent.end(), Some(0));
}

#[test]
fn what_fails_for_good_is_told_wherever_one_looks_and_the_other_routes_go_on() {
    let whole = Whole::start();
    let delivery = "the delivery on `hub/folder`";
    for failures in 1..=4 {
        whole.meets(delivery, "panic");
        until("it failed once more", || {
            whole
                .task(delivery)
                .is_some_and(|task| task["failures"] == failures)
        });
    }
    until("it is given up", || {
        whole.task(delivery).unwrap()["state"] == "failed"
    });
    assert_eq!(whole.service().unwrap()["state"], "error");
    let page = say(&mut whole.stage.command(&["status"]));
    assert!(page.out.contains("failed for good"), "{}", page.out);
    assert!(
        page.out.contains("mainstay runbook crash-loop"),
        "{}",
        page.out
    );
    let health = say(&mut whole.stage.command(&["health"]));
    assert_eq!(health.code, Some(35), "{health:?}");
    assert!(health.out.contains("crash-loop"), "{health:?}");
    whole.delivers("after.csv");
    whole.agent.signal("TERM");
    assert_eq!(whole.agent.end(), Some(0));
}

#[test]
fn a_fault_cannot_be_asked_for_where_it_was_not_allowed() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let _agent = stage.agent(&receiver.url(), &[]);
    let mut stream = UnixStream::connect(stage.path("data/control.sock")).unwrap();
    // In one piece, and without anything that an answer could come before.
    stream.write_all(request("").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[test]
fn a_pickup_that_died_is_not_taken_for_an_empty_folder() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let late = stage.path("drop/late.csv");
    // It was written a moment ago, and nobody said that it is complete: it is left to settle, for longer than this test takes.
    std::fs::write(&late, b"late").unwrap();
    let config = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\nsettle = \"1h\"\n[route.to.server]\nurl = \"{}\"\n",
        stage.text("drop"),
        receiver.url(),
    );
    let mut command = stage.configured(&config);
    let mut agent = stage.start(command.args(["--until-empty", "--test-faults"]));
    let pickup = "the pickup of route `lab`";
    meets(&stage, pickup, "panic");
    until("it has died", || {
        assert!(!agent.has_ended(), "{}", agent.log());
        let log = agent.log();
        let is_told = |line: &str| line.contains(pickup) && line.contains("a test asked for it");
        log.lines().any(is_told)
    });
    // Who writes and closes it says that it is complete; the pickup that comes after it hears that once it watches.
    until("it is delivered", || {
        drop(std::fs::File::options().append(true).open(&late));
        receiver.stored().len() == 1
    });
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

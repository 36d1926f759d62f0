//! Each task of the agent is made to panic, to fail, to end and to hang: it is seen with its cause, started again, and the rest goes on.

use crate::hubs::{self, quiet_port};
use crate::support::{PATIENCE, Receiver, Running, Stage, say, until};
use crate::told::{Begun, at_once, in_health, in_status};
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The task that tests ask, and that faults are asked of.
const SOCKET: &str = "the control socket";

/// The task that answers who asks for its health over HTTP.
const HEALTH: &str = "the address of its health";

/// Where the tasks are looked at.
const CHECK: &str = "tasks";

/// An agent with every task that there is: a folder and an address, to two receivers, and its health.
struct Whole {
    stage: Stage,
    agent: Running,
    lab: Receiver,
    home: Stage,
    /// Where its health is told.
    port: u16,
    /// Where its hub takes documents.
    address: String,
    /// How many documents it was given.
    given: Cell<u32>,
}

/// The ways that a document can take through it while a task is down.
///
/// | task that is down | from the folder to the receiver | from the address to the folder |
/// |---|---|---|
/// | the pickup of route `lab` | no: it is taken once that runs again | yes |
/// | the delivery on `lab/server` | no: it is delivered once that runs again | yes |
/// | the address of route `hub` | yes | no: whoever sends asks again |
/// | the delivery on `hub/folder` | yes | no: it is delivered once that runs again |
/// | each of the others | yes | yes |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Lab,
    Hub,
}

impl Way {
    /// The one that a task stands on; none where no document meets it.
    fn over(task: &str) -> Option<Self> {
        match task {
            "the pickup of route `lab`" | "the delivery on `lab/server`" => Some(Self::Lab),
            "the address of route `hub`" | "the delivery on `hub/folder`" => Some(Self::Hub),
            _ => None,
        }
    }
}

impl Whole {
    fn start() -> Self {
        Self::with("", |run| run)
    }

    /// One with this in its configuration, whose command is made by `wrap` of the one that would run it.
    fn with(more: &str, wrap: impl FnOnce(Command) -> Command) -> Self {
        let (stage, home, port) = (Stage::new(), Stage::new(), quiet_port());
        let lab = stage.receiver(&[]);
        std::fs::create_dir(home.path("out")).unwrap();
        let config = format!(
            "{more}[health]\nlisten = \"127.0.0.1:{port}\"\n\
             [[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{}\"\n\
             [[route]]\nname = \"hub\"\n[route.from.http]\nlisten = \"127.0.0.1:0\"\n[route.to.folder]\npath = \"{}\"\n",
            stage.text("drop"),
            lab.url(),
            home.text("out"),
        );
        let mut run = stage.configured(&config);
        run.arg("--test-faults");
        let agent = stage.start(&mut wrap(run));
        let mut whole = Self {
            stage,
            agent,
            lab,
            home,
            port,
            address: String::new(),
            given: Cell::new(0),
        };
        until("the agent answers", || whole.service().is_some());
        let from = whole.stage.json(&["status"])["routes"][1]["from"]["http"].clone();
        let address = from.as_str().unwrap().trim_start_matches("http://");
        let address = address.trim_end_matches("/ingest");
        address.clone_into(&mut whole.address);
        whole
    }

    /// What runs in it; none while it does not answer.
    fn service(&self) -> Option<Value> {
        let said = say(self.stage.command(&["status"]).arg("--json"));
        let mut status: Value = serde_json::from_str(&said.out).ok()?;
        Some(status["service"].take()).filter(|service| !service.is_null())
    }

    /// All of them; the control socket is the last, as nobody can ask without it.
    fn tasks(&self) -> Vec<String> {
        let service = self.service().unwrap();
        let tasks = service["tasks"].as_array().unwrap().iter();
        let mut tasks: Vec<String> = tasks
            .map(|task| task["name"].as_str().unwrap().to_owned())
            .collect();
        tasks.sort_by_key(|task| task == SOCKET);
        assert!(tasks.len() >= 10, "{tasks:?}");
        tasks
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

    /// Has a task meet this fault, and at each new start again, until what this returns is dropped.
    fn suffers(&self, task: &str, fault: &str) -> Fault {
        let stands = self
            .stage
            .path(&format!("{} suffers", task.replace('/', " ")));
        std::fs::write(&stands, task).unwrap();
        let wish = serde_json::json!({ "task": task, "fault": fault, "while_there": stands });
        ask(&self.stage, &wish);
        Fault(stands)
    }

    /// Whether it has failed, and runs again.
    fn is_over(&self, task: &str) -> bool {
        self.task(task).is_some_and(|task| {
            let (attempts, failures) = (&task["attempts"], &task["failures"]);
            let runs = task["state"] == "running" && attempts.as_u64() > failures.as_u64();
            failures != 0 && runs
        })
    }

    /// Gives it a document by this way, under a name of its own.
    fn gives(&self, way: Way) -> u32 {
        let number = self.given.get();
        self.given.set(number + 1);
        let name = format!("{number}.csv");
        match way {
            Way::Lab => self.stage.drop_file(&name, name.as_bytes()),
            Way::Hub => {
                let key = format!("idempotency-key: 0192f0c1-2b3c-7d4e-8f90-{number:012x}");
                let mut bytes = hubs::head("POST", "/ingest", &[&key], name.len());
                bytes.extend(name.as_bytes());
                let mut stream = TcpStream::connect(&self.address).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.write_all(&bytes).unwrap();
                let answer = hubs::Answer::read(stream);
                assert!((200..300).contains(&answer.status), "{answer:?}");
            }
        }
        number
    }

    /// Whether this document is where it was to go.
    fn has(&self, way: Way, number: u32) -> bool {
        let name = format!("{number}.csv");
        match way {
            Way::Lab => self.lab.stored().contains_key(&name),
            Way::Hub => {
                let files = std::fs::read_dir(self.home.path("out")).into_iter();
                let mut files = files.flatten().flatten();
                files.any(|file| {
                    std::fs::read(file.path()).is_ok_and(|body| body == name.as_bytes())
                })
            }
        }
    }

    /// That these are down is told in time, with state, since when and runbook: by the status and by the health, as far as those who
    /// would answer are not down themselves.
    fn told(&self, down: &[&str], begun: Begun) {
        let each = |mut look: Box<dyn FnMut() -> Option<Value> + '_>| {
            let mut unnamed: BTreeSet<&str> = down.iter().copied().collect();
            let told = begun.told(&format!("{down:?}"), || {
                let told = look()?;
                let message = told["message"].as_str()?;
                unnamed.retain(|task| !message.contains(*task));
                unnamed.is_empty().then(|| told.clone())
            });
            assert_eq!(told["runbook"], "crash-loop", "{told}");
        };
        if !down.contains(&HEALTH) {
            each(Box::new(|| in_health(self.port, CHECK)));
        }
        if !down.contains(&SOCKET) {
            each(Box::new(|| at_once(&self.stage, CHECK)));
            each(Box::new(|| in_status(&self.stage, CHECK)));
        }
    }

    /// Delivers by every way that leads around these tasks.
    fn delivers_beside(&self, down: &[&str]) {
        let mut ways = vec![Way::Lab, Way::Hub];
        ways.retain(|way| down.iter().all(|task| Way::over(task) != Some(*way)));
        assert!(!ways.is_empty(), "{down:?}");
        for way in ways {
            let number = self.gives(way);
            until(
                &format!("a document goes by {way:?} beside {down:?}"),
                || self.has(way, number),
            );
        }
    }

    /// Gives a document to the way that is down, where somebody takes it.
    fn gives_to(&self, task: &str) -> Option<(Way, u32)> {
        let way = Way::over(task).filter(|_| !task.starts_with("the address"))?;
        Some((way, self.gives(way)))
    }

    /// Whether everything still does what it is for.
    fn delivers(&self) {
        self.delivers_beside(&[]);
    }

    /// Each task meets the fault, one after the other; documents are delivered while it stands, and after it.
    fn each_meets(self, fault: &str, words: &str) {
        let tasks = self.tasks();
        for task in &tasks {
            let begun = Begun::now();
            let stands = self.suffers(task, fault);
            self.told(&[task], begun);
            until(&format!("{task} is told to have met {fault}"), || {
                let log = self.agent.log();
                let is_told = |line: &str| line.contains(task) && line.contains(words);
                log.lines().any(is_told)
            });
            self.delivers_beside(&[task]);
            let waits = self.gives_to(task);
            drop(stands);
            until(&format!("{task} runs again after its {fault}"), || {
                self.is_over(task)
            });
            let told = self.task(task).unwrap();
            let last = told["last_failure"].as_str().unwrap();
            assert!(last.contains(words), "{told}");
            if let Some((way, number)) = waits {
                until(&format!("what came while {task} was down arrives"), || {
                    self.has(way, number)
                });
            }
            until("all is well", || at_once(&self.stage, CHECK).is_none());
        }
        self.delivers();
        assert_eq!(self.service().unwrap()["state"], "running");
        assert_eq!(at_once(&self.stage, CHECK), None);
        self.agent.signal("TERM");
        assert_eq!(self.agent.end(), Some(0));
    }
}

/// A fault that stands until it is dropped.
struct Fault(PathBuf);

impl Drop for Fault {
    fn drop(&mut self) {
        let lifted = std::fs::remove_file(&self.0);
        assert!(lifted.is_ok() || std::thread::panicking(), "{lifted:?}");
    }
}

/// Has a task of the agent of this stage meet a fault.
pub(crate) fn meets(stage: &Stage, task: &str, fault: &str) {
    ask(stage, &serde_json::json!({ "task": task, "fault": fault }));
}

fn ask(stage: &Stage, wish: &Value) {
    let mut stream = UnixStream::connect(stage.path("data/control.sock")).unwrap();
    stream
        .write_all(request(&wish.to_string()).as_bytes())
        .unwrap();
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
    whole.delivers();
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
    // All that stand on one of the two ways in a round of their own, so that documents can go by the other one.
    let (lab, others): (Vec<&String>, Vec<&String>) =
        { tasks.iter() }.partition(|task| Way::over(task) == Some(Way::Lab) || *task == SOCKET);
    for round in [others, lab] {
        let down: Vec<&str> = round.iter().map(|task| task.as_str()).collect();
        let begun = Begun::now();
        let hang: Vec<Fault> = down
            .iter()
            .map(|task| whole.suffers(task, "hang"))
            .collect();
        whole.delivers_beside(&down);
        whole.told(&down, begun);
        whole.delivers_beside(&down);
        // The pickup of `lab` is the one that documents wait for while nobody hears of it.
        let waits = down.iter().find(|task| task.contains("pickup"));
        let waits = waits.and_then(|task| whole.gives_to(task));
        drop(hang);
        for task in &down {
            until(&format!("{task} runs again"), || whole.is_over(task));
            let told = whole.task(task).unwrap();
            let last = told["last_failure"].as_str().unwrap();
            assert!(last.contains("no heartbeat for 15"), "{told}");
        }
        if let Some((way, number)) = waits {
            until("what came meanwhile arrives", || whole.has(way, number));
        }
        until("all is well", || at_once(&whole.stage, CHECK).is_none());
    }
    whole.delivers();
    whole.agent.signal("TERM");
    assert_eq!(whole.agent.end(), Some(0));
}

/// The same on one core of this machine alone; on all of them where the system has no command for that.
fn on_one_core(run: Command) -> Command {
    if Command::new("taskset").arg("--version").output().is_err() {
        return run;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let cores = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = cores.unwrap().trim().split([',', '-']).next().unwrap();
    let mut one = Command::new("taskset");
    one.args(["--cpu-list", first]);
    one.arg(run.get_program()).args(run.get_args());
    one
}

/// A task that waits for something can be dropped; one that keeps its thread cannot, and what waits for that thread waits with it. On
/// one core that was every task.
#[test]
fn a_task_that_keeps_its_thread_is_told_the_rest_delivers_it_recovers_and_the_agent_can_be_stopped()
{
    let grace = "[shutdown]\ngrace = \"1s\"\ncancel = \"1s\"\nclose = \"1s\"\n";
    let whole = Whole::with(grace, on_one_core);
    let delivery = "the delivery on `hub/folder`";
    let begun = Begun::now();
    let stands = whole.suffers(delivery, "block");
    let waits = whole.gives_to(delivery);
    // By itself: nobody has the checks look.
    begun.told(delivery, || in_status(&whole.stage, CHECK));
    whole.told(&[delivery], begun);
    assert_eq!(whole.task(delivery).unwrap()["state"], "silent");
    assert_eq!(whole.service().unwrap()["state"], "error");
    whole.delivers_beside(&[delivery]);
    drop(stands);
    // Started again, or heard again before that.
    until("it runs again", || {
        whole.task(delivery).unwrap()["state"] == "running"
    });
    let (way, number) = waits.unwrap();
    until("what came meanwhile arrives", || whole.has(way, number));
    until("all is well", || at_once(&whole.stage, CHECK).is_none());
    whole.delivers();

    let stands = whole.suffers(delivery, "block");
    until("it stands", || {
        whole.task(delivery).unwrap()["state"] == "silent"
    });
    let asked = Instant::now();
    whole.agent.signal("TERM");
    let Whole { stage, agent, .. } = whole;
    assert_eq!(agent.end(), Some(75));
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    let last = stage.json(&["status"])["last_stop"].clone();
    assert!(last.as_str().unwrap().contains(delivery), "{last}");
    drop(stands);
}

#[test]
fn what_fails_for_good_is_told_wherever_one_looks_and_the_other_routes_go_on() {
    let whole = Whole::start();
    let delivery = "the delivery on `hub/folder`";
    let begun = Begun::now();
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
    // By itself: nobody has the checks look.
    let told = begun.told(delivery, || in_status(&whole.stage, CHECK));
    assert_eq!(told["runbook"], "crash-loop", "{told}");
    whole.told(&[delivery], begun);
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
    whole.delivers_beside(&[delivery]);
    whole.agent.signal("TERM");
    assert_eq!(whole.agent.end(), Some(0));
}

/// What was over by the time somebody looked could be read in the log alone.
#[test]
fn a_task_that_failed_and_works_again_stays_in_the_history_of_the_status_with_the_reason() {
    let stage = Stage::new();
    let agent = stage.agent("http://127.0.0.1:1/", &["--test-faults"]);
    let history = || {
        let service = stage.json(&["status"])["service"].take();
        service["history"].as_array().cloned().unwrap_or_default()
    };
    assert_eq!(history().len(), 1, "{:?}", history());
    meets(&stage, "the progress display", "error");
    until("it is over", || history().len() == 3);
    let [well, ill, start] = &history()[..] else {
        panic!("{:?}", history());
    };
    assert_eq!(
        (&start["from"], &start["to"]),
        (&"starting".into(), &"running".into())
    );
    assert_eq!(
        (&ill["from"], &ill["to"]),
        (&"running".into(), &"degraded".into())
    );
    assert!(
        ill["why"]
            .as_str()
            .unwrap()
            .contains("the progress display"),
        "{ill}"
    );
    assert_eq!(
        (&well["from"], &well["to"]),
        (&"degraded".into(), &"running".into())
    );
    assert!(ill["at"].as_str() <= well["at"].as_str(), "{ill} {well}");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
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

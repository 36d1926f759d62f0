//! Runbooks that are followed to the letter: what is done stands in the page as the program prints it, and is taken out of it.

use crate::hubs::quiet_port;
use crate::support::{Receiver, Running, Said, Stage, say, until};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction, Request};
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;

/// A machine on which `mainstay` is installed, with its folders where its unit puts them: no command needs a flag to find them.
struct Machine {
    stage: Stage,
    port: u16,
}

/// A runbook, as the machine prints it now.
struct Book<'a> {
    machine: &'a Machine,
    printed: String,
}

impl Machine {
    /// With a route `lab` from a folder to a port where nobody listens yet.
    fn new() -> Self {
        let machine = Self {
            stage: Stage::new(),
            port: quiet_port(),
        };
        for folder in ["etc", "data"] {
            std::fs::create_dir(machine.stage.path(folder)).unwrap();
        }
        machine.configure("");
        machine
    }

    fn configure(&self, more: &str) {
        self.configure_to(&self.url(), more);
    }

    fn configure_to(&self, url: &str, more: &str) {
        let text = format!(
            "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{}\"\nretry = {{ initial = \"20ms\", max = \"200ms\" }}\n{more}",
            self.stage.text("drop"),
            url,
        );
        std::fs::write(self.stage.path("etc/mainstay.toml"), text).unwrap();
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/ingest", self.port)
    }

    fn receiver(&self) -> Receiver {
        Receiver::start(&self.stage, &format!("127.0.0.1:{}", self.port), &[])
    }

    /// A line, as a person types it.
    fn shell(&self, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_mainstay"));
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", program.parent().unwrap().display());
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("PATH", path);
        command
            .env("STATE_DIRECTORY", self.stage.path("data"))
            .env("CONFIGURATION_DIRECTORY", self.stage.path("etc"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts what runs the agent of this data folder, and waits until it answers.
    fn start(&self, line: &str, data: &str) -> Running {
        let mut command = self.shell(&format!("exec {line}"));
        let mut agent = Running::start(&mut command, self.stage.path("agent.log"));
        agent.until_it_answers(&self.stage.path(data).join("control.sock"));
        agent
    }

    /// An agent that has taken so many documents, which nobody is there to receive.
    fn with_queued(&self, documents: u64) -> Running {
        self.stage.drop_files("a", documents as usize);
        let agent = self.start("mainstay run", "data");
        until("all are queued", || {
            self.stage.ledger("queued") == documents
        });
        agent
    }

    /// The destination, as the agent tells it; nothing between two lives, when nobody does.
    fn to(&self) -> Value {
        let said = say(self.stage.command(&["status"]).arg("--json"));
        let status: Value = serde_json::from_str(&said.out).unwrap_or_default();
        status["routes"][0]["to"][0].clone()
    }

    fn book(&self, name: &str) -> Book<'_> {
        let said = say(&mut self.shell(&format!("mainstay runbook {name}")));
        assert_eq!(said.code, Some(0), "{said:?}");
        Book {
            machine: self,
            printed: said.out,
        }
    }
}

impl Book<'_> {
    /// What is so now, which is between the title and the first heading.
    fn now(&self) -> &str {
        let (_, now) = self.printed.split_once("\nNow\n").unwrap();
        let ends = ["\nWhat ", "\nWhy\n"].map(|heading| now.find(heading));
        let end = ends.into_iter().flatten().min().unwrap_or(now.len());
        &now[..end]
    }

    /// The command that begins so, with the names of this machine in place of the words that stand for them.
    fn command(&self, begins: &str, names: &[(&str, &str)]) -> String {
        let page = &self.printed;
        let quoted = page.split('`').skip(1).step_by(2);
        let lines = page.lines().map(|line| {
            let command = line.split("  #").next().unwrap_or(line).trim();
            command.rsplit_once(": ").map_or(command, |(_, end)| end)
        });
        let command = { lines.chain(quoted) }.find(|command| command.starts_with(begins));
        let command = command.unwrap_or_else(|| panic!("no `{begins}` in {page}"));
        let named = |command: String, (word, name): &(&str, &str)| {
            assert!(command.contains(word), "{word} in {command}");
            command.replace(word, name)
        };
        names.iter().fold(command.to_owned(), named)
    }

    /// Does what it prints.
    fn follow(&self, begins: &str, names: &[(&str, &str)]) -> Said {
        say(&mut self.machine.shell(&self.command(begins, names)))
    }
}

#[test]
fn a_destination_that_is_held_is_put_right_by_the_steps_of_its_runbook() {
    let machine = Machine::new();
    let stage = &machine.stage;
    let _agent = machine.start("mainstay run", "data");
    stage.drop_file("one.csv", b"1");
    let to = || stage.json(&["status"])["routes"][0]["to"][0].clone();
    until("it is held", || {
        to()["state"] == "held" && to()["queued"] == 1
    });
    let book = machine.book("destination-held");
    let held = format!("lab/server ({}) is held, cannot be reached", machine.url());
    for part in [held.as_str(), "1 queued", "nobody listens there"] {
        assert!(book.now().contains(part), "{part}: {}", book.printed);
    }
    // It names the route, so that there is nothing to fill in.
    assert!(
        book.now().contains("mainstay route test lab"),
        "{}",
        book.now()
    );
    let said = book.follow("mainstay route test lab", &[]);
    assert_eq!(said.code, Some(41), "{said:?}");
    assert!(said.out.contains("nobody listens there"), "{said:?}");
    let refused = "| refused | nothing listens there: the server is down, or the port is wrong |";
    assert!(book.printed.contains(refused), "{}", book.printed);

    let receiver = machine.receiver();
    let said = book.follow("mainstay route test lab", &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(book.printed.contains("Nothing needs to be restarted"));
    until("it opens by itself", || stage.ledger("delivered") == 1);
    // Its gate is named, so that it can be held and opened by hand.
    for (verb, state) in [("hold", "paused"), ("release", "idle")] {
        let command = format!("mainstay protections {verb} lab/server/gate");
        let said = book.follow(&command, &[]);
        assert_eq!(said.code, Some(0), "{said:?}");
        until(verb, || to()["state"] == state);
    }

    let sample = stage.text("sample.csv");
    std::fs::write(&sample, b"a sample").unwrap();
    let names = [("FILE", sample.as_str())];
    let said = book.follow("mainstay route test lab --send FILE", &names);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(receiver.stored()["sample.csv"], b"a sample");
    assert_eq!(book.follow("mainstay dead list", &[]).code, Some(0));
    let now = machine.book("destination-held");
    let none = "no destination has documents, or anything to say";
    assert!(now.now().contains(none), "{}", now.printed);
}

/// A server that goes by a script, and what it runs on.
fn server(
    script: impl Fn(&Request, usize) -> Reaction + Send + Sync + 'static,
) -> (FaultyServer, Runtime) {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(FaultyServer::start(script)).unwrap();
    (server, runtime)
}

/// The test changed the server's mind, and not the secret.
#[test]
fn refused_credentials_are_shown_and_once_they_are_right_everything_arrives() {
    let machine = Machine::new();
    let stage = &machine.stage;
    let (server, _runtime) = server(|request, _| match request.header("authorization") {
        Some("Bearer the-new-one") => Reaction::answer(201),
        _ => Reaction::answer(401),
    });
    let secret = |content: &str| {
        let file = stage.path("etc/token");
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    };
    secret("the-old-one");
    machine.configure_to(&server.url("/in"), "auth = { bearer = \"file:token\" }\n");
    let agent = machine.with_queued(3);
    until("the destination is held", || {
        machine.to()["state"] == "held"
    });
    let book = machine.book("unauthorized");
    for part in ["answered 401 Unauthorized", "3 queued"] {
        assert!(book.now().contains(part), "{part}: {}", book.printed);
    }
    // 1.
    let said = book.follow("mainstay route test lab", &[]);
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("401"), "{said:?}");
    let sample = stage.text("sample.csv");
    std::fs::write(&sample, b"a sample").unwrap();
    let send = "mainstay route test lab --send FILE";
    let names = [("FILE", sample.as_str())];
    assert_ne!(book.follow(send, &names).code, Some(0));
    // 2.
    let said = book.follow("mainstay config show", &[]);
    assert!(said.out.contains("file:"), "{said:?}");
    assert!(!said.out.contains("the-old-one"), "{said:?}");
    // 3.
    let step =
        "Put the new secret there, and tell the agent: `systemctl reload mainstay`, or SIGHUP";
    assert!(book.printed.contains(step), "{}", book.printed);
    secret("the-new-one");
    assert_eq!(
        book.follow(send, &names).code,
        Some(0),
        "it is the right one"
    );
    agent.signal("HUP");
    // 4.
    until("all arrive", || stage.ledger("delivered") == 3);
    let said = book.follow("mainstay status", &[]);
    assert!(
        said.out.contains("3 delivered + 0 queued + 0 dead"),
        "{said:?}"
    );
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// It bears one document in three tenths of a second, and says so to whoever comes sooner.
#[test]
fn a_rate_that_is_exceeded_is_shown_and_kept_once_it_is_set() {
    let machine = Machine::new();
    let stage = &machine.stage;
    let refused = Arc::new(AtomicUsize::new(0));
    let (clock, last) = (mainstay_clock::system(), Mutex::new(None));
    let counted = Arc::clone(&refused);
    let (server, _runtime) = server(move |_, _| {
        let (now, mut last) = (clock.now(), last.lock().unwrap());
        if last.is_some_and(|last| now.since(last) < Duration::from_millis(300)) {
            counted.fetch_add(1, Ordering::Relaxed);
            return Reaction::answer(429).header("retry-after", "3");
        }
        *last = Some(now);
        Reaction::answer(201)
    });
    machine.configure_to(&server.url("/in"), "");
    stage.drop_files("a", 10);
    let agent = machine.start("mainstay run", "data");
    until("it keeps quiet", || machine.to()["state"] == "waiting");
    let book = machine.book("rate-limit-exceeded");
    for part in ["is waiting", "429"] {
        assert!(book.now().contains(part), "{part}: {}", book.printed);
    }
    for step in [
        "set that as `rate` of the destination, such as",
        "Less at once: `concurrency = 1`.",
        "`systemctl reload mainstay`, or SIGHUP",
    ] {
        assert!(book.printed.contains(step), "{step}: {}", book.printed);
    }
    let rate = book.command("rate = ", &[]);
    let rate = rate.replace("10/s", "1/s");
    let concurrency = book.command("concurrency = 1", &[]);
    machine.configure_to(&server.url("/in"), &format!("{rate}\n{concurrency}\n"));
    agent.signal("HUP");
    until("the rate holds", || {
        machine.to()["limit"] == "1/1s" && machine.to()["delivered"].as_u64() >= Some(2)
    });
    let before = refused.load(Ordering::Relaxed);
    assert!(machine.book("rate-limited").now().contains("at most 1/1s"));
    until("all arrive", || stage.ledger("delivered") == 10);
    assert_eq!(
        refused.load(Ordering::Relaxed),
        before,
        "no burst was sent away"
    );
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_queue_that_grows_shows_where_to_and_what_nobody_needs_can_be_let_go_of() {
    let machine = Machine::new();
    let stage = &machine.stage;
    let agent = machine.with_queued(20);
    until("the destination is held", || {
        machine.to()["state"] == "held"
    });
    let book = machine.book("queue-growing");
    for part in [
        "the queue is writable: 20 documents",
        "cannot be reached, 20 queued",
    ] {
        assert!(book.now().contains(part), "{part}: {}", book.printed);
    }
    // 1.
    let said = book.follow("mainstay status", &[]);
    assert!(said.out.contains("20 queued"), "{said:?}");
    assert!(book.printed.contains("- held: [destination-held.md]"));
    // 2.
    let list = book.command("mainstay queue list --limit 20", &[]);
    let said = say(&mut machine.shell(&list));
    assert_eq!(said.out.matches("  a-00").count(), 20, "{said:?}");
    let listed = say(&mut machine.shell(&format!("{list} --json")));
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    let ids: Vec<&str> = { listed.as_array().unwrap().iter() }
        .map(|document| document["id"].as_str().unwrap())
        .collect();
    let unwanted = ids[..2].join(" ");
    let said = book.follow("mainstay queue discard ID", &[("ID…", unwanted.as_str())]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!((stage.ledger("discarded"), stage.ledger("queued")), (2, 18));
    // 4.
    let carried = stage.text("carried.tar");
    let names = [("FILE", carried.as_str())];
    let said = book.follow("mainstay queue export --to FILE", &names);
    assert!(said.err.contains("18 documents"), "{said:?}");
    let import = book.command("mainstay queue import FILE", &names);
    let other = format!("{import} --data '{}'", stage.text("other"));
    let said = say(&mut machine.shell(&other));
    assert_eq!(said.out, "import: 18 new, 0 already there\n", "{said:?}");

    let receiver = machine.receiver();
    until("the rest arrives", || receiver.stored().len() == 18);
    until("it is counted", || stage.ledger("queued") == 0);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// What a newer program has written is there, and stands for that program.
#[test]
fn a_newer_version_is_taken_back_by_the_steps_of_its_runbook() {
    let machine = Machine::new();
    let stage = &machine.stage;
    let newer = machine.with_queued(3);
    let book = machine.book("rollback");
    let process = format!("process {}, version ", newer.pid());
    assert!(book.now().contains(&process), "{}", book.printed);
    let queue = "the queue is writable: 3 documents";
    assert!(book.now().contains(queue), "{}", book.printed);

    // 1 and 2: killing it is safe; a key that the old one does not know is refused with its line.
    newer.kill();
    machine.configure("spin = true\n");
    let said = say(&mut machine.shell("mainstay run"));
    assert_eq!(said.code, Some(22), "{said:?}");
    assert!(said.err.contains("mainstay.toml:8:"), "{said:?}");
    machine.configure("");

    // 3: the folder is refused, and as it was.
    let written = crate::runbooks_walked::written_by_a_newer_one(stage);
    let format = std::fs::read(stage.path("data/queue/FORMAT")).unwrap();
    let said = say(&mut machine.shell("mainstay run"));
    assert!(
        said.code != Some(0) && said.err.contains("newer"),
        "{said:?}"
    );
    let page = machine.book("rollback");
    assert!(page.now().contains("newer"), "{}", page.printed);
    assert_eq!(
        std::fs::read(stage.path("data/queue/FORMAT")).unwrap(),
        format
    );

    // Then the newer one delivers what waits, and leaves an empty queue to the old one.
    drop(written);
    let receiver = machine.receiver();
    let said = page.follow("mainstay run --until-empty", &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(receiver.stored().len(), 3);
    let old = machine.start("mainstay run", "data");
    let said = page.follow("mainstay status", &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("3 accepted = 3 delivered + 0 queued"),
        "{said:?}"
    );
    let now = machine.book("rollback");
    let process = format!("process {}, version ", old.pid());
    assert!(now.now().contains(&process), "{}", now.printed);
}

#[test]
fn a_data_folder_that_was_carried_to_another_machine_delivers_what_waited() {
    let machine = Machine::new();
    let stage = &machine.stage;
    let lost = machine.with_queued(5);
    lost.kill();
    let book = machine.book("disaster-recovery");
    for part in ["5 queued", "5 documents", "the queue reports no damage"] {
        assert!(book.now().contains(part), "{part}: {}", book.printed);
    }
    let step = format!("1. Copy `{}` whole to another machine", stage.text("data"));
    assert!(book.printed.contains(&step), "{}", book.printed);
    let (data, copy) = (stage.text("data"), stage.text("copy"));
    let copied = say(Command::new("cp").args(["-a", &data, &copy]));
    assert_eq!(copied.code, Some(0), "{copied:?}");

    let names = [("COPY", copy.as_str())];
    let said = book.follow("mainstay queue verify --data COPY", &names);
    assert_eq!(said.code, Some(0), "{said:?}");
    let receiver = machine.receiver();
    let run = book.command("mainstay run --data COPY", &names);
    let _agent = machine.start(&run, "copy");
    until("all arrive", || receiver.stored().len() == 5);
    until("all are counted", || {
        let mut status = machine.shell(&format!("mainstay status --data '{copy}'"));
        say(&mut status).out.contains("5 delivered + 0 queued")
    });
}

#[test]
fn a_machine_is_deployed_step_by_step_and_each_step_says_what_is_missing() {
    let machine = Machine::new();
    let stage = &machine.stage;
    let book = machine.book("deployment");
    let selftest = book.command("mainstay selftest", &[]);
    let place = format!("mainstay selftest --data {}", stage.text("data"));
    assert_eq!(selftest, place);
    let said = book.follow("mainstay selftest", &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = book.follow("mainstay config check", &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("0 warnings"), "{said:?}");
    let said = book.follow("mainstay route test", &[]);
    assert_eq!(said.code, Some(41), "nobody is there yet: {said:?}");
    let receiver = machine.receiver();
    let said = book.follow("mainstay route test", &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let sample = stage.text("sample.csv");
    std::fs::write(&sample, b"a sample").unwrap();
    let names = [("ROUTE", "lab"), ("FILE", sample.as_str())];
    let said = book.follow("mainstay route test ROUTE --send FILE", &names);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(receiver.stored()["sample.csv"], b"a sample");

    let agent = machine.start("mainstay run", "data");
    stage.drop_file("first.csv", b"the first");
    until("it arrives", || receiver.stored().len() == 2);
    until("it is counted as the page says", || {
        let said = book.follow("mainstay status", &[]);
        said.out.contains("1 accepted = 1 delivered")
    });
    let now = machine.book("deployment");
    let process = format!("process {}, version ", agent.pid());
    assert!(now.now().contains(&process), "{}", now.printed);
    let health = say(&mut stage.command(&["health"]));
    assert_eq!(health.code, Some(0), "{health:?}");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

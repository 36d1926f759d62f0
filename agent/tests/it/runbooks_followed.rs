//! Runbooks that are followed to the letter: what is done stands in the page as the program prints it, and is taken out of it.

use crate::hubs::quiet_port;
use crate::support::{Receiver, Running, Said, Stage, say, until};
use std::path::Path;
use std::process::{Command, Stdio};

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
        let text = format!(
            "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{}\"\nretry = {{ initial = \"20ms\", max = \"200ms\" }}\n{more}",
            self.stage.text("drop"),
            self.url(),
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
        let end = now.find("\nWhat ").unwrap_or(now.len());
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

    let sample = stage.text("sample.csv");
    std::fs::write(&sample, b"a sample").unwrap();
    let names = [("NAME", "lab"), ("FILE", sample.as_str())];
    let said = book.follow("mainstay route test NAME --send FILE", &names);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(receiver.stored()["sample.csv"], b"a sample");
    assert_eq!(book.follow("mainstay dead list", &[]).code, Some(0));
    let now = machine.book("destination-held");
    let none = "no destination has documents, or anything to say";
    assert!(now.now().contains(none), "{}", now.printed);
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
    let names = [("NAME", "lab"), ("FILE", sample.as_str())];
    let said = book.follow("mainstay route test NAME --send FILE", &names);
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

//! What the tests have in common: a stage with folders, and processes that never outlive their test.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine, shorter than a person waits for a hung test.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `done` says so.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The program, ready to be given arguments.
pub(crate) fn mainstay(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // What the machine is set up for is no part of a test.
    for name in [
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "STATE_DIRECTORY",
        "CONFIGURATION_DIRECTORY",
    ] {
        command.env_remove(name);
    }
    command
}

/// What a command that ended said, and how.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a command to its end.
pub(crate) fn say(command: &mut Command) -> Said {
    command.output().expect("the program starts").into()
}

/// A running process; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self {
            child: command.spawn().expect("the program starts"),
            log,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until an agent listens to commands.
    pub(crate) fn until_it_answers(&mut self, socket: &Path) {
        until("the agent answers", || {
            assert!(!self.has_ended(), "{}", self.log());
            // The socket of one that was killed may still be there.
            UnixStream::connect(socket).is_ok()
        });
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end, and gives the exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        let mut status: Option<ExitStatus> = None;
        let log = self.log();
        until(&format!("the process ends; its log so far:\n{log}"), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A folder with everything that a test needs.
#[derive(Debug)]
pub(crate) struct Stage {
    root: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let stage = Self {
            root: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(stage.path("drop")).unwrap();
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Starts a receiver with these further flags, and waits until its address is known.
    pub(crate) fn receiver(&self, flags: &[&str]) -> Receiver {
        Receiver::start(self, "127.0.0.1:0", flags)
    }

    /// An agent from `drop` to `to`.
    pub(crate) fn run(&self, to: &str, flags: &[&str]) -> Command {
        let (from, data) = (self.text("drop"), self.text("data"));
        let mut command = mainstay(&["run", "--from", &from, "--to", to, "--data", &data]);
        command.args(flags);
        command
    }

    /// Starts an agent from `drop` to `to`, and waits until it answers.
    pub(crate) fn agent(&self, to: &str, flags: &[&str]) -> Running {
        self.start(&mut self.run(to, flags))
    }

    /// Starts what runs the agent of this stage's data folder, and waits until it answers.
    pub(crate) fn start(&self, command: &mut Command) -> Running {
        let mut agent = Running::start(command, self.path("agent.log"));
        agent.until_it_answers(&self.path("data/control.sock"));
        agent
    }

    /// Writes this configuration, in place of the one before, and gives the command that runs it.
    pub(crate) fn configured(&self, config: &str) -> Command {
        std::fs::write(self.path("lab.toml"), config).unwrap();
        self.run_configured()
    }

    /// The command that runs the configuration that stands there.
    pub(crate) fn run_configured(&self) -> Command {
        let mut command = self.command(&["run"]);
        command.arg("--config").arg(self.path("lab.toml"));
        command
    }

    /// A command about this stage's data folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = mainstay(args);
        command.args(["--data", &self.text("data")]);
        command
    }

    /// What a command about this stage's data folder prints as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let said = say(self.command(args).arg("--json"));
        assert_eq!(said.code, Some(0), "{said:?}");
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.out))
    }

    /// A number of the ledger.
    pub(crate) fn ledger(&self, name: &str) -> u64 {
        self.json(&["status"])["ledger"][name].as_u64().unwrap()
    }

    /// Drops files with different contents; answers them by name.
    pub(crate) fn drop_files(&self, prefix: &str, count: usize) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for number in 0..count {
            let name = format!("{prefix}-{number:04}.json");
            // Some are empty of structure, some longer than a page, one longer than fits into the queue's log.
            let body = match number % 50 {
                7 => format!("{prefix} {number}\n").repeat(2_000).into_bytes(),
                8 => vec![number as u8; 300 * 1024],
                _ => format!("{{\"from\": \"{prefix}\", \"number\": {number}}}").into_bytes(),
            };
            self.drop_file(&name, &body);
            files.insert(name, body);
        }
        files
    }

    /// Drops one file, whole.
    pub(crate) fn drop_file(&self, name: &str, body: &[u8]) {
        let unfinished = self.path(&format!("{name}.unfinished"));
        std::fs::write(&unfinished, body).unwrap();
        std::fs::rename(unfinished, self.path("drop").join(name)).unwrap();
    }
}

/// A running receiver.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) process: Running,
    pub(crate) address: String,
    store: PathBuf,
}

impl Receiver {
    pub(crate) fn start(stage: &Stage, listen: &str, flags: &[&str]) -> Self {
        let (store, ready) = (stage.path("store"), stage.path("ready"));
        drop(std::fs::remove_file(&ready));
        let mut command = mainstay(&["receive", "--listen", listen]);
        command
            .arg("--store")
            .arg(&store)
            .arg("--ready-file")
            .arg(&ready)
            .args(flags);
        let mut process = Running::start(&mut command, stage.path("receiver.log"));
        until("the receiver is ready", || {
            assert!(!process.has_ended(), "{}", process.log());
            ready.exists()
        });
        let address = std::fs::read_to_string(&ready).unwrap().trim().to_owned();
        Self {
            process,
            address,
            store,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/ingest", self.address)
    }

    /// What is stored, by the name of its source; a name that is there twice fails the test.
    pub(crate) fn stored(&self) -> BTreeMap<String, Vec<u8>> {
        let mut stored = BTreeMap::new();
        for (key, name, body) in stored_in(&self.store) {
            assert!(
                stored.insert(name.clone(), body).is_none(),
                "`{name}` is stored twice, once as {key}"
            );
        }
        stored
    }

    /// Sends a request and gives status and body of the answer.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let headers = headers.iter().flat_map(|header| [header, "\r\n"]);
        let headers: String = headers.collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: receiver\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server that has refused already need not take the rest.
        drop(stream.write_all(body));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        (
            status,
            answer
                .split_once("\r\n\r\n")
                .map_or(String::new(), |(_, body)| body.to_owned()),
        )
    }
}

/// Key, source name and content of every document in a store.
pub(crate) fn stored_in(store: &Path) -> Vec<(String, String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(store).unwrap() {
        let entry = entry.unwrap();
        let file = entry.file_name().into_string().unwrap();
        if file.starts_with('.') {
            continue;
        }
        let (key, name) = file.split_once("--").unwrap_or((&file, ""));
        found.push((
            key.to_owned(),
            name.to_owned(),
            std::fs::read(entry.path()).unwrap(),
        ));
    }
    found
}

/// Names of the files in a folder, hidden ones left out.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

//! A hub for tests: an agent that others send to, and a hand that speaks HTTP byte by byte.

use crate::support::{PATIENCE, Running, Stage, mainstay, say};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

pub(crate) const KEY: &str = "idempotency-key: 0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";
pub(crate) const ID: &str = "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";

/// An address that nobody is at: nothing ever answers there.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1/ingest";

/// A port that is free now, and that the system gives to nobody by itself while its owner is away.
pub(crate) fn quiet_port() -> u16 {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    // Tests run beside each other, as processes or as threads of one: each begins to look somewhere else.
    let start = (std::process::id() * 7 % 10_000) as u16;
    let start = start + ASKED.fetch_add(500, Ordering::Relaxed) % 10_000;
    let mut ports = (0..10_000).map(|step| 20_000 + (start + step) % 10_000);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("ten thousand ports are not all taken")
}

/// A token that only its owner can read.
pub(crate) fn write_token(file: &std::path::Path) {
    std::fs::write(file, "s3cret\n").unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(file, owner_only).unwrap();
}

/// A hub whose route `hub` leads to `to`.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) process: Running,
    pub(crate) address: String,
}

/// The configuration of a hub, in `hub.toml` of the stage; `http` is what stands in `[route.from.http]`.
pub(crate) fn configure(stage: &Stage, queue: &str, http: &str, to: &str) -> PathBuf {
    let file = stage.path("hub.toml");
    let text = format!(
        "[queue]\n{queue}\n[[route]]\nname = \"hub\"\n[route.from.http]\n{http}\n[route.to.http]\nurl = \"{to}\"\nretry = {{ initial = \"20ms\", max = \"200ms\" }}\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The command that runs the hub of `hub.toml`.
pub(crate) fn command(stage: &Stage) -> Command {
    let mut command = mainstay(&["run", "--config"]);
    command
        .arg(stage.path("hub.toml"))
        .arg("--data")
        .arg(stage.path("hub"));
    command
}

impl Hub {
    /// Starts the hub that was configured, and waits until it answers.
    pub(crate) fn start(stage: &Stage) -> Self {
        let mut process = Running::start(&mut command(stage), stage.path("hub.log"));
        process.until_it_answers(&stage.path("hub/control.sock"));
        let from = status(stage)["routes"][0]["from"]["http"].clone();
        let address = from.as_str().unwrap().trim_start_matches("http://");
        Self {
            process,
            address: address.trim_end_matches("/ingest").to_owned(),
        }
    }

    /// A hub on a free port, without a token, that delivers to `to`.
    pub(crate) fn to(stage: &Stage, to: &str, http: &str) -> Self {
        configure(stage, "", &format!("listen = \"127.0.0.1:0\"\n{http}"), to);
        Self::start(stage)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends these bytes, and gives the whole answer.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that has refused already need not take the rest.
        drop(stream.write_all(bytes));
        Answer::read(stream)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut bytes = head(method, path, headers, body.len());
        bytes.extend(body);
        self.raw(&bytes)
    }

    pub(crate) fn post(&self, headers: &[&str], body: &[u8]) -> Answer {
        self.ask("POST", "/ingest", headers, body)
    }
}

/// The head of a request that ends its connection.
pub(crate) fn head(method: &str, path: &str, headers: &[&str], length: usize) -> Vec<u8> {
    let headers: String = headers
        .iter()
        .flat_map(|header| [*header, "\r\n"])
        .collect();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    text.into_bytes()
}

/// An answer, in lower case up to its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads until the other end says that nothing more follows.
    pub(crate) fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    /// Whether it has this header.
    pub(crate) fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line == header)
    }
}

/// What the hub says of itself, or its data folder without it.
pub(crate) fn status(stage: &Stage) -> Value {
    json(stage, &["status"])
}

/// What a command about the hub's data folder prints as JSON.
pub(crate) fn json(stage: &Stage, args: &[&str]) -> Value {
    let mut command = mainstay(args);
    command.arg("--data").arg(stage.path("hub")).arg("--json");
    let said = say(&mut command);
    assert_eq!(said.code, Some(0), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

/// A number of the hub's ledger.
pub(crate) fn ledger(stage: &Stage, name: &str) -> u64 {
    status(stage)["ledger"][name].as_u64().unwrap()
}

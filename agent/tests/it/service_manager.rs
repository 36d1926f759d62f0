//! A service manager is told that the agent is ready, that it lives and that it stops; and nothing fails by it.

use crate::support::{PATIENCE, Running, Stage, until};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::mpsc::{Receiver, sync_channel};

/// A service manager's socket, at a name that is in no folder: with the stage's own in it, it is nobody else's.
fn socket(stage: &Stage) -> (UnixDatagram, String) {
    let name = format!("@{}", stage.text("notify"));
    let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
    (UnixDatagram::bind_addr(&address).unwrap(), name)
}

/// What a service manager hears, line by line, which reads as quickly as it comes.
fn listen(socket: UnixDatagram) -> Receiver<String> {
    let (heard, lines) = sync_channel(10_000);
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(len) = socket.recv(&mut buffer) {
            for line in std::str::from_utf8(&buffer[..len]).unwrap().lines() {
                // The test may be over.
                drop(heard.send(line.to_owned()));
            }
        }
    });
    lines
}

/// The next line that begins so, with all before it.
fn hear(lines: &Receiver<String>, wanted: &str) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let line = lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| panic!("`{wanted}` was not heard, but {heard:?}"));
        heard.push(line);
        if heard.last().unwrap().starts_with(wanted) {
            return heard;
        }
    }
}

fn start(stage: &Stage, to: &str, manager: &str) -> Running {
    let mut command = stage.run(to, &[]);
    command
        .env("NOTIFY_SOCKET", manager)
        .env("WATCHDOG_USEC", "200000");
    Running::start(&mut command, stage.path("agent.log"))
}

#[test]
fn a_service_manager_is_told_ready_alive_and_stopping() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let (socket, name) = socket(&stage);
    let lines = listen(socket);
    let agent = start(&stage, &receiver.url(), &name);
    let heard = hear(&lines, "STATUS=");
    assert_eq!(heard[0], "READY=1", "{heard:?}");
    assert!(heard[1].contains("0 queued, 0 delivered"), "{heard:?}");
    for _ in 0..5 {
        hear(&lines, "WATCHDOG=1");
    }
    stage.drop_file("one.csv", b"1");
    let heard = hear(&lines, "STATUS=0 queued, 1 delivered");
    assert!(heard.last().unwrap().ends_with("healthy"), "{heard:?}");
    agent.signal("TERM");
    hear(&lines, "STOPPING=1");
    hear(&lines, "STATUS=0 queued, 1 delivered, stopping");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_service_manager_that_does_not_listen_is_warned_of_once_and_holds_nothing_up() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let nobody = stage.text("nobody");
    let agent = start(&stage, &receiver.url(), &nobody);
    let dropped = stage.drop_files("a", 3);
    until("they arrive", || receiver.stored() == dropped);
    agent.signal("TERM");
    let log = stage.path("agent.log");
    assert_eq!(agent.end(), Some(0));
    let log = std::fs::read_to_string(log).unwrap();
    let warned = log.matches("the service manager does not take").count();
    assert_eq!(warned, 1, "{log}");
}

#[test]
fn a_service_manager_that_reads_nothing_blocks_nobody() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    // It is there, and its buffer is full after some messages.
    let (_socket, name) = socket(&stage);
    let agent = start(&stage, &receiver.url(), &name);
    until("its buffer is full", || {
        agent.log().contains("the service manager does not take")
    });
    let dropped = stage.drop_files("a", 3);
    until("they arrive", || receiver.stored() == dropped);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

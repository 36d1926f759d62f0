//! Asked while it only starts: at the first sight of the process, of its words, its lock, its socket, and of its being ready.
//!
//! The life before was killed with documents claimed, queued and under way, so that this one has a queue to read and claims to go on
//! with. Before the program listens to signals the system ends it, as a kill does; from then on it has to end by itself.

use super::{GRACE, Stopped, accept, hears};
use crate::campaigns::stage::Stage;
use anyhow::{Result, bail};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// What a start may take on top of what its stop may: what it has begun it may finish.
pub(super) const START: Duration = Duration::from_secs(1);

/// So many files the killed life leaves behind, at least.
const FILES: u64 = 20;

/// What is waited for is there by then, or something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// How far the start is.
#[derive(Debug, Clone, Copy)]
enum Sight {
    Process,
    Words,
    Lock,
    Socket,
    Ready,
}

/// Lives after a kill, and is stopped as it starts.
pub(super) fn play(stage: &mut Stage, receiver: &str) -> Result<Stopped> {
    leave_behind(stage)?;
    let (data, said) = (stage.path("data"), stage.path("data.log"));
    // That of the killed one is no sight of this one.
    drop(fs::remove_file(data.join("control.sock")));
    let told = fs::metadata(&said).map_or(0, |facts| facts.len()) as usize;
    let sight = match stage.random.below(5) {
        0 => Sight::Process,
        1 => Sight::Words,
        2 => Sight::Lock,
        3 => Sight::Socket,
        _ => Sight::Ready,
    };
    let pause = Duration::from_micros(stage.random.below(3_000));
    let grace = format!("{}ms", GRACE.as_millis());
    let mut agent = stage.agent_that_deletes("", "data", receiver, &["--grace", &grace])?;
    let begun = Instant::now();
    while !sight.is_seen(agent.pid(), &data, &said, told) {
        if !agent.is_running()? || PATIENCE < begun.elapsed() {
            bail!(
                "{sight:?} was not seen of a start, {:?} after it",
                begun.elapsed()
            );
        }
        thread::sleep(Duration::from_micros(200));
    }
    thread::sleep(pause);
    let was_heard = hears(agent.pid());
    let begun = Instant::now();
    agent.terminate()?;
    let status = agent.wait()?.status;
    Ok(Stopped {
        status,
        took: begun.elapsed(),
        was_heard,
    })
}

/// A life whose documents nobody takes, killed in the middle of it.
fn leave_behind(stage: &mut Stage) -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    silent.set_nonblocking(true)?;
    let to = format!("http://{}/ingest", silent.local_addr()?);
    let mut agent = stage.agent_that_deletes("", "data", &to, &[])?;
    for _ in 0..FILES + stage.random.below(FILES) {
        stage.drop_file()?;
    }
    let mut held: Vec<TcpStream> = Vec::new();
    agent.until("a delivery is under way", || accept(&silent, &mut held))?;
    // Some of it is claimed by now, some is not, and the producer goes on.
    thread::sleep(Duration::from_micros(stage.random.below(20_000)));
    stage.drop_file()?;
    agent.kill()
}

impl Sight {
    fn is_seen(self, pid: u32, data: &Path, said: &Path, told: usize) -> bool {
        let new = || {
            let words = fs::read(said).unwrap_or_default();
            let new = words.get(told..).unwrap_or_default();
            String::from_utf8_lossy(new).into_owned()
        };
        match self {
            Self::Process => true,
            Self::Words => !new().is_empty(),
            Self::Lock => holds(pid, &data.join("LOCK")),
            Self::Socket => data.join("control.sock").exists(),
            Self::Ready => new().contains(" runs, data in "),
        }
    }
}

/// Whether the process has this file open.
fn holds(pid: u32, file: &Path) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd"));
    let mut open = open.into_iter().flatten().flatten();
    open.any(|one| fs::read_link(one.path()).is_ok_and(|path| path == file))
}

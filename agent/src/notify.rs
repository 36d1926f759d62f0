//! What a service manager is told over its socket (`NOTIFY_SOCKET`): ready, how much waits, still alive, stopping.
//!
//! The protocol is that of `sd_notify(3)`: lines of `NAME=value`, a datagram each time. Whatever becomes of one, nothing here waits
//! for it and nothing fails by it.
//!
//! | told | when |
//! |---|---|
//! | `READY=1` | everything runs; again each second until it is taken |
//! | `STATUS=…` | with it, and when it has changed, 10 s apart |
//! | `WATCHDOG=1` | at half of `WATCHDOG_USEC`, while the agent is live; while it starts and stops, for five minutes each |
//! | `STOPPING=1` | it begins to stop |
//!
//! It is told from a task of the runtime: where that stands still, so does the watchdog.

use crate::run::Agent;
use mainstay_clock::SharedClock;
use mainstay_paths::Environment;
use mainstay_supervise::{Health, TaskContext};
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where the manager listens. Children must not speak in our name, so they do not get these.
pub(crate) const VARIABLES: [&str; 3] = [SOCKET, "WATCHDOG_USEC", "WATCHDOG_PID"];
const SOCKET: &str = "NOTIFY_SOCKET";

/// A person who looks reads a new line no more often.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// A manager that was too busy is told again that we are ready.
const AGAIN: Duration = Duration::from_secs(1);

/// However short a watchdog is set, it costs no more than this.
const BEAT_MIN: Duration = Duration::from_millis(10);

/// A start or a stop that takes longer hangs.
const BETWEEN_LIVES: Duration = Duration::from_mins(5);

/// The service manager that started us.
#[derive(Debug)]
pub(crate) struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How often it wants to hear that we live.
    beat: Option<Duration>,
    /// Whether it was said already that it does not listen.
    has_warned: AtomicBool,
    /// Whether it was told that we are ready: before that it does not watch.
    is_told: AtomicBool,
}

/// What is told, by whoever knows.
struct Facts<S, L> {
    status: S,
    is_live: L,
}

/// Tells the service manager, where there is one, as a task that beats by itself, until that is to stop.
pub(crate) async fn tell(
    agent: Arc<Agent>,
    health: Health,
    clock: SharedClock,
    context: &TaskContext,
) {
    let Some(manager) = &agent.manager else {
        // There is nothing that could hang.
        context.pause(Duration::MAX).await;
        return;
    };
    let facts = Facts {
        status: || {
            let is_stopping = agent.is_stopping();
            let word = if is_stopping {
                "stopping"
            } else {
                health.snapshot().state.name()
            };
            status(&agent, word)
        },
        // A stop has its own bound; whoever stops in order is not to be killed for it.
        is_live: || agent.is_stopping() || health.is_live(),
    };
    let turn = || context.beat();
    tokio::select! {
        () = manager.hear(facts, &clock, &turn) => {}
        () = context.stopping() => {}
    }
}

/// Tells the service manager, where there is one, that the agent begins to stop: at once, because that may take no time.
pub(crate) fn tell_stopping(agent: &Agent) {
    if let Some(manager) = &agent.manager {
        manager.send(&format!("STOPPING=1\nSTATUS={}", status(agent, "stopping")));
    }
}

/// Runs what begins or ends a life of the agent, in which nobody else says that the process lives.
pub(crate) async fn alive_while<T>(
    manager: Option<&Arc<Manager>>,
    clock: &SharedClock,
    work: impl Future<Output = T>,
) -> T {
    let watching = manager.filter(|manager| manager.is_told.load(Ordering::Relaxed));
    let Some((manager, beat)) = watching.and_then(|manager| Some((manager, manager.beat?))) else {
        return work.await;
    };
    let until = clock.now() + BETWEEN_LIVES;
    let beats = async {
        while clock.now() < until {
            manager.send("WATCHDOG=1");
            clock.sleep(beat).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        done = work => done,
        never = beats => never,
    }
}

fn status(agent: &Agent, word: &str) -> String {
    let ledger = agent.queue.ledger();
    let (queued, delivered) = (ledger.queued, ledger.delivered);
    format!("{queued} queued, {delivered} delivered, {word}")
}

impl Manager {
    /// The one that started this process; none where none did.
    pub(crate) fn of_this_process() -> Option<Self> {
        Self::of(&Environment::from_process(), std::process::id())
    }

    /// The one that the environment names; none where it names none, or one that cannot be.
    fn of(environment: &Environment, pid: u32) -> Option<Self> {
        let name = environment.get(SOCKET)?;
        let opened = address(&name).and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok((socket, address))
        });
        let (socket, address) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%error, name = ?name, "the service manager cannot be told anything");
                return None;
            }
        };
        let number = |name| environment.get(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = environment.get("WATCHDOG_PID").is_none()
            || number("WATCHDOG_PID") == Some(u64::from(pid));
        let watchdog = number("WATCHDOG_USEC").filter(|limit| is_ours && 0 < *limit);
        Some(Self {
            socket,
            address,
            beat: watchdog.map(|limit| Duration::from_micros(limit / 2).max(BEAT_MIN)),
            has_warned: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
        })
    }

    /// Tells all there is to tell, for ever; `turn` is called in each round, at least every 10 s.
    async fn hear<S: Fn() -> String, L: Fn() -> bool>(
        &self,
        facts: Facts<S, L>,
        clock: &SharedClock,
        turn: &(impl Fn() + Sync),
    ) {
        let mut shown = (facts.status)();
        self.is_told.store(true, Ordering::Relaxed);
        let mut is_ready = self.send(&format!("READY=1\nSTATUS={shown}"));
        let (mut status_at, mut beat_at) = (clock.now() + STATUS_EVERY, clock.now());
        loop {
            turn();
            let now = clock.now();
            if let Some(beat) = self.beat.filter(|_| beat_at <= now) {
                if (facts.is_live)() {
                    self.send("WATCHDOG=1");
                }
                beat_at = now + beat;
            }
            if !is_ready {
                is_ready = self.send(&format!("READY=1\nSTATUS={shown}"));
            } else if status_at <= now {
                let status = (facts.status)();
                if status != shown {
                    self.send(&format!("STATUS={status}"));
                    shown = status;
                }
                status_at = now + STATUS_EVERY;
            }
            let next = if is_ready {
                status_at.since(now)
            } else {
                AGAIN
            };
            let beat = self.beat.map_or(next, |_| beat_at.since(now));
            clock.sleep(next.min(beat)).await;
        }
    }

    /// Whether it was taken.
    fn send(&self, lines: &str) -> bool {
        match self.socket.send_to_addr(lines.as_bytes(), &self.address) {
            Ok(_) => true,
            Err(error) => {
                if !self.has_warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "the service manager does not take what it is told; it is not said again");
                }
                false
            }
        }
    }
}

/// A path, or after `@` a name that is in no folder.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "NOTIFY_SOCKET is neither a path nor a name after `@`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use mainstay_paths::Platform;
    use std::ffi::OsString;

    /// A manager that listens, and what we know of it.
    fn listening(watchdog: Option<&str>) -> (UnixDatagram, Manager, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut values = vec![(SOCKET, path.into_os_string())];
        values.extend(watchdog.map(|limit| ("WATCHDOG_USEC", limit.into())));
        let manager = Manager::of(&environment(&values), 7).unwrap();
        (socket, manager, folder)
    }

    fn environment(values: &[(&str, OsString)]) -> Environment {
        let empty = Environment::injected(Platform::Linux);
        let with = |environment: Environment, (name, value): &(&str, OsString)| {
            environment.with(name, value)
        };
        values.iter().fold(empty, with)
    }

    fn heard(socket: &UnixDatagram) -> Vec<String> {
        let mut heard = Vec::new();
        let mut buffer = [0; 4_096];
        while let Ok(len) = socket.recv(&mut buffer) {
            heard.push(String::from_utf8(buffer[..len].to_vec()).unwrap());
        }
        heard
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_watchdog_hears_nothing_while_the_agent_is_not_live() {
        let (socket, manager, _folder) = listening(Some("2000000"));
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let live = Arc::new(AtomicBool::new(true));
        let is_live = Arc::clone(&live);
        let told = tokio::spawn(async move {
            let facts = Facts {
                status: || "3 queued".to_owned(),
                is_live: move || is_live.load(Ordering::Relaxed),
            };
            manager.hear(facts, &clock, &|| {}).await;
        });
        settle().await;
        assert_eq!(heard(&socket), ["READY=1\nSTATUS=3 queued", "WATCHDOG=1"]);
        let second = async || {
            manual.advance(Duration::from_secs(1));
            settle().await;
            heard(&socket)
        };
        assert_eq!(second().await, ["WATCHDOG=1"]);
        live.store(false, Ordering::Relaxed);
        for _ in 0..20 {
            assert_eq!(second().await, [""; 0]);
        }
        live.store(true, Ordering::Relaxed);
        assert_eq!(second().await, ["WATCHDOG=1"]);
        told.abort();
    }

    #[tokio::test]
    async fn a_watchdog_hears_of_a_start_for_five_minutes() {
        let (socket, manager, _folder) = listening(Some("60000000"));
        manager.is_told.store(true, Ordering::Relaxed);
        let manager = Arc::new(manager);
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let (done, start) = tokio::sync::oneshot::channel();
        let starting =
            tokio::spawn(async move { alive_while(Some(&manager), &clock, start).await });
        settle().await;
        for half_minute in 0..10 {
            assert_eq!(heard(&socket), ["WATCHDOG=1"], "{half_minute}");
            manual.advance(Duration::from_secs(30));
            settle().await;
        }
        manual.advance(Duration::from_secs(30));
        settle().await;
        assert_eq!(heard(&socket), [""; 0]);
        done.send(7).unwrap();
        assert_eq!(starting.await.unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn a_status_is_told_when_it_has_changed_and_no_more_often_than_every_ten_seconds() {
        let (socket, manager, _folder) = listening(None);
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let began = clock.now();
        let told = tokio::spawn(async move {
            let seconds = || clock.now().since(began).as_secs();
            let facts = Facts {
                // New for half a minute, then as it was.
                status: || format!("{} s", seconds().min(30)),
                is_live: || true,
            };
            manager.hear(facts, &clock, &|| {}).await;
        });
        settle().await;
        for _ in 0..60 {
            manual.advance(Duration::from_secs(1));
            settle().await;
        }
        let expected = [
            "READY=1\nSTATUS=0 s",
            "STATUS=10 s",
            "STATUS=20 s",
            "STATUS=30 s",
        ];
        assert_eq!(heard(&socket), expected);
        told.abort();
    }

    #[tokio::test]
    async fn a_manager_that_is_away_is_told_that_we_are_ready_once_it_is_there() {
        let (socket, manager, folder) = listening(None);
        drop(socket);
        let path = folder.path().join("notify");
        mainstay_files::remove(&path).unwrap();
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let told = tokio::spawn(async move {
            let facts = Facts {
                status: || "well".to_owned(),
                is_live: || true,
            };
            manager.hear(facts, &clock, &|| {}).await;
        });
        settle().await;
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        manual.advance(AGAIN);
        settle().await;
        assert_eq!(heard(&socket), ["READY=1\nSTATUS=well"]);
        told.abort();
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let beat = |pid: Option<&str>, limit: &str| {
            let mut values = vec![(SOCKET, "@m".into()), ("WATCHDOG_USEC", limit.into())];
            values.extend(pid.map(|pid| ("WATCHDOG_PID", pid.into())));
            Manager::of(&environment(&values), 7).unwrap().beat
        };
        assert_eq!(beat(None, "200000"), Some(Duration::from_millis(100)));
        assert_eq!(beat(Some("7"), "1"), Some(BEAT_MIN));
        assert_eq!(beat(Some("8"), "200000"), None);
        assert_eq!(beat(Some("7"), "0"), None);
        assert_eq!(beat(Some("x"), "200000"), None);
    }

    #[test]
    fn a_socket_that_cannot_be_is_no_manager() {
        let of = |name: &str| Manager::of(&environment(&[(SOCKET, name.into())]), 7);
        assert!(of("vsock:2:1").is_none());
        assert!(of(&format!("/{}", "x".repeat(200))).is_none());
        assert!(of("@abstract").is_some());
    }
}

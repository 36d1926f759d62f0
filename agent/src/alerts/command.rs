//! Telling by a command of the operator's: no shell, JSON on its standard input, the same in variables.

use super::notice::Notice;
use crate::notify;
use mainstay_clock::SharedClock;
use mainstay_supervise::{Held, Holdings, Resource};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpid};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A command that takes longer is killed, with all that it started.
const LONGEST: Duration = Duration::from_secs(30);

/// What was killed is mostly gone by then.
const END: Duration = Duration::from_secs(1);

/// How often one that runs is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// So many that were killed are waited for at a time: as many as all alerts run. What comes more hangs in the system, and stays a zombie.
const REAPED_MAX: usize = super::ALERTS_MAX * super::AT_ONCE;

/// So many are waited for.
static REAPED: AtomicUsize = AtomicUsize::new(0);

/// A command that runs; killed with its process group where nobody waits for it any more.
struct Running {
    child: Child,
    has_ended: bool,
    /// Until it was waited for.
    held: Option<Held<()>>,
}

/// Runs the command to its end.
pub(super) async fn tell(
    words: &[String],
    notice: &Notice,
    holdings: &Holdings,
    clock: &SharedClock,
) -> Result<(), String> {
    let [program, arguments @ ..] = words else {
        return Err("the command is empty".to_owned());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        // Beside our own log, so that what went wrong can be read somewhere.
        .stderr(Stdio::inherit())
        .process_group(0)
        .envs(notice.variables());
    for name in notify::VARIABLES {
        command.env_remove(name);
    }
    let (deadline, json) = (clock.now() + LONGEST, notice.json() + "\n");
    let held = holdings.hold(Resource::Child, &format!("`{program}`"), (), drop);
    let starting = move || Running::start(&mut command, &json, held);
    let started = tokio::task::spawn_blocking(starting).await;
    let mut running = started
        .map_err(|_| "it could not be started".to_owned())?
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    loop {
        match running.ended() {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("`{program}` ended with {status}")),
            None if clock.now() < deadline => clock.sleep(LOOK).await,
            None => {
                running.kill();
                // Whoever is told knows that it is over; one that hangs in the system is left to a thread.
                let deadline = clock.now() + END;
                while running.ended().is_none() && clock.now() < deadline {
                    clock.sleep(LOOK).await;
                }
                return Err(format!(
                    "`{program}` took longer than {} s, and was killed",
                    LONGEST.as_secs()
                ));
            }
        }
    }
}

impl Running {
    /// Starts it and hands it the JSON, which is shorter than what a pipe holds.
    fn start(command: &mut Command, json: &str, held: Held<()>) -> std::io::Result<Self> {
        let child = command.spawn()?;
        let mut running = Self {
            child,
            has_ended: false,
            held: Some(held),
        };
        if let Some(mut input) = running.child.stdin.take() {
            // Whoever does not read it has the variables.
            drop(input.write_all(json.as_bytes()));
        }
        Ok(running)
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten();
        self.has_ended |= status.is_some();
        status
    }

    /// Ends it and all that it started.
    fn kill(&self) {
        // Nobody else has its number: it was not waited for.
        let group = Pid::from_child(&self.child);
        if !self.has_ended
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!(%error, "a command of an alert cannot be killed");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.kill();
            reap(Pid::from_child(&self.child), self.held.take());
        }
    }
}

/// Waits for what was killed, so that it is no zombie; on a thread of its own, which ends with the process if need be.
fn reap(pid: Pid, held: Option<Held<()>>) {
    let is_free = |reaped: usize| (reaped < REAPED_MAX).then_some(reaped + 1);
    let place = REAPED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_free);
    if place.is_err() {
        return;
    }
    let wait = move || {
        // Only we wait for it: nobody else can have its number.
        let ended = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
        REAPED.fetch_sub(1, Ordering::Relaxed);
        drop(held);
        if let Err(error) = ended {
            tracing::debug!(%error, "a command of an alert was not waited for");
        }
    };
    if let Err(error) = thread::Builder::new().name("reaper".into()).spawn(wait) {
        REAPED.fetch_sub(1, Ordering::Relaxed);
        tracing::debug!(%error, "no thread waits for a command of an alert");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::alerts::notice::Notice;
    use mainstay_clock::ManualClock;
    use mainstay_supervise::HealthState;
    use std::sync::Arc;

    pub(in crate::alerts) fn notice() -> Notice {
        Notice {
            id: "1".to_owned(),
            check: "disk".to_owned(),
            state: HealthState::Degraded,
            was: HealthState::Healthy,
            reason: "a\0b $(touch x)".to_owned(),
            runbook: Some("disk-full".to_owned()),
            station: "T-4".to_owned(),
            at: "2026-11-21T08:00:00.000Z".to_owned(),
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_command_that_fails_or_is_not_there_is_told_so() {
        let clock = mainstay_clock::system();
        let holdings = Holdings::new(clock.clone());
        assert_eq!(
            tell(&words(&["true"]), &notice(), &holdings, &clock).await,
            Ok(())
        );
        let failed = tell(&words(&["false"]), &notice(), &holdings, &clock).await;
        assert_eq!(failed.unwrap_err(), "`false` ended with exit status: 1");
        let missing = tell(&words(&["/no/such"]), &notice(), &holdings, &clock).await;
        assert!(
            missing
                .unwrap_err()
                .starts_with("`/no/such` cannot be started")
        );
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = "sleep 1000 & echo $! > \"$0.part\"; mv \"$0.part\" \"$0\"; wait";
        let hung = words(&["sh", "-c", script, pid.to_str().unwrap()]);
        let notice = notice();
        let holdings = Holdings::new(clock.clone());
        let telling = tell(&hung, &notice, &holdings, &clock);
        tokio::pin!(telling);
        // Until it has started its own child, no time passes.
        while !pid.exists() {
            tokio::select! {
                ended = &mut telling => panic!("{ended:?}"),
                () = tokio::task::yield_now() => {}
            }
            manual.advance(Duration::ZERO);
        }
        let held = holdings.verify_empty().unwrap_err().to_string();
        assert_eq!(held, "still held: `sh` (Child)");
        manual.advance(LONGEST);
        let error = loop {
            tokio::select! {
                ended = &mut telling => break ended.unwrap_err(),
                () = tokio::task::yield_now() => manual.advance(LOOK),
            }
        };
        assert!(
            error.ends_with("took longer than 30 s, and was killed"),
            "{error}"
        );
        let grandchild: i32 = std::fs::read_to_string(&pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let is_gone = || {
            let status = std::fs::read_to_string(format!("/proc/{grandchild}/stat"));
            status.map_or(true, |stat| stat.contains(") Z "))
        };
        while !is_gone() || holdings.verify_empty().is_err() {
            tokio::task::yield_now().await;
        }
    }
}

//! Real processes of this same program, which never outlive this one.

use crate::exit::{Exit, Failure};
use mainstay_clock::SharedClock;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// How often an ending process is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A running process; killed when it is dropped, and by the system if this process is killed.
#[derive(Debug)]
pub(super) struct Child {
    name: &'static str,
    process: std::process::Child,
}

impl Child {
    /// Starts this program with these arguments; what it prints goes to the end of `log`.
    ///
    /// To be called from the main thread: the system ends the child with the thread that started it.
    ///
    /// # Errors
    /// The program or the log cannot be opened.
    pub(super) fn start(name: &'static str, args: &[&str], log: &Path) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| {
            Failure::new(Exit::StartFailed, format!("cannot start the {name}")).because(error)
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a log of what is tried; nothing depends on it"
        )]
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(cannot)?;
        let process = Command::new(std::env::current_exe().map_err(cannot)?)
            .args(args)
            .args(["--with-parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(cannot)?)
            .stderr(log)
            // A group of its own, so that Ctrl-C reaches this process alone, which then ends its children.
            .process_group(0)
            .spawn()
            .map_err(cannot)?;
        Ok(Self { name, process })
    }

    /// Ends it as a power switch would: SIGKILL, nothing is finished.
    pub(super) fn kill(mut self) {
        self.end_now();
    }

    /// Asks it to end in order (SIGTERM), and waits.
    ///
    /// # Errors
    /// It takes longer than `at_most`, or ends with another code than 0.
    pub(super) async fn stop(
        mut self,
        clock: &SharedClock,
        at_most: Duration,
    ) -> Result<(), Failure> {
        let pid = Pid::from_child(&self.process);
        if let Err(error) = kill_process(pid, Signal::TERM) {
            tracing::debug!(%error, name = self.name, "it had ended already");
        }
        let deadline = clock.now() + at_most;
        while clock.now() < deadline {
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    let message = format!(
                        "the {} ended with {status} when it was asked to stop",
                        self.name
                    );
                    return Err(Failure::new(Exit::PartDied, message));
                }
                None => clock.sleep(LOOK).await,
            }
        }
        Err(Failure::new(
            Exit::TimedOut,
            format!("the {} did not stop within {at_most:?}", self.name),
        ))
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    fn end_now(&mut self) {
        // It may have ended already; then there is nothing to do.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end_now();
    }
}

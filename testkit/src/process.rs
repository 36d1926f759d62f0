//! The real binary as a process.

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything that has to happen may take, before the campaign says that it hangs.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often is looked whether it has happened.
const LOOK: Duration = Duration::from_millis(2);

/// The binary `mainstay` that was built beside the running program.
///
/// # Errors
/// If there is none.
pub fn binary() -> Result<PathBuf> {
    let here = std::env::current_exe().context("this program does not know where it is")?;
    let beside = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("mainstay"));
    let found = beside.into_iter().find(|path| path.is_file());
    found.with_context(|| format!("no `mainstay` beside {}: build it first", here.display()))
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it said on standard error.
    pub said: String,
}

/// A `mainstay` process; killed when it is dropped.
#[derive(Debug)]
pub struct Mainstay {
    child: Child,
    said: PathBuf,
}

impl Mainstay {
    /// Starts it with these arguments; what it says goes to the file `said`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start<A: AsRef<OsStr>>(binary: &Path, arguments: &[A], said: &Path) -> Result<Self> {
        Self::start_with(binary, arguments, said, &[])
    }

    /// The same, with these variables in its environment.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_with<A: AsRef<OsStr>>(
        binary: &Path,
        arguments: &[A],
        said: &Path,
        variables: &[(&str, OsString)],
    ) -> Result<Self> {
        let log = File::options().create(true).append(true).open(said)?;
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .env("NO_COLOR", "1")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        Ok(Self {
            child,
            said: said.to_owned(),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once, without a chance to do anything, and waits until it is gone.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Asks it to take its configuration anew.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn reload(&self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    /// Lets something happen while it stands still, and then lets it go on.
    ///
    /// # Errors
    /// If the system refuses, or `meanwhile` fails.
    pub fn while_it_stands(&self, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
        self.signal(Signal::STOP)?;
        let done = meanwhile();
        self.signal(Signal::CONT)?;
        done
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32)
            .context("a process id is not 0")?;
        rustix::process::kill_process(pid, signal)?;
        Ok(())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// The code that it ended with; `None` while it runs, or where a signal ended it.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn code(&mut self) -> Result<Option<i32>> {
        Ok(self.child.try_wait()?.and_then(|status| status.code()))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// If it does not within two minutes.
    pub fn wait(mut self) -> Result<Ended> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Ended {
                    status,
                    said: fs::read_to_string(&self.said).unwrap_or_default(),
                });
            }
            if PATIENCE < begun.elapsed() {
                bail!(
                    "process {} has not ended in {PATIENCE:?}; it said: {}",
                    self.child.id(),
                    tail(&self.said)
                );
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until `done` says so.
    ///
    /// # Errors
    /// If it does not within two minutes, or the process ends before.
    pub fn until(&mut self, what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
        let begun = Instant::now();
        while !done() {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the process ended ({status}) before {what}; it said: {}",
                    tail(&self.said)
                );
            }
            if PATIENCE < begun.elapsed() {
                bail!(
                    "{what} did not happen in {PATIENCE:?}; the process said: {}",
                    tail(&self.said)
                );
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Mainstay {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// `mainstay receive` on a port of its own.
#[derive(Debug)]
pub struct Receiver {
    process: Mainstay,
    /// Where documents are sent to.
    pub url: String,
}

impl Receiver {
    /// Starts it and waits until it listens. `address` is `127.0.0.1:0` for any port.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(binary: &Path, scratch: &Path, address: &str, faults: &[&str]) -> Result<Self> {
        let ready = scratch.join("receiver.ready");
        fs::remove_file(&ready).ok();
        let store = scratch.join("store");
        let mut arguments: Vec<&OsStr> =
            vec!["receive".as_ref(), "--listen".as_ref(), address.as_ref()];
        arguments.extend([
            "--store".as_ref(),
            store.as_os_str(),
            "--ready-file".as_ref(),
            ready.as_os_str(),
        ]);
        arguments.extend(faults.iter().map(AsRef::<OsStr>::as_ref));
        let mut process = Mainstay::start(binary, &arguments, &scratch.join("receiver.log"))?;
        let address = || {
            fs::read_to_string(&ready)
                .ok()
                .filter(|text| !text.trim().is_empty())
        };
        process.until("the receiver listens", || address().is_some())?;
        let url = format!("http://{}/ingest", address().unwrap_or_default().trim());
        Ok(Self { process, url })
    }

    /// The address that it listens on.
    pub fn address(&self) -> &str {
        self.url
            .trim_start_matches("http://")
            .trim_end_matches("/ingest")
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(self) -> Result<()> {
        self.process.kill()
    }
}

/// What a command of the binary prints as JSON.
///
/// # Errors
/// If it fails or prints something else.
pub(crate) fn json(binary: &Path, arguments: &[&OsStr]) -> Result<Value> {
    let output = Command::new(binary)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{arguments:?} ended with {}: {said}", output.status);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("{arguments:?} printed no JSON"))
}

//! A child whose system calls are watched: at one of them the power goes, the call fails, or the child dies.
//!
//! It looks at the calls themselves (`ptrace`), not at a library: parts of ours call the kernel directly, and what a shim
//! does not see it cannot break. Only calls that touch the folders in question are counted.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod call;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod follow;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod reading;

use anyhow::{Context, Result};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Whether this machine's registers are known here; elsewhere nothing is measured.
pub const IS_SUPPORTED: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

/// Which calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Those that may change something, or make it durable.
    Changes,
    /// Only those that ask the disk to confirm: `fsync`, `fdatasync` and `syncfs`.
    Syncs,
    /// Changes, and every opening of a file or folder, which needs a descriptor.
    Openings,
    /// Those that read, look or let go, and change nothing; they fail only with errors that such a call gives.
    Reading,
}

/// What a call does that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It may change something, or make it durable.
    Changes,
    /// It reads, looks or lets go.
    Reads,
}

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Before the call is made the power goes, and then the child is killed.
    PowerOff,
    /// The call is not made, and answers with this number; only this one, or more from here on.
    Fails {
        /// As in `errno.h`.
        errno: i32,
        /// Which of those that follow fail too.
        lasts: Lasts,
    },
    /// Something happens before the call and once more after so many further ones, which is up to the caller; the calls
    /// themselves are made.
    Disturbed {
        /// How many.
        calls: u64,
    },
    /// A write or a read is given so many bytes only; a call that is neither is left alone.
    Short(Short),
}

/// How long something fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// One call.
    Once,
    /// So many calls.
    Calls(u64),
    /// All from there on.
    ForGood,
}

impl fmt::Display for Lasts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once => f.write_str("once"),
            Self::Calls(calls) => write!(f, "for {calls} calls"),
            Self::ForGood => f.write_str("for good"),
        }
    }
}

/// How much of a write or a read is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// One byte.
    One,
    /// Half, in whole blocks where there is more than one, so that direct writes take it too.
    Half,
    /// All but the last byte.
    AllButOne,
}

/// A fault and the call that it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which of the calls that are counted, from 1.
    pub at: u64,
    /// What happens there.
    pub fault: Fault,
}

/// A child that is to be watched.
#[derive(Debug)]
pub struct Watch<'a> {
    /// Calls that touch something below one of these are counted.
    pub below: &'a [PathBuf],
    /// Which of them.
    pub watched: Watched,
    /// What is done to it, if anything.
    pub plan: Option<Plan>,
    /// After so long it hangs, and is killed.
    pub patience: Duration,
    /// What it writes on standard output goes there, outside of everything that fails.
    pub told: &'a Path,
    /// What it writes on standard error.
    pub said: &'a Path,
}

/// How a watched child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that nobody here sent.
    Signalled(i32),
    /// The power went.
    PoweredOff,
    /// It did not end in time.
    Hung,
}

/// What was seen of a child.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How many calls were counted.
    pub calls: u64,
    /// Their names and what they touched first, in turn.
    pub kinds: Vec<(&'static str, PathBuf)>,
    /// The call that the fault met; `None` if the child ended before.
    pub hit: Option<String>,
    /// How it ended.
    pub ending: Ending,
}

/// The errors that a reading call of this name gives, as in `errno.h`.
pub fn errors(name: &str) -> impl Iterator<Item = i32> + use<> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    let errors = reading::errors(name);
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    let (_, errors) = (name, &[] as &[nix::errno::Errno]);
    errors.iter().map(|errno| *errno as i32)
}

/// What a system call of this name does that the watcher counts; `None` of one that it does not know.
pub fn known(name: &str) -> Option<Known> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    return call::known(name);
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    {
        let _ = name;
        None
    }
}

/// What a program does first that wants to be watched: it waits for its watcher.
///
/// # Errors
/// If the system refuses.
pub fn submit_to_watcher() -> Result<()> {
    nix::sys::ptrace::traceme().context("this process may not be watched")?;
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)?;
    Ok(())
}

/// Files that nobody has: whoever asks for one of them speaks to the watcher.
const LOOK_AWAY: &str = "/faults/look-away";
const LOOK_AGAIN: &str = "/faults/look-again";

/// Does something whose calls are not counted and do not fail: a judge's own looks at what the program under test left.
pub fn unwatched<T>(work: impl FnOnce() -> T) -> T {
    // Neither is there; to have asked is enough.
    let say = |word| rustix::fs::access(word, rustix::fs::Access::EXISTS).ok();
    say(LOOK_AWAY);
    let done = work();
    say(LOOK_AGAIN);
    done
}

/// Runs a command that calls [`submit_to_watcher`] to its end; `power_off` is called where the plan says so, for a disturbance too.
///
/// # Errors
/// If the machine does not let processes be watched. What the child does is no error.
pub fn watch(
    command: &mut Command,
    watch: &Watch<'_>,
    power_off: &mut dyn FnMut() -> Result<()>,
) -> Result<Seen> {
    let child = command
        .stdin(Stdio::null())
        .stdout(File::create(watch.told)?)
        .stderr(File::create(watch.said)?)
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    return follow::follow(&child, watch, power_off);
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    {
        drop((child, power_off));
        anyhow::bail!("the registers of this machine are not known here");
    }
}

//! Follows every thread of a child from one system call to the next.

use super::call::{self, Call};
use super::{Ending, Fault, Lasts, Plan, Seen, Watch, Watched};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What the kernel puts into the result before it makes a call.
const NOT_MADE_YET: i64 = -(libc::ENOSYS as i64);

/// A system call that is not one: the kernel does nothing.
const NO_CALL: u64 = u64::MAX;

struct Follower<'a> {
    watch: &'a Watch<'a>,
    power_off: &'a mut dyn FnMut() -> Result<()>,
    leader: Pid,
    /// Threads inside a call, and what it is to answer if it is not made.
    inside: HashMap<Pid, Option<i32>>,
    calls: u64,
    kinds: Vec<(&'static str, PathBuf)>,
    /// Threads whose calls are none of the program's.
    unwatched: HashSet<Pid>,
    hit: Option<String>,
    is_off: bool,
}

pub(super) fn follow(
    child: &Child,
    watch: &Watch<'_>,
    power_off: &mut dyn FnMut() -> Result<()>,
) -> Result<Seen> {
    let leader = Pid::from_raw(child.id() as i32);
    let watchdog = Watchdog::over(leader, watch.patience);
    let mut follower = Follower {
        watch,
        power_off,
        leader,
        inside: HashMap::new(),
        calls: 0,
        kinds: Vec::new(),
        unwatched: HashSet::new(),
        hit: None,
        is_off: false,
    };
    let ended = follower.run();
    if ended.is_err() {
        // Nothing is left behind that nobody watches.
        kill(leader, Signal::SIGKILL).ok();
        waitpid(leader, Some(WaitPidFlag::__WALL)).ok();
    }
    let ending = match ended? {
        _ if follower.is_off => Ending::PoweredOff,
        Ending::Signalled(_) if watchdog.has_bitten() => Ending::Hung,
        ending => ending,
    };
    Ok(Seen {
        calls: follower.calls,
        kinds: follower.kinds,
        hit: follower.hit,
        ending,
    })
}

impl Follower<'_> {
    fn run(&mut self) -> Result<Ending> {
        match waitpid(self.leader, Some(WaitPidFlag::__WALL))? {
            WaitStatus::Stopped(_, Signal::SIGSTOP) => {}
            other => bail!("the child did not wait for its watcher: {other:?}"),
        }
        let options = Options::PTRACE_O_EXITKILL
            | Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK;
        ptrace::setoptions(self.leader, options).context("the child cannot be watched")?;
        go_on(self.leader, None)?;
        loop {
            // Only our own: other campaigns may watch theirs from other threads.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            match waitpid(Pid::from_raw(-1), Some(flags)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.leader => {
                    return Ok(Ending::Exited(code));
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.leader => {
                    return Ok(Ending::Signalled(signal as i32));
                }
                Ok(WaitStatus::PtraceSyscall(thread)) => {
                    self.at_call(thread)?;
                    go_on(thread, None)?;
                }
                // The second is how a new thread begins, and nothing that anybody sent.
                Ok(
                    WaitStatus::PtraceEvent(thread, ..)
                    | WaitStatus::Stopped(thread, Signal::SIGSTOP),
                ) => go_on(thread, None)?,
                Ok(WaitStatus::Stopped(thread, signal)) => go_on(thread, Some(signal))?,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => bail!("waiting for the child failed: {error}"),
            }
        }
    }

    fn at_call(&mut self, thread: Pid) -> Result<()> {
        let mut registers = match ptrace::getregs(thread) {
            Ok(registers) => registers,
            // It was killed meanwhile.
            Err(Errno::ESRCH) => return Ok(()),
            Err(error) => bail!("the registers of the child cannot be read: {error}"),
        };
        if let Some(answer) = self.inside.remove(&thread) {
            if let Some(errno) = answer {
                registers.rax = i64::from(-errno) as u64;
                ignore_death(ptrace::setregs(thread, registers))?;
            }
            return Ok(());
        }
        if registers.rax as i64 != NOT_MADE_YET {
            return Ok(());
        }
        self.inside.insert(thread, None);
        match call::said_to_watcher(thread, &registers) {
            Some(true) => _ = self.unwatched.insert(thread),
            Some(false) => _ = self.unwatched.remove(&thread),
            None => {}
        }
        if self.is_off || self.unwatched.contains(&thread) {
            return Ok(());
        }
        let Some(call) =
            Call::about_to_be(thread, &registers, self.watch.below, self.watch.watched)
        else {
            return Ok(());
        };
        self.calls += 1;
        self.kinds.push((call.name(), call.path().to_owned()));
        let Some(fault) = self.due() else {
            return Ok(());
        };
        match fault {
            Fault::PowerOff => {
                (self.power_off)()?;
                self.is_off = true;
                kill(self.leader, Signal::SIGKILL).ok();
            }
            // A call that reads fails only in ways of its own.
            Fault::Fails { errno, .. }
                if self.watch.watched == Watched::Reading
                    && !super::errors(call.name()).any(|own| own == errno) =>
            {
                return Ok(());
            }
            Fault::Fails { errno, .. } => {
                if !call.is_made_anyway() {
                    registers.orig_rax = NO_CALL;
                    ignore_death(ptrace::setregs(thread, registers))?;
                }
                self.inside.insert(thread, Some(errno));
            }
            Fault::Disturbed { .. } => (self.power_off)()?,
            Fault::Short(short) => match call.shortened(short) {
                Some(bytes) => {
                    registers.rdx = bytes;
                    ignore_death(ptrace::setregs(thread, registers))?;
                }
                None => return Ok(()),
            },
        }
        self.hit.get_or_insert_with(|| format!("{call}"));
        Ok(())
    }

    /// The fault that meets the call that was just counted.
    fn due(&self) -> Option<Fault> {
        let Plan { at, fault } = self.watch.plan?;
        let again = match fault {
            Fault::Fails { lasts, .. } => match lasts {
                Lasts::Once => false,
                Lasts::Calls(calls) => (at..at + calls).contains(&self.calls),
                Lasts::ForGood => at < self.calls,
            },
            Fault::Disturbed { calls } => self.calls == at + calls,
            Fault::PowerOff | Fault::Short(_) => false,
        };
        (self.calls == at || again).then_some(fault)
    }
}

/// Lets a thread go on to its next stop, with a signal if it was sent one.
fn go_on(thread: Pid, signal: Option<Signal>) -> Result<()> {
    ignore_death(ptrace::syscall(thread, signal))
}

/// A thread may be killed between two looks at it; its end is told by the next wait.
fn ignore_death(answer: nix::Result<()>) -> Result<()> {
    match answer {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => bail!("the child cannot be steered: {error}"),
    }
}

/// Kills a child that does not end in time.
struct Watchdog {
    calls_off: Option<SyncSender<()>>,
    waits: Option<JoinHandle<()>>,
    has_bitten: Arc<AtomicBool>,
}

impl Watchdog {
    fn over(leader: Pid, patience: Duration) -> Self {
        let (calls_off, called_off) = sync_channel::<()>(1);
        let has_bitten = Arc::new(AtomicBool::new(false));
        let bites = Arc::clone(&has_bitten);
        let waits = thread::spawn(move || {
            if called_off.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                bites.store(true, Ordering::SeqCst);
                kill(leader, Signal::SIGKILL).ok();
            }
        });
        Self {
            calls_off: Some(calls_off),
            waits: Some(waits),
            has_bitten,
        }
    }

    fn has_bitten(&self) -> bool {
        self.has_bitten.load(Ordering::SeqCst)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.calls_off.take());
        if let Some(waits) = self.waits.take() {
            waits.join().ok();
        }
    }
}

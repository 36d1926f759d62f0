//! Which calls are refused, and in which one the process ends.

use super::SimTree;
use crate::sim_fault::{Fault, On};
use std::io;

/// More calls than any life makes: whoever needs more is caught in a loop.
const CALLS_MAX: u64 = 100_000;

/// What a thread unwinds with when its process is gone.
#[derive(Debug)]
pub struct Gone;

#[derive(Debug, Default)]
pub(super) struct Faults {
    fault: Option<Fault>,
    /// In which call from now on the process ends; 1 is the next.
    end_in: Option<u64>,
    is_gone: bool,
    calls: u64,
}

pub(super) enum Refusal {
    Fails(io::Error),
    Gone,
}

impl Faults {
    pub(super) fn turn(&mut self, call: &'static str, on: On) -> Result<(), Refusal> {
        if self.is_gone {
            return Err(Refusal::Gone);
        }
        self.calls += 1;
        assert!(
            self.calls < CALLS_MAX,
            "more than {CALLS_MAX} calls: something loops"
        );
        // Its marks cost milliseconds each to give back; files are found by looking through the folder all the same.
        if call == "watch" {
            return Err(Refusal::Fails(io::Error::from_raw_os_error(
                libc_code::ENOSPC,
            )));
        }
        // A look changes nothing: to end in one is to end before the next change.
        if on != On::Looks
            && let Some(left) = &mut self.end_in
        {
            *left -= 1;
            if *left == 0 {
                self.is_gone = true;
                return Err(Refusal::Gone);
            }
        }
        let refused = self.fault.as_mut().and_then(|fault| fault.meet(on));
        refused.map_or(Ok(()), |error| Err(Refusal::Fails(error)))
    }
}

impl Faults {
    pub(super) fn is_over(&self) -> bool {
        self.is_gone
    }
}

/// Ends the process: nothing behind the call is done any more. What is dropped on the way out is refused everything.
pub(super) fn gone() -> io::Error {
    if !std::thread::panicking() {
        std::panic::resume_unwind(Box::new(Gone));
    }
    io::Error::other("the process is gone")
}

/// Numbers of errors on Linux.
mod libc_code {
    pub(super) const ENOSPC: i32 = 28;
}

impl SimTree {
    /// The process ends in the `change`-th call from now on that changes or syncs something (1 is the next one), and nothing
    /// of that call is done. `None` for never.
    pub fn end_in(&self, change: Option<u64>) {
        self.state().faults.end_in = change.map(|change| change.max(1));
    }

    /// The process is gone, for a reason of its own.
    pub fn end(&self) {
        self.state().faults.is_gone = true;
    }

    /// Whether the process is gone.
    pub fn is_gone(&self) -> bool {
        self.state().faults.is_gone
    }

    /// Refuses calls; `None` for no more.
    pub fn refuse(&self, fault: Option<Fault>) {
        self.state().faults.fault = fault;
    }

    /// Whether calls are refused, now or soon.
    pub fn is_refusing(&self) -> bool {
        self.state().faults.fault.is_some()
    }

    /// A new process: nothing is refused any more.
    pub(super) fn begin_anew(&self) {
        let faults = &mut self.state().faults;
        faults.is_gone = false;
        faults.end_in = None;
        faults.fault = None;
    }
}

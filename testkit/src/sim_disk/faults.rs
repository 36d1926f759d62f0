//! Which calls are refused, and in which one the power goes.

use super::{SimDisk, Turn};
use crate::sim_fault::{Fault, On};
use std::io;

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    fault: Option<Fault>,
    /// In which change from now on the power goes; 1 is the next.
    cut_in: Option<u64>,
    stopped: bool,
    calls: u64,
    changes: u64,
}

pub(super) fn stopped() -> io::Error {
    io::Error::other("the power is gone")
}

impl Faults {
    pub(super) fn turn(&mut self, on: On) -> io::Result<Turn> {
        self.calls += 1;
        if self.stopped {
            return Err(stopped());
        }
        if let Some(error) = self.fault.as_mut().and_then(|fault| fault.meet(on)) {
            return Err(error);
        }
        if on == On::Looks {
            return Ok(Turn::Goes);
        }
        self.changes += 1;
        if let Some(left) = &mut self.cut_in {
            *left -= 1;
            if *left == 0 {
                self.stopped = true;
                return Ok(Turn::IsCut);
            }
        }
        Ok(Turn::Goes)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    /// The machine starts again, and nothing is to fail.
    pub(super) fn restart(&mut self) {
        self.stopped = false;
        self.cut_in = None;
        self.fault = None;
    }
}

impl SimDisk {
    /// The power goes in the `change`-th call from now on that changes something (1 is the next one); reads are no
    /// changes, because a cut in one is the same as a cut before the next change. `None` for never.
    pub fn cut_in(&self, change: Option<u64>) {
        self.state().faults.cut_in = change.map(|change| change.max(1));
    }

    /// Refuses calls; `None` for no more.
    pub fn refuse(&self, fault: Option<Fault>) {
        self.state().faults.fault = fault;
    }

    /// Whether calls are refused, now or soon.
    pub fn is_refusing(&self) -> bool {
        self.state().faults.fault.is_some()
    }

    /// Whether the power is gone.
    pub fn is_stopped(&self) -> bool {
        self.state().faults.stopped
    }

    /// How many calls changed something so far.
    pub fn changes(&self) -> u64 {
        self.state().faults.changes
    }
}

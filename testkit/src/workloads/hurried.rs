//! A clock that runs fast, so that what waits seconds for a disk to heal is seen to go on.

use mainstay_clock::{Clock, Moment, SharedClock, Sleep, SystemClock};
use std::sync::Arc;
use std::time::Duration;

/// So many times faster than the machine's: what waits 10 s waits 200 ms.
const HURRY: u32 = 50;

#[derive(Debug)]
struct Hurried {
    machine: SystemClock,
}

/// A clock that has just begun to run fast.
pub(super) fn hurried() -> SharedClock {
    Arc::new(Hurried {
        machine: SystemClock::new(),
    })
}

impl Clock for Hurried {
    fn now(&self) -> Moment {
        Moment::after_origin(self.machine.now().since_origin() * HURRY)
    }

    /// The date is the machine's: files carry it.
    fn wall(&self) -> u64 {
        self.machine.wall()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.machine.sleep(duration / HURRY)
    }
}

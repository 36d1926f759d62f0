//! Linux's cheap clock: the time of the kernel's last tick.

use crate::Moment;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// The coarse clock, counted from the origin of the exact one.
#[derive(Debug, Clone)]
pub(crate) struct Coarse {
    origin: Duration,
}

impl Coarse {
    /// To be called after the exact clock's origin was read: its own then lies no earlier, so that what it tells is never
    /// ahead of what the exact clock tells next. Read the other way round, it would be ahead by the time between the two.
    pub(crate) fn new() -> Self {
        Self {
            origin: since_boot(clock_gettime(ClockId::Monotonic)),
        }
    }

    /// The moment of the last tick. The first tick after the origin has yet to come: until then it is the origin.
    pub(crate) fn now(&self) -> Moment {
        let tick = since_boot(clock_gettime(ClockId::MonotonicCoarse));
        Moment::after_origin(tick.saturating_sub(self.origin))
    }
}

fn since_boot(time: Timespec) -> Duration {
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

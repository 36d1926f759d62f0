//! The machine's own clocks.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the room that reads the clock"
)]

use crate::{Clock, Moment, SharedClock, Sleep};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Real time; its origin is the moment it was made.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose origin is now.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment::after_origin(self.origin.elapsed())
    }

    fn wall(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The machine's clock, ready to be shared.
pub fn system() -> SharedClock {
    Arc::new(SystemClock::new())
}

//! Now, later, never: one source of time, real or moved by hand.
//!
//! ```
//! use mainstay_clock::{Clock, ManualClock};
//! use std::time::Duration;
//!
//! let clock = ManualClock::new();
//! let start = clock.now();
//! clock.advance(Duration::from_secs(5));
//! assert_eq!(clock.now().since(start), Duration::from_secs(5));
//! ```
//!
//! **Promises**
//!
//! - [`Clock::now`] never goes backwards; durations, deadlines and waits are taken from it alone.
//! - [`Clock::now_coarse`] never goes backwards either, and is never ahead of the next `now`.
//! - [`Clock::wall`] is what the machine believes the date is. It may jump; nothing waits for it.
//! - A [`ManualClock`] moves only when it is told to, and wakes exactly the sleepers whose time has come.
//!
//! **Does not promise** that monotonic time counts while the machine sleeps, nor that the wall clock is right.
//!
//! **Limits**
//!
//! | what | number | why |
//! |---|---|---|
//! | resolution of [`Moment`] | 1 ns | what the system gives |
//! | age of a coarse moment | less than two ticks of the kernel, which are 1 to 10 ms; 0 elsewhere than on Linux | the tick is when Linux writes it down (6.5 ms measured at a tick of 4 ms); it grows while a host takes the processor away (27 ms seen) |
//! | range of [`Moment`] | 584 years after its origin | 64 bits of nanoseconds |
//!
//! **When it fails** it does not: a system without a monotonic clock is not supported, and a wall clock set before 1970 reads as 1970.
//!
//! **Platforms**: all that tokio runs on; measured on Linux.
//!
//! **Why not just `Instant`?** An `Instant` cannot be moved by a test, so every timeout would have to be waited for.

mod blocking;
#[cfg(target_os = "linux")]
mod coarse;
mod manual;
mod moment;
mod system;

pub use blocking::block_on;
pub use manual::ManualClock;
pub use moment::Moment;
pub use system::{SystemClock, system};

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A clock that many parts hold at once.
pub type SharedClock = Arc<dyn Clock>;

/// A wait that a [`Clock`] hands out.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a part of Mainstay gets its time from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Monotonic time, for durations and deadlines.
    fn now(&self) -> Moment;

    /// A moment that may be some milliseconds old, for less than half the price of [`now`](Self::now); where the system has no
    /// such clock, it is `now`.
    ///
    /// It never goes backwards and is never ahead of a `now` that is read after it, but it may lie before a `now` that was read
    /// before it. It is for looking whether something is due at all, not for measuring.
    fn now_coarse(&self) -> Moment {
        self.now()
    }

    /// The date, in milliseconds since 1970-01-01 UTC; it may jump either way.
    fn wall(&self) -> u64;

    /// A future that is ready once `duration` has passed on this clock.
    ///
    /// Dropping it has no effect on anything else.
    fn sleep(&self, duration: Duration) -> Sleep;
}

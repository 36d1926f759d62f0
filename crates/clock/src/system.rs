//! The machine's own clocks.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the room that reads the clock"
)]

#[cfg(target_os = "linux")]
use crate::coarse::Coarse;
use crate::{Clock, Moment, SharedClock, Sleep};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Real time; its origin is the moment it was made.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
    #[cfg(target_os = "linux")]
    coarse: Coarse,
}

impl SystemClock {
    /// A clock whose origin is now.
    pub fn new() -> Self {
        Self {
            // First, as the coarse clock wants it.
            origin: Instant::now(),
            #[cfg(target_os = "linux")]
            coarse: Coarse::new(),
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

    #[cfg(target_os = "linux")]
    fn now_coarse(&self) -> Moment {
        self.coarse.now()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const READS: usize = 1_000_000;

    /// Each read of either kind against the ones before it on the same thread.
    fn read(clock: &SystemClock, reads: usize) {
        let mut before = Moment::ORIGIN;
        for _ in 0..reads {
            let coarse = clock.now_coarse();
            let now = clock.now();
            assert!(coarse <= now, "{coarse:?} is ahead of {now:?}");
            assert!(before <= coarse, "{coarse:?} came after {before:?}");
            before = coarse;
        }
    }

    #[test]
    fn a_coarse_moment_never_lies_ahead_and_never_goes_back() {
        let clock = SystemClock::new();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| read(&clock, READS / 4));
            }
        });
    }

    #[test]
    fn a_coarse_moment_of_a_clock_just_made_lies_not_ahead() {
        for _ in 0..10_000 {
            read(&SystemClock::new(), 1);
        }
    }

    #[test]
    fn a_coarse_moment_moves_on() {
        let clock = SystemClock::new();
        let in_a_minute = clock.now() + Duration::from_mins(1);
        while clock.now_coarse() == Moment::ORIGIN {
            assert!(clock.now() < in_a_minute, "it stands still");
        }
    }

    #[test]
    fn what_one_thread_saw_coarsely_lies_not_ahead_of_what_another_sees_next() {
        let clock = SystemClock::new();
        let (to_reader, moments) = std::sync::mpsc::sync_channel(64);
        thread::scope(|scope| {
            let clock = &clock;
            scope.spawn(move || {
                for _ in 0..100_000 {
                    to_reader.send(clock.now_coarse()).unwrap();
                }
            });
            for coarse in moments {
                assert!(coarse <= clock.now());
            }
        });
    }
}

//! Time that moves only by hand, for tests and simulation.

use crate::{Clock, Moment, Sleep};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// A clock that stands still until it is told to move; clones share one time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    time: Mutex<Time>,
    moved: Notify,
}

#[derive(Debug)]
struct Time {
    now: Moment,
    wall: u64,
}

impl ManualClock {
    /// 2020-01-01 UTC: a date that is plainly not today.
    const START_MS: u64 = 1_577_836_800_000;

    /// A clock at its origin, on 2020-01-01.
    pub fn new() -> Self {
        let time = Time {
            now: Moment::ORIGIN,
            wall: Self::START_MS,
        };
        Self {
            shared: Arc::new(Shared {
                time: Mutex::new(time),
                moved: Notify::new(),
            }),
        }
    }

    /// Moves both clocks forward and wakes the sleepers whose time has come.
    pub fn advance(&self, duration: Duration) {
        {
            let mut time = self.time();
            time.now = time.now + duration;
            time.wall = time.wall.saturating_add(duration.as_millis() as u64);
        }
        self.shared.moved.notify_waiters();
    }

    /// Makes the date jump to `wall` (milliseconds since 1970); monotonic time does not move.
    pub fn set_wall(&self, wall: u64) {
        self.time().wall = wall;
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.shared
            .time
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        self.time().now
    }

    fn wall(&self) -> u64 {
        self.time().wall
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let clock = self.clone();
        let until = self.now() + duration;
        Box::pin(async move {
            loop {
                // Registered before the time is read, so that a move in between is not missed.
                let moved = clock.shared.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                if until <= clock.now() {
                    return;
                }
                moved.await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = ManualClock::new();
        let mut sleep = pin!(clock.sleep(Duration::from_secs(2)));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Pending);
        clock.advance(Duration::from_secs(1));
        assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Pending);
        clock.advance(Duration::from_secs(1));
        assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Ready(()));
    }

    #[test]
    fn a_jump_of_the_date_moves_no_deadline() {
        let clock = ManualClock::new();
        let before = clock.now();
        clock.set_wall(0);
        assert_eq!(clock.wall(), 0);
        assert_eq!(clock.now(), before);
    }
}

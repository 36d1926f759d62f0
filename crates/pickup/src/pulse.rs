//! Signs of life, for whoever watches a pickup from outside.

use crate::status::Shared;
use mainstay_clock::{Moment, SharedClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Moments that threads may read at any time, in nanoseconds after the origin of the clock.
#[derive(Debug)]
pub(crate) struct Pulse {
    turned: AtomicU64,
    away_since: AtomicU64,
}

/// A blocking thread that has the collector.
pub(crate) struct Away {
    shared: Arc<Shared>,
    clock: SharedClock,
}

/// No thread has the collector.
const HERE: u64 = u64::MAX;

impl Pulse {
    pub(crate) fn new() -> Self {
        Self {
            turned: AtomicU64::new(Moment::ORIGIN.nanos()),
            away_since: AtomicU64::new(HERE),
        }
    }

    /// The loop turns.
    pub(crate) fn turn(&self, now: Moment) {
        self.turned.store(now.nanos(), Ordering::Release);
    }

    /// A thread is given the collector.
    pub(crate) fn go(&self, now: Moment) {
        self.away_since
            .store(now.nanos().min(HERE - 1), Ordering::Release);
    }

    /// The thread has done its work. That counts as a turn, and is seen no later than that the thread is back.
    pub(crate) fn come_back(&self, now: Moment) {
        self.turn(now);
        self.away_since.store(HERE, Ordering::Release);
    }

    pub(crate) fn turned(&self) -> Moment {
        moment(self.turned.load(Ordering::Acquire))
    }

    pub(crate) fn away_since(&self) -> Option<Moment> {
        let since = self.away_since.load(Ordering::Acquire);
        (since != HERE).then(|| moment(since))
    }
}

impl Away {
    pub(crate) fn go(shared: &Arc<Shared>, clock: &SharedClock) -> Self {
        shared.pulse.go(clock.now());
        Self {
            shared: Arc::clone(shared),
            clock: Arc::clone(clock),
        }
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        self.shared.pulse.come_back(self.clock.now());
    }
}

fn moment(nanos: u64) -> Moment {
    Moment::after_origin(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_away_is_so_since_it_went_and_turns_when_it_comes_back() {
        let (pulse, second) = (Pulse::new(), Duration::from_secs(1));
        let (early, late) = (
            Moment::after_origin(second),
            Moment::after_origin(2 * second),
        );
        assert_eq!((pulse.turned(), pulse.away_since()), (Moment::ORIGIN, None));
        pulse.go(early);
        assert_eq!(
            (pulse.turned(), pulse.away_since()),
            (Moment::ORIGIN, Some(early))
        );
        pulse.come_back(late);
        assert_eq!((pulse.turned(), pulse.away_since()), (late, None));
    }
}

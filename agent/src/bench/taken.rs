//! How long each of many things took.

use std::time::Duration;

/// More waits than this are not kept one by one: 16 MB, and enough for any percentile.
const KEPT: usize = 1_000_000;

/// The waits of a part, and how much was done in which time.
#[derive(Debug, Default)]
pub(super) struct Taken {
    waits: Vec<Duration>,
    count: u64,
    time: Duration,
}

impl Taken {
    /// One wait, in which `count` things were done.
    pub(super) fn add(&mut self, wait: Duration, count: u64) {
        self.count += count;
        if self.waits.len() < KEPT {
            self.waits.push(wait);
        }
    }

    /// Says how long all of it took, and sorts it.
    pub(super) fn end(mut self, time: Duration) -> Self {
        self.time = time;
        self.waits.sort_unstable();
        self
    }

    /// Both together.
    pub(super) fn and(mut self, mut other: Self) -> Self {
        self.count += other.count;
        self.waits.append(&mut other.waits);
        let time = self.time + other.time;
        self.end(time)
    }

    /// How many things were done.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Things in a second.
    pub(super) fn per_second(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64().max(f64::EPSILON)
    }

    /// The wait that this share of the waits does not exceed, in ms.
    pub(super) fn milliseconds(&self, share: f64) -> Option<f64> {
        let place = (self.waits.len() as f64 * share) as usize;
        let wait = self.waits.get(place.min(self.waits.len().checked_sub(1)?));
        wait.map(|wait| wait.as_secs_f64() * 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_percentiles_are_those_of_what_was_added() {
        let mut taken = Taken::default();
        for ms in 1..=100 {
            taken.add(Duration::from_millis(ms), 2);
        }
        let taken = taken.end(Duration::from_secs(4));
        assert_eq!((taken.count(), taken.per_second()), (200, 50.0));
        assert_eq!(taken.milliseconds(0.5), Some(51.0));
        assert_eq!(taken.milliseconds(0.99), Some(100.0));
        let twice = taken.and(Taken::default().end(Duration::from_secs(4)));
        assert_eq!((twice.count(), twice.per_second()), (200, 25.0));
        assert_eq!(Taken::default().milliseconds(0.5), None);
    }
}

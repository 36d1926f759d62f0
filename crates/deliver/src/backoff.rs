//! How long to wait before the next attempt: exponential, with full jitter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The bounds of an exponential wait: at most `initial` before the second attempt, twice as much for each further one, never
/// more than `max`.
///
/// Of that bound a random part is waited ("full jitter"), so that a thousand stations that lost the same server do not all
/// return in the same second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The bound of the first wait.
    pub initial: Duration,
    /// The bound of every wait.
    pub max: Duration,
}

impl Backoff {
    /// The longest that may be waited after `failures` failures (1 is the first).
    pub fn bound(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.initial.saturating_mul(1 << doublings).min(self.max)
    }

    pub(crate) fn wait(&self, failures: u32, jitter: &Jitter) -> Duration {
        self.bound(failures).mul_f64(jitter.fraction())
    }
}

/// Where random waits come from: the same seed gives the same waits.
#[derive(Debug)]
pub(crate) struct Jitter {
    state: AtomicU64,
}

impl Jitter {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// A seed from the system; without one, waits are the same in every process, which costs politeness and nothing else.
    pub(crate) fn from_system() -> Self {
        Self::from_seed(getrandom::u64().unwrap_or(0x6d61_696e_7374_6179))
    }

    /// At least 0, less than 1.
    fn fraction(&self) -> f64 {
        // SplitMix64: one addition and a mix, so that it needs no lock.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut word = self
            .state
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        (word >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        initial: Duration::from_secs(1),
        max: Duration::from_mins(5),
    };

    #[test]
    fn the_bound_doubles_and_stops_at_its_maximum() {
        let seconds: Vec<u64> = (1..=11)
            .map(|failures| BACKOFF.bound(failures).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(BACKOFF.bound(u32::MAX), Duration::from_mins(5));
        assert_eq!(BACKOFF.bound(0), Duration::from_secs(1));
    }

    #[test]
    fn a_wait_is_anywhere_below_its_bound_and_the_same_for_the_same_seed() {
        let waits = |seed| {
            let jitter = Jitter::from_seed(seed);
            (0..1000)
                .map(|_| BACKOFF.wait(4, &jitter))
                .collect::<Vec<_>>()
        };
        let first = waits(7);
        assert_eq!(first, waits(7));
        assert_ne!(first, waits(8));
        assert!(first.iter().all(|wait| *wait < Duration::from_secs(8)));
        assert!(
            first.iter().any(|wait| *wait < Duration::from_secs(1)),
            "full jitter reaches down to nothing"
        );
        assert!(
            first.iter().any(|wait| *wait > Duration::from_secs(7)),
            "and up to the bound"
        );
    }
}

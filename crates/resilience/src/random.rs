//! Where random waits come from.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Numbers that look random; the same seed gives the same ones. They hide nothing from anybody.
///
/// `SplitMix64` (Steele, Lea, Flood 2014): one addition and a mix, so that it needs no lock.
#[derive(Debug)]
pub struct Random {
    state: AtomicU64,
}

impl Random {
    /// From a seed.
    pub fn from_seed(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// From the system; where it has no randomness, the numbers are the same in every process, which costs politeness and
    /// nothing else.
    pub fn from_system() -> Self {
        Self::from_seed(getrandom::u64().unwrap_or(0x6d61_696e_7374_6179))
    }

    /// At least 0, less than 1.
    pub fn fraction(&self) -> f64 {
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

    #[test]
    fn a_seed_gives_the_same_numbers_and_all_lie_between_0_and_1() {
        let numbers = |seed| {
            let random = Random::from_seed(seed);
            (0..10_000).map(|_| random.fraction()).collect::<Vec<_>>()
        };
        let first = numbers(7);
        assert_eq!(first, numbers(7));
        assert_ne!(first, numbers(8));
        assert!(first.iter().all(|number| (0.0..1.0).contains(number)));
        let mean = first.iter().sum::<f64>() / first.len() as f64;
        assert!((0.48..0.52).contains(&mean), "{mean}");
    }
}

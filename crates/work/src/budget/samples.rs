//! All that was measured of one operation, in bounded memory.

use super::report::Percentiles;
use super::{Level, MeasuredIn, Outcome};
use hdrhistogram::{CreationError, Histogram};

/// The newest measurements, of which percentiles are exact: enough for a p99 that ten of them lie above.
pub(super) const RECENT: usize = 1_024;

/// The largest that the histogram tells apart: a day, or 256 TiB.
const DAY_NANOS: u64 = 86_400_000_000_000;
const LARGEST_BYTES: u64 = 1 << 48;

/// The smallest that it tells apart: a microsecond, or 4 KiB.
const MICROSECOND: u64 = 1_000;
const PAGE: u64 = 4_096;

/// Two significant figures: within 1 %.
const FIGURES: u8 = 2;

#[derive(Debug)]
pub(super) struct Samples {
    whole: Histogram<u32>,
    recent: Vec<u64>,
    /// Where the next goes once there are as many as are kept.
    oldest: usize,
    pub(super) count: u64,
    pub(super) sum: u128,
    pub(super) most: u64,
    pub(super) levels: [u64; Level::ALL.len()],
    pub(super) outcomes: [u64; Outcome::ALL.len()],
}

impl Samples {
    pub(super) fn new(unit: MeasuredIn) -> Result<Self, CreationError> {
        let (least, most) = match unit {
            MeasuredIn::Nanoseconds => (MICROSECOND, DAY_NANOS),
            MeasuredIn::Bytes => (PAGE, LARGEST_BYTES),
        };
        Ok(Self {
            whole: Histogram::new_with_bounds(least, most, FIGURES)?,
            recent: Vec::with_capacity(RECENT),
            oldest: 0,
            count: 0,
            sum: 0,
            most: 0,
            levels: [0; Level::ALL.len()],
            outcomes: [0; Outcome::ALL.len()],
        })
    }

    pub(super) fn add(&mut self, amount: u64, level: Level, outcome: Outcome) {
        self.whole.saturating_record(amount);
        if self.recent.len() < RECENT {
            self.recent.push(amount);
        } else {
            self.recent[self.oldest] = amount;
            self.oldest = (self.oldest + 1) % RECENT;
        }
        self.count += 1;
        self.sum += u128::from(amount);
        self.most = self.most.max(amount);
        self.levels[level as usize] += 1;
        self.outcomes[outcome as usize] += 1;
    }

    /// Of the newest measurements, exactly.
    pub(super) fn recent(&self) -> Option<Percentiles<u64>> {
        percentiles(self.recent.clone())
    }

    /// Of all measurements, within 1 %.
    pub(super) fn whole(&self) -> Option<Percentiles<u64>> {
        let at = |quantile| self.whole.value_at_quantile(quantile);
        (0 < self.count).then(|| Percentiles {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
        })
    }
}

/// By the nearest rank: the smallest that is not less than so many hundredths of all.
fn percentiles(mut amounts: Vec<u64>) -> Option<Percentiles<u64>> {
    amounts.sort_unstable();
    let at = |hundredths: usize| {
        let rank = (amounts.len() * hundredths).div_ceil(100);
        amounts.get(rank.saturating_sub(1)).copied()
    };
    Some(Percentiles {
        p50: at(50)?,
        p95: at(95)?,
        p99: at(99)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Counted, not sorted: the smallest amount that at least so many hundredths of all do not exceed.
    fn by_counting(amounts: &[u64], hundredths: usize) -> u64 {
        let reaches = |candidate: u64| {
            let not_above = amounts
                .iter()
                .filter(|amount| **amount <= candidate)
                .count();
            amounts.len() * hundredths <= not_above * 100
        };
        let candidates = amounts.iter().copied();
        candidates.filter(|amount| reaches(*amount)).min().unwrap()
    }

    fn all(percentiles: Percentiles<u64>) -> [u64; 3] {
        [percentiles.p50, percentiles.p95, percentiles.p99]
    }

    /// A few, or some more than are kept; of one size or of every.
    fn amounts() -> impl Strategy<Value = Vec<u64>> {
        let amount = || prop_oneof![1_000..1_000_000_u64, 1_000..DAY_NANOS];
        prop_oneof![
            prop::collection::vec(amount(), 1..150),
            prop::collection::vec(amount(), RECENT..RECENT + 200),
        ]
    }

    proptest! {
        // Counting takes its time: 32 cases are a second.
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn percentiles_are_those_of_a_model_that_counts(amounts in amounts()) {
            let mut samples = Samples::new(MeasuredIn::Nanoseconds).unwrap();
            for amount in &amounts {
                samples.add(*amount, Level::Ok, Outcome::Finished);
            }
            let newest = &amounts[amounts.len().saturating_sub(RECENT)..];
            let recent = all(samples.recent().unwrap());
            let whole = all(samples.whole().unwrap());
            for (at, hundredths) in [50, 95, 99].into_iter().enumerate() {
                prop_assert_eq!(recent[at], by_counting(newest, hundredths));
                let exact = by_counting(&amounts, hundredths);
                let off = whole[at].abs_diff(exact);
                prop_assert!(off <= exact / 100 + MICROSECOND, "{} for {exact}", whole[at]);
            }
            prop_assert!(samples.recent.len() <= RECENT);
            prop_assert_eq!(samples.count, amounts.len() as u64);
        }
    }

    #[test]
    fn what_is_beyond_all_bounds_is_counted_and_costs_no_memory() {
        let mut samples = Samples::new(MeasuredIn::Bytes).unwrap();
        for amount in [0, u64::MAX] {
            samples.add(amount, Level::Ok, Outcome::Finished);
        }
        assert_eq!((samples.count, samples.most), (2, u64::MAX));
        assert_eq!(samples.sum, u128::from(u64::MAX));
        let cells = samples.whole.distinct_values() * size_of::<u32>();
        assert!(cells < 32 * 1_024, "{cells} bytes");
    }
}

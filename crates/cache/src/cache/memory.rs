//! What happened since it was last written down: a hit costs no write.

use crate::counters::Tally;
use std::collections::HashMap;

/// So many lookups are remembered before they are written down together: a hit then costs a hundredth of a write.
const REMEMBERED_MAX: usize = 100;

/// What is not written down yet.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// When entries were used last, by their numbers.
    pub(super) touched: HashMap<i64, u64>,
    pub(super) tally: Tally,
    lookups: usize,
    /// The last moment that was handed out, in thousandths of a millisecond; no two are alike.
    last: u64,
}

impl Memory {
    /// An entry was served.
    pub(super) fn touch(&mut self, id: i64, wall_ms: u64) {
        let at = self.stamp(wall_ms);
        self.touched.insert(id, at);
    }

    /// Whether it is time to write down what is remembered; asked once for each lookup.
    pub(super) fn is_full(&mut self) -> bool {
        self.lookups += 1;
        self.lookups >= REMEMBERED_MAX
    }

    /// The moment of now, later than any other that was handed out.
    pub(super) fn stamp(&mut self, wall_ms: u64) -> u64 {
        self.last = wall_ms
            .saturating_mul(1_000)
            .max(self.last.saturating_add(1));
        self.last
    }

    pub(super) fn take(&mut self) -> Self {
        Self {
            touched: std::mem::take(&mut self.touched),
            tally: std::mem::take(&mut self.tally),
            lookups: std::mem::take(&mut self.lookups),
            last: self.last,
        }
    }

    /// What could not be written down; the times of more entries than are remembered are let go.
    pub(super) fn put_back(&mut self, other: Self) {
        self.tally.merge(&other.tally);
        for (id, at) in other.touched {
            if self.touched.len() < REMEMBERED_MAX {
                self.touched.entry(id).or_insert(at);
            }
        }
        // Not the count of lookups: the next hundred have to pass before it is tried again.
    }

    pub(super) fn is_empty(&self) -> bool {
        self.touched.is_empty() && self.tally.is_empty()
    }
}

//! What happened since it was last written down: a hit costs no write.

use super::Cache;
use crate::answer::Answer;
use crate::counters::{Counter, Tally};
use crate::error::Error;
use crate::index::rows;
use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};

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

impl Cache {
    /// Counts a lookup, and that an answer was served.
    pub(super) fn count(&self, counter: Counter, served: Option<&Answer>) {
        if self.remember(counter, served) {
            let flushed = self.flush_at_once();
            self.told(flushed);
        }
    }

    /// As [`count`](Self::count), and writes nothing down; whether it is time to.
    pub(super) fn remember(&self, counter: Counter, served: Option<&Answer>) -> bool {
        let wall = self.clock.wall();
        let mut memory = self.memory();
        memory.tally.add(counter, 1);
        if let Some(answer) = served {
            let saved = answer.body.len() as u64;
            memory.tally.add(Counter::BytesSaved, saved);
            memory.touch(answer.origin.id, wall);
        }
        memory.is_full()
    }

    /// Writes down what is remembered, where nobody is in the way: no lookup waits for that.
    fn flush_at_once(&self) -> Result<(), Error> {
        let store = self.opened()?;
        let remembered = self.memory().take();
        let flushed = store.index.change_at_once(|transaction| {
            rows::touch(transaction, remembered.touched.iter())?;
            rows::count(transaction, &remembered.tally)
        });
        if !matches!(flushed, Ok(Some(_))) {
            self.memory().put_back(remembered);
        }
        if let Some(((), opened)) = flushed? {
            self.notice(store, opened);
        }
        Ok(())
    }

    /// Writes down what is remembered.
    pub(super) fn flush(&self) -> Result<(), Error> {
        if self.memory().is_empty() {
            return Ok(());
        }
        self.change(false, |_| Ok(()))
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

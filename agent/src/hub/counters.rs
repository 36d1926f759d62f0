//! What came of the requests since the start.

use super::refused::Reason;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts requests by what came of them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    taken: AtomicU64,
    repeats: AtomicU64,
    under_way: AtomicUsize,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    last: Mutex<Option<String>>,
}

/// What the counters say.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Documents that were stored.
    pub(crate) taken: u64,
    /// Documents that were there before.
    pub(crate) repeats: u64,
    /// Requests that are served now.
    pub(crate) under_way: u64,
    /// Requests that were refused, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// The last refusal.
    pub(crate) last_error: Option<String>,
}

/// A request that is served; counted until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a Counters);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    pub(super) fn taken(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn repeated(&self) {
        self.repeats.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, reason: Reason, words: &str) {
        *locked(&self.refused).entry(reason.word()).or_default() += 1;
        *locked(&self.last) = Some(words.to_owned());
    }

    pub(super) fn told(&self) -> Told {
        let refused = locked(&self.refused);
        Told {
            taken: self.taken.load(Ordering::Relaxed),
            repeats: self.repeats.load(Ordering::Relaxed),
            under_way: self.under_way.load(Ordering::Relaxed) as u64,
            refused: refused
                .iter()
                .map(|(reason, number)| ((*reason).to_owned(), *number))
                .collect(),
            last_error: locked(&self.last).clone(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one assignment, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

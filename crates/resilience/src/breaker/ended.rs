//! How a call that was let in went, and what follows of that.

use super::{Breaker, BreakerState, Verdict, state_of};
use crate::sync::atomic::Ordering;
use mainstay_clock::Moment;

impl Breaker {
    /// A call that was let in under `word` has ended.
    #[inline]
    pub(super) fn ended(&self, word: u64, verdict: Verdict, started: Option<Moment>) {
        // Nearly every call ends so: nothing has changed, and it went well as those before it did.
        let is_as_ever = verdict == Verdict::Success
            && self.is_as_of(word)
            && watches(word)
            && self.watch.is_at_ease();
        if !is_as_ever {
            self.ended_otherwise(word, verdict, started);
        }
    }

    #[inline(never)]
    fn ended_otherwise(&self, word: u64, verdict: Verdict, started: Option<Moment>) {
        if !self.is_as_of(word) {
            self.late.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match verdict {
            _ if state_of(word) == BreakerState::HalfOpen => self.probe_ended(word, verdict),
            Verdict::Success if watches(word) => self.saw(word, false, started),
            Verdict::Failure if watches(word) => {
                self.failed_now();
                self.saw(word, true, started);
            }
            _ => {}
        }
    }

    fn saw(&self, word: u64, failed: bool, started: Option<Moment>) {
        if self.watch.saw(failed, started, &*self.clock) {
            self.consider(word);
        }
    }

    fn failed_now(&self) {
        let now = self.clock.now().nanos();
        self.last_failure
            .store(now.saturating_add(1), Ordering::Relaxed);
    }

    /// Opens, if there is a reason to.
    #[cold]
    fn consider(&self, word: u64) {
        let now = self.clock.now();
        let mut inner = self.inner();
        if self.word.load(Ordering::Acquire) != word {
            return;
        }
        let Some(reason) = self.watch.reason(&inner.settings, now) else {
            return;
        };
        if state_of(word) == BreakerState::MetricsOnly {
            inner.opened += 1;
            self.watch.clear(&inner.settings);
            tracing::warn!(breaker = %self.name, reason, "would be open, and only counts");
            return;
        }
        self.open(&mut inner, now, reason);
    }

    #[cold]
    fn probe_ended(&self, word: u64, verdict: Verdict) {
        let now = self.clock.now();
        let mut inner = self.inner();
        if self.word.load(Ordering::Acquire) != word {
            self.late.fetch_add(1, Ordering::Relaxed);
            return;
        }
        inner.probes = inner.probes.saturating_sub(1);
        match verdict {
            Verdict::Ignored => {}
            Verdict::Failure => {
                self.failed_now();
                self.open(&mut inner, now, "a call that should find out failed".into());
            }
            Verdict::Success => {
                inner.successes += 1;
                if inner.successes >= inner.settings.successes_to_close {
                    let reason = format!("{} successes in a row", inner.successes);
                    self.close(&mut inner, BreakerState::Closed, now, reason);
                }
            }
        }
    }
}

/// Whether it counts in that state how calls go.
#[inline]
fn watches(word: u64) -> bool {
    matches!(
        state_of(word),
        BreakerState::Closed | BreakerState::MetricsOnly
    )
}

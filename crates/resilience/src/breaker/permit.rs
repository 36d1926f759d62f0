//! One call that a breaker let in.

use super::Breaker;
use crate::class::Class;
use crate::error::Rejection;
use mainstay_clock::Moment;

/// How a call went, as far as the other side is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Success,
    /// It does not.
    Failure,
    /// The call says nothing about it: it was cancelled, or wrong.
    Ignored,
}

impl Verdict {
    /// That of an error: what the caller did wrong says nothing about the other side.
    pub fn of(class: &Class) -> Self {
        if class.is_failure_of_the_service() {
            Self::Failure
        } else {
            Self::Ignored
        }
    }
}

/// One call that was let in; dropped without a word, it counts as [`Verdict::Ignored`], or as a failure while the thread panics.
#[must_use = "dropped at once, the call counts as ignored"]
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    word: u64,
    started: Option<Moment>,
    is_told: bool,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(super) fn new(breaker: &'a Breaker, word: u64, started: Option<Moment>) -> Self {
        Self {
            breaker,
            word,
            started,
            is_told: false,
        }
    }

    /// The call begins only now: what was waited since it was let in does not count as slowness.
    pub fn begins(&mut self, now: Moment) {
        if self.started.is_some() {
            self.started = Some(now);
        }
    }

    /// Asks anew, for whoever waited for something else since: a breaker that has changed meanwhile may turn the call away.
    ///
    /// # Errors
    ///
    /// It is open now, or half open and finding out. What was let in is given back, and counts for nothing.
    pub fn renewed(mut self) -> Result<Self, Rejection> {
        if self.breaker.is_as_of(self.word) {
            return Ok(self);
        }
        // It belongs to what is over, where nothing is counted any more.
        self.is_told = true;
        self.breaker.enter()
    }

    /// The call came back, and the other side works.
    #[inline]
    pub fn success(self) {
        self.record(Verdict::Success);
    }

    /// The other side does not work.
    pub fn failure(self) {
        self.record(Verdict::Failure);
    }

    /// How it went.
    #[inline]
    pub fn record(mut self, verdict: Verdict) {
        self.is_told = true;
        self.breaker.ended(self.word, verdict, self.started);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_told {
            let verdict = if std::thread::panicking() {
                Verdict::Failure
            } else {
                Verdict::Ignored
            };
            self.breaker.ended(self.word, verdict, self.started);
        }
    }
}

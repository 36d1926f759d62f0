//! No more attempts in a time than the destination bears.

use crate::Error;
use crate::worker::config::DeliverConfig;
use crate::worker::status::date;
use mainstay_clock::{Moment, SharedClock};
use mainstay_resilience::RateLimiter;
use std::sync::Arc;
use std::time::Duration;

/// Permits: asked for before a document is leased, and taken when its attempt begins. Clones share them.
#[derive(Debug, Clone)]
pub(in crate::worker) struct Limit {
    limiter: Option<Arc<RateLimiter>>,
    until: Option<Moment>,
}

impl Limit {
    /// # Errors
    /// The settings are impossible.
    pub(in crate::worker) fn of(
        config: &DeliverConfig,
        clock: &SharedClock,
    ) -> Result<Self, Error> {
        Ok(Self {
            limiter: config.limiter(clock)?.map(Arc::new),
            until: None,
        })
    }

    pub(in crate::worker) fn limiter(&self) -> Option<Arc<RateLimiter>> {
        self.limiter.clone()
    }

    /// When the next attempt may begin, if not now.
    pub(super) fn not_before(&mut self, now: Moment) -> Option<Moment> {
        let wait = self.limiter.as_ref()?.ready_in(1);
        // Rounded up, so that a timer that fires a moment early is not set again and again.
        self.until = (!wait.is_zero()).then(|| now + wait.max(Duration::from_millis(1)));
        self.until
    }

    /// An attempt begins; nobody else takes permits, so that it has the one that was seen.
    pub(super) fn spend(&mut self) {
        if let Some(limiter) = &self.limiter {
            drop(limiter.try_acquire(1));
        }
    }

    /// Until when nothing is sent, as a date; none while something may be.
    pub(super) fn until(&self, clock: &SharedClock) -> Option<u64> {
        let until = self.until.filter(|until| clock.now() < *until)?;
        Some(date(until, clock))
    }
}

//! No more attempts in a time than the destination bears.

use crate::worker::config::DeliverConfig;
use crate::worker::status::date;
use mainstay_clock::{Moment, SharedClock};
use mainstay_resilience::RateLimiter;
use std::time::Duration;

/// Permits, and the one that the next attempt will spend.
#[derive(Debug)]
pub(super) struct Limit {
    limiter: Option<RateLimiter>,
    has_permit: bool,
    until: Option<Moment>,
}

impl Limit {
    pub(super) fn of(config: &DeliverConfig, clock: &SharedClock) -> Self {
        Self {
            limiter: config
                .limiter(clock)
                .expect("the worker was made with settings that were checked"),
            has_permit: false,
            until: None,
        }
    }

    /// When the next attempt may begin, if not now; for one that may, the permit is taken and waits for it.
    pub(super) fn not_before(&mut self, now: Moment) -> Option<Moment> {
        let limiter = self.limiter.as_ref()?;
        if self.has_permit {
            return None;
        }
        match limiter.try_acquire(1) {
            Ok(()) => {
                (self.has_permit, self.until) = (true, None);
            }
            Err(rejection) => {
                let wait = rejection.retry_after.unwrap_or(Duration::from_secs(1));
                // Rounded up, so that a timer that fires a moment early is not set again and again.
                self.until = Some(now + wait.max(Duration::from_millis(1)));
            }
        }
        self.until
    }

    /// An attempt begins.
    pub(super) fn spend(&mut self) {
        self.has_permit = false;
    }

    /// Until when nothing is sent, as a date; none while something may be.
    pub(super) fn until(&self, clock: &SharedClock) -> Option<u64> {
        let until = self.until.filter(|until| clock.now() < *until)?;
        Some(date(until, clock))
    }
}

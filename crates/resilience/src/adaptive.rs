//! How many calls a service can take at once, found out from how it answers.

mod estimate;

#[cfg(test)]
mod tests;

use crate::error::{InvalidSettings, RejectedBy, Rejection};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use estimate::{Estimate, Sample};
use mainstay_clock::{Moment, SharedClock};
use serde::Serialize;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Where the limit begins, between what it stays, and how it is found.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `initial` | 20 | that of concurrency-limits |
/// | `min` | 1 | theirs is 20 as well, so that the limit protects nothing that can take less; one call has to go on, to find out |
/// | `max` | 200 | theirs |
/// | `rule` | [`AdaptiveRule::aimd`] | needs no assumption about latencies; [`AdaptiveRule::gradient`] reacts before calls fail |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveSettings {
    /// The limit at the beginning.
    pub initial: u32,
    /// The least it becomes; at least 1.
    pub min: u32,
    /// The most it becomes.
    pub max: u32,
    /// How it is found.
    pub rule: AdaptiveRule,
}

/// How a limit follows the answers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum AdaptiveRule {
    /// A little more while calls go well, a part less when one is dropped (as TCP does).
    Aimd {
        /// What is left of the limit after an overload; more than 0, less than 1.
        backoff: f64,
        /// A call that takes longer counts as dropped.
        timeout: Duration,
    },
    /// Less while calls take longer than they usually do.
    Gradient {
        /// How far the limit goes towards its new value in one window of a second; more than 0, at most 1.
        smoothing: f64,
        /// Over how many windows the usual latency is taken; at least 1.
        long_window: u32,
        /// How many times the usual latency is still usual; at least 1.
        tolerance: f64,
        /// How many calls may wait at the service without being a sign of overload; at least 1, so that the limit can grow.
        queue: u32,
    },
}

/// Lets as many calls be under way as the service can take; clones share one limit.
#[derive(Debug, Clone)]
pub struct AdaptiveLimit {
    shared: Arc<Shared>,
}

/// A call that is under way. Dropped without a word, it counts for nothing: it was cancelled, or failed for its own sake.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub struct AdaptivePermit {
    shared: Arc<Shared>,
    started: Moment,
    in_flight: u32,
}

/// What an [`AdaptiveLimit`] is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdaptiveStatus {
    /// How many calls may be under way now.
    pub limit: u32,
    /// How many are.
    pub in_flight: u32,
    /// What a call usually takes; none before that is known, and none by [`AdaptiveRule::Aimd`]. Serialized in seconds.
    #[serde(serialize_with = "seconds")]
    pub usual_latency: Option<Duration>,
    /// How many calls were let in.
    pub admitted: u64,
    /// How many were turned away.
    pub rejected: u64,
}

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    clock: SharedClock,
    limit: AtomicU32,
    in_flight: AtomicU32,
    admitted: AtomicU64,
    rejected: AtomicU64,
    estimate: Mutex<Estimate>,
}

// === impl AdaptiveRule ===

impl AdaptiveRule {
    /// Additive increase, multiplicative decrease.
    ///
    /// # Defaults
    ///
    /// | setting | default | why |
    /// |---|---|---|
    /// | `backoff` | 0.9 | that of concurrency-limits |
    /// | `timeout` | 5 s | theirs |
    pub const fn aimd() -> Self {
        Self::Aimd {
            backoff: 0.9,
            timeout: Duration::from_secs(5),
        }
    }

    /// The gradient of latencies.
    ///
    /// # Defaults
    ///
    /// | setting | default | why |
    /// |---|---|---|
    /// | `smoothing` | 0.2 | that of concurrency-limits (Gradient2) |
    /// | `long_window` | 600 | theirs: ten minutes |
    /// | `tolerance` | 1.5 | theirs |
    /// | `queue` | 4 | theirs |
    pub const fn gradient() -> Self {
        Self::Gradient {
            smoothing: 0.2,
            long_window: 600,
            tolerance: 1.5,
            queue: 4,
        }
    }

    fn is_possible(&self) -> bool {
        match *self {
            Self::Aimd { backoff, timeout } => 0.0 < backoff && backoff < 1.0 && !timeout.is_zero(),
            Self::Gradient {
                smoothing,
                long_window,
                tolerance,
                queue,
            } => {
                0.0 < smoothing
                    && smoothing <= 1.0
                    && 0 < long_window
                    && (1.0..f64::INFINITY).contains(&tolerance)
                    && 0 < queue
            }
        }
    }
}

// === impl AdaptiveSettings ===

impl Default for AdaptiveSettings {
    fn default() -> Self {
        Self {
            initial: 20,
            min: 1,
            max: 200,
            rule: AdaptiveRule::aimd(),
        }
    }
}

impl AdaptiveSettings {
    fn check(&self) -> Result<(), InvalidSettings> {
        let (initial, min, max) = (self.initial, self.min, self.max);
        if min == 0 || !(min..=max).contains(&initial) {
            return Err(InvalidSettings::new(format!(
                "an adaptive limit that begins at {initial} and stays between {min} and {max} cannot be: `min` is at least 1, and \
                 `initial` lies between `min` and `max`"
            )));
        }
        if !self.rule.is_possible() {
            let rule = self.rule;
            return Err(InvalidSettings::new(format!(
                "the adaptive limit cannot be found by {rule:?}: one of the numbers is out of its range"
            )));
        }
        Ok(())
    }
}

// === impl AdaptiveLimit ===

impl AdaptiveLimit {
    /// A limit that begins at its initial value.
    ///
    /// # Errors
    ///
    /// Where the bounds are not in order, or a number of the rule is out of its range.
    pub fn new(
        name: impl Into<Arc<str>>,
        settings: AdaptiveSettings,
        clock: SharedClock,
    ) -> Result<Self, InvalidSettings> {
        settings.check()?;
        let shared = Shared {
            name: name.into(),
            clock,
            limit: AtomicU32::new(settings.initial),
            in_flight: AtomicU32::new(0),
            admitted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            estimate: Mutex::new(Estimate::new(settings)),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Follows other settings from now on. The limit of now is brought within their bounds and goes on from there, `initial` or not;
    /// with a rule of another kind, what was known of latencies is forgotten.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); it follows the old ones.
    pub fn set(&self, settings: AdaptiveSettings) -> Result<(), InvalidSettings> {
        settings.check()?;
        let mut estimate = self.shared.estimate();
        estimate.set(settings);
        self.shared.limit.store(estimate.limit(), Ordering::Relaxed);
        Ok(())
    }

    /// Begins anew at its initial limit, forgets what it knows of latencies, and counts from 0 again; calls under way go on, and what
    /// they come to counts.
    pub fn reset(&self) {
        let mut estimate = self.shared.estimate();
        estimate.reset();
        self.shared.limit.store(estimate.limit(), Ordering::Relaxed);
        for count in [&self.shared.admitted, &self.shared.rejected] {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// Lets a call begin, if fewer are under way than the limit says. Nobody waits: a call that waits is part of an overload too.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] where as many are under way as may.
    pub fn try_enter(&self) -> Result<AdaptivePermit, Rejection> {
        let shared = &self.shared;
        let limit = shared.limit.load(Ordering::Relaxed);
        let entered =
            shared
                .in_flight
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |in_flight| {
                    (in_flight < limit).then_some(in_flight + 1)
                });
        let Ok(others) = entered else {
            shared.rejected.fetch_add(1, Ordering::Relaxed);
            return Err(Rejection::new(RejectedBy::Bulkhead, &shared.name, None));
        };
        shared.admitted.fetch_add(1, Ordering::Relaxed);
        Ok(AdaptivePermit {
            shared: Arc::clone(shared),
            started: shared.clock.now(),
            in_flight: others + 1,
        })
    }

    /// What it is doing.
    pub fn status(&self) -> AdaptiveStatus {
        let shared = &self.shared;
        AdaptiveStatus {
            limit: shared.limit.load(Ordering::Relaxed),
            in_flight: shared.in_flight.load(Ordering::Relaxed),
            usual_latency: shared.estimate().usual(),
            admitted: shared.admitted.load(Ordering::Relaxed),
            rejected: shared.rejected.load(Ordering::Relaxed),
        }
    }
}

// === impl AdaptivePermit ===

impl AdaptivePermit {
    /// The call was answered, well or not, by a service that had room for it.
    pub fn success(self) {
        self.learn(false);
    }

    /// The call was refused for overload, or given up because it took too long.
    pub fn dropped(self) {
        self.learn(true);
    }

    fn learn(&self, dropped: bool) {
        let sample = Sample {
            started: self.started,
            ended: self.shared.clock.now(),
            in_flight: self
                .in_flight
                .max(self.shared.in_flight.load(Ordering::Acquire)),
            dropped,
        };
        let mut estimate = self.shared.estimate();
        estimate.learn(sample);
        self.shared.limit.store(estimate.limit(), Ordering::Relaxed);
    }
}

impl Drop for AdaptivePermit {
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    fn estimate(&self) -> MutexGuard<'_, Estimate> {
        self.estimate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::ref_option, reason = "serde hands it over so")]
fn seconds<S: serde::Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    duration
        .map(|duration| duration.as_secs_f64())
        .serialize(to)
}

//! How many calls pass in a time: never more than the burst and the rate allow, in the order of arrival.
//!
//! In any stretch of time `t`, at most `burst + rate × t` permits are given: also after waits, between threads, and over a change
//! of the settings (then of the larger ones). The settings of one limiter live in this process; it knows nothing of others.

pub(crate) mod bucket;

mod line;

#[cfg(test)]
mod tests;

use crate::error::{InvalidSettings, RejectedBy, Rejection};
use crate::sync::atomic::{AtomicU64, Ordering};
use bucket::{Bucket, Rate};
use line::Line;
use mainstay_clock::{Moment, SharedClock, block_on};
use serde::{Serialize, Serializer};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How many permits in what time, and how many at once.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `permits` | 100 | what the layer before this one allowed |
/// | `per` | 60 s | the same |
/// | `burst` | 10 | the same said so, and then let 100 through at once |
///
/// The rate is at most one permit in a nanosecond, and an empty bucket is full again within ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many permits there are in each [`per`](Self::per).
    pub permits: u32,
    /// The time in which so many permits come back, evenly.
    pub per: Duration,
    /// How many may be taken at once after a pause; also the most that one call can ask for.
    pub burst: u32,
}

/// Gives permits at a steady rate, with a burst after a pause.
///
/// Threads share it by reference or in an [`Arc`]. A permit that was given is used; there is nothing to give back.
///
/// **Limits**: waits in line end at what the clock can do; the timers of tokio have a resolution of 1 ms, so that a rate of more
/// than 1,000 in a second is reached by waiters only with a burst of several. It counts for 36 years after the clock's origin and
/// then lets nothing pass. The line has as many places as pass within the longest `max_wait` that anybody gives.
#[derive(Debug)]
pub struct RateLimiter {
    bucket: Bucket,
    admitted: AtomicU64,
    rejected: AtomicU64,
    name: Arc<str>,
    clock: SharedClock,
    line: Line,
}

/// What a [`RateLimiter`] is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimiterStatus {
    /// How many permits could be taken at once now; zero while it is held.
    pub available: u32,
    /// How many there are at most.
    pub burst: u32,
    /// How many come back in a second.
    pub permits_per_second: f64,
    /// How many calls wait in line.
    pub waiting: u32,
    /// How many permits were given.
    pub admitted: u64,
    /// How many calls were turned away.
    pub rejected: u64,
    /// How long nothing passes, because somebody asked for it; serialized in seconds.
    #[serde(serialize_with = "seconds")]
    pub held_for: Duration,
    /// How long until one permit would pass, if nobody else came; nothing where one would now, serialized in seconds.
    #[serde(serialize_with = "seconds")]
    pub ready_in: Duration,
}

/// Why a call does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// It asks for more than there ever is.
    Never,
    /// Not before so many nanoseconds have passed.
    After(u64),
    /// The word does not say: there is a line, or a change under way.
    Line,
}

// === impl RateLimit ===

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            permits: 100,
            per: Duration::from_mins(1),
            burst: 10,
        }
    }
}

impl RateLimit {
    pub(crate) fn check(self) -> Result<Rate, InvalidSettings> {
        Rate::new(self.permits, self.per, self.burst)
    }
}

// === impl RateLimiter ===

impl RateLimiter {
    /// The longest that [`observe`](Self::observe) holds for. A server that asks for more is asked again after it, so that a
    /// date taken for a duration does not stop everything for ever.
    pub const OBSERVED_HOLD_MAX: Duration = Duration::from_hours(1);

    /// A limiter with a full bucket.
    ///
    /// # Errors
    ///
    /// Where `limit` would let nothing pass, or is out of range; see [`RateLimit`].
    pub fn new(
        name: impl Into<Arc<str>>,
        limit: RateLimit,
        clock: SharedClock,
    ) -> Result<Self, InvalidSettings> {
        Ok(Self::of(name.into(), limit.check()?, clock))
    }

    pub(crate) fn of(name: Arc<str>, rate: Rate, clock: SharedClock) -> Self {
        Self {
            bucket: Bucket::full(rate),
            admitted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            name,
            clock,
            line: Line::new(),
        }
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes `n` permits if they are there and nobody waits for some.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] that says when `n` would pass, behind all who wait; no time, where `n` is more than the burst: then never.
    /// Nothing was taken.
    #[inline]
    pub fn try_acquire(&self, n: u32) -> Result<(), Rejection> {
        self.try_acquire_at(self.clock.now(), n)
    }

    /// Takes `n` permits if they are there and nobody waits for some. Where they are not nothing is counted: the caller goes and waits.
    #[inline]
    pub(crate) fn takes_at_once(&self, n: u32) -> bool {
        let has_taken = self.bucket.take(nanos(self.clock.now()), n).is_ok();
        if has_taken {
            self.admitted.fetch_add(u64::from(n), Ordering::Relaxed);
        }
        has_taken
    }

    /// How long until `n` permits would pass, if nobody else came: nothing where they would now. Takes nothing.
    ///
    /// For ever where `n` is more than the burst; a millisecond where others wait in a line.
    pub fn ready_in(&self, n: u32) -> Duration {
        match self.bucket.ready(nanos(self.clock.now()), n) {
            Ok(()) => Duration::ZERO,
            Err(Refusal::After(wait)) => Duration::from_nanos(wait),
            Err(Refusal::Never) => Duration::MAX,
            Err(Refusal::Line) => Duration::from_millis(1),
        }
    }

    /// As [`try_acquire`](Self::try_acquire), for one who has read the clock already.
    #[inline]
    pub(crate) fn try_acquire_at(&self, now: Moment, n: u32) -> Result<(), Rejection> {
        self.conclude(n, self.take(nanos(now), n))
    }

    /// As [`acquire`](Self::acquire), on a plain thread or on one of a runtime, which it blocks; `cancelled` ends the wait.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), also where the wait was cancelled.
    ///
    /// # Panics
    ///
    /// Where the thread is one of a runtime, it has to wait, and the system refuses the helper thread for that.
    pub fn acquire_blocking(
        &self,
        n: u32,
        max_wait: Duration,
        cancelled: &CancellationToken,
    ) -> Result<(), Rejection> {
        let now = self.clock.now();
        let refusal = match self.take(nanos(now), n) {
            Err(refusal @ Refusal::After(wait)) if Duration::from_nanos(wait) <= max_wait => {
                refusal
            }
            concluded => return self.conclude(n, concluded),
        };
        let concluded = block_on(async {
            tokio::select! {
                biased;
                () = cancelled.cancelled() => Err(refusal),
                concluded = self.wait_in_line(now, n, max_wait) => concluded,
            }
        });
        self.conclude(n, concluded)
    }

    /// Changes the settings, for those who wait too. Permits that were taken stay taken.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); then all stays as it was.
    pub fn set(&self, limit: RateLimit) -> Result<(), InvalidSettings> {
        self.set_rate(limit.check()?);
        Ok(())
    }

    /// Its settings as they are now, as one permit in the time that it takes to come back.
    pub fn limit(&self) -> RateLimit {
        RateLimit {
            permits: 1,
            per: Duration::from_nanos(self.bucket.interval()),
            burst: self.bucket.burst(),
        }
    }

    pub(crate) fn set_rate(&self, rate: Rate) {
        self.line
            .change(&self.bucket, rate, nanos(self.clock.now()));
    }

    /// Lets nothing pass before `until`; does not shorten a hold that lasts longer.
    pub fn hold_until(&self, until: Moment) {
        self.bucket.hold(nanos(until));
        self.line.wake();
    }

    /// Ends a hold at once.
    pub fn release(&self) {
        self.bucket.release();
        self.line.wake();
    }

    /// Takes what a server said of its own limit into account.
    ///
    /// - `retry_after` (`Retry-After`): nothing passes before it is over.
    /// - `remaining` (`X-RateLimit-Remaining`) of 0: nothing passes before `reset_in` (`X-RateLimit-Reset`) is over.
    /// - `remaining` otherwise: no more than so many are left to be taken at once.
    ///
    /// A hold is never longer than [`OBSERVED_HOLD_MAX`](Self::OBSERVED_HOLD_MAX).
    pub fn observe(
        &self,
        remaining: Option<u64>,
        reset_in: Option<Duration>,
        retry_after: Option<Duration>,
    ) {
        let now = self.clock.now();
        let reset_in = reset_in.filter(|_| remaining == Some(0));
        if let Some(wait) = retry_after.max(reset_in) {
            self.hold_until(now + wait.min(Self::OBSERVED_HOLD_MAX));
        }
        if let Some(left) = remaining
            && reset_in.is_none()
        {
            self.line.drain(&self.bucket, left, nanos(now));
        }
    }

    /// What it is doing.
    pub fn status(&self) -> LimiterStatus {
        let now = nanos(self.clock.now());
        let held_for = self.bucket.held_for(now);
        LimiterStatus {
            available: if held_for == 0 {
                self.bucket.available(now)
            } else {
                0
            },
            burst: self.bucket.burst(),
            permits_per_second: 1e9 / self.bucket.interval() as f64,
            waiting: self.line.waiting(),
            admitted: self.admitted.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            held_for: Duration::from_nanos(held_for),
            ready_in: self.ready_in(1),
        }
    }

    /// Whether forgetting it would change nothing for anybody.
    pub(crate) fn is_idle(&self, now: Moment) -> bool {
        self.bucket.is_idle(nanos(now))
    }

    /// For a key without a place.
    pub(crate) fn reject_full(&self) -> Rejection {
        self.reject(Refusal::Line)
    }

    #[inline]
    fn take(&self, now: u64, n: u32) -> Result<(), Refusal> {
        match self.bucket.take(now, n) {
            Err(Refusal::Line) => self.line.take(&self.bucket, now, n),
            taken => taken,
        }
    }

    #[inline]
    fn conclude(&self, n: u32, taken: Result<(), Refusal>) -> Result<(), Rejection> {
        match taken {
            Ok(()) => {
                self.admitted.fetch_add(u64::from(n), Ordering::Relaxed);
                Ok(())
            }
            Err(refusal) => Err(self.reject(refusal)),
        }
    }

    #[inline]
    fn reject(&self, refusal: Refusal) -> Rejection {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        let retry_after = match refusal {
            Refusal::After(wait) => Some(Duration::from_nanos(wait)),
            Refusal::Never | Refusal::Line => None,
        };
        Rejection::new(RejectedBy::Limiter, &self.name, retry_after)
    }
}

fn nanos(moment: Moment) -> u64 {
    moment.since_origin().as_nanos() as u64
}

/// A duration in seconds, as people read it.
pub(crate) fn seconds<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

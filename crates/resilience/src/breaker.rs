//! A circuit breaker: stops calling what does not work, and finds out carefully whether it works again.
//!
//! ```text
//!            too many failures, or slow calls             `open_for` is over
//!   closed ──────────────────────────────────► open ──────────────────────────► half open
//!     ▲                                          ▲                                │    │
//!     │                                          └──── a probe fails, or hangs ───┘    │
//!     └──────────────────── `successes_to_close` probes in a row succeed ──────────────┘
//! ```
//!
//! Every change has a number, and each call carries the number that it was let in under: what an old call comes to is not
//! counted against a new state. A permit that is dropped, because its call was cancelled or its error is the caller's own, gives
//! its place back.

mod by_hand;

mod ended;

mod permit;

mod settings;

mod status;

mod watch;

pub use permit::{Permit, Verdict};
pub use settings::{BreakerSettings, Rate, Slow, Window};
pub use status::{BreakerState, BreakerStatus, Transition};

use crate::class::Classify;
use crate::error::{Error, InvalidSettings, RejectedBy, Rejection};
use crate::random::Random;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use mainstay_clock::{Moment, SharedClock};
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use watch::Watch;

/// So many changes are remembered, and wait for a subscriber who is slow.
const REMEMBERED: usize = 64;

/// The bits of the word that hold the state; the others are the number of the change.
const STATE_BITS: u32 = 3;

/// A circuit breaker for one thing that is called: a host, a database, a device.
///
/// ```
/// use mainstay_resilience::{Breaker, BreakerSettings, BreakerState, Error};
///
/// let breaker = Breaker::new("registry", BreakerSettings::default(), mainstay_clock::system())?;
/// let refused = || Err::<(), _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
/// for _ in 0..5 {
///     assert!(matches!(breaker.run_blocking(refused), Err(Error::Failed(_))));
/// }
/// assert_eq!(breaker.state(), BreakerState::Open);
/// // Nothing is called any more.
/// assert!(matches!(breaker.run_blocking(|| -> std::io::Result<()> { unreachable!() }), Err(Error::Rejected(_))));
/// # Ok::<(), mainstay_resilience::InvalidSettings>(())
/// ```
#[derive(Debug)]
pub struct Breaker {
    name: Arc<str>,
    clock: SharedClock,
    /// The state, and the number of the change that led to it.
    word: AtomicU64,
    /// While it is open: until when, in nanoseconds of the clock.
    open_until: AtomicU64,
    watch: Watch,
    rejected: AtomicU64,
    late: AtomicU64,
    /// When a call failed last, in nanoseconds of the clock, plus 1; 0 is never.
    last_failure: AtomicU64,
    inner: Mutex<Inner>,
    transitions: broadcast::Sender<Transition>,
}

/// What changes seldom.
#[derive(Debug)]
struct Inner {
    settings: BreakerSettings,
    random: Random,
    since: Moment,
    reason: String,
    /// Openings without a close in between.
    openings: u32,
    /// Openings of all times.
    opened: u64,
    /// While it is half open: probes under way, and successes in a row.
    probes: u32,
    successes: u32,
    /// Since when a probe has been under way without a pause.
    probing_since: Moment,
    history: VecDeque<Transition>,
}

impl Breaker {
    /// One that is closed.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub fn new(
        name: &str,
        settings: BreakerSettings,
        clock: SharedClock,
    ) -> Result<Self, InvalidSettings> {
        Self::with_random(name, settings, clock, Random::from_system())
    }

    /// Like [`new`](Self::new), with the randomness of the open time given.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub fn with_random(
        name: &str,
        settings: BreakerSettings,
        clock: SharedClock,
        random: Random,
    ) -> Result<Self, InvalidSettings> {
        settings.check()?;
        Ok(Self {
            name: name.into(),
            word: AtomicU64::new(BreakerState::Closed as u64),
            open_until: AtomicU64::new(0),
            watch: Watch::new(&settings),
            rejected: AtomicU64::new(0),
            late: AtomicU64::new(0),
            last_failure: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                settings,
                random,
                since: clock.now(),
                reason: String::new(),
                openings: 0,
                opened: 0,
                probes: 0,
                successes: 0,
                probing_since: clock.now(),
                history: VecDeque::new(),
            }),
            clock,
            transitions: broadcast::channel(REMEMBERED).0,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its state. An open one whose time is over stays open until the next call.
    pub fn state(&self) -> BreakerState {
        state_of(self.word.load(Ordering::Acquire))
    }

    /// Makes a call, unless the breaker is open, and counts how it went.
    ///
    /// What the caller did wrong ([`Category::Validation`](crate::Category::Validation)) counts neither way.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`]: the call was not made. [`Error::Failed`]: whatever it answered.
    pub async fn run<T, E: Classify>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error<E>> {
        let permit = self.enter()?;
        settle(permit, call.await)
    }

    /// Like [`run`](Self::run), for a call that blocks.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    #[inline]
    pub fn run_blocking<T, E: Classify>(
        &self,
        call: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, Error<E>> {
        let permit = self.enter()?;
        settle(permit, call())
    }

    /// Lets one call in; its end has to be told to the permit.
    ///
    /// # Errors
    ///
    /// It is open, or half open and finding out.
    #[inline]
    pub fn enter(&self) -> Result<Permit<'_>, Rejection> {
        let word = self.word.load(Ordering::Acquire);
        let (word, started) = match state_of(word) {
            BreakerState::Closed | BreakerState::MetricsOnly => {
                let started = self.watch.needs_start().then(|| self.clock.now());
                (word, started)
            }
            BreakerState::Disabled => (word, None),
            _ => self.enter_carefully(word)?,
        };
        // Put together here and nowhere else, so that it need not lie in memory: written in words and read back in pairs it
        // would cost more than all of the rest.
        Ok(Permit::new(self, word, started))
    }

    /// Whether nothing has changed since a call was let in under `word`.
    #[inline]
    fn is_as_of(&self, word: u64) -> bool {
        self.word.load(Ordering::Acquire) == word
    }

    /// Under which word it lets a call in, and since when that counts.
    #[inline(never)]
    fn enter_carefully(&self, word: u64) -> Result<(u64, Option<Moment>), Rejection> {
        let state = state_of(word);
        if state == BreakerState::ForcedOpen {
            return Err(self.reject(None));
        }
        if state == BreakerState::Open {
            // It lags by a few milliseconds, for a tenth of the price: an open breaker stays open no shorter for it.
            let now = self.clock.now_coarse();
            let until = self.open_until.load(Ordering::Acquire);
            if now.nanos() < until {
                return Err(self.reject(Some(Duration::from_nanos(until - now.nanos()))));
            }
        }
        self.enter_when_due(self.clock.now())
    }

    /// Its time may be over, or it is half open: that is decided by one at a time.
    #[cold]
    fn enter_when_due(&self, now: Moment) -> Result<(u64, Option<Moment>), Rejection> {
        let mut inner = self.inner();
        self.wake(&mut inner, now);
        let word = self.word.load(Ordering::Acquire);
        match state_of(word) {
            BreakerState::Open => {
                let until = Duration::from_nanos(self.open_until.load(Ordering::Acquire));
                Err(self.reject(Some(until.saturating_sub(now.since_origin()))))
            }
            BreakerState::HalfOpen if inner.probes >= inner.settings.half_open_permits => {
                Err(self.reject(None))
            }
            BreakerState::ForcedOpen => Err(self.reject(None)),
            BreakerState::HalfOpen => {
                if inner.probes == 0 {
                    inner.probing_since = now;
                }
                inner.probes += 1;
                Ok((word, Some(now)))
            }
            _ => Ok((word, Some(now))),
        }
    }

    /// Does what time alone does: what was open long enough is half open, what was half open for too long is open again.
    fn wake(&self, inner: &mut Inner, now: Moment) {
        match self.state() {
            BreakerState::Open => {
                let until = Duration::from_nanos(self.open_until.load(Ordering::Acquire));
                if now.since_origin() >= until {
                    (inner.probes, inner.successes) = (0, 0);
                    self.change(
                        inner,
                        BreakerState::HalfOpen,
                        now,
                        "its time is over".into(),
                    );
                }
            }
            BreakerState::HalfOpen
                if inner.probes > 0
                    && now.since(inner.probing_since) >= inner.settings.half_open_for =>
            {
                self.open(
                    inner,
                    now,
                    "no answer to the calls that should find out".into(),
                );
            }
            _ => {}
        }
    }

    fn reject(&self, retry_after: Option<Duration>) -> Rejection {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Rejection::new(RejectedBy::Breaker, &self.name, retry_after)
    }

    fn open(&self, inner: &mut Inner, now: Moment, reason: String) {
        let settings = &inner.settings;
        let grown = settings
            .open_growth
            .powi(inner.openings.min(1_000) as i32)
            .min(1e9);
        let swing = settings.open_jitter * (2.0 * inner.random.fraction() - 1.0);
        // So that it is no longer than the longest after the jitter either, and those that come to it still not all back at once.
        let longest = settings.open_max.as_secs_f64() / (1.0 + settings.open_jitter);
        let wait = (settings.open_for.as_secs_f64() * grown).min(longest) * (1.0 + swing);
        // What is out of range is for ever.
        let wait = Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX);
        let until = now + wait;
        inner.openings = inner.openings.saturating_add(1);
        inner.opened += 1;
        self.open_until.store(until.nanos(), Ordering::Release);
        self.change(inner, BreakerState::Open, now, reason);
    }

    fn close(&self, inner: &mut Inner, to: BreakerState, now: Moment, reason: String) {
        inner.openings = 0;
        self.watch.clear(&inner.settings);
        self.change(inner, to, now, reason);
    }

    /// Gives the change its number, and tells of it.
    fn change(&self, inner: &mut Inner, to: BreakerState, now: Moment, reason: String) {
        let word = self.word.load(Ordering::Acquire);
        let number = (word >> STATE_BITS) + 1;
        let transition = Transition {
            name: Arc::clone(&self.name),
            from: state_of(word),
            to,
            at: self.clock.wall(),
            reason: reason.clone(),
        };
        self.word
            .store(number << STATE_BITS | to as u64, Ordering::Release);
        (inner.since, inner.reason) = (now, reason);
        let (from, why) = (transition.from, &transition.reason);
        if to == BreakerState::Open {
            tracing::warn!(breaker = %self.name, %from, %to, why, "circuit breaker");
        } else {
            tracing::info!(breaker = %self.name, %from, %to, why, "circuit breaker");
        }
        if inner.history.len() >= REMEMBERED {
            inner.history.pop_front();
        }
        inner.history.push_back(transition.clone());
        // That nobody listens is no failure.
        drop(self.transitions.send(transition));
    }

    /// Tells of each change from now on; who is 64 changes behind misses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<Transition> {
        self.transitions.subscribe()
    }

    /// How it stands.
    pub fn status(&self) -> BreakerStatus {
        let now = self.clock.now();
        let inner = self.inner();
        let state = self.state();
        let [calls, failed, slow] = self.watch.sums(now);
        let share = |part: u64| (calls > 0).then(|| part as f64 / calls as f64);
        let until = Duration::from_nanos(self.open_until.load(Ordering::Acquire));
        let last_failure = self.last_failure.load(Ordering::Relaxed).checked_sub(1);
        BreakerStatus {
            name: self.name.to_string(),
            state,
            reason: inner.reason.clone(),
            since_ms: now.since(inner.since).as_millis() as u64,
            failure_count: self.watch.in_a_row(),
            success_count: inner.successes,
            last_failure_ms: last_failure.map(|nanos| {
                now.since_origin()
                    .saturating_sub(Duration::from_nanos(nanos))
                    .as_millis() as u64
            }),
            retry_after_ms: (state == BreakerState::Open)
                .then(|| until.saturating_sub(now.since_origin()).as_millis() as u64),
            calls,
            failure_rate: share(failed),
            slow_rate: share(slow),
            opened: inner.opened,
            rejected: self.rejected.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            history: inner.history.iter().cloned().collect(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[inline]
fn settle<T, E: Classify>(permit: Permit<'_>, result: Result<T, E>) -> Result<T, Error<E>> {
    match result {
        Ok(value) => {
            permit.success();
            Ok(value)
        }
        Err(error) => {
            permit.record(Verdict::of(&error.class()));
            Err(Error::Failed(error))
        }
    }
}

#[inline]
fn state_of(word: u64) -> BreakerState {
    BreakerState::from_bits(word & ((1 << STATE_BITS) - 1))
}

#[cfg(test)]
mod tests;

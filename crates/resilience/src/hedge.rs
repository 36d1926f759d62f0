//! A second copy of a call that is slow, where it does no harm to make it twice.

use crate::error::InvalidSettings;
use futures_util::stream::{FuturesUnordered, StreamExt};
use mainstay_clock::{Moment, SharedClock};
use serde::{Serialize, Serializer};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most latencies that are remembered: more would be yesterday's.
const LATENCIES_MAX: usize = 10_000;

/// When another copy is started, and how many there are.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `delay` | the 95th percentile of the last 100 calls | one call in twenty is made twice, and the slowest are cut off there (Dean, Barroso: The Tail at Scale, 2013) |
/// | `extra` | 1 | the second copy brings nearly all there is to win; each more only brings load |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgeSettings {
    /// How long the last copy is waited for before another is started.
    pub delay: HedgeDelay,
    /// How many copies there are at most besides the first; at least 1.
    pub extra: u32,
}

/// How long a copy is waited for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum HedgeDelay {
    /// Always as long.
    Fixed(Duration),
    /// As long as that part of the last calls took at most; before so many calls are known, no other copy is started.
    Percentile {
        /// What part of the calls; more than 0, at most 1.
        part: f64,
        /// How many calls are looked at; at least 1, at most 10,000.
        of_last: usize,
    },
}

/// Starts another copy of a call that takes long, and takes the first success.
///
/// Only for calls that are idempotent: several copies may have their effect, also those that are given up. A copy that is given
/// up is dropped, at whatever it awaits.
///
/// A failure starts nothing. While another copy is under way, that one is waited for; if none is, the failure is the answer at
/// once. Hedging is there against slowness: whether a failure is worth another attempt, and after which wait, is for the retry to
/// decide, which counts its attempts.
#[derive(Debug)]
pub struct Hedge {
    settings: Mutex<HedgeSettings>,
    clock: SharedClock,
    latencies: Mutex<Latencies>,
    calls: AtomicU64,
    extra: AtomicU64,
    won: AtomicU64,
    denied: AtomicU64,
}

/// What a [`Hedge`] is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HedgeStatus {
    /// How long a copy is waited for now; none where that is not known yet. Serialized in seconds.
    #[serde(serialize_with = "seconds")]
    pub delay: Option<Duration>,
    /// How many calls were made.
    pub calls: u64,
    /// How many copies were started besides the first ones.
    pub extra: u64,
    /// How many of those came first.
    pub won: u64,
    /// How many were not started, because the budget did not allow it.
    pub denied: u64,
}

/// What the last calls took: in the order of their end, and by length.
#[derive(Debug, Default)]
struct Latencies {
    last: VecDeque<Duration>,
    sorted: Vec<Duration>,
}

/// When the copies of one call began; none for those that failed.
struct UnderWay<'a> {
    hedge: &'a Hedge,
    started: Vec<Option<Moment>>,
}

// === impl HedgeSettings ===

impl Default for HedgeSettings {
    fn default() -> Self {
        Self {
            delay: HedgeDelay::Percentile {
                part: 0.95,
                of_last: 100,
            },
            extra: 1,
        }
    }
}

impl HedgeSettings {
    fn check(&self) -> Result<(), InvalidSettings> {
        if self.extra == 0 {
            return Err(InvalidSettings::new(
                "hedging without another copy does nothing: `extra` is at least 1",
            ));
        }
        match self.delay {
            HedgeDelay::Percentile { part, of_last }
                if !(0.0 < part && part <= 1.0 && (1..=LATENCIES_MAX).contains(&of_last)) =>
            {
                Err(InvalidSettings::new(format!(
                    "hedging after the part {part} of the last {of_last} calls cannot be: the part is more than 0 and at most 1, \
                     and at least 1 call and at most {LATENCIES_MAX} are looked at"
                )))
            }
            _ => Ok(()),
        }
    }
}

// === impl Hedge ===

impl Hedge {
    /// A hedge that knows of no calls yet.
    ///
    /// # Errors
    ///
    /// Where `extra` is 0, or the percentile is out of its range.
    pub fn new(settings: HedgeSettings, clock: SharedClock) -> Result<Self, InvalidSettings> {
        settings.check()?;
        Ok(Self {
            settings: Mutex::new(settings),
            clock,
            latencies: Mutex::default(),
            calls: AtomicU64::new(0),
            extra: AtomicU64::new(0),
            won: AtomicU64::new(0),
            denied: AtomicU64::new(0),
        })
    }

    /// Makes the call, and further copies of it while it is slow and `budget` allows it.
    ///
    /// `operation` is called with the number of the copy, 0 for the first. `budget` is asked once for each copy besides the first,
    /// at the moment when it would be started; after a no, the copies under way are waited for.
    ///
    /// # Errors
    ///
    /// The error of the copy that failed last, where all that were started failed.
    pub async fn call<T, E, F>(
        &self,
        budget: &(dyn Fn() -> bool + Sync),
        operation: impl FnMut(u32) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.go(budget, operation, |_, later| later).await
    }

    /// As [`call`](Self::call); of the errors of two copies `tells` says which one is told.
    pub(crate) async fn go<T, E, F>(
        &self,
        budget: &(dyn Fn() -> bool + Sync),
        mut operation: impl FnMut(u32) -> F,
        tells: impl Fn(E, E) -> E,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut failed: Option<E> = None;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let settings = self.settings();
        let delay = self.delay(settings.delay);
        let mut under_way = UnderWay::new(self);
        let mut copies = FuturesUnordered::new();
        copies.push(numbered(0, operation(under_way.begin())));
        let mut due = delay.map(|delay| self.clock.sleep(delay));
        loop {
            tokio::select! {
                biased;
                Some((number, result)) = copies.next() => match result {
                    Ok(value) => {
                        self.won.fetch_add(u64::from(0 < number), Ordering::Relaxed);
                        return Ok(value);
                    }
                    Err(error) => {
                        let told = match failed.take() {
                            None => error,
                            Some(earlier) => tells(earlier, error),
                        };
                        if copies.is_empty() {
                            return Err(told);
                        }
                        failed = Some(told);
                        under_way.failed(number);
                    }
                },
                () = async { if let Some(due) = &mut due { due.await } }, if due.is_some() => {
                    due = None;
                    if !budget() {
                        self.denied.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    self.extra.fetch_add(1, Ordering::Relaxed);
                    let number = under_way.begin();
                    copies.push(numbered(number, operation(number)));
                    if number < settings.extra {
                        due = delay.map(|delay| self.clock.sleep(delay));
                    }
                }
            }
        }
    }

    /// What it is doing.
    pub fn status(&self) -> HedgeStatus {
        HedgeStatus {
            delay: self.delay(self.settings().delay),
            calls: self.calls.load(Ordering::Relaxed),
            extra: self.extra.load(Ordering::Relaxed),
            won: self.won.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
        }
    }

    /// Follows other settings from the next call on; with another delay, what the last calls took is forgotten.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); it follows the old ones.
    pub fn set(&self, settings: HedgeSettings) -> Result<(), InvalidSettings> {
        settings.check()?;
        let before = std::mem::replace(&mut *self.locked_settings(), settings);
        if before.delay != settings.delay {
            *self.latencies() = Latencies::default();
        }
        Ok(())
    }

    /// Forgets what the last calls took, and counts from 0 again.
    pub fn reset(&self) {
        *self.latencies() = Latencies::default();
        for count in [&self.calls, &self.extra, &self.won, &self.denied] {
            count.store(0, Ordering::Relaxed);
        }
    }

    fn settings(&self) -> HedgeSettings {
        *self.locked_settings()
    }

    fn locked_settings(&self) -> MutexGuard<'_, HedgeSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delay(&self, delay: HedgeDelay) -> Option<Duration> {
        match delay {
            HedgeDelay::Fixed(delay) => Some(delay),
            HedgeDelay::Percentile { part, of_last } => self.latencies().at(part, of_last),
        }
    }

    fn latencies(&self) -> MutexGuard<'_, Latencies> {
        self.latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn numbered<F: Future>(number: u32, copy: F) -> (u32, F::Output) {
    (number, copy.await)
}

// === impl UnderWay ===

impl<'a> UnderWay<'a> {
    fn new(hedge: &'a Hedge) -> Self {
        let started = Vec::new();
        Self { hedge, started }
    }

    /// Answers the number of the copy that begins.
    fn begin(&mut self) -> u32 {
        self.started.push(Some(self.hedge.clock.now()));
        (self.started.len() - 1) as u32
    }

    /// How quickly a call fails says nothing of how long one takes.
    fn failed(&mut self, number: u32) {
        self.started[number as usize] = None;
    }
}

impl Drop for UnderWay<'_> {
    /// Copies that are given up count with the time they had: were they left out, the slow ones would never be seen.
    fn drop(&mut self) {
        let HedgeDelay::Percentile { of_last, .. } = self.hedge.settings().delay else {
            return;
        };
        let now = self.hedge.clock.now();
        let mut latencies = self.hedge.latencies();
        for started in self.started.iter().flatten() {
            latencies.add(now.since(*started), of_last);
        }
    }
}

// === impl Latencies ===

impl Latencies {
    fn add(&mut self, latency: Duration, of_last: usize) {
        if of_last <= self.last.len()
            && let Some(oldest) = self.last.pop_front()
        {
            let place = self.sorted.partition_point(|other| *other < oldest);
            self.sorted.remove(place);
        }
        self.last.push_back(latency);
        let place = self.sorted.partition_point(|other| *other < latency);
        self.sorted.insert(place, latency);
    }

    /// What that part of the calls took at most; none before so many are known.
    fn at(&self, part: f64, of_last: usize) -> Option<Duration> {
        if self.sorted.len() < of_last {
            return None;
        }
        let rank = (self.sorted.len() as f64 * part).ceil() as usize;
        self.sorted.get(rank.max(1) - 1).copied()
    }
}

#[expect(clippy::ref_option, reason = "serde hands it over so")]
fn seconds<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    duration
        .map(|duration| duration.as_secs_f64())
        .serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::{Clock, ManualClock};
    use std::cell::Cell;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::task::{Context, Poll, Waker};

    type Call<'a> = Pin<Box<dyn Future<Output = Result<u32, String>> + 'a>>;

    const SECOND: Duration = Duration::from_secs(1);

    fn hedge(extra: u32) -> (Hedge, ManualClock) {
        of(HedgeSettings {
            delay: HedgeDelay::Fixed(SECOND),
            extra,
        })
    }

    fn of(settings: HedgeSettings) -> (Hedge, ManualClock) {
        let clock = ManualClock::new();
        let hedge = Hedge::new(settings, Arc::new(clock.clone())).unwrap();
        (hedge, clock)
    }

    fn yes() -> bool {
        true
    }

    fn poll(call: &mut Call<'_>) -> Poll<Result<u32, String>> {
        call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    /// A copy that takes so long.
    async fn after(
        clock: &ManualClock,
        time: Duration,
        result: Result<u32, &str>,
    ) -> Result<u32, String> {
        clock.sleep(time).await;
        result.map_err(str::to_owned)
    }

    #[test]
    fn a_call_that_is_quick_is_made_once() {
        let (hedge, clock) = hedge(1);
        let mut call: Call<'_> = Box::pin(hedge.call(&yes, |n| after(&clock, SECOND / 2, Ok(n))));
        assert!(poll(&mut call).is_pending());
        clock.advance(SECOND / 2);
        assert_eq!(poll(&mut call), Poll::Ready(Ok(0)));
        assert_eq!((hedge.status().calls, hedge.status().extra), (1, 0));
    }

    #[test]
    fn the_first_success_wins_and_the_others_are_dropped() {
        let (hedge, clock) = hedge(1);
        let alive = Arc::new(());
        let mut call: Call<'_> = Box::pin(hedge.call(&yes, |n| {
            let (alive, clock) = (Arc::clone(&alive), &clock);
            async move {
                let time = if n == 0 { 60 * SECOND } else { SECOND };
                let result = after(clock, time, Ok(n)).await;
                drop(alive);
                result
            }
        }));
        assert!(poll(&mut call).is_pending());
        clock.advance(SECOND);
        assert!(poll(&mut call).is_pending());
        assert_eq!(Arc::strong_count(&alive), 3);
        clock.advance(SECOND);
        assert_eq!(poll(&mut call), Poll::Ready(Ok(1)));
        drop(call);
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!((hedge.status().extra, hedge.status().won), (1, 1));
    }

    #[test]
    fn no_more_copies_are_started_than_allowed_each_after_its_delay() {
        let (hedge, clock) = hedge(3);
        let started = Cell::new(0);
        let mut call: Call<'_> = Box::pin(hedge.call(&yes, |n| {
            started.set(started.get() + 1);
            after(&clock, 60 * SECOND, Ok(n))
        }));
        for expected in [1, 2, 3, 4, 4, 4] {
            assert!(poll(&mut call).is_pending());
            assert_eq!(started.get(), expected);
            clock.advance(SECOND / 2);
            assert!(poll(&mut call).is_pending());
            assert_eq!(started.get(), expected);
            clock.advance(SECOND / 2);
        }
    }

    #[test]
    fn without_budget_the_first_copy_is_waited_for() {
        let (hedge, clock) = hedge(3);
        let asked = AtomicU32::new(0);
        let no = || {
            asked.fetch_add(1, Ordering::Relaxed);
            false
        };
        let mut call: Call<'_> = Box::pin(hedge.call(&no, |n| after(&clock, 9 * SECOND, Ok(n))));
        for _ in 0..9 {
            assert!(poll(&mut call).is_pending());
            clock.advance(SECOND);
        }
        assert_eq!(poll(&mut call), Poll::Ready(Ok(0)));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!((hedge.status().extra, hedge.status().denied), (0, 1));
    }

    #[test]
    fn a_failure_is_the_answer_unless_another_copy_is_under_way() {
        let (hedge, clock) = hedge(1);
        let mut call: Call<'_> =
            Box::pin(hedge.call(&yes, |_| after(&clock, SECOND / 2, Err("no"))));
        assert!(poll(&mut call).is_pending());
        clock.advance(SECOND / 2);
        assert_eq!(poll(&mut call), Poll::Ready(Err("no".into())));
        assert_eq!(hedge.status().extra, 0);

        for (second, expected) in [(Ok(7), Ok(7)), (Err("second"), Err("second".to_owned()))] {
            let mut call: Call<'_> = Box::pin(hedge.call(&yes, |n| {
                let result = if n == 0 { Err("first") } else { second };
                after(&clock, 2 * SECOND, result)
            }));
            assert!(poll(&mut call).is_pending());
            clock.advance(SECOND);
            assert!(poll(&mut call).is_pending());
            clock.advance(SECOND);
            assert!(poll(&mut call).is_pending(), "the first has failed");
            clock.advance(SECOND);
            assert_eq!(poll(&mut call), Poll::Ready(expected));
        }
    }

    #[test]
    fn the_delay_follows_the_last_calls_and_sees_those_that_were_given_up() {
        let delay = HedgeDelay::Percentile {
            part: 0.9,
            of_last: 10,
        };
        let (hedge, clock) = of(HedgeSettings { delay, extra: 1 });
        for tenths in (1..=10).rev() {
            assert_eq!(hedge.status().delay, None);
            let mut call: Call<'_> =
                Box::pin(hedge.call(&yes, |n| after(&clock, SECOND / 10 * tenths, Ok(n))));
            assert!(poll(&mut call).is_pending());
            clock.advance(SECOND / 10 * tenths);
            assert_eq!(poll(&mut call), Poll::Ready(Ok(0)));
        }
        assert_eq!(hedge.status().delay, Some(SECOND / 10 * 9));
        for _ in 0..5 {
            let mut call: Call<'_> =
                Box::pin(hedge.call(&yes, |n| after(&clock, 60 * SECOND, Ok(n))));
            assert!(poll(&mut call).is_pending());
            clock.advance(5 * SECOND);
        }
        assert_eq!(hedge.status().delay, Some(5 * SECOND));
        assert_eq!(hedge.latencies().last.len(), 10);
    }

    #[test]
    fn a_call_can_be_sent_to_another_thread() {
        fn assert_send<T: Send>(value: T) -> T {
            value
        }
        let (hedge, clock) = hedge(1);
        drop(assert_send(
            hedge.call(&yes, |n| after(&clock, SECOND, Ok(n))),
        ));
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let percentile = |part, of_last| HedgeSettings {
            delay: HedgeDelay::Percentile { part, of_last },
            extra: 1,
        };
        let none = HedgeSettings {
            extra: 0,
            ..HedgeSettings::default()
        };
        let bad = [
            none,
            percentile(0.0, 100),
            percentile(1.1, 100),
            percentile(f64::NAN, 100),
            percentile(0.5, 0),
            percentile(0.5, 10_001),
        ];
        for settings in bad {
            assert!(
                Hedge::new(settings, mainstay_clock::system()).is_err(),
                "{settings:?}"
            );
        }
    }
}

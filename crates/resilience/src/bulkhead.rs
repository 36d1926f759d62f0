//! How many calls are under way at once, so that one slow service does not take everything for itself.

use crate::error::{InvalidSettings, RejectedBy, Rejection};
use crate::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, step};
use mainstay_clock::SharedClock;
use serde::Serialize;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many calls may be under way, and how many may wait for that.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `max_concurrent` | 25 | what others begin with (Resilience4j); as many connections as one server likes to see of one client |
/// | `max_waiting` | 100 | four rounds of the above; who comes later would wait too long |
/// | `max_wait` | 0 | full means overloaded, and a call that waits only moves the overload; so nobody waits unless asked to |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkheadSettings {
    /// How many calls may be under way; at least 1.
    pub max_concurrent: u32,
    /// How many may wait.
    pub max_waiting: u32,
    /// How long each may wait.
    pub max_wait: Duration,
}

/// Lets only so many calls be under way at once; clones share the same places.
#[derive(Debug, Clone)]
pub struct Bulkhead {
    shared: Arc<Shared>,
}

/// A place for one call, given back when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub struct BulkheadPermit {
    shared: Arc<Shared>,
}

/// What a [`Bulkhead`] is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BulkheadStatus {
    /// How many calls are under way; more than `max_concurrent` for a while after that was lowered.
    pub in_use: u32,
    /// How many may be.
    pub max_concurrent: u32,
    /// How many wait.
    pub waiting: u32,
    /// How many calls were let in.
    pub admitted: u64,
    /// How many were turned away.
    pub rejected: u64,
}

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    clock: SharedClock,
    settings: Mutex<BulkheadSettings>,
    places: Semaphore,
    /// Places in use that are too many, and vanish when they are given back. Below zero only while somebody changes the size.
    surplus: AtomicI64,
    waiting: AtomicU32,
    admitted: AtomicU64,
    rejected: AtomicU64,
}

/// Counts one who waits, however the wait ends.
struct Waiting<'a>(&'a AtomicU32);

// === impl BulkheadSettings ===

impl Default for BulkheadSettings {
    fn default() -> Self {
        Self {
            max_concurrent: 25,
            max_waiting: 100,
            max_wait: Duration::ZERO,
        }
    }
}

impl BulkheadSettings {
    fn check(&self) -> Result<(), InvalidSettings> {
        match usize::try_from(self.max_concurrent) {
            Ok(1..=Semaphore::MAX_PERMITS) => Ok(()),
            _ => Err(InvalidSettings::new(format!(
                "a bulkhead of {} calls cannot be: `max_concurrent` is at least 1 and at most {}",
                self.max_concurrent,
                Semaphore::MAX_PERMITS
            ))),
        }
    }
}

// === impl Bulkhead ===

impl Bulkhead {
    /// A bulkhead with every place free.
    ///
    /// # Errors
    ///
    /// Where `max_concurrent` is 0, or more than the semaphore of tokio can count.
    pub fn new(
        name: impl Into<Arc<str>>,
        settings: BulkheadSettings,
        clock: SharedClock,
    ) -> Result<Self, InvalidSettings> {
        settings.check()?;
        let shared = Shared {
            name: name.into(),
            clock,
            settings: Mutex::new(settings),
            places: Semaphore::new(settings.max_concurrent as usize),
            surplus: AtomicI64::new(0),
            waiting: AtomicU32::new(0),
            admitted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Takes a place if there is one and nobody waits for it.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] where it is full.
    pub fn try_enter(&self) -> Result<BulkheadPermit, Rejection> {
        match self.shared.places.try_acquire() {
            Ok(place) => {
                place.forget();
                Ok(self.admit())
            }
            Err(_) => Err(self.reject()),
        }
    }

    /// Takes a place, and waits for one as long as the settings allow, in the order of arrival.
    ///
    /// Dropping the future costs nobody a place.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] where it is full, and the wait is over or `max_waiting` others wait already.
    pub async fn enter(&self) -> Result<BulkheadPermit, Rejection> {
        if let Ok(place) = self.shared.places.try_acquire() {
            place.forget();
            return Ok(self.admit());
        }
        let settings = *self.shared.settings();
        let Some(_waiting) = self.shared.wait(settings) else {
            return Err(self.reject());
        };
        step();
        tokio::select! {
            biased;
            Ok(place) = self.shared.places.acquire() => {
                place.forget();
                Ok(self.admit())
            }
            () = self.shared.clock.sleep(settings.max_wait) => Err(self.reject()),
        }
    }

    /// Changes the settings; who waits goes on waiting as long as the settings of then said.
    ///
    /// Made smaller, it turns nobody out: calls under way come to their end, and their places vanish.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); then all stays as it was.
    pub fn set(&self, settings: BulkheadSettings) -> Result<(), InvalidSettings> {
        settings.check()?;
        let mut current = self.shared.settings();
        let more = i64::from(settings.max_concurrent) - i64::from(current.max_concurrent);
        *current = settings;
        self.shared.resize(more);
        Ok(())
    }

    /// What it is doing.
    pub fn status(&self) -> BulkheadStatus {
        let shared = &self.shared;
        let max_concurrent = shared.settings().max_concurrent;
        let places = i64::from(max_concurrent) + shared.surplus.load(Ordering::Relaxed);
        let in_use = places - shared.places.available_permits() as i64;
        BulkheadStatus {
            in_use: in_use.max(0) as u32,
            max_concurrent,
            waiting: shared.waiting.load(Ordering::Relaxed),
            admitted: shared.admitted.load(Ordering::Relaxed),
            rejected: shared.rejected.load(Ordering::Relaxed),
        }
    }

    fn admit(&self) -> BulkheadPermit {
        self.shared.admitted.fetch_add(1, Ordering::Relaxed);
        BulkheadPermit {
            shared: Arc::clone(&self.shared),
        }
    }

    fn reject(&self) -> Rejection {
        self.shared.rejected.fetch_add(1, Ordering::Relaxed);
        Rejection::new(RejectedBy::Bulkhead, &self.shared.name, None)
    }
}

// === impl Shared ===

impl Shared {
    fn settings(&self) -> MutexGuard<'_, BulkheadSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more who waits, if the settings leave room for that.
    fn wait(&self, settings: BulkheadSettings) -> Option<Waiting<'_>> {
        if settings.max_wait.is_zero() {
            return None;
        }
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < settings.max_waiting).then_some(waiting + 1)
            })
            .ok()?;
        Some(Waiting(&self.waiting))
    }

    /// Adds so many places, or removes them, those that are free first.
    fn resize(&self, more: i64) {
        let surplus = self.surplus.fetch_sub(more, Ordering::AcqRel) - more;
        if 0 < surplus {
            step();
            let free = self.places.forget_permits(surplus as usize) as i64;
            self.surplus.fetch_sub(free, Ordering::AcqRel);
        }
        // Added, or given back and taken away at the same time: then one too many was taken.
        let missing = self.surplus.fetch_max(0, Ordering::AcqRel).min(0);
        self.places.add_permits(missing.unsigned_abs() as usize);
    }

    fn give_back(&self) {
        let vanishes = self
            .surplus
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |surplus| {
                (0 < surplus).then_some(surplus - 1)
            });
        if vanishes.is_err() {
            step();
            self.places.add_permits(1);
        }
    }
}

impl Drop for BulkheadPermit {
    fn drop(&mut self) {
        self.shared.give_back();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use std::thread;

    type Waiter<'a> = Pin<Box<dyn Future<Output = Result<BulkheadPermit, Rejection>> + Send + 'a>>;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings(max_concurrent: u32) -> BulkheadSettings {
        BulkheadSettings {
            max_concurrent,
            max_waiting: 3,
            max_wait: SECOND,
        }
    }

    fn bulkhead(settings: BulkheadSettings) -> (Bulkhead, ManualClock) {
        let clock = ManualClock::new();
        let bulkhead = Bulkhead::new("printer", settings, Arc::new(clock.clone())).unwrap();
        (bulkhead, clock)
    }

    fn poll(waiter: &mut Waiter<'_>) -> Poll<Result<BulkheadPermit, Rejection>> {
        waiter
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }

    fn waiter(bulkhead: &Bulkhead) -> Waiter<'_> {
        let mut waiter: Waiter<'_> = Box::pin(bulkhead.enter());
        assert!(poll(&mut waiter).is_pending());
        waiter
    }

    fn entered(waiter: &mut Waiter<'_>) -> BulkheadPermit {
        match poll(waiter) {
            Poll::Ready(Ok(permit)) => permit,
            other => panic!("{other:?}"),
        }
    }

    /// How many places are free, by taking them all.
    fn free(bulkhead: &Bulkhead) -> usize {
        std::iter::from_fn(|| bulkhead.try_enter().ok())
            .take(1_000)
            .collect::<Vec<_>>()
            .len()
    }

    #[test]
    fn by_default_25_calls_are_under_way_and_the_next_is_turned_away_at_once() {
        let (bulkhead, _clock) = bulkhead(BulkheadSettings::default());
        let permits: Vec<_> = (0..25).map(|_| bulkhead.try_enter().unwrap()).collect();
        let rejection = bulkhead.try_enter().unwrap_err();
        assert_eq!(rejection.by, RejectedBy::Bulkhead);
        let mut waits: Waiter<'_> = Box::pin(bulkhead.enter());
        assert!(matches!(poll(&mut waits), Poll::Ready(Err(_))));
        drop(permits);
        assert_eq!(free(&bulkhead), 25);
        let status = bulkhead.status();
        assert_eq!((status.in_use, status.admitted), (0, 50));
    }

    #[test]
    fn who_waits_enters_in_the_order_of_arrival_and_nobody_passes() {
        let (bulkhead, _clock) = bulkhead(settings(1));
        let first = bulkhead.try_enter().unwrap();
        let mut second = waiter(&bulkhead);
        let mut third = waiter(&bulkhead);
        drop(first);
        assert!(bulkhead.try_enter().is_err());
        assert!(poll(&mut third).is_pending());
        let permit = entered(&mut second);
        assert!(poll(&mut third).is_pending());
        drop(permit);
        drop(entered(&mut third));
        assert_eq!(free(&bulkhead), 1);
    }

    #[test]
    fn only_so_many_wait_and_only_so_long() {
        let (bulkhead, clock) = bulkhead(settings(1));
        let _permit = bulkhead.try_enter().unwrap();
        let mut waiters: Vec<_> = (0..3).map(|_| waiter(&bulkhead)).collect();
        let mut fourth: Waiter<'_> = Box::pin(bulkhead.enter());
        assert!(matches!(poll(&mut fourth), Poll::Ready(Err(_))));
        clock.advance(SECOND);
        for waiter in &mut waiters {
            assert!(matches!(poll(waiter), Poll::Ready(Err(_))));
        }
        drop(waiters);
        assert_eq!(bulkhead.status().waiting, 0);
        assert_eq!(bulkhead.status().rejected, 4);
    }

    #[test]
    fn a_wait_that_is_dropped_gives_its_place_to_the_next() {
        let (bulkhead, _clock) = bulkhead(settings(1));
        let permit = bulkhead.try_enter().unwrap();
        let second = waiter(&bulkhead);
        let mut third = waiter(&bulkhead);
        // The place was handed to the second already, who never learns of it.
        drop(permit);
        drop(second);
        drop(entered(&mut third));
        drop(third);
        assert_eq!((free(&bulkhead), bulkhead.status().waiting), (1, 0));
    }

    #[test]
    fn it_grows_for_who_waits_and_shrinks_as_calls_end() {
        let (bulkhead, _clock) = bulkhead(settings(1));
        let first = bulkhead.try_enter().unwrap();
        let mut second = waiter(&bulkhead);
        bulkhead.set(settings(3)).unwrap();
        let second = entered(&mut second);
        let third = bulkhead.try_enter().unwrap();
        bulkhead.set(settings(1)).unwrap();
        assert_eq!(bulkhead.status().in_use, 3);
        drop((first, second));
        assert!(bulkhead.try_enter().is_err());
        drop(third);
        assert_eq!(free(&bulkhead), 1);

        // Grown again before the surplus was given back.
        let permit = bulkhead.try_enter().unwrap();
        bulkhead.set(settings(5)).unwrap();
        let rest: Vec<_> = (0..4).map(|_| bulkhead.try_enter().unwrap()).collect();
        bulkhead.set(settings(2)).unwrap();
        bulkhead.set(settings(4)).unwrap();
        assert!(bulkhead.try_enter().is_err());
        drop((permit, rest));
        assert_eq!(free(&bulkhead), 4);
        assert!(bulkhead.set(settings(0)).is_err());
        assert_eq!(bulkhead.status().max_concurrent, 4);
    }

    #[test]
    fn a_storm_of_calls_and_changes_leaves_exactly_its_size() {
        let (bulkhead, _clock) = bulkhead(settings(8));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut held = Vec::new();
                    for round in 0..5_000 {
                        held.extend(bulkhead.try_enter());
                        let mut waits: Waiter<'_> = Box::pin(bulkhead.enter());
                        drop(poll(&mut waits));
                        if round % 3 == 0 {
                            held.clear();
                        }
                    }
                });
            }
            for round in 0..5_000 {
                bulkhead.set(settings(1 + round % 16)).unwrap();
            }
        });
        bulkhead.set(settings(8)).unwrap();
        assert_eq!(free(&bulkhead), 8);
        assert_eq!(
            (bulkhead.status().in_use, bulkhead.status().waiting),
            (0, 0)
        );
    }

    #[test]
    fn no_place_at_all_is_refused() {
        let clock = mainstay_clock::system();
        let refused = Bulkhead::new("printer", settings(0), clock).unwrap_err();
        assert!(refused.to_string().contains("max_concurrent"));
    }
}

//! How many calls are under way at once, so that one slow service does not take everything for itself.

use crate::error::{InvalidSettings, RejectedBy, Rejection};
use crate::limit::within;
use crate::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, step};
use mainstay_clock::{SharedClock, block_on};
use serde::Serialize;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

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

/// A place that lasts no longer than the bulkhead is borrowed: two counts of references fewer than a [`BulkheadPermit`].
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Shared);

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

    /// Takes a place if there is one and nobody waits for it. Where there is none nothing is counted: the caller goes and waits.
    #[inline]
    pub(crate) fn enter_at_once(&self) -> Option<Place<'_>> {
        self.shared.places.try_acquire().ok()?.forget();
        self.shared.admitted.fetch_add(1, Ordering::Relaxed);
        Some(Place(&self.shared))
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

    /// As [`enter`](Self::enter), on a plain thread or on one of a runtime, which it blocks; `cancelled` ends the wait.
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter), also where the wait was cancelled.
    ///
    /// # Panics
    ///
    /// Where the thread is one of a runtime, it has to wait, and the system refuses the helper thread for that.
    pub fn enter_blocking(
        &self,
        cancelled: &CancellationToken,
    ) -> Result<BulkheadPermit, Rejection> {
        self.enter_blocking_within(Duration::MAX, cancelled)
    }

    /// The same, waiting for no longer than `left` either.
    pub(crate) fn enter_blocking_within(
        &self,
        left: Duration,
        cancelled: &CancellationToken,
    ) -> Result<BulkheadPermit, Rejection> {
        if let Ok(place) = self.shared.places.try_acquire() {
            place.forget();
            return Ok(self.admit());
        }
        // Whoever may not wait needs nobody who waits for it.
        if left.is_zero() || self.shared.settings().max_wait.is_zero() {
            return Err(self.reject());
        }
        let entered = block_on(async {
            tokio::select! {
                biased;
                () = cancelled.cancelled() => None,
                entered = within(&*self.shared.clock, left, self.enter()) => entered,
            }
        });
        entered.unwrap_or_else(|| Err(self.reject()))
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

    /// Its settings as they are now.
    pub fn settings(&self) -> BulkheadSettings {
        *self.shared.settings()
    }

    /// Counts from 0 again who was let in and who was turned away; who has a place keeps it, and who waits goes on waiting.
    pub fn reset(&self) {
        for count in [&self.shared.admitted, &self.shared.rejected] {
            count.store(0, Ordering::Relaxed);
        }
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

impl Drop for Place<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.give_back();
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
mod tests;

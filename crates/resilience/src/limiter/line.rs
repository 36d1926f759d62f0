//! Who waits for permits, in the order of arrival.

use super::bucket::{Bucket, Rate};
use super::{RateLimiter, Refusal, nanos};
use crate::error::Rejection;
use crate::sync::{Mutex, MutexGuard, step};
use mainstay_clock::Moment;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// A turnstile: the head of the line holds `turn` and waits for the clock; the others wait for `turn`, which is fair.
#[derive(Debug)]
pub(super) struct Line {
    count: Mutex<Count>,
    turn: Semaphore,
    /// Wakes the head, which then asks the clock how long it has to wait by the rules of now.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Count {
    waiting: u32,
    permits: u64,
}

/// A place in the line, given back however the wait ends.
struct Place<'a> {
    line: &'a Line,
    bucket: &'a Bucket,
    n: u32,
}

// === impl Line ===

impl Line {
    pub(super) fn new() -> Self {
        Self {
            count: Mutex::default(),
            turn: Semaphore::new(1),
            changed: Notify::new(),
        }
    }

    pub(super) fn waiting(&self) -> u32 {
        self.count().waiting
    }

    /// Takes `n` permits at `now` if nobody waits; otherwise says when it would be the turn of one who comes last.
    #[cold]
    pub(super) fn take(&self, bucket: &Bucket, now: u64, n: u32) -> Result<(), Refusal> {
        let count = self.count();
        if count.waiting == 0 {
            bucket.take(now, n)
        } else {
            Err(bucket.behind(count.permits, now, n))
        }
    }

    /// Other settings; the head of the line waits by them from now on.
    pub(super) fn change(&self, bucket: &Bucket, rate: Rate, now: u64) {
        self.alter(|| bucket.change(rate, now));
    }

    pub(super) fn drain(&self, bucket: &Bucket, left: u64, now: u64) {
        self.alter(|| bucket.drain(left, now));
    }

    pub(super) fn wake(&self) {
        self.changed.notify_waiters();
    }

    fn alter(&self, change: impl FnOnce()) {
        let count = self.count();
        change();
        drop(count);
        self.wake();
    }

    /// Takes `n` permits at `now`, or a place behind all others where the wait would be no longer than `max_wait`.
    fn join<'a>(
        &'a self,
        bucket: &'a Bucket,
        now: u64,
        n: u32,
        max_wait: Duration,
    ) -> Result<Option<Place<'a>>, Refusal> {
        let mut count = self.count();
        let refusal = if count.waiting == 0 {
            match bucket.take(now, n) {
                Ok(()) => return Ok(None),
                Err(refusal) => refusal,
            }
        } else {
            bucket.behind(count.permits, now, n)
        };
        match refusal {
            Refusal::After(wait)
                if !max_wait.is_zero() && Duration::from_nanos(wait) <= max_wait => {}
            refusal => return Err(refusal),
        }
        count.waiting += 1;
        count.permits += u64::from(n);
        bucket.form_line();
        drop(count);
        let line = self;
        Ok(Some(Place { line, bucket, n }))
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut count = self.line.count();
        count.waiting -= 1;
        count.permits -= u64::from(self.n);
        if count.waiting == 0 {
            self.bucket.end_line();
        }
    }
}

impl Place<'_> {
    /// Takes the permits at the head of the line.
    fn take(&self, now: u64) -> Result<(), Refusal> {
        let _count = self.line.count();
        self.bucket.take_in_line(now, self.n)
    }

    /// What one who gives up is told: when it would be the turn of somebody who comes now.
    fn late(&self, now: u64) -> Refusal {
        let count = self.line.count();
        let others = count.permits - u64::from(self.n);
        self.bucket.behind(others, now, self.n)
    }
}

// === impl RateLimiter ===

impl RateLimiter {
    /// Takes `n` permits, and waits for them for up to `max_wait`, in the order of arrival.
    ///
    /// With a wait of zero it still tries once. Where the line is so long already that the wait would take longer, it does not
    /// wait at all. Dropping the future gives the place back and costs nobody a permit.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] as that of [`try_acquire`](Self::try_acquire); nothing was taken.
    pub async fn acquire(&self, n: u32, max_wait: Duration) -> Result<(), Rejection> {
        let now = self.clock.now();
        self.conclude(n, self.wait_in_line(now, n, max_wait).await)
    }

    pub(super) async fn wait_in_line(
        &self,
        now: Moment,
        n: u32,
        max_wait: Duration,
    ) -> Result<(), Refusal> {
        match self.bucket.take(nanos(now), n) {
            Err(Refusal::Line | Refusal::After(_)) => {}
            concluded => return concluded,
        }
        let deadline = now + max_wait;
        let Some(place) = self.line.join(&self.bucket, nanos(now), n, max_wait)? else {
            return Ok(());
        };
        step();
        // The semaphore is never closed; what comes back is kept as it is until the end, when the next one has the turn.
        let _turn = tokio::select! {
            biased;
            turn = self.line.turn.acquire() => turn,
            () = self.clock.sleep(max_wait) => return Err(place.late(nanos(self.clock.now()))),
        };
        loop {
            let changed = self.line.changed.notified();
            tokio::pin!(changed);
            // Before the settings are read, so that a change in between is not missed.
            changed.as_mut().enable();
            let now = self.clock.now();
            let wait = match place.take(nanos(now)) {
                Err(Refusal::After(wait)) => Duration::from_nanos(wait),
                concluded => return concluded,
            };
            if deadline < now + wait {
                return Err(place.late(nanos(now)));
            }
            step();
            tokio::select! {
                () = changed => {}
                () = self.clock.sleep(wait) => {}
            }
        }
    }
}

//! How far something is: counted at the price of one atomic, told as often as somebody wants to hear it.
//!
//! Nobody is told by the one who works. Whoever watches asks for [`Updates`], each at an interval of its own, and waits for the
//! next: the first state at once, then changes with at least the interval between them, and the end without delay. That is
//! why the last state never goes missing, whether the job goes on counting or not, and why a slow display slows nothing down.

mod course;
mod snapshot;
mod updates;

pub(crate) use snapshot::text;
pub use snapshot::{ProgressState, Snapshot, Unit};
pub use updates::{LogLines, Show, Updates};

use crate::error::{Error, ErrorKind};
use course::Course;
use mainstay_clock::SharedClock;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// A total that nobody knows.
const UNKNOWN: u64 = u64::MAX;

/// How far something is, told by whoever does it.
///
/// However it ends, those who watch are told: by one of the methods that say so, and where it is just dropped, as abandoned.
#[derive(Debug)]
#[must_use = "dropping it tells those who watch that the work was abandoned"]
pub struct Progress {
    shared: Arc<Shared>,
    counter: Counter,
    is_over: bool,
}

/// Counts for the phase in which it was made, from any thread; what it counts after that phase shows nowhere.
#[derive(Debug, Clone)]
pub struct Counter {
    shared: Arc<Shared>,
    count: Arc<Count>,
}

/// Looks on; clones look at the same.
#[derive(Debug, Clone)]
pub struct Watch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Count {
    done: AtomicU64,
    total: AtomicU64,
}

struct Shared {
    clock: SharedClock,
    /// Somebody waits to be told of the next change.
    is_awaited: AtomicBool,
    changed: Notify,
    course: Mutex<Course>,
}

// === impl Progress ===

impl Progress {
    /// Something of one phase, of which nothing is done and nobody knows how much it is.
    pub fn new(name: impl Into<Arc<str>>, clock: SharedClock) -> Self {
        let count = Arc::new(Count::new(None));
        let course = Course::new(name.into(), Arc::clone(&count), clock.now());
        let shared = Arc::new(Shared {
            clock,
            is_awaited: AtomicBool::new(false),
            changed: Notify::new(),
            course: Mutex::new(course),
        });
        Self {
            counter: Counter {
                shared: Arc::clone(&shared),
                count,
            },
            shared,
            is_over: false,
        }
    }

    /// Says how many phases there will be, so that a share of the whole can be told.
    pub fn expect_phases(&mut self, phases: u32) {
        self.shared.change(|course| course.expect_phases(phases));
    }

    /// Begins the next phase, or gives the first one a name if nothing was counted in it.
    ///
    /// `total` is how much there is to do, in `unit`, where that is known.
    pub fn phase(&mut self, name: impl Into<Arc<str>>, unit: Unit, total: Option<u64>) {
        let count = Arc::new(Count::new(total));
        let now = self.shared.clock.now();
        self.shared
            .change(|course| course.begin(name.into(), unit, Arc::clone(&count), now));
        self.counter.count = count;
    }

    /// Says how much there is to do in this phase, now that it is known, or known better.
    pub fn set_total(&self, total: u64) {
        self.counter.count.set_total(total);
        self.shared.touch();
    }

    /// So much is done by now; less than before changes nothing.
    #[inline]
    pub fn reach(&self, done: u64) {
        self.counter.reach(done);
    }

    /// So much more is done.
    #[inline]
    pub fn add(&self, more: u64) {
        self.counter.add(more);
    }

    /// What is under way right now: a file, an address.
    pub fn note(&self, text: impl Into<Arc<str>>) {
        self.shared.change(|course| course.note(text.into()));
    }

    /// Counts for this phase from other threads.
    pub fn counter(&self) -> Counter {
        self.counter.clone()
    }

    /// Looks on.
    pub fn watch(&self) -> Watch {
        Watch {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Its changes, at most once in `interval`; the last state always.
    pub fn updates(&self, interval: Duration) -> Updates {
        self.watch().updates(interval)
    }

    /// It is done.
    pub fn finish(mut self) {
        self.end(ProgressState::Done);
    }

    /// It failed.
    pub fn fail(mut self, why: impl Into<Arc<str>>) {
        self.end(ProgressState::Failed { why: why.into() });
    }

    /// It was cancelled.
    pub fn cancel(mut self) {
        self.end(ProgressState::Cancelled);
    }

    /// It came to this error.
    pub(crate) fn end_with(self, error: &Error) {
        if error.kind() == ErrorKind::Cancelled {
            return self.cancel();
        }
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            why = format!("{why}: {error}");
            source = error.source();
        }
        self.fail(why);
    }

    fn end(&mut self, state: ProgressState) {
        if !std::mem::replace(&mut self.is_over, true) {
            let now = self.shared.clock.now();
            self.shared.course().end(state, now);
            self.shared.changed.notify_waiters();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end(ProgressState::Abandoned);
    }
}

// === impl Counter ===

impl Counter {
    /// So much is done by now; less than before changes nothing.
    #[inline]
    pub fn reach(&self, done: u64) {
        // In one order with `is_awaited` for all threads: either who waits sees this, or this sees who waits.
        self.count.done.fetch_max(done, Ordering::SeqCst);
        self.shared.tell();
    }

    /// So much more is done.
    #[inline]
    pub fn add(&self, more: u64) {
        let before = self.count.done.fetch_add(more, Ordering::SeqCst);
        if before.checked_add(more).is_none() {
            self.count.done.store(u64::MAX, Ordering::SeqCst);
        }
        self.shared.tell();
    }
}

// === impl Watch ===

impl Watch {
    /// How far it is now.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// Its changes, at most once in `interval`; the last state always.
    pub fn updates(&self, interval: Duration) -> Updates {
        Updates::new(self.clone(), interval)
    }
}

// === impl Count ===

impl Count {
    fn new(total: Option<u64>) -> Self {
        Self {
            done: AtomicU64::new(0),
            total: AtomicU64::new(total.unwrap_or(UNKNOWN)),
        }
    }

    fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::SeqCst);
    }

    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    pub(crate) fn total(&self) -> Option<u64> {
        let total = self.total.load(Ordering::SeqCst);
        (total != UNKNOWN).then_some(total)
    }
}

// === impl Shared ===

impl Shared {
    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        self.course().snapshot(now)
    }

    /// What tells this state from others, and whether it is the last.
    fn mark(&self) -> (course::Mark, bool) {
        let course = self.course();
        (course.mark(), course.is_over())
    }

    /// Changes something other than the count.
    fn change(&self, change: impl FnOnce(&mut Course)) {
        let mut course = self.course();
        change(&mut course);
        course.version += 1;
        drop(course);
        self.tell();
    }

    fn touch(&self) {
        self.change(|_| {});
    }

    /// Wakes those who wait for a change; once, until they wait again.
    #[inline]
    fn tell(&self) {
        if self.is_awaited.load(Ordering::SeqCst) && self.is_awaited.swap(false, Ordering::SeqCst) {
            self.changed.notify_waiters();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("course", &self.course)
            .finish_non_exhaustive()
    }
}

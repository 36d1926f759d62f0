//! A bounded number of threads that do jobs, and a bounded line in front of them.

mod place;
mod worker;

pub use place::Place;

use crate::error::{Error, ErrorKind, Failure};
use crate::handle::Handle;
use crate::job::{Job, Work};
use crate::line::Line;
use crate::settings::PoolSettings;
use crate::task::{End, Task};
use mainstay_clock::{Moment, SharedClock, block_on};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Does jobs on a bounded number of threads; clones are the same pool.
///
/// When the last clone is dropped all jobs are cancelled, and the threads end as their jobs do; nobody waits for that.
/// [`close`](Self::close) waits, for so long.
#[derive(Debug, Clone)]
pub struct Pool {
    owner: Arc<Owner>,
}

/// A job that has not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unfinished {
    /// Its name.
    #[serde(serialize_with = "crate::progress::text")]
    pub name: Arc<str>,
    /// Its kind; empty where it has none.
    pub kind: &'static str,
    /// For how long it has run, or waited.
    pub since: Duration,
    /// Whether it was asked to stop.
    pub is_cancelled: bool,
}

/// What is left when the time for an end is over; where both are empty, nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "what did not stop is still at work"]
pub struct Leftover {
    /// Jobs that still run: their threads end when they do.
    pub running: Vec<Unfinished>,
    /// Jobs that never began.
    pub waiting: Vec<Unfinished>,
}

/// What a [`Pool`] is doing, and has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolStatus {
    /// How many jobs may run at once.
    pub workers: usize,
    /// Those that run, the first first.
    pub running: Vec<Unfinished>,
    /// How many wait.
    pub waiting: usize,
    /// How many came to a result.
    pub finished: u64,
    /// How many failed by themselves.
    pub failed: u64,
    /// How many panicked.
    pub panicked: u64,
    /// How many were cancelled, before they began or while they ran.
    pub cancelled: u64,
    /// How many were turned away because there was no place.
    pub refused: u64,
}

/// Ends the workers when the last of its clones is dropped.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) clock: SharedClock,
    workers: usize,
    state: Mutex<State>,
    /// For workers: there is something to do, or nothing any more.
    work: Condvar,
    /// For who waits for an end: something ended.
    ended: Notify,
    places: Arc<Semaphore>,
    kinds: HashMap<&'static str, Arc<Semaphore>>,
}

#[derive(Debug)]
struct State {
    line: Line<Waiting>,
    running: BTreeMap<u64, Running>,
    is_closed: bool,
    workers_alive: usize,
    next_id: u64,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    finished: u64,
    failed: u64,
    panicked: u64,
    cancelled: u64,
    refused: u64,
}

/// A job that waits for its turn; its places are given back when it begins or leaves.
pub(crate) struct Waiting {
    id: u64,
    work: Work,
    since: Moment,
    task: Box<dyn Task>,
    _places: Places,
}

/// In the line, and among those of its kind.
type Places = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

#[derive(Debug)]
struct Running {
    work: Work,
    since: Moment,
}

// === impl Pool ===

impl Pool {
    /// A pool with all its threads, which are called `name-1` and so on.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) where the settings cannot work, and [`System`](ErrorKind::System) where the system refuses
    /// a thread; then none of the others stays.
    pub fn new(
        name: impl Into<Arc<str>>,
        settings: &PoolSettings,
        clock: SharedClock,
    ) -> Result<Self, Error> {
        settings.check()?;
        let kinds = settings.kinds.iter();
        let shared = Arc::new(Shared {
            name: name.into(),
            clock,
            workers: settings.workers,
            state: Mutex::new(State {
                line: Line::new(
                    kinds
                        .clone()
                        .map(|kind| (kind.name, kind.at_once))
                        .collect(),
                ),
                running: BTreeMap::new(),
                is_closed: false,
                workers_alive: 0,
                next_id: 0,
                counts: Counts::default(),
            }),
            work: Condvar::new(),
            ended: Notify::new(),
            places: Arc::new(Semaphore::new(settings.waiting)),
            kinds: kinds
                .map(|kind| (kind.name, Arc::new(Semaphore::new(kind.waiting))))
                .collect(),
        });
        let pool = Self {
            owner: Arc::new(Owner { shared }),
        };
        for number in 1..=settings.workers {
            worker::start(pool.shared(), number)?;
        }
        Ok(pool)
    }

    /// Hands a job in if there is a place for it; never waits, so that a thread that owns a user interface may call it.
    ///
    /// # Errors
    ///
    /// [`Full`](ErrorKind::Full) and [`Closed`](ErrorKind::Closed). Where the closure has to be kept for another try, take a
    /// [`try_place`](Self::try_place) first.
    pub fn try_submit<F, T>(&self, work: Work, run: F) -> Result<Handle<T>, Error>
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.try_place(work)?.submit(run))
    }

    /// Hands a job in once there is a place for it, in the order of asking. Dropping the future hands nothing in.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed), and [`Cancelled`](ErrorKind::Cancelled) where it was while it waited.
    pub async fn submit<F, T>(&self, work: Work, run: F) -> Result<Handle<T>, Error>
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.place(work).await?.submit(run))
    }

    /// As [`submit`](Self::submit), for a thread that may wait.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub fn submit_blocking<F, T>(&self, work: Work, run: F) -> Result<Handle<T>, Error>
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        Ok(block_on(self.place(work))?.submit(run))
    }

    /// Cancels every job, those that wait and those that run, and goes on taking new ones. Does not wait.
    pub fn cancel_all(&self) {
        let shared = self.shared();
        let (tokens, waiting) = {
            let mut state = shared.state();
            // Under one lock, so that a job that begins meanwhile is among one of them.
            (state.tokens(), state.empty_line())
        };
        for token in tokens {
            token.cancel();
        }
        shared.turn_away(waiting);
    }

    /// Takes nothing new, and waits until all that was handed in is done, for `limit` at most. Cancels nothing.
    pub async fn drain(&self, limit: Duration) -> Leftover {
        self.shared().shut();
        self.shared().wait_for_end(limit).await;
        self.shared().leftover()
    }

    /// Takes nothing new, cancels every job, and waits until all have stopped, for `limit` at most.
    ///
    /// What has not stopped then is reported by its name, here and in the log: no thread is ever ended by force, because it may
    /// hold a lock or have half of something written. Jobs that no worker got to are answered by then; their callbacks are called
    /// on this thread.
    pub async fn close(&self, limit: Duration) -> Leftover {
        let shared = self.shared();
        shared.shut();
        shared.cancel_every();
        shared.wait_for_end(limit).await;
        let leftover = shared.leftover();
        for job in &leftover.running {
            tracing::warn!(pool = %shared.name, job = %job.name, "a job was cancelled and does not stop");
        }
        let waiting = shared.state().empty_line();
        shared.turn_away(waiting);
        leftover
    }

    /// As [`close`](Self::close), for a thread that may wait.
    pub fn close_blocking(&self, limit: Duration) -> Leftover {
        block_on(self.close(limit))
    }

    /// What it is doing, and has done.
    pub fn status(&self) -> PoolStatus {
        let shared = self.shared();
        let now = shared.clock.now();
        let state = shared.state();
        let counts = &state.counts;
        PoolStatus {
            workers: shared.workers,
            running: state.running(now),
            waiting: state.line.len(),
            finished: counts.finished,
            failed: counts.failed,
            panicked: counts.panicked,
            cancelled: counts.cancelled,
            refused: counts.refused,
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }
}

// === impl Owner ===

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.shut();
        // Who waits is told by the workers, who find it cancelled; callbacks may take their time, and this may not.
        self.shared.cancel_every();
    }
}

// === impl Shared ===

impl Shared {
    /// Takes a job out of the line, where it still waits.
    pub(crate) fn take_out(&self, id: u64) -> Option<Waiting> {
        let mut state = self.state();
        let taken = state.line.remove(id);
        if taken.is_some() {
            state.counts.cancelled += 1;
            drop(state);
            self.work.notify_all();
        }
        taken
    }

    /// Answers those who were taken out of the line that they are cancelled.
    fn turn_away(&self, waiting: Vec<Waiting>) {
        self.work.notify_all();
        for job in waiting {
            job.cancel();
        }
    }

    /// Cancels those that run and those that wait; without the lock, since whoever hears of it may ask something.
    fn cancel_every(&self) {
        let tokens = {
            let mut state = self.state();
            // From here on they are turned away one by one, and none of them has to wait for its kind.
            state.line.lift_limits();
            let mut tokens = state.tokens();
            tokens.extend(state.line.iter().map(|job| job.work.token.clone()));
            tokens
        };
        for token in tokens {
            token.cancel();
        }
        self.work.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nobody in any more; workers end when the line is empty.
    fn shut(&self) {
        self.state().is_closed = true;
        self.places.close();
        for kind in self.kinds.values() {
            kind.close();
        }
        self.work.notify_all();
    }

    async fn wait_for_end(&self, limit: Duration) {
        let over = self.clock.sleep(limit);
        tokio::pin!(over);
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Before it is looked, so that no end in between is missed.
            ended.as_mut().enable();
            if self.state().workers_alive == 0 {
                return;
            }
            tokio::select! {
                biased;
                () = ended => {}
                () = &mut over => return,
            }
        }
    }

    fn leftover(&self) -> Leftover {
        let now = self.clock.now();
        let state = self.state();
        let waiting = state.line.iter();
        Leftover {
            running: state.running(now),
            waiting: waiting
                .map(|job| unfinished(&job.work, job.since, now))
                .collect(),
        }
    }

    fn closed(&self) -> Error {
        let text = format!("`{}` is closed and takes no more jobs", self.name);
        Error::new(ErrorKind::Closed, text)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

// === impl State ===

impl State {
    fn running(&self, now: Moment) -> Vec<Unfinished> {
        let running = self.running.values();
        running
            .map(|job| unfinished(&job.work, job.since, now))
            .collect()
    }

    /// Of those that run.
    fn tokens(&self) -> Vec<CancellationToken> {
        let running = self.running.values();
        running.map(|job| job.work.token.clone()).collect()
    }

    /// Takes out all that wait; they count as cancelled.
    fn empty_line(&mut self) -> Vec<Waiting> {
        let waiting = self.line.drain();
        self.counts.cancelled += waiting.len() as u64;
        waiting
    }

    fn count(&mut self, end: End) {
        let counts = &mut self.counts;
        let count = match end {
            End::Finished => &mut counts.finished,
            End::Failed => &mut counts.failed,
            End::Panicked => &mut counts.panicked,
            End::Cancelled => &mut counts.cancelled,
        };
        *count += 1;
    }
}

// === impl Waiting ===

impl Waiting {
    /// Answers that it was cancelled before it began; its places are free by then.
    pub(crate) fn cancel(self) {
        let Self {
            work,
            task,
            _places: places,
            ..
        } = self;
        drop(places);
        task.refuse(Error::cancelled(&work.name), &mut |_| {});
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("id", &self.id)
            .field("work", &self.work)
            .finish_non_exhaustive()
    }
}

// === impl Leftover ===

impl Leftover {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }
}

fn unfinished(work: &Work, since: Moment, now: Moment) -> Unfinished {
    Unfinished {
        name: Arc::clone(&work.name),
        kind: work.kind,
        since: now.since(since),
        is_cancelled: work.token.is_cancelled(),
    }
}

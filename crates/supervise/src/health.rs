//! Health is what was observed: checks that are run, with their time, and what they came to.

mod book;
mod check;
mod hysteresis;
mod runner;
mod snapshot;

pub use check::{CheckOutput, CheckSpec, HealthState, Observed};
pub use snapshot::{CheckStatus, HealthChange, HealthSnapshot, Observation, Readiness};

use crate::error::{Error, ErrorKind};
use crate::shared::locked;
use book::{Book, Entry};
use check::Check;
use mainstay_clock::SharedClock;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};

/// Checks, and what they came to. Clones are the same.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mainstay_supervise::{CheckSpec, Health, HealthState, Observed};
///
/// let health = Health::new(mainstay_clock::system())?;
/// assert_eq!(health.snapshot().state, HealthState::Unknown, "nothing was observed");
///
/// health.register(CheckSpec::new("disk").ready(), || async {
///     Observed::degraded("less than a tenth is free").with("free_bytes", 12_000_000)
/// })?;
/// assert_eq!(health.check_all().await.state, HealthState::Degraded);
/// assert!(health.readiness().await.is_ready);
/// # Ok(())
/// # }
/// ```
///
/// # Limits
///
/// | what | number | why |
/// |---|---|---|
/// | checks | 4,096 | two for each of the 1,024 lanes of a queue, and as many again |
/// | observations that are remembered of each | 100 | an hour at the default interval |
/// | changes that are remembered of all | 64 | a bad day |
/// | how far a subscriber may be behind | 256 changes | a burst; then it loses the oldest, and is told how many |
/// | details of an observation | 32, each text of 1 KiB at most | a person reads them |
/// | an observation counts for | three intervals and the time limit | after that nobody knows any more |
#[derive(Debug, Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: SharedClock,
    runtime: Handle,
    book: Mutex<Book>,
    changes: broadcast::Sender<HealthChange>,
    /// Wakes who runs the checks.
    registered: Notify,
}

impl Health {
    /// The checks at most: two for each lane of a queue, and more than anybody else needs.
    pub const CHECKS_MAX: usize = 4096;
    /// The changes that a subscriber may be behind.
    pub const SUBSCRIBER_BEHIND_MAX: usize = 256;

    /// One without checks, whose state is unknown; its checks run in the runtime that it is made in.
    ///
    /// # Errors
    ///
    /// `Refused`, outside of a runtime.
    pub fn new(clock: SharedClock) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|error| {
            let what = "cannot check health outside of a runtime";
            Error::new(ErrorKind::Refused, what).because(error)
        })?;
        let book = Mutex::new(Book::new());
        let shared = Shared {
            clock,
            runtime,
            book,
            changes: broadcast::Sender::new(Self::SUBSCRIBER_BEHIND_MAX),
            registered: Notify::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Adds a check. It is unknown until it was run.
    ///
    /// What asks a disk or somebody else's lock belongs to [`register_blocking`](Self::register_blocking): a check that waits for a
    /// thread is given up when its time is over, the thread is not, and the next run would take another.
    ///
    /// # Errors
    ///
    /// `Settings`, where the spec cannot work; `Taken`, where its name is; `Full`. It was not added.
    pub fn register<F, Fut>(&self, spec: CheckSpec, check: F) -> Result<(), Error>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: CheckOutput> + Send + 'static,
    {
        self.add(Check::new(spec, check))
    }

    /// Adds a check that blocks, and is run on a thread for that. One that hangs keeps that thread, and is not run again before it
    /// has come back.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn register_blocking<F, T>(&self, spec: CheckSpec, check: F) -> Result<(), Error>
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: CheckOutput,
    {
        self.add(Check::blocking(spec, check))
    }

    fn add(&self, check: Check) -> Result<(), Error> {
        check.spec.check()?;
        let mut book = self.book();
        let name = check.spec.name.to_string();
        if book.checks.contains_key(&name) {
            let what = format!("cannot register the check `{name}`: there is one of that name");
            return Err(Error::new(ErrorKind::Taken, what));
        }
        if Self::CHECKS_MAX <= book.checks.len() {
            let most = Self::CHECKS_MAX;
            let what = format!("cannot register the check `{name}`: there are {most} already");
            return Err(Error::new(ErrorKind::Full, what));
        }
        let entry = Entry::new(Arc::new(check), self.shared.clock.wall());
        book.checks.insert(name, entry);
        self.reviewed(&mut book);
        drop(book);
        self.shared.registered.notify_waiters();
        Ok(())
    }

    /// Removes a check; answers whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        let mut book = self.book();
        let was_there = book.checks.remove(name).is_some();
        self.reviewed(&mut book);
        was_there
    }

    /// What was observed last; nothing is run.
    pub fn snapshot(&self) -> HealthSnapshot {
        let clock = &self.shared.clock;
        self.book().snapshot(clock.now(), clock.wall())
    }

    /// The last observations of a check, the newest first, `limit` at most; none of one that there is not. Of all but the newest, state,
    /// message and times are kept, and no details.
    pub fn history(&self, name: &str, limit: usize) -> Vec<Observation> {
        let book = self.book();
        let entry = book.checks.get(name).into_iter();
        entry
            .flat_map(|entry| entry.history.iter().take(limit).cloned())
            .collect()
    }

    /// Every change of a check's state, and of the whole, from now on; each is told once. Whoever is behind by more than
    /// [`SUBSCRIBER_BEHIND_MAX`](Self::SUBSCRIBER_BEHIND_MAX) loses the oldest, and is told how many.
    pub fn subscribe(&self) -> broadcast::Receiver<HealthChange> {
        self.shared.changes.subscribe()
    }

    /// Whether there is no reason to start the process anew: no check of liveness is unhealthy. That nothing was observed is none.
    pub fn is_live(&self) -> bool {
        let snapshot = self.snapshot();
        let mut checks = snapshot.checks.values().filter(|check| check.live);
        checks.all(|check| check.state != HealthState::Unhealthy)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        locked(&self.shared.book)
    }

    /// Tells what changed; under the lock, so that subscribers see the order of the history.
    fn reviewed(&self, book: &mut Book) {
        if let Some(change) = book.review(self.shared.clock.wall()) {
            self.tell(change);
        }
    }

    fn tell(&self, change: HealthChange) {
        let (from, to) = (change.from.name(), change.to.name());
        let (check, why) = (change.check.as_deref().unwrap_or("all"), &change.why);
        if change.from < change.to && change.to != HealthState::Unknown {
            tracing::warn!(
                check,
                from,
                to,
                why,
                runbook = change.runbook,
                "health is worse"
            );
        } else {
            tracing::info!(check, from, to, why, "health changed");
        }
        // That nobody listens is no fault.
        self.shared.changes.send(change).ok();
    }
}

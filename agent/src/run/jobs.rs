//! The agent's jobs: long work that blocks a thread, at the wish of a person or to look after what is kept.
//!
//! Reading and moving documents in numbers, carrying archives, the scrub and the trash. All of them are done by one pool, so that
//! none is unseen: what runs and waits is shown, what takes long stands in the log every 10 s, and a stop cancels it. What answers at once (one document, a list of them) and
//! what a document waits for (pickup, hub, lookups, `submit`) does not go through here: it would wait behind a job of hours.
//!
//! # Defaults
//!
//! | what | number | why |
//! |---|---|---|
//! | jobs at once | 6, of each kind 1, imports and exports 2 | what looks after the rest has two threads at most, and one archive whose other end is slow holds up no other |
//! | jobs that wait | 16, of each kind 4, scrub and trash 1 | more than people ask for; whoever comes later is told that it is busy |
//! | who goes first | what a person asked for | somebody waits for it |
//! | time to give up at a stop | 2 s | a job looks after each document, or each 64 KiB; what does not is blocked, and is named |

mod book;

use super::fault::Faults;
use crate::exit::{Exit, Failure};
use crate::showing::is_long;
use crate::status;
use book::Book;
use mainstay_clock::SharedClock;
use mainstay_supervise::{Drained, InFlight};
use mainstay_work::{
    CancellationToken, Error, ErrorKind, Handle, Job, Kind as Limit, Leftover, LogLines, Place,
    Pool, PoolSettings, PoolStatus, Priority, Show, Snapshot, Ticket, Unit, Updates, Work,
};
use std::fmt;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What was told to give up has this time.
const GIVE_UP: Duration = Duration::from_secs(2);

/// Jobs at once, and waiting ones.
const AT_ONCE: usize = 6;
const WAITING: usize = 16;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Reads what is kept by backups.
    Scrub,
    /// Empties the trash of what is too old.
    Trash,
    /// Reads every document back.
    Verify,
    /// Takes an archive of documents.
    Import,
    /// Makes one.
    Export,
    /// Moves documents, or sends them again.
    Move,
}

/// All jobs; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    pool: Pool,
    clock: SharedClock,
    /// From the moment of a stop.
    stopping: CancellationToken,
    book: Arc<Book>,
    faults: Option<Faults>,
    /// What had been done when the stop began.
    before: Arc<OnceLock<PoolStatus>>,
    left: Arc<OnceLock<Leftover>>,
}

/// Cancels a job that nobody waits for any more.
struct GivesUp(Ticket);

/// What a job failed with, in the words for a person.
#[derive(Debug)]
struct Own(Failure);

/// Hears how far something is, and says whether it goes on.
pub(crate) trait Course: Send {
    /// The next phase begins, in which there is so much to do, where that is known.
    fn phase(&mut self, name: &'static str, unit: Unit, total: Option<u64>);

    /// So much more is done.
    ///
    /// # Errors
    /// It is to give up.
    fn done(&mut self, more: u64) -> Result<(), Failure>;
}

/// Nobody looks, and it goes on.
impl Course for () {
    fn phase(&mut self, _: &'static str, _: Unit, _: Option<u64>) {}

    fn done(&mut self, _: u64) -> Result<(), Failure> {
        Ok(())
    }
}

impl Course for Job {
    fn phase(&mut self, name: &'static str, unit: Unit, total: Option<u64>) {
        self.progress().phase(name, unit, total);
    }

    fn done(&mut self, more: u64) -> Result<(), Failure> {
        self.progress().add(more);
        self.check()
            .map_err(|_| Failure::new(Exit::StoppedEarly, "it was given up"))
    }
}

/// Waits for a job, and says in the log how far it is; dropped, it cancels it.
async fn finished<T>(handle: Handle<T>) -> Result<T, Error> {
    let ticket = handle.ticket().clone();
    let _gives_up = GivesUp(ticket.clone());
    let lines = ticket.updates(Updates::LOG).show(long_ones(LogLines));
    tokio::join!(handle, lines).0
}

/// Shows only what takes long: of the others the log would have two lines each that nobody needs.
fn long_ones(mut on: impl Show) -> impl Show {
    move |snapshot: &Snapshot| {
        if is_long(snapshot) {
            on.show(snapshot);
        }
    }
}

/// Whether a job came to nothing because all jobs are over.
pub(super) fn is_over(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Closed)
}

/// What a job failed with by itself: for whoever asked for it to tell, and no death of its task.
///
/// # Errors
/// It died, or was given up.
pub(super) fn failed_by_itself(error: Error) -> Result<Failure, mainstay_work::Failure> {
    match error.kind() {
        ErrorKind::Failed => into_own(error).map(|own| own.0),
        _ => Err(error.into()),
    }
}

// === impl Jobs ===

impl Jobs {
    /// None yet; its threads wait for them.
    ///
    /// # Errors
    /// The system gives no threads.
    pub(super) fn new(clock: &SharedClock, faults: Option<Faults>) -> Result<Self, Failure> {
        let settings = PoolSettings {
            workers: AT_ONCE,
            waiting: WAITING,
            kinds: Kind::ALL.map(Kind::limit).to_vec(),
        };
        let pool = Pool::new("jobs", &settings, clock.clone()).map_err(|error| {
            Failure::new(Exit::StartFailed, "the agent has no threads for its jobs").because(error)
        })?;
        Ok(Self {
            pool,
            clock: clock.clone(),
            stopping: CancellationToken::new(),
            book: Arc::default(),
            faults,
            before: Arc::default(),
            left: Arc::default(),
        })
    }

    /// Has a job done that a person asked for, and waits for what it comes to; dropped, it is cancelled.
    ///
    /// # Errors
    /// As `work`; too many wait already; it died, or was given up by a stop.
    pub(crate) async fn run<T, F>(&self, kind: Kind, name: &str, work: F) -> Result<T, Failure>
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let place = self.place(kind, name)?;
        let handle = place.submit(self.listed(kind, name, work));
        finished(handle)
            .await
            .map_err(|error| self.told(name, error))
    }

    /// Has a job done that a person asked for; `then` hears what it came to, and whether it was cancelled, on its thread, or where it
    /// never began, on that of whoever cancelled it.
    ///
    /// # Errors
    /// Too many wait already; nothing was begun.
    pub(crate) fn start<T, F>(
        &self,
        kind: Kind,
        name: &'static str,
        work: F,
        then: impl FnOnce(Result<T, Failure>, bool) + Send + 'static,
    ) -> Result<(), Failure>
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let place = self.place(kind, name)?;
        let jobs = self.clone();
        let told = move |done: Result<T, Error>| {
            let cancelled = ErrorKind::Cancelled;
            let is_cancelled = { done.as_ref() }.is_err_and(|error| error.kind() == cancelled);
            then(done.map_err(|error| jobs.told(name, error)), is_cancelled);
        };
        place.submit_then(self.listed(kind, name, work), told);
        Ok(())
    }

    /// Has a job of the agent's own done once it is its turn; dropped, it is cancelled.
    ///
    /// # Errors
    /// It was cancelled by a stop, or died.
    pub(super) async fn keep<T, F>(&self, kind: Kind, name: &str, work: F) -> Result<T, Error>
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let place = self.pool.place(self.work(kind, name)).await?;
        finished(place.submit(self.listed(kind, name, work))).await
    }

    fn work(&self, kind: Kind, name: &str) -> Work {
        let work = Work::new(name).kind(kind.word()).priority(kind.priority());
        work.cancelled_by(&self.stopping)
    }

    fn place(&self, kind: Kind, name: &str) -> Result<Place, Failure> {
        let place = self.pool.try_place(self.work(kind, name));
        place.map_err(|error| self.told(name, error))
    }

    /// The work with all that is around each.
    fn listed<T, F>(
        &self,
        kind: Kind,
        name: &str,
        work: F,
    ) -> impl FnOnce(&mut Job) -> Result<T, mainstay_work::Failure> + Send + use<T, F>
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
    {
        let (listed, faults) = (
            self.book.list(kind, name, self.clock.now()),
            self.faults.clone(),
        );
        let clock = self.clock.clone();
        move |job: &mut Job| {
            listed.begins(job.progress().watch(), clock.now());
            if let Some(faults) = faults {
                faults.met_by_a_job(job)?;
            }
            work(job).or_else(|failure| {
                // Whatever else went wrong, it went wrong because it was cancelled.
                job.check()?;
                Err(Own(failure).into())
            })
        }
    }

    /// Why a job came to nothing, for whoever asked for it.
    fn told(&self, name: &str, error: Error) -> Failure {
        match error.kind() {
            ErrorKind::Full => {
                let PoolStatus {
                    running, waiting, ..
                } = self.pool.status();
                let (run, all) = (running.len(), running.len() + waiting);
                let message = format!(
                    "the agent is busy: {run} of its {all} jobs run, the others wait, and `{name}` has no place in the line"
                );
                Failure::new(Exit::StoppedEarly, message)
                    .help("try again once they are done; `mainstay status` shows them")
            }
            ErrorKind::Cancelled | ErrorKind::Closed => {
                let message = format!("the agent stops, or begins anew, and gave `{name}` up");
                Failure::new(Exit::StoppedEarly, message)
                    .help("run it again; what was done before stays done")
            }
            ErrorKind::Failed => match into_own(error) {
                Ok(own) => own.0,
                Err(other) => {
                    Failure::new(Exit::Unexpected, format!("`{name}` failed")).because(other)
                }
            },
            _ => Failure::new(Exit::Unexpected, format!("`{name}` died, which is a bug"))
                .because(error)
                .help("report it with the log of the agent; nothing else of it is touched"),
        }
    }

    /// Those that run, and those that wait, in the order in which they were handed in.
    pub(crate) fn status(&self, wall: u64) -> Vec<status::Job> {
        let now = self.clock.now();
        let all = self.book.all().into_iter();
        all.map(|entry| entry.told(now, wall, self.stopping.is_cancelled()))
            .collect()
    }

    /// What was done, in the text format of Prometheus.
    pub(crate) fn prometheus(&self) -> String {
        let status = self.pool.status();
        let mut text = String::new();
        for (name, kind, value) in [
            (
                "mainstay_jobs_running",
                "gauge",
                status.running.len() as u64,
            ),
            ("mainstay_jobs_waiting", "gauge", status.waiting as u64),
            ("mainstay_jobs_refused_total", "counter", status.refused),
        ] {
            // A string takes everything.
            writeln!(text, "# TYPE {name} {kind}\n{name} {value}").ok();
        }
        text.push_str("# TYPE mainstay_jobs_total counter\n");
        for (end, value) in [
            ("finished", status.finished),
            ("failed", status.failed),
            ("panicked", status.panicked),
            ("cancelled", status.cancelled),
        ] {
            writeln!(text, "mainstay_jobs_total{{end=\"{end}\"}} {value}").ok();
        }
        text
    }

    // === At a stop ===

    /// Takes nothing new, and tells all to give up.
    pub(super) fn give_up(&self) {
        self.before.get_or_init(|| self.pool.status());
        self.stopping.cancel();
    }

    pub(super) fn in_flight(&self) -> Vec<InFlight> {
        let all = self.book.all().into_iter();
        all.map(|entry| InFlight {
            since: entry.since,
            what: entry.words(),
        })
        .collect()
    }

    /// Waits until all have given up, for as long as they may take.
    pub(super) async fn over(&self) -> Drained {
        let left = self.pool.close(GIVE_UP).await;
        self.left.get_or_init(|| left);
        self.so_far()
    }

    /// What became of them by now; those that still run are given up.
    pub(super) fn so_far(&self) -> Drained {
        let now = self.pool.status();
        let before = self.before.get_or_init(|| now.clone());
        let still = now.running.len() as u64;
        Drained {
            completed: now.finished - before.finished,
            cancelled: now.cancelled - before.cancelled + still,
            left: 0,
        }
    }

    /// # Errors
    /// The names of those that did not give up in time.
    pub(super) fn verify_over(&self) -> Result<(), String> {
        let left = self.left.get().into_iter().flat_map(|left| &left.running);
        let names: Vec<String> = left
            .map(|job| format!("`{}`, for {:.1} s", job.name, job.since.as_secs_f64()))
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let names = names.join("; ");
        Err(format!("jobs that do not give up are left behind: {names}"))
    }
}

// === impl Kind ===

impl Kind {
    const ALL: [Self; 6] = [
        Self::Scrub,
        Self::Trash,
        Self::Verify,
        Self::Import,
        Self::Export,
        Self::Move,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Scrub => "scrub",
            Self::Trash => "trash",
            Self::Verify => "verify",
            Self::Import => "import",
            Self::Export => "export",
            Self::Move => "move",
        }
    }

    fn limit(self) -> Limit {
        let (at_once, waiting) = match self {
            Self::Scrub | Self::Trash => (1, 1),
            Self::Verify | Self::Move => (1, 4),
            Self::Import | Self::Export => (2, 4),
        };
        Limit {
            name: self.word(),
            at_once,
            waiting,
        }
    }

    fn priority(self) -> Priority {
        match self {
            Self::Scrub | Self::Trash => Priority::Low,
            _ => Priority::High,
        }
    }
}

impl Drop for GivesUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

// === impl Own ===

/// What a job failed with in our own words, or in others'.
fn into_own(error: Error) -> Result<Own, mainstay_work::Failure> {
    match error.into_failure() {
        Some(failure) => failure.downcast::<Own>().map(|own| *own),
        None => Err("it did not say why".into()),
    }
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.account())
    }
}

impl std::error::Error for Own {}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use mainstay_work::Progress;

    #[test]
    fn only_a_job_that_takes_long_has_lines_in_the_log() {
        let clock = ManualClock::new();
        let progress = Progress::new("scrub", Arc::new(clock.clone()));
        let mut told = Vec::new();
        let mut lines = long_ones(|snapshot: &Snapshot| told.push(snapshot.done));
        for done in 1..=3 {
            progress.add(1);
            assert_eq!(progress.watch().snapshot().done, done);
            lines.show(&progress.watch().snapshot());
            clock.advance(Duration::from_secs(6));
        }
        drop(lines);
        assert_eq!(told, [3]);
    }

    #[tokio::test]
    async fn how_jobs_ended_is_counted_and_a_failure_keeps_its_words() {
        let jobs = Jobs::new(&mainstay_clock::system(), None).unwrap();
        assert_eq!(jobs.run(Kind::Verify, "one", |_| Ok(7)).await.unwrap(), 7);
        let fails = |_: &mut Job| Err::<(), _>(Failure::new(Exit::NoInput, "there is nothing"));
        let failure = jobs.run(Kind::Move, "two", fails).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::NoInput);
        assert_eq!(failure.to_string(), "there is nothing");
        jobs.give_up();
        let failure = jobs.run(Kind::Move, "three", |_| Ok(())).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::StoppedEarly);
        jobs.over().await;
        jobs.verify_over().unwrap();
        let told = jobs.prometheus();
        for line in [
            "mainstay_jobs_running 0",
            "mainstay_jobs_waiting 0",
            "mainstay_jobs_refused_total 0",
            "mainstay_jobs_total{end=\"finished\"} 1",
            "mainstay_jobs_total{end=\"failed\"} 1",
            "mainstay_jobs_total{end=\"cancelled\"} 1",
        ] {
            assert!(told.lines().any(|told| told == line), "{line} in {told}");
        }
    }
}

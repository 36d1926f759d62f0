//! Long work never blocks what a person looks at, and can be cancelled.
//!
//! ```
//! use mainstay_work::{Pool, PoolSettings, Priority, Unit, Work};
//! use std::time::Duration;
//!
//! let pool = Pool::new("work", &PoolSettings::default(), mainstay_clock::system())?;
//! let work = Work::new("scrub").priority(Priority::Low);
//! let mut scrub = pool.try_submit(work, |job| {
//!     job.progress().phase("reading", Unit::Items, Some(3));
//!     for file in 1..=3 {
//!         job.check()?; // ends here once somebody cancels it
//!         job.progress().reach(file);
//!     }
//!     Ok("nothing damaged")
//! })?;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let mut updates = scrub.ticket().updates(Duration::from_millis(250));
//! while let Some(progress) = updates.next().await {
//!     tracing::info!("{progress}"); // scrub, reading: 3 of 3 (100 %), done in 0.0 s
//! }
//! assert_eq!(scrub.await?, "nothing damaged");
//! assert!(pool.close(Duration::from_secs(5)).await.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - **W1** A [`Pool`] runs no more jobs than it has workers, and lets no more wait than it has places, in all and of each
//!   [`Kind`]; whoever comes later is told at once or waits in the order of arrival. What waits gives its place back when it is
//!   cancelled.
//! - **W2** Of those that wait and whose kind has room, the most urgent goes first, and the oldest of those; after 16 jobs in a row that
//!   passed over a less urgent [`Priority`], its oldest goes, so that nobody starves.
//! - **W3** A job that panics is an error with the text of its panic, and its worker goes on. Every job is answered once, by
//!   handle, callback or channel, also when it was never begun.
//! - **W4** A job is never ended by force. [`Pool::close`] asks all to stop, waits no longer than it may, and names those that have
//!   not. Dropping a pool or a handle never waits.
//! - **W5** Whoever watches a [`Progress`] hears of its first state at once, then no more often than at its own interval, and always of
//!   the last: whether the work is done, failed, was cancelled, panicked or was dropped. No number goes back.
//! - **W6** What is posted to an [`Inbox`] runs on the thread that made it, in its order, and wakes its event loop once until it
//!   looks; no flood keeps that loop from its other work.
//! - **W7** A debounced value is told after its pause, and at the latest at its longest wait; the last one is never lost, unless it
//!   is taken back.
//! - **W8** Every way out of what is measured counts, with its outcome; what lies above its target is kept with its place, whatever
//!   its level; all of it in bounded memory. Times and memory cannot be mixed up.
//!
//! Time comes from a [`Clock`](mainstay_clock::Clock): a date that jumps changes nothing.
//!
//! # Does not promise
//!
//! - To stop a job that does not look whether it is cancelled: [`Job::check`] and [`Job::pause`] do, a system call that blocks does
//!   not.
//! - That a callback may take its time: it is part of its job.
//! - To survive a process that is built to abort at a panic.
//! - Anything across a restart: what must survive lies in the queue.
//! - To draw anything. The agent owns the terminal: it hands in what shows a [`Snapshot`] ([`Show`]); here are only lines for a log.
//!
//! # Limits
//!
//! | what | number | why |
//! |---|---|---|
//! | workers of a pool | 1,024 | more threads cost more than they bring |
//! | jobs that pass over a less urgent one | 16 in a row | a sixteenth of the turns is little for the urgent, and enough for the rest; where two priorities are due, one waits for one turn more |
//! | rate of a progress | of the last 10 s, 40 samples | steady, and soon right again after a change |
//! | closures that wait in an inbox | 256, or as chosen | four seconds of a screen that changes 60 times in one |
//! | operations with a budget | 256 | of 30 KiB each |
//! | measurements of which percentiles are exact | the newest 1,024 | ten of them lie above the p99; of all, percentiles are right within 1 % |
//! | violations that are kept | 256 | a bad hour; older ones stay counted |
//!
//! Every number that a person may change stands in the `# Defaults` table of its settings.
//!
//! # When it fails
//!
//! An [`Error`] says by its kind what to do: there is no place yet, it was cancelled, it panicked, it failed by itself (then the
//! source is its own error), it did not stop. Nothing of that stops a worker.
//!
//! # Platforms
//!
//! All that tokio runs on; measured on Linux. Waiting needs no runtime where a function says that it blocks the thread.
//!
//! # Why not just rayon, `spawn_blocking` and indicatif?
//!
//! rayon has no priorities, no limit of what waits, and nothing to cancel; `spawn_blocking` has 512 threads, a line without an end, and
//! an end of the runtime that waits for what does not stop. indicatif draws, and here nobody draws: what shows a progress is handed
//! in, so that a terminal, a log and a console see the same, each as often as it wants.

mod error;

mod line;

mod settings;

mod job;

mod task;

mod pool;

mod handle;

mod progress;

mod owner_thread;

mod debounce;

mod bytes;

mod budget;

pub use budget::{
    Amount, Budget, BudgetReport, Budgets, Level, Measuring, Operation, OperationReport, Outcome,
    Percentiles, Reading, Violation,
};
pub use bytes::Bytes;
pub use debounce::{DebounceSettings, Debounced, Trigger, debounce};
pub use error::{Error, ErrorKind, Failure};
pub use handle::{Handle, Ticket};
pub use job::{Job, Work};
pub use line::Priority;
pub use owner_thread::{Answered, INBOX_DEFAULT, Inbox, Poster, Turn, inbox};
pub use pool::{Leftover, Place, Pool, PoolStatus, Unfinished};
pub use progress::{
    Counter, LogLines, Progress, ProgressState, Show, Snapshot, Unit, Updates, Watch,
};
pub use settings::{Kind, PoolSettings};
pub use task::Done;
pub use tokio_util::sync::CancellationToken;

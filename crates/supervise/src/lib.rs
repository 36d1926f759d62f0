//! No task dies unseen.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mainstay_supervise::{
//!     Event, Supervisor, SupervisorSettings, TaskContext, TaskSpec,
//! };
//! # use mainstay_resilience::Backoff;
//! # use std::time::Duration;
//! # let at_once = Backoff::doubling(Duration::from_millis(1), Duration::from_millis(2));
//!
//! let supervisor = Supervisor::new(SupervisorSettings::default(), mainstay_clock::system())?;
//! let mut events = supervisor.subscribe();
//! let spec = TaskSpec::new("the pickup").critical();
//! # let spec = spec.backoff(at_once);
//! supervisor.spawn(spec, |context: TaskContext| async move {
//!     if context.attempt() == 1 {
//!         return Err("the folder is away");
//!     }
//!     context.stopping().await;
//!     Ok(())
//! })?;
//! supervisor.started();
//! while !matches!(events.recv().await?, Event::Restarting { .. }) {}
//!
//! supervisor.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Promises
//!
//! - **S4** However a task or thread ends, by a panic, an error, a return that nobody asked for, by being dropped or with its
//!   runtime, a [`Supervisor`] sees it: counted, logged with its causes, told to subscribers, kept in the status. The rest goes on.
//! - **S5** A task that fails is started again after a growing pause, no more often than its limit allows; past it, a critical one
//!   puts the service in error, another one degrades it, until somebody has seen to it.
//! - **S6** A task that misses its heartbeat, a runtime that stands still, and a task that outlives its [`Owner`] are seen while it
//!   lasts, by a thread that hangs on none of them.
//!
//! # Does not promise
//!
//! - To end a thread, or a task that blocks one: nothing can. It is named, and not started beside itself.
//!
//! # Limits
//!
//! | what | number | why |
//! |---|---|---|
//! | tasks at once | 100,000, a setting | 100 MB; more are a leak |
//! | tasks that failed for good and are remembered | 256 | those that are not critical give way first |
//! | changes of the service that are remembered | 64 | a bad day |
//! | failures that are remembered with their causes | 1,000 | as in [`ErrorLog`](mainstay_resilience::ErrorLog) |
//! | how far a subscriber may be behind | 256 | a burst; then it loses the oldest, and is told how many |
//!
//! # When it fails
//!
//! What cannot work is refused where it enters, by an [`Error`] whose [`kind`](Error::kind) says what the caller can do; nothing was
//! started or registered then. A thread that the system refuses is a failure of its task like any other. A subscriber that is too
//! slow loses the oldest events and is told how many; what matters stands in the status, too.
//!
//! # Platforms
//!
//! All that tokio runs on; measured on Linux.
//!
//! # Why not just a `JoinSet`, or tokio-util's `TaskTracker`?
//!
//! They tell who waits for them that a task ended. Nobody who does not wait is told, nothing is started again, a task that hangs is
//! none of theirs, and a stop that waits for all of them has no end.

mod error;

mod spec;

mod settings;

mod supervisor;

mod task;

mod drive;

mod failure;

mod monitor;

mod state;

mod board;

mod event;

mod shared;

pub use error::{Error, ErrorKind};
pub use event::{Event, TaskName};
pub use failure::{Failure, FailureKind, TaskError, TaskOutput};
pub use settings::SupervisorSettings;
pub use spec::{Restart, RestartLimit, TaskSpec, Until};
pub use state::{Counts, ServiceState, ServiceStatus, StateChange, TaskState, TaskStatus};
pub use supervisor::{Owner, Supervisor};
pub use task::{TaskContext, TaskHandle};

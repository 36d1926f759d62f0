//! No task dies unseen; stopping is phased and bounded; health is what was observed.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mainstay_supervise::{
//!     Event, StopOutcome, StopSettings, Stopping, Supervisor, SupervisorSettings, TaskContext, TaskSpec,
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
//! let stopping = Stopping::new(&supervisor, StopSettings::default())?;
//! stopping.signal().ask("SIGTERM");
//! assert_eq!(stopping.run().await.outcome, StopOutcome::Clean);
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
//! - **S7** A [`Stopping`] comes to its end within [`longest`](Stopping::longest), whatever hangs, fails or panics in it: each
//!   component and hook is reached, in reverse, and what does not listen is abandoned by name. A second request ends it at once.
//! - **S8** [`Health`] is what was observed: without checks, before they ran and when they are no longer run, it is unknown. A check
//!   that hangs, blocks or panics is unhealthy in its time and holds up no other. Each change is told once.
//! - **S9** What is opened and closed again leaves no task, descriptor, thread, child or memory behind.
//!
//! # Does not promise
//!
//! - To end a thread, or a task that blocks one: nothing can. It is named, and not started beside itself.
//! - That a component that blocks where it must not ([`pause`](Component::pause) may, [`in_flight`](Component::in_flight) and
//!   [`cancel`](Component::cancel) may not) keeps to any time.
//! - A stop on a runtime whose every thread is blocked: it waits for one like everything else. The monitor tells of it.
//! - That anything was stopped well: a kill at any instant has to be survived without it.
//! - Anything after the process: whoever wants to know of earlier lives keeps the [`StopRecord`].
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
//! | steps of a stop | 256 | they are named by people |
//! | lives that a [`StopRecord`] remembers | 32 | a month of nightly restarts |
//! | checks | 4,096 | two for each of the 1,024 lanes of a queue, and as many again |
//! | observations that are remembered of each | 100 | an hour at the default interval |
//!
//! What it costs was measured with `examples/overhead.rs`: a task 0.9 µs more than one of tokio alone (0.25 µs), a
//! pass of 20 cheap checks 20 µs (2 cores, 2026-11-22).
//!
//! # When it fails
//!
//! What cannot work is refused where it enters, by an [`Error`] whose [`kind`](Error::kind) says what the caller can do; nothing was
//! started or registered then. A thread that the system refuses is a failure of its task like any other. A subscriber that is too
//! slow loses the oldest events and is told how many; what matters stands in the status, too.
//!
//! # Platforms
//!
//! All that tokio runs on. Linux is tested and measured; the tests were run under Wine too, as programs of Windows. What asks for a
//! stop is different on each: see [`Requests`]; a service of Windows begins with `run_as_service`, which is there only on Windows.
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

mod stopping;

mod requests;

mod health;

mod holding;

mod bounded;

mod exposition;

pub use bounded::StepOutcome;
pub use error::{Error, ErrorKind};
pub use event::{Event, TaskName};
pub use failure::{Failure, FailureKind, TaskError, TaskOutput};
pub use health::{
    CheckOutput, CheckSpec, CheckStatus, Health, HealthChange, HealthSnapshot, HealthState,
    Observation, Observed, Readiness,
};
pub use holding::{Held, HeldStatus, Holdings, Resource, StillHeld};
pub use requests::{Request, Requests};
#[cfg(windows)]
pub use requests::{ServiceReport, run_as_service};
pub use settings::SupervisorSettings;
pub use spec::{Restart, RestartLimit, TaskSpec, Until};
pub use state::{Counts, ServiceState, ServiceStatus, StateChange, TaskState, TaskStatus};
pub use stopping::{
    Asked, BadStops, Component, ComponentOutcome, ComponentReport, Drained, InFlight, PhaseReport,
    RecordedLife, RecordedStop, Remaining, StepReport, StopOutcome, StopPhase, StopProgress,
    StopRecord, StopReport, StopSettings, StopSignal, Stopping, TasksReport,
};
pub use supervisor::{Owner, Supervisor};
pub use task::{TaskContext, TaskHandle};

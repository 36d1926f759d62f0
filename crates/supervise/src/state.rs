//! How the service and its tasks stand.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};

/// How the service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// It was made, and has not said that all of it runs.
    Starting,
    /// All runs as it should.
    Running,
    /// It works, but not as it should.
    Degraded,
    /// It does not do what it is for: something critical is missing.
    Error,
    /// It was asked to stop.
    Stopping,
    /// It stopped.
    Stopped,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It was handed over, and has not been polled.
    Starting,
    /// It runs.
    Running,
    /// It runs, and has not beaten in time.
    Silent,
    /// It failed, and waits to be started again.
    Waiting,
    /// It was asked to stop, and still runs.
    Stopping,
    /// It failed for good.
    Failed,
}

/// A change of the service's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// From.
    pub from: ServiceState,
    /// To.
    pub to: ServiceState,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Why.
    pub why: String,
}

/// How a task stands, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskStatus {
    /// Which one.
    pub id: u64,
    /// What people call it.
    pub name: String,
    /// Whether the service is in error without it.
    pub critical: bool,
    /// Whether it is a thread.
    pub thread: bool,
    /// Who has it, where that is not the supervisor itself.
    pub owner: Option<String>,
    /// How it stands.
    pub state: TaskState,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// How often it was started.
    pub attempts: u32,
    /// How often it failed.
    pub failures: u32,
    /// What it failed with last.
    pub last_failure: Option<Failure>,
}

/// What happened since the supervisor was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tasks that were started.
    pub spawned: u64,
    /// Tasks that ended, however.
    pub ended: u64,
    /// Tasks that were dropped before their end: aborted, or their runtime went away.
    pub cancelled: u64,
    /// Panics.
    pub panics: u64,
    /// Errors.
    pub errors: u64,
    /// Returns that nobody had asked for.
    pub early_returns: u64,
    /// Heartbeats that did not come in time.
    pub silences: u64,
    /// Restarts.
    pub restarts: u64,
    /// Tasks that failed for good.
    pub given_up: u64,
    /// Tasks that outlived their owner.
    pub leaks: u64,
    /// Times at which the runtime stood still.
    pub stalls: u64,
}

/// How the service stands: what, since when, why, and what was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceStatus {
    /// What.
    pub state: ServiceState,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Why, where there is more to say than the word.
    pub why: Option<String>,
    /// All reasons for which it is not running as it should, the worst first.
    pub troubles: Vec<String>,
    /// The tasks that run, or failed for good, by their ids.
    pub tasks: Vec<TaskStatus>,
    /// What happened.
    pub counts: Counts,
    /// The last changes, the newest first.
    pub history: Vec<StateChange>,
}

// === impl TaskStatus ===

impl TaskStatus {
    /// Whether it runs, or will again.
    pub fn is_alive(&self) -> bool {
        self.state != TaskState::Failed
    }
}

// === impl ServiceState ===

impl ServiceState {
    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Error => "error",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

//! What subscribers are told.

use crate::failure::Failure;
use crate::state::StateChange;
use serde::Serialize;
use serde::ser::Serializer;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened to a task, to the runtime, or to the service as a whole.
///
/// Whoever subscribes gets each once. An end that was asked for, and one that was expected, is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A task failed, and is started again.
    Restarting {
        /// Which one.
        task: TaskName,
        /// What it failed with.
        failure: Failure,
        /// After this wait.
        #[serde(rename = "after_ms", serialize_with = "millis")]
        after: Duration,
    },
    /// A task failed, and is not started again.
    Failed {
        /// Which one.
        task: TaskName,
        /// What it failed with.
        failure: Failure,
    },
    /// A task did not beat in time. Where it can be dropped and started again, that is told next.
    Silent {
        /// Which one.
        task: TaskName,
        /// What is to be known of it.
        failure: Failure,
    },
    /// A task that was silent beats again.
    Beats {
        /// Which one.
        task: TaskName,
    },
    /// A task runs though its owner is gone.
    Leaked {
        /// Which one.
        task: TaskName,
        /// Whose it was.
        #[serde(serialize_with = "text")]
        owner: Arc<str>,
    },
    /// A task that had leaked ended.
    LeakEnded {
        /// Which one.
        task: TaskName,
    },
    /// The runtime runs no tasks.
    Stalled {
        /// For so long by now.
        #[serde(rename = "for_ms", serialize_with = "millis")]
        since: Duration,
    },
    /// The runtime runs tasks again.
    Flows,
    /// The state of the service changed.
    Service(StateChange),
}

/// Which task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskName {
    /// Its id.
    pub id: u64,
    /// What people call it.
    #[serde(serialize_with = "text")]
    pub name: Arc<str>,
    /// Whether the service is in error without it.
    pub critical: bool,
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_millis() as u64)
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

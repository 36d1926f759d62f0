//! Work of others that may hang, panic or fail, and holds nobody up.

use crate::failure::{TaskError, told, words_of};
use mainstay_clock::Clock;
use mainstay_resilience::within;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "why", rename_all = "snake_case")]
pub enum StepOutcome {
    /// It was not begun, as all was to end at once.
    NotReached,
    /// It was done.
    Done,
    /// It failed, with this error.
    Failed(String),
    /// It panicked, with these words.
    Panicked(String),
    /// It was given up when its time was over.
    TimedOut,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    Panicked(String),
    TimedOut,
}

/// Runs on a task of its own, so that one that blocks its thread holds up no other; given up after its time, or with its caller.
pub(crate) async fn bounded<T: Send + 'static>(
    runtime: &Handle,
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, NoAnswer> {
    let task = AbortOnDropHandle::new(runtime.spawn(work));
    match within(clock, limit, task).await {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => Err(NoAnswer::Panicked(words_of_end(error))),
        None => Err(NoAnswer::TimedOut),
    }
}

/// Calls what must not block, and may panic.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(words_of)
}

/// Why a task ended without a result.
pub(crate) fn words_of_end(error: JoinError) -> String {
    error
        .try_into_panic()
        .map_or_else(|error| error.to_string(), words_of)
}

impl StepOutcome {
    pub(crate) fn of(answer: Result<Result<(), TaskError>, NoAnswer>) -> Self {
        match answer {
            Ok(Ok(())) => Self::Done,
            Ok(Err(error)) => Self::Failed(told(&*error)),
            Err(NoAnswer::Panicked(words)) => Self::Panicked(words),
            Err(NoAnswer::TimedOut) => Self::TimedOut,
        }
    }

    /// Whether it was done.
    pub fn is_done(&self) -> bool {
        *self == Self::Done
    }
}

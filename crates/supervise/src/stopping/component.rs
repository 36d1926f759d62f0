//! What is drained and closed when all is stopped.

use crate::failure::{TaskError, TaskOutput};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use mainstay_clock::Moment;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something that has work under way, and has to be closed.
///
/// What is not asynchronous here must not block, as the stop waits for it.
pub trait Component: Send + Sync + 'static {
    /// What people call it.
    fn name(&self) -> &str;

    /// From now on it takes nothing new; what is under way goes on.
    fn pause(&self) {}

    /// What is under way, and since when: what people are shown, and what is named when it is abandoned.
    fn in_flight(&self) -> Vec<InFlight> {
        Vec::new()
    }

    /// Ready when nothing is under way any more; it goes on being polled when it is told to give up.
    fn drain(&self) -> BoxFuture<'_, Drained> {
        ready(Drained::default()).boxed()
    }

    /// What became of its work so far: asked where its drain did not come to its end, and by nothing else.
    fn so_far(&self) -> Drained {
        Drained::default()
    }

    /// What is under way is to be given up; the drain ends soon after.
    fn cancel(&self) {}

    /// Gives back all that it holds; called once, whatever became of the drain.
    fn close(&self) -> BoxFuture<'_, Result<(), TaskError>> {
        ready(Ok(())).boxed()
    }
}

/// Something under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// What.
    pub what: String,
    /// Since when.
    pub since: Moment,
}

/// What became of the work that was under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// So much was finished.
    pub completed: u64,
    /// So much was given up.
    pub cancelled: u64,
    /// So much waits for the next start.
    pub left: u64,
}

/// A component, a hook or a verification.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) limit: Duration,
    pub(super) make: Make,
}

type Hook = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), TaskError>> + Send>;

pub(super) enum Make {
    Component(Arc<dyn Component>),
    Hook(Hook),
}

impl Make {
    pub(super) fn hook<F, Fut>(hook: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output: TaskOutput> + Send + 'static,
    {
        Self::Hook(Box::new(|| {
            // The call, too, happens where its panic is caught and its time is counted.
            async move { hook().await.into_result() }.boxed()
        }))
    }

    /// What it does when all has ended.
    pub(super) fn last(self) -> BoxFuture<'static, Result<(), TaskError>> {
        match self {
            Self::Component(component) => async move { component.close().await }.boxed(),
            Self::Hook(hook) => hook(),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Step").field(&self.name).finish()
    }
}

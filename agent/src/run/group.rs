//! What is stopped together: it takes nothing new, finishes what it has, and gives up what takes too long.

use super::jobs::Jobs;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mainstay_clock::{Moment, SharedClock};
use mainstay_queue::Queue;
use mainstay_supervise::{Component, Drained, InFlight, TaskError, TaskHandle};
use std::fmt;
use std::sync::OnceLock;

/// Counts what a group has under way, in words.
type UnderWay = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// Says what became of it, once its tasks are over.
type Became = Box<dyn Fn() -> Drained + Send + Sync>;

/// Tasks that are stopped together.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) tasks: Vec<TaskHandle>,
    pub(super) under_way: UnderWay,
    pub(super) became: Became,
    pub(super) clock: SharedClock,
    /// When it was told to take nothing new.
    pub(super) paused: OnceLock<Moment>,
}

/// The jobs: they give up when all is to stop, since each can be asked for again, and some take hours.
#[derive(Debug)]
pub(super) struct GivingUp(pub(super) Jobs);

/// The queue, which is closed last.
#[derive(Debug)]
pub(super) struct Closing(pub(super) Queue);

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.name)
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

impl Component for Group {
    fn name(&self) -> &str {
        self.name
    }

    fn pause(&self) {
        self.paused.get_or_init(|| self.clock.now());
        for task in &self.tasks {
            task.cancel();
        }
    }

    fn in_flight(&self) -> Vec<InFlight> {
        let since = *self.paused.get_or_init(|| self.clock.now());
        let under_way = (self.under_way)().into_iter();
        under_way.map(|what| InFlight { what, since }).collect()
    }

    fn drain(&self) -> BoxFuture<'_, Drained> {
        async move {
            for task in &self.tasks {
                task.over().await;
            }
            (self.became)()
        }
        .boxed()
    }

    fn so_far(&self) -> Drained {
        (self.became)()
    }

    fn cancel(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Component for GivingUp {
    fn name(&self) -> &'static str {
        "the jobs"
    }

    fn pause(&self) {
        self.0.give_up();
    }

    fn in_flight(&self) -> Vec<InFlight> {
        self.0.in_flight()
    }

    fn drain(&self) -> BoxFuture<'_, Drained> {
        self.0.over().boxed()
    }

    fn so_far(&self) -> Drained {
        self.0.so_far()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), TaskError>> {
        async move { self.0.verify_over().map_err(TaskError::from) }.boxed()
    }
}

impl Component for Closing {
    fn name(&self) -> &'static str {
        "the queue"
    }

    fn close(&self) -> BoxFuture<'_, Result<(), TaskError>> {
        async move {
            let closed = self.0.clone().close().await;
            closed.complaint().map_or(Ok(()), |why| Err(why.into()))
        }
        .boxed()
    }
}

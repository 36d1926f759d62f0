//! Whether a document could be taken now: somebody has to be there who takes it, and the queue has to have room.

use super::agent::{Agent, Source};
use crate::status::{FromKind, Status, Task};
use mainstay_supervise::TaskState;

/// Why nobody takes a document now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Untaken {
    /// In words.
    pub(crate) why: String,
    /// Where it is written what to do.
    pub(crate) runbook: &'static str,
}

/// The task that takes what is dropped for a route.
pub(super) fn pickup_of(route: &str) -> String {
    format!("the pickup of route `{route}`")
}

/// The task that takes what is sent to a route.
pub(super) fn address_of(route: &str) -> String {
    format!("the address of route `{route}`")
}

impl Agent {
    /// Why no document could be taken now; nothing while one could, be it by one of many sources. A route that has none is fed by
    /// hand, over the control socket.
    ///
    /// # Errors
    /// None of its sources takes anything; what is said is about the first of them.
    pub(crate) fn takes(&self, status: &Status) -> Result<(), Untaken> {
        let tasks = status.service.as_ref();
        let tasks = tasks.map_or(&[][..], |service| &service.tasks);
        let mut first = None;
        for (route, told) in self.routes.iter().zip(&status.routes) {
            let name = &route.template.route;
            let task = match &route.from {
                None => return Ok(()),
                Some(Source::Folder(_)) => pickup_of(name),
                Some(Source::Http(_)) => address_of(name),
            };
            let untaken = died(&task, tasks).or_else(|| away(told));
            match untaken {
                None => return Ok(()),
                Some(untaken) => first = first.or(Some(untaken)),
            }
        }
        first.map_or(Ok(()), Err)
    }
}

/// A task that does not run takes nothing, whatever it said last.
fn died(name: &str, tasks: &[Task]) -> Option<Untaken> {
    let task = tasks.iter().find(|task| task.name == name);
    let state = task.map_or("over", |task| match task.state {
        TaskState::Starting | TaskState::Running => "",
        TaskState::Silent => "silent",
        TaskState::Waiting => "waiting to be started again",
        TaskState::Stopping => "stopping",
        TaskState::Failed => "failed for good",
    });
    let last = task.and_then(|task| task.last_failure.as_deref());
    let last = last.map_or_else(String::new, |last| format!(": {last}"));
    (!state.is_empty()).then(|| Untaken {
        why: format!("{name} is {state}{last}"),
        runbook: "crash-loop",
    })
}

/// A folder that is away, or that nothing can be taken from.
fn away(route: &crate::status::Route) -> Option<Untaken> {
    let from = route.from.as_ref()?;
    let is_folder = matches!(from.kind, FromKind::Folder(_));
    (is_folder && !from.reason.is_empty()).then(|| Untaken {
        why: format!("`{}` is {}: {}", from.place(), from.state, from.reason),
        runbook: "queue-growing",
    })
}

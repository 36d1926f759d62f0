//! The tasks of a running agent: each is watched, and started again when it fails; none ends unseen, and the rest goes on.
//!
//! | task | critical | what it is started again with |
//! |---|---|---|
//! | `the pickup of route R` | yes | its folder, opened anew; what it had claimed is gone on with |
//! | `the address of route R` | yes | its address, opened anew; senders ask again |
//! | `the delivery on LANE` | yes | the queue; what was under way is sent again under the same ids |
//! | `the queue` | yes | nothing: what died with it is opened in another life of the agent ([`anew`](super::anew)) |
//! | `the control socket`, `the address of its health` | no | the socket, the address, opened anew |
//! | `the checks of its health`, `the progress display`, `the look at the network`, `the scrub of the backups`, `the emptying of the trash` | no | nothing |
//!
//! # Defaults
//!
//! | what | number | why |
//! |---|---|---|
//! | silence after which a task counts as hanging | 15 s | with the checks, which look every 10 s, a person hears of it within half a minute |
//! | restarts | 3 in 5 min, 0.5 to 1 s apart and doubling | those of [`TaskSpec`] |
//! | rest of what failed for good | 5 min | what it died of may have gone away; nobody has to come and start it |

use super::fault::Faults;
use crate::exit::{Exit, Failure};
use crate::panics;
use crate::status::{self, date};
use mainstay_clock::SharedClock;
use mainstay_supervise::{
    Holdings, ServiceState, StateChange, Supervisor, SupervisorSettings, TaskContext, TaskHandle,
    TaskOutput, TaskSpec, TaskStatus,
};
use std::time::Duration;

/// A task that is silent for so long hangs.
const HANGS: Duration = Duration::from_secs(15);

/// What failed for good is tried once more after this.
pub(super) const REST: Duration = Duration::from_mins(5);

/// Starts the tasks, and knows how they are.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    supervisor: Supervisor,
    holdings: Holdings,
    faults: Option<Faults>,
}

/// A task of the agent, that the agent is not what it is for without.
pub(super) fn critical(name: String) -> TaskSpec {
    beside(name).critical()
}

/// A task of the agent, that documents do not depend on.
pub(super) fn beside(name: impl Into<std::borrow::Cow<'static, str>>) -> TaskSpec {
    TaskSpec::new(name).heartbeat(HANGS).rest(REST)
}

impl Tasks {
    /// None yet; called inside the runtime that they are to run on.
    ///
    /// # Errors
    /// The system gives no thread to watch them from.
    pub(super) fn new(clock: &SharedClock, with_faults: bool) -> Result<Self, Failure> {
        let supervisor = Supervisor::new(SupervisorSettings::default(), clock.clone());
        Ok(Self {
            supervisor: supervisor.map_err(|error| {
                Failure::new(Exit::StartFailed, "cannot watch the tasks of the agent")
                    .because(error)
            })?,
            holdings: Holdings::new(clock.clone()),
            faults: with_faults.then(Faults::default),
        })
    }

    /// Starts a task; `make` is called for each attempt.
    ///
    /// # Errors
    /// The agent is stopping, or has far too many tasks.
    pub(super) fn start<F, Fut>(&self, spec: TaskSpec, mut make: F) -> Result<TaskHandle, Failure>
    where
        F: FnMut(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output: TaskOutput> + Send + 'static,
    {
        let faults = self.faults.clone();
        let started = self.supervisor.spawn(spec, move |context: TaskContext| {
            let (faults, work) = (faults.clone(), make(context.clone()));
            let work = async move { work.await.into_result() };
            async move {
                match faults {
                    Some(faults) => faults.exposed(context.name(), work).await,
                    None => work.await,
                }
            }
        });
        started.map_err(|error| {
            Failure::new(Exit::StartFailed, "the agent cannot start its tasks").because(error)
        })
    }

    /// What they hold that has to be given back in the end: addresses, the control socket, processes.
    pub(crate) fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// What tests make of the tasks, where that was allowed.
    pub(crate) fn faults(&self) -> Option<&Faults> {
        self.faults.as_ref()
    }

    /// How they are, with the reason where it is not well.
    pub(crate) fn state(&self) -> (ServiceState, String) {
        let status = self.supervisor.status();
        (status.state, status.troubles.join("; "))
    }

    /// How often a task was started again; counted before it does anything.
    pub(super) fn restarts(&self) -> u64 {
        self.supervisor.status().counts.restarts
    }

    /// How they are, as the status shows it.
    pub(crate) fn told(&self) -> status::Service {
        let status = self.supervisor.status();
        status::Service {
            state: status.state.name().to_owned(),
            since: date(status.since_ms),
            troubles: status.troubles,
            restarts: status.counts.restarts,
            panics: panics::seen(),
            errors: self.supervisor.errors().counts().into(),
            tasks: status.tasks.into_iter().map(told).collect(),
            history: status.history.into_iter().map(changed).collect(),
        }
    }
}

fn changed(change: StateChange) -> status::Change {
    status::Change {
        from: change.from.name().to_owned(),
        to: change.to.name().to_owned(),
        at: date(change.at_ms),
        why: change.why,
    }
}

fn told(task: TaskStatus) -> status::Task {
    let last = task.last_failure.as_ref();
    status::Task {
        last_failure: last.map(ToString::to_string),
        last_failure_id: last.map(|failure| failure.error.id().to_string()),
        name: task.name,
        critical: task.critical,
        state: task.state,
        since: date(task.since_ms),
        attempts: task.attempts,
        failures: task.failures,
    }
}

//! Who starts tasks, knows of each, and has them all stopped.

use crate::board::Phase;
use crate::drive::{Body, Made, OnThread, Once, drive};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::failure::TaskOutput;
use crate::monitor::Monitor;
use crate::settings::SupervisorSettings;
use crate::shared::Shared;
use crate::spec::{Restart, TaskSpec};
use crate::state::{ServiceState, ServiceStatus, TaskState, TaskStatus};
use crate::task::{Holder, Life, Task, TaskContext, TaskHandle};
use mainstay_clock::SharedClock;
use mainstay_resilience::ErrorLog;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

/// Starts tasks and threads, sees each of them to its end, and says how the service stands because of them.
///
/// Clones are the same supervisor. When the last one is dropped all tasks are cancelled, asynchronous ones are dropped at their
/// next wait, and the monitor ends.
#[derive(Debug, Clone)]
pub struct Supervisor {
    held: Arc<Held>,
}

/// Who has some tasks; dropped, it asks them to stop, and the monitor tells of those that do not.
#[derive(Debug)]
pub struct Owner {
    supervisor: Supervisor,
    holder: Arc<Holder>,
}

#[derive(Debug)]
struct Held {
    shared: Arc<Shared>,
    monitor: Monitor,
}

// === impl Supervisor ===

impl Supervisor {
    /// One without tasks, for the runtime that it is called in; its monitor has a thread of its own, so that it sees when the
    /// runtime stands still.
    ///
    /// # Errors
    ///
    /// `Settings`, where they cannot work; `Refused`, outside of a runtime or without a thread.
    pub fn new(settings: SupervisorSettings, clock: SharedClock) -> Result<Self, Error> {
        settings.check()?;
        let runtime = Handle::try_current().map_err(|error| {
            let what = "cannot supervise outside of a runtime";
            Error::new(ErrorKind::Refused, what).because(error)
        })?;
        let shared = Arc::new(Shared::new(settings, clock, runtime));
        let monitor = Monitor::start(Arc::clone(&shared))?;
        Ok(Self {
            held: Arc::new(Held { shared, monitor }),
        })
    }

    /// Starts a task: what `body` makes is run, and made again whenever the spec says so.
    ///
    /// A panic, of `body` too, is an end like any other.
    ///
    /// # Errors
    ///
    /// `Settings`, where the spec cannot work; `Full`; `Stopping`, once tasks were cancelled. Nothing was started.
    pub fn spawn<F, Fut>(&self, spec: TaskSpec, body: F) -> Result<TaskHandle, Error>
    where
        F: FnMut(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output: TaskOutput> + Send + 'static,
    {
        self.start(spec, None, false, Made(body))
    }

    /// Starts a future that cannot be made again: the spec has to say [`Restart::Never`].
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub fn spawn_once<F>(&self, spec: TaskSpec, future: F) -> Result<TaskHandle, Error>
    where
        F: Future<Output: TaskOutput> + Send + 'static,
    {
        self.start_once(spec, None, future)
    }

    /// Starts a thread, and another whenever the spec says so; never two at once.
    ///
    /// Nothing can end a thread but itself: one that is silent is told of, and not started again while it runs.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn). A thread that the system refuses is a failure of the task.
    pub fn spawn_thread<F, O>(&self, spec: TaskSpec, body: F) -> Result<TaskHandle, Error>
    where
        F: Fn(TaskContext) -> O + Send + Sync + 'static,
        O: TaskOutput + 'static,
    {
        self.start(spec, None, true, OnThread(Arc::new(body)))
    }

    /// Who has some of the tasks.
    pub fn owner(&self, name: &str) -> Owner {
        Owner {
            supervisor: self.clone(),
            holder: Arc::new(Holder {
                name: name.into(),
                stop: self.shared().stop.child_token(),
                gone: OnceLock::new(),
            }),
        }
    }

    /// How the service stands.
    pub fn status(&self) -> ServiceStatus {
        let shared = self.shared();
        // First: what was counted is told by then.
        let counts = shared.counters.read();
        // Before those that failed for good, so that one that fails meanwhile is in one of the two.
        let running: Vec<Arc<Task>> = shared.tasks().values().map(Arc::clone).collect();
        let mut known: BTreeMap<u64, Arc<Task>> = shared.failed().clone();
        known.extend(running.into_iter().map(|task| (task.id, task)));
        let tasks: Vec<TaskStatus> = known.values().map(|task| task.status()).collect();
        let board = shared.board();
        ServiceStatus {
            state: board.state(),
            since_ms: board.since_ms(),
            why: board.why(),
            troubles: board.troubles(),
            tasks,
            counts,
            history: board.history(),
        }
    }

    /// How the service stands, in a word.
    pub fn state(&self) -> ServiceState {
        self.shared().board().state()
    }

    /// Everything that happens from now on. Whoever is behind by more than
    /// [`SUBSCRIBER_BEHIND_MAX`](SupervisorSettings::SUBSCRIBER_BEHIND_MAX) loses the oldest, and is told how many.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.shared().subscribe()
    }

    /// Every failure, with its causes: the last ones, and counts of all.
    pub fn errors(&self) -> &Arc<ErrorLog> {
        &self.shared().errors
    }

    /// The names of the tasks that run, in the order in which they were started.
    pub fn running(&self) -> Vec<String> {
        let tasks = self.shared().tasks();
        let mut named: Vec<(u64, String)> = tasks
            .values()
            .map(|task| (task.id, task.name.to_string()))
            .collect();
        named.sort_unstable();
        named.into_iter().map(|(_, name)| name).collect()
    }

    /// Forgets the tasks of this name that failed for good, as somebody has seen to it; answers whether there were any. Starting a
    /// task of the name does the same.
    pub fn acknowledge(&self, name: &str) -> bool {
        self.shared().forget_failed(name)
    }

    /// Says that all of the service runs: it is no longer starting.
    pub fn started(&self) {
        self.shared().enter(Phase::Running, "all of it runs");
    }

    /// Says that it was asked to stop; tasks go on.
    pub fn begin_stop(&self) {
        self.shared().enter(Phase::Stopping, "it was asked to stop");
    }

    /// Asks all tasks to stop; none is started any more.
    pub fn cancel(&self) {
        self.begin_stop();
        self.shared().stop.cancel();
    }

    /// Ready when no task runs. Cancel safe.
    pub async fn all_over(&self) {
        let shared = self.shared();
        shared.until(|| shared.tasks().is_empty()).await;
    }

    /// Has every asynchronous task dropped at its next wait; answers the names of all that still run, threads among them.
    pub fn abandon(&self) -> Vec<String> {
        self.cancel();
        let left = self.running();
        self.held.abort();
        left
    }

    /// Asks all tasks to stop, has them dropped, and ends the monitor; ready when its thread has ended.
    pub async fn close(&self) {
        self.cancel();
        self.held.abort();
        let shared = self.shared();
        shared.enter(Phase::Stopped, "it stopped");
        shared.closed.cancel();
        self.held.monitor.ended().await;
    }

    /// Ready when its monitor, which was told to, has ended.
    #[cfg(test)]
    pub(crate) async fn monitor_ended(&self) {
        self.held.monitor.ended().await;
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.held.shared
    }

    fn start_once<F>(
        &self,
        spec: TaskSpec,
        holder: Option<&Arc<Holder>>,
        future: F,
    ) -> Result<TaskHandle, Error>
    where
        F: Future<Output: TaskOutput> + Send + 'static,
    {
        if spec.restart != Restart::Never {
            let name = &spec.name;
            let what = format!("cannot start `{name}`: a single future cannot be started again");
            return Err(Error::new(ErrorKind::Settings, what));
        }
        self.start(spec, holder, false, Once(Some(future)))
    }

    fn start(
        &self,
        spec: TaskSpec,
        holder: Option<&Arc<Holder>>,
        is_thread: bool,
        body: impl Body,
    ) -> Result<TaskHandle, Error> {
        spec.check()?;
        let shared = self.shared();
        let parent = holder.map_or(&shared.stop, |holder| &holder.stop);
        let task = Arc::new(made(shared, spec, parent, holder, is_thread));
        let mut tasks = shared.tasks();
        // Under the lock: whoever cancels and then looks sees every task that was let in.
        if parent.is_cancelled() {
            return Err(refused(&task.name, ErrorKind::Stopping, "it is stopping"));
        }
        if shared.settings.tasks_max <= tasks.len() {
            let why = format!("{} run already", tasks.len());
            return Err(refused(&task.name, ErrorKind::Full, &why));
        }
        tasks.insert(task.id, Arc::clone(&task));
        drop(tasks);
        if !shared.failed().is_empty() {
            shared.forget_failed(&task.name);
        }
        shared.counters.spawned.fetch_add(1, Ordering::Relaxed);
        let running = shared
            .runtime
            .spawn(drive(Arc::clone(shared), Arc::clone(&task), body));
        if !is_thread {
            // Set once, here.
            task.abort.set(running.abort_handle()).ok();
            // Written, though with nothing new, so that of the two who meet here one sees what the other did.
            if shared.is_aborting.fetch_or(false, Ordering::AcqRel) {
                task.abort();
            }
        }
        Ok(TaskHandle {
            task,
            shared: Arc::clone(shared),
        })
    }
}

// === impl Owner ===

impl Owner {
    /// As [`Supervisor::spawn`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn<F, Fut>(&self, spec: TaskSpec, body: F) -> Result<TaskHandle, Error>
    where
        F: FnMut(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output: TaskOutput> + Send + 'static,
    {
        let holder = Some(&self.holder);
        self.supervisor.start(spec, holder, false, Made(body))
    }

    /// As [`Supervisor::spawn_once`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_once<F>(&self, spec: TaskSpec, future: F) -> Result<TaskHandle, Error>
    where
        F: Future<Output: TaskOutput> + Send + 'static,
    {
        self.supervisor.start_once(spec, Some(&self.holder), future)
    }

    /// As [`Supervisor::spawn_thread`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_thread<F, O>(&self, spec: TaskSpec, body: F) -> Result<TaskHandle, Error>
    where
        F: Fn(TaskContext) -> O + Send + Sync + 'static,
        O: TaskOutput + 'static,
    {
        let (holder, body) = (Some(&self.holder), OnThread(Arc::new(body)));
        self.supervisor.start(spec, holder, true, body)
    }

    /// Asks its tasks to stop; ready when none of them runs. Dropped, they are stopping all the same.
    pub async fn close(self) {
        self.holder.stop.cancel();
        let shared = self.supervisor.shared();
        let is_mine = |task: &Arc<Task>| {
            let holder = task.holder.as_ref();
            holder.is_some_and(|holder| Arc::ptr_eq(holder, &self.holder))
        };
        shared.until(|| !shared.tasks().values().any(is_mine)).await;
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let shared = self.supervisor.shared();
        self.holder.stop.cancel();
        // Only this sets it.
        self.holder.gone.set(shared.clock.now()).ok();
        shared.look.notify_one();
    }
}

// === impl Held ===

impl Held {
    fn abort(&self) {
        // First, so that a task that is not yet to be found here is dropped by whoever starts it.
        self.shared.is_aborting.swap(true, Ordering::AcqRel);
        // Outside of the lock, which the end of a task takes.
        let tasks: Vec<Arc<Task>> = self.shared.tasks().values().map(Arc::clone).collect();
        for task in tasks {
            task.abort();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.abort();
        self.shared.closed.cancel();
    }
}

fn made(
    shared: &Shared,
    spec: TaskSpec,
    parent: &CancellationToken,
    holder: Option<&Arc<Holder>>,
    is_thread: bool,
) -> Task {
    Task {
        id: shared.next_id.fetch_add(1, Ordering::Relaxed),
        name: Arc::from(&*spec.name),
        spec,
        stop: parent.child_token(),
        holder: holder.map(Arc::clone),
        is_thread,
        abort: OnceLock::new(),
        beat: AtomicU64::new(0),
        is_silent: AtomicBool::new(false),
        is_doubted: AtomicBool::new(false),
        dropped: Notify::new(),
        is_over: AtomicBool::new(false),
        life: Mutex::new(Life {
            state: TaskState::Starting,
            since_ms: shared.clock.wall(),
            attempts: 0,
            failures: 0,
            last_failure: None,
            restarts: VecDeque::new(),
            last_wait: Duration::ZERO,
            has_leaked: false,
            is_ended: false,
        }),
    }
}

fn refused(name: &str, kind: ErrorKind, why: &str) -> Error {
    Error::new(kind, format!("cannot start `{name}`: {why}"))
}

//! What a supervisor, its tasks and its monitor have in common.

use crate::board::{About, Board, Phase};
use crate::event::{Event, TaskName};
use crate::failure::{Failure, FailureKind, Fault};
use crate::settings::SupervisorSettings;
use crate::state::{Counts, StateChange};
use crate::task::Task;
use mainstay_clock::SharedClock;
use mainstay_resilience::{ErrorLog, Random};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

/// What a supervisor, its tasks and its monitor have in common.
pub(crate) struct Shared {
    pub(crate) clock: SharedClock,
    pub(crate) settings: SupervisorSettings,
    pub(crate) runtime: Handle,
    pub(crate) random: Random,
    pub(crate) errors: Arc<ErrorLog>,
    /// Cancelled when all tasks are to stop.
    pub(crate) stop: CancellationToken,
    /// Whether all tasks are to be dropped: those that are just being started too.
    pub(crate) is_aborting: AtomicBool,
    /// Cancelled when the monitor is to end.
    pub(crate) closed: CancellationToken,
    /// Wakes the monitor.
    pub(crate) look: Notify,
    ended: Notify,
    pub(crate) next_id: AtomicU64,
    pub(crate) tasks: Mutex<HashMap<u64, Arc<Task>>>,
    pub(crate) failed: Mutex<BTreeMap<u64, Arc<Task>>>,
    board: Mutex<Board>,
    events: broadcast::Sender<Event>,
    pub(crate) counters: Counters,
}

/// As [`Counts`], while they count.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) spawned: AtomicU64,
    pub(crate) ended: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) failures: [AtomicU64; 4],
    pub(crate) restarts: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) leaks: AtomicU64,
    pub(crate) stalls: AtomicU64,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(settings: SupervisorSettings, clock: SharedClock, runtime: Handle) -> Self {
        Self {
            settings,
            runtime,
            random: Random::from_system(),
            errors: Arc::default(),
            stop: CancellationToken::new(),
            is_aborting: AtomicBool::new(false),
            closed: CancellationToken::new(),
            look: Notify::new(),
            ended: Notify::new(),
            next_id: AtomicU64::new(1),
            tasks: Mutex::default(),
            failed: Mutex::default(),
            board: Mutex::new(Board::new(clock.wall())),
            events: broadcast::Sender::new(SupervisorSettings::SUBSCRIBER_BEHIND_MAX),
            counters: Counters::default(),
            clock,
        }
    }

    pub(crate) fn tasks(&self) -> MutexGuard<'_, HashMap<u64, Arc<Task>>> {
        locked(&self.tasks)
    }

    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        locked(&self.board)
    }

    /// Those that failed for good.
    pub(crate) fn failed(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Task>>> {
        locked(&self.failed)
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(crate) fn tell(&self, event: Event) {
        // That nobody listens is no fault: what matters stands in the status, too.
        self.events.send(event).ok();
    }

    pub(crate) fn enter(&self, phase: Phase, why: &str) {
        let mut board = self.board();
        let change = board.enter(phase, why, self.clock.wall());
        self.changed(change);
    }

    pub(crate) fn raise(&self, about: About, is_error: bool, why: String) {
        let mut board = self.board();
        let change = board.raise(about, is_error, why, self.clock.wall());
        self.changed(change);
    }

    pub(crate) fn clear(&self, about: &About) {
        let mut board = self.board();
        let change = board.clear(about, self.clock.wall());
        self.changed(change);
    }

    /// To be called under the lock of the board, so that subscribers see the order of the history.
    fn changed(&self, change: Option<StateChange>) {
        let Some(change) = change else { return };
        let (from, to, why) = (change.from.name(), change.to.name(), &change.why);
        tracing::info!(from, to, why, "the state of the service changed");
        self.tell(Event::Service(change));
    }

    /// Waits until `is_so`, which only the end of a task makes true.
    pub(crate) async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            // Registered before it is asked, so that an end in between is not missed.
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if is_so() {
                return;
            }
            ended.await;
        }
    }

    /// Writes a failure down: logged, kept; to be counted once it is told.
    pub(crate) fn record(&self, task: &Task, attempt: u32, fault: &Fault) -> Failure {
        let kind = fault.kind();
        let context = fault.context(&task.name, task.spec.critical, &*self.clock);
        let context = context.with("task", task.id).with("attempt", attempt);
        let error = self.errors.record(context.with("kind", kind.name()));
        tracing::error!(
            task = &*task.name,
            critical = task.spec.critical,
            kind = kind.name(),
            %error,
            "a task failed"
        );
        Failure { kind, error }
    }

    /// Counts a failure that was told; none where it was counted before.
    pub(crate) fn count(&self, kind: Option<FailureKind>) {
        if let Some(kind) = kind {
            self.counters.failures[place(kind)].fetch_add(1, Ordering::Release);
        }
    }

    /// A task that failed for good is remembered, until one of its name is started again.
    pub(crate) fn keep_failed(&self, task: &Arc<Task>, failure: &Failure) {
        let mut failed = self.failed();
        if SupervisorSettings::FAILED_MAX <= failed.len() {
            let gives_way = failed.values().find(|kept| !kept.spec.critical);
            let Some(id) = gives_way.or(failed.values().next()).map(|kept| kept.id) else {
                return;
            };
            failed.remove(&id);
            self.clear(&About::Failed(id));
        }
        failed.insert(task.id, Arc::clone(task));
        let why = format!("{} failed for good: {failure}", task.name);
        self.raise(About::Failed(task.id), task.spec.critical, why);
    }

    /// Forgets those of this name that failed for good; answers whether there was one.
    pub(crate) fn forget_failed(&self, name: &str) -> bool {
        let mut failed = self.failed();
        let before = failed.len();
        failed.retain(|id, task| {
            let stays = &*task.name != name;
            if !stays {
                self.clear(&About::Failed(*id));
            }
            stays
        });
        failed.len() < before
    }

    /// A task is over: out of the table, its troubles with it, and whoever waits for its end is woken.
    pub(crate) fn over(&self, task: &Arc<Task>) {
        let id = task.id;
        // Held until nothing is left of it, so that the monitor raises nothing afterwards.
        let mut life = task.life();
        life.is_ended = true;
        if 0 < life.failures {
            self.clear(&About::Waiting(id));
            self.clear(&About::Silent(id));
        }
        if std::mem::take(&mut life.has_leaked) {
            self.clear(&About::Leaked(id));
            self.tell(Event::LeakEnded { task: name(task) });
        }
        drop(life);
        // All of it under the lock, and last: who no longer finds it here finds it over, and the other way round.
        let mut tasks = self.tasks();
        tasks.remove(&id);
        self.counters.ended.fetch_add(1, Ordering::Release);
        task.is_over.store(true, Ordering::Release);
        drop(tasks);
        self.ended.notify_waiters();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("tasks", &self.tasks().len())
            .finish_non_exhaustive()
    }
}

// === impl Counters ===

impl Counters {
    pub(crate) fn read(&self) -> Counts {
        // What was counted was raised before.
        let of = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let failures = |kind| of(&self.failures[place(kind)]);
        Counts {
            spawned: of(&self.spawned),
            ended: of(&self.ended),
            cancelled: of(&self.cancelled),
            panics: failures(FailureKind::Panic),
            errors: failures(FailureKind::Error),
            early_returns: failures(FailureKind::EarlyReturn),
            silences: failures(FailureKind::Silence),
            restarts: of(&self.restarts),
            given_up: of(&self.given_up),
            leaks: of(&self.leaks),
            stalls: of(&self.stalls),
        }
    }
}

pub(crate) fn name(task: &Task) -> TaskName {
    TaskName {
        id: task.id,
        name: Arc::clone(&task.name),
        critical: task.spec.critical,
    }
}

fn place(kind: FailureKind) -> usize {
    match kind {
        FailureKind::Panic => 0,
        FailureKind::Error => 1,
        FailureKind::EarlyReturn => 2,
        FailureKind::Silence => 3,
    }
}

/// Nothing that holds one of our locks leaves half a change behind.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

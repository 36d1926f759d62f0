//! Who looks: for silence, for tasks that outlive their owner, and for a runtime that stands still.

use crate::board::About;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::failure::Fault;
use crate::shared::{Shared, name};
use crate::state::TaskState;
use crate::task::Task;
use mainstay_clock::Moment;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

/// Looks as often as it has to, on a thread of its own.
#[derive(Debug)]
pub(crate) struct Monitor {
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Cancelled when the thread has nothing left to do.
    ended: CancellationToken,
}

/// Asks the runtime to run something, and sees when it did.
#[derive(Debug)]
struct Pulse {
    asked: u64,
    asked_at: Moment,
    answered: Arc<AtomicU64>,
    has_stalled: bool,
}

// === impl Monitor ===

impl Monitor {
    /// # Errors
    ///
    /// `Refused`, where the system gives no thread.
    pub(crate) fn start(shared: Arc<Shared>) -> Result<Self, Error> {
        let refused = |error: std::io::Error| {
            Error::new(ErrorKind::Refused, "cannot start the monitor of the tasks").because(error)
        };
        let own = Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(refused)?;
        let ended = CancellationToken::new();
        let at_end = ended.clone();
        let thread = thread::Builder::new()
            .name("supervise".to_owned())
            .spawn(move || {
                let _told = at_end.drop_guard();
                own.block_on(look_on(&shared));
            })
            .map_err(refused)?;
        Ok(Self {
            thread: Mutex::new(Some(thread)),
            ended,
        })
    }

    /// Ready when its thread has ended; it was told to.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the monitor of the tasks panicked: report this with the log");
        }
    }
}

/// Looks whenever something is due, or somebody says so.
async fn look_on(shared: &Arc<Shared>) {
    let mut pulse = Pulse::new(shared);
    loop {
        let now = shared.clock.now();
        let mut wait = shared.settings.look;
        if let Some(stall_after) = shared.settings.stall_after {
            wait = wait.min(pulse.look(shared, stall_after, now));
        }
        wait = wait.min(look(shared, now));
        tokio::select! {
            biased;
            () = shared.closed.cancelled() => return,
            () = shared.look.notified() => {}
            () = shared.clock.sleep(wait) => {}
        }
    }
}

/// Looks at all tasks that have a deadline; answers when the next one is over.
fn look(shared: &Shared, now: Moment) -> Duration {
    let has_deadline = |task: &&Arc<Task>| {
        let is_orphan = task
            .holder
            .as_ref()
            .is_some_and(|holder| holder.gone.get().is_some());
        task.spec.heartbeat.is_some() || is_orphan
    };
    let tasks: Vec<Arc<Task>> = shared
        .tasks()
        .values()
        .filter(has_deadline)
        .map(Arc::clone)
        .collect();
    let mut next = Duration::MAX;
    for task in tasks {
        for due in [due_beat(shared, &task, now), due_leak(shared, &task, now)] {
            next = next.min(due.unwrap_or(Duration::MAX));
        }
    }
    next
}

/// Sees whether it beats; answers when it has to next.
fn due_beat(shared: &Shared, task: &Task, now: Moment) -> Option<Duration> {
    let limit = task.spec.heartbeat?;
    // Held throughout, so that an attempt begins and ends before or after all of it.
    let mut life = task.life();
    if life.is_ended {
        return None;
    }
    let beat = Moment::after_origin(Duration::from_nanos(task.beat.load(Ordering::Relaxed)));
    let left = limit.saturating_sub(now.since(beat));
    match life.state {
        TaskState::Running if left.is_zero() => {
            life.state = TaskState::Silent;
            life.since_ms = shared.clock.wall();
            life.failures = life.failures.saturating_add(1);
            let failure = shared.record(task, life.attempts, &Fault::Silence(limit));
            life.last_failure = Some(failure.clone());
            task.is_silent.store(true, Ordering::Release);
            let why = format!("{} hangs: {failure}", task.name);
            shared.raise(About::Silent(task.id), task.spec.critical, why);
            task.is_doubted.store(true, Ordering::Release);
            shared.clear(&About::Waiting(task.id));
            shared.count(Some(failure.kind));
            shared.tell(Event::Silent {
                task: name(task),
                failure,
            });
            if task.can_be_dropped() && !task.stop.is_cancelled() {
                task.dropped.notify_one();
            }
            None
        }
        TaskState::Silent if !left.is_zero() => {
            life.state = TaskState::Running;
            life.since_ms = shared.clock.wall();
            task.is_silent.store(false, Ordering::Release);
            shared.clear(&About::Silent(task.id));
            tracing::info!(task = &*task.name, "it beats again");
            shared.tell(Event::Beats { task: name(task) });
            Some(left)
        }
        TaskState::Running => Some(left),
        _ => None,
    }
}

/// Sees whether it outlived its owner; answers when it will have.
fn due_leak(shared: &Shared, task: &Arc<Task>, now: Moment) -> Option<Duration> {
    let holder = task.holder.as_ref()?;
    let gone = *holder.gone.get()?;
    let left = shared.settings.leak_after.saturating_sub(now.since(gone));
    if !left.is_zero() {
        return Some(left);
    }
    // Held throughout, so that its end comes before or after all of it.
    let mut life = task.life();
    if life.is_ended || life.has_leaked {
        return None;
    }
    life.has_leaked = true;
    let owner = Arc::clone(&holder.name);
    tracing::error!(task = &*task.name, owner = &*owner, "it outlived its owner");
    let why = format!("{} outlived its owner, {owner}", task.name);
    shared.raise(About::Leaked(task.id), false, why);
    shared.counters.leaks.fetch_add(1, Ordering::Release);
    let task_name = name(task);
    shared.tell(Event::Leaked {
        task: task_name,
        owner,
    });
    None
}

// === impl Pulse ===

impl Pulse {
    fn new(shared: &Arc<Shared>) -> Self {
        let mut pulse = Self {
            asked: 0,
            asked_at: shared.clock.now(),
            answered: Arc::default(),
            has_stalled: false,
        };
        if shared.settings.stall_after.is_some() {
            pulse.ask(shared);
        }
        pulse
    }

    fn ask(&mut self, shared: &Arc<Shared>) {
        self.asked += 1;
        self.asked_at = shared.clock.now();
        let (asked, answered) = (self.asked, Arc::clone(&self.answered));
        let shared_then = Arc::clone(shared);
        shared.runtime.spawn(async move {
            answered.store(asked, Ordering::Release);
            shared_then.look.notify_one();
        });
    }

    /// Sees whether the runtime answered; answers when it has to have, or when it is asked again.
    fn look(&mut self, shared: &Arc<Shared>, stall_after: Duration, now: Moment) -> Duration {
        let waited = now.since(self.asked_at);
        let left = stall_after.saturating_sub(waited);
        if self.answered.load(Ordering::Acquire) == self.asked {
            if std::mem::take(&mut self.has_stalled) {
                tracing::warn!("the runtime runs tasks again");
                shared.clear(&About::Stall);
                shared.tell(Event::Flows);
            }
            if left.is_zero() {
                self.ask(shared);
                return stall_after;
            }
            return left;
        }
        if left.is_zero() && !self.has_stalled {
            self.has_stalled = true;
            tracing::error!(
                ?waited,
                "the runtime stands still: something blocks its threads"
            );
            let seconds = waited.as_secs_f64();
            let why = format!("the runtime runs no tasks for {seconds:.1} s by now");
            shared.raise(About::Stall, false, why);
            shared.counters.stalls.fetch_add(1, Ordering::Release);
            shared.tell(Event::Stalled { since: waited });
        }
        if self.has_stalled { stall_after } else { left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SupervisorSettings;
    use crate::spec::TaskSpec;
    use crate::supervisor::Supervisor;
    use crate::task::TaskContext;
    use mainstay_clock::{Clock, ManualClock};
    use std::sync::mpsc::sync_channel;

    const NS: Duration = Duration::from_nanos(1);

    /// One whose own monitor never looks by itself.
    fn unwatched() -> (Supervisor, ManualClock) {
        let clock = ManualClock::new();
        let settings = SupervisorSettings {
            look: Duration::MAX,
            stall_after: None,
            ..SupervisorSettings::default()
        };
        let supervisor = Supervisor::new(settings, Arc::new(clock.clone())).unwrap();
        supervisor.shared().closed.cancel();
        (supervisor, clock)
    }

    async fn stays(context: TaskContext) {
        context.stopping().await;
    }

    #[tokio::test]
    async fn a_heartbeat_is_missed_at_its_deadline_and_not_before() {
        let (supervisor, clock) = unwatched();
        supervisor.monitor_ended().await;
        let limit = Duration::from_secs(5);
        let spec = TaskSpec::new("x").heartbeat(limit);
        supervisor.spawn(spec, stays).unwrap();
        tokio::task::yield_now().await;
        let shared = supervisor.shared();
        let silences = || supervisor.status().counts.silences;
        assert_eq!(look(shared, clock.now()), limit);
        clock.advance(limit.saturating_sub(NS));
        assert_eq!((look(shared, clock.now()), silences()), (NS, 0));
        clock.advance(NS);
        look(shared, clock.now());
        assert_eq!(silences(), 1);
        look(shared, clock.now());
        assert_eq!(silences(), 1, "it is told once");
    }

    #[tokio::test]
    async fn a_task_has_leaked_when_its_owner_is_gone_for_so_long_and_not_before() {
        let (supervisor, clock) = unwatched();
        supervisor.monitor_ended().await;
        let owner = supervisor.owner("a route");
        let deaf = |_| std::future::pending::<()>();
        owner.spawn(TaskSpec::new("x"), deaf).unwrap();
        let shared = supervisor.shared();
        let leaks = || supervisor.status().counts.leaks;
        clock.advance(Duration::from_mins(1));
        assert_eq!((look(shared, clock.now()), leaks()), (Duration::MAX, 0));
        drop(owner);
        let limit = shared.settings.leak_after;
        assert_eq!(look(shared, clock.now()), limit);
        clock.advance(limit.saturating_sub(NS));
        assert_eq!((look(shared, clock.now()), leaks()), (NS, 0));
        clock.advance(NS);
        look(shared, clock.now());
        look(shared, clock.now());
        assert_eq!(leaks(), 1);
    }

    /// What was looked at as it ended could be raised afterwards, and nobody took it back.
    #[tokio::test]
    async fn what_is_over_is_neither_silent_nor_leaked_for_who_still_looks_at_it() {
        let (supervisor, clock) = unwatched();
        supervisor.monitor_ended().await;
        supervisor.started();
        let mut events = supervisor.subscribe();
        let owner = supervisor.owner("a route");
        let spec = TaskSpec::new("x").heartbeat(NS).until_done();
        let handle = owner.spawn(spec, |_| async {}).unwrap();
        drop(owner);
        handle.over().await;
        clock.advance(Duration::from_hours(1));
        let (shared, task, now) = (supervisor.shared(), &handle.task, clock.now());
        assert_eq!(due_beat(shared, task, now), None);
        assert_eq!(due_leak(shared, task, now), None);
        let status = supervisor.status();
        assert_eq!(status.troubles, Vec::<String>::new());
        assert_eq!((status.counts.silences, status.counts.leaks), (0, 0));
        assert!(events.try_recv().is_err());
    }

    /// The beat was read before the attempt began, and the state after it.
    #[tokio::test]
    async fn a_task_that_begins_while_it_is_looked_at_is_not_silent() {
        let (supervisor, clock) = unwatched();
        supervisor.monitor_ended().await;
        clock.advance(Duration::from_hours(1));
        let (shared, now) = (Arc::clone(supervisor.shared()), clock.now());
        let (show, shown) = sync_channel::<Arc<Task>>(0);
        let looks = thread::spawn(move || {
            for task in shown {
                while task.beat.load(Ordering::Relaxed) == 0 {
                    due_beat(&shared, &task, now);
                }
            }
        });
        let spec = TaskSpec::new("x").heartbeat(Duration::from_secs(5));
        for _ in 0..500 {
            let handle = supervisor.spawn(spec.clone(), stays).unwrap();
            show.send(Arc::clone(&handle.task)).unwrap();
            while handle.status().attempts == 0 {
                tokio::task::yield_now().await;
            }
            handle.cancel();
            handle.over().await;
        }
        drop(show);
        looks.join().unwrap();
        assert_eq!(supervisor.status().counts.silences, 0);
    }
}

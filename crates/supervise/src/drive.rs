//! The life of one task: it is started, seen to its end, and started again.

use crate::board::About;
use crate::event::Event;
use crate::failure::{Failure, FailureKind, Fault, TaskError, TaskOutput, words_of};
use crate::shared::{Shared, name};
use crate::spec::{Restart, Until};
use crate::state::TaskState;
use crate::task::{Task, TaskContext};
use futures_util::FutureExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// What a task does, each time that it is started.
pub(crate) trait Body: Send + 'static {
    fn start(&mut self, context: TaskContext)
    -> impl Future<Output = Result<(), TaskError>> + Send;
}

/// Makes a future for each attempt.
pub(crate) struct Made<F>(pub(crate) F);

/// One future, for the only attempt.
pub(crate) struct Once<F>(pub(crate) Option<F>);

/// Runs a function on a thread of its own, for each attempt.
pub(crate) struct OnThread<F>(pub(crate) Arc<F>);

/// What an attempt came to.
enum End {
    Well,
    Fault(Fault),
    /// The monitor had it dropped, and has told why.
    Dropped,
}

/// What comes after it.
enum Next {
    Over,
    After(Duration),
}

/// A task with what it does, watched from here on: also one that is dropped before it was polled is seen to end.
struct Driven<B> {
    /// The first field, so that what the task holds is gone before its end is told, however it ends.
    body: B,
    watched: Watched,
}

/// Sees the task to its end, whichever that is: dropped unfinished, it says so.
struct Watched {
    task: Arc<Task>,
    shared: Arc<Shared>,
    is_over: bool,
}

/// Starts the task, again and again as far as its spec says.
pub(crate) fn drive(
    shared: Arc<Shared>,
    task: Arc<Task>,
    body: impl Body,
) -> impl Future<Output = ()> + Send {
    let watched = Watched {
        task,
        shared,
        is_over: false,
    };
    Driven { body, watched }.run()
}

// === impl Driven ===

impl<B: Body> Driven<B> {
    async fn run(mut self) {
        loop {
            let end = self.watched.attempt(&mut self.body).await;
            let Next::After(wait) = self.watched.judge(end) else {
                break;
            };
            if !self.watched.wait(wait).await {
                break;
            }
        }
        let Self { body, mut watched } = self;
        drop(body);
        watched.over();
    }
}

// === impl Body ===

impl<F, Fut> Body for Made<F>
where
    F: FnMut(TaskContext) -> Fut + Send + 'static,
    Fut: Future<Output: TaskOutput> + Send,
{
    async fn start(&mut self, context: TaskContext) -> Result<(), TaskError> {
        self.0(context).await.into_result()
    }
}

impl<F> Body for Once<F>
where
    F: Future<Output: TaskOutput> + Send + 'static,
{
    async fn start(&mut self, _context: TaskContext) -> Result<(), TaskError> {
        match self.0.take() {
            Some(future) => future.await.into_result(),
            None => Ok(()),
        }
    }
}

impl<F, O> Body for OnThread<F>
where
    F: Fn(TaskContext) -> O + Send + Sync + 'static,
    O: TaskOutput,
{
    async fn start(&mut self, context: TaskContext) -> Result<(), TaskError> {
        let (tell, told) = oneshot::channel();
        let run = Arc::clone(&self.0);
        // A zero would be refused with a panic.
        let name = context.name().replace('\0', " ");
        thread::Builder::new().name(name).spawn(move || {
            let done = catch_unwind(AssertUnwindSafe(|| run(context).into_result()));
            // What the function holds is gone before its end is told.
            drop(run);
            // Nobody listens where the runtime went away.
            tell.send(done).ok();
        })?;
        match told.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => Err("the thread ended without a word".into()),
        }
    }
}

// === impl Watched ===

impl Watched {
    async fn attempt(&self, body: &mut impl Body) -> End {
        self.begin();
        let context = TaskContext {
            task: Arc::clone(&self.task),
            shared: Arc::clone(&self.shared),
        };
        let run = AssertUnwindSafe(async { body.start(context).await }).catch_unwind();
        let ended = if self.task.spec.heartbeat.is_some() && self.task.can_be_dropped() {
            tokio::select! {
                biased;
                ended = run => ended,
                () = self.silence() => return End::Dropped,
            }
        } else {
            run.await
        };
        match ended {
            Ok(Ok(())) => End::Well,
            Ok(Err(error)) => End::Fault(Fault::Error(error)),
            Err(panic) => End::Fault(Fault::Panic(words_of(panic))),
        }
    }

    fn begin(&self) {
        let (task, shared) = (&self.task, &self.shared);
        if task.life().state == TaskState::Failed {
            // It rested. Before the lock, which those who look take under that of the failed ones.
            shared.forget_failed(&task.name);
        }
        task.beat
            .store(shared.clock.now().nanos(), Ordering::Relaxed);
        let mut life = task.life();
        life.attempts += 1;
        life.state = TaskState::Running;
        life.since_ms = shared.clock.wall();
        let hung = life.last_failure.as_ref();
        if let Some(failure) = hung.filter(|_| task.is_doubted.load(Ordering::Acquire)) {
            // One that hangs again looks like one that works, until its deadline.
            let why = format!("{} hung and was started again: {failure}", task.name);
            shared.raise(About::Waiting(task.id), false, why);
        } else if 1 < life.attempts {
            shared.clear(&About::Waiting(task.id));
        }
        if task.is_silent.swap(false, Ordering::AcqRel) {
            // The attempt before it ended well after all.
            shared.clear(&About::Silent(task.id));
        }
        if 1 < life.attempts {
            shared.counters.restarts.fetch_add(1, Ordering::Release);
        }
        drop(life);
        if task.spec.heartbeat.is_some() {
            shared.look.notify_one();
        }
    }

    /// Ready when the monitor has it dropped; a word that was meant for an attempt before this one is none.
    async fn silence(&self) {
        loop {
            self.task.dropped.notified().await;
            if self.task.is_silent.load(Ordering::Acquire) {
                return;
            }
        }
    }

    fn judge(&self, end: End) -> Next {
        let (task, shared) = (&self.task, &self.shared);
        let fault = match end {
            End::Dropped => None,
            End::Fault(fault) => Some(fault),
            End::Well if task.stop.is_cancelled() => return Next::Over,
            End::Well if task.spec.until == Until::Stopped => Some(Fault::EarlyReturn),
            End::Well if task.spec.restart == Restart::Always => {
                task.is_doubted.store(false, Ordering::Release);
                self.set_state(TaskState::Waiting);
                return Next::After(task.spec.backoff.bound(1));
            }
            End::Well => return Next::Over,
        };
        let kind = fault.as_ref().map(Fault::kind);
        let Some(failure) = self.failed(fault) else {
            return Next::Over;
        };
        if task.stop.is_cancelled() {
            shared.count(kind);
            shared.tell(Event::Failed {
                task: name(task),
                failure,
            });
            return Next::Over;
        }
        let Some(after) = self.next_wait() else {
            self.give_up(&failure, kind);
            return self.rest();
        };
        shared.count(kind);
        tracing::warn!(task = &*task.name, ?after, "it is started again");
        shared.tell(Event::Restarting {
            task: name(task),
            failure,
            after,
        });
        Next::After(after)
    }

    fn set_state(&self, state: TaskState) {
        let mut life = self.task.life();
        life.state = state;
        life.since_ms = self.shared.clock.wall();
    }

    /// Writes down what the attempt failed with, unless the monitor has.
    fn failed(&self, fault: Option<Fault>) -> Option<Failure> {
        let (task, shared) = (&self.task, &self.shared);
        let mut life = task.life();
        if task.is_silent.swap(false, Ordering::AcqRel) {
            shared.clear(&About::Silent(task.id));
        }
        if let Some(fault) = fault {
            life.failures = life.failures.saturating_add(1);
            life.last_failure = Some(shared.record(task, life.attempts, &fault));
        }
        life.last_failure.clone()
    }

    /// The wait before another attempt; none where there is none.
    fn next_wait(&self) -> Option<Duration> {
        let (task, shared) = (&self.task, &self.shared);
        let limit = task.spec.limit;
        if task.spec.restart == Restart::Never {
            return None;
        }
        let now = shared.clock.now();
        let mut life = task.life();
        life.restarts
            .retain(|restart| now.since(*restart) < limit.within);
        let lately = life.restarts.len() as u32;
        if limit.most <= lately {
            return None;
        }
        life.restarts.push_back(now);
        let wait = task
            .spec
            .backoff
            .wait(lately + 1, life.last_wait, &shared.random);
        life.last_wait = wait;
        life.state = TaskState::Waiting;
        life.since_ms = shared.clock.wall();
        let why = match &life.last_failure {
            Some(failure) => format!("{} failed and is started again: {failure}", task.name),
            None => format!("{} is started again", task.name),
        };
        shared.raise(About::Waiting(task.id), false, why);
        Some(wait)
    }

    /// `kind` is that of a failure that is still to be counted.
    fn give_up(&self, failure: &Failure, kind: Option<FailureKind>) {
        let (task, shared) = (&self.task, &self.shared);
        self.set_state(TaskState::Failed);
        shared.clear(&About::Waiting(task.id));
        tracing::error!(
            task = &*task.name,
            critical = task.spec.critical,
            "it failed for good"
        );
        shared.keep_failed(task, failure);
        shared.count(kind);
        shared.counters.given_up.fetch_add(1, Ordering::Release);
        shared.tell(Event::Failed {
            task: name(task),
            failure: failure.clone(),
        });
    }

    /// What comes after it failed for good: for most tasks nothing.
    fn rest(&self) -> Next {
        let Some(rest) = self.task.spec.rest else {
            return Next::Over;
        };
        self.task.life().restarts.clear();
        tracing::warn!(task = &*self.task.name, after = ?rest, "it is tried once more");
        Next::After(rest)
    }

    /// Waits for another attempt; answers whether there is to be one.
    async fn wait(&self, wait: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.task.stop.cancelled() => false,
            () = self.shared.clock.sleep(wait) => true,
        }
    }

    fn over(&mut self) {
        self.is_over = true;
        self.shared.over(&self.task);
    }
}

/// Cancellation passes through: who drops a task, or the runtime that it is on, ends it, and that is seen.
impl Drop for Watched {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if thread::panicking() {
            let fault = Fault::Panic("while it was dropped".to_owned());
            if let Some(failure) = self.failed(Some(fault)) {
                self.give_up(&failure, Some(FailureKind::Panic));
            }
        } else {
            self.shared
                .counters
                .cancelled
                .fetch_add(1, Ordering::Relaxed);
        }
        self.over();
    }
}

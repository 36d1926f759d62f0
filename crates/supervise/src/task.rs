//! One task: what it is given, and what is known of it.

use crate::board::About;
use crate::failure::Failure;
use crate::shared::Shared;
use crate::spec::{Restart, TaskSpec};
use crate::state::{TaskState, TaskStatus};
use mainstay_clock::Moment;
use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// What a running task is given: when to stop, and how to say that it lives.
#[derive(Clone)]
pub struct TaskContext {
    pub(crate) task: Arc<Task>,
    pub(crate) shared: Arc<Shared>,
}

/// A task that was started. Dropping it changes nothing: the task goes on, and is watched.
#[derive(Clone)]
pub struct TaskHandle {
    pub(crate) task: Arc<Task>,
    pub(crate) shared: Arc<Shared>,
}

/// Who has tasks, for as long as it is there.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) name: Arc<str>,
    pub(crate) stop: CancellationToken,
    pub(crate) gone: OnceLock<Moment>,
}

/// What is known of a task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) spec: TaskSpec,
    pub(crate) stop: CancellationToken,
    pub(crate) holder: Option<Arc<Holder>>,
    pub(crate) is_thread: bool,
    /// None for a thread, which nothing can drop.
    pub(crate) abort: OnceLock<AbortHandle>,
    /// When it beat last, in nanoseconds of the clock.
    pub(crate) beat: AtomicU64,
    pub(crate) is_silent: AtomicBool,
    /// Whether it was silent, and has neither beaten nor ended well since.
    pub(crate) is_doubted: AtomicBool,
    /// Ends an attempt that is silent, where it can be dropped.
    pub(crate) dropped: Notify,
    pub(crate) is_over: AtomicBool,
    pub(crate) life: Mutex<Life>,
}

/// What changes from attempt to attempt.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) state: TaskState,
    pub(crate) since_ms: u64,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) last_failure: Option<Failure>,
    /// When it was started again, as far as the limit asks.
    pub(crate) restarts: VecDeque<Moment>,
    pub(crate) last_wait: Duration,
    /// Whether it outlived its owner, and that is told.
    pub(crate) has_leaked: bool,
    /// From then on nothing is raised because of it.
    pub(crate) is_ended: bool,
}

// === impl TaskContext ===

impl TaskContext {
    /// What people call it.
    pub fn name(&self) -> &str {
        &self.task.name
    }

    /// Is cancelled when the task is to stop; what it starts by itself takes a child of it.
    pub fn stop(&self) -> &CancellationToken {
        &self.task.stop
    }

    /// Whether the task is to stop.
    pub fn is_stopping(&self) -> bool {
        self.task.stop.is_cancelled()
    }

    /// Ready when the task is to stop.
    pub async fn stopping(&self) {
        self.task.stop.cancelled().await;
    }

    /// Which attempt it is, from 1.
    pub fn attempt(&self) -> u32 {
        self.task.life().attempts
    }

    /// Says that it lives.
    pub fn beat(&self) {
        let now = self.shared.clock.now().nanos();
        self.task.beat.store(now, Ordering::Relaxed);
        if self.task.is_silent.load(Ordering::Relaxed) {
            self.shared.look.notify_one();
        }
        if self.task.is_doubted.load(Ordering::Relaxed)
            && self.task.is_doubted.swap(false, Ordering::AcqRel)
        {
            self.shared.clear(&About::Waiting(self.task.id));
        }
    }

    /// Ready when the next [`beat`](Self::beat) is due, four times within the deadline of the heartbeat; never for a task without one.
    /// A loop beats once in each round and waits for this among what it waits for: so it beats while nothing comes, and is
    /// silent when a round does not end. Cancel safe.
    ///
    /// ```
    /// # async fn example(context: mainstay_supervise::TaskContext, mut wishes: tokio::sync::mpsc::Receiver<u64>) {
    /// loop {
    ///     context.beat();
    ///     tokio::select! {
    ///         Some(wish) = wishes.recv() => println!("{wish}"),
    ///         () = context.beat_due() => {}
    ///         () = context.stopping() => return,
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn beat_due(&self) {
        match self.task.spec.heartbeat {
            Some(deadline) => self.shared.clock.sleep(deadline / 4).await,
            None => std::future::pending().await,
        }
    }

    /// Waits so long, or until the task is to stop; answers whether to go on. It beats meanwhile, as often as its deadline asks.
    pub async fn pause(&self, duration: Duration) -> bool {
        self.beat();
        tokio::select! {
            biased;
            () = self.stopping() => return false,
            () = self.alive_while(self.shared.clock.sleep(duration), || true) => {}
        }
        self.beat();
        true
    }

    /// Waits for `work`, and beats meanwhile whenever `is_alive` says so, four times within the deadline of the heartbeat: for what
    /// waits for others by itself. While the task is to stop it beats without asking.
    pub async fn alive_while<T>(
        &self,
        work: impl Future<Output = T>,
        mut is_alive: impl FnMut() -> bool,
    ) -> T {
        let mut work = pin!(work);
        let Some(deadline) = self.task.spec.heartbeat else {
            return work.await;
        };
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.shared.clock.sleep(deadline / 4) => {}
            }
            if self.is_stopping() || is_alive() {
                self.beat();
            }
        }
    }

    /// As [`pause`](Self::pause), on a thread.
    ///
    /// # Panics
    ///
    /// On a thread that runs asynchronous tasks.
    pub fn pause_blocking(&self, duration: Duration) -> bool {
        self.shared.runtime.block_on(self.pause(duration))
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskContext").field(&self.task.name).finish()
    }
}

// === impl TaskHandle ===

impl TaskHandle {
    /// Which one.
    pub fn id(&self) -> u64 {
        self.task.id
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.task.name
    }

    /// Asks it to stop; it is not started again.
    pub fn cancel(&self) {
        self.task.stop.cancel();
    }

    /// Drops it at its next wait, and does not start it again; a thread is only asked to stop.
    pub fn abort(&self) {
        self.task.stop.cancel();
        self.task.abort();
    }

    /// Whether it has ended, and will not be started again.
    pub fn is_over(&self) -> bool {
        self.task.is_over.load(Ordering::Acquire)
    }

    /// Ready when it has ended for good. Cancel safe.
    pub async fn over(&self) {
        self.shared.until(|| self.is_over()).await;
    }

    /// How it stands; what it was last, once it is over.
    pub fn status(&self) -> TaskStatus {
        self.task.status()
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskHandle").field(&self.task.name).finish()
    }
}

// === impl Task ===

impl Task {
    pub(crate) fn life(&self) -> MutexGuard<'_, Life> {
        // Nothing that holds the lock leaves half a change behind.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an attempt that hangs can be dropped and made anew.
    pub(crate) fn can_be_dropped(&self) -> bool {
        !self.is_thread && self.spec.restart != Restart::Never
    }

    pub(crate) fn abort(&self) {
        if let Some(handle) = self.abort.get() {
            handle.abort();
        }
    }

    pub(crate) fn status(&self) -> TaskStatus {
        let life = self.life();
        let is_asked = self.stop.is_cancelled() && life.state != TaskState::Failed;
        TaskStatus {
            id: self.id,
            name: self.name.to_string(),
            critical: self.spec.critical,
            thread: self.is_thread,
            owner: self.holder.as_ref().map(|holder| holder.name.to_string()),
            state: if is_asked {
                TaskState::Stopping
            } else {
                life.state
            },
            since_ms: life.since_ms,
            attempts: life.attempts,
            failures: life.failures,
            last_failure: life.last_failure.clone(),
        }
    }
}

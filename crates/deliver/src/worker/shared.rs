//! What the worker and those who watch it both see.

use super::status::DestinationStatus;
use mainstay_clock::Moment;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// To watch a worker, and to pause it; clones are handles of one and the same.
///
/// It outlives the worker and its runs. After a run, however it ended, it says [`State::Stopped`](crate::State::Stopped).
#[derive(Clone)]
pub struct WorkerHandle {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    status: Mutex<DestinationStatus>,
    /// Nanoseconds after the origin of the clock.
    turned: AtomicU64,
    paused: AtomicBool,
    hurried: AtomicBool,
    /// Whether a person wants it tried now.
    wanted: AtomicBool,
    changed: Notify,
}

impl WorkerHandle {
    /// How the destination is doing, at this moment.
    pub fn status(&self) -> DestinationStatus {
        self.shared.with(|status| status.clone())
    }

    /// When its loop turned last, by the clock of the worker, give or take what a coarse moment is old; before its first turn, when
    /// it was made or told to run.
    ///
    /// While it runs, that is never much longer ago than [`Worker::TURN`](crate::Worker::TURN), also where it is idle, held or
    /// paused, and while it stops. If it is, nobody polls it, or it hangs in a destination that blocks.
    pub fn turned(&self) -> Moment {
        Moment::after_origin(Duration::from_nanos(
            self.shared.turned.load(Ordering::Relaxed),
        ))
    }

    /// Sends nothing more until [`resume`](Self::resume); what is under way ends by itself. It does not outlive the process.
    pub fn pause(&self) {
        self.shared.set_paused(true);
    }

    /// Takes a pause back. A destination that was held is still held.
    pub fn resume(&self) {
        self.shared.set_paused(false);
    }

    /// Has a destination that is held, or asked for quiet, tried at once by one document; if it is as before, it waits as before. What
    /// is under way, or paused, stays so.
    pub fn try_now(&self) {
        self.shared.wanted.store(true, Ordering::Release);
        self.shared.changed.notify_one();
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.shared.is_paused()
    }

    /// Probes a destination that is held at its next turn instead of after its wait: something outside changed, such as the network.
    ///
    /// A wait that the destination asked for is kept, a probe that is under way is waited for, and a pause stays one. Where nothing is
    /// held, nothing happens.
    pub fn probe_now(&self) {
        self.shared.hurried.store(true, Ordering::Release);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    pub(super) fn new(status: DestinationStatus, now: Moment) -> Self {
        Self {
            status: Mutex::new(status),
            turned: AtomicU64::new(now.nanos()),
            paused: AtomicBool::new(false),
            hurried: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    pub(super) fn with<T>(&self, see: impl FnOnce(&mut DestinationStatus) -> T) -> T {
        see(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The loop turns.
    pub(super) fn turn(&self, now: Moment) {
        self.turned.store(now.nanos(), Ordering::Relaxed);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Whether somebody asked for a probe since the last time.
    pub(super) fn take_hurry(&self) -> bool {
        self.hurried.swap(false, Ordering::AcqRel)
    }

    /// Whether it is to be tried now; says so once.
    pub(super) fn take_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::AcqRel)
    }

    /// Waits until it is paused, resumed, hurried or to be tried.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        // Kept for the worker if it is not waiting at this moment.
        self.changed.notify_one();
    }
}

impl fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerHandle").field(&self.status()).finish()
    }
}

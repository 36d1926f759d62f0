//! What the worker and those who watch it both see.

use super::status::DestinationStatus;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// To watch a worker, and to pause it; clones are handles of one and the same.
///
/// It outlives the worker, and then says [`State::Stopped`](crate::State::Stopped).
#[derive(Clone)]
pub struct WorkerHandle {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    status: Mutex<DestinationStatus>,
    paused: AtomicBool,
    changed: Notify,
}

impl WorkerHandle {
    /// How the destination is doing, at this moment.
    pub fn status(&self) -> DestinationStatus {
        self.shared.with(|status| status.clone())
    }

    /// Sends nothing more until [`resume`](Self::resume); what is under way ends by itself. It does not outlive the process.
    pub fn pause(&self) {
        self.shared.set_paused(true);
    }

    /// Takes a pause back. A destination that was held is still held.
    pub fn resume(&self) {
        self.shared.set_paused(false);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.shared.is_paused()
    }
}

impl Shared {
    pub(super) fn new(status: DestinationStatus) -> Self {
        Self {
            status: Mutex::new(status),
            paused: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    pub(super) fn with<T>(&self, see: impl FnOnce(&mut DestinationStatus) -> T) -> T {
        see(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Waits until it is paused or resumed.
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

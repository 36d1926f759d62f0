//! What is tried again now, for a person to see.

use mainstay_clock::Moment;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A pause between two attempts; of several calls, that which began last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrying {
    /// The attempt that comes next; 2 is the first retry.
    pub attempt: u32,
    /// So many may be made.
    pub of: u32,
    /// It begins after this wait, counted from when this was told.
    pub next_in: Duration,
    /// When it begins.
    pub begins: Moment,
    /// Why the last one failed.
    pub error: String,
}

#[derive(Debug)]
pub(super) struct Tracker {
    told: watch::Sender<Option<Retrying>>,
    /// The pauses of all calls; the newest is shown.
    pauses: AtomicUsize,
}

impl Tracker {
    pub(super) fn new() -> Self {
        Self {
            told: watch::Sender::new(None),
            pauses: AtomicUsize::new(0),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Retrying>> {
        self.told.subscribe()
    }

    /// Shows the pause until it is over, or given up.
    pub(super) fn waits(&self, retrying: &Retrying) -> Shown<'_> {
        self.told.send_modify(|told| {
            self.pauses.fetch_add(1, Ordering::Relaxed);
            *told = Some(retrying.clone());
        });
        Shown { tracker: self }
    }
}

/// Takes back what was shown, when nobody pauses any more.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    tracker: &'a Tracker,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        // Counted under the lock of what is shown, so that the last one is really the last.
        self.tracker.told.send_if_modified(|told| {
            let is_last = self.tracker.pauses.fetch_sub(1, Ordering::Relaxed) == 1;
            if is_last {
                *told = None;
            }
            is_last
        });
    }
}

//! What is tried again now, for a person to see.

use std::time::Duration;
use tokio::sync::watch;

/// A pause between two attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrying {
    /// The attempt that comes next; 2 is the first retry.
    pub attempt: u32,
    /// So many may be made.
    pub of: u32,
    /// It begins after this wait, counted from when this was told.
    pub next_in: Duration,
    /// Why the last one failed.
    pub error: String,
}

#[derive(Debug)]
pub(super) struct Tracker {
    told: watch::Sender<Option<Retrying>>,
}

impl Tracker {
    pub(super) fn new() -> Self {
        Self {
            told: watch::Sender::new(None),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Retrying>> {
        self.told.subscribe()
    }

    /// Shows the pause until it is over, or given up.
    pub(super) fn waits(&self, retrying: &Retrying) -> Shown<'_> {
        self.told.send_replace(Some(retrying.clone()));
        Shown { told: &self.told }
    }
}

/// Takes back what was shown.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    told: &'a watch::Sender<Option<Retrying>>,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.told.send_replace(None);
    }
}

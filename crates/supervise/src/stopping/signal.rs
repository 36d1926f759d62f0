//! What asks for a stop, and shows how far it is.

use super::progress::StopProgress;
use crate::shared::locked;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Asks for a stop, and shows how far it is. Clones ask for the same one.
#[derive(Debug, Clone)]
pub struct StopSignal {
    asked: CancellationToken,
    at_once: CancellationToken,
    by: Arc<Mutex<Option<String>>>,
    progress: watch::Sender<StopProgress>,
}

/// What a request to stop came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It was the first: all is stopped in order.
    InOrder,
    /// It was another one: all ends at once.
    AtOnce,
}

impl StopSignal {
    pub(super) fn new() -> Self {
        Self {
            asked: CancellationToken::new(),
            at_once: CancellationToken::new(),
            by: Arc::default(),
            progress: watch::Sender::new(StopProgress::default()),
        }
    }

    /// One request; the second one means at once, whoever it is from.
    pub fn ask(&self, by: &str) -> Asked {
        let mut first = locked(&self.by);
        if first.is_some() {
            tracing::warn!(by, "asked a second time: stopping at once");
            self.at_once.cancel();
            return Asked::AtOnce;
        }
        tracing::info!(by, "asked to stop");
        *first = Some(by.to_owned());
        self.asked.cancel();
        Asked::InOrder
    }

    /// Is cancelled with the first request.
    pub fn asked(&self) -> &CancellationToken {
        &self.asked
    }

    /// Is cancelled with the second request.
    pub fn at_once(&self) -> &CancellationToken {
        &self.at_once
    }

    /// How far it is, and what is still under way; whoever is slow sees the latest.
    pub fn progress(&self) -> watch::Receiver<StopProgress> {
        self.progress.subscribe()
    }

    pub(super) fn by(&self) -> Option<String> {
        locked(&self.by).clone()
    }

    pub(super) fn show(&self, progress: StopProgress) {
        self.progress.send_replace(progress);
    }
}

//! What asks for a stop, and shows how far it is.

use super::progress::{StopPhase, StopProgress};
use crate::shared::locked;
use mainstay_clock::{Moment, SharedClock};
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
    clock: SharedClock,
    /// When that was told; before the first time, when it was asked.
    told: Arc<Mutex<Moment>>,
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
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            told: Arc::new(Mutex::new(clock.now())),
            clock,
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
        *locked(&self.told) = self.clock.now();
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

    /// How far it is at this moment: what was told last, with all times counted up to now. Before it was asked, and
    /// once it is over, there is no time to count.
    pub fn look(&self) -> StopProgress {
        let told = locked(&self.told);
        let mut progress = self.progress.borrow().clone();
        let is_under_way = match progress.phase {
            StopPhase::NotBegun => self.asked.is_cancelled(),
            StopPhase::Over => false,
            _ => true,
        };
        if !is_under_way {
            return progress;
        }
        let since = self.clock.now().since(*told).as_millis() as u64;
        progress.for_ms += since;
        for one in &mut progress.remaining {
            one.for_ms += since;
        }
        progress
    }

    pub(super) fn by(&self) -> Option<String> {
        locked(&self.by).clone()
    }

    pub(super) fn show(&self, progress: StopProgress) {
        // Held, so that nobody who looks takes one for the time of the other.
        let mut told = locked(&self.told);
        *told = self.clock.now();
        self.progress.send_replace(progress);
    }
}

//! The states of a progress one after another, no more often than somebody wants to see them.

use super::course::Mark;
use super::{Snapshot, Watch};
use mainstay_clock::{Moment, block_on};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The states of a progress: the first at once, then each change with at least the interval between them, coalesced, and the end
/// without delay.
#[derive(Debug)]
pub struct Updates {
    watch: Watch,
    interval: Duration,
    told: Option<(Mark, Moment)>,
    is_over: bool,
}

/// Shows how far something is: a bar on a terminal, lines in a log, events for a console. Anything that takes a snapshot is one.
pub trait Show {
    /// Shows this state instead of the one before.
    fn show(&mut self, snapshot: &Snapshot);
}

/// Shows it as lines of the log, at level `info`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogLines;

impl Updates {
    /// How often a person wants to be told on a screen: four times in a second looks alive and can be read.
    pub const SCREEN: Duration = Duration::from_millis(250);

    /// How often a log wants to be told.
    pub const LOG: Duration = Duration::from_secs(10);

    pub(super) fn new(watch: Watch, interval: Duration) -> Self {
        Self {
            watch,
            interval,
            told: None,
            is_over: false,
        }
    }

    /// Waits for the next state; none after the last.
    ///
    /// Dropping the future misses nothing: the next call tells what this one would have told, or what it has become.
    pub async fn next(&mut self) -> Option<Snapshot> {
        while !self.is_over {
            let shared = Arc::clone(&self.watch.shared);
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            // Before it is looked, so that no change in between is missed.
            changed.as_mut().enable();
            let (mark, is_over) = shared.mark();
            let now = shared.clock.now();
            let due = match self.told {
                None => now,
                Some((_, at)) => at + self.interval,
            };
            let is_news = self.told.is_none_or(|(told, _)| told != mark);
            if is_over || (is_news && due <= now) {
                return Some(self.tell());
            }
            if is_news {
                // More of what is to be told anyway wakes nobody; the end does.
                tokio::select! {
                    () = changed => {}
                    () = shared.clock.sleep(due.since(now)) => {}
                }
                continue;
            }
            shared.is_awaited.store(true, Ordering::SeqCst);
            if shared.mark() == (mark, is_over) {
                changed.await;
            }
        }
        None
    }

    /// As [`next`](Self::next), for a thread that may wait.
    pub fn next_blocking(&mut self) -> Option<Snapshot> {
        block_on(self.next())
    }

    /// Shows every state until the last.
    pub async fn show(mut self, mut on: impl Show) {
        while let Some(snapshot) = self.next().await {
            on.show(&snapshot);
        }
    }

    fn tell(&mut self) -> Snapshot {
        let shared = &self.watch.shared;
        let now = shared.clock.now();
        let (snapshot, mark) = shared.course().look(now);
        self.told = Some((mark, now));
        self.is_over = snapshot.is_last();
        snapshot
    }
}

impl<F: FnMut(&Snapshot)> Show for F {
    fn show(&mut self, snapshot: &Snapshot) {
        self(snapshot);
    }
}

impl Show for LogLines {
    fn show(&mut self, snapshot: &Snapshot) {
        tracing::info!(
            job = %snapshot.name,
            done = snapshot.done,
            total = snapshot.total,
            "{snapshot}"
        );
    }
}

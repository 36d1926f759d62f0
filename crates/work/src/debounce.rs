//! Many changes in a row, of which only the last is worth acting on.

use crate::error::{Error, ErrorKind};
use mainstay_clock::{Moment, SharedClock};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// When a value that changes is told.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `quiet` | 300 ms | the pause after which somebody has stopped typing |
/// | `longest` | 2 s | whoever goes on typing for ever sees something now and then |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebounceSettings {
    /// Told once it has not changed for so long.
    pub quiet: Duration,
    /// Told at the latest so long after its first change, however often it goes on changing; at least `quiet`.
    pub longest: Duration,
}

/// Tells of changes; clones tell the same [`Debounced`]. When the last is dropped, what is pending is told at once.
pub struct Trigger<T> {
    owner: Arc<Owner<T>>,
}

/// Hears of the last change, once there was a pause.
pub struct Debounced<T> {
    shared: Arc<Shared<T>>,
}

struct Owner<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    settings: DebounceSettings,
    clock: SharedClock,
    state: Mutex<State<T>>,
    changed: Notify,
}

struct State<T> {
    pending: Option<Pending<T>>,
    is_closed: bool,
}

struct Pending<T> {
    value: T,
    first: Moment,
    last: Moment,
    is_due: bool,
}

impl Default for DebounceSettings {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(300),
            longest: Duration::from_secs(2),
        }
    }
}

/// Both ends of a debounced value.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) where `longest` is shorter than `quiet`.
pub fn debounce<T>(
    settings: DebounceSettings,
    clock: SharedClock,
) -> Result<(Trigger<T>, Debounced<T>), Error> {
    if settings.longest < settings.quiet {
        let text = format!(
            "a debounce that waits at most {:?} cannot wait for {:?} of quiet",
            settings.longest, settings.quiet
        );
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    let shared = Arc::new(Shared {
        settings,
        clock,
        state: Mutex::new(State {
            pending: None,
            is_closed: false,
        }),
        changed: Notify::new(),
    });
    let owner = Owner {
        shared: Arc::clone(&shared),
    };
    let trigger = Trigger {
        owner: Arc::new(owner),
    };
    Ok((trigger, Debounced { shared }))
}

// === impl Trigger ===

impl<T> Trigger<T> {
    /// It is `value` now, in place of what was pending.
    pub fn trigger(&self, value: T) {
        let shared = &self.owner.shared;
        let now = shared.clock.now();
        let mut state = shared.state();
        let first = state.pending.as_ref().map_or(now, |pending| pending.first);
        let is_due = state.pending.as_ref().is_some_and(|pending| pending.is_due);
        let is_first = state.pending.is_none();
        let before = state.pending.replace(Pending {
            value,
            first,
            last: now,
            is_due,
        });
        drop(state);
        // Dropped without the lock: it is of others.
        drop(before);
        // Whoever waits for the one before wakes early enough, and looks again.
        if is_first {
            shared.changed.notify_waiters();
        }
    }

    /// Has what is pending told at once.
    pub fn flush(&self) {
        let shared = &self.owner.shared;
        if let Some(pending) = &mut shared.state().pending {
            pending.is_due = true;
        }
        shared.changed.notify_waiters();
    }

    /// Takes back what is pending: it is not told.
    pub fn cancel(&self) -> Option<T> {
        let pending = self.owner.shared.state().pending.take();
        pending.map(|pending| pending.value)
    }
}

impl<T> Clone for Trigger<T> {
    fn clone(&self) -> Self {
        Self {
            owner: Arc::clone(&self.owner),
        }
    }
}

impl<T> fmt::Debug for Trigger<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trigger").finish_non_exhaustive()
    }
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        self.shared.changed.notify_waiters();
    }
}

// === impl Debounced ===

impl<T> Debounced<T> {
    /// Waits for the next value that is to be told; none once nobody is left to trigger one.
    ///
    /// Dropping the future loses no value.
    pub async fn next(&mut self) -> Option<T> {
        let shared = &self.shared;
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            // Before it is looked, so that no change in between is missed.
            changed.as_mut().enable();
            let now = shared.clock.now();
            let due = {
                let mut state = shared.state();
                let is_closed = state.is_closed;
                let due = state.pending.as_ref().map(|pending| shared.due(pending));
                match due {
                    None if is_closed => return None,
                    Some(due) if is_closed || due <= now => {
                        return state.pending.take().map(|pending| pending.value);
                    }
                    due => due,
                }
            };
            match due {
                None => changed.await,
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = shared.clock.sleep(due.since(now)) => {}
                },
            }
        }
    }

    /// Calls `then` with every value that is to be told, until nobody is left to trigger one.
    pub async fn run(mut self, mut then: impl FnMut(T)) {
        while let Some(value) = self.next().await {
            then(value);
        }
    }
}

impl<T> fmt::Debug for Debounced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Debounced").finish_non_exhaustive()
    }
}

// === impl Shared ===

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self, pending: &Pending<T>) -> Moment {
        if pending.is_due {
            return pending.first;
        }
        let quiet = pending.last + self.settings.quiet;
        quiet.min(pending.first + self.settings.longest)
    }
}

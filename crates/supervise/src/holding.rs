//! What is held: timers, subscriptions, watchers, children, temporary files, each given back by its guard.

use crate::bounded::caught;
use crate::shared::locked;
use mainstay_clock::{Moment, SharedClock};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::process::Child;
use std::sync::{Arc, Mutex};

/// What kind of thing is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resource {
    /// Something that happens again and again.
    Timer,
    /// A place among those who are told.
    Subscription,
    /// Somebody who watches files.
    Watcher,
    /// A child process.
    Child,
    /// A file that goes with its owner.
    TemporaryFile,
    /// A listening socket.
    Listener,
    /// Anything else.
    Other,
}

/// Everything that is held, so that a stop can see that nothing is. Clones are the same.
///
/// ```
/// use mainstay_supervise::{Holdings, Resource};
///
/// let holdings = Holdings::new(mainstay_clock::system());
/// let timer = holdings.hold(Resource::Timer, "the rescan", 30, |_seconds| {});
/// assert_eq!(*timer, 30);
/// assert_eq!(holdings.list().len(), 1);
/// drop(timer);
/// assert!(holdings.list().is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct Holdings {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: SharedClock,
    held: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    held: BTreeMap<u64, (Resource, String, Moment)>,
}

/// Something that is held; dropped, it is given back, whatever happens meanwhile.
pub struct Held<T> {
    value: Option<T>,
    give_back: Option<GiveBack<T>>,
    id: u64,
    shared: Arc<Shared>,
}

type GiveBack<T> = Box<dyn FnOnce(T) + Send + Sync>;

/// Something that is held, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldStatus {
    /// What kind of thing.
    pub resource: Resource,
    /// What people call it.
    pub name: String,
    /// For so long by now, in milliseconds.
    pub for_ms: u64,
}

// === impl Holdings ===

impl Holdings {
    /// Nothing is held.
    pub fn new(clock: SharedClock) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock,
                held: Mutex::default(),
            }),
        }
    }

    /// Holds something until the guard is dropped, which then calls `give_back`; a panic in there is told, and stays there.
    pub fn hold<T>(
        &self,
        resource: Resource,
        name: &str,
        value: T,
        give_back: impl FnOnce(T) + Send + Sync + 'static,
    ) -> Held<T> {
        let now = self.shared.clock.now();
        let mut book = locked(&self.shared.held);
        book.next += 1;
        let id = book.next;
        book.held.insert(id, (resource, name.to_owned(), now));
        Held {
            value: Some(value),
            give_back: Some(Box::new(give_back)),
            id,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Holds a child process, which is killed and waited for when the guard is dropped; so it blocks for as long as the system takes
    /// to end a process that was killed.
    pub fn child(&self, name: &str, child: Child) -> Held<Child> {
        let named = name.to_owned();
        self.hold(Resource::Child, name, child, move |mut child| {
            // One that has ended is no fault; it still has to be waited for.
            child.kill().ok();
            if let Err(error) = child.wait() {
                tracing::error!(child = named, %error, "it was not seen to end");
            }
        })
    }

    /// All that is held, in the order in which it was taken.
    pub fn list(&self) -> Vec<HeldStatus> {
        let now = self.shared.clock.now();
        let book = locked(&self.shared.held);
        let all = book.held.values();
        all.map(|(resource, name, since)| HeldStatus {
            resource: *resource,
            name: name.clone(),
            for_ms: now.since(*since).as_millis() as u64,
        })
        .collect()
    }

    /// Whether nothing is held: what a stop verifies.
    ///
    /// # Errors
    ///
    /// The names of what is.
    pub fn verify_empty(&self) -> Result<(), StillHeld> {
        let held = self.list();
        if held.is_empty() {
            return Ok(());
        }
        Err(StillHeld(held))
    }
}

/// What should have been given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StillHeld(
    /// All of it.
    pub Vec<HeldStatus>,
);

impl fmt::Display for StillHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("still held: ")?;
        for (place, held) in self.0.iter().enumerate() {
            let before = if place == 0 { "" } else { ", " };
            write!(f, "{before}{} ({:?})", held.name, held.resource)?;
        }
        Ok(())
    }
}

impl std::error::Error for StillHeld {}

// === impl Held ===

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is taken out by drop alone")
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is taken out by drop alone")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if let (Some(value), Some(give_back)) = (self.value.take(), self.give_back.take())
            && let Err(words) = caught(|| give_back(value))
        {
            tracing::error!(words, "giving back what was held panicked");
        }
        locked(&self.shared.held).held.remove(&self.id);
    }
}

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.id).finish()
    }
}

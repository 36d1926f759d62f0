//! The jobs that were handed in and are not over: what people are shown of them.

use super::Kind;
use crate::status;
use mainstay_clock::Moment;
use mainstay_work::{Unit, Watch};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The jobs that were handed in and are not over, by the order in which they were.
#[derive(Debug, Default)]
pub(super) struct Book(Mutex<(u64, BTreeMap<u64, Entry>)>);

#[derive(Debug, Clone)]
pub(super) struct Entry {
    name: Arc<str>,
    kind: Kind,
    /// When it was handed in, and later when it began.
    pub(super) since: Moment,
    /// How far it is, once it has begun.
    watch: Option<Watch>,
}

/// In the book until it is dropped, which it is with its job, also where that is never begun.
pub(super) struct Listed {
    book: Arc<Book>,
    number: u64,
}

// === impl Book ===

impl Book {
    pub(super) fn list(self: &Arc<Self>, kind: Kind, name: &str, since: Moment) -> Listed {
        let entry = Entry {
            name: name.into(),
            kind,
            since,
            watch: None,
        };
        let mut book = self.locked();
        book.0 += 1;
        let number = book.0;
        book.1.insert(number, entry);
        drop(book);
        Listed {
            book: Arc::clone(self),
            number,
        }
    }

    pub(super) fn all(&self) -> Vec<Entry> {
        self.locked().1.values().cloned().collect()
    }

    fn locked(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Entry>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed {
    pub(super) fn begins(&self, watch: Watch, now: Moment) {
        if let Some(entry) = self.book.locked().1.get_mut(&self.number) {
            entry.watch = Some(watch);
            entry.since = now;
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.book.locked().1.remove(&self.number);
    }
}

impl Entry {
    pub(super) fn words(&self) -> String {
        match &self.watch {
            Some(watch) => watch.snapshot().to_string(),
            None => format!("{}, which waits for its turn", self.name),
        }
    }

    pub(super) fn told(&self, now: Moment, wall: u64, is_stopping: bool) -> status::Job {
        let far = self.watch.as_ref().map(Watch::snapshot);
        let ago = now.since(self.since).as_millis() as u64;
        status::Job {
            name: self.name.to_string(),
            kind: self.kind.word().to_owned(),
            state: match &far {
                None => "waiting",
                Some(_) if is_stopping => "stopping",
                Some(_) => "running",
            }
            .to_owned(),
            since: status::date(wall.saturating_sub(ago)),
            phase: { far.as_ref() }.and_then(|far| far.phase.as_deref().map(str::to_owned)),
            unit: match far.as_ref().map(|far| far.unit) {
                Some(Unit::Bytes) => "bytes",
                _ => "items",
            }
            .to_owned(),
            done: far.as_ref().map_or(0, |far| far.done),
            total: far.as_ref().and_then(|far| far.total),
            words: self.words(),
        }
    }
}

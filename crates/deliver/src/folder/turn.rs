//! One thread at a time for each document.
//!
//! An attempt that was given up goes on in its thread until its disk has answered: nothing can stop a sync. If the document is
//! offered again meanwhile, by the same worker or by one that was started in its place, two threads would take each other's
//! staged file for their own, and make two files of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

type Key = (PathBuf, String);

/// Belongs to the process and not to a [`Folder`](super::Folder), since a worker that is started anew brings its own. Another
/// process cannot have the same document, because it cannot have the same queue.
static TAKEN: Mutex<BTreeSet<Key>> = Mutex::new(BTreeSet::new());
static GIVEN_BACK: Condvar = Condvar::new();

/// The right to place one document into one folder; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    key: Key,
}

impl Turn {
    /// Waits for an earlier attempt to end, and no longer.
    pub(super) fn take(folder: &Path, id: &str) -> Self {
        let key = (folder.to_owned(), id.to_owned());
        let mut taken = GIVEN_BACK
            .wait_while(lock(), |taken| taken.contains(&key))
            .unwrap_or_else(PoisonError::into_inner);
        taken.insert(key.clone());
        Self { key }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock().remove(&self.key);
        GIVEN_BACK.notify_all();
    }
}

fn lock() -> MutexGuard<'static, BTreeSet<Key>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

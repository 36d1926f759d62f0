//! How much waits in the queue, for those who ask while the index is at work.

use crate::index::Index;
use crate::sync::MutexGuard;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::ops::{Deref, DerefMut};

/// How many documents wait and how many bytes they take, for those who ask without waiting for the index.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) documents: AtomicU64,
    pub(super) bytes: AtomicU64,
}

impl Usage {
    pub(super) fn add(&self, documents: u64, bytes: u64) {
        self.documents.fetch_add(documents, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The index, held; what it takes is published when it is let go.
pub(super) struct IndexGuard<'a> {
    pub(super) index: MutexGuard<'a, Index>,
    pub(super) usage: &'a Usage,
}

impl Deref for IndexGuard<'_> {
    type Target = Index;

    fn deref(&self) -> &Index {
        &self.index
    }
}

impl DerefMut for IndexGuard<'_> {
    fn deref_mut(&mut self) -> &mut Index {
        &mut self.index
    }
}

impl Drop for IndexGuard<'_> {
    fn drop(&mut self) {
        let (documents, bytes) = self.index.usage();
        self.usage.documents.store(documents, Ordering::Relaxed);
        self.usage.bytes.store(bytes, Ordering::Relaxed);
    }
}

//! The memory for documents that are looked up.

use bytes::Bytes;
use mainstay_deliver::Content;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The memory for documents that are looked up, over all routes; clones share it.
///
/// A document takes as much of it as it is long, from before it is read until it was looked up, and none while it is sent: what is
/// long waits for its destination in a file.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    pub(super) memory: Arc<Semaphore>,
    /// Where files without a name are made.
    folder: Arc<Path>,
}

/// The longest completed body that waits for its destination in memory.
const HELD_MAX: usize = 1 << 20;

/// Room for two of the longest documents, in KiB: while one is looked up, there is room for all that are shorter.
pub(super) const ROOM_KIB: u32 = 128 << 10;

/// What the shortest document takes of it, in KiB: a question or two, and what is answered.
const ROOM_MIN_KIB: u32 = 64;

impl Room {
    /// All of it; what waits for its destination lies in this folder, under no name.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            memory: Arc::new(Semaphore::new(ROOM_KIB as usize)),
            folder: folder.into(),
        }
    }

    /// Room for a document of so many bytes, in the order of arrival.
    pub(super) async fn take(&self, len: u64) -> SemaphorePermit<'_> {
        let kib = u32::try_from(len.div_ceil(1 << 10)).unwrap_or(ROOM_KIB);
        let kib = kib.clamp(ROOM_MIN_KIB, ROOM_KIB);
        let taken = self.memory.acquire_many(kib).await;
        taken.expect("nobody closes it")
    }

    /// A completed body that takes no memory worth speaking of, however long its destination takes. The system removes its file when
    /// it is closed, also by a kill.
    pub(super) async fn put_aside(&self, body: Bytes) -> io::Result<Content> {
        if body.len() <= HELD_MAX {
            return Ok(Content::Bytes(body));
        }
        let folder = Arc::clone(&self.folder);
        let writing = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::tempfile_in(&folder)?;
            file.write_all(&body)?;
            file.rewind()?;
            Ok(Content::File(file, body.len() as u64))
        });
        writing.await.map_err(io::Error::other)?
    }
}

//! A disk that did not confirm is asked again.

use super::commit::append_error;
use super::{LogStore, Mode, lock};
use crate::disk::{AlignedBuf, Folder};
use crate::error::is_disk_full;
use crate::log::AppendError;
use std::io;

/// What it is asked with.
const PROBE_FILE: &str = "probe.new";

/// The least that is written past the page cache.
const PROBE_BYTES: usize = 4096;

impl LogStore {
    /// Whether the disk did not confirm what was written last, and documents are refused because of it.
    pub fn waits_for_disk(&self) -> bool {
        matches!(self.mode(), Mode::ReadOnly(_))
    }

    /// Asks a disk that did not confirm again, with a small file that goes at once. Who has documents may look first whether they
    /// would be taken in, and where nothing is to be settled nobody else asks. Returns whether documents are taken in again.
    ///
    /// The log is left alone: each of its segments that a commit failed in is written to no more, and would stay until one did not.
    pub fn ask_disk_again(&self) -> bool {
        if lock(&self.writer).log.reserve_missing().is_some() {
            // What is taken in might leave no room to acknowledge it; who keeps house makes the reserve first.
            return false;
        }
        match self.try_disk() {
            Ok(()) => {
                self.set_mode(Mode::Writable);
                return true;
            }
            Err(error) if is_disk_full(&error) => {
                let full = AppendError::Full(error);
                self.be_full(&append_error(full, "the disk is full; nothing was stored"));
            }
            Err(error) => tracing::debug!(%error, "the disk was asked again, and refuses"),
        }
        false
    }

    /// Makes, writes and commits a file, in the way in which the log does it, and removes it.
    fn try_disk(&self) -> io::Result<()> {
        // One that a process which died left.
        drop(self.disk.remove(Folder::Root, PROBE_FILE));
        let tried = self.try_file();
        let removed = self.disk.remove(Folder::Root, PROBE_FILE);
        tried.and(removed)
    }

    fn try_file(&self) -> io::Result<()> {
        let mut zeros = AlignedBuf::new();
        zeros.pad_to(PROBE_BYTES);
        let file = self.disk.create(Folder::Root, PROBE_FILE)?;
        file.fill_at(zeros.as_slice(), 0)?;
        file.sync()?;
        self.disk.sync_folder(Folder::Root)?;
        let file = self.disk.open_for_commits(Folder::Root, PROBE_FILE)?;
        file.commit_at(zeros.as_slice(), 0)
    }
}

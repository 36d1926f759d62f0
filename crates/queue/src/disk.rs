//! The disk as a parameter: the real one, or one that a simulation cuts, tears and fills.

mod aligned;
#[cfg(test)]
pub(crate) mod cut;
mod real;

pub use aligned::AlignedBuf;
pub use real::RealDisk;

use std::fmt;
use std::fs::File;
use std::io;

/// The folders of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Folder {
    /// Where segments, the snapshot and the watermark lie.
    Root,
    /// Where large bodies lie.
    Bodies,
    /// Where bytes that could not be read are copied to.
    Damaged,
}

/// A file in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}

/// What the queue asks of a disk; every call blocks.
///
/// Nothing is durable before [`DiskFile::sync`] (content and length) or [`Disk::sync_folder`] (names) has returned
/// `Ok`. After either failed, it is never called again for the same file.
pub trait Disk: fmt::Debug + Send + Sync {
    /// The files in a folder, in no order; names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>>;

    /// Makes a file that must not exist yet, readable by its owner alone.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the system says.
    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file to read and write.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for [`DiskFile::commit_at`], the cheapest way that the file system takes.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn open_for_commits(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open(folder, name)
    }

    /// Gives a file another name in the same folder; a file that has that name is replaced.
    ///
    /// # Errors
    /// What the system says; then nothing was renamed.
    fn rename(&self, folder: Folder, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, folder: Folder, name: &str) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the system says; then the names may be lost.
    fn sync_folder(&self, folder: Folder) -> io::Result<()>;

    /// How many bytes the disk has left for us; 0 as well where it has no names left for files.
    ///
    /// # Errors
    /// What the system says.
    fn free_bytes(&self) -> io::Result<u64>;

    /// 16 bytes that nobody can foresee: the secret of a new queue, the name of a body in the making. A simulation gives
    /// those of its seed, so that a run comes again byte for byte.
    fn fresh_bytes(&self) -> [u8; 16] {
        uuid::Uuid::new_v4().into_bytes()
    }
}

/// An open file of a [`Disk`].
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// As [`DiskFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Reads from `offset` until `bytes` is full or the file ends; returns how many bytes were read.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`; durable only after [`DiskFile::sync`].
    ///
    /// # Errors
    /// What the system says; then any part may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// The same past the page cache, where the file system takes that: it costs others less, and leaves nothing behind in
    /// memory. Address, offset and length are multiples of 4096.
    ///
    /// # Errors
    /// As [`DiskFile::write_at`].
    fn fill_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(bytes, offset)
    }

    /// Makes content and length durable.
    ///
    /// # Errors
    /// What the system says; then nothing since the last sync may be trusted, and it must not be tried again.
    fn sync(&self) -> io::Result<()>;

    /// Writes `bytes` at `offset`, inside the file's length, and makes them durable before it returns. Address, offset
    /// and length are multiples of 4096.
    ///
    /// # Errors
    /// As [`DiskFile::sync`].
    fn commit_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(bytes, offset)?;
        self.sync()
    }

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// A handle of the system's own, to stream from; `None` where there is no such thing.
    fn system_file(&self) -> Option<io::Result<File>> {
        None
    }
}

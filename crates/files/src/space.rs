//! How much room there is, and on what kind of file system.

use crate::error::{Attempt, Error};
use crate::system;
use std::borrow::Cow;
use std::path::Path;

/// What is left on a file system for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that a process without privileges may still write.
    pub bytes: u64,
    /// Files that may still be made; `u64::MAX` where the file system has no such limit.
    pub inodes: u64,
}

/// What kind of file system it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Its usual name: `ext4` (also for ext2 and ext3, which give the same number), `xfs`, `btrfs`, `tmpfs`, `nfs`, `cifs`,
    /// `fuse`, `overlay`; the number in hexadecimal (`0x1234abcd`) for one that is not in our table.
    pub kind: Cow<'static, str>,
    /// Whether another machine may change it. FUSE counts as such, because it does not say what is behind it.
    pub network: bool,
}

/// How much room is left on the file system that holds `path`.
///
/// It is a moment's answer: a write may still find the disk full.
///
/// # Errors
///
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where nothing is at `path`; [`ErrorKind::Io`](crate::ErrorKind::Io)
/// where the system cannot say, as always on Windows.
pub fn free_space(path: &Path) -> Result<Space, Error> {
    system::free_space(path)
        .map_err(|error| Attempt::new("ask for the free space of", path, "").failed(error))
}

/// On what kind of file system `path` is.
///
/// # Errors
///
/// As [`free_space`]; other systems than Linux cannot say.
pub fn file_system(path: &Path) -> Result<FileSystem, Error> {
    system::file_system(path)
        .map_err(|error| Attempt::new("ask for the file system of", path, "").failed(error))
}

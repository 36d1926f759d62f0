//! What a file is, without trusting its name.

use crate::error::{Attempt, Error, ErrorKind};
use crate::system;
use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

/// What the file system says about one file, at one moment.
///
/// Two that are equal say that nothing happened to the file in between: the system itself sets [`changed`](Self::changed),
/// and no program can set it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// Length in bytes.
    pub len: u64,
    /// When the content was last changed; a program may set it to anything.
    pub modified: SystemTime,
    /// When content, name, mode or owner were last changed.
    pub changed: SystemTime,
    /// How many names the file has.
    pub nlink: u64,
    /// Number of the user who owns it; 0 on Windows.
    pub uid: u32,
    /// Number of the group that it belongs to; 0 on Windows.
    pub gid: u32,
    /// The file system that it is on.
    pub dev: u64,
    /// Its number on that file system.
    pub ino: u64,
    /// Type and permission bits, as in `st_mode`.
    pub mode: u32,
}

/// The bits of `st_mode` that say what it is (`inode(7)`).
const TYPE_BITS: u32 = 0o170_000;
pub(crate) const TYPE_REGULAR: u32 = 0o100_000;
pub(crate) const TYPE_FOLDER: u32 = 0o040_000;
pub(crate) const TYPE_SYMLINK: u32 = 0o120_000;

impl Facts {
    /// Whether it is a regular file.
    pub fn is_regular(&self) -> bool {
        self.mode & TYPE_BITS == TYPE_REGULAR
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.mode & TYPE_BITS == TYPE_FOLDER
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.mode & TYPE_BITS == TYPE_SYMLINK
    }

    /// Whether both are the same file on the same file system, under whatever name.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }

    /// Whether others than its owner and root may write to it: the bits for group or others are set.
    ///
    /// Access control lists are counted: what they grant shows in the bits of the group.
    pub fn is_writable_by_others(&self) -> bool {
        self.mode & 0o022 != 0
    }
}

/// What is at `path`; a symbolic link is not followed.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] where nothing is there, [`ErrorKind::Permission`] where a folder on the way may not be searched.
pub fn facts(path: &Path) -> Result<Facts, Error> {
    system::facts_of_path(path).map_err(|error| Attempt::new("look at", path, "").failed(error))
}

/// What the open file is.
///
/// # Errors
///
/// [`ErrorKind::Io`], where the system cannot say.
pub fn facts_of(file: &File) -> Result<Facts, Error> {
    system::facts_of_file(file)
        .map_err(|error| Attempt::new("look at", &system::path_of(file), "").failed(error))
}

/// Opens `path` for reading where it is a regular file, and says what was opened.
///
/// A symbolic link is not followed, and a pipe without a writer is not waited for. What the facts say is true of the file
/// that was opened, whatever happens to its name.
///
/// # Errors
///
/// [`ErrorKind::NotFound`]; [`ErrorKind::IsSymlink`]; [`ErrorKind::NotRegular`] for a folder, pipe, socket or device;
/// [`ErrorKind::Permission`]. Nothing is changed.
pub fn open_regular(path: &Path) -> Result<(File, Facts), Error> {
    let attempt = Attempt::new("open", path, "");
    regular_only(&attempt, system::open_regular(system::here(), path))
}

/// Like [`open_regular`], for a path that starts at the open folder `dir`.
///
/// # Errors
///
/// As [`open_regular`].
#[cfg(unix)]
pub fn open_regular_at(dir: &File, path: &Path) -> Result<(File, Facts), Error> {
    let attempt = Attempt::new("open", path, "");
    regular_only(&attempt, system::open_regular(dir, path))
}

pub(crate) fn regular_only(
    attempt: &Attempt<'_>,
    opened: std::io::Result<(File, Facts)>,
) -> Result<(File, Facts), Error> {
    match opened {
        Ok((file, facts)) if facts.is_regular() => Ok((file, facts)),
        Ok(_) => Err(attempt.refused(ErrorKind::NotRegular, "it is not a regular file")),
        // A socket cannot be opened at all.
        Err(error) if system::is_no_such_device(&error) => {
            Err(attempt.failed_as(ErrorKind::NotRegular, error))
        }
        Err(error) => Err(attempt.failed(error)),
    }
}

//! Windows, and whatever else is not Unix: the same interface over the standard library.
//!
//! Nobody has measured it. A folder is held by its path only, and its entries are as durable as NTFS journals metadata.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the room that writes, renames, syncs and removes files"
)]

use super::faults;
use super::held::patiently;
use crate::error::ErrorKind;
use crate::facts::{Facts, TYPE_FOLDER, TYPE_REGULAR, TYPE_SYMLINK};
use crate::space::{FileSystem, Space};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::SystemTime;

/// `ERROR_FILENAME_EXCED_RANGE`.
const NAME_TOO_LONG: i32 = 206;

/// A folder, held by its path.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
}

impl Dir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        faults::pass("open folder")?;
        if fs::metadata(path)?.is_dir() {
            return Ok(Self {
                path: path.to_owned(),
            });
        }
        Err(io::ErrorKind::NotADirectory.into())
    }

    pub(crate) fn open_below(&self, path: &Path) -> io::Result<Self> {
        Self::open(&self.path.join(path))
    }

    /// Nothing is held, so a link that takes the place of a folder later is followed.
    pub(crate) fn open_child(&self, name: &OsStr) -> io::Result<Self> {
        let path = self.path.join(name);
        if fs::symlink_metadata(&path)?.is_symlink() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Self::open(&path)
    }

    pub(crate) fn again(&self) -> io::Result<Self> {
        Self::open(&self.path)
    }

    pub(crate) fn own_facts(&self) -> io::Result<Facts> {
        faults::pass("stat")?;
        fs::metadata(&self.path).map(|metadata| facts_from(&metadata))
    }

    pub(crate) fn facts(&self, name: &OsStr) -> io::Result<Facts> {
        facts_of_path(&self.path.join(name))
    }

    pub(crate) fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        faults::pass("readlink")?;
        fs::read_link(self.path.join(name))
    }

    pub(crate) fn create_new(&self, name: &OsStr, _mode: u32) -> io::Result<File> {
        faults::pass("create")?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(self.path.join(name))
    }

    pub(crate) fn open_regular(&self, name: &OsStr) -> io::Result<(File, Facts)> {
        open_regular(&self.path, Path::new(name))
    }

    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        faults::pass("rename")?;
        let (from, to) = (self.path.join(from), self.path.join(to));
        patiently(thread::sleep, || fs::rename(&from, &to))
    }

    /// The standard library has no rename that refuses to replace; the caller links and unlinks.
    #[expect(clippy::unused_self, reason = "on Unix it is used")]
    pub(crate) fn rename_noreplace(
        &self,
        _from: &OsStr,
        _to_dir: &Dir,
        _to: &OsStr,
    ) -> io::Result<()> {
        faults::pass("rename")?;
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn link(&self, from: &OsStr, to_dir: &Dir, to: &OsStr) -> io::Result<()> {
        faults::pass("link")?;
        fs::hard_link(self.path.join(from), to_dir.path.join(to))
    }

    pub(crate) fn unlink(&self, name: &OsStr) -> io::Result<()> {
        faults::pass("unlink")?;
        let path = self.path.join(name);
        patiently(thread::sleep, || fs::remove_file(&path))
    }

    pub(crate) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        faults::pass("rmdir")?;
        fs::remove_dir(self.path.join(name))
    }

    pub(crate) fn create_dir(&self, name: &OsStr, _mode: u32) -> io::Result<()> {
        faults::pass("mkdir")?;
        fs::create_dir(self.path.join(name))
    }

    /// A link has to know here whether it leads to a folder, which nobody has told.
    #[expect(clippy::unused_self, reason = "on Unix it is used")]
    pub(crate) fn symlink(&self, _target: &Path, _name: &OsStr) -> io::Result<()> {
        faults::pass("symlink")?;
        Err(io::ErrorKind::Unsupported.into())
    }

    #[expect(clippy::unused_self, reason = "on Unix it is used")]
    pub(crate) fn set_mode(&self, _mode: u32) -> io::Result<()> {
        faults::pass("chmod")
    }

    #[expect(clippy::unused_self, reason = "on Unix it is used")]
    pub(crate) fn set_owner(&self, _uid: u32, _gid: u32) -> io::Result<()> {
        faults::pass("chown")
    }

    /// The time of a folder is left as it is.
    #[expect(clippy::unused_self, reason = "on Unix it is used")]
    pub(crate) fn set_modified(&self, _to: SystemTime) -> io::Result<()> {
        faults::pass("utime")
    }

    #[expect(clippy::unused_self, reason = "on Unix it is used")]
    pub(crate) fn set_owner_of_link(&self, _name: &OsStr, _uid: u32, _gid: u32) -> io::Result<()> {
        faults::pass("chown")
    }

    #[expect(clippy::unused_self, reason = "on Unix it is used")]
    pub(crate) fn set_modified_of_link(&self, _name: &OsStr, _to: SystemTime) -> io::Result<()> {
        faults::pass("utime")
    }

    /// Folders have no locks here.
    #[expect(clippy::unused_self, reason = "on Unix it is used")]
    pub(crate) fn lock_alone(&self) -> io::Result<bool> {
        faults::pass("lock folder").map(|()| true)
    }

    #[expect(clippy::unused_self, reason = "on Unix it is used")]
    pub(crate) fn unlock(&self) {}

    /// A folder cannot be flushed here.
    #[expect(clippy::unused_self, reason = "on Unix it is used")]
    pub(crate) fn sync(&self) -> io::Result<()> {
        faults::pass("sync folder")
    }

    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        faults::pass("list")?;
        fs::read_dir(&self.path)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect()
    }
}

pub(crate) fn open_regular(dir: impl AsRef<Path>, path: &Path) -> io::Result<(File, Facts)> {
    faults::pass("open")?;
    let path = dir.as_ref().join(path);
    if fs::symlink_metadata(&path)?.is_symlink() {
        return Err(io::Error::other(
            crate::error::Attempt::new("open", &path, "").refused(
                ErrorKind::IsSymlink,
                "it is a symbolic link, which is not followed here",
            ),
        ));
    }
    let file = File::open(&path)?;
    let facts = facts_from(&file.metadata()?);
    Ok((file, facts))
}

pub(crate) fn here() -> impl AsRef<Path> {
    Path::new("")
}

pub(crate) fn facts_of_file(file: &File) -> io::Result<Facts> {
    faults::pass("stat")?;
    file.metadata().map(|metadata| facts_from(&metadata))
}

pub(crate) fn facts_of_path(path: &Path) -> io::Result<Facts> {
    faults::pass("stat")?;
    fs::symlink_metadata(path).map(|metadata| facts_from(&metadata))
}

pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    faults::pass("sync file")?;
    file.sync_all()
}

/// There is no call for it that needs no privileges.
pub(crate) fn sync_filesystem(_dir: &Dir) -> io::Result<()> {
    faults::pass("sync file system")?;
    Err(io::ErrorKind::Unsupported.into())
}

/// Modes do not exist; a file inherits the access control list of its folder.
pub(crate) fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    faults::pass("chmod")
}

/// Owners are left as they are.
pub(crate) fn set_owner(_file: &File, _uid: u32, _gid: u32) -> io::Result<()> {
    faults::pass("chown")
}

pub(crate) fn set_modified(file: &File, to: SystemTime) -> io::Result<()> {
    faults::pass("utime")?;
    file.set_times(FileTimes::new().set_modified(to))
}

pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    faults::pass("open")?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Users have no number here; all files count as ours.
pub(crate) fn own_uid() -> u32 {
    0
}

/// Nobody can tell without the system's own interface, so age alone decides what is swept.
pub(crate) fn is_process_alive(_pid: u32) -> bool {
    true
}

pub(crate) fn kind_of_code(code: Option<i32>) -> Option<ErrorKind> {
    (code? == NAME_TOO_LONG).then_some(ErrorKind::TooLong)
}

pub(crate) fn is_noreplace_unknown(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

pub(crate) fn is_never_permitted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

pub(crate) fn is_no_such_device(_error: &io::Error) -> bool {
    false
}

pub(crate) fn path_of(_file: &File) -> PathBuf {
    PathBuf::from("an open file")
}

/// Nothing that the system would let go of on request.
pub(crate) fn forget_memory_of(_file: &File) {}

pub(crate) fn free_space(_path: &Path) -> io::Result<Space> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn file_system(_path: &Path) -> io::Result<FileSystem> {
    Err(io::ErrorKind::Unsupported.into())
}

fn facts_from(metadata: &Metadata) -> Facts {
    let kind = metadata.file_type();
    let bits = match (kind.is_symlink(), kind.is_dir(), kind.is_file()) {
        (true, _, _) => TYPE_SYMLINK,
        (_, true, _) => TYPE_FOLDER,
        (_, _, true) => TYPE_REGULAR,
        _ => 0,
    };
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Facts {
        len: metadata.len(),
        modified,
        changed: modified,
        nlink: 1,
        uid: 0,
        gid: 0,
        dev: 0,
        ino: 0,
        mode: bits | 0o600,
    }
}

/// What is kept with a file besides its bytes and mode: nothing that is known of here.
#[derive(Debug, Default)]
pub(crate) struct Attributes;

#[expect(clippy::unnecessary_wraps, reason = "Linux may refuse")]
impl Attributes {
    pub(crate) fn of(_file: &File) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn give_to(&self, _file: &File, _is_owner_kept: bool) -> io::Result<()> {
        Ok(())
    }
}

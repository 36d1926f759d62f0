//! Unix: everything is done by name below the descriptor of an open folder, so that no folder can be swapped in between.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod attributes;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod ear;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod magic;
mod words;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use attributes::Attributes;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use ear::Ear;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use magic::file_system;

use super::faults;
use crate::error::ErrorKind;
use crate::facts::Facts;
use crate::space::Space;
use rustix::fs::{AtFlags, FlockOperation, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use words::{facts_from, times};

/// Makes a call about names, or about what is on the disk; a machine that is simulated does it itself.
macro_rules! act {
    ($call:literal, $change:ident($($of:expr),+), $does:expr) => {{
        #[cfg(feature = "simulated")]
        if let Some(machine) = crate::simulated::machine::here() {
            return machine.change($call, crate::simulated::Change::$change($($of),+));
        }
        faults::pass($call)?;
        Ok($does?)
    }};
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
}

impl Dir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        faults::pass("open folder")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
        Ok(Self { fd })
    }

    /// Opens a folder by a path that starts here.
    pub(crate) fn open_below(&self, path: &Path) -> io::Result<Self> {
        faults::pass("open folder")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd =
            rustix::io::retry_on_intr(|| rustix::fs::openat(&self.fd, path, flags, Mode::empty()))?;
        Ok(Self { fd })
    }

    /// Opens a folder in this one by its name; a symbolic link is refused.
    pub(crate) fn open_child(&self, name: &OsStr) -> io::Result<Self> {
        faults::pass("open folder")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            rustix::io::retry_on_intr(|| rustix::fs::openat(&self.fd, name, flags, Mode::empty()))?;
        Ok(Self { fd })
    }

    /// The same folder, held once more.
    pub(crate) fn again(&self) -> io::Result<Self> {
        faults::pass("open folder")?;
        let fd = self.fd.try_clone()?;
        Ok(Self { fd })
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What the folder itself is.
    pub(crate) fn own_facts(&self) -> io::Result<Facts> {
        faults::pass("stat")?;
        Ok(facts_from(&rustix::fs::fstat(&self.fd)?))
    }

    /// What `name` is, without following it.
    pub(crate) fn facts(&self, name: &OsStr) -> io::Result<Facts> {
        faults::pass("stat")?;
        Ok(facts_from(&rustix::fs::statat(
            &self.fd,
            name,
            AtFlags::SYMLINK_NOFOLLOW,
        )?))
    }

    /// Where the symbolic link `name` leads.
    pub(crate) fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        faults::pass("readlink")?;
        let target = rustix::fs::readlinkat(&self.fd, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Makes a file that nobody else has made; `mode` loses what the umask takes.
    pub(crate) fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        faults::pass("create")?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::io::retry_on_intr(|| {
            rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(mode))
        })?;
        #[cfg(feature = "simulated")]
        if let Some(machine) = crate::simulated::machine::here() {
            machine.made((self.as_fd(), name), fd.as_fd());
        }
        Ok(File::from(fd))
    }

    pub(crate) fn open_regular(&self, name: &OsStr) -> io::Result<(File, Facts)> {
        open_regular(&self.fd, Path::new(name))
    }

    /// Puts `from` in the place of whatever `to` is.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        act!(
            "rename",
            Replace((self.as_fd(), from), (self.as_fd(), to)),
            rustix::fs::renameat(&self.fd, from, &self.fd, to)
        )
    }

    /// Renames only where `to` does not exist; a file system that cannot do it answers `EINVAL` or `ENOSYS`.
    pub(crate) fn rename_noreplace(
        &self,
        from: &OsStr,
        to_dir: &Dir,
        to: &OsStr,
    ) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            act!(
                "rename",
                Rename((self.as_fd(), from), (to_dir.as_fd(), to)),
                rustix::fs::renameat_with(&self.fd, from, &to_dir.fd, to, flags)
            )
        }
        #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
        {
            let _ = (from, to_dir, to);
            faults::pass("rename")?;
            Err(Errno::NOSYS.into())
        }
    }

    /// A second name for the same file; never follows a link, never replaces.
    pub(crate) fn link(&self, from: &OsStr, to_dir: &Dir, to: &OsStr) -> io::Result<()> {
        act!(
            "link",
            Link((self.as_fd(), from), (to_dir.as_fd(), to)),
            rustix::fs::linkat(&self.fd, from, &to_dir.fd, to, AtFlags::empty())
        )
    }

    pub(crate) fn unlink(&self, name: &OsStr) -> io::Result<()> {
        act!(
            "unlink",
            Remove((self.as_fd(), name)),
            rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
        )
    }

    pub(crate) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        act!(
            "rmdir",
            RemoveFolder((self.as_fd(), name)),
            rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
        )
    }

    pub(crate) fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        act!(
            "mkdir",
            CreateFolder((self.as_fd(), name), mode),
            rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode))
        )
    }

    /// A symbolic link that says `target`, where nothing has that name.
    pub(crate) fn symlink(&self, target: &Path, name: &OsStr) -> io::Result<()> {
        faults::pass("symlink")?;
        Ok(rustix::fs::symlinkat(target, &self.fd, name)?)
    }

    /// Gives the folder itself the bits of a mode.
    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        faults::pass("chmod")?;
        Ok(rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode))?)
    }

    /// Gives the folder itself to somebody.
    pub(crate) fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        faults::pass("chown")?;
        let (uid, gid) = ids(uid, gid);
        Ok(rustix::fs::fchown(&self.fd, uid, gid)?)
    }

    /// Sets when the folder itself was modified.
    pub(crate) fn set_modified(&self, to: SystemTime) -> io::Result<()> {
        faults::pass("utime")?;
        Ok(rustix::fs::futimens(&self.fd, &times(to))?)
    }

    /// Gives the symbolic link `name` to somebody.
    pub(crate) fn set_owner_of_link(&self, name: &OsStr, uid: u32, gid: u32) -> io::Result<()> {
        faults::pass("chown")?;
        let (uid, gid) = ids(uid, gid);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::chownat(&self.fd, name, uid, gid, flags)?)
    }

    /// Sets when the symbolic link `name` was made.
    pub(crate) fn set_modified_of_link(&self, name: &OsStr, to: SystemTime) -> io::Result<()> {
        faults::pass("utime")?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::utimensat(&self.fd, name, &times(to), flags)?)
    }

    /// Locks the folder itself as long as it is open; false where another process has done so.
    pub(crate) fn lock_alone(&self) -> io::Result<bool> {
        faults::pass("lock folder")?;
        match rustix::fs::flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Ok(false),
            // A file system without locks for folders, as NFS.
            _ => Ok(true),
        }
    }

    /// Gives the lock back, also where a child process that is just being started still has the folder open.
    pub(crate) fn unlock(&self) {
        rustix::fs::flock(&self.fd, FlockOperation::Unlock).unwrap_or_default();
    }

    /// Puts the folder's entries on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        act!(
            "sync folder",
            SyncFolder(self.as_fd()),
            sync_descriptor(&self.fd)
        )
    }

    /// The names in the folder, `.` and `..` left out, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        faults::pass("list")?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Opens `path` for reading where it is a regular file; never follows a link, never waits for the other end of a pipe.
pub(crate) fn open_regular(dir: impl AsFd, path: &Path) -> io::Result<(File, Facts)> {
    faults::pass("open")?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd =
        rustix::io::retry_on_intr(|| rustix::fs::openat(dir.as_fd(), path, flags, Mode::empty()))?;
    let facts = facts_from(&rustix::fs::fstat(&fd)?);
    Ok((File::from(fd), facts))
}

/// The folder that relative paths start from.
pub(crate) fn here() -> impl AsFd {
    rustix::fs::CWD
}

pub(crate) fn facts_of_file(file: &File) -> io::Result<Facts> {
    faults::pass("stat")?;
    Ok(facts_from(&rustix::fs::fstat(file)?))
}

pub(crate) fn facts_of_path(path: &Path) -> io::Result<Facts> {
    faults::pass("stat")?;
    Ok(facts_from(&rustix::fs::lstat(path)?))
}

/// Puts the bytes and the length of a file on the disk.
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    act!("sync file", SyncFile(file.as_fd()), sync_descriptor(file))
}

#[cfg(not(target_vendor = "apple"))]
fn sync_descriptor(fd: impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fsync(fd)?)
}

/// Apple's fsync stops at the drive's cache.
#[cfg(target_vendor = "apple")]
fn sync_descriptor(fd: impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fcntl_fullfsync(fd)?)
}

/// Puts everything that the file system of this folder still holds in memory on the disk.
pub(crate) fn sync_filesystem(dir: &Dir) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        act!(
            "sync file system",
            SyncAll(dir.as_fd()),
            rustix::fs::syncfs(&dir.fd)
        )
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = dir;
        faults::pass("sync file system")?;
        rustix::fs::sync();
        Ok(())
    }
}

/// Has the system forget what it remembers of a file that is on the disk, so that the next read comes from there; where it
/// does not want to, it comes from memory.
pub(crate) fn forget_memory_of(file: &File) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).ok();
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = file;
}

pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    faults::pass("chmod")?;
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?)
}

pub(crate) fn set_owner(file: &File, uid: u32, gid: u32) -> io::Result<()> {
    faults::pass("chown")?;
    let (uid, gid) = ids(uid, gid);
    Ok(rustix::fs::fchown(file, uid, gid)?)
}

fn ids(uid: u32, gid: u32) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

pub(crate) fn set_modified(file: &File, to: SystemTime) -> io::Result<()> {
    faults::pass("utime")?;
    Ok(rustix::fs::futimens(file, &times(to))?)
}

/// Opens or makes the file that a lock is taken on.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    faults::pass("open")?;
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let fd = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, mode))?;
    Ok(File::from(fd))
}

/// Who we are to the file system.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether a process of that number exists in this PID namespace.
pub(crate) fn is_process_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    else {
        return false;
    };
    // EPERM says that it is there and belongs to someone else.
    !matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH))
}

/// What the standard library has no stable kind for.
pub(crate) fn kind_of_code(code: Option<i32>) -> Option<ErrorKind> {
    match Errno::from_raw_os_error(code?) {
        Errno::NAMETOOLONG => Some(ErrorKind::TooLong),
        Errno::LOOP => Some(ErrorKind::IsSymlink),
        Errno::ILSEQ => Some(ErrorKind::NameInvalid),
        _ => None,
    }
}

/// Whether the file system said that it does not know how to rename without replacing.
pub(crate) fn is_noreplace_unknown(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP))
}

/// Whether nobody may do that there: a folder has no second name, so a file system without the careful rename says so of it.
pub(crate) fn is_never_permitted(error: &io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw_os_error) == Some(Errno::PERM)
}

/// Whether opening failed because it is a socket, or a device without a driver.
pub(crate) fn is_no_such_device(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::NXIO | Errno::NODEV)
    )
}

/// The path that an open file had when it was opened, as far as the system tells; for messages only.
pub(crate) fn path_of(file: &File) -> PathBuf {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::read_link(&link).unwrap_or_else(|_| PathBuf::from("an open file"))
}

pub(crate) fn free_space(path: &Path) -> io::Result<Space> {
    faults::pass("statvfs")?;
    let found = rustix::fs::statvfs(path)?;
    let inodes = if found.f_files == 0 {
        u64::MAX
    } else {
        found.f_favail
    };
    Ok(Space {
        bytes: found.f_bavail.saturating_mul(found.f_frsize),
        inodes,
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn file_system(_path: &Path) -> io::Result<crate::space::FileSystem> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What is kept with a file besides its bytes, mode and owner: nothing that is known of here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[derive(Debug, Default)]
pub(crate) struct Attributes;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[expect(clippy::unnecessary_wraps, reason = "Linux may refuse")]
impl Attributes {
    pub(crate) fn of(_file: &File) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn give_to(&self, _file: &File, _is_owner_kept: bool) -> io::Result<()> {
        Ok(())
    }
}

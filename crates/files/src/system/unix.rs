//! Unix: everything is done by name below the descriptor of an open folder, so that no folder can be swapped in between.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod attributes;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod ear;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod magic;

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
use rustix::fs::{AtFlags, FlockOperation, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

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
        Ok(File::from(fd))
    }

    pub(crate) fn open_regular(&self, name: &OsStr) -> io::Result<(File, Facts)> {
        open_regular(&self.fd, Path::new(name))
    }

    /// Puts `from` in the place of whatever `to` is.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        faults::pass("rename")?;
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Renames only where `to` does not exist; a file system that cannot do it answers `EINVAL` or `ENOSYS`.
    pub(crate) fn rename_noreplace(
        &self,
        from: &OsStr,
        to_dir: &Dir,
        to: &OsStr,
    ) -> io::Result<()> {
        faults::pass("rename")?;
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            Ok(rustix::fs::renameat_with(
                &self.fd, from, &to_dir.fd, to, flags,
            )?)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
        {
            let _ = (from, to_dir, to);
            Err(Errno::NOSYS.into())
        }
    }

    /// A second name for the same file; never follows a link, never replaces.
    pub(crate) fn link(&self, from: &OsStr, to_dir: &Dir, to: &OsStr) -> io::Result<()> {
        faults::pass("link")?;
        Ok(rustix::fs::linkat(
            &self.fd,
            from,
            &to_dir.fd,
            to,
            AtFlags::empty(),
        )?)
    }

    pub(crate) fn unlink(&self, name: &OsStr) -> io::Result<()> {
        faults::pass("unlink")?;
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    pub(crate) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        faults::pass("rmdir")?;
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    pub(crate) fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        faults::pass("mkdir")?;
        Ok(rustix::fs::mkdirat(
            &self.fd,
            name,
            Mode::from_raw_mode(mode),
        )?)
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
        faults::pass("sync folder")?;
        sync_descriptor(&self.fd)
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
    faults::pass("sync file")?;
    sync_descriptor(file)
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
    faults::pass("sync file system")?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        Ok(rustix::fs::syncfs(&dir.fd)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = dir;
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

fn times(to: SystemTime) -> Timestamps {
    let time = timespec_from(to);
    Timestamps {
        last_access: time,
        last_modification: time,
    }
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

#[allow(
    clippy::unnecessary_cast,
    reason = "the widths differ between systems and processors"
)]
fn facts_from(stat: &rustix::fs::Stat) -> Facts {
    Facts {
        len: stat.st_size as u64,
        modified: time_from(stat.st_mtime as i64, stat.st_mtime_nsec as u32),
        changed: time_from(stat.st_ctime as i64, stat.st_ctime_nsec as u32),
        nlink: stat.st_nlink as u64,
        uid: stat.st_uid,
        gid: stat.st_gid,
        dev: stat.st_dev as u64,
        ino: stat.st_ino as u64,
        mode: stat.st_mode as u32,
    }
}

fn time_from(seconds: i64, nanoseconds: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    // A time stamp that the system's own clock type cannot hold is as good as none.
    second
        .and_then(|time| time.checked_add(Duration::from_nanos(nanoseconds.into())))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn timespec_from(time: SystemTime) -> Timespec {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => Timespec {
            tv_sec: after.as_secs() as i64,
            tv_nsec: i64::from(after.subsec_nanos()),
        },
        Err(before) => {
            let before = before.duration();
            let (seconds, nanoseconds) =
                (before.as_secs() as i64, i64::from(before.subsec_nanos()));
            if nanoseconds == 0 {
                Timespec {
                    tv_sec: -seconds,
                    tv_nsec: 0,
                }
            } else {
                Timespec {
                    tv_sec: -seconds - 1,
                    tv_nsec: 1_000_000_000 - nanoseconds,
                }
            }
        }
    }
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

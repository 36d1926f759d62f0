//! Which system calls read, and how each of them fails.

use super::call::{Known, Place};
use nix::errno::Errno;
use nix::libc;

/// The calls that read, look or let go, by their number.
pub(super) const READING: &[Known] = &[
    (libc::SYS_read, "read", &[Place::Descriptor(0)]),
    (libc::SYS_pread64, "pread64", &[Place::Descriptor(0)]),
    (libc::SYS_readv, "readv", &[Place::Descriptor(0)]),
    (libc::SYS_preadv, "preadv", &[Place::Descriptor(0)]),
    (libc::SYS_preadv2, "preadv2", &[Place::Descriptor(0)]),
    (libc::SYS_mmap, "mmap", &[Place::Descriptor(4)]),
    (libc::SYS_lseek, "lseek", &[Place::Descriptor(0)]),
    (libc::SYS_fadvise64, "fadvise64", &[Place::Descriptor(0)]),
    (libc::SYS_getdents64, "getdents64", &[Place::Descriptor(0)]),
    (libc::SYS_stat, "stat", &[Place::Path(0)]),
    (libc::SYS_lstat, "lstat", &[Place::Path(0)]),
    (libc::SYS_fstat, "fstat", &[Place::Descriptor(0)]),
    (libc::SYS_newfstatat, "newfstatat", &[Place::At(0, 1)]),
    (libc::SYS_statx, "statx", &[Place::At(0, 1)]),
    (libc::SYS_statfs, "statfs", &[Place::Path(0)]),
    (libc::SYS_fstatfs, "fstatfs", &[Place::Descriptor(0)]),
    (libc::SYS_access, "access", &[Place::Path(0)]),
    (libc::SYS_faccessat, "faccessat", &[Place::At(0, 1)]),
    (libc::SYS_faccessat2, "faccessat2", &[Place::At(0, 1)]),
    (libc::SYS_readlink, "readlink", &[Place::Path(0)]),
    (libc::SYS_readlinkat, "readlinkat", &[Place::At(0, 1)]),
    (libc::SYS_fgetxattr, "fgetxattr", &[Place::Descriptor(0)]),
    (libc::SYS_flistxattr, "flistxattr", &[Place::Descriptor(0)]),
    (libc::SYS_ioctl, "ioctl", &[Place::Descriptor(0)]),
    (libc::SYS_fcntl, "fcntl", &[Place::Descriptor(0)]),
    // Those that make a file too: the calls that change something leave this one out.
    (libc::SYS_open, "open", &[Place::Path(0)]),
    (libc::SYS_openat, "openat", &[Place::Opening(0, 1, 2)]),
    (
        libc::SYS_inotify_add_watch,
        "inotify_add_watch",
        &[Place::Path(1)],
    ),
    (libc::SYS_close, "close", &[Place::Descriptor(0)]),
];

/// Whether a call with these arguments asks for something that a system can refuse: of those that say something of a
/// descriptor only two do.
pub(super) fn can_fail(number: i64, arguments: &[u64; 5]) -> bool {
    let asks = arguments[1] as i32;
    number != libc::SYS_fcntl || matches!(asks, libc::F_DUPFD_CLOEXEC | libc::F_SETLEASE)
}

/// The errors that a reading call gives: of a disk, a share, an administrator, and a system that is short of something.
pub(super) fn errors(name: &str) -> &'static [Errno] {
    match name {
        "open" | "openat" => &[
            Errno::EIO,
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::ENOMEM,
            Errno::EINTR,
            Errno::EACCES,
            Errno::ESTALE,
        ],
        "read" | "pread64" | "readv" | "preadv" | "preadv2" => {
            &[Errno::EIO, Errno::ENOMEM, Errno::EINTR, Errno::ESTALE]
        }
        "fcntl" => &[Errno::EMFILE, Errno::ENOMEM, Errno::EACCES],
        "mmap" => &[Errno::EACCES, Errno::ENFILE, Errno::ENOMEM],
        "inotify_add_watch" => &[Errno::ENOSPC, Errno::ENOMEM, Errno::EACCES],
        "lseek" | "close" => &[Errno::EIO],
        // What asks for a file by its name needs the right to pass through the folders above it.
        "stat" | "lstat" | "newfstatat" | "statx" | "statfs" | "access" | "faccessat"
        | "faccessat2" | "readlink" | "readlinkat" => {
            &[Errno::EIO, Errno::ENOMEM, Errno::EACCES, Errno::ESTALE]
        }
        _ => &[Errno::EIO, Errno::ENOMEM, Errno::ESTALE],
    }
}

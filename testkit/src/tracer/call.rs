//! Which system calls count, and what they touch.

use super::{Short, Watched};
use nix::libc::{self, user_regs_struct};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A call's arguments by their place.
type Argument = usize;

/// Where a call says what it touches.
#[derive(Clone, Copy)]
enum Place {
    Descriptor(Argument),
    Path(Argument),
    /// A folder's descriptor and a path below it.
    At(Argument, Argument),
    /// The same, counted only where its flags say that it changes something, unless all openings count.
    Opening(Argument, Argument, Argument),
}

/// The calls that count, by their number.
const CALLS: &[(i64, &str, &[Place])] = &[
    (libc::SYS_write, "write", &[Place::Descriptor(0)]),
    (libc::SYS_pwrite64, "pwrite64", &[Place::Descriptor(0)]),
    (libc::SYS_writev, "writev", &[Place::Descriptor(0)]),
    (libc::SYS_pwritev, "pwritev", &[Place::Descriptor(0)]),
    (libc::SYS_pwritev2, "pwritev2", &[Place::Descriptor(0)]),
    (libc::SYS_fsync, "fsync", &[Place::Descriptor(0)]),
    (libc::SYS_fdatasync, "fdatasync", &[Place::Descriptor(0)]),
    (libc::SYS_syncfs, "syncfs", &[Place::Descriptor(0)]),
    (
        libc::SYS_sync_file_range,
        "sync_file_range",
        &[Place::Descriptor(0)],
    ),
    (libc::SYS_ftruncate, "ftruncate", &[Place::Descriptor(0)]),
    (libc::SYS_fallocate, "fallocate", &[Place::Descriptor(0)]),
    (libc::SYS_fchmod, "fchmod", &[Place::Descriptor(0)]),
    (libc::SYS_fchown, "fchown", &[Place::Descriptor(0)]),
    (libc::SYS_flock, "flock", &[Place::Descriptor(0)]),
    (
        libc::SYS_copy_file_range,
        "copy_file_range",
        &[Place::Descriptor(2)],
    ),
    (libc::SYS_sendfile, "sendfile", &[Place::Descriptor(0)]),
    (libc::SYS_truncate, "truncate", &[Place::Path(0)]),
    (
        libc::SYS_rename,
        "rename",
        &[Place::Path(0), Place::Path(1)],
    ),
    (
        libc::SYS_renameat,
        "renameat",
        &[Place::At(0, 1), Place::At(2, 3)],
    ),
    (
        libc::SYS_renameat2,
        "renameat2",
        &[Place::At(0, 1), Place::At(2, 3)],
    ),
    (libc::SYS_link, "link", &[Place::Path(0), Place::Path(1)]),
    (
        libc::SYS_linkat,
        "linkat",
        &[Place::At(0, 1), Place::At(2, 3)],
    ),
    (libc::SYS_unlink, "unlink", &[Place::Path(0)]),
    (libc::SYS_unlinkat, "unlinkat", &[Place::At(0, 1)]),
    (libc::SYS_rmdir, "rmdir", &[Place::Path(0)]),
    (libc::SYS_mkdir, "mkdir", &[Place::Path(0)]),
    (libc::SYS_mkdirat, "mkdirat", &[Place::At(0, 1)]),
    (libc::SYS_utimensat, "utimensat", &[Place::At(0, 1)]),
    (libc::SYS_openat, "openat", &[Place::Opening(0, 1, 2)]),
];

/// A call that counts.
#[derive(Debug)]
pub(super) struct Call {
    name: &'static str,
    paths: Vec<PathBuf>,
    writes: Option<u64>,
}

impl Call {
    /// The call that a thread is about to make, if it touches one of these folders.
    pub(super) fn about_to_be(
        thread: Pid,
        registers: &user_regs_struct,
        below: &[PathBuf],
        watched: Watched,
    ) -> Option<Self> {
        let number = registers.orig_rax as i64;
        let (_, name, places) = CALLS.iter().find(|(known, _, _)| *known == number)?;
        const SYNCS: [&str; 3] = ["fsync", "fdatasync", "syncfs"];
        if watched == Watched::Syncs && !SYNCS.contains(name) {
            return None;
        }
        let arguments = [
            registers.rdi,
            registers.rsi,
            registers.rdx,
            registers.r10,
            registers.r8,
        ];
        let mut paths = Vec::new();
        for place in *places {
            if let Place::Opening(.., flags) = place {
                const CHANGES: i32 =
                    libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE & !libc::O_DIRECTORY;
                let changes = arguments[*flags] as i32 & CHANGES != 0;
                if !changes && watched != Watched::Openings {
                    return None;
                }
            }
            paths.push(touched(thread, *place, &arguments)?);
        }
        let is_ours = |path: &PathBuf| below.iter().any(|folder| path.starts_with(folder));
        let writes =
            matches!(number, libc::SYS_write | libc::SYS_pwrite64).then_some(registers.rdx);
        paths.iter().any(is_ours).then_some(Self {
            name,
            paths,
            writes,
        })
    }

    /// How many bytes a write is given that is to be short; `None` for all that cannot be.
    pub(super) fn shortened(&self, short: Short) -> Option<u64> {
        const BLOCK: u64 = 4096;
        let whole = self.writes.filter(|bytes| 1 < *bytes)?;
        Some(match short {
            Short::One => 1,
            Short::Half if 2 * BLOCK <= whole => whole / 2 / BLOCK * BLOCK,
            Short::Half => whole / 2,
            Short::AllButOne => whole - 1,
        })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for path in &self.paths {
            write!(f, " {}", path.display())?;
        }
        match self.writes {
            Some(bytes) => write!(f, " ({bytes} bytes)"),
            None => Ok(()),
        }
    }
}

fn touched(thread: Pid, place: Place, arguments: &[u64; 5]) -> Option<PathBuf> {
    match place {
        Place::Descriptor(number) => descriptor(thread, arguments[number] as i32),
        Place::Path(path) => resolved(thread, libc::AT_FDCWD, arguments[path]),
        Place::At(folder, path) | Place::Opening(folder, path, _) => {
            resolved(thread, arguments[folder] as i32, arguments[path])
        }
    }
}

/// What a descriptor of the thread is open on.
fn descriptor(thread: Pid, number: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{thread}/fd/{number}")).ok()
}

fn resolved(thread: Pid, folder: i32, address: u64) -> Option<PathBuf> {
    let path = text(thread, address)?;
    // Some of ours name what they hold open by way of their descriptors.
    if let Ok(rest) = path.strip_prefix("/proc/self/fd") {
        let mut parts = rest.components();
        let number = parts.next()?.as_os_str().to_str()?.parse().ok()?;
        return Some(descriptor(thread, number)?.join(parts.as_path()));
    }
    if path.is_absolute() {
        return Some(path);
    }
    let folder = match folder {
        libc::AT_FDCWD => fs::read_link(format!("/proc/{thread}/cwd")).ok()?,
        number => descriptor(thread, number)?,
    };
    Some(if path == Path::new("") {
        folder
    } else {
        folder.join(path)
    })
}

/// The text that ends with a zero at an address of the thread's memory.
fn text(thread: Pid, address: u64) -> Option<PathBuf> {
    if address == 0 {
        return Some(PathBuf::new());
    }
    let memory = File::open(format!("/proc/{thread}/mem")).ok()?;
    // The longest path that the kernel takes.
    let mut bytes = vec![0; libc::PATH_MAX as usize];
    let mut read = 0;
    while read < bytes.len() {
        // To the end of a page at a time: the next one need not exist.
        let here = address + read as u64;
        let until = (4096 - (here % 4096) as usize).min(bytes.len() - read);
        let got = memory.read_at(&mut bytes[read..read + until], here).ok()?;
        if let Some(end) = bytes[read..read + got].iter().position(|byte| *byte == 0) {
            bytes.truncate(read + end);
            return Some(OsString::from_vec(bytes).into());
        }
        if got == 0 {
            return None;
        }
        read += got;
    }
    None
}

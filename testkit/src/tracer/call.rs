//! Which system calls count, and what they touch.

use super::reading::{self, READING};
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
pub(super) type Argument = usize;

/// A call by its number and name, and where it says what it touches.
pub(super) type Known = (i64, &'static str, &'static [Place]);

/// Where a call says what it touches.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Descriptor(Argument),
    Path(Argument),
    /// A folder's descriptor and a path below it.
    At(Argument, Argument),
    /// The same, counted only where its flags say that it changes something, unless all openings count.
    Opening(Argument, Argument, Argument),
}

/// The calls that count, by their number.
const CALLS: &[Known] = &[
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
    (libc::SYS_fchmodat, "fchmodat", &[Place::At(0, 1)]),
    (libc::SYS_fchownat, "fchownat", &[Place::At(0, 1)]),
    (libc::SYS_chmod, "chmod", &[Place::Path(0)]),
    (libc::SYS_fsetxattr, "fsetxattr", &[Place::Descriptor(0)]),
    (
        libc::SYS_fremovexattr,
        "fremovexattr",
        &[Place::Descriptor(0)],
    ),
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
    (libc::SYS_symlink, "symlink", &[Place::Path(1)]),
    (libc::SYS_symlinkat, "symlinkat", &[Place::At(1, 2)]),
    (libc::SYS_unlink, "unlink", &[Place::Path(0)]),
    (libc::SYS_unlinkat, "unlinkat", &[Place::At(0, 1)]),
    (libc::SYS_rmdir, "rmdir", &[Place::Path(0)]),
    (libc::SYS_mkdir, "mkdir", &[Place::Path(0)]),
    (libc::SYS_mkdirat, "mkdirat", &[Place::At(0, 1)]),
    (libc::SYS_utimensat, "utimensat", &[Place::At(0, 1)]),
    (libc::SYS_openat, "openat", &[Place::Opening(0, 1, 2)]),
];

/// In which of the two lists a call of this name is.
pub(super) fn known(name: &str) -> Option<super::Known> {
    let is_in = |list: &[Known]| list.iter().any(|(_, known, _)| *known == name);
    if is_in(CALLS) {
        Some(super::Known::Changes)
    } else {
        is_in(READING).then_some(super::Known::Reads)
    }
}

/// A call that counts.
#[derive(Debug)]
pub(super) struct Call {
    name: &'static str,
    paths: Vec<PathBuf>,
    /// How many bytes it is to write or read.
    bytes: Option<u64>,
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
        let calls = match watched {
            Watched::Reading => READING,
            _ => CALLS,
        };
        let (_, name, places) = calls.iter().find(|(known, _, _)| *known == number)?;
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
        if watched == Watched::Reading && !reading::can_fail(number, &arguments) {
            return None;
        }
        let mut paths = Vec::new();
        for place in *places {
            if let Place::Opening(.., flags) = place {
                const CHANGES: i32 =
                    libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE & !libc::O_DIRECTORY;
                let changes = arguments[*flags] as i32 & CHANGES != 0;
                let counts = match watched {
                    Watched::Openings => true,
                    Watched::Reading => !changes,
                    _ => changes,
                };
                if !counts {
                    return None;
                }
            }
            paths.push(touched(thread, *place, &arguments)?);
        }
        let is_ours = |path: &PathBuf| below.iter().any(|folder| path.starts_with(folder));
        if !paths.iter().any(is_ours) {
            return None;
        }
        // To close a folder gives nothing back that could fail, and the standard library relies on it.
        if number == libc::SYS_close && paths.iter().any(|path| path.is_dir()) {
            return None;
        }
        let takes_bytes = [
            libc::SYS_write,
            libc::SYS_pwrite64,
            libc::SYS_read,
            libc::SYS_pread64,
        ];
        Some(Self {
            name,
            paths,
            bytes: takes_bytes.contains(&number).then_some(registers.rdx),
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// What it touches first.
    pub(super) fn path(&self) -> &Path {
        self.paths.first().map_or(Path::new(""), |path| path)
    }

    /// Whether it takes effect though it fails: the descriptor is gone.
    pub(super) fn is_made_anyway(&self) -> bool {
        self.name == "close"
    }

    /// How many bytes a write or a read is given that is to be short; `None` for all that cannot be.
    pub(super) fn shortened(&self, short: Short) -> Option<u64> {
        const BLOCK: u64 = 4096;
        let whole = self.bytes.filter(|bytes| 1 < *bytes)?;
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
        match self.bytes {
            Some(bytes) => write!(f, " ({bytes} bytes)"),
            None => Ok(()),
        }
    }
}

/// Whether a thread asks, with the call that it is about to make, not to be watched from here on, or to be watched again.
pub(super) fn said_to_watcher(thread: Pid, registers: &user_regs_struct) -> Option<bool> {
    if registers.orig_rax as i64 != libc::SYS_access {
        return None;
    }
    let path = text(thread, registers.rdi)?;
    match path.to_str()? {
        super::LOOK_AWAY => Some(true),
        super::LOOK_AGAIN => Some(false),
        _ => None,
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

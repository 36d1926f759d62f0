//! What is in a folder, all the way down, without a byte of it being read.

use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::Facts;
use crate::integrity::{Algorithm, Checksum, Hasher};
use crate::space::Space;
use crate::system::Dir;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How deep folders may lie in each other. One is held open for each, in the old place and in the new one: 200 of the 1024 open
/// files that systems allow.
pub(super) const DEPTH_MAX: usize = 100;

/// What a file or folder takes at most besides its bytes: the rest of its last block.
const BLOCK: u64 = 4096;

/// How many that cannot be copied are remembered by name.
const NAMED_MAX: usize = 100;

/// The lock that a running agent holds: its note changes with each holder.
pub(super) const LOCK: &str = "LOCK";

/// What was found.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) files: u64,
    pub(super) folders: u64,
    pub(super) links: u64,
    pub(super) bytes: u64,
    /// What a copy of it takes.
    pub(super) needed: Space,
    /// Pipes, sockets and devices, and folders that another file system is mounted on.
    pub(super) uncopyable: Vec<(PathBuf, &'static str)>,
    /// All names, kinds, lengths and times: equal where nothing happened in between.
    pub(super) exact: Checksum,
    /// The same with whole seconds, which every file system remembers when it is mounted again.
    pub(super) stamp: Checksum,
}

/// How a folder is walked through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a> {
    /// The folder's path, for messages.
    pub(super) root: &'a Path,
    /// Names directly in it that are passed over.
    pub(super) left_out: &'a [OsString],
}

impl Walk<'_> {
    /// The names in a folder in their order; what is passed over is not among them.
    pub(super) fn names(
        &self,
        attempt: &Attempt<'_>,
        dir: &Dir,
        below: &Path,
    ) -> Result<Vec<OsString>, Error> {
        let mut names = dir.names().map_err(|error| attempt.failed(error))?;
        if below.as_os_str().is_empty() {
            names.retain(|name| !self.left_out.contains(name));
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Walks through the folder; `each` is told every path in it.
pub(super) fn survey(
    walk: Walk<'_>,
    dir: &Dir,
    each: &mut dyn FnMut(&Path, &Facts),
) -> Result<Survey, Error> {
    let attempt = Attempt::new("look at", walk.root, "nothing was changed");
    let mut surveyor = Surveyor {
        walk,
        dev: dir.own_facts().map_err(|error| attempt.failed(error))?.dev,
        found: [0; 4],
        uncopyable: Vec::new(),
        exact: Hasher::new(Algorithm::Sha256),
        stamp: Hasher::new(Algorithm::Sha256),
        each,
    };
    surveyor.folder(dir, Path::new(""), 0)?;
    let [files, folders, links, bytes] = surveyor.found;
    let entries = files + folders + links + 1;
    Ok(Survey {
        files,
        folders,
        links,
        bytes,
        needed: Space {
            bytes: bytes + entries * BLOCK,
            inodes: entries,
        },
        uncopyable: surveyor.uncopyable,
        exact: surveyor.exact.end(),
        stamp: surveyor.stamp.end(),
    })
}

struct Surveyor<'a> {
    walk: Walk<'a>,
    dev: u64,
    /// Files, folders, links and bytes.
    found: [u64; 4],
    uncopyable: Vec<(PathBuf, &'static str)>,
    exact: Hasher,
    stamp: Hasher,
    each: &'a mut dyn FnMut(&Path, &Facts),
}

impl Surveyor<'_> {
    fn folder(&mut self, dir: &Dir, below: &Path, depth: usize) -> Result<(), Error> {
        let whole = self.walk.root.join(below);
        let attempt = Attempt::new("look at", &whole, "nothing was changed");
        if depth > DEPTH_MAX {
            return Err(too_deep(&attempt));
        }
        for name in self.walk.names(&attempt, dir, below)? {
            let path = below.join(&name);
            self.entry(dir, &name, &path, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, dir: &Dir, name: &OsStr, path: &Path, depth: usize) -> Result<(), Error> {
        let whole = self.walk.root.join(path);
        let attempt = Attempt::new("look at", &whole, "nothing was changed");
        let failed = |error| attempt.failed(error);
        let facts = dir.facts(name).map_err(failed)?;
        (self.each)(path, &facts);
        if path != Path::new(LOCK) {
            self.remember(path, &facts);
        }
        let [files, folders, links, bytes] = &mut self.found;
        if facts.is_regular() {
            *files += 1;
            *bytes = bytes.saturating_add(facts.len);
        } else if facts.is_symlink() {
            *links += 1;
        } else if !facts.is_folder() {
            self.refuse(whole, "a pipe, a socket or a device cannot be copied");
        } else if facts.dev != self.dev {
            self.refuse(whole, "another file system is mounted there");
        } else {
            *folders += 1;
            let child = dir.open_child(name).map_err(failed)?;
            self.folder(&child, path, depth + 1)?;
        }
        Ok(())
    }

    fn refuse(&mut self, path: PathBuf, why: &'static str) {
        if self.uncopyable.len() < NAMED_MAX {
            self.uncopyable.push((path, why));
        }
    }

    fn remember(&mut self, path: &Path, facts: &Facts) {
        let bytes = path.as_os_str().as_encoded_bytes();
        // The length of a folder says how its names are kept, and no more.
        let len = if facts.is_folder() { 0 } else { facts.len };
        let numbers = [bytes.len() as u64, len, facts.ino, u64::from(facts.mode)];
        for hasher in [&mut self.exact, &mut self.stamp] {
            for number in numbers {
                hasher.update(&number.to_le_bytes());
            }
            hasher.update(bytes);
        }
        for time in [facts.modified, facts.changed] {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            let (seconds, nanoseconds) = match since {
                Ok(after) => (i128::from(after.as_secs()), after.subsec_nanos()),
                Err(before) => {
                    let before = before.duration();
                    let begun = i128::from(before.subsec_nanos() > 0);
                    (-i128::from(before.as_secs()) - begun, before.subsec_nanos())
                }
            };
            self.exact.update(&seconds.to_le_bytes());
            self.exact.update(&nanoseconds.to_le_bytes());
            self.stamp.update(&seconds.to_le_bytes());
        }
    }
}

pub(super) fn too_deep(attempt: &Attempt<'_>) -> Error {
    let reason = format!("more than {DEPTH_MAX} folders lie in each other");
    attempt.refused(ErrorKind::TooLong, &reason)
}

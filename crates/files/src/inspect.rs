//! What can be said of a place before anything is written there: for whoever has to find out why something cannot be.

use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::Facts;
use crate::space::{FileSystem, Space, file_system, free_space};
use crate::system::{self, Dir};
use crate::temp::{MODE_PRIVATE, Temp};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Room below which a place counts as full, unless somebody asks for more: a log, a report and a backup still fit.
pub const RESERVE: Space = Space {
    bytes: 100 * 1024 * 1024,
    inodes: 1_000,
};

/// What there is to be said of a place.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inspected {
    /// The path that was asked for.
    pub path: PathBuf,
    /// What is there; none where nothing is.
    pub facts: Option<Facts>,
    /// The folder that is there and holds everything below: the path itself, or the deepest one above it.
    pub nearest: PathBuf,
    /// Whether it can be read: listed, where it is a folder.
    pub is_readable: bool,
    /// Why nothing can be written there; none where a file was made, written and removed. Where the folder is missing, it is
    /// the deepest one above it that was tried.
    pub unwritable: Option<ErrorKind>,
    /// The room that is left there; none where the system does not say.
    pub space: Option<Space>,
    /// The kind of file system; none where the system does not say.
    pub file_system: Option<FileSystem>,
    /// Where that is mounted, and how: `/`, `rw,relatime`; none but on Linux.
    pub mount: Option<(PathBuf, String)>,
}

impl Inspected {
    /// Whether less is left than `reserve`; a system that does not say counts as having room.
    pub fn is_short_of(&self, reserve: Space) -> bool {
        self.space
            .is_some_and(|space| space.bytes < reserve.bytes || space.inodes < reserve.inodes)
    }
}

/// Looks at the folder or file at `path`, and tries whether something can be written there; nothing stays behind.
///
/// It cannot fail: what the system does not tell is missing in the answer.
pub fn inspect(path: &Path) -> Inspected {
    let facts = system::facts_of_path(path).ok();
    let nearest = nearest_folder(path);
    Inspected {
        is_readable: is_readable(path, facts.as_ref()),
        unwritable: probe(&nearest).err().map(|error| error.kind()),
        space: free_space(&nearest).ok(),
        file_system: file_system(&nearest).ok(),
        mount: mount_of(&nearest),
        path: path.to_owned(),
        facts,
        nearest,
    }
}

/// Makes a file in the folder at `path`, writes to it and removes it: what rights and mounts say is believed only then.
///
/// The file has a name of ours, mode 0600 and one byte; it is not synced.
///
/// # Errors
///
/// [`ErrorKind::Permission`], [`ErrorKind::ReadOnly`], [`ErrorKind::DiskFull`], [`ErrorKind::NotFound`] and others: no file
/// can be made there.
pub fn probe(path: &Path) -> Result<(), Error> {
    let attempt = Attempt::new("write to the folder", path, "");
    let failed = |error| attempt.failed(error);
    let dir = Arc::new(Dir::open(path).map_err(failed)?);
    let mut temp = Temp::create(&dir, OsStr::new("probe"), MODE_PRIVATE).map_err(failed)?;
    temp.write_all(b"x").map_err(failed)
}

fn nearest_folder(path: &Path) -> PathBuf {
    path.ancestors()
        .find(|folder| !folder.as_os_str().is_empty() && folder.is_dir())
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn is_readable(path: &Path, facts: Option<&Facts>) -> bool {
    match facts {
        None => false,
        Some(facts) if facts.is_regular() => crate::open_regular(path).is_ok(),
        Some(_) => Dir::open(path).and_then(|dir| dir.names()).is_ok(),
    }
}

/// The last mount whose place holds the folder, as the kernel lists them (`proc_pid_mountinfo(5)`): later ones lie over earlier.
fn mount_of(folder: &Path) -> Option<(PathBuf, String)> {
    let folder = std::fs::canonicalize(folder).ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    mount_in(&mounts, &folder)
}

fn mount_in(mounts: &str, folder: &Path) -> Option<(PathBuf, String)> {
    let mut found: Option<(PathBuf, String)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(4);
        let (Some(place), Some(options)) = (words.next(), words.next()) else {
            continue;
        };
        let place = PathBuf::from(unescaped(place));
        let is_nearer = found
            .as_ref()
            .is_none_or(|(known, _)| place.starts_with(known));
        if folder.starts_with(&place) && is_nearer {
            found = Some((place, options.to_owned()));
        }
    }
    found
}

/// The kernel writes space, tab, line feed and backslash as three octal digits.
fn unescaped(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look past the crate")]
mod tests {
    use super::*;

    #[test]
    fn a_probe_leaves_nothing_and_says_why_it_cannot() {
        let folder = tempfile::tempdir().unwrap();
        probe(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let missing = probe(&folder.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(probe(&folder.path().join("file")).is_err());
    }

    #[test]
    fn of_a_place_that_is_missing_the_nearest_folder_above_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c");
        let found = inspect(&path);
        assert_eq!(
            (found.facts, found.nearest.as_path()),
            (None, folder.path())
        );
        assert!(found.unwritable.is_none() && !found.is_readable);
        let there = inspect(folder.path());
        assert!(there.is_readable && there.facts.is_some());
        assert!(!there.is_short_of(Space {
            bytes: 0,
            inodes: 0
        }));
        assert!(there.is_short_of(Space {
            bytes: u64::MAX,
            inodes: 0
        }));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_mount_that_holds_a_folder_is_the_nearest_and_the_last() {
        let mounts = "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
             22 21 0:5 / /proc rw - proc proc rw\n\
             23 21 8:2 / /srv/my\\040data ro - xfs /dev/sdb rw\n\
             24 21 8:3 / /srv/my\\040data rw,noatime - ext4 /dev/sdc rw\n";
        let found = |path: &str| mount_in(mounts, Path::new(path)).unwrap();
        assert_eq!(found("/opt/x"), ("/".into(), "rw,relatime".into()));
        assert_eq!(
            found("/srv/my data/x"),
            ("/srv/my data".into(), "rw,noatime".into())
        );
        assert_eq!(found("/srv/my data2"), ("/".into(), "rw,relatime".into()));
        assert!(inspect(Path::new("/")).mount.is_some());
    }
}

//! The folders that committed files go to, and which of them the disk may not have confirmed.
//!
//! A sync that failed is not made good by the next one, which answers `Ok` and does nothing; only a folder that was changed again is
//! written. Who is killed after such a failure cannot tell the next start, so each folder is written down in the work folder before the
//! first file goes to it:
//!
//! ```text
//! TARGETS     "mainstay-targets 1\n", then each path, with a zero byte after it
//! ```

use crate::error::Error;
use crate::folder::Folder;
use mainstay_files::{self as files, ErrorKind, Shown};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where they are written down, in the work folder.
pub(crate) const TARGETS: &str = "TARGETS";

const HEADER: &[u8] = b"mainstay-targets 1\n";

/// A file of this name is made and removed in each, which nobody sweeps.
const STIR: &str = ".mainstay-confirmed";

/// So many folders are remembered while nothing is in doubt: a start looks at each.
const KNOWN_MAX: usize = 1_024;

/// The folders that files went to.
#[derive(Debug)]
pub(crate) struct Targets {
    path: PathBuf,
    known: BTreeSet<PathBuf>,
    /// What happened in them may not be on the disk, whatever a sync says.
    is_in_doubt: bool,
}

impl Targets {
    /// Reads which folders an earlier life used: all of them are in doubt.
    pub(crate) fn open(work: &Path) -> Result<Self, Error> {
        let path = work.join(TARGETS);
        let known = match std::fs::read(&path) {
            Ok(bytes) => listed(&path, &bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(Error::unreadable(&path, &error)),
        };
        Ok(Self {
            path,
            is_in_doubt: !known.is_empty(),
            known,
        })
    }

    /// Something in them could not be confirmed.
    pub(crate) fn doubt(&mut self) {
        self.is_in_doubt = true;
    }

    /// Writes down that files are about to go to these folders.
    pub(crate) fn write(&mut self, wanted: BTreeSet<PathBuf>) -> Result<(), files::Error> {
        if wanted.is_subset(&self.known) {
            return Ok(());
        }
        let mut known = wanted;
        // Once there are too many, those go of which each was confirmed since.
        if self.is_in_doubt || self.known.len() <= KNOWN_MAX {
            known.extend(self.known.iter().cloned());
        }
        let mut bytes = HEADER.to_vec();
        for folder in &known {
            bytes.extend(folder.as_os_str().as_bytes());
            bytes.push(0);
        }
        // Where that fails, nothing goes to them, and what was in doubt before still is.
        files::replace(&self.path, &bytes)?;
        self.known = known;
        Ok(())
    }

    /// Puts on the disk what happened in them, if that is in doubt; or says where that failed.
    pub(crate) fn confirm(&mut self) -> Result<(), (PathBuf, files::Error)> {
        if !self.is_in_doubt {
            return Ok(());
        }
        for folder in &self.known {
            match confirm(folder) {
                Err(error) if is_out_of_reach(&error) => {
                    let folder = Shown(folder);
                    tracing::warn!(%folder, %error, "what was moved there cannot be confirmed");
                }
                confirmed => confirmed.map_err(|error| (folder.clone(), error))?,
            }
        }
        self.is_in_doubt = false;
        Ok(())
    }

    /// After a start put all on the disk: begins anew.
    pub(crate) fn forget(&mut self) {
        if !self.is_in_doubt && !std::mem::take(&mut self.known).is_empty() {
            // Still there, it costs the next start a sync of each.
            drop(files::remove(&self.path));
        }
    }
}

fn confirm(path: &Path) -> Result<(), files::Error> {
    let folder = match files::Folder::open(path) {
        // Removed since, or not made.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => Folder::new(opened?),
    };
    folder.stir_as(OsStr::new(STIR))?;
    folder.sync()
}

/// No time makes it better: somebody else has taken the folder.
fn is_out_of_reach(error: &files::Error) -> bool {
    use ErrorKind::{IsSymlink, NameInvalid, NotRegular, Permission};
    matches!(
        error.kind(),
        Permission | NotRegular | NameInvalid | IsSymlink
    )
}

/// What is damaged is left out: nothing is lost by it, unless a power cut follows a disk that failed.
fn listed(path: &Path, bytes: &[u8]) -> BTreeSet<PathBuf> {
    let Some(paths) = bytes.strip_prefix(HEADER) else {
        tracing::warn!(path = %Shown(path), "the list of folders that files went to is unreadable, and is written anew");
        return BTreeSet::new();
    };
    let paths = paths.split(|&byte| byte == 0);
    paths
        .filter(|path| !path.is_empty())
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect()
}

/// The folder and those above it up to `base`: each may be new.
pub(crate) fn with_those_above(folder: &Path, base: &Path) -> impl Iterator<Item = PathBuf> {
    let is_below = move |path: &&Path| path.starts_with(base);
    folder.ancestors().take_while(is_below).map(Path::to_owned)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare folders")]
mod tests {
    use super::*;
    use crate::folder::syncs;

    #[test]
    fn where_an_earlier_life_moved_files_to_is_put_on_the_disk_by_the_next() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let strange = at("archive").join(OsStr::from_bytes(b"2026-11-23/a\n\xff"));
        std::fs::create_dir_all(&strange).unwrap();
        let mut first = Targets::open(root.path()).unwrap();
        let wanted = || with_those_above(&strange, &at("archive")).collect();
        first.write(wanted()).unwrap();
        syncs::asked();
        first.confirm().unwrap();
        assert_eq!(syncs::asked(), [], "nothing was in doubt");

        let id = |path: &Path| Folder::open(path).unwrap().id().unwrap();
        let all =
            [&at("archive"), &at("archive").join("2026-11-23"), &strange].map(|path| id(path));
        let mut second = Targets::open(root.path()).unwrap();
        syncs::refuse(Some(all[1]));
        assert_eq!(second.confirm().unwrap_err().0, at("archive/2026-11-23"));
        second.forget();
        syncs::refuse(None);
        syncs::asked();
        second.confirm().unwrap();
        assert_eq!(syncs::asked(), all);
        second.forget();

        let mut third = Targets::open(root.path()).unwrap();
        third.confirm().unwrap();
        assert_eq!(syncs::asked(), [], "all is confirmed");
        third.write(wanted()).unwrap();
        third.doubt();
        third.confirm().unwrap();
        assert_eq!(syncs::asked(), all, "and in doubt again");
    }

    #[test]
    fn a_folder_that_cannot_be_written_down_leaves_those_that_are_in_doubt_in_doubt() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for folder in ["first", "second"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        let mut targets = Targets::open(root.path()).unwrap();
        targets.write(BTreeSet::from([at("first")])).unwrap();
        targets.doubt();
        let path = std::mem::replace(&mut targets.path, PathBuf::from("/proc/self/TARGETS"));
        targets.write(BTreeSet::from([at("second")])).unwrap_err();
        targets.path = path;
        targets.write(BTreeSet::from([at("second")])).unwrap();
        syncs::asked();
        targets.confirm().unwrap();
        let id = |name: &str| Folder::open(&at(name)).unwrap().id().unwrap();
        assert_eq!(syncs::asked(), [id("first"), id("second")]);
        assert_eq!(Targets::open(root.path()).unwrap().known, targets.known);
    }

    #[test]
    fn a_folder_that_somebody_took_keeps_nothing_from_being_archived() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "no folder").unwrap();
        let mut targets = Targets::open(root.path()).unwrap();
        let wanted = [file.clone(), file.join("below"), root.path().join("gone")];
        targets.write(BTreeSet::from(wanted)).unwrap();
        targets.doubt();
        targets.confirm().unwrap();
    }

    #[test]
    fn what_a_start_that_was_killed_left_in_the_archive_is_removed_by_the_next() {
        let root = tempfile::tempdir().unwrap();
        let archive = root.path().join("archive");
        std::fs::create_dir(&archive).unwrap();
        std::fs::write(archive.join(STIR), "").unwrap();
        let mut targets = Targets::open(root.path()).unwrap();
        targets.write(BTreeSet::from([archive.clone()])).unwrap();
        targets.doubt();
        targets.confirm().unwrap();
        assert_eq!(std::fs::read_dir(&archive).unwrap().count(), 0);
    }

    #[test]
    fn a_list_that_is_damaged_is_begun_anew() {
        let root = tempfile::tempdir().unwrap();
        for damaged in [&b""[..], b"\0\0", b"mainstay-targets 2\n/a\0"] {
            std::fs::write(root.path().join(TARGETS), damaged).unwrap();
            let mut targets = Targets::open(root.path()).unwrap();
            assert_eq!(targets.known, BTreeSet::new());
            targets.confirm().unwrap();
            targets
                .write(BTreeSet::from([root.path().to_owned()]))
                .unwrap();
            assert_eq!(Targets::open(root.path()).unwrap().known, targets.known);
        }
    }

    #[test]
    fn no_more_folders_are_remembered_than_a_start_can_look_at() {
        let root = tempfile::tempdir().unwrap();
        let mut targets = Targets::open(root.path()).unwrap();
        let many = |from: usize| (from..from + KNOWN_MAX).map(|number| number.to_string().into());
        targets.write(many(0).collect()).unwrap();
        targets.doubt();
        targets.write(many(KNOWN_MAX).collect()).unwrap();
        assert_eq!(targets.known.len(), 2 * KNOWN_MAX, "what is in doubt stays");
        targets.confirm().unwrap();
        targets.write(many(2 * KNOWN_MAX).collect()).unwrap();
        assert_eq!(targets.known, many(2 * KNOWN_MAX).collect());
    }
}

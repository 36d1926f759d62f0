//! What a migration is about to do, as text with a checksum, beside the new folder:
//!
//! ```text
//! mainstay-migration 1
//! way copy                          or: rename
//! phase copying                     or: switching
//! staged 0f3a9c21                   the copy grows in NEW.migrating-0f3a9c21
//! old /srv/data
//! aside /srv/data.old-20261121T164137Z
//! stamp 9f86d081…                   what the old folder was when it was copied
//! checksum …
//! ```

use super::Way;
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::open_regular;
use crate::integrity::{Algorithm, Checksum};
use crate::replace::{create_new, replace};
use crate::sealed::{self, escaped, path_from, unescaped};
use crate::system::{self, Dir};
use crate::target::split;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "mainstay-migration 1";

/// The longest that is read: two paths of 4 KiB, each byte written as three, and a few lines.
const LEN_MAX: u64 = 64 * 1024;

/// How far it has come, where it copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The copy grows, and is of no use yet.
    Copying,
    /// The copy is whole and on the disk; it takes its name next.
    Switching,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) way: Way,
    pub(super) phase: Phase,
    /// What makes the name of the copy its own, while it grows.
    pub(super) staged: u32,
    pub(super) old: PathBuf,
    /// What the old folder is called afterwards, where it was copied.
    pub(super) aside: PathBuf,
    pub(super) stamp: Checksum,
}

impl Journal {
    pub(super) fn new(way: Way, old: &Path, aside: PathBuf, stamp: Checksum) -> Self {
        Self {
            way,
            phase: Phase::Copying,
            staged: RandomState::new().hash_one(FIRST_LINE) as u32,
            old: old.to_owned(),
            aside,
            stamp,
        }
    }

    /// Where the journal of a migration to `new` lies.
    pub(super) fn path(new: &Path) -> PathBuf {
        with_suffix(new, ".migration")
    }

    /// Where the copy grows.
    pub(super) fn staged(&self, new: &Path) -> PathBuf {
        with_suffix(new, &format!(".migrating-{:08x}", self.staged))
    }

    /// The journal of an earlier run; none where there is none.
    ///
    /// Only one of our own is believed: what it names is renamed and removed.
    pub(super) fn read(new: &Path) -> Result<Option<Self>, Error> {
        let path = Self::path(new);
        let attempt = Attempt::new("go on with the migration of", &path, "nothing was changed");
        let (file, facts) = match open_regular(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if facts.uid != system::own_uid() {
            let reason = "the journal belongs to somebody else";
            return Err(attempt.refused(ErrorKind::Permission, reason));
        }
        let mut bytes = Vec::new();
        file.take(LEN_MAX)
            .read_to_end(&mut bytes)
            .map_err(|error| attempt.failed(error))?;
        match Self::decode(&bytes) {
            Some(journal) => Ok(Some(journal)),
            None => Err(attempt.refused(
                ErrorKind::Damaged,
                "its journal is damaged; look at both folders, and remove it",
            )),
        }
    }

    /// Begins: from here on the next run knows of it. Where it fails there is none.
    pub(super) fn begin(&self, new: &Path) -> Result<(), Error> {
        create_new(&Self::path(new), &self.encode()).inspect_err(|error| {
            if error.kind() == ErrorKind::Unconfirmed {
                drop(Self::end(new));
            }
        })
    }

    /// The copy is whole, and the next run may believe it.
    pub(super) fn come_to_switching(&mut self, new: &Path) -> Result<(), Error> {
        self.phase = Phase::Switching;
        replace(&Self::path(new), &self.encode())
    }

    /// Nothing is left to be done; with [`ErrorKind::Unconfirmed`] a power cut may bring it back.
    pub(super) fn end(new: &Path) -> Result<(), Error> {
        let path = Self::path(new);
        let attempt = Attempt::new("remove", &path, "it is still there");
        let (parent, name) = split(&attempt, &path)?;
        let dir = Dir::open(parent).map_err(|error| attempt.failed(error))?;
        match dir.unlink(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(|error| attempt.failed(error))?,
        }
        dir.sync()
            .map_err(|error| attempt.failed_as(ErrorKind::Unconfirmed, error))
    }

    fn encode(&self) -> Vec<u8> {
        let (way, phase) = (way_word(self.way), phase_word(self.phase));
        let path = |path: &Path| escaped(path.as_os_str().as_encoded_bytes());
        sealed::seal(format!(
            "{FIRST_LINE}\nway {way}\nphase {phase}\nstaged {:08x}\nold {}\naside {}\nstamp {}\n",
            self.staged,
            path(&self.old),
            path(&self.aside),
            self.stamp
        ))
    }

    /// Reads one; `None` where a single bit of it is not as it was written.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut lines = sealed::open(bytes)?.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
        let path = |text: &str| path_from(unescaped(text)?);
        let journal = Self {
            way: way_of(value("way")?)?,
            phase: phase_of(value("phase")?)?,
            staged: u32::from_str_radix(value("staged")?, 16).ok()?,
            old: path(value("old")?)?,
            aside: path(value("aside")?)?,
            stamp: Checksum::from_hex(Algorithm::Sha256, value("stamp")?).ok()?,
        };
        lines.next().is_none().then_some(journal)
    }
}

fn way_word(way: Way) -> &'static str {
    match way {
        Way::Rename => "rename",
        Way::Copy => "copy",
    }
}

fn way_of(word: &str) -> Option<Way> {
    [Way::Rename, Way::Copy]
        .into_iter()
        .find(|way| way_word(*way) == word)
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Copying => "copying",
        Phase::Switching => "switching",
    }
}

fn phase_of(word: &str) -> Option<Phase> {
    [Phase::Copying, Phase::Switching]
        .into_iter()
        .find(|phase| phase_word(*phase) == word)
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests know what they made")]
mod tests {
    use super::*;
    use crate::system::faults::Fault;

    #[test]
    fn a_migration_has_ended_only_when_the_disk_knows_that_its_journal_is_gone() {
        let folder = tempfile::TempDir::new().unwrap();
        let new = folder.path().join("new");
        let stamp = Checksum::of(Algorithm::Sha256, b"stamp");
        let journal = Journal::new(Way::Rename, Path::new("/srv/a"), "/srv/b".into(), stamp);
        journal.begin(&new).unwrap();
        let planned = Fault {
            call: Some("sync folder"),
            at: 0,
            times: 1,
            code: 5,
        }
        .begin();
        let error = Journal::end(&new).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unconfirmed);
        drop(planned);
        Journal::end(&new).unwrap();
        assert_eq!(Journal::read(&new).unwrap(), None);
    }

    #[test]
    fn somebody_elses_journal_of_a_migration_is_not_believed() {
        if system::own_uid() != 0 {
            println!("NOT MEASURED: no root to give a file away");
            return;
        }
        let folder = tempfile::TempDir::new().unwrap();
        let new = folder.path().join("new");
        let stamp = Checksum::of(Algorithm::Sha256, b"stamp");
        let journal = Journal::new(Way::Rename, Path::new("/srv/a"), "/srv/b".into(), stamp);
        journal.begin(&new).unwrap();
        assert_eq!(Journal::read(&new).unwrap(), Some(journal));
        std::os::unix::fs::chown(Journal::path(&new), Some(65_534), None).unwrap();
        let error = Journal::read(&new).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission);
    }

    #[test]
    fn the_journal_of_a_migration_is_read_back_and_every_flipped_bit_of_it_is_seen() {
        let stamp = Checksum::of(Algorithm::Sha256, b"stamp");
        let aside = "/srv/a b\n%.old-1".into();
        let mut journal = Journal::new(Way::Copy, Path::new("/srv/a b\n%"), aside, stamp);
        journal.phase = Phase::Switching;
        let bytes = journal.encode();
        assert_eq!(Journal::decode(&bytes), Some(journal));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Journal::decode(&flipped), None, "bit {bit}");
        }
    }
}

//! How a file stands that is kept by backups: as it was saved, changed by somebody, or damaged by nobody.

use super::saved::Saved;
use super::shelf::{HeldShelf, Shelf};
use super::{Backup, Backups, Reason};
use crate::check::Check;
use crate::conflict::Holder;
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::{Facts, facts_of, open_regular};
use crate::integrity::{Algorithm, Checksum, copy_hashed};
use crate::target::whole;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The largest file that is loaded as a whole, in bytes.
const LOAD_MAX: u64 = 256 * 1024 * 1024;

/// How the content of a file stands to what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// Its bytes are those that were last saved, or backed up.
    Saved,
    /// Somebody wrote to it since.
    Modified,
    /// Its bytes are others, or cannot be read, though nobody wrote to it: its date, length and number are as they were.
    Damaged(String),
    /// It is not there, and there are backups of it: somebody removed it by other means, or the disk lost it.
    Missing,
    /// It was deleted here, by [`Backups::delete`], and nothing was saved since.
    Deleted,
    /// Nothing was ever saved of it here.
    Unknown,
}

/// What can be said of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileStatus {
    /// The file, by its whole path without symbolic links.
    pub path: PathBuf,
    /// How its content stands.
    pub state: FileState,
    /// What it is now; none where it is not there.
    pub present: Option<Facts>,
    /// Who holds a lock on it, where the system tells.
    pub holder: Option<Holder>,
    /// The newest backup of it.
    pub last_backup: Option<Backup>,
    /// How many backups there are.
    pub backups: usize,
    /// When it was last saved or backed up here.
    pub saved: Option<SystemTime>,
    /// When its bytes were last compared, and were what they should be.
    pub verified: Option<SystemTime>,
}

/// Where a content that was loaded came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// From the file itself.
    File,
    /// From a backup, because the file is of no use.
    Backup {
        /// Which.
        backup: Box<Backup>,
        /// What is wrong with the file.
        reason: String,
    },
}

/// A content, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// The content.
    pub bytes: Vec<u8>,
    /// Where it came from.
    pub origin: Origin,
}

/// A file that was looked at.
struct Seen {
    state: FileState,
    present: Option<Facts>,
    hash: Option<Checksum>,
}

impl Backups {
    /// Reads the file at `path` to its end, and says how it stands; nothing is changed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Permission`] and others where the file, or what is kept of it, cannot be looked at;
    /// [`ErrorKind::Changed`] where somebody wrote to it meanwhile.
    pub fn status(&self, path: &Path) -> Result<FileStatus, Error> {
        let path = whole(path)?;
        let shelf = self.shelf(&path);
        let saved = shelf.saved()?;
        let seen = look(&path, saved.as_ref(), &shelf, &mut io::sink())?;
        let backups = shelf.list()?.backups;
        let verified = match seen.state {
            FileState::Saved => Some(self.wall()),
            _ => saved.as_ref().map(|saved| saved.verified),
        };
        Ok(FileStatus {
            holder: seen.present.as_ref().and_then(Holder::of),
            state: seen.state,
            present: seen.present,
            backups: backups.len(),
            last_backup: backups.into_iter().next(),
            saved: saved.map(|saved| moment(saved.at)),
            verified: verified.map(moment),
            path,
        })
    }

    /// The content of the file at `path`, or of its newest backup that is of use where the file itself is not.
    ///
    /// A backup that holds exactly what was saved last comes before those that are newer.
    /// The file is of no use where it is damaged, gone without having been deleted here, cannot be read, or `check` refuses it.
    /// A file that somebody changed by other means is loaded if `check` takes it. Nothing is written: whoever wants the backup
    /// in the place of the file calls [`restore`](Self::restore).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`]: it is not there, and was never saved or was deleted here.
    /// - [`ErrorKind::Damaged`] or [`ErrorKind::Invalid`]: it is of no use, and neither is any backup.
    /// - [`ErrorKind::TooLarge`]: it is longer than 256 MiB.
    /// - [`ErrorKind::Permission`], [`ErrorKind::Changed`] and others, where looking again may help.
    pub fn load(&self, path: &Path, check: &dyn Check) -> Result<Loaded, Error> {
        let path = whole(path)?;
        let attempt = Attempt::new("load", &path, "");
        let shelf = self.shelf(&path);
        if crate::facts(&path).is_ok_and(|facts| facts.len > LOAD_MAX) {
            let reason = "it is longer than 256 MiB, which is not loaded as a whole";
            return Err(attempt.refused(ErrorKind::TooLarge, reason));
        }
        let saved = shelf.saved()?;
        let mut bytes = Vec::new();
        let seen = look(&path, saved.as_ref(), &shelf, &mut Bounded(&mut bytes))?;
        let (kind, reason) = match seen.state {
            FileState::Damaged(reason) => (ErrorKind::Damaged, reason),
            FileState::Missing => (ErrorKind::NotFound, "it is gone".to_owned()),
            FileState::Deleted => {
                return Err(attempt.refused(ErrorKind::NotFound, "it was deleted"));
            }
            FileState::Unknown if seen.present.is_none() => {
                return Err(attempt.refused(ErrorKind::NotFound, "it does not exist"));
            }
            _ => match check.check(&mut &bytes[..]) {
                Ok(()) => {
                    let origin = Origin::File;
                    return Ok(Loaded { bytes, origin });
                }
                Err(reason) => (ErrorKind::Invalid, reason),
            },
        };
        let backups = shelf.list()?.backups;
        // What was saved last may stand among them: a version that was gone back to does.
        let is_last = |backup: &Backup| {
            saved
                .as_ref()
                .is_some_and(|saved| saved.hash == backup.hash)
        };
        let (last, others): (Vec<_>, Vec<_>) = backups.into_iter().partition(is_last);
        for backup in last.into_iter().chain(others) {
            if let Some(bytes) = self.content_of_use(&backup, check) {
                let backup = Box::new(backup);
                let origin = Origin::Backup { backup, reason };
                return Ok(Loaded { bytes, origin });
            }
        }
        let reason = format!("{reason}, and no backup of it is of use");
        Err(attempt.refused(kind, &reason))
    }

    /// Puts the newest backup that is of use in the place of the file at `path`, if that is damaged or missing.
    ///
    /// Answers which; none where the file needs no repair. What is damaged is kept as a backup that no repair takes.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load) and [`restore`](Self::restore).
    pub fn repair(&self, path: &Path, check: &dyn Check) -> Result<Option<Backup>, Error> {
        let status = self.status(path)?;
        if !matches!(status.state, FileState::Damaged(_) | FileState::Missing) {
            return Ok(None);
        }
        let Origin::Backup { backup, .. } = self.load(&status.path, check)?.origin else {
            return Ok(None);
        };
        self.restore_for(&backup, &status.path, Reason::Damaged)?;
        Ok(Some(*backup))
    }

    /// The content of a backup, where it is whole and `check` takes it; what was kept of damage is not.
    fn content_of_use(&self, backup: &Backup, check: &dyn Check) -> Option<Vec<u8>> {
        if backup.reason == Reason::Damaged || backup.len > LOAD_MAX {
            return None;
        }
        let mut bytes = Vec::new();
        self.read(backup, &mut bytes).ok()?;
        check.check(&mut &bytes[..]).is_ok().then_some(bytes)
    }

    /// Remembers the file as it is saved now; that this fails is no failure of the save.
    pub(super) fn remember(&self, held: &HeldShelf, path: &Path, facts: &Facts, hash: Checksum) {
        let Ok(newest) = held.shelf().newest_id() else {
            return;
        };
        let saved = Saved::new(path.to_owned(), facts, hash, self.wall(), newest);
        drop(held.remember(&saved));
    }

    /// Looks at the file of a shelf once more, and remembers that it is well, if it is.
    pub(super) fn look_again(
        &self,
        shelf: &Shelf,
        saved: &Saved,
        pace: &mut dyn FnMut(u64),
    ) -> Result<FileState, Error> {
        let seen = look(&saved.path, Some(saved), shelf, &mut Paced(pace))?;
        if let (FileState::Saved, Some(facts), Some(hash)) = (&seen.state, seen.present, seen.hash)
        {
            let held = shelf.hold(self.patience)?;
            let now = Saved {
                at: saved.at,
                ..Saved::new(saved.path.clone(), &facts, hash, self.wall(), saved.since)
            };
            // Somebody may have saved it meanwhile.
            if shelf.saved()?.as_ref() == Some(saved) {
                held.remember(&now)?;
            }
        }
        Ok(seen.state)
    }
}

/// Reads the file, hands its bytes to `out`, and compares it with what was saved.
fn look(
    path: &Path,
    saved: Option<&Saved>,
    shelf: &Shelf,
    out: &mut dyn Write,
) -> Result<Seen, Error> {
    let attempt = Attempt::new("read", path, "");
    let (mut file, before) = match open_regular(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let newest = shelf.list()?.backups.into_iter().next();
            let state = match newest {
                Some(newest) if newest.says_deleted(saved) => FileState::Deleted,
                None if saved.is_none() => FileState::Unknown,
                _ => FileState::Missing,
            };
            return Ok(Seen {
                state,
                present: None,
                hash: None,
            });
        }
        opened => opened?,
    };
    let hash = match copy_hashed(&mut file, out, Algorithm::Sha256) {
        Ok((_, hash)) => hash,
        Err(error) if ErrorKind::of(&error) == ErrorKind::Io && is_of_the_disk(&error) => {
            return Ok(Seen {
                state: FileState::Damaged(format!("it cannot be read: {error}")),
                present: Some(before),
                hash: None,
            });
        }
        Err(error) => return Err(attempt.failed(error)),
    };
    if facts_of(&file)? != before {
        return Err(attempt.refused(ErrorKind::Changed, "somebody wrote to it meanwhile"));
    }
    let state = match saved {
        None => FileState::Unknown,
        Some(saved) if saved.hash == hash => FileState::Saved,
        Some(saved) if saved.is_untouched(&before) => FileState::Damaged(
            "its bytes are others than were saved, though nobody wrote to it".to_owned(),
        ),
        Some(_) => FileState::Modified,
    };
    Ok(Seen {
        state,
        present: Some(before),
        hash: Some(hash),
    })
}

impl Backup {
    /// Whether it was made for a deletion, and nothing was saved since.
    pub(super) fn says_deleted(&self, saved: Option<&Saved>) -> bool {
        self.reason == Reason::BeforeDelete && Some(self.id) > saved.and_then(|saved| saved.since)
    }

    /// Whether a backup of the same content that is made for `reason` would say nothing more than this one.
    pub(super) fn stands_for(&self, reason: Reason, saved: Option<&Saved>) -> bool {
        match reason {
            Reason::Manual => false,
            Reason::BeforeOverwrite | Reason::BeforeRestore => true,
            Reason::BeforeDelete => self.says_deleted(saved),
            Reason::Damaged => self.reason == Reason::Damaged,
        }
    }
}

/// Whether the disk could not read, and not whoever took what was read.
fn is_of_the_disk(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}

fn moment(wall: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(wall)
}

/// Takes as much as is loaded at most.
struct Bounded<'a>(&'a mut Vec<u8>);

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > LOAD_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it is longer than what is loaded as a whole",
            ));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells how much was read, and keeps nothing.
struct Paced<'a>(&'a mut dyn FnMut(u64));

impl Write for Paced<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a content while it tells how much it read.
pub(super) struct PacedRead<'a> {
    pub(super) inner: Box<dyn Read + Send>,
    pub(super) pace: &'a mut dyn FnMut(u64),
}

impl Read for PacedRead<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        (self.pace)(len as u64);
        Ok(len)
    }
}

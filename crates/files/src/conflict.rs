//! Before a file is overwritten: is it still the one that was read, and may it be written?

mod holder;

pub use holder::Holder;

use crate::backup::Backups;
use crate::copy::copy_new;
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::{Facts, facts, facts_of, open_regular};
use crate::integrity::{Algorithm, Checksum, copy_hashed};
use crate::replace::{create_new, replace};
use crate::text::{Merged, merge};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How many names `name (1).ext`, `name (2).ext`, … are tried.
const NAMES_MAX: u32 = 9_999;

/// What a file was at one moment, so that a later one can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    facts: Facts,
    hash: Checksum,
}

/// Why a file cannot just be overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConflictKind {
    /// It is there, and whoever saves has not read it.
    Exists,
    /// It is not the one that was read: somebody wrote, replaced or removed it since.
    Changed,
    /// Its mode says that nobody writes to it.
    ReadOnly,
    /// A process holds a lock on it.
    Locked,
    /// We may not write there.
    NoPermission,
}

/// A file that cannot just be overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// Which.
    pub path: PathBuf,
    /// Why not.
    pub kind: ConflictKind,
    /// What is there; none where somebody removed it.
    pub present: Option<Facts>,
    /// Who holds the lock, where the system tells.
    pub holder: Option<Holder>,
    /// How long the content is that should be written, in bytes.
    pub new_len: u64,
}

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// Write it all the same.
    Overwrite,
    /// Leave what is there, and go on.
    Skip,
    /// Write it beside, as `name (1).ext` or the next number that is free.
    Rename,
    /// Keep what is there as `name (1).ext`, and write.
    KeepBoth,
    /// Put both changes together, line by line; needs the content that was read, and text.
    Merge,
    /// Write it to this folder, for somebody to decide later.
    Park(PathBuf),
    /// Leave what is there, and answer with an error.
    Cancel,
}

/// Decides conflicts.
pub trait Resolver {
    /// What is to be done about this one.
    fn resolve(&self, conflict: &Conflict) -> Resolution;
}

/// The same for all.
impl Resolver for Resolution {
    fn resolve(&self, _conflict: &Conflict) -> Resolution {
        self.clone()
    }
}

/// What became of a content that was to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Saved {
    /// It is at its path.
    Written,
    /// It is at its path, together with what somebody else had changed.
    Merged,
    /// It is at this path, beside what is there.
    Beside(PathBuf),
    /// It is at its path, and what was there is at this one.
    KeptBoth(PathBuf),
    /// It is at this path, until somebody decides.
    Parked(PathBuf),
    /// It was not written.
    Skipped,
}

/// A content that is to be saved, with what is known of the file.
#[derive(Debug, Clone, Copy)]
pub struct Save<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    since: Option<&'a Stamp>,
    base: Option<&'a [u8]>,
    backups: Option<&'a Backups>,
}

impl Stamp {
    /// What the file at `path` is now; it is read to its end.
    ///
    /// # Errors
    ///
    /// As [`checksum`](crate::checksum()).
    pub fn of(path: &Path) -> Result<Self, Error> {
        Self::read(path, &mut io::sink())
    }

    /// Reads the file at `path` into memory, and says what it was then.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn and_content(path: &Path) -> Result<(Self, Vec<u8>), Error> {
        let mut bytes = Vec::new();
        let stamp = Self::read(path, &mut bytes)?;
        Ok((stamp, bytes))
    }

    fn read(path: &Path, out: &mut dyn io::Write) -> Result<Self, Error> {
        let attempt = Attempt::new("read", path, "");
        let (mut file, before) = open_regular(path)?;
        let (_, hash) = copy_hashed(&mut file, out, Algorithm::Sha256)
            .map_err(|error| attempt.failed(error))?;
        if facts_of(&file)? != before {
            return Err(attempt.refused(ErrorKind::Changed, "somebody wrote to it meanwhile"));
        }
        Ok(Self {
            facts: before,
            hash,
        })
    }

    /// What the file system said about it.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The SHA-256 of its content.
    pub fn hash(&self) -> Checksum {
        self.hash
    }

    /// Whether the file at `path` is still this one, with this content; it is read only where the system says that something
    /// happened to it.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of), but a file that is gone is just not the same.
    pub fn is_still_at(&self, path: &Path) -> Result<bool, Error> {
        match facts(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(now) if now == self.facts => Ok(true),
            Ok(now) if now.len != self.facts.len || !now.is_same_file(&self.facts) => Ok(false),
            // A new mode, name or date is no new content.
            Ok(_) => Ok(Self::of(path)?.hash == self.hash),
        }
    }
}

impl<'a> Save<'a> {
    /// `bytes`, to be the content of the file at `path`.
    pub fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self {
            path,
            bytes,
            since: None,
            base: None,
            backups: None,
        }
    }

    /// The file was this when it was read.
    #[must_use]
    pub fn since(self, stamp: &'a Stamp) -> Self {
        Self {
            since: Some(stamp),
            ..self
        }
    }

    /// The content that was read, for [`Resolution::Merge`].
    #[must_use]
    pub fn changing(self, base: &'a [u8]) -> Self {
        Self {
            base: Some(base),
            ..self
        }
    }

    /// Whatever is overwritten is backed up there first.
    #[must_use]
    pub fn keeping(self, backups: &'a Backups) -> Self {
        Self {
            backups: Some(backups),
            ..self
        }
    }

    /// What keeps it from just being written; none where nothing does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotRegular`], [`ErrorKind::NotFound`] for its folder, and others: it cannot be written at all.
    pub fn conflict(&self) -> Result<Option<Conflict>, Error> {
        let present = match facts(self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            found => Some(found?),
        };
        let holder = present.as_ref().and_then(Holder::of);
        let found = |kind| {
            Ok(Some(Conflict {
                path: self.path.to_owned(),
                kind,
                present,
                holder: holder.clone(),
                new_len: self.bytes.len() as u64,
            }))
        };
        let Some(present) = present else {
            return match self.since {
                Some(_) => found(ConflictKind::Changed),
                None => Ok(None),
            };
        };
        match self.since {
            None => return found(ConflictKind::Exists),
            Some(since) if !since.is_still_at(self.path)? => {
                return found(ConflictKind::Changed);
            }
            Some(_) => {}
        }
        if present.is_regular() && present.mode & 0o222 == 0 {
            return found(ConflictKind::ReadOnly);
        }
        match holder {
            Some(_) => found(ConflictKind::Locked),
            None => Ok(None),
        }
    }

    /// Saves it, and asks `resolver` where something is in the way.
    ///
    /// Between the last look and the write somebody may still write: whoever does so without this crate is kept in the backups,
    /// where there are any.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`], [`ErrorKind::Changed`], [`ErrorKind::ReadOnly`], [`ErrorKind::Locked`] and
    /// [`ErrorKind::Permission`] where the resolver cancels, and [`ErrorKind::Changed`] where both changed the same lines and
    /// were to be merged; others as [`replace()`](crate::replace()). Nothing was changed.
    pub fn resolve(&self, resolver: &dyn Resolver) -> Result<Saved, Error> {
        if let Some(conflict) = self.conflict()? {
            return self.settle(&conflict, &resolver.resolve(&conflict));
        }
        let error = match self.write(self.bytes) {
            Err(error) if error.kind() == ErrorKind::Permission => error,
            written => return written.map(|()| Saved::Written),
        };
        let conflict = Conflict {
            path: self.path.to_owned(),
            kind: ConflictKind::NoPermission,
            present: facts(self.path).ok(),
            holder: None,
            new_len: self.bytes.len() as u64,
        };
        match resolver.resolve(&conflict) {
            Resolution::Cancel => Err(error),
            resolution => self.settle(&conflict, &resolution),
        }
    }

    fn settle(&self, conflict: &Conflict, resolution: &Resolution) -> Result<Saved, Error> {
        match resolution {
            Resolution::Overwrite => self.write(self.bytes).map(|()| Saved::Written),
            Resolution::Skip => Ok(Saved::Skipped),
            Resolution::Rename => {
                beside(self.path, |path| create_new(path, self.bytes)).map(Saved::Beside)
            }
            Resolution::KeepBoth => {
                if conflict.present.is_none() {
                    return self.write(self.bytes).map(|()| Saved::Written);
                }
                let kept = beside(self.path, |path| copy_new(self.path, path))?;
                self.write(self.bytes).map(|()| Saved::KeptBoth(kept))
            }
            Resolution::Merge => self.merge(conflict),
            Resolution::Park(folder) => {
                crate::create_dir_all(folder, 0o700)?;
                let place = folder.join(self.path.file_name().unwrap_or_default());
                beside_or_there(&place, |path| create_new(path, self.bytes)).map(Saved::Parked)
            }
            Resolution::Cancel => Err(self.refused(conflict, &conflict.to_string())),
        }
    }

    fn merge(&self, conflict: &Conflict) -> Result<Saved, Error> {
        let Some(base) = self.base else {
            let reason = "it cannot be merged without the content that was read";
            return Err(self.refused(conflict, reason));
        };
        let (mut file, _) = open_regular(self.path)?;
        let mut theirs = Vec::new();
        file.read_to_end(&mut theirs)
            .map_err(|error| Attempt::new("read", self.path, "").failed(error))?;
        match merge(base, self.bytes, &theirs) {
            Merged::Clean(both) => self.write(&both).map(|()| Saved::Merged),
            Merged::Conflicts(_) => {
                Err(self.refused(conflict, "somebody changed the same lines meanwhile"))
            }
            Merged::Binary => Err(self.refused(conflict, "it is no text, and cannot be merged")),
        }
    }

    fn refused(&self, conflict: &Conflict, reason: &str) -> Error {
        let kind = match conflict.kind {
            ConflictKind::Exists => ErrorKind::Exists,
            ConflictKind::Changed => ErrorKind::Changed,
            ConflictKind::ReadOnly => ErrorKind::ReadOnly,
            ConflictKind::Locked => ErrorKind::Locked,
            ConflictKind::NoPermission => ErrorKind::Permission,
        };
        Attempt::new("save", self.path, "it was not touched").refused(kind, reason)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        match self.backups {
            Some(backups) => backups.replace(self.path, bytes).map(drop),
            None => replace(self.path, bytes),
        }
    }
}

impl Conflict {
    /// What is at `path`, for whoever puts `new_len` bytes there by other means than [`Save`]; none where nothing is.
    ///
    /// # Errors
    ///
    /// As [`facts`](crate::facts()).
    pub fn at(path: &Path, kind: ConflictKind, new_len: u64) -> Result<Option<Self>, Error> {
        let present = match facts(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        Ok(Some(Self {
            path: path.to_owned(),
            kind,
            present: Some(present),
            holder: Holder::of(&present),
            new_len,
        }))
    }
}

/// What is in the way, in words that stand behind "cannot save `x`: ".
impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.holder) {
            (ConflictKind::Exists, _) => f.write_str("something is there already"),
            (ConflictKind::Changed, _) if self.present.is_none() => {
                f.write_str("somebody removed it since it was read")
            }
            (ConflictKind::Changed, _) => f.write_str("somebody changed it since it was read"),
            (ConflictKind::ReadOnly, _) => f.write_str("its mode says that nobody writes to it"),
            (ConflictKind::Locked, Some(holder)) => write!(f, "{holder} holds a lock on it"),
            (ConflictKind::Locked, None) => f.write_str("somebody holds a lock on it"),
            (ConflictKind::NoPermission, _) => f.write_str("we may not write there"),
        }
    }
}

/// Puts something at `name (1).ext`, or the next number that nobody has; of several that try at once each gets another one.
///
/// `put` makes the file, and answers [`ErrorKind::Exists`] where something has that name.
///
/// # Errors
///
/// Whatever `put` answers; [`ErrorKind::Exists`] after 9,999 names.
pub fn beside(
    path: &Path,
    mut put: impl FnMut(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let mut number = 1;
    loop {
        let place = numbered(path, number);
        match put(&place) {
            Err(error) if error.kind() == ErrorKind::Exists && number < NAMES_MAX => number += 1,
            done => return done.map(|()| place),
        }
    }
}

fn beside_or_there(
    path: &Path,
    mut put: impl FnMut(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    match put(path) {
        Err(error) if error.kind() == ErrorKind::Exists => beside(path, put),
        done => done.map(|()| path.to_owned()),
    }
}

/// `report (2).csv` for `report.csv`; what begins with a dot has no extension there.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path.file_stem().unwrap_or_default());
    name.push(format!(" ({number})"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

//! How a file is written, where the usual way is not the right one.

use crate::check::{Check, Encoding};
use crate::directory::create_dir_all;
use crate::error::{Attempt, Error, ErrorKind};
use crate::integrity::{Algorithm, Checksum, copy_hashed};
use crate::publish::{Durability, publish, write_whole};
use crate::target::{Target, split};
use crate::temp::{MODE_PRIVATE, Temp};
use crate::writer::Writer;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// New folders are open to all, less what the umask takes; those above a secret are their owner's.
const FOLDER_PLAIN: u32 = 0o755;
const FOLDER_PRIVATE: u32 = 0o700;

/// What a write does where a symbolic link is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Symlinks {
    /// Writes to the file that it leads to, where nobody else could have put the link there.
    #[default]
    Follow,
    /// Nothing: that is an error.
    Refuse,
    /// Puts the file in the place of the link, and leaves alone what it led to.
    Replace,
}

/// How a file is written.
///
/// Without any change to it a write is that of [`replace()`](crate::replace()).
///
/// ```
/// use mainstay_files::{Format, Symlinks, WriteOptions};
///
/// # let folder = tempfile::TempDir::new()?;
/// # let path = folder.path().join("station/settings.json");
/// let options = WriteOptions::new()
///     .making_folders()
///     .symlinks(Symlinks::Refuse)
///     .checking(Format::Json);
/// options.write(&path, b"{\"volume\": 3}")?;
///
/// let error = options.write(&path, b"{\"volume\": ").unwrap_err();
/// assert_eq!(error.kind(), mainstay_files::ErrorKind::Invalid);
/// assert_eq!(std::fs::read(&path)?, b"{\"volume\": 3}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct WriteOptions {
    durability: Durability,
    symlinks: Symlinks,
    is_secret: bool,
    makes_folders: bool,
    reads_back: bool,
    hashes: bool,
    checks: Vec<Arc<dyn Check>>,
}

impl WriteOptions {
    /// The usual way.
    pub fn new() -> Self {
        Self::default()
    }

    /// The file survives this from when a write returned `Ok`.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Does this where a symbolic link is.
    #[must_use]
    pub fn symlinks(self, symlinks: Symlinks) -> Self {
        Self { symlinks, ..self }
    }

    /// Only the owner may read the file, from its first byte on, whatever the old one's mode.
    #[must_use]
    pub fn secret(self) -> Self {
        Self {
            is_secret: true,
            ..self
        }
    }

    /// Makes the folders above the file where they are missing, and puts their names on the disk, too.
    #[must_use]
    pub fn making_folders(self) -> Self {
        Self {
            makes_folders: true,
            ..self
        }
    }

    /// Reads what was written from the disk again before the old content goes, and compares it.
    #[must_use]
    pub fn reading_back(self) -> Self {
        Self {
            reads_back: true,
            ..self
        }
    }

    /// Computes what is written, for a commit that answers it.
    #[must_use]
    pub(crate) fn hashing(self) -> Self {
        Self {
            hashes: true,
            ..self
        }
    }

    /// Has `check` look at the content before the old one goes; several are asked in turn.
    #[must_use]
    pub fn checking(mut self, check: impl Check + 'static) -> Self {
        self.checks.push(Arc::new(check));
        self
    }

    /// Puts `bytes` in the place of the file at `path`, or makes it.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`]: a check refused the content, which never came near the disk.
    /// - [`ErrorKind::NotDurable`]: what was read back is not what was written.
    /// - [`ErrorKind::IsSymlink`]: there is a symbolic link that is not to be followed, or not safely.
    /// - Others as [`replace()`](crate::replace()).
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let attempt = Attempt::new("replace", path, "nothing was written");
        for check in &self.checks {
            check
                .check(&mut &bytes[..])
                .map_err(|reason| attempt.refused(ErrorKind::Invalid, &reason))?;
        }
        let target = self.target(&attempt, path)?;
        let attempt = attempt.leaving(target.left());
        let mode = self.mode_at_start(&target);
        let mut temp = write_whole(&attempt, &target, mode, self.durability, |temp| {
            temp.write_all(bytes)?;
            target.dress(temp, self.fixed_mode())
        })?;
        if self.reads_back {
            let hash = Checksum::of(Algorithm::Sha256, bytes);
            read_back(&attempt, &mut temp, hash)?;
        }
        publish(&attempt, &target, temp, self.durability)
    }

    /// Like [`write`](Self::write), for a text.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and [`ErrorKind::Invalid`] where the encoding has no bytes for one of its letters.
    pub fn write_text(&self, path: &Path, text: &str, encoding: Encoding) -> Result<(), Error> {
        let bytes = encoding.encode(text).map_err(|reason| {
            Attempt::new("replace", path, "nothing was written")
                .refused(ErrorKind::Invalid, &reason)
        })?;
        self.write(path, &bytes)
    }

    /// Like [`write`](Self::write), for a value that is written as JSON, with a line for each of its parts.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and [`ErrorKind::Invalid`] where the value is none that JSON knows.
    #[cfg(feature = "formats")]
    pub fn write_json(&self, path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(value).map(|mut bytes| {
            bytes.push(b'\n');
            bytes
        });
        self.write_serialised(path, bytes.map_err(|error| error.to_string()))
    }

    /// Like [`write_json`](Self::write_json), as TOML.
    ///
    /// # Errors
    ///
    /// As [`write_json`](Self::write_json).
    #[cfg(feature = "formats")]
    pub fn write_toml(&self, path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
        let text = toml::to_string_pretty(value).map(String::into_bytes);
        self.write_serialised(path, text.map_err(|error| error.to_string()))
    }

    #[cfg(feature = "formats")]
    fn write_serialised(&self, path: &Path, bytes: Result<Vec<u8>, String>) -> Result<(), Error> {
        let bytes = bytes.map_err(|reason| {
            Attempt::new("replace", path, "nothing was written")
                .refused(ErrorKind::Invalid, &reason)
        })?;
        self.write(path, &bytes)
    }

    /// Starts a file of any length that is written piece by piece; what was asked for here holds at its commit.
    ///
    /// # Errors
    ///
    /// As [`Writer::create`].
    pub fn writer(&self, path: &Path) -> Result<Writer, Error> {
        Writer::create_with(path, self.clone())
    }

    /// Refuses a symbolic link where it is not to be followed: no backup can be made of one.
    pub(crate) fn refuse_kept_link(&self, attempt: &Attempt<'_>, path: &Path) -> Result<(), Error> {
        let is_link = || crate::facts(path).is_ok_and(|facts| facts.is_symlink());
        let reason = match self.symlinks {
            Symlinks::Refuse if is_link() => "it is a symbolic link, which is not to be followed",
            Symlinks::Replace if is_link() => {
                "it is a symbolic link, and no backup can be made of one; remove it first"
            }
            _ => return Ok(()),
        };
        Err(attempt.refused(ErrorKind::IsSymlink, reason))
    }

    /// The place of a file, as far as it may be written to.
    pub(crate) fn target(&self, attempt: &Attempt<'_>, path: &Path) -> Result<Target, Error> {
        if self.makes_folders {
            let mode = if self.is_secret {
                FOLDER_PRIVATE
            } else {
                FOLDER_PLAIN
            };
            create_dir_all(split(attempt, path)?.0, mode)?;
        }
        let target = match self.symlinks {
            Symlinks::Follow => Target::find(attempt, path)?,
            Symlinks::Refuse | Symlinks::Replace => Target::find_unfollowed(attempt, path)?,
        };
        let is_link = target.old.is_some_and(|old| old.is_symlink());
        match self.symlinks {
            Symlinks::Replace if is_link => {}
            Symlinks::Refuse if is_link => {
                let reason = "it is a symbolic link, which is not to be followed";
                return Err(attempt.refused(ErrorKind::IsSymlink, reason));
            }
            _ => target.refuse_other_types(attempt)?,
        }
        Ok(target)
    }

    pub(crate) fn mode_at_start(&self, target: &Target) -> u32 {
        self.fixed_mode().unwrap_or_else(|| target.mode_at_start())
    }

    /// The mode that the file has whatever the old one's.
    pub(crate) fn fixed_mode(&self) -> Option<u32> {
        self.is_secret.then_some(MODE_PRIVATE)
    }

    pub(crate) fn durability_wanted(&self) -> Durability {
        self.durability
    }

    pub(crate) fn reads_back(&self) -> bool {
        self.reads_back
    }

    pub(crate) fn hashes(&self) -> bool {
        self.hashes || self.reads_back
    }

    /// Has the checks look at what was written, before anybody else sees it.
    pub(crate) fn check_written(
        &self,
        attempt: &Attempt<'_>,
        temp: &mut Temp,
    ) -> Result<(), Error> {
        for check in &self.checks {
            let file = temp.reopened().map_err(|error| attempt.failed(error))?;
            check
                .check(&mut io::BufReader::new(file))
                .map_err(|reason| attempt.refused(ErrorKind::Invalid, &reason))?;
        }
        Ok(())
    }
}

impl fmt::Debug for WriteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteOptions")
            .field("durability", &self.durability)
            .field("symlinks", &self.symlinks)
            .field("is_secret", &self.is_secret)
            .field("makes_folders", &self.makes_folders)
            .field("reads_back", &self.reads_back)
            .field("checks", &self.checks.len())
            .finish_non_exhaustive()
    }
}

/// Reads what was written, from the disk where the system lets go of what it remembers, and compares it.
pub(crate) fn read_back(
    attempt: &Attempt<'_>,
    temp: &mut Temp,
    expected: Checksum,
) -> Result<(), Error> {
    let failed = |error| attempt.failed(error);
    let mut file = temp.reopened().map_err(failed)?;
    crate::system::forget_memory_of(&file);
    let (_, found) = copy_hashed(&mut file, &mut io::sink(), Algorithm::Sha256).map_err(failed)?;
    if found == expected {
        return Ok(());
    }
    let reason = "what was read back is not what was written; do not trust this disk";
    Err(attempt.refused(ErrorKind::NotDurable, reason))
}

//! The folders that a program lives in: made once, each with the right mode.

use crate::directory::create_dir_all;
use crate::error::{Attempt, Error};
use crate::shown::Shown;
use crate::system::{self, Dir};
use std::fmt;
use std::path::{Path, PathBuf};

/// What only the program and its user may look into.
const MODE_PRIVATE: u32 = 0o700;

/// What others may read, too.
const MODE_SHARED: u32 = 0o755;

/// The folders of a program, and which of them are its own affair.
///
/// ```
/// # let root = tempfile::TempDir::new()?;
/// # let (data, exports) = (root.path().join("share/app"), root.path().join("Documents/App"));
/// let layout = mainstay_files::Layout::new().private(&data).shared(&exports);
/// for exposure in layout.make()? {
///     eprintln!("warning: {exposure}");
/// }
/// assert!(data.is_dir() && exports.is_dir());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    folders: Vec<(PathBuf, bool)>,
}

/// A folder that should be private, and is open to others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exposure {
    /// The folder.
    pub path: PathBuf,
    /// Permission bits, as in `st_mode`.
    pub mode: u32,
    /// Number of the user who owns it, where that is not us.
    pub owner: Option<u32>,
}

impl Layout {
    /// No folder yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more for the program alone: mode 0700.
    #[must_use]
    pub fn private(mut self, path: &Path) -> Self {
        self.folders.push((path.to_owned(), true));
        self
    }

    /// One more that others may read: mode 0755 less the umask.
    #[must_use]
    pub fn shared(mut self, path: &Path) -> Self {
        self.folders.push((path.to_owned(), false));
        self
    }

    /// Makes those that are missing, and the folders above them, with the same mode; answers which private ones are exposed.
    ///
    /// They survive a power cut from when this returns `Ok`. Mode and owner of a folder that is there are never changed: somebody
    /// may have wanted them so.
    ///
    /// # Errors
    ///
    /// As [`create_dir_all`](crate::create_dir_all): those before the one in the message were made.
    pub fn make(&self) -> Result<Vec<Exposure>, Error> {
        for (path, is_private) in &self.folders {
            let mode = if *is_private {
                MODE_PRIVATE
            } else {
                MODE_SHARED
            };
            create_dir_all(path, mode)?;
        }
        self.exposures()
    }

    /// Which of the private ones that are there can be looked into by others, or belong to somebody else; makes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Permission`](crate::ErrorKind::Permission) and others, where a folder cannot be opened.
    pub fn exposures(&self) -> Result<Vec<Exposure>, Error> {
        let mut exposures = Vec::new();
        for (path, _) in self.folders.iter().filter(|(_, is_private)| *is_private) {
            exposures.extend(exposure(path)?);
        }
        Ok(exposures)
    }
}

fn exposure(path: &Path) -> Result<Option<Exposure>, Error> {
    let attempt = Attempt::new("look at", path, "");
    let facts = match Dir::open(path).and_then(|dir| dir.own_facts()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        facts => facts.map_err(|error| attempt.failed(error))?,
    };
    let exposure = Exposure {
        path: path.to_owned(),
        mode: facts.mode & 0o7777,
        owner: (facts.uid != system::own_uid()).then_some(facts.uid),
    };
    let is_exposed = exposure.mode & 0o077 != 0 || exposure.owner.is_some();
    Ok(is_exposed.then_some(exposure))
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = Shown(&self.path);
        if let Some(owner) = self.owner {
            return write!(f, "`{path}` belongs to somebody else (user {owner})");
        }
        let what = if self.mode & 0o022 == 0 {
            "looked into"
        } else {
            "changed"
        };
        let mode = self.mode & 0o777;
        write!(f, "`{path}` can be {what} by others (mode {mode:04o})")
    }
}

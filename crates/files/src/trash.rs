//! Removed, and still there if it was a mistake.

use crate::backup::{Backup, Backups, Reason};
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::facts;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Where deleted files wait until somebody empties it.
///
/// It is a folder of backups of its own, so several processes may use it, and what is restored was compared first. Nothing
/// leaves it by itself.
///
/// ```
/// # let folder = tempfile::TempDir::new()?;
/// # let path = folder.path().join("report.csv");
/// # mainstay_files::replace(&path, b"part;result\n")?;
/// let trash = mainstay_files::Trash::open(&folder.path().join("trash"))?;
/// let deleted = trash.put(&path)?;
/// assert!(!path.exists());
/// trash.restore(&deleted, &path)?;
/// assert_eq!(std::fs::read(&path)?, b"part;result\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Trash {
    store: Backups,
}

impl Trash {
    /// Uses the folder at `folder`, which is made (mode 0700) with the first file that is deleted.
    ///
    /// # Errors
    ///
    /// As [`Backups::open`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Backups::open(folder).map(Self::of)
    }

    /// Uses this folder of backups; how many of a file it keeps is of no matter here.
    pub fn of(store: Backups) -> Self {
        Self {
            store: store.keeping_all(),
        }
    }

    /// Removes the file at `path` from where it is, and keeps it here; both are durable when it returns `Ok`.
    ///
    /// On one file system no byte is copied.
    ///
    /// # Errors
    ///
    /// As [`Backups::delete`]: the file is still there.
    pub fn put(&self, path: &Path) -> Result<Backup, Error> {
        self.store.delete(path)
    }

    /// What is here, the newest first.
    ///
    /// # Errors
    ///
    /// As [`Backups::list_all`].
    pub fn list(&self) -> Result<Vec<Backup>, Error> {
        let listed = self.store.list_all()?.backups;
        Ok(listed
            .into_iter()
            .filter(|backup| backup.reason == Reason::BeforeDelete)
            .collect())
    }

    /// Puts a deleted file back at `to`, where nothing is; it leaves the trash when that is durable.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`]: something is there, and was not touched. [`ErrorKind::NotFound`]: the folder of `to` is not
    /// there. Others as [`Backups::restore`]. The file is still in the trash.
    pub fn restore(&self, deleted: &Backup, to: &Path) -> Result<(), Error> {
        if facts(to).is_ok() {
            let attempt = Attempt::new("restore", to, "it was not touched");
            let reason = "something is there by now; give it another place";
            return Err(attempt.refused(ErrorKind::Exists, reason));
        }
        self.store.restore_new(deleted, to)?;
        self.store.remove(std::slice::from_ref(deleted))
    }

    /// Puts a deleted file in the place of what is at `to`, which is in the trash from then on; at every instant there is a file.
    ///
    /// Answers what was there; none where nothing was, or the same content.
    ///
    /// # Errors
    ///
    /// As [`Backups::restore`]: what is at `to` was not touched, and the file is still in the trash.
    pub fn restore_over(&self, deleted: &Backup, to: &Path) -> Result<Option<Backup>, Error> {
        let before = self.store.restore_and_delete(deleted, to)?;
        // What is in its place by now need not stay here.
        self.store.remove(std::slice::from_ref(deleted))?;
        Ok(before.filter(|before| (before.id, &before.path) != (deleted.id, &deleted.path)))
    }

    /// Reads a deleted file into `out`; it stays where it is.
    ///
    /// # Errors
    ///
    /// As [`Backups::read`].
    pub fn read(&self, deleted: &Backup, out: &mut dyn io::Write) -> Result<(), Error> {
        self.store.read(deleted, out)
    }

    /// Removes what killed processes left half-written; call it once at start.
    ///
    /// # Errors
    ///
    /// As [`Backups::sweep`].
    pub fn sweep(&self) -> Result<(), Error> {
        self.store.sweep()
    }

    /// Those that were deleted longer ago than `age`, the newest first.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn older_than(&self, age: Duration) -> Result<Vec<Backup>, Error> {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let oldest = self.store.wall().saturating_sub(age);
        let listed = self.list()?.into_iter();
        Ok(listed
            .filter(|deleted| deleted.id.wall() <= oldest)
            .collect())
    }

    /// Removes these for good.
    ///
    /// # Errors
    ///
    /// As [`Backups::remove`]: some may be gone.
    pub fn empty(&self, deleted: &[Backup]) -> Result<(), Error> {
        self.store.remove(deleted)
    }
}

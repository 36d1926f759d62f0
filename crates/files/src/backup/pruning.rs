//! Which backups go, and when.

use super::shelf::HeldShelf;
use super::{Backup, BackupId, Backups};
use crate::error::Error;
use crate::target::whole;
use std::path::Path;

impl Backups {
    /// The backups that [`prune`](Self::prune) would remove now, newest first.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn excess(&self, path: &Path) -> Result<Vec<Backup>, Error> {
        let listed = self.shelf(&whole(path)?).list()?.backups;
        let excess = self.retention.excess(&listed, self.clock.wall(), None);
        Ok(excess.into_iter().cloned().collect())
    }

    /// Removes the backups of the file at `path` that are too many, and compresses older ones where that is wanted.
    ///
    /// Answers those that went. Each is handed to the archive first, where there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) and others. Some may have gone, and none that should stay; none went that the archive refused.
    pub fn prune(&self, path: &Path) -> Result<Vec<Backup>, Error> {
        let path = whole(path)?;
        let held = self.hold(&path)?;
        self.prune_held(&held, None)
    }

    /// Removes these backups, whatever the rules for keeping them say.
    ///
    /// # Errors
    ///
    /// As [`prune`](Self::prune).
    pub fn remove(&self, backups: &[Backup]) -> Result<(), Error> {
        for backup in backups {
            self.hold(&backup.path)?.discard(&[backup])?;
        }
        Ok(())
    }

    /// Removes what killed processes left half-written, of any file; call it once at start.
    ///
    /// Every change of a file's backups does it for that file.
    ///
    /// # Errors
    ///
    /// As [`prune`](Self::prune); every backup is there.
    pub fn sweep(&self) -> Result<(), Error> {
        for shelf in self.shelves()? {
            shelf.hold(self.patience)?.discard(&[])?;
        }
        Ok(())
    }

    /// Removes and compresses what the rules say; the one that is pinned stays.
    pub(super) fn prune_held(
        &self,
        held: &HeldShelf,
        pinned: Option<BackupId>,
    ) -> Result<Vec<Backup>, Error> {
        let listed = held.shelf().list()?.backups;
        let excess = self.retention.excess(&listed, self.clock.wall(), pinned);
        if let Some(archive) = &self.archive {
            for backup in &excess {
                let mut content = held.shelf().open(&backup.hash)?;
                archive.store(backup, &mut content)?;
            }
        }
        held.discard(&excess)?;
        if let Some(after) = self.retention.compress_after {
            for backup in listed.iter().skip(after) {
                let is_newer = listed
                    .iter()
                    .take(after)
                    .any(|newer| newer.hash == backup.hash);
                if !is_newer && !excess.contains(&backup) {
                    held.compress(backup)?;
                }
            }
        }
        Ok(excess.into_iter().cloned().collect())
    }
}

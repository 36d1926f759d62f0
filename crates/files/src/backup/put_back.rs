//! Ways to restore that do not just overwrite.

use super::{Backup, Backups, Reason};
use crate::error::Error;
use std::path::Path;

impl Backups {
    /// Like [`restore`](Self::restore), where nothing is at `to`; of several that try at once, one succeeds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists): something is there, and was not touched; others as
    /// [`restore`](Self::restore).
    pub fn restore_new(&self, backup: &Backup, to: &Path) -> Result<(), Error> {
        let to = self.place(to)?;
        let held = self.hold(&to)?;
        let writer = self.filled(backup, &to)?;
        let facts = writer.commit_new_as(backup.uid, backup.gid, backup.mode)?;
        self.remember(&held, &to, &facts, backup.hash);
        Ok(())
    }

    /// Like [`restore`](Self::restore), for a trash: what is there now counts as deleted.
    pub(crate) fn restore_and_delete(
        &self,
        backup: &Backup,
        to: &Path,
    ) -> Result<Option<Backup>, Error> {
        let to = self.place(to)?;
        let held = self.hold(&to)?;
        let writer = self.filled(backup, &to)?;
        let before = self.before(&held, &to, Reason::BeforeDelete)?;
        let facts = writer.commit_as(backup.uid, backup.gid, backup.mode)?;
        self.remember(&held, &to, &facts, backup.hash);
        Ok(before)
    }
}

//! Where backups go when they are too many.

use super::{Backup, manifest};
use crate::error::{Attempt, Error, ErrorKind};
use crate::integrity::{Algorithm, copy_hashed};
use crate::{Writer, checksum, create_dir_all, create_new};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A place for backups that are no longer kept beside the others.
pub trait Archive: fmt::Debug + Send + Sync {
    /// Stores a backup; it may be handed over again after a crash.
    ///
    /// It must be as durable as the backup was when this returns `Ok`, because the backup is removed then.
    ///
    /// # Errors
    ///
    /// Any: the backup stays where it is, and is handed over again the next time.
    fn store(&self, backup: &Backup, content: &mut dyn Read) -> Result<(), Error>;
}

/// A folder as an archive: for each backup its content, `ID.content`, and what is remembered of it, `ID.backup`, in a
/// folder for each file.
#[derive(Debug, Clone)]
pub struct FolderArchive {
    folder: PathBuf,
}

impl FolderArchive {
    /// The folder at this path, which is made (mode 0700) when it is first needed.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }
}

impl Archive for FolderArchive {
    fn store(&self, backup: &Backup, content: &mut dyn Read) -> Result<(), Error> {
        let folder = self.folder.join(manifest::shelf_name(&backup.path));
        create_dir_all(&folder, super::FOLDER_MODE)?;
        // The file's own name may be as long as a name can be.
        let place = folder.join(format!("{}.content", backup.id));
        let attempt = Attempt::new("archive", &backup.path, "its backup is where it was");
        let mut writer = Writer::create_secret(&place)?;
        let (_, hash) = copy_hashed(content, &mut writer, Algorithm::Sha256)
            .map_err(|error| attempt.failed(error))?;
        if hash != backup.hash {
            let reason = format!("its backup {} is damaged", backup.id);
            return Err(attempt.refused(ErrorKind::Damaged, &reason));
        }
        there_is_fine(writer.commit_new(), || {
            Ok(checksum(&place, Algorithm::Sha256)? == backup.hash)
        })?;
        let remembered = folder.join(format!("{}.backup", backup.id));
        there_is_fine(create_new(&remembered, &manifest::encode(backup)), || {
            Ok(true)
        })
    }
}

/// After a crash it may be there already, whole.
fn there_is_fine(
    made: Result<(), Error>,
    is_whole: impl FnOnce() -> Result<bool, Error>,
) -> Result<(), Error> {
    match made {
        Err(error) if error.kind() == ErrorKind::Exists && is_whole()? => Ok(()),
        made => made,
    }
}

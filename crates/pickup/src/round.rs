//! The folders that one batch touches, each opened and synced once.

use crate::collector::Place;
use crate::folder::{Folder, raw_code};
use crate::quarantine::Quarantine;
use mainstay_files as files;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The open folders of one batch.
#[derive(Debug)]
pub(crate) struct Round {
    root: Folder,
    /// Folders that something was moved out of.
    touched: BTreeMap<PathBuf, Rc<Folder>>,
    /// The one that was used last.
    last: Option<(PathBuf, Rc<Folder>)>,
    claimed: Option<Rc<Folder>>,
    is_work_used: bool,
    is_claimed_used: bool,
    pub(crate) is_quarantine_used: bool,
}

impl Round {
    pub(crate) fn new(root: Folder) -> Self {
        Self {
            root,
            touched: BTreeMap::new(),
            last: None,
            claimed: None,
            is_work_used: false,
            is_claimed_used: false,
            is_quarantine_used: false,
        }
    }

    /// The folder at this path below the drop folder.
    pub(crate) fn folder(&mut self, relative: &Path) -> io::Result<Rc<Folder>> {
        if let Some((path, folder)) = &self.last
            && path == relative
        {
            return Ok(Rc::clone(folder));
        }
        let folder = match self.touched.get(relative) {
            Some(folder) => Rc::clone(folder),
            None => Rc::new(self.root.below(relative)?),
        };
        self.last = Some((relative.to_owned(), Rc::clone(&folder)));
        Ok(folder)
    }

    /// Something was moved out of this folder, which was used last.
    pub(crate) fn touch(&mut self, relative: &Path) {
        if let Some((path, folder)) = &self.last
            && path == relative
        {
            self.touched
                .entry(path.clone())
                .or_insert_with(|| Rc::clone(folder));
        }
    }

    /// Something was moved to this place.
    pub(crate) fn note(&mut self, place: Place) {
        match place {
            Place::Work => self.is_work_used = true,
            Place::Claimed => self.is_claimed_used = true,
            Place::Drop => {}
        }
    }

    /// The claimed folder in the drop folder; made where it is missing.
    pub(crate) fn claimed_folder(&mut self, name: &OsStr) -> io::Result<Rc<Folder>> {
        if let Some(folder) = &self.claimed {
            return Ok(Rc::clone(folder));
        }
        let opened = match self.root.below(Path::new(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                files::create_dir_all(&self.root.path(name), 0o700)?;
                self.root.below(Path::new(name))
            }
            opened => opened,
        };
        let folder = Rc::new(opened?);
        self.claimed = Some(Rc::clone(&folder));
        Ok(folder)
    }

    /// Puts all moves on the disk: first that files arrived, then that they left.
    ///
    /// With `has_content` the content of what arrived in the work folder too, which its producer may not have synced: one sync
    /// of the file system does it all, because what was renamed into the work folder came from the same one.
    pub(crate) fn sync(
        &self,
        work: &Folder,
        quarantine: &Quarantine,
        has_content: bool,
    ) -> Result<(), files::Error> {
        if self.is_quarantine_used {
            quarantine.sync()?;
        }
        if self.is_work_used && has_content {
            work.sync_filesystem()?;
            if !self.is_claimed_used {
                return Ok(());
            }
        } else if self.is_work_used {
            work.sync()?;
        }
        if self.is_claimed_used
            && let Some(claimed) = &self.claimed
        {
            sync_foreign(claimed)?;
        }
        for folder in self.touched.values() {
            sync_foreign(folder)?;
        }
        Ok(())
    }
}

/// Syncs a folder that may be on a network share. Some of those cannot sync a folder, and say so: there a rename is answered
/// when the server has it, and what the server does is not ours to promise.
pub(crate) fn sync_foreign(folder: &Folder) -> Result<(), files::Error> {
    let unsupported =
        [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].map(|errno| Some(errno.raw_os_error()));
    match folder.sync() {
        Err(error) if unsupported.contains(&raw_code(&error)) => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::{FolderId, syncs};

    /// A round that something was claimed in, from a folder in the drop folder; and these two with the work folder.
    struct Claiming {
        root: tempfile::TempDir,
        round: Round,
        work: Folder,
        claimed: FolderId,
        left: FolderId,
    }

    impl Claiming {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for folder in ["drop/sub", "work", "quarantine"] {
                files::create_dir_all(&root.path().join(folder), 0o700).unwrap();
            }
            let mut round = Round::new(Folder::open(&root.path().join("drop")).unwrap());
            let claimed = round.claimed_folder(OsStr::new("claimed")).unwrap();
            let left = round.folder(Path::new("sub")).unwrap();
            round.touch(Path::new("sub"));
            round.note(Place::Claimed);
            syncs::asked();
            Self {
                work: Folder::open(&root.path().join("work")).unwrap(),
                claimed: claimed.id().unwrap(),
                left: left.id().unwrap(),
                root,
                round,
            }
        }

        fn sync(&self, has_content: bool) -> Result<(), files::Error> {
            let quarantine = Quarantine::new(&self.root.path().join("quarantine"));
            self.round.sync(&self.work, &quarantine, has_content)
        }
    }

    #[test]
    fn files_have_arrived_on_the_disk_before_it_knows_that_they_left() {
        let mut claiming = Claiming::new();
        let (work, claimed, left) = (claiming.work.id().unwrap(), claiming.claimed, claiming.left);
        claiming.sync(true).unwrap();
        assert_eq!(syncs::asked(), [claimed, left]);
        claiming.round.note(Place::Work);
        claiming.sync(false).unwrap();
        assert_eq!(syncs::asked(), [work, claimed, left]);
    }

    #[test]
    fn a_share_that_cannot_sync_a_folder_is_believed_and_a_disk_that_fails_is_not() {
        sync_foreign(&Folder::open(Path::new("/proc/self")).unwrap()).unwrap();
        let claiming = Claiming::new();
        for folder in [claiming.claimed, claiming.left] {
            syncs::refuse(Some(folder));
            claiming.sync(true).unwrap_err();
        }
        syncs::refuse(None);
        claiming.sync(true).unwrap();
    }

    #[test]
    fn what_went_to_quarantine_is_on_the_disk_when_the_round_is() {
        let mut claiming = Claiming::new();
        // A folder that nobody can put on a disk.
        let nowhere = Quarantine::new(Path::new("/proc/self"));
        claiming.round.sync(&claiming.work, &nowhere, true).unwrap();
        claiming.round.is_quarantine_used = true;
        claiming
            .round
            .sync(&claiming.work, &nowhere, true)
            .unwrap_err();
        claiming.sync(true).unwrap();
    }

    /// A file system with a journal puts a move on the disk together with whatever is synced next, so that a power cut there does
    /// not show that nobody asked for it.
    #[test]
    fn a_move_is_on_the_disk_only_when_its_folder_says_so() {
        let root = tempfile::tempdir().unwrap();
        let work = Folder::open(root.path()).unwrap();
        let quarantine = Quarantine::new(root.path());
        let mut round = Round::new(Folder::open(root.path()).unwrap());
        // A folder that nobody can put on a disk.
        let nowhere = Folder::open(Path::new("/proc/self")).unwrap();
        round.sync(&nowhere, &quarantine, false).unwrap();
        round.note(Place::Work);
        round.sync(&work, &quarantine, false).unwrap();
        round.sync(&nowhere, &quarantine, false).unwrap_err();
    }
}

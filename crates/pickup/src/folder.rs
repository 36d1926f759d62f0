//! Open folders, and names in them that no rename can lead astray.
//!
//! Who drops files may put a symbolic link in the place of a folder at any moment. So a folder below the drop folder is reached
//! one name at a time, links refused, and everything in it is done through its descriptor.

use mainstay_files::{self as files, Facts};
use std::ffi::OsStr;
use std::fs::{File, ReadDir};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    open: files::Folder,
    through: PathBuf,
}

/// Which folder it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FolderId {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

impl Folder {
    /// Opens a folder that the owner of the machine named; links on the way are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(
            files::Folder::open(path).map_err(in_system_words)?,
        ))
    }

    /// Opens a folder below this one by a path from outside; links are not followed.
    pub(crate) fn below(&self, relative: &Path) -> io::Result<Self> {
        Ok(Self::new(
            self.open.below(relative).map_err(in_system_words)?,
        ))
    }

    pub(crate) fn new(open: files::Folder) -> Self {
        let number = open.as_fd().as_raw_fd();
        Self {
            open,
            through: PathBuf::from(format!("/proc/self/fd/{number}")),
        }
    }

    /// A path that leads to `name` in this very folder for as long as it is open, for the calls that want a path.
    pub(crate) fn path(&self, name: &OsStr) -> PathBuf {
        self.through.join(name)
    }

    /// A path that leads to this very folder for as long as it is open.
    pub(crate) fn own_path(&self) -> &Path {
        &self.through
    }

    pub(crate) fn id(&self) -> io::Result<FolderId> {
        let facts = self.open.own_facts().map_err(in_system_words)?;
        Ok(FolderId {
            dev: facts.dev,
            ino: facts.ino,
        })
    }

    /// Its entries, one after the other.
    pub(crate) fn entries(&self) -> io::Result<ReadDir> {
        files::simulated::pass("list")?;
        std::fs::read_dir(&self.through)
    }

    /// What `name` is; a link is not followed.
    pub(crate) fn facts(&self, name: &OsStr) -> Result<Facts, files::Error> {
        self.open.facts(name)
    }

    /// Opens `name` where it is a regular file.
    pub(crate) fn open_regular(&self, name: &OsStr) -> Result<(File, Facts), files::Error> {
        self.open.open_regular(name)
    }

    /// Renames `from` in this folder to `to` in another, where nothing has that name.
    pub(crate) fn rename(
        &self,
        from: &OsStr,
        other: &Self,
        to: &OsStr,
    ) -> Result<(), files::Error> {
        self.open.rename_noreplace(from, &other.open, to)
    }

    /// Removes the file `name`, where there is one.
    pub(crate) fn remove(&self, name: &OsStr) -> Result<(), files::Error> {
        self.open.remove(name)
    }

    /// Puts the names in it on the disk.
    pub(crate) fn sync(&self) -> Result<(), files::Error> {
        #[cfg(test)]
        syncs::pass(self)?;
        self.open.sync()
    }

    /// Changes it and leaves it as it was, so that the next sync is no answer to one that failed before.
    pub(crate) fn stir(&self) -> Result<(), files::Error> {
        self.open.stir()
    }

    /// The same, by a name of our own, where nobody sweeps.
    pub(crate) fn stir_as(&self, name: &OsStr) -> Result<(), files::Error> {
        self.open.stir_as(name)
    }

    /// Puts everything on the disk that its file system still holds in memory.
    pub(crate) fn sync_filesystem(&self) -> Result<(), files::Error> {
        self.open.sync_filesystem()
    }
}

/// The system's own error, where it gave one: its number says more than its kind.
fn in_system_words(error: files::Error) -> io::Error {
    raw_code(&error).map_or_else(|| error.into(), io::Error::from_raw_os_error)
}

/// The reason of an error in the system's own words; the path in its message may be one through a descriptor.
pub(crate) fn why(error: &files::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The system's number for an error, where the system gave one.
pub(crate) fn raw_code(error: &files::Error) -> Option<i32> {
    std::error::Error::source(error)?
        .downcast_ref::<io::Error>()?
        .raw_os_error()
}

/// The syncs of folders, as a test sees them: which were asked for in its thread, and one that fails.
#[cfg(test)]
pub(crate) mod syncs {
    use super::{Folder, FolderId};
    use mainstay_files as files;
    use rustix::fs::{Mode, OFlags};
    use std::cell::{Cell, RefCell};
    use std::fs::File;

    thread_local! {
        static ASKED: RefCell<Vec<FolderId>> = const { RefCell::new(Vec::new()) };
        static REFUSED: Cell<Option<FolderId>> = const { Cell::new(None) };
    }

    /// Those that were asked for since the last time, in their order.
    pub(crate) fn asked() -> Vec<FolderId> {
        ASKED.take()
    }

    /// From now on the disk does not confirm this folder.
    pub(crate) fn refuse(folder: Option<FolderId>) {
        REFUSED.set(folder);
    }

    pub(super) fn pass(folder: &Folder) -> Result<(), files::Error> {
        let id = folder.id().unwrap();
        ASKED.with_borrow_mut(|asked| asked.push(id));
        if REFUSED.get() != Some(id) {
            return Ok(());
        }
        // The system's own refusal: what is open as a place alone cannot be synced.
        let place = rustix::fs::open(folder.own_path(), OFlags::PATH, Mode::empty()).unwrap();
        files::sync_file(&File::from(place))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests play the producer")]
mod tests {
    use super::*;

    #[test]
    fn a_link_on_the_way_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("drop/real")).unwrap();
        std::fs::create_dir(root.path().join("secret")).unwrap();
        std::os::unix::fs::symlink("../secret", root.path().join("drop/link")).unwrap();
        let drop = Folder::open(&root.path().join("drop")).unwrap();
        assert!(drop.below(Path::new("real")).is_ok());
        assert!(drop.below(Path::new("link")).is_err());
        assert!(drop.below(Path::new("../secret")).is_err());
    }

    #[test]
    fn a_folder_that_is_open_cannot_be_exchanged_for_another() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("drop")).unwrap();
        std::fs::write(root.path().join("drop/x"), "dropped").unwrap();
        let drop = Folder::open(&root.path().join("drop")).unwrap();
        std::fs::rename(root.path().join("drop"), root.path().join("moved")).unwrap();
        std::fs::create_dir(root.path().join("drop")).unwrap();
        assert_eq!(drop.facts(OsStr::new("x")).unwrap().len, 7);
    }
}

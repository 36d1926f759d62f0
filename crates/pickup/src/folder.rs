//! Open folders, and names in them that no rename can lead astray.
//!
//! Who drops files may put a symbolic link in the place of a folder at any moment. So a folder below the drop folder is reached
//! one name at a time, links refused, and everything in it is done through its descriptor (`/proc/self/fd/N/name`).

use mainstay_files::{self as files, Facts};
use rustix::fs::{Mode, OFlags};
use std::ffi::OsStr;
use std::fs::{File, ReadDir};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    file: File,
    through: PathBuf,
}

/// Which folder it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FolderId {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a folder that the owner of the machine named; links on the way are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, FLAGS, Mode::empty())?;
        Ok(Self::new(File::from(fd)))
    }

    /// Opens a folder below this one by a path from outside; links are not followed.
    pub(crate) fn below(&self, relative: &Path) -> io::Result<Self> {
        let mut folder = self.file.try_clone()?;
        for part in relative.components() {
            let Component::Normal(name) = part else {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            };
            let fd = rustix::fs::openat(&folder, name, FLAGS | OFlags::NOFOLLOW, Mode::empty())?;
            folder = File::from(fd);
        }
        Ok(Self::new(folder))
    }

    fn new(file: File) -> Self {
        let through = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Self { file, through }
    }

    /// A path that leads to `name` in this very folder for as long as it is open.
    pub(crate) fn path(&self, name: &OsStr) -> PathBuf {
        self.through.join(name)
    }

    /// A path that leads to this very folder for as long as it is open.
    pub(crate) fn own_path(&self) -> &Path {
        &self.through
    }

    pub(crate) fn id(&self) -> io::Result<FolderId> {
        let stat = rustix::fs::fstat(&self.file)?;
        Ok(FolderId {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
        })
    }

    /// Its entries, one after the other.
    pub(crate) fn entries(&self) -> io::Result<ReadDir> {
        std::fs::read_dir(&self.through)
    }

    /// What `name` is; a link is not followed.
    pub(crate) fn facts(&self, name: &OsStr) -> Result<Facts, files::Error> {
        files::facts(&self.path(name))
    }

    /// Renames `from` in this folder to `to` in another, where nothing has that name.
    pub(crate) fn rename(
        &self,
        from: &OsStr,
        other: &Self,
        to: &OsStr,
    ) -> Result<(), files::Error> {
        files::rename_noreplace(&self.path(from), &other.path(to))
    }

    /// Puts the names in it on the disk.
    pub(crate) fn sync(&self) -> Result<(), files::Error> {
        files::sync_dir(&self.through)
    }
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

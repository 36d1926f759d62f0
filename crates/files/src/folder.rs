//! An open folder, for many files in it one after the other: each call names the file alone.

use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::{Facts, regular_only};
use crate::publish::sync_failed;
use crate::rename::rename_between;
use crate::system::Dir;
use crate::temp_name::TempName;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Component, Path};

/// A folder that is held open.
///
/// Whatever happens to its path meanwhile, its calls are about the very folder that was opened, and about names directly in it.
/// For many files they cost a third of the calls that take paths, because no folder is looked up again.
#[derive(Debug)]
pub struct Folder {
    dir: Dir,
}

impl Folder {
    /// Opens the folder at `path`; symbolic links on the way are followed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Permission`] and others.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let attempt = Attempt::new("open folder", path, "");
        let dir = Dir::open(path).map_err(|error| attempt.failed(error))?;
        Ok(Self { dir })
    }

    /// Opens a folder below this one, by a path that may come from others: a symbolic link anywhere in it is refused.
    ///
    /// An empty path opens this folder once more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NameInvalid`] for a path that does not stay below, as `..` and absolute ones;
    /// [`ErrorKind::IsSymlink`]; [`ErrorKind::NotFound`] and others.
    pub fn below(&self, relative: &Path) -> Result<Self, Error> {
        let attempt = Attempt::new("open folder", relative, "");
        let failed = |error| attempt.failed(error);
        let mut dir = self.dir.again().map_err(failed)?;
        for part in relative.components() {
            let Component::Normal(name) = part else {
                return Err(attempt.refused(ErrorKind::NameInvalid, "the path leads elsewhere"));
            };
            dir = dir.open_child(name).map_err(failed)?;
        }
        Ok(Self { dir })
    }

    /// What the folder itself is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`], where the system cannot say.
    pub fn own_facts(&self) -> Result<Facts, Error> {
        let attempt = Attempt::new("look at", Path::new("."), "");
        self.dir.own_facts().map_err(|error| attempt.failed(error))
    }

    /// What `name` is; a symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// As [`facts`](crate::facts()), and [`ErrorKind::NameInvalid`] for more than one name.
    pub fn facts(&self, name: &OsStr) -> Result<Facts, Error> {
        let attempt = Attempt::new("look at", Path::new(name), "");
        one_name(&attempt, name)?;
        self.dir.facts(name).map_err(|error| attempt.failed(error))
    }

    /// Opens `name` for reading where it is a regular file, and says what was opened.
    ///
    /// # Errors
    ///
    /// As [`open_regular`](crate::open_regular), and [`ErrorKind::NameInvalid`] for more than one name.
    pub fn open_regular(&self, name: &OsStr) -> Result<(File, Facts), Error> {
        let attempt = Attempt::new("open", Path::new(name), "");
        one_name(&attempt, name)?;
        regular_only(&attempt, self.dir.open_regular(name))
    }

    /// Gives `from` in this folder the name `to` in another one on the same file system, where nothing has that name.
    ///
    /// # Errors
    ///
    /// As [`rename_noreplace`](crate::rename_noreplace), and [`ErrorKind::NameInvalid`] for more than one name. In every case
    /// both are as they were.
    pub fn rename_noreplace(&self, from: &OsStr, other: &Self, to: &OsStr) -> Result<(), Error> {
        let attempt =
            Attempt::new("rename", Path::new(from), "nothing was changed").to(Path::new(to));
        one_name(&attempt, from)?;
        one_name(&attempt, to)?;
        rename_between(&self.dir, from, &other.dir, to).map_err(|error| attempt.failed(error))
    }

    /// Removes the file `name`; `Ok` also where there is none. Nothing is synced.
    ///
    /// # Errors
    ///
    /// As [`remove`](crate::remove), and [`ErrorKind::NameInvalid`] for more than one name. The file is still there.
    pub fn remove(&self, name: &OsStr) -> Result<(), Error> {
        let attempt = Attempt::new("remove", Path::new(name), "it is still there");
        one_name(&attempt, name)?;
        match self.dir.unlink(name) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| attempt.failed(error)),
        }
    }

    /// Puts the names in it on the disk: what was made, renamed or removed survives a power cut from when this returns `Ok`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unconfirmed`], as [`sync_dir`](crate::sync_dir): never sync again and believe it.
    pub fn sync(&self) -> Result<(), Error> {
        let attempt = Attempt::new("sync folder", Path::new("."), "");
        self.dir
            .sync()
            .map_err(|error| attempt.failed_as(ErrorKind::Unconfirmed, error))
    }

    /// Makes a name in it and removes it again, so that the next [`sync`](Self::sync) has something to do.
    ///
    /// After a sync that failed, maybe of an earlier process, the system may take for written what it could not write: the next one
    /// does nothing, and answers `Ok`. Where something was not changed since, change the folder first. A crash in between leaves an
    /// empty file that [`sweep`](crate::sweep()) removes.
    ///
    /// # Errors
    ///
    /// As [`create_new`](crate::create_new()). Nothing else in the folder has changed.
    pub fn stir(&self) -> Result<(), Error> {
        let attempt = Attempt::new("change folder", Path::new("."), "nothing was changed");
        let name = TempName::new().beside(OsStr::new("stir"));
        self.dir
            .create_new(&name, 0o600)
            .and_then(|_| self.dir.unlink(&name))
            .map_err(|error| attempt.failed(error))
    }

    /// As [`stir`](Self::stir), by a name that is the caller's: a crash in between leaves an empty file that the next call removes, in
    /// folders that nobody sweeps. Whatever has that name is taken for such a file.
    ///
    /// # Errors
    ///
    /// As [`create_new`](crate::create_new()); [`ErrorKind::NotRegular`] where a folder has that name, and
    /// [`ErrorKind::NameInvalid`] for more than one name. Nothing else in the folder has changed.
    pub fn stir_as(&self, name: &OsStr) -> Result<(), Error> {
        let attempt = Attempt::new("change folder", Path::new("."), "nothing was changed");
        one_name(&attempt, name)?;
        match self.dir.create_new(name, 0o600) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(attempt.failed(error));
            }
            _ => {}
        }
        match self.dir.unlink(name) {
            // Another process that does the same was quicker.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| attempt.failed(error)),
        }
    }

    /// Puts everything written so far to the file system that holds it on the disk.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotDurable`], as [`sync_filesystem`](crate::sync_filesystem()).
    pub fn sync_filesystem(&self) -> Result<(), Error> {
        let attempt = Attempt::new("sync the file system of", Path::new("."), "");
        crate::system::sync_filesystem(&self.dir).map_err(|error| sync_failed(&attempt, error))
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Folder {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// A path of several names could lead through a symbolic link.
fn one_name(attempt: &Attempt<'_>, name: &OsStr) -> Result<(), Error> {
    let bytes = name.as_encoded_bytes();
    if bytes.is_empty()
        || bytes == b"."
        || bytes == b".."
        || bytes.iter().any(|byte| is_separator(*byte))
    {
        return Err(attempt.refused(ErrorKind::NameInvalid, "it is not one name in the folder"));
    }
    Ok(())
}

fn is_separator(byte: u8) -> bool {
    byte == b'/' || (cfg!(windows) && byte == b'\\')
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests play the neighbour")]
mod tests {
    use super::*;
    use std::io::Read;

    fn name(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    #[cfg(unix)]
    #[test]
    fn its_calls_are_about_the_folder_that_was_opened_whatever_its_name_leads_to() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("drop")).unwrap();
        std::fs::write(root.path().join("drop/x"), "ours").unwrap();
        let folder = Folder::open(&root.path().join("drop")).unwrap();
        std::fs::rename(root.path().join("drop"), root.path().join("moved")).unwrap();
        std::fs::create_dir(root.path().join("drop")).unwrap();
        std::fs::write(root.path().join("drop/x"), "another").unwrap();
        let (mut file, facts) = folder.open_regular(name("x")).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), facts.len), ("ours", 4));
        folder.remove(name("x")).unwrap();
        folder.remove(name("x")).unwrap();
        folder.sync().unwrap();
        assert!(root.path().join("drop/x").exists());
        assert!(!root.path().join("moved/x").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_on_the_way_below_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("drop/real/deep")).unwrap();
        std::fs::create_dir(root.path().join("secret")).unwrap();
        std::os::unix::fs::symlink("../secret", root.path().join("drop/link")).unwrap();
        let drop = Folder::open(&root.path().join("drop")).unwrap();
        assert!(drop.below(Path::new("real/deep")).is_ok());
        assert!(drop.below(Path::new("")).is_ok());
        let kind = |path: &str| drop.below(Path::new(path)).unwrap_err().kind();
        assert_eq!(kind("../secret"), ErrorKind::NameInvalid);
        assert_eq!(kind("/"), ErrorKind::NameInvalid);
        assert_eq!(kind("missing"), ErrorKind::NotFound);
        // Linux says of a link that was to be a folder that it is none.
        assert!(drop.below(Path::new("link")).is_err());
    }

    #[test]
    fn more_than_one_name_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("sub")).unwrap();
        std::fs::write(root.path().join("sub/x"), "x").unwrap();
        let folder = Folder::open(root.path()).unwrap();
        for wrong in ["sub/x", "", ".", "..", "/"] {
            let kinds = [
                folder.facts(name(wrong)).unwrap_err().kind(),
                folder.open_regular(name(wrong)).unwrap_err().kind(),
                folder.remove(name(wrong)).unwrap_err().kind(),
                folder
                    .rename_noreplace(name(wrong), &folder, name("y"))
                    .unwrap_err()
                    .kind(),
                folder
                    .rename_noreplace(name("y"), &folder, name(wrong))
                    .unwrap_err()
                    .kind(),
            ];
            assert_eq!(kinds, [ErrorKind::NameInvalid; 5], "{wrong:?}");
        }
        assert!(root.path().join("sub/x").exists());
    }

    #[test]
    fn a_rename_between_two_folders_never_replaces() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["a", "b"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
            std::fs::write(root.path().join(folder).join("x"), folder).unwrap();
        }
        let open = |name: &str| Folder::open(&root.path().join(name)).unwrap();
        let (a, b) = (open("a"), open("b"));
        let error = a.rename_noreplace(name("x"), &b, name("x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
        a.rename_noreplace(name("x"), &b, name("y")).unwrap();
        assert_eq!(std::fs::read(root.path().join("b/x")).unwrap(), b"b");
        assert_eq!(std::fs::read(root.path().join("b/y")).unwrap(), b"a");
        let error = a.rename_noreplace(name("x"), &b, name("z")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

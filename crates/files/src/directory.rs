//! Folders: made, emptied, and put on the disk.

use crate::error::{Attempt, Error, ErrorKind};
use crate::publish::sync_failed;
use crate::system::{self, Dir};
use crate::target::split;
use std::fs::File;
use std::io;
use std::path::Path;

/// Puts the names in the folder at `path` on the disk: what was made, renamed or removed in it survives a power cut from when
/// this returns `Ok`.
///
/// # Errors
///
/// [`ErrorKind::Unconfirmed`]: the disk did not confirm it; do not sync again and believe it, but look and do the change
/// again. [`ErrorKind::NotFound`] and others where the folder cannot be opened.
pub fn sync_dir(path: &Path) -> Result<(), Error> {
    let attempt = Attempt::new("sync folder", path, "");
    let dir = Dir::open(path).map_err(|error| attempt.failed(error))?;
    dir.sync()
        .map_err(|error| attempt.failed_as(ErrorKind::Unconfirmed, error))
}

/// Puts the bytes of an open file on the disk: they survive a power cut from when this returns `Ok`, though its name may not.
///
/// # Errors
///
/// [`ErrorKind::NotDurable`]: the bytes are lost to the disk, although reading may still show them. Never sync the same file
/// again: the second time answers Ok and has written nothing. Write the bytes to a new file.
/// [`ErrorKind::DiskFull`] and [`ErrorKind::Quota`] mean the same, and say why.
pub fn sync_file(file: &File) -> Result<(), Error> {
    system::sync_file(file)
        .map_err(|error| sync_failed(&Attempt::new("sync", &system::path_of(file), ""), error))
}

/// Puts everything written so far to the file system that holds the folder `path` on the disk.
///
/// One call for many files; it waits for other programs' writes too.
///
/// # Errors
///
/// [`ErrorKind::NotDurable`]: something did not reach the disk, and nobody can say what.
pub fn sync_filesystem(path: &Path) -> Result<(), Error> {
    let attempt = Attempt::new("sync the file system of", path, "");
    let dir = Dir::open(path).map_err(|error| attempt.failed(error))?;
    system::sync_filesystem(&dir).map_err(|error| sync_failed(&attempt, error))
}

/// Makes the folder at `path` and those above it that are missing, each with `mode` less the umask.
///
/// They survive a power cut from when this returns `Ok`. A folder that exists is left as it is.
///
/// # Errors
///
/// [`ErrorKind::Exists`]: something that is not a folder has the name. [`ErrorKind::Unconfirmed`]: the folder is there, but
/// the disk did not confirm it. Others, [`ErrorKind::Permission`] first: some of the folders above may have been made.
pub fn create_dir_all(path: &Path, mode: u32) -> Result<(), Error> {
    let attempt = Attempt::new("create folder", path, "");
    let missing = missing_folders(&attempt, path)?;
    for folder in missing.into_iter().rev() {
        create_dir(&attempt, folder, mode)?;
    }
    Ok(())
}

/// Those of `path` and the folders above it that do not exist, the deepest first.
fn missing_folders<'p>(attempt: &Attempt<'_>, path: &'p Path) -> Result<Vec<&'p Path>, Error> {
    let mut missing = Vec::new();
    for folder in path
        .ancestors()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        match Dir::open(folder) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(folder),
            // It is there, and may even be a folder that we may enter but not list; making one below it will tell.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && folder != path => {
                break;
            }
            Err(error) => return Err(not_a_folder(attempt, error)),
        }
    }
    Ok(missing)
}

fn create_dir(attempt: &Attempt<'_>, folder: &Path, mode: u32) -> Result<(), Error> {
    let failed = |error| attempt.failed(error);
    let (parent, name) = split(attempt, folder)?;
    let parent = Dir::open(parent).map_err(failed)?;
    match parent.create_dir(name, mode) {
        // Somebody else made it just now, and may not have synced it yet.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Dir::open(folder).map_err(|error| not_a_folder(attempt, error))?;
        }
        made => made.map_err(failed)?,
    }
    parent
        .sync()
        .map_err(|error| attempt.failed_as(ErrorKind::Unconfirmed, error))
}

fn not_a_folder(attempt: &Attempt<'_>, error: io::Error) -> Error {
    if error.kind() != io::ErrorKind::NotADirectory {
        return attempt.failed(error);
    }
    let reason = "something that is not a folder has that name, or that of a folder above";
    attempt.failed_because(ErrorKind::Exists, reason, error)
}

/// Removes the file at `path`; `Ok` also where there is none. A symbolic link is removed itself.
///
/// Nothing is synced: a power cut may bring the file back. Call [`sync_dir`] to be sure.
///
/// # Errors
///
/// [`ErrorKind::NotRegular`] for a folder; [`ErrorKind::Permission`]; [`ErrorKind::ReadOnly`]. The file is still there.
pub fn remove(path: &Path) -> Result<(), Error> {
    let attempt = Attempt::new("remove", path, "it is still there");
    missing_is_fine(&attempt, in_parent(&attempt, path, Dir::unlink))
}

/// Removes the empty folder at `path`; `Ok` also where there is none. Nothing is synced.
///
/// # Errors
///
/// [`ErrorKind::Exists`]: there is something in it. [`ErrorKind::Permission`] and others. The folder is still there.
pub fn remove_empty_dir(path: &Path) -> Result<(), Error> {
    let attempt = Attempt::new("remove folder", path, "it is still there");
    missing_is_fine(&attempt, in_parent(&attempt, path, Dir::remove_dir))
}

fn in_parent(
    attempt: &Attempt<'_>,
    path: &Path,
    act: impl FnOnce(&Dir, &std::ffi::OsStr) -> io::Result<()>,
) -> Result<io::Result<()>, Error> {
    let (folder, name) = split(attempt, path)?;
    Ok(Dir::open(folder).and_then(|dir| act(&dir, name)))
}

fn missing_is_fine(
    attempt: &Attempt<'_>,
    removed: Result<io::Result<()>, Error>,
) -> Result<(), Error> {
    match removed? {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|error| attempt.failed(error)),
    }
}

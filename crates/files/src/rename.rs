//! A file gets another name or another folder; nothing that is there is ever replaced.

use crate::copy;
use crate::error::{Attempt, Error, ErrorKind};
use crate::system::{self, Dir};
use crate::target::{Target, facts_if_any, split};
use crate::temp::Owner;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// Gives the file or folder at `from` the name `to` where nothing has it; both must be on one file system.
///
/// Of several that try at once, one succeeds. A symbolic link is renamed itself, never followed. Nothing is synced: after a
/// power cut it has one name or the other. Call [`sync_dir`](crate::sync_dir) on both folders to be sure of the new one.
///
/// # Errors
///
/// [`ErrorKind::Exists`]; [`ErrorKind::NotFound`]; [`ErrorKind::CrossDevice`]; [`ErrorKind::Permission`] and others. In every
/// case both are as they were.
pub fn rename_noreplace(from: &Path, to: &Path) -> Result<(), Error> {
    let attempt = Attempt::new("rename", from, "nothing was changed").to(to);
    let (from_folder, from_name) = split(&attempt, from)?;
    let (to_folder, to_name) = split(&attempt, to)?;
    let open = |folder| Dir::open(folder).map_err(|error| attempt.failed_at_folder(folder, error));
    let from_dir = open(from_folder)?;
    let renamed = if from_folder == to_folder {
        rename_between(&from_dir, from_name, &from_dir, to_name)
    } else {
        rename_between(&from_dir, from_name, &open(to_folder)?, to_name)
    };
    renamed.map_err(|error| attempt.failed(error))
}

/// Moves the regular file at `from` to `to`, where nothing is there yet, on the same file system or across two.
///
/// At every instant, also after a power cut, the whole file is at one of the two places at least. Mode and time of
/// modification are kept, the owner where the system allows it. On one file system it is [`rename_noreplace`], and nothing is
/// synced. Across two, the copy is on the disk under its name before the original is removed; that removal is not synced.
///
/// # Errors
///
/// [`ErrorKind::Exists`]; [`ErrorKind::IsSymlink`] and [`ErrorKind::NotRegular`] where `from` is not a regular file;
/// [`ErrorKind::DiskFull`] and others. In every case the original is where it was, and `to` as it was; only where
/// [`ErrorKind::Unconfirmed`] says so, both places have the file.
pub fn move_file(from: &Path, to: &Path) -> Result<(), Error> {
    let attempt = Attempt::new("move", from, "nothing was moved").to(to);
    let source = Target::find_unfollowed(&attempt, from)?;
    let Some(facts) = source.old else {
        return Err(attempt.refused(ErrorKind::NotFound, "there is no such file"));
    };
    copy::refuse_irregular(&attempt, &facts)?;
    let target = Target::find_unfollowed(&attempt, to)?;
    target.refuse_existing(&attempt)?;
    match rename_between(&source.dir, &source.name, &target.dir, &target.name) {
        Err(error) if ErrorKind::of(&error) == ErrorKind::CrossDevice => {
            move_across(&attempt, &source, &target)
        }
        renamed => renamed.map_err(|error| attempt.failed(error)),
    }
}

fn move_across(attempt: &Attempt<'_>, source: &Target, target: &Target) -> Result<(), Error> {
    let (original, copy) = copy::copy(attempt, source, target, Owner::Kept)?;
    // A name that has another file by now, or none, is not ours to remove: the file that was to be moved has left it.
    let removed = match facts_if_any(&source.dir, &source.name) {
        Ok(Some(now)) if now == original => source.dir.unlink(&source.name),
        Ok(Some(now)) if now.is_same_file(&original) => Err(copy::changed()),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|error| {
        // The original is whole, so the copy goes: a move is done, or it is not.
        if target
            .dir
            .facts(&target.name)
            .is_ok_and(|now| now.is_same_file(&copy))
        {
            drop(target.dir.unlink(&target.name));
        }
        attempt.failed(error)
    })
}

/// Renames where the new name is free, on every file system.
pub(crate) fn rename_between(
    from_dir: &Dir,
    from: &OsStr,
    to_dir: &Dir,
    to: &OsStr,
) -> io::Result<()> {
    match from_dir.rename_noreplace(from, to_dir, to) {
        Err(error) if system::is_noreplace_unknown(&error) => {
            from_dir.link(from, to_dir, to)?;
            from_dir
                .unlink(from)
                .inspect_err(|_| drop(to_dir.unlink(to)))
        }
        renamed => renamed,
    }
}

//! A second file with the same bytes, whole and on the disk.

use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::Facts;
use crate::publish::{Durability, publish_new, write_whole};
use crate::system::{self, Attributes};
use crate::target::Target;
use crate::temp::{MODE_PRIVATE, Owner};
use std::io::{self, Seek};
use std::path::Path;

/// Copies the regular file at `from` to `to`, where nothing is there yet.
///
/// The copy appears whole or not at all, and survives a power cut from when this returns `Ok`. It belongs to us, and keeps
/// mode, time of modification, and what programs wrote down with it where the file system takes that; where the original belongs to another group, the group gets no more than everybody has.
///
/// # Errors
///
/// [`ErrorKind::Exists`]; [`ErrorKind::NotFound`]; [`ErrorKind::IsSymlink`] and [`ErrorKind::NotRegular`] where `from` is not
/// a regular file; [`ErrorKind::Io`] where it changed while it was read; and those of a write. Only where
/// [`ErrorKind::Unconfirmed`] says so, the copy is there.
pub fn copy_new(from: &Path, to: &Path) -> Result<(), Error> {
    let attempt = Attempt::new("copy", from, "nothing was written").to(to);
    let source = Target::find_unfollowed(&attempt, from)?;
    let target = Target::find_unfollowed(&attempt, to)?;
    target.refuse_existing(&attempt)?;
    copy(&attempt, &source, &target, Owner::Us).map(drop)
}

/// Copies, and answers what the original was while it was read, and what the copy is.
pub(crate) fn copy(
    attempt: &Attempt<'_>,
    source: &Target,
    target: &Target,
    owner: Owner,
) -> Result<(Facts, Facts), Error> {
    let failed = |error| attempt.failed(error);
    if let Some(facts) = source.old {
        refuse_irregular(attempt, &facts)?;
    }
    let (mut file, facts) = source.dir.open_regular(&source.name).map_err(failed)?;
    refuse_irregular(attempt, &facts)?;
    let attributes = Attributes::of(&file).map_err(failed)?;
    let durable = Durability::Durable;
    let mut temp = write_whole(attempt, target, MODE_PRIVATE, durable, |temp| {
        system::pass_write()?;
        file.rewind()?;
        // File to file, so that the kernel copies, or only shares the blocks where the file system can.
        io::copy(&mut file, temp.file())?;
        temp.dress_as(&facts, Some(&attributes), owner, facts.mode)?;
        system::set_modified(temp.file(), facts.modified)
    })?;
    if system::facts_of_file(&file).map_err(failed)? != facts {
        return Err(failed(changed()));
    }
    let made = system::facts_of_file(temp.file()).map_err(failed)?;
    publish_new(attempt, target, temp, durable)?;
    Ok((facts, made))
}

/// Refuses what is not a regular file, and says why a link is not followed.
pub(crate) fn refuse_irregular(attempt: &Attempt<'_>, facts: &Facts) -> Result<(), Error> {
    if facts.is_symlink() {
        return Err(attempt.refused(
            ErrorKind::IsSymlink,
            "it is a symbolic link, which is not followed here",
        ));
    }
    if !facts.is_regular() {
        return Err(attempt.refused(ErrorKind::NotRegular, "it is not a regular file"));
    }
    Ok(())
}

pub(crate) fn changed() -> io::Error {
    io::Error::other("it changed while it was read")
}

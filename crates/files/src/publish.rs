//! From bytes to a file: written whole, synced, named, and the name synced.

use crate::error::{Attempt, Error, ErrorKind};
use crate::target::Target;
use crate::temp::Temp;
use std::io;

/// The first write and two more (P6): a disk that fails three syncs in a row will not be persuaded by a fourth.
const WRITES_MAX: usize = 3;

/// What a file survives from when its write returned `Ok`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The process's end, the system's crash, and a power cut.
    #[default]
    Durable,
    /// The process's end alone: it is whole at every instant, and after a crash of the system or a power cut it may be the old
    /// one, the new one, empty, or gone. For what can be made again, as a cache.
    Atomic,
}

/// Writes a temporary file with `fill` and puts it on the disk.
///
/// After a sync that failed the file is thrown away and written again under a new name, because a second sync of the same
/// file answers Ok without having written anything (measured on ext4, XFS and btrfs).
pub(crate) fn write_whole(
    attempt: &Attempt<'_>,
    target: &Target,
    mode: u32,
    durability: Durability,
    mut fill: impl FnMut(&mut Temp) -> io::Result<()>,
) -> Result<Temp, Error> {
    let mut written = 0;
    loop {
        let mut temp =
            Temp::create(&target.dir, &target.name, mode).map_err(|error| attempt.failed(error))?;
        fill(&mut temp).map_err(|error| attempt.failed(error))?;
        written += 1;
        if durability == Durability::Atomic {
            return Ok(temp);
        }
        match temp.sync() {
            Ok(()) => return Ok(temp),
            Err(error) if written < WRITES_MAX && !is_space(&error) => {}
            Err(error) => return Err(sync_failed(attempt, error)),
        }
    }
}

/// The error for a sync that failed: no space is told as such, because writing again later helps.
pub(crate) fn sync_failed(attempt: &Attempt<'_>, error: io::Error) -> Error {
    if is_space(&error) {
        attempt.failed(error)
    } else {
        attempt.failed_as(ErrorKind::NotDurable, error)
    }
}

/// Puts the finished file in the place of the old one.
pub(crate) fn publish(
    attempt: &Attempt<'_>,
    target: &Target,
    temp: Temp,
    durability: Durability,
) -> Result<(), Error> {
    temp.publish(&target.name)
        .map_err(|error| attempt.failed(error))?;
    confirm(attempt, target, durability)
}

/// Puts the finished file where nothing is.
pub(crate) fn publish_new(
    attempt: &Attempt<'_>,
    target: &Target,
    temp: Temp,
    durability: Durability,
) -> Result<(), Error> {
    temp.publish_new(&target.name)
        .map_err(|error| attempt.failed(error))?;
    confirm(attempt, target, durability)
}

fn confirm(attempt: &Attempt<'_>, target: &Target, durability: Durability) -> Result<(), Error> {
    if durability == Durability::Atomic {
        return Ok(());
    }
    target.dir.sync().map_err(|error| {
        let attempt = attempt
            .leaving("the new content is in place, but a power cut may undo it, write it again");
        attempt.failed_as(ErrorKind::Unconfirmed, error)
    })
}

/// Some file systems find out at the sync that there is no room.
fn is_space(error: &io::Error) -> bool {
    matches!(ErrorKind::of(error), ErrorKind::DiskFull | ErrorKind::Quota)
}

//! Files that are made ahead, so that nobody waits for them: segments, and the reserve for a full disk.

use crate::disk::{Disk, Folder};
use crate::error::is_disk_full;
use crate::making::Next;
use crate::segment::{self, FIRST_GROUP};
use std::io;

/// The file that becomes a segment when the disk is full and acknowledgements have to be written.
pub(crate) const RESERVE_FILE: &str = "reserve";

/// The smallest segment that is made on a disk that is nearly full, in bytes.
pub(crate) const LEAST_SEGMENT: u64 = 64 * 1024;

/// Left on the disk for all else that has to be written there, in bytes: names, claims, the snapshot of a small queue.
const LEFT_FREE: u64 = 512 * 1024;

/// A segment that was made ahead.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) id: u64,
    pub(crate) size: u64,
}

/// Removes, at start, the files that a run left half filled.
pub(crate) fn remove_unfinished(disk: &dyn Disk) -> io::Result<()> {
    for entry in disk.list(Folder::Root)? {
        let name = entry.name.strip_suffix(segment::UNFINISHED);
        if name.is_some_and(|name| segment::id_of(name).is_some() || name == RESERVE_FILE) {
            disk.remove(Folder::Root, &entry.name)?;
        }
    }
    Ok(())
}

/// Gives segments that were made ahead ids that no write was ever made for. The last run may have ended in the first
/// write to one of them: what arrived of it would pass for a part of what is written there next.
pub(crate) fn rename_unused(
    disk: &dyn Disk,
    unused: &mut [Spare],
    last_id: &mut u64,
) -> io::Result<()> {
    for spare in &mut *unused {
        *last_id += 1;
        let (from, to) = (segment::file_name(spare.id), segment::file_name(*last_id));
        disk.rename(Folder::Root, &from, &to)?;
        spare.id = *last_id;
    }
    if unused.is_empty() {
        return Ok(());
    }
    disk.sync_folder(Folder::Root)
}

/// Makes the file of a segment, of `wanted` bytes, or of half as many as often as it takes where the disk has less, but
/// of no fewer than `least`; it ends early where `next` says so, see [`segment::create_filled`]. Returns its size.
pub(crate) fn make_segment(
    disk: &dyn Disk,
    id: u64,
    wanted: u64,
    least: u64,
    next: &dyn Fn(u64, u64) -> Next,
) -> io::Result<u64> {
    let name = segment::file_name(id);
    let least = least.next_multiple_of(FIRST_GROUP);
    let mut size = wanted.next_multiple_of(FIRST_GROUP).max(least);
    // Asked first, so that a disk that is nearly full is not filled to the brim with zeros for a moment.
    let free = disk.free_bytes()?.saturating_sub(LEFT_FREE);
    while least < size && free < size {
        size = (size / 2).next_multiple_of(FIRST_GROUP).max(least);
    }
    if free < size {
        return Err(io::Error::from(io::ErrorKind::StorageFull));
    }
    loop {
        match segment::create_filled(disk, &name, size, next) {
            Ok(size) => return Ok(size),
            Err(error) if is_disk_full(&error) && least < size => {
                size = (size / 2).next_multiple_of(FIRST_GROUP).max(least);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes the file of the reserve, of `size` bytes or as many as the disk has room for. Returns its size.
pub(crate) fn make_reserve(
    disk: &dyn Disk,
    size: u64,
    next: &dyn Fn(u64, u64) -> Next,
) -> io::Result<u64> {
    let mut size = size;
    loop {
        if disk.free_bytes()? < 2 * size && LEAST_SEGMENT < size {
            size /= 2;
            continue;
        }
        match segment::create_filled(disk, RESERVE_FILE, size, next) {
            Err(error) if is_disk_full(&error) && LEAST_SEGMENT < size => size /= 2,
            result => return result,
        }
    }
}

/// Why the reserve was not taken.
#[derive(Debug)]
pub(crate) struct NotTaken {
    pub(crate) error: io::Error,
    /// Whether it is still there, under its own name.
    pub(crate) is_left: bool,
}

/// Turns the reserve into the segment `id`. Where the disk does not confirm its new name, it gets the old one back.
pub(crate) fn take_reserve(disk: &dyn Disk, id: u64) -> Result<(), NotTaken> {
    let name = segment::file_name(id);
    if let Err(error) = disk.rename(Folder::Root, RESERVE_FILE, &name) {
        let is_left = error.kind() != io::ErrorKind::NotFound;
        return Err(NotTaken { error, is_left });
    }
    if let Err(error) = disk.sync_folder(Folder::Root) {
        // After a power cut it may have either name: the next start knows both.
        let is_left = disk.rename(Folder::Root, &name, RESERVE_FILE).is_ok();
        return Err(NotTaken { error, is_left });
    }
    tracing::warn!("the disk is full: acknowledgements go to the reserve");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::cut::CutDisk;

    /// What is written to it next is sealed with its new id: under its old one it would be another segment's, and passed over.
    #[test]
    fn a_segment_that_was_made_ahead_has_its_new_id_after_a_power_cut_too() {
        let disk = CutDisk::new();
        let size = make_segment(&disk, 5, LEAST_SEGMENT, LEAST_SEGMENT, &|_, _| Next::Go).unwrap();
        let mut unused = [Spare { id: 5, size }];
        let mut last_id = 5;
        rename_unused(&disk, &mut unused, &mut last_id).unwrap();
        assert_eq!((unused[0].id, last_id), (6, 6));
        disk.cut();
        let names = disk.list(Folder::Root).unwrap().into_iter();
        assert!(names.map(|entry| entry.name).eq([segment::file_name(6)]));
        assert!(disk.list(Folder::Root).unwrap()[0].len == size);
    }
}

//! What the disk has lost: copied aside, named, counted, and read past.

use crate::disk::{Disk, DiskFile, Folder};
use serde::Serialize;
use std::io;

/// The most bytes of one damaged range that are copied aside.
const COPY_MAX: u64 = 64 * 1024 * 1024;

/// A place in the queue's files that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where the unreadable part begins, in bytes.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// What is wrong with it.
    pub what: String,
    /// The file in `damaged/` that its bytes were copied to, if they could be.
    pub copied_to: Option<String>,
}

/// Copies a damaged range to `damaged/`, once; a copy from an earlier start is left as it is.
pub(crate) fn copy_aside(
    disk: &dyn Disk,
    name: &str,
    file: &dyn DiskFile,
    start: u64,
    end: u64,
) -> Option<String> {
    // Nothing lies there to be copied.
    if end <= start || file.len().is_ok_and(|len| len <= start) {
        return None;
    }
    let copy_name = format!("{name}.{start}-{end}");
    match copy(disk, &copy_name, file, start, end.min(start + COPY_MAX)) {
        Ok(()) => Some(copy_name),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Some(copy_name),
        Err(error) => {
            tracing::warn!(file = name, start, end, %error, "damaged bytes could not be copied aside");
            None
        }
    }
}

fn copy(disk: &dyn Disk, name: &str, from: &dyn DiskFile, start: u64, end: u64) -> io::Result<()> {
    let to = disk.create(Folder::Damaged, name)?;
    // A place that a snapshot names may reach behind the end of the file.
    let end = end.min(from.len()?);
    let mut piece = vec![0; (256 * 1024).min(end.saturating_sub(start) as usize)];
    let mut offset = start;
    while offset < end {
        let wanted = piece.len().min((end - offset) as usize);
        let read = from.read_at(&mut piece[..wanted], offset)?;
        if read == 0 {
            break;
        }
        to.write_at(&piece[..read], offset - start)?;
        offset += read as u64;
    }
    to.sync()?;
    disk.sync_folder(Folder::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::cut::CutDisk;

    #[test]
    fn what_was_copied_aside_is_there_after_a_power_cut() {
        let disk = CutDisk::new();
        let file = disk.create(Folder::Root, "seg").unwrap();
        file.write_at(b"whole, rotten, whole", 0).unwrap();
        let copy = copy_aside(&disk, "seg", &*file, 7, 13).unwrap();
        disk.cut();
        let copy = disk.open(Folder::Damaged, &copy).unwrap();
        let mut bytes = [0; 7];
        assert_eq!(copy.read_at(&mut bytes, 0).unwrap(), 6);
        assert_eq!(&bytes, b"rotten\0");
    }

    #[test]
    fn of_a_long_damaged_range_no_more_is_copied_than_there_may_be() {
        let disk = CutDisk::new();
        let file = disk.create(Folder::Root, "seg").unwrap();
        file.set_len(COPY_MAX + 4096).unwrap();
        let copy = copy_aside(&disk, "seg", &*file, 1, COPY_MAX + 4096).unwrap();
        let copy = disk.open(Folder::Damaged, &copy).unwrap();
        assert_eq!(copy.len().unwrap(), COPY_MAX);
    }
}

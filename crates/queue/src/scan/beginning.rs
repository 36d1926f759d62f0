//! What can be asked of a segment without reading all of it.

use super::Scanner;
use crate::disk::DiskFile;
use crate::frame::{self, SegmentKey};
use crate::group::GROUP_BYTES_MAX;
use crate::segment::FIRST_GROUP;
use std::io;

/// Whether the first write to a segment is there as a whole: the group that every segment begins with, and the one that
/// was written with it. The head is not looked at.
pub(crate) fn begins_whole(file: &dyn DiskFile, key: &SegmentKey) -> io::Result<bool> {
    let mut scanner = Scanner::new(file, key)?;
    let first = scanner.whole_group(FIRST_GROUP)?;
    let second = first.map(|first| scanner.whole_group(FIRST_GROUP + first.len as u64));
    Ok(second.transpose()?.flatten().is_some())
}

/// Whether a group of a segment says that the first write to it, whose first sequence is `first`, was confirmed; where that
/// is not known, the first group that can be read stands for it.
pub(crate) fn confirms_itself(
    file: &dyn DiskFile,
    key: &SegmentKey,
    first: Option<u64>,
) -> io::Result<bool> {
    let mut scanner = Scanner::new(file, key)?;
    // The write after the first begins within this.
    scanner.limit = scanner.limit.min(3 * GROUP_BYTES_MAX as u64);
    let first = match (first, scanner.next_group(FIRST_GROUP, 0)?) {
        (Some(first), _) => first,
        (None, Some((_, group))) => group.sequence,
        (None, None) => return Ok(false),
    };
    scanner.is_confirmed(FIRST_GROUP, first.saturating_sub(1))
}

/// Whether the group at `offset` is there with all of its records.
pub(crate) fn is_whole(file: &dyn DiskFile, key: &SegmentKey, offset: u64) -> io::Result<bool> {
    Ok(Scanner::new(file, key)?.whole_group(offset)?.is_some())
}

/// Whether there is a record of this segment behind `from`, as far as one write reaches.
pub(crate) fn holds_records(file: &dyn DiskFile, key: &SegmentKey, from: u64) -> io::Result<bool> {
    let len = file.len()?.saturating_sub(from).min(GROUP_BYTES_MAX as u64);
    let mut bytes = vec![0; len as usize];
    let read = file.read_at(&mut bytes, from)?;
    bytes.truncate(read);
    let id = key.id.to_le_bytes();
    Ok((0..bytes.len())
        .step_by(8)
        // The segment's id is looked at before the checksum, so that it takes no longer than reading.
        .filter(|at| bytes.get(at + 8..at + 16) == Some(&id[..]))
        .any(|at| frame::parse(&bytes[at..], key).is_ok()))
}

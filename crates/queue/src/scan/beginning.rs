//! What can be asked of a segment without reading all of it.

use super::Scanner;
use crate::disk::DiskFile;
use crate::frame::{self, FRAME_HEADER, SegmentKey};
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

/// Whether there is a record of this segment behind `from`, as far as one write reaches. Read in small pieces: each start of a
/// queue asks it, and memory for all of it at once would stay with the process.
pub(crate) fn holds_records(file: &dyn DiskFile, key: &SegmentKey, from: u64) -> io::Result<bool> {
    const PIECE: usize = 64 * 1024;
    let end = file.len()?.min(from + GROUP_BYTES_MAX as u64);
    let id = key.id.to_le_bytes();
    // The head of a record that begins in one piece may end in the next.
    let mut bytes = vec![0; PIECE + FRAME_HEADER];
    for start in (from..end).step_by(PIECE) {
        let read = file.read_at(&mut bytes, start)?;
        let piece = &bytes[..read];
        // The segment's id is looked at before the checksum, so that it takes no longer than reading.
        let candidates = (0..PIECE)
            .step_by(8)
            .filter(|at| piece.get(at + 8..at + 16) == Some(&id[..]));
        for at in candidates {
            if is_record(file, key, start + at as u64, end)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a record lies at `offset`, whole and before `end`.
fn is_record(file: &dyn DiskFile, key: &SegmentKey, offset: u64, end: u64) -> io::Result<bool> {
    let mut head = [0; FRAME_HEADER];
    file.read_at(&mut head, offset)?;
    let Some(len) = frame::len_of(&head).filter(|len| *len as u64 <= end.saturating_sub(offset))
    else {
        return Ok(false);
    };
    let mut record = vec![0; len];
    let read = file.read_at(&mut record, offset)?;
    record.truncate(read);
    Ok(frame::parse(&record, key).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, Folder, RealDisk};
    use crate::record::Kind;

    /// The end of a queue is where no record follows: one that is overlooked would be written over.
    #[test]
    fn a_record_behind_the_end_is_found_wherever_it_lies_and_nothing_else_is_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path(), crate::Io::Buffered).unwrap();
        let file = disk.create(Folder::Root, "seg-0000000007.log").unwrap();
        let key = SegmentKey::new(&[9; 16], 7);
        let payload = 5_000;
        let mut record = frame::head(Kind::Lane, payload).to_vec();
        record.extend(vec![1; payload]);
        record.resize(frame::framed_len(payload), 0);
        frame::stamp(&mut record, &key, 3).unwrap();
        let (from, len) = (4_096_u64, 9 * 1024 * 1024);
        file.write_at(&vec![0; len], 0).unwrap();
        assert!(!holds_records(&*file, &key, from).unwrap());
        let reach = GROUP_BYTES_MAX as u64;
        let last = reach - record.len() as u64;
        // In a piece, over the edge of one with the payload, and with the head at every place of it; first and last.
        let edge = 64 * 1024;
        let over = (edge - 40..=edge + 8).step_by(8);
        for place in over.chain([0, 8, 100_000, edge - 4_096, last]) {
            let offset = from + place;
            file.write_at(&record, offset).unwrap();
            assert!(holds_records(&*file, &key, from).unwrap(), "{place}");
            let other = SegmentKey::new(&[9; 16], 8);
            assert!(!holds_records(&*file, &other, from).unwrap());
            // One bit is wrong.
            let flipped = [record[record.len() / 2] ^ 1];
            file.write_at(&flipped, offset + record.len() as u64 / 2)
                .unwrap();
            assert!(!holds_records(&*file, &key, from).unwrap(), "{place}");
            file.write_at(&vec![0; record.len()], offset).unwrap();
        }
        // Behind the reach of one write, and cut by it.
        for place in [reach, last + 8] {
            file.write_at(&record, from + place).unwrap();
            assert!(!holds_records(&*file, &key, from).unwrap(), "{place}");
            file.write_at(&vec![0; record.len()], from + place).unwrap();
        }
        // A head that claims more than there is.
        let mut lies = record.clone();
        lies[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        file.write_at(&lies, from).unwrap();
        assert!(!holds_records(&*file, &key, from).unwrap());
    }
}

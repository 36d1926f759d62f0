//! A segment: one file of the log, its name, its head.
//!
//! ```text
//!    0  magic        8  "MNSTYSEG"
//!    8  version      4  of the format: 1
//!   12  zero         4
//!   16  secret      16  of the queue, from which every segment's seed is made
//!   32  segment      8  its id, one more than the segment before
//!   40  size         8  of the file, in bytes
//!   48  previous     8  the segment that the log continues from; 0 for none
//!   56  previous end 8  where the log ends in it: what lies behind was never confirmed
//!   64  sequence     8  of the first record
//!   72  wall         8  when it was begun, ms since 1970
//!   80  crc          4  CRC-32C of bytes 0 to 80, started from the segment's seed
//!   84  zero            to 4096
//! 4096  groups          see `group`
//! ```

use crate::disk::{AlignedBuf, Disk, DiskFile, Folder};
use crate::frame::SegmentKey;
use crate::group::BLOCK;
use crate::making::Next;
use crate::wire::{Malformed, Put, Reader};
use std::io;

/// The version of everything in a queue's folder.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Where the first group of a segment begins.
pub(crate) const FIRST_GROUP: u64 = BLOCK as u64;

const MAGIC: &[u8; 8] = b"MNSTYSEG";
const COVERED: usize = 80;

/// The head of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) secret: [u8; 16],
    pub(crate) id: u64,
    pub(crate) size: u64,
    pub(crate) previous: u64,
    pub(crate) previous_end: u64,
    pub(crate) sequence: u64,
    pub(crate) wall: u64,
}

/// Why a segment's head could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHead {
    /// It is another segment's, or none: the file was made ahead and never used, or it is damaged.
    NotThisSegment,
    /// A newer version wrote it.
    Newer(u32),
}

impl SegmentHead {
    /// The block that the file begins with.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK);
        out.put(MAGIC);
        out.put_u32(FORMAT_VERSION);
        out.put_u32(0);
        out.put(&self.secret);
        out.put_u64(self.id);
        out.put_u64(self.size);
        out.put_u64(self.previous);
        out.put_u64(self.previous_end);
        out.put_u64(self.sequence);
        out.put_u64(self.wall);
        let crc = SegmentKey::new(&self.secret, self.id).crc(&out);
        out.put_u32(crc);
        out.resize(BLOCK, 0);
        out
    }

    /// Reads the head of the segment that the file's name says.
    pub(crate) fn parse(bytes: &[u8], id: u64) -> Result<Self, BadHead> {
        Self::parse_any(bytes)
            .map_err(|_| BadHead::NotThisSegment)
            .and_then(|(version, head)| {
                if head.id != id {
                    Err(BadHead::NotThisSegment)
                } else if version > FORMAT_VERSION {
                    Err(BadHead::Newer(version))
                } else {
                    Ok(head)
                }
            })
    }

    /// Whether this was the head of the segment before a bit of it rotted. What an earlier life of the file left here is
    /// not, nor is a head of which only a part was written over that.
    pub(crate) fn is_nearly(bytes: &[u8], secret: &[u8; 16], id: u64) -> bool {
        let mut expected = Vec::new();
        expected.put(MAGIC);
        expected.put_u32(FORMAT_VERSION);
        expected.put_u32(0);
        expected.put(secret);
        expected.put_u64(id);
        let differing = expected.iter().zip(bytes);
        let bits: u32 = differing
            .map(|(one, other)| (one ^ other).count_ones())
            .sum();
        expected.len() <= bytes.len() && bits <= 1 && Self::parse_any(bytes).is_err()
    }

    fn parse_any(bytes: &[u8]) -> Result<(u32, Self), Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.array::<8>()? != *MAGIC {
            return Err(Malformed);
        }
        let version = reader.u32()?;
        reader.u32()?;
        let head = Self {
            secret: reader.array()?,
            id: reader.u64()?,
            size: reader.u64()?,
            previous: reader.u64()?,
            previous_end: reader.u64()?,
            sequence: reader.u64()?,
            wall: reader.u64()?,
        };
        let crc = reader.u32()?;
        let covered = bytes.get(..COVERED).ok_or(Malformed)?;
        if SegmentKey::new(&head.secret, head.id).crc(covered) != crc {
            return Err(Malformed);
        }
        Ok((version, head))
    }
}

/// The name of a segment's file.
pub(crate) fn file_name(id: u64) -> String {
    format!("seg-{id:010}.log")
}

/// The segment whose file has this name.
pub(crate) fn id_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("seg-")?.strip_suffix(".log")?;
    if digits.len() < 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits
        .parse()
        .ok()
        .filter(|id| *id > 0 && u32::try_from(*id).is_ok())
}

/// Zeros are written in pieces of this size: a commit waits for one of them at most.
const FILL_PIECE: u64 = 128 * 1024;

/// They are synced each time that so many have come together, so that the disk has never many to bring to the medium.
const FILL_STEP: u64 = 4 * 1024 * 1024;

/// Ends the name of a file that is still being filled.
pub(crate) const UNFINISHED: &str = ".new";

/// Makes a file of `size` zeros under `name`, all of it on the disk; leaves nothing behind when it fails. The file has its
/// name only once it has its length: after a failed sync it may look longer than the disk has it, to the next run too.
///
/// Before each piece `next` is asked, with how much is filled and how long the piece is; the file may end early, and ends
/// with `Interrupted` where it is not wanted any more. Returns its size.
pub(crate) fn create_filled(
    disk: &dyn Disk,
    name: &str,
    size: u64,
    next: &dyn Fn(u64, u64) -> Next,
) -> io::Result<u64> {
    let unfinished = format!("{name}{UNFINISHED}");
    let file = match disk.create(Folder::Root, &unfinished) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Left by an attempt before this one, that could not remove it either.
            disk.remove(Folder::Root, &unfinished)?;
            disk.create(Folder::Root, &unfinished)?
        }
        created => created?,
    };
    let filled = fill(&*file, size, next);
    drop(file);
    let renamed = filled.and_then(|filled| {
        disk.rename(Folder::Root, &unfinished, name)?;
        Ok(filled)
    });
    let left = if renamed.is_ok() { name } else { &unfinished };
    renamed
        .and_then(|filled| disk.sync_folder(Folder::Root).map(|()| filled))
        .inspect_err(|_| {
            // It only takes room: a failure to remove it changes nothing else.
            if let Err(remove) = disk.remove(Folder::Root, left) {
                tracing::warn!(name = left, %remove, "cannot remove a segment that could not be made");
            }
        })
}

fn fill(file: &dyn DiskFile, size: u64, next: &dyn Fn(u64, u64) -> Next) -> io::Result<u64> {
    let mut zeros = AlignedBuf::new();
    zeros.pad_to(FILL_PIECE.min(size) as usize);
    let mut filled = 0;
    while filled < size {
        let piece = FILL_PIECE.min(size - filled);
        match next(filled, piece) {
            Next::Go => {}
            Next::Enough => break,
            Next::Stop => return Err(io::ErrorKind::Interrupted.into()),
        }
        let bytes = zeros.as_slice().get(..piece as usize);
        file.fill_at(bytes.unwrap_or_default(), filled)?;
        filled += piece;
        if filled.is_multiple_of(FILL_STEP) && filled < size {
            file.sync()?;
        }
    }
    file.sync()?;
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> SegmentHead {
        SegmentHead {
            secret: [3; 16],
            id: 7,
            size: 1 << 20,
            previous: 6,
            previous_end: 8192,
            sequence: 99,
            wall: 1,
        }
    }

    #[test]
    fn a_head_reads_back_for_its_own_segment_only() {
        let block = head().encode();
        assert_eq!(SegmentHead::parse(&block, 7), Ok(head()));
        assert_eq!(SegmentHead::parse(&block, 8), Err(BadHead::NotThisSegment));
        assert_eq!(
            SegmentHead::parse(&[0; BLOCK], 7),
            Err(BadHead::NotThisSegment)
        );
    }

    #[test]
    fn every_flipped_bit_of_a_head_is_seen() {
        let block = head().encode();
        for bit in 0..(COVERED + 4) * 8 {
            let mut flipped = block.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHead::parse(&flipped, 7).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn only_names_that_we_make_are_segments() {
        assert_eq!(id_of(&file_name(12)), Some(12));
        for name in [
            "seg-1.log",
            "seg-0000000000.log",
            "seg-000000000x.log",
            "seg-0000000001.log.bak",
            "x",
        ] {
            assert_eq!(id_of(name), None, "{name}");
        }
    }
}

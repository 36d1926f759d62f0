//! How far the disk has confirmed the log: written after every commit, never synced, believed as far as it goes.
//!
//! It costs one small write into the page cache. After a killed process it is exact; after a power cut it is old or
//! gone, and then says less, never more. Two slots, 4096 bytes apart, are written in turn, so that a torn one leaves
//! the other.
//!
//! ```text
//!  0  segment   8
//!  8  end       8  behind the last confirmed group
//! 16  sequence  8  the last confirmed
//! 24  accepted, delivered, discarded, unreadable   8 each: the ledger at this point
//! 56  crc       4  CRC-32C of bytes 0 to 56, started from the seed of segment 0
//! ```

use crate::disk::{Disk, DiskFile, Folder};
use crate::frame::{SEQUENCE_END, SegmentKey};
use crate::group::BLOCK;
use crate::ledger::Totals;
use crate::wire::{Malformed, Put, Reader};
use std::io;

const FILE: &str = "watermark";
const COVERED: usize = 56;
const SLOT: usize = 60;

/// How far the log was confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermark {
    pub(crate) segment: u64,
    pub(crate) end: u64,
    pub(crate) sequence: u64,
}

impl Watermark {
    /// Reads the three numbers; refuses what cannot be, so that nothing that is computed from them overflows.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mark = Self {
            segment: reader.u64()?,
            end: reader.u64()?,
            sequence: reader.u64()?,
        };
        // Segments and offsets in them are kept in 32 bits.
        let is_possible = u32::try_from(mark.segment).is_ok()
            && u32::try_from(mark.end).is_ok()
            && mark.sequence < SEQUENCE_END;
        is_possible.then_some(mark).ok_or(Malformed)
    }
}

fn encode(mark: Watermark, totals: Totals, key: &SegmentKey) -> Vec<u8> {
    let mut out = Vec::with_capacity(SLOT);
    let Totals {
        accepted,
        delivered,
        discarded,
        unreadable,
    } = totals;
    for number in [
        mark.segment,
        mark.end,
        mark.sequence,
        accepted,
        delivered,
        discarded,
        unreadable,
    ] {
        out.put_u64(number);
    }
    let crc = key.crc(&out);
    out.put_u32(crc);
    out
}

fn decode(bytes: &[u8], key: &SegmentKey) -> Option<(Watermark, Totals)> {
    let mut reader = Reader::new(bytes);
    let mark = Watermark::read(&mut reader).ok()?;
    let totals = Totals::read(&mut reader).ok()?;
    let crc = reader.u32().ok()?;
    (key.crc(bytes.get(..COVERED)?) == crc).then_some((mark, totals))
}

/// The file that the watermark is kept in.
#[derive(Debug)]
pub(crate) struct WatermarkFile {
    file: Box<dyn DiskFile>,
    key: SegmentKey,
    turn: u64,
}

impl WatermarkFile {
    /// The furthest watermark that can be read, if any, and the ledger at that point.
    pub(crate) fn read(disk: &dyn Disk, secret: &[u8; 16]) -> Option<(Watermark, Totals)> {
        let file = disk.open(Folder::Root, FILE).ok()?;
        let key = SegmentKey::new(secret, 0);
        let slots = [0, BLOCK as u64].into_iter().filter_map(|offset| {
            let mut bytes = [0; SLOT];
            let read = file.read_at(&mut bytes, offset).ok()?;
            decode(bytes.get(..read)?, &key)
        });
        slots.max_by_key(|(mark, _)| mark.sequence)
    }

    /// Opens the file, made where it is missing.
    pub(crate) fn open(disk: &dyn Disk, secret: &[u8; 16]) -> io::Result<Self> {
        let file = match disk.open(Folder::Root, FILE) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = disk.create(Folder::Root, FILE)?;
                file.write_at(&[0; 2 * BLOCK], 0)?;
                file
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            file,
            key: SegmentKey::new(secret, 0),
            turn: 0,
        })
    }

    /// Notes how far the log is confirmed. A failure is of no consequence: the mark then says less than is true.
    pub(crate) fn note(&mut self, mark: Watermark, totals: Totals) {
        let offset = (self.turn % 2) * BLOCK as u64;
        self.turn += 1;
        if let Err(error) = self.file.write_at(&encode(mark, totals, &self.key), offset) {
            tracing::debug!(%error, "the watermark could not be written");
        }
    }
}

//! The index as it was at one point of the log, so that a start need not read all of it.
//!
//! The log alone is the truth: a snapshot that is missing, old or damaged costs time and nothing else.
//!
//! ```text
//!  0  magic     8  "MNSTYSNP"
//!  8  version   4
//! 12  clean     4  1 if nothing was written to the log after it
//! 16  secret   16
//! 32  segment   8  the log is contained up to here: segment,
//! 40  end       8  … offset behind its last group,
//! 48  sequence  8  … last sequence
//! 56  accepted, delivered, discarded, unreadable   8 each
//! 88  lanes     4, then LANE payloads behind their length (2)
//!     claims    a CLAIMS payload behind its length (4)
//!     documents 8, then each: segment 4 · offset 4 · length 4 · MOVE head without STORE (see `record`) · id 16
//!               · created 8 · priority 1 · body flag 1 · [hash 32 · length 8]
//!     crc       4  CRC-32C of all before it, started from the seed of segment 0
//! ```

use crate::disk::{Disk, DiskFile, Folder};
use crate::document::{DocumentId, Priority, State};
use crate::frame::SegmentKey;
use crate::index::{DocView, Index, LaneView, Location, Now};
use crate::ledger::Totals;
use crate::record::{self, Head, Kind, Lanes, MovedLane};
use crate::segment::FORMAT_VERSION;
use crate::watermark::Watermark;
use crate::wire::{Malformed, Put, Reader};
use std::io;
use std::ops::Deref;
use std::time::Duration;

const FILE: &str = "snapshot";
const NEW_FILE: &str = "snapshot.new";
const MAGIC: &[u8; 8] = b"MNSTYSNP";

/// No document takes fewer bytes: its place, its order and times, one lane without a note, its name.
const DOCUMENT_LEAST: u64 = 12 + 16 + 1 + 25 + 16 + 8 + 2;

/// So many documents are looked at before the index is let go of for a moment, so that nobody waits long for it.
const AT_ONCE: usize = 1024;

/// The part of the log that a snapshot contains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Covered {
    pub(crate) upto: Watermark,
    /// Whether nothing was written to the log after it.
    pub(crate) clean: bool,
}

/// What a snapshot is made from: the index, held each time for as long as it takes to look, and never while the disk is waited for.
///
/// Nobody may change meanwhile what the log says, which the caller keeps from being written. What may happen is that a document is
/// found to be lost.
pub(crate) struct Source<Hold> {
    pub(crate) index: Hold,
    pub(crate) covered: Covered,
    pub(crate) retention: Duration,
    pub(crate) now: Now,
}

/// Writes a snapshot and makes it durable; the one before it stays until then.
pub(crate) fn write<Held: Deref<Target = Index>>(
    disk: &dyn Disk,
    secret: &[u8; 16],
    source: &Source<impl Fn() -> Held>,
) -> io::Result<()> {
    match disk.remove(Folder::Root, NEW_FILE) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(Folder::Root, NEW_FILE)?;
    let mut out = Output {
        file: &*file,
        key: SegmentKey::new(secret, 0),
        pending: Vec::new(),
        written: 0,
        crc: None,
    };
    let written = encode(&mut out, secret, source)
        .and_then(|()| out.finish())
        .and_then(|()| file.sync());
    drop(file);
    let replaced = written
        .and_then(|()| disk.rename(Folder::Root, NEW_FILE, FILE))
        .and_then(|()| disk.sync_folder(Folder::Root));
    if replaced.is_err() {
        // The old one still holds; what is left of the new one is removed with the next.
        disk.remove(Folder::Root, NEW_FILE).ok();
    }
    replaced
}

/// Writes in pieces, with the checksum of all of them.
struct Output<'a> {
    file: &'a dyn DiskFile,
    key: SegmentKey,
    pending: Vec<u8>,
    written: u64,
    crc: Option<u32>,
}

impl Output<'_> {
    const PIECE: usize = 256 * 1024;

    fn flush(&mut self) -> io::Result<()> {
        self.crc = Some(match self.crc {
            None => self.key.crc(&self.pending),
            Some(crc) => crc32c::crc32c_append(crc, &self.pending),
        });
        self.file.write_at(&self.pending, self.written)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn is_large(&self) -> bool {
        Self::PIECE <= self.pending.len()
    }

    fn flush_if_large(&mut self) -> io::Result<()> {
        if self.is_large() {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        let crc = self.crc.unwrap_or_default();
        self.file.write_at(&crc.to_le_bytes(), self.written)
    }
}

fn encode<Held: Deref<Target = Index>>(
    out: &mut Output<'_>,
    secret: &[u8; 16],
    source: &Source<impl Fn() -> Held>,
) -> io::Result<()> {
    let index = (source.index)();
    encode_head(&mut out.pending, secret, &index, source.covered);
    let kept_until = index.kept_until();
    let (documents, in_line) = (index.len(), index.in_line());
    drop(index);
    let mut left = in_line.as_slice();
    while !left.is_empty() {
        let index = (source.index)();
        if index.len() != documents {
            // The head counts it, and says nothing of its loss.
            let why = "a document was found to be lost while the snapshot was written";
            return Err(io::Error::other(why));
        }
        let mut taken = 0;
        for number in left.iter().take(AT_ONCE) {
            let doc = index.view(*number);
            // When it was sent: as long before now as its keeping has run.
            let sent = kept_until.get(&doc.id).map_or(0, |until| {
                let left = until.since(source.now.moment).min(source.retention);
                let ran = source.retention.saturating_sub(left);
                source.now.wall.saturating_sub(ran.as_millis() as u64)
            });
            encode_document(&mut out.pending, &doc, sent, source.now);
            taken += 1;
            if out.is_large() {
                break;
            }
        }
        drop(index);
        left = left.get(taken..).unwrap_or_default();
        out.flush_if_large()?;
    }
    Ok(())
}

fn encode_head(head: &mut Vec<u8>, secret: &[u8; 16], index: &Index, covered: Covered) {
    head.put(MAGIC);
    head.put_u32(FORMAT_VERSION);
    head.put_u32(u32::from(covered.clean));
    head.put(secret);
    head.put_u64(covered.upto.segment);
    head.put_u64(covered.upto.end);
    head.put_u64(covered.upto.sequence);
    let Totals {
        accepted,
        delivered,
        discarded,
        unreadable,
    } = index.totals();
    for total in [accepted, delivered, discarded, unreadable] {
        head.put_u64(total);
    }
    let lanes = index.named_lanes();
    head.put_u32(lanes.len() as u32);
    for lane in &lanes {
        head.put_short_bytes(&record::encode_lane(lane.id, &lane.name));
    }
    let claims = record::encode_claims(&index.open_claims(), &[]);
    head.put_u32(claims.len() as u32);
    head.put(&claims);
    head.put_u64(index.len() as u64);
}

fn encode_document(entry: &mut Vec<u8>, doc: &DocView, sent: u64, now: Now) {
    let created = now
        .wall
        .saturating_sub(doc.since.age(now).as_millis() as u64);
    let lanes = moved_lanes(&doc.lanes, sent);
    entry.put_u32(doc.location.segment);
    entry.put_u32(doc.location.offset);
    entry.put_u32(doc.location.len);
    entry.put(&record::encode_move(doc.order, created, &lanes, &[]));
    entry.put(&doc.id.to_bytes());
    entry.put_u64(created);
    entry.put_u8(doc.priority.number());
    entry.put_u8(u8::from(doc.body.is_some()));
    if let Some(body) = doc.body {
        entry.put(&body.hash);
        entry.put_u64(body.len);
    }
}

/// The lanes of a document, as a MOVE record says them. The latest acknowledgement of a document that is sent stands as
/// `sent`, from which its keeping is counted; the others as they were.
pub(crate) fn moved_lanes(lanes: &[LaneView], sent: u64) -> Vec<MovedLane> {
    let latest = lanes.iter().filter_map(|lane| lane.sent_at).max();
    let lanes = lanes.iter().map(|lane| {
        let own = lane.sent_at.unwrap_or(sent);
        let at = match sent {
            0 => own,
            _ if lane.sent_at == latest => sent,
            _ => own.min(sent),
        };
        moved_lane(lane, at)
    });
    lanes.collect()
}

fn moved_lane(lane: &LaneView, sent: u64) -> MovedLane {
    let trouble = lane.trouble.as_ref();
    MovedLane {
        lane: lane.lane,
        state: lane.state,
        attempts: trouble.map_or(0, |trouble| trouble.attempts),
        wall: if lane.state == State::Sent {
            sent
        } else {
            trouble.map_or(0, |trouble| trouble.wall)
        },
        after: trouble.map_or(0, |trouble| trouble.after),
        note: trouble.map_or_else(String::new, |trouble| trouble.note.to_string()),
    }
}

/// What became of reading a snapshot.
#[derive(Debug)]
pub(crate) enum Read {
    Missing,
    Unreadable,
    Restored(Covered),
}

/// Fills an empty index from the snapshot.
pub(crate) fn read(
    disk: &dyn Disk,
    secret: &[u8; 16],
    index: &mut Index,
    now: Now,
) -> io::Result<Read> {
    let file = match disk.open(Folder::Root, FILE) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Missing),
        Err(error) => return Err(error),
    };
    if !is_whole(&*file, secret)? {
        return Ok(Read::Unreadable);
    }
    let mut input = Input {
        file: &*file,
        len: file.len()? - 4,
        offset: 0,
        window: Vec::new(),
        start: 0,
    };
    match decode(&mut input, secret, index, now)? {
        Some(covered) => Ok(Read::Restored(covered)),
        None => Ok(Read::Unreadable),
    }
}

/// Whether the checksum over the whole file holds; only then is anything taken from it.
fn is_whole(file: &dyn DiskFile, secret: &[u8; 16]) -> io::Result<bool> {
    let len = file.len()?;
    let Some(covered) = len.checked_sub(4) else {
        return Ok(false);
    };
    let mut crc = SegmentKey::new(secret, 0).crc(&[]);
    let mut piece = vec![0; Output::PIECE.min(covered as usize)];
    let mut offset = 0;
    while offset < covered {
        let wanted = piece.len().min((covered - offset) as usize);
        let read = file.read_at(&mut piece[..wanted], offset)?;
        if read == 0 {
            return Ok(false);
        }
        crc = crc32c::crc32c_append(crc, &piece[..read]);
        offset += read as u64;
    }
    let mut stored = [0; 4];
    Ok(file.read_at(&mut stored, covered)? == 4 && u32::from_le_bytes(stored) == crc)
}

/// Reads in pieces.
struct Input<'a> {
    file: &'a dyn DiskFile,
    len: u64,
    offset: u64,
    window: Vec<u8>,
    start: u64,
}

impl Input<'_> {
    /// More than any single item is long: a document has at most 255 lanes with a note each.
    const ITEM_MAX: usize = 1024 * 1024;

    /// The bytes from here on: all, or at least as many as an item can have.
    fn here(&mut self) -> io::Result<&[u8]> {
        let from = (self.offset - self.start) as usize;
        let left = self.len - self.offset;
        if ((self.window.len() - from.min(self.window.len())) as u64)
            < left.min(Self::ITEM_MAX as u64)
        {
            let wanted = left.min(4 * Self::ITEM_MAX as u64) as usize;
            self.window.resize(wanted, 0);
            let read = self.file.read_at(&mut self.window, self.offset)?;
            self.window.truncate(read);
            self.start = self.offset;
        }
        Ok(self
            .window
            .get((self.offset - self.start) as usize..)
            .unwrap_or_default())
    }

    /// Reads one item; `None` if it is malformed.
    fn item<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> io::Result<Option<T>> {
        let bytes = self.here()?;
        let mut reader = Reader::new(bytes);
        let before = bytes.len();
        let item = read(&mut reader);
        let used = before - reader.rest().len();
        self.offset += used as u64;
        Ok(item.ok())
    }
}

fn decode(
    input: &mut Input<'_>,
    secret: &[u8; 16],
    index: &mut Index,
    now: Now,
) -> io::Result<Option<Covered>> {
    let Some((covered, totals, lanes)) = input.item(|reader| decode_head(reader, secret))? else {
        return Ok(None);
    };
    for _ in 0..lanes {
        let Some(payload) = input.item(|reader| reader.short_bytes().map(<[u8]>::to_vec))? else {
            return Ok(None);
        };
        let Ok(lane) = record::decode(Kind::Lane, &payload) else {
            return Ok(None);
        };
        index.apply(&lane, 0, Location::NOWHERE, now);
    }
    let Some(claims) = input.item(|reader| {
        let len = reader.u32()? as usize;
        reader.take(len).map(<[u8]>::to_vec)
    })?
    else {
        return Ok(None);
    };
    let Ok(claims) = record::decode(Kind::Claims, &claims) else {
        return Ok(None);
    };
    index.apply(&claims, 0, Location::NOWHERE, now);
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method names one lifetime, the closure takes any"
    )]
    let Some(documents) = input.item(|reader| reader.u64())? else {
        return Ok(None);
    };
    // No more memory than the file has documents, whatever it says.
    let most = input.len.saturating_sub(input.offset) / DOCUMENT_LEAST;
    index.reserve(documents.min(most) as usize);
    let mut lanes = Vec::new();
    for _ in 0..documents {
        let Some(kept) = input.item(|reader| decode_document(reader, &mut lanes))? else {
            return Ok(None);
        };
        index.take_moved(
            kept.order,
            kept.enqueued,
            &lanes,
            &kept.head,
            kept.location,
            now,
        );
    }
    // Each that is kept after it was sent was counted as delivered.
    if totals.delivered < index.sent().0 {
        return Ok(None);
    }
    index.set_totals(totals);
    Ok(Some(covered))
}

fn decode_head(
    reader: &mut Reader<'_>,
    secret: &[u8; 16],
) -> Result<(Covered, Totals, u32), Malformed> {
    if reader.array::<8>()? != *MAGIC || reader.u32()? != FORMAT_VERSION {
        return Err(Malformed);
    }
    let clean = reader.u32()? == 1;
    if reader.array::<16>()? != *secret {
        return Err(Malformed);
    }
    let upto = Watermark::read(reader)?;
    let totals = Totals::read(reader)?;
    Ok((Covered { upto, clean }, totals, reader.u32()?))
}

/// A document in a snapshot; its lanes are read beside it.
struct Kept {
    location: Location,
    order: u64,
    enqueued: u64,
    head: Head,
}

fn decode_document(reader: &mut Reader<'_>, lanes: &mut Vec<MovedLane>) -> Result<Kept, Malformed> {
    let location = Location {
        segment: reader.u32()?,
        offset: reader.u32()?,
        len: reader.u32()?,
    };
    let order = reader.u64()?;
    let enqueued = reader.u64()?;
    record::decode_moved_lanes(reader, lanes)?;
    let id = DocumentId::from_bytes(reader.array()?);
    let created = reader.u64()?;
    let priority = Priority::new(reader.u8()?).ok_or(Malformed)?;
    let (body_file, body_len) = if reader.u8()? == 0 {
        (None, 0)
    } else {
        (Some(reader.array()?), reader.u64()?)
    };
    if body_len > record::BODY_BYTES_MAX {
        return Err(Malformed);
    }
    let head = Head {
        id,
        created,
        priority,
        // Those that stand beside it say more.
        lanes: Lanes::Many(Vec::new()),
        body_file,
        body_len,
    };
    Ok(Kept {
        location,
        order,
        enqueued,
        head,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::cut::CutDisk;
    use crate::index::Retention;
    use mainstay_clock::Moment;

    const SECRET: [u8; 16] = [7; 16];
    const NOW: Now = Now {
        moment: Moment::ORIGIN,
        wall: 1_790_000_000_000,
    };

    fn empty() -> Index {
        let retention = Retention {
            time: Duration::ZERO,
            documents: 0,
            bytes: 0,
        };
        Index::new(retention, Duration::from_secs(30))
    }

    fn write_empty(disk: &CutDisk, sequence: u64) {
        let index = empty();
        let upto = Watermark {
            segment: 1,
            end: 8192,
            sequence,
        };
        let source = Source {
            index: || &index,
            covered: Covered { upto, clean: true },
            retention: Duration::ZERO,
            now: NOW,
        };
        write(disk, &SECRET, &source).unwrap();
    }

    fn read_back(disk: &CutDisk) -> Read {
        read(disk, &SECRET, &mut empty(), NOW).unwrap()
    }

    /// Puts these bytes in the place of the snapshot.
    fn put(disk: &CutDisk, bytes: &[u8]) {
        let file = disk.open(Folder::Root, FILE).unwrap();
        file.write_at(bytes, 0).unwrap();
    }

    fn bytes_of(disk: &CutDisk) -> Vec<u8> {
        let file = disk.open(Folder::Root, FILE).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn a_snapshot_that_was_written_is_there_after_a_power_cut() {
        let disk = CutDisk::new();
        for sequence in [7, 8] {
            write_empty(&disk, sequence);
            disk.cut();
            match read_back(&disk) {
                Read::Restored(covered) => assert_eq!(covered.upto.sequence, sequence),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn no_snapshot_with_a_flipped_bit_is_believed() {
        let disk = CutDisk::new();
        write_empty(&disk, 7);
        let whole = bytes_of(&disk);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            put(&disk, &bytes);
            assert!(matches!(read_back(&disk), Read::Unreadable), "bit {bit}");
        }
        put(&disk, &whole);
        assert!(matches!(read_back(&disk), Read::Restored(_)));
    }

    #[test]
    fn a_number_of_documents_that_lies_takes_no_memory() {
        let disk = CutDisk::new();
        write_empty(&disk, 7);
        let mut bytes = bytes_of(&disk);
        let covered = bytes.len() - 4;
        bytes[covered - 8..covered].copy_from_slice(&u64::MAX.to_le_bytes());
        let crc = SegmentKey::new(&SECRET, 0).crc(&bytes[..covered]);
        bytes[covered..].copy_from_slice(&crc.to_le_bytes());
        put(&disk, &bytes);
        assert!(matches!(read_back(&disk), Read::Unreadable));
    }
}

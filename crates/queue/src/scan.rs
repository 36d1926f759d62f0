//! Reads a segment from one end to the other, and says of every byte whether it is good, damaged or was never confirmed.
//!
//! A group that cannot be read is one of two things. It is **damage** if it was confirmed: when any group behind it says
//! so, when the next segment says that the log goes on further, or when the watermark does. Then every record of it that
//! passes its own check is still taken. Otherwise it is a **torn tail**: it was being written when the end came, nobody
//! was told that it is stored, and it is left out as a whole.

mod beginning;

use crate::disk::DiskFile;
use crate::frame::{self, SegmentKey};
use crate::group::{BLOCK, GROUP_BYTES_MAX, GROUP_HEADER, GroupHead};
use crate::record::Kind;
use std::io;

pub(crate) use beginning::{begins_whole, confirms_itself, holds_records, is_whole};

/// More than any record is long: a body that is kept in the log, its names, its headers, and a note for each lane.
const RECORD_BYTES_MAX: u64 = 1024 * 1024;

/// What is known from elsewhere of how far a segment was confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The next segment says that the log ends here in this one.
    pub(crate) sealed_end: Option<u64>,
    /// Everything up to this sequence was confirmed.
    pub(crate) confirmed: u64,
    /// Everything before this offset was confirmed; 0 where that is not known.
    pub(crate) confirmed_end: u64,
}

/// What a scan comes upon, in the order of the log.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Group {
        head: GroupHead,
        offset: u64,
    },
    Record {
        kind: Kind,
        sequence: u64,
        payload: &'a [u8],
        offset: u64,
    },
    Damage {
        start: u64,
        end: u64,
        what: &'static str,
    },
}

/// Where a scan came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScanEnd {
    /// Behind the last group that could be read.
    pub(crate) end: u64,
    /// The last sequence that was read; 0 if none was.
    pub(crate) last_sequence: u64,
    /// Whether a group was left out that was being written when the end came.
    pub(crate) torn: bool,
}

/// Reads a segment from `from` (a multiple of 4096) on.
pub(crate) fn scan(
    file: &dyn DiskFile,
    key: &SegmentKey,
    from: u64,
    last_sequence: u64,
    known: Known,
    found: &mut dyn FnMut(Found<'_>),
) -> io::Result<ScanEnd> {
    let file_len = file.len()?;
    let limit = known.sealed_end.unwrap_or(u64::MAX).min(file_len);
    let mut scanner = Scanner {
        window: Window::new(file, file_len),
        key,
        known,
        limit,
    };
    let mut at = ScanEnd {
        end: from,
        last_sequence,
        torn: false,
    };
    while at.end < limit {
        match scanner.group(at)? {
            Step::Group(head, records, lost) => {
                report_gap(at, &head, found);
                found(Found::Group {
                    head,
                    offset: at.end,
                });
                emit(
                    scanner.window.get(at.end, head.len)?,
                    at.end,
                    &records,
                    found,
                );
                report_lost(at, &lost, "unreadable records", found);
                at.end += head.len as u64;
                at.last_sequence = head.last_sequence();
            }
            Step::Damaged(Salvage { end, records, lost }) => {
                let len = (end - at.end) as usize;
                emit(scanner.window.get(at.end, len)?, at.end, &records, found);
                report_lost(at, &lost, "unreadable blocks", found);
                at.end = end;
                at.last_sequence = records
                    .last()
                    .map_or(at.last_sequence, |place| place.sequence);
            }
            Step::Tail { torn } => {
                at.torn = torn;
                return Ok(at);
            }
        }
    }
    report_short(at, known, file_len, found);
    Ok(at)
}

/// Says so if the file ends before the log does.
fn report_short(at: ScanEnd, known: Known, file_len: u64, found: &mut dyn FnMut(Found<'_>)) {
    let (end, what) = match known.sealed_end {
        Some(sealed) if at.end < sealed => (sealed, "the file is shorter than the log says"),
        None if at.last_sequence < known.confirmed => (
            file_len.max(at.end),
            "the log ends before what was confirmed",
        ),
        _ => return,
    };
    found(Found::Damage {
        start: at.end,
        end,
        what,
    });
}

fn report_lost(
    at: ScanEnd,
    lost: &[(u64, u64)],
    what: &'static str,
    found: &mut dyn FnMut(Found<'_>),
) {
    for (start, end) in lost {
        let (start, end) = (at.end + start, at.end + end);
        found(Found::Damage { start, end, what });
    }
}

fn report_gap(at: ScanEnd, head: &GroupHead, found: &mut dyn FnMut(Found<'_>)) {
    if at.last_sequence != 0 && head.sequence != at.last_sequence + 1 {
        found(Found::Damage {
            start: at.end,
            end: at.end,
            what: "records are missing",
        });
    }
}

/// A record in its group.
#[derive(Clone, Copy)]
struct Place {
    kind: Kind,
    sequence: u64,
    start: usize,
    /// Of its payload.
    len: usize,
}

impl Place {
    fn of(start: usize, frame: &frame::Frame<'_>) -> Self {
        Self {
            kind: frame.kind,
            sequence: frame.sequence,
            start,
            len: frame.payload.len(),
        }
    }
}

fn emit(group: &[u8], group_offset: u64, records: &[Place], found: &mut dyn FnMut(Found<'_>)) {
    for place in records {
        let start = place.start + frame::FRAME_HEADER;
        let payload = &group[start..start + place.len];
        let offset = group_offset + place.start as u64;
        found(Found::Record {
            kind: place.kind,
            sequence: place.sequence,
            payload,
            offset,
        });
    }
}

enum Step {
    /// A group, its records, and the byte ranges of it that are unreadable although they were confirmed.
    Group(GroupHead, Vec<Place>, Vec<(u64, u64)>),
    /// No group, but perhaps some of its records.
    Damaged(Salvage),
    Tail {
        torn: bool,
    },
}

/// What is left of groups whose heads are unreadable.
struct Salvage {
    /// Where the next group may begin.
    end: u64,
    records: Vec<Place>,
    /// What is unreadable, counted from where the first group began.
    lost: Vec<(u64, u64)>,
}

struct Scanner<'a> {
    window: Window<'a>,
    key: &'a SegmentKey,
    known: Known,
    limit: u64,
}

impl<'a> Scanner<'a> {
    /// One that knows nothing from elsewhere.
    fn new(file: &'a dyn DiskFile, key: &'a SegmentKey) -> io::Result<Self> {
        let file_len = file.len()?;
        Ok(Self {
            window: Window::new(file, file_len),
            key,
            known: Known::default(),
            limit: file_len,
        })
    }

    /// The head of the group at `offset`, if all of its records can be read.
    fn whole_group(&mut self, offset: u64) -> io::Result<Option<GroupHead>> {
        let Some(head) = self.head(offset, 0)? else {
            return Ok(None);
        };
        let (_, lost) = read_records(self.window.get(offset, head.len)?, self.key, &head);
        Ok(lost.is_empty().then_some(head))
    }

    fn group(&mut self, at: ScanEnd) -> io::Result<Step> {
        let Some(head) = self.head(at.end, at.last_sequence)? else {
            return self.unreadable(at);
        };
        let bytes = self.window.get(at.end, head.len)?;
        let (records, lost) = read_records(bytes, self.key, &head);
        if lost.is_empty() {
            return Ok(Step::Group(head, records, lost));
        }
        let behind = at.end + BLOCK as u64;
        Ok(if self.is_confirmed(behind, head.last_sequence() - 1)? {
            Step::Group(head, records, lost)
        } else {
            Step::Tail { torn: true }
        })
    }

    /// Whether anything says that the record behind `sequence` was confirmed: one that is written later than that record,
    /// at `from` or behind it, or what is known from elsewhere.
    fn is_confirmed(&mut self, from: u64, sequence: u64) -> io::Result<bool> {
        if self.known.sealed_end.is_some()
            || sequence < self.known.confirmed
            || from <= self.known.confirmed_end
        {
            return Ok(true);
        }
        // The groups of one write are confirmed together, so the first that follows may not say it, and a later one does.
        let mut offset = from;
        while let Some((start, group)) = self.next_group(offset, sequence)? {
            if sequence < group.facts.confirmed {
                return Ok(true);
            }
            // Block by block: a group that lies in the wrong place hides none behind it.
            offset = start + BLOCK as u64;
        }
        Ok(false)
    }

    /// The head of a group at `offset` that can follow `last_sequence` and lies within the limit.
    fn head(&mut self, offset: u64, last_sequence: u64) -> io::Result<Option<GroupHead>> {
        let bytes = self.window.get(offset, GROUP_HEADER)?;
        let head = GroupHead::parse(bytes, self.key).ok();
        Ok(head.filter(|head| {
            last_sequence < head.sequence
                && head.len <= GROUP_BYTES_MAX
                && offset + head.len as u64 <= self.limit
        }))
    }

    /// What a block is that no group can be read from.
    fn unreadable(&mut self, at: ScanEnd) -> io::Result<Step> {
        let behind = at.end + BLOCK as u64;
        if !self.is_confirmed(behind, at.last_sequence)? {
            let torn = self.is_begun(at)?;
            return Ok(Step::Tail { torn });
        }
        let next = self.next_group(behind, at.last_sequence)?;
        let (end, last) = match next {
            Some((offset, head)) => (offset, head.sequence - 1),
            None if self.known.sealed_end.is_some() => (self.limit, u64::MAX),
            // Behind what was confirmed there may be groups that were not.
            None if behind <= self.known.confirmed_end => (
                self.known.confirmed_end.min(self.limit),
                self.known.confirmed,
            ),
            // Confirmed, and nothing says how far it went.
            None => (self.limit, self.known.confirmed),
        };
        // So much is held in memory at a time; what lies across its end is looked at again.
        let end = end.min(at.end + GROUP_BYTES_MAX as u64);
        let bytes = self.window.get(at.end, (end - at.end) as usize)?;
        let mut salvage = salvage(bytes, self.key, at.last_sequence, last);
        salvage.end = if end < at.end + GROUP_BYTES_MAX as u64 {
            end
        } else {
            end - RECORD_BYTES_MAX
        };
        Ok(Step::Damaged(salvage))
    }

    /// Whether a write was begun here: zeros, or what an earlier life of the file left, are the plain end; a record of our
    /// own is not, nor is our id in the place of a head.
    fn is_begun(&mut self, at: ScanEnd) -> io::Result<bool> {
        let (key, last) = (self.key, at.last_sequence);
        let block = self.window.get(at.end, BLOCK)?;
        let is_head = block.get(8..16) == Some(&key.id.to_le_bytes()[..])
            && block.get(..8).is_some_and(|front| front != [0; 8]);
        Ok(is_head || resync(block, 0, key, last, u64::MAX).is_some())
    }

    fn next_group(
        &mut self,
        from: u64,
        last_sequence: u64,
    ) -> io::Result<Option<(u64, GroupHead)>> {
        let mut offset = from.next_multiple_of(BLOCK as u64);
        while offset + BLOCK as u64 <= self.limit {
            if let Some(head) = self.head(offset, last_sequence)? {
                return Ok(Some((offset, head)));
            }
            offset += BLOCK as u64;
        }
        Ok(None)
    }
}

/// The records of a group that can be read, and the byte ranges of those that cannot.
fn read_records(group: &[u8], key: &SegmentKey, head: &GroupHead) -> (Vec<Place>, Vec<(u64, u64)>) {
    let mut records = Vec::with_capacity(head.records as usize % 4096);
    let mut lost = Vec::new();
    let mut sequence = head.sequence;
    let mut offset = GROUP_HEADER;
    while sequence < head.last_sequence() {
        let last = head.last_sequence();
        let (at, frame) = match readable_at(group, offset, key, sequence, last) {
            Some(frame) => (offset, frame),
            None => {
                if let Some((at, frame)) = resync(group, offset + 8, key, sequence, last) {
                    lost.push((offset as u64, at as u64));
                    (at, frame)
                } else {
                    lost.push((offset as u64, group.len() as u64));
                    break;
                }
            }
        };
        sequence = frame.sequence;
        records.push(Place::of(at, &frame));
        offset = at + frame::framed_len(frame.payload.len());
    }
    (records, lost)
}

/// The records, behind the sequence `after` and up to `last`, in bytes whose groups have no readable head.
fn salvage(bytes: &[u8], key: &SegmentKey, after: u64, last: u64) -> Salvage {
    let mut salvage = Salvage {
        end: 0,
        records: Vec::new(),
        lost: Vec::new(),
    };
    let (mut offset, mut sequence) = (0, after);
    while let Some((at, frame)) = resync(bytes, offset, key, sequence, last) {
        if offset < at {
            salvage.lost.push((offset as u64, at as u64));
        }
        sequence = frame.sequence;
        salvage.records.push(Place::of(at, &frame));
        offset = at + frame::framed_len(frame.payload.len());
    }
    // Behind the very last record there is only padding.
    let is_padding = sequence == last && !salvage.records.is_empty();
    if !is_padding && offset < bytes.len() {
        salvage.lost.push((offset as u64, bytes.len() as u64));
    }
    salvage
}

fn readable_at<'a>(
    group: &'a [u8],
    offset: usize,
    key: &SegmentKey,
    after: u64,
    last: u64,
) -> Option<frame::Frame<'a>> {
    let frame = frame::parse(group.get(offset..)?, key).ok()?;
    let fits = after < frame.sequence && frame.sequence <= last && frame.kind != Kind::Group;
    fits.then_some(frame)
}

/// The next record that can be read, at `from` or behind it.
fn resync<'a>(
    group: &'a [u8],
    from: usize,
    key: &SegmentKey,
    after: u64,
    last: u64,
) -> Option<(usize, frame::Frame<'a>)> {
    let id = key.id.to_le_bytes();
    (from..group.len())
        .step_by(8)
        // The segment's id is looked at before the checksum, so that a search stays linear.
        .filter(|at| group.get(at + 8..at + 16) == Some(&id[..]))
        .find_map(|at| readable_at(group, at, key, after, last).map(|frame| (at, frame)))
}

/// A part of a file in memory, so that a scan reads a megabyte at a time.
struct Window<'a> {
    file: &'a dyn DiskFile,
    file_len: u64,
    bytes: Vec<u8>,
    start: u64,
}

impl<'a> Window<'a> {
    const STEP: usize = 1024 * 1024;

    fn new(file: &'a dyn DiskFile, file_len: u64) -> Self {
        Self {
            file,
            file_len,
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// The bytes at `offset`, fewer where the file ends.
    fn get(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let end = (offset + len as u64).min(self.file_len);
        let inside = self.start <= offset && end <= self.start + self.bytes.len() as u64;
        if !inside {
            let wanted =
                (len.max(Self::STEP) as u64).min(self.file_len.saturating_sub(offset)) as usize;
            self.bytes = vec![0; wanted];
            let read = self.file.read_at(&mut self.bytes, offset)?;
            self.bytes.truncate(read);
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        let to = (end.saturating_sub(self.start) as usize)
            .min(self.bytes.len())
            .max(from);
        Ok(self.bytes.get(from..to).unwrap_or_default())
    }
}

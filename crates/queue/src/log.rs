//! The end of the log: where groups are written, and the segments that are ready for it.
//!
//! A write that fails is never repeated in the same file (a second sync would lie): the segment is sealed at its last
//! confirmed group, and the group goes to a fresh one. Two fresh ones that fail in a row, and the log gives up.

mod upkeep;

use crate::disk::{AlignedBuf, Disk, DiskFile, Folder};
use crate::error::is_disk_full;
use crate::frame::SegmentKey;
use crate::group::{Group, GroupFacts};
use crate::ledger::Totals;
use crate::making::{Making, Next};
use crate::segment::{self, FIRST_GROUP, SegmentHead};
use crate::spare::{LEAST_SEGMENT, Spare, make_segment, take_reserve};
use crate::watermark::{Watermark, WatermarkFile};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

/// Fresh segments that may fail in a row before the log gives up.
const FRESH_FAILURES_MAX: u32 = 2;

/// What a group is for: only what makes room may use the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Intake,
    Settlement,
}

/// Why a group was not written.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// No segment has room and none can be made.
    Full(io::Error),
    /// The disk did not confirm.
    Failed(io::Error),
}

/// Where a group was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) first_sequence: u64,
}

/// A segment that is written to.
#[derive(Debug)]
struct Active {
    key: SegmentKey,
    file: Box<dyn DiskFile>,
    size: u64,
    end: u64,
    /// Its head has still to be written, together with its first group.
    head: Option<SegmentHead>,
}

/// The sizes that segments are made with, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) first: u64,
    pub(crate) full: u64,
    pub(crate) reserve: u64,
}

#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    secret: [u8; 16],
    sizes: Sizes,
    active: Active,
    spares: VecDeque<Spare>,
    /// One more that may be in the making.
    making: Arc<Making>,
    reserve: Option<u64>,
    next_id: u64,
    next_sequence: u64,
    confirmed: Watermark,
    watermark: Option<WatermarkFile>,
    /// Every segment that holds records, and where the log ends in it.
    written: BTreeMap<u64, u64>,
    sizes_on_disk: BTreeMap<u64, u64>,
    fresh_failures: u32,
    buffer: AlignedBuf,
}

/// What recovery knows of the log when it hands it over.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) confirmed: Watermark,
    pub(crate) next_sequence: u64,
    /// The size of the reserve, if there is one.
    pub(crate) reserve: Option<u64>,
    /// Every segment that holds records: its id, where the log ends in it, its size.
    pub(crate) written: Vec<(u64, u64, u64)>,
    /// Segments that were made ahead and never used, lowest id first; all above those that hold records.
    pub(crate) unused: Vec<Spare>,
    /// The highest id on the disk.
    pub(crate) last_id: u64,
}

impl Log {
    /// Begins a fresh segment behind `tail`; it is written with the first group. Where the disk has no room for one, the
    /// reserve is taken.
    pub(crate) fn begin(
        disk: Arc<dyn Disk>,
        secret: [u8; 16],
        sizes: Sizes,
        tail: Tail,
        wall: u64,
    ) -> io::Result<Self> {
        let mut unused = VecDeque::from(tail.unused);
        let mut last_id = tail.last_id;
        let mut reserve = tail.reserve;
        let (id, size) = if let Some(spare) = unused.pop_front() {
            (spare.id, spare.size)
        } else {
            last_id += 1;
            let size = match (
                make_segment(
                    &*disk,
                    last_id,
                    sizes.first,
                    sizes.first.min(LEAST_SEGMENT),
                    &|_, _| Next::Go,
                ),
                reserve,
            ) {
                (Ok(size), _) => size,
                (Err(error), Some(size)) if is_disk_full(&error) => {
                    take_reserve(&*disk, last_id).map_err(|not_taken| not_taken.error)?;
                    reserve = None;
                    size
                }
                (Err(error), _) => return Err(error),
            };
            (last_id, size)
        };
        let active = open_fresh(
            &*disk,
            &secret,
            id,
            size,
            tail.confirmed,
            tail.next_sequence,
            wall,
        )?;
        let mut log = Self::assemble(
            disk,
            secret,
            sizes,
            active,
            tail.confirmed,
            tail.next_sequence,
            &tail.written,
        );
        log.spares = unused;
        log.reserve = reserve;
        log.next_id = last_id + 1;
        log.sizes_on_disk.insert(id, size);
        Ok(log)
    }

    /// Goes on in the segment that a clean stop left.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        secret: [u8; 16],
        sizes: Sizes,
        tail: Tail,
    ) -> io::Result<Self> {
        let id = tail.confirmed.segment;
        let file = disk.open_for_commits(Folder::Root, &segment::file_name(id))?;
        let size = file.len()?;
        let active = Active {
            key: SegmentKey::new(&secret, id),
            file,
            size,
            end: tail.confirmed.end,
            head: None,
        };
        let mut log = Self::assemble(
            disk,
            secret,
            sizes,
            active,
            tail.confirmed,
            tail.next_sequence,
            &tail.written,
        );
        log.spares = tail.unused.into();
        log.reserve = tail.reserve;
        log.next_id = tail.last_id + 1;
        Ok(log)
    }

    fn assemble(
        disk: Arc<dyn Disk>,
        secret: [u8; 16],
        sizes: Sizes,
        active: Active,
        confirmed: Watermark,
        next_sequence: u64,
        written: &[(u64, u64, u64)],
    ) -> Self {
        Self {
            watermark: open_watermark(&*disk, &secret),
            disk,
            secret,
            sizes,
            active,
            spares: VecDeque::new(),
            making: Arc::default(),
            reserve: None,
            next_id: 0,
            next_sequence,
            confirmed,
            written: written.iter().map(|(id, end, _)| (*id, *end)).collect(),
            sizes_on_disk: written.iter().map(|(id, _, size)| (*id, *size)).collect(),
            fresh_failures: 0,
            buffer: AlignedBuf::new(),
        }
    }

    // === Writing ===

    /// Writes a group and returns once it is on the disk. `preamble` makes the first group of a fresh segment.
    pub(crate) fn append(
        &mut self,
        group: &mut Group,
        facts: &GroupFacts,
        purpose: Purpose,
        preamble: &dyn Fn() -> Group,
    ) -> Result<Placement, AppendError> {
        loop {
            let opening = if self.active.head.is_some() {
                preamble().len()
            } else {
                0
            };
            if !self.fits(opening + group.len()) {
                let room = group.len() + preamble().len();
                self.roll(room as u64, purpose, facts.wall)?;
            }
            match self.write(group, facts, preamble) {
                Ok(placement) => {
                    self.fresh_failures = 0;
                    return Ok(placement);
                }
                Err(error) => {
                    tracing::error!(segment = self.active.key.id, %error, "the disk did not confirm a write; the segment is sealed and a fresh one begun");
                    self.fresh_failures += 1;
                    // Never written to again, and never synced again.
                    self.active.end = self.active.size;
                    if self.fresh_failures > FRESH_FAILURES_MAX {
                        return Err(AppendError::Failed(error));
                    }
                }
            }
        }
    }

    fn fits(&self, len: usize) -> bool {
        self.active.end + len as u64 <= self.active.size
    }

    fn write(
        &mut self,
        group: &mut Group,
        facts: &GroupFacts,
        preamble: &dyn Fn() -> Group,
    ) -> io::Result<Placement> {
        let facts = GroupFacts {
            confirmed: self.confirmed.sequence,
            ..*facts
        };
        let start = self.active.end;
        let first;
        let len;
        if let Some(head) = &self.active.head {
            let mut opening = preamble();
            self.buffer.clear();
            self.buffer.extend(&head.encode());
            self.buffer
                .extend(opening.stamp(&self.active.key, self.next_sequence, &facts));
            first = self.next_sequence + opening.sequences();
            let offset = self.buffer.len() as u64;
            self.buffer
                .extend(group.stamp(&self.active.key, first, &facts));
            len = self.buffer.len() as u64;
            self.active.file.commit_at(self.buffer.as_slice(), 0)?;
            self.active.head = None;
            return Ok(self.confirm(offset, len, first, group.sequences()));
        }
        first = self.next_sequence;
        let bytes = group.stamp(&self.active.key, first, &facts);
        len = bytes.len() as u64;
        self.active.file.commit_at(bytes, start)?;
        Ok(self.confirm(start, start + len, first, group.sequences()))
    }

    fn confirm(&mut self, offset: u64, end: u64, first_sequence: u64, sequences: u64) -> Placement {
        let segment = self.active.key.id;
        self.making.wrote(end.saturating_sub(self.active.end));
        self.active.end = end;
        self.next_sequence = first_sequence + sequences;
        self.confirmed = Watermark {
            segment,
            end,
            sequence: self.next_sequence - 1,
        };
        self.written.insert(segment, end);
        Placement {
            segment,
            offset,
            first_sequence,
        }
    }

    /// Notes how far the log is confirmed, and the account at that point; before anybody is told that it is.
    pub(crate) fn note_confirmed(&mut self, totals: Totals) {
        if let Some(watermark) = &mut self.watermark {
            watermark.note(self.confirmed, totals);
        }
    }

    /// Goes on in the next segment.
    fn roll(&mut self, room: u64, purpose: Purpose, wall: u64) -> Result<(), AppendError> {
        let needed = FIRST_GROUP + room;
        let fitting = self.spares.iter().position(|spare| needed <= spare.size);
        let (id, size) = if let Some(place) = fitting {
            // Smaller ones before it are skipped; their ids stay unused.
            self.spares.drain(..place);
            let spare = self.spares.pop_front().expect("position found it");
            (spare.id, spare.size)
        } else {
            let made = match self.making.hurry(needed) {
                Some(spare) if needed <= spare.size => (spare.id, spare.size),
                too_small => {
                    if let Some(spare) = too_small {
                        self.add_spare(spare);
                    }
                    self.make_now(needed, purpose)?
                }
            };
            // A segment made ahead that is too small has a lower id than the one that follows now: never used.
            self.spares.clear();
            made
        };
        self.active = open_fresh(
            &*self.disk,
            &self.secret,
            id,
            size,
            self.confirmed,
            self.next_sequence,
            wall,
        )
        .map_err(AppendError::Failed)?;
        self.sizes_on_disk.insert(id, size);
        Ok(())
    }

    /// Makes a segment while somebody waits: none was made ahead.
    fn make_now(&mut self, needed: u64, purpose: Purpose) -> Result<(u64, u64), AppendError> {
        let id = self.next_id;
        match make_segment(
            &*self.disk,
            id,
            self.next_size().max(needed),
            needed,
            &|_, _| Next::Go,
        ) {
            Ok(size) => {
                self.next_id += 1;
                Ok((id, size))
            }
            Err(error) if purpose == Purpose::Settlement => {
                let size = self
                    .reserve
                    .filter(|size| needed <= *size)
                    .ok_or(classify(error))?;
                let taken = take_reserve(&*self.disk, id);
                if !matches!(&taken, Err(not_taken) if not_taken.is_left) {
                    self.reserve = None;
                    self.next_id += 1;
                }
                taken
                    .map(|()| (id, size))
                    .map_err(|not_taken| AppendError::Failed(not_taken.error))
            }
            Err(error) => Err(classify(error)),
        }
    }
}

fn classify(error: io::Error) -> AppendError {
    if is_disk_full(&error) {
        AppendError::Full(error)
    } else {
        AppendError::Failed(error)
    }
}

fn open_watermark(disk: &dyn Disk, secret: &[u8; 16]) -> Option<WatermarkFile> {
    WatermarkFile::open(disk, secret)
        .inspect_err(|error| tracing::warn!(%error, "no watermark: the next start cannot tell a torn tail from damage in the last group"))
        .ok()
}

fn open_fresh(
    disk: &dyn Disk,
    secret: &[u8; 16],
    id: u64,
    size: u64,
    confirmed: Watermark,
    sequence: u64,
    wall: u64,
) -> io::Result<Active> {
    let file = disk.open_for_commits(Folder::Root, &segment::file_name(id))?;
    let head = SegmentHead {
        secret: *secret,
        id,
        size,
        previous: confirmed.segment,
        previous_end: confirmed.end,
        sequence,
        wall,
    };
    Ok(Active {
        key: SegmentKey::new(secret, id),
        file,
        size,
        end: FIRST_GROUP,
        head: Some(head),
    })
}

//! From what lies on the disk to a queue that can be used, however the last run ended.
//!
//! 1. Read FORMAT, the heads of all segments, the watermark and the snapshot.
//! 2. Find the chain: the newest segment that was written, and those it says it continues from.
//! 3. Take in the snapshot, then every group behind it.
//! 4. After a clean stop, go on where it ended. Otherwise begin a fresh segment, and copy into it what was not confirmed:
//!    the page cache may show bytes that a failed sync never brought to the disk, so they are made durable before
//!    anybody sees them.
//!
//! Steps 1 to 3 write nothing but copies of damaged bytes. Step 4 changes nothing that it would read again before the
//! fresh segment is durable; a crash anywhere in it leads to the same result at the next start.

mod chain;
mod losses;
mod replay;

use crate::damage::Damage;
use crate::disk::{Disk, DiskFile, Folder};
use crate::error::Error;
use crate::format::{FORMAT_FILE, newer, read_block, read_format};
use crate::frame::SegmentKey;
use crate::group::{BLOCK, GroupHead};
use crate::index::{Index, Location, Now};
use crate::lanes::{self, LANES_FILE, Names};
use crate::log::Tail;
use crate::record::{Kind, Record};
use crate::scan::{Found, Known, holds_records, scan};
use crate::segment::{self, BadHead, FIRST_GROUP, SegmentHead};
use crate::snapshot::{self, Covered};
use crate::spare::{LEAST_SEGMENT, RESERVE_FILE, Spare};
use crate::watermark::{Watermark, WatermarkFile};
use losses::{Losses, Lost};
use replay::Replayed;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

/// So many bytes behind a head that is not there are looked at before a segment counts as never used: its first write has
/// two groups or more, and reading this much costs no more than reading one block.
const LOOKED_AT: usize = 64 * 1024;

/// Files of which no document depends on one alone: what is wrong with them costs none.
const BESIDE_THE_LOG: [&str; 3] = [FORMAT_FILE, "snapshot", LANES_FILE];

/// What opening a queue found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// Whether the last run stopped cleanly (or there was none).
    pub clean: bool,
    /// How many groups of records were read from the log.
    pub groups_read: u64,
    /// How many groups were being written when the end came, and were never confirmed to anybody.
    pub torn_groups: u64,
    /// What could not be read.
    pub damage: Vec<Damage>,
    /// How many documents are lost with it.
    pub documents_unreadable: u64,
    /// Of how many the word is lost with it that they were delivered or discarded: they are offered again.
    pub settlements_unreadable: u64,
    /// What does not add up although no damage was found: accepted minus accounted for. 0 is as it should be.
    pub unbalanced: i64,
}

/// A queue's folder, read.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) secret: [u8; 16],
    pub(crate) is_new: bool,
    pub(crate) report: Recovery,
    pub(crate) tail: Tail,
    /// Behind this offset the last segment holds groups that were read and never confirmed.
    pub(crate) unconfirmed: Option<Unconfirmed>,
    /// Segments that nothing needs: what a crash left behind.
    pub(crate) leftover: Vec<Spare>,
}

/// Groups that were written and never confirmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unconfirmed {
    pub(crate) segment: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Reads a queue's folder into `index`; `copy_damage` says whether damaged bytes are copied aside.
pub(crate) fn load(
    disk: &dyn Disk,
    index: &mut Index,
    now: Now,
    copy_damage: bool,
) -> Result<Loaded, Error> {
    let mut report = Recovery::default();
    let entries = disk
        .list(Folder::Root)
        .map_err(|error| Error::io("cannot list the queue's folder", error))?;
    let segments: BTreeMap<u64, u64> = entries
        .iter()
        .filter_map(|entry| segment::id_of(&entry.name).map(|id| (id, entry.len)))
        .collect();
    let reserve = entries
        .iter()
        .find(|entry| entry.name == RESERVE_FILE)
        .map(|entry| entry.len);
    let Some(secret) = read_format(disk, &segments, &mut report)? else {
        let secret = disk.fresh_bytes();
        report.clean = true;
        let tail = Tail {
            confirmed: Watermark::default(),
            next_sequence: 1,
            reserve,
            written: Vec::new(),
            unused: Vec::new(),
            last_id: 0,
        };
        let leftover = segments
            .into_iter()
            .map(|(id, size)| Spare { id, size })
            .collect();
        return Ok(Loaded {
            secret,
            is_new: true,
            report,
            tail,
            unconfirmed: None,
            leftover,
        });
    };
    Loader {
        disk,
        secret,
        index,
        now,
        copy_damage,
        report,
        segments,
        heads: BTreeMap::new(),
    }
    .load(reserve)
}

struct Loader<'a> {
    disk: &'a dyn Disk,
    secret: [u8; 16],
    index: &'a mut Index,
    now: Now,
    copy_damage: bool,
    report: Recovery,
    segments: BTreeMap<u64, u64>,
    /// The heads of the segments that were written; `None` where a head is damaged and the groups are not.
    heads: BTreeMap<u64, Option<SegmentHead>>,
}

impl Loader<'_> {
    fn load(mut self, reserve: Option<u64>) -> Result<Loaded, Error> {
        let (watermark, totals) = WatermarkFile::read(self.disk, &self.secret).unwrap_or_default();
        self.read_heads(watermark)?;
        let covered = self.read_snapshot()?;
        self.leave_out_torn_beginnings(watermark, covered)?;
        let known = watermark
            .sequence
            .max(covered.map_or(0, |covered| covered.upto.sequence));
        let cursor = self.cursor(known)?;
        let mut chain = self.chain(cursor);
        let mut replayed = self.replay(&chain, covered, watermark)?;
        self.index.forget_before(replayed.cursor as u32);
        replayed.end_with(self.index, watermark, totals);
        self.forget_missing_before(replayed.cursor);
        self.name_lanes()?;
        let ended_in = covered.map_or(0, |covered| covered.upto.segment);
        if let Some(covered) = covered
            && chain.last().is_none_or(|(id, _)| *id < ended_in)
        {
            self.look_for_last(covered);
        }
        self.balance(&replayed.losses);
        self.index.order_sent();
        self.index.expire(self.now.moment);

        let last_used = chain
            .last()
            .map_or(0, |(id, _)| *id)
            .max(covered.map_or(0, |covered| covered.upto.segment));
        self.report.clean = covered.is_some_and(|covered| {
            covered.clean
                && replayed.groups == 0
                && covered.upto.segment == last_used
                && self.report.damage.is_empty()
        });
        if let Some(covered) = covered.filter(|_| self.report.clean) {
            self.report.clean = !self.was_begun(covered.upto)?;
        }
        self.report.groups_read = replayed.groups;
        let (confirmed, unconfirmed) = self.confirmed(last_used, covered, watermark, &replayed);
        let next_sequence = replayed.last.last_sequence.max(known) + 1;
        chain.retain(|(id, _)| *id <= confirmed.segment);
        Ok(Loaded {
            secret: self.secret,
            is_new: false,
            tail: self.tail(&chain, last_used, confirmed, next_sequence, reserve),
            leftover: self.spares(|id, size| {
                let is_member = chain.iter().any(|(member, _)| *member == id);
                !is_member && (id <= last_used || size < LEAST_SEGMENT)
            }),
            report: self.report,
            unconfirmed,
        })
    }

    /// Whether a run after the clean stop wrote records behind its end, of which not even the first block arrived. What
    /// is written there next could be torn into one with them.
    fn was_begun(&self, end: Watermark) -> Result<bool, Error> {
        if end.segment == 0 {
            return Ok(false);
        }
        let key = SegmentKey::new(&self.secret, end.segment);
        holds_records(&*self.open(end.segment)?, &key, end.end)
            .map_err(|error| self.cannot_read(end.segment, error))
    }

    /// How far the log is confirmed, and what was written behind that.
    fn confirmed(
        &self,
        last_used: u64,
        covered: Option<Covered>,
        watermark: Watermark,
        replayed: &Replayed,
    ) -> (Watermark, Option<Unconfirmed>) {
        let end = replayed.last.end;
        let mut confirmed = Watermark {
            segment: last_used,
            end,
            sequence: 0,
        };
        if self.report.clean {
            return (confirmed, None);
        }
        confirmed.end = replayed.confirmed_end(last_used, watermark);
        let mut start = confirmed.end;
        let head = self.heads.get(&last_used).copied().flatten();
        if let Some(head) = head.filter(|head| replayed.is_unconfirmed(head, watermark))
            && covered.is_none_or(|covered| covered.upto.segment != last_used)
        {
            // The log goes on from the segment before, and all of this one is copied.
            start = FIRST_GROUP;
            (confirmed.segment, confirmed.end) = (head.previous, head.previous_end);
        }
        let unconfirmed = (start < end).then_some(Unconfirmed {
            segment: last_used,
            start,
            end,
        });
        (confirmed, unconfirmed)
    }

    fn tail(
        &self,
        chain: &[(u64, Option<u64>)],
        last_used: u64,
        confirmed: Watermark,
        next_sequence: u64,
        reserve: Option<u64>,
    ) -> Tail {
        let size = |id: &u64| self.segments.get(id).copied().unwrap_or(0);
        let written = chain
            .iter()
            .map(|(id, sealed)| (*id, sealed.unwrap_or(confirmed.end), size(id)));
        let highest = self.segments.keys().next_back().copied().unwrap_or(0);
        Tail {
            confirmed: Watermark {
                sequence: next_sequence - 1,
                ..confirmed
            },
            next_sequence,
            reserve,
            written: written.collect(),
            // One that is smaller was still being made.
            unused: self.spares(|id, size| last_used < id && LEAST_SEGMENT <= size),
            last_id: highest.max(last_used),
        }
    }

    fn spares(&self, wanted: impl Fn(u64, u64) -> bool) -> Vec<Spare> {
        let here = self
            .segments
            .iter()
            .filter(|(id, size)| wanted(**id, **size));
        here.map(|(id, size)| Spare {
            id: *id,
            size: *size,
        })
        .collect()
    }

    fn read_heads(&mut self, watermark: Watermark) -> Result<(), Error> {
        for id in self.segments.keys().copied() {
            let block = read_block(self.disk, id)?;
            match SegmentHead::parse(&block, id) {
                Ok(head) if head.secret == self.secret => {
                    self.heads.insert(id, Some(head));
                }
                Err(BadHead::Newer(version)) => return Err(newer(version)),
                // A segment of another queue has no place here; it is read as one that was never used.
                Ok(_) | Err(BadHead::NotThisSegment) => {
                    if watermark.segment == id || self.holds_group(id)? {
                        self.heads.insert(id, None);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a group of its own lies at the beginning of a segment that has no head.
    fn holds_group(&self, id: u64) -> Result<bool, Error> {
        let key = SegmentKey::new(&self.secret, id);
        let mut bytes = vec![0; LOOKED_AT];
        let read = self
            .open(id)?
            .read_at(&mut bytes, FIRST_GROUP)
            .map_err(|error| self.cannot_read(id, error))?;
        bytes.truncate(read);
        let mut blocks = bytes.chunks(BLOCK);
        Ok(blocks.any(|block| GroupHead::parse(block, &key).is_ok()))
    }

    fn read_snapshot(&mut self) -> Result<Option<Covered>, Error> {
        let read = snapshot::read(self.disk, &self.secret, self.index, self.now)
            .map_err(|error| Error::io("cannot read the queue's snapshot", error))?;
        match read {
            snapshot::Read::Restored(covered) => Ok(Some(covered)),
            snapshot::Read::Missing => Ok(None),
            snapshot::Read::Unreadable => {
                self.index.reset();
                self.report.damage.push(Damage {
                    file: "snapshot".to_owned(),
                    start: 0,
                    end: 0,
                    what: "unreadable; the log is read instead".to_owned(),
                    copied_to: None,
                });
                Ok(None)
            }
        }
    }

    /// Gives lanes whose declarations are damaged their names again, from where they stand a second time.
    fn name_lanes(&mut self) -> Result<(), Error> {
        let names = lanes::read(self.disk, &self.secret)
            .map_err(|error| Error::io("cannot read the names of the queue's lanes", error))?;
        if matches!(names, Names::Unreadable) {
            self.note_lanes("unreadable; made again from the log".to_owned());
        }
        if let Names::Known(names) = names {
            let nameless = self.index.nameless_lanes();
            for lane in names {
                let is_lost = nameless.iter().any(|lost| lost.id == lane.id);
                // Where the same name was declared again meanwhile, the older lane would shadow it.
                if is_lost && self.index.lane(&lane.name).is_none() {
                    let record = Record::Lane {
                        lane: lane.id,
                        name: &lane.name,
                    };
                    self.index.apply(&record, 0, Location::NOWHERE, self.now);
                }
            }
        }
        for lost in self.index.nameless_lanes() {
            self.note_lanes(format!(
                "the name of lane {} is lost: its documents wait under `{}`, to be exported from there",
                lost.id.0, lost.name
            ));
        }
        Ok(())
    }

    fn note_lanes(&mut self, what: String) {
        tracing::error!(file = LANES_FILE, what, "damage in the queue");
        self.report.damage.push(Damage {
            file: LANES_FILE.to_owned(),
            start: 0,
            end: 0,
            what,
            copied_to: None,
        });
    }

    /// Holds the account against what was found.
    fn balance(&mut self, losses: &Losses) {
        let is_damaged = self
            .report
            .damage
            .iter()
            .any(|damage| !BESIDE_THE_LOG.contains(&damage.file.as_str()));
        let ledger = self.index.ledger();
        let missing = ledger.missing();
        if !is_damaged {
            if missing != 0 {
                self.report.unbalanced = missing;
                tracing::error!(
                    missing,
                    "the ledger does not balance, and no damage was found"
                );
            }
            return;
        }
        let Lost {
            documents,
            settlements,
        } = losses.lost(missing, ledger.queued + ledger.dead);
        if documents > 0 {
            tracing::error!(
                documents,
                "documents are lost with the damaged part of the queue"
            );
        }
        if settlements > 0 {
            tracing::warn!(
                settlements,
                "lost with the damaged part of the queue is the word that documents were settled: they are offered again"
            );
        }
        self.report.documents_unreadable = documents;
        self.report.settlements_unreadable = settlements;
        let mut totals = self.index.totals();
        totals.unreadable += documents;
        // Those of which the word is lost that they were settled are offered again.
        let from_delivered = settlements.min(totals.delivered);
        totals.delivered -= from_delivered;
        totals.discarded = totals
            .discarded
            .saturating_sub(settlements - from_delivered);
        self.index.set_totals(totals);
    }

    fn open(&self, id: u64) -> Result<Box<dyn DiskFile>, Error> {
        self.disk
            .open(Folder::Root, &segment::file_name(id))
            .map_err(|error| self.cannot_read(id, error))
    }

    #[expect(clippy::unused_self, reason = "reads as a part of the loader")]
    fn cannot_read(&self, id: u64, error: io::Error) -> Error {
        Error::io(format!("cannot read `{}`", segment::file_name(id)), error)
    }
}

/// The records of unconfirmed groups, to be copied: their kind and payload, in order. What a segment begins with is left
/// out: the one that they are copied to begins with the same. So they are those of one write, and fit into one.
pub(crate) fn read_unconfirmed(
    disk: &dyn Disk,
    secret: &[u8; 16],
    part: Unconfirmed,
) -> io::Result<Vec<(Kind, Vec<u8>)>> {
    let file = disk.open(Folder::Root, &segment::file_name(part.segment))?;
    let key = SegmentKey::new(secret, part.segment);
    let known = Known {
        sealed_end: Some(part.end),
        ..Known::default()
    };
    let mut records = Vec::new();
    let mut is_opening = false;
    scan(
        &*file,
        &key,
        part.start,
        0,
        known,
        &mut |found| match found {
            Found::Group { offset, .. } => is_opening = offset == FIRST_GROUP,
            Found::Record { kind, payload, .. } if !is_opening => {
                records.push((kind, payload.to_vec()));
            }
            _ => {}
        },
    )?;
    Ok(records)
}

//! What each byte of a segment is for, read by `docs/formats/queue.md` alone: a second reader beside the one under test.
//!
//! It reads whole segments only, checks nothing, and follows lengths. What it calls dead may be changed by anybody
//! without a trace; everything else has to be missed when it changes.

use anyhow::{Context, Result, ensure};
use mainstay_queue::DocumentId;
use std::ops::Range;

const BLOCK: usize = 4096;
const HEAD_COVERED: usize = 84;
const RECORD_HEAD: usize = 32;
const GROUP_RECORD: usize = 104;
const STORE: u64 = 2;
const SETTLE: u64 = 3;
const RETRY: u64 = 4;
const MOVE: u64 = 5;

/// A record and the bytes that its checksum covers, the checksum included.
#[derive(Clone, Debug)]
pub(super) struct RecordPlace {
    pub(super) bytes: Range<usize>,
    /// The document that it stores, moves or settles.
    pub(super) document: Option<DocumentId>,
    /// Whether the document is read from here.
    pub(super) stores: bool,
}

/// One write of the log.
#[derive(Clone, Debug)]
pub(super) struct GroupPlace {
    pub(super) bytes: Range<usize>,
    pub(super) records: Vec<RecordPlace>,
}

/// A segment, drawn.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) groups: Vec<GroupPlace>,
    /// For each byte whether it says anything.
    live: Vec<bool>,
}

impl Map {
    /// Draws a segment that is whole.
    pub(super) fn of(segment: &[u8]) -> Result<Self> {
        ensure!(
            segment.get(..8) == Some(b"MNSTYSEG"),
            "no head of a segment"
        );
        let mut map = Self {
            groups: Vec::new(),
            live: vec![false; segment.len()],
        };
        map.live[..HEAD_COVERED].fill(true);
        let id = number(segment, 32, 8)?;
        let mut offset = BLOCK;
        while offset + GROUP_RECORD <= segment.len() && number(segment, offset + 8, 8)? == id {
            let group = group(segment, offset)?;
            map.live[offset..offset + GROUP_RECORD].fill(true);
            for record in &group.records {
                map.live[record.bytes.clone()].fill(true);
            }
            offset = group.bytes.end;
            map.groups.push(group);
        }
        ensure!(!map.groups.is_empty(), "a segment without groups");
        Ok(map)
    }

    /// Whether a byte says anything: it belongs to a head or a record, and is no padding.
    pub(super) fn is_live(&self, byte: usize) -> bool {
        self.live.get(byte).copied().unwrap_or(false)
    }

    /// The group that a byte lies in.
    pub(super) fn group_at(&self, byte: usize) -> Option<&GroupPlace> {
        self.groups.iter().find(|group| group.bytes.contains(&byte))
    }

    /// The record that a byte lies in; `None` for heads and padding.
    pub(super) fn record_at(&self, byte: usize) -> Option<&RecordPlace> {
        let records = &self.group_at(byte)?.records;
        records.iter().find(|record| record.bytes.contains(&byte))
    }

    /// The bytes of every record, those of the groups' heads too.
    pub(super) fn records(&self) -> Vec<Range<usize>> {
        let mut records = Vec::new();
        for group in &self.groups {
            records.push(group.bytes.start..group.bytes.start + GROUP_RECORD);
            records.extend(group.records.iter().map(|record| record.bytes.clone()));
        }
        records
    }
}

fn group(segment: &[u8], offset: usize) -> Result<GroupPlace> {
    let len = number(segment, offset + RECORD_HEAD, 4)? as usize;
    let count = number(segment, offset + RECORD_HEAD + 4, 4)?;
    let sequence = number(segment, offset + 16, 8)?;
    ensure!(segment.get(offset + 24) == Some(&1), "no group at {offset}");
    let mut records = Vec::new();
    let mut at = offset + GROUP_RECORD;
    for place in 1..=count {
        let payload = number(segment, at + 4, 4)? as usize;
        ensure!(
            number(segment, at + 16, 8)? == sequence + place,
            "no record at {at}"
        );
        records.push(RecordPlace {
            bytes: at..at + RECORD_HEAD + payload,
            document: document(segment, at)?,
            stores: matches!(number(segment, at + 24, 1)?, STORE | MOVE),
        });
        at += RECORD_HEAD + payload.next_multiple_of(8);
    }
    ensure!(at <= offset + len, "the records of {offset} do not fit");
    Ok(GroupPlace {
        bytes: offset..offset + len,
        records,
    })
}

/// The document that the record at `at` is about.
fn document(segment: &[u8], at: usize) -> Result<Option<DocumentId>> {
    let payload = at + RECORD_HEAD;
    let id_at = match number(segment, at + 24, 1)? {
        STORE | SETTLE | RETRY => payload,
        MOVE => {
            let mut lane = payload + 17;
            for _ in 0..number(segment, payload + 16, 1)? {
                lane += 25 + number(segment, lane + 23, 2)? as usize;
            }
            lane
        }
        _ => return Ok(None),
    };
    let id = segment.get(id_at..id_at + 16).context("no id")?;
    Ok(Some(DocumentId::from_bytes(id.try_into()?)))
}

/// A number of `width` bytes, little-endian.
fn number(bytes: &[u8], at: usize, width: usize) -> Result<u64> {
    let here = bytes
        .get(at..at + width)
        .context("the segment ends within a record")?;
    Ok(here
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

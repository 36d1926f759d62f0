//! What is written at once: a group of records that becomes durable with one flush, or not at all.
//!
//! A group starts at a multiple of 4096 and is padded with zeros to the next one, so that no later write ever touches
//! a block that holds something confirmed. Its first record, GROUP, has this payload:
//!
//! ```text
//!  0  length      4  of the whole group with its padding, in bytes
//!  4  records     4  how many follow
//!  8  confirmed   8  the last sequence that the disk had confirmed before this group was written
//! 16  wall        8  when it was written, ms since 1970
//! 24  oldest      8  the oldest segment that is still needed
//! 32  accepted    8  the ledger before this group: how many documents were ever accepted,
//! 40  delivered   8  … delivered,
//! 48  discarded   8  … discarded,
//! 56  unreadable  8  … found unreadable
//! 64  copied      1  1 if recovery copied it here: then the ledger stands as it is after this group
//! 65  zero        7
//! ```

#![warn(clippy::indexing_slicing)]

use crate::disk::AlignedBuf;
use crate::frame::{self, FRAME_HEADER, SEQUENCE_END, SegmentKey, framed_len};
use crate::ledger::Totals;
use crate::record::Kind;
use crate::wire::{Malformed, Put, Reader};

/// Groups start at multiples of this, in bytes: the page and the sector of every disk in use.
pub(crate) const BLOCK: usize = 4096;

/// The most bytes in one group: a batch has to fit, and recovery holds one group in memory.
pub(crate) const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The bytes of the GROUP record.
pub(crate) const GROUP_HEADER: usize = FRAME_HEADER + PAYLOAD;
const PAYLOAD: usize = 72;

/// What a group says of the log as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupFacts {
    pub(crate) confirmed: u64,
    pub(crate) wall: u64,
    pub(crate) oldest: u64,
    pub(crate) totals: Totals,
    /// Whether recovery copied the group; then the totals contain it already.
    pub(crate) copied: bool,
}

/// The head of a group that passed its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHead {
    pub(crate) len: usize,
    pub(crate) records: u32,
    /// The sequence of the GROUP record; the records behind it follow.
    pub(crate) sequence: u64,
    pub(crate) facts: GroupFacts,
}

impl GroupHead {
    /// The sequence of the last record in it.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.sequence + u64::from(self.records)
    }

    pub(crate) fn parse(bytes: &[u8], key: &SegmentKey) -> Result<Self, Malformed> {
        let head = bytes.get(..GROUP_HEADER).ok_or(Malformed)?;
        let frame = frame::parse(head, key)?;
        if frame.kind != Kind::Group {
            return Err(Malformed);
        }
        let mut reader = Reader::new(frame.payload);
        let len = reader.u32()? as usize;
        let records = reader.u32()?;
        let facts = GroupFacts {
            confirmed: reader.u64()?,
            wall: reader.u64()?,
            oldest: reader.u64()?,
            totals: Totals::read(&mut reader)?,
            copied: reader.u8()? != 0,
        };
        reader.take(7)?;
        reader.finish()?;
        if len < BLOCK || !len.is_multiple_of(BLOCK) || facts.confirmed >= SEQUENCE_END {
            return Err(Malformed);
        }
        Ok(Self {
            len,
            records,
            sequence: frame.sequence,
            facts,
        })
    }
}

/// Where a record lies in its group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pushed {
    pub(crate) offset: u32,
    /// Of its payload.
    pub(crate) len: u32,
}

/// A group that is being put together.
#[derive(Debug)]
pub(crate) struct Group {
    bytes: AlignedBuf,
    records: u32,
}

impl Group {
    pub(crate) fn new() -> Self {
        let mut group = Self {
            bytes: AlignedBuf::new(),
            records: 0,
        };
        group.clear();
        group
    }

    /// Empties it, and keeps its memory unless that has grown large.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
        self.bytes.put(&frame::head(Kind::Group, PAYLOAD));
        self.bytes.put(&[0; PAYLOAD]);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The bytes that it takes in a segment.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len().next_multiple_of(BLOCK)
    }

    /// Whether a record with this payload still fits.
    pub(crate) fn fits(&self, payload: usize) -> bool {
        (self.bytes.len() + framed_len(payload)).next_multiple_of(BLOCK) <= GROUP_BYTES_MAX
    }

    /// Whether records that take so many bytes with their heads still fit.
    pub(crate) fn fits_framed(&self, bytes: usize) -> bool {
        (self.bytes.len() + bytes).next_multiple_of(BLOCK) <= GROUP_BYTES_MAX
    }

    /// Adds a record and returns where it lies in the group.
    pub(crate) fn push(&mut self, kind: Kind, payload: &[u8]) -> u32 {
        self.push_with(kind, payload.len(), |out| out.put(payload))
            .offset
    }

    /// Adds a record whose payload is written where it is to lie; `expected` is about as long as it becomes.
    pub(crate) fn push_with(
        &mut self,
        kind: Kind,
        expected: usize,
        write: impl FnOnce(&mut AlignedBuf),
    ) -> Pushed {
        let start = self.bytes.len();
        self.bytes.reserve(framed_len(expected));
        self.bytes.put(&[0; FRAME_HEADER]);
        write(&mut self.bytes);
        let len = self.bytes.len() - start - FRAME_HEADER;
        self.bytes.put(frame::padding(len));
        if let Some(head) = self
            .bytes
            .as_mut_slice()
            .get_mut(start..start + FRAME_HEADER)
        {
            head.copy_from_slice(&frame::head(kind, len));
        }
        self.records += 1;
        Pushed {
            offset: start as u32,
            len: len as u32,
        }
    }

    /// The payload of a record that was added since the group was empty.
    pub(crate) fn payload(&self, record: Pushed) -> &[u8] {
        let start = record.offset as usize + FRAME_HEADER;
        self.bytes
            .as_slice()
            .get(start..start + record.len as usize)
            .unwrap_or_default()
    }

    /// How many sequences it uses: its records and its head.
    pub(crate) fn sequences(&self) -> u64 {
        u64::from(self.records) + 1
    }

    /// Completes it for a place in the log; can be done again for another place.
    pub(crate) fn stamp(
        &mut self,
        key: &SegmentKey,
        first_sequence: u64,
        facts: &GroupFacts,
    ) -> &[u8] {
        let len = self.len();
        let end_sequence = first_sequence + self.sequences();
        self.bytes.pad_to(len);
        let bytes = self.bytes.as_mut_slice();
        let mut payload = Vec::with_capacity(PAYLOAD);
        payload.put_u32(len as u32);
        payload.put_u32(self.records);
        payload.put_u64(facts.confirmed);
        payload.put_u64(facts.wall);
        payload.put_u64(facts.oldest);
        payload.put_u64(facts.totals.accepted);
        payload.put_u64(facts.totals.delivered);
        payload.put_u64(facts.totals.discarded);
        payload.put_u64(facts.totals.unreadable);
        payload.put_u8(u8::from(facts.copied));
        payload.put(&[0; 7]);
        if let Some(place) = bytes.get_mut(FRAME_HEADER..GROUP_HEADER) {
            place.copy_from_slice(&payload);
        }
        let mut offset = 0;
        for sequence in first_sequence..end_sequence {
            let record = bytes.get_mut(offset..).unwrap_or_default();
            offset += frame::stamp(record, key, sequence).expect("push wrote a whole record");
        }
        self.bytes.as_slice()
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test that cannot go on ends")]
mod tests {
    use super::*;

    #[test]
    fn a_group_reads_back_and_fills_whole_blocks() {
        let key = SegmentKey::new(&[1; 16], 5);
        let mut group = Group::new();
        let first = group.push(Kind::Lane, &[1; 100]) as usize;
        let second = group.push(Kind::Lane, &[2; 5000]) as usize;
        let facts = GroupFacts {
            confirmed: 9,
            wall: 8,
            oldest: 7,
            totals: Totals::default(),
            copied: false,
        };
        let bytes = group.stamp(&key, 10, &facts);
        assert_eq!(bytes.len() % BLOCK, 0);
        let head = GroupHead::parse(bytes, &key).unwrap();
        assert_eq!(
            head,
            GroupHead {
                len: 2 * BLOCK,
                records: 2,
                sequence: 10,
                facts
            }
        );
        assert_eq!(frame::parse(&bytes[first..], &key).unwrap().sequence, 11);
        assert_eq!(
            frame::parse(&bytes[second..], &key).unwrap().payload,
            [2; 5000]
        );
    }

    #[test]
    fn a_group_that_says_what_no_log_reaches_is_refused_whatever_its_checksum() {
        let key = SegmentKey::new(&[7; 16], 4);
        for (sequence, confirmed, is_possible) in [
            (SEQUENCE_END - 1, SEQUENCE_END - 1, true),
            (SEQUENCE_END, 0, false),
            (u64::MAX - 1, 0, false),
            (1, SEQUENCE_END, false),
        ] {
            let facts = GroupFacts {
                confirmed,
                ..GroupFacts::default()
            };
            let mut group = Group::new();
            let bytes = group.stamp(&key, sequence, &facts);
            let read = GroupHead::parse(bytes, &key);
            assert_eq!(read.is_ok(), is_possible, "{sequence} {confirmed}");
        }
    }

    #[test]
    fn a_group_can_be_stamped_again_for_a_fresh_segment() {
        let (old, fresh) = (SegmentKey::new(&[1; 16], 5), SegmentKey::new(&[1; 16], 6));
        let mut group = Group::new();
        let offset = group.push(Kind::Lane, &[1; 10]) as usize;
        group.stamp(&old, 10, &GroupFacts::default());
        let bytes = group.stamp(&fresh, 20, &GroupFacts::default());
        assert!(GroupHead::parse(bytes, &old).is_err());
        assert_eq!(GroupHead::parse(bytes, &fresh).unwrap().sequence, 20);
        assert_eq!(frame::parse(&bytes[offset..], &fresh).unwrap().sequence, 21);
    }
}

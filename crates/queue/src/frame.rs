//! How a record lies in a segment, so that none is ever taken for another.
//!
//! ```text
//!  0  crc      4  CRC-32C of everything behind it, started from the segment's seed
//!  4  length   4  of the payload
//!  8  segment  8  the id of the segment it was written for
//! 16  sequence 8  its place in the log; one more than the record before
//! 24  kind     1
//! 25  zero     7
//! 32  payload  length, then zeros to a multiple of 8
//! ```
//!
//! The seed comes from the queue's secret and the segment's id. So a stale record of a segment's former life, a block
//! that landed in the wrong place and a document whose body imitates a record all fail the check.

#![warn(clippy::indexing_slicing)]

use crate::record::Kind;
use crate::wire::{Malformed, Reader};
use sha2::{Digest, Sha256};

/// Bytes before the payload.
pub(crate) const FRAME_HEADER: usize = 32;

/// Sequences stay below this: a million records a second take nine years, and what is added to one never overflows.
pub(crate) const SEQUENCE_END: u64 = 1 << 48;

/// What a record of one segment is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentKey {
    pub(crate) id: u64,
    seed: u32,
}

impl SegmentKey {
    pub(crate) fn new(secret: &[u8; 16], id: u64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(secret);
        hasher.update(id.to_le_bytes());
        let [a, b, c, d, ..] = <[u8; 32]>::from(hasher.finalize());
        Self {
            id,
            seed: u32::from_le_bytes([a, b, c, d]),
        }
    }

    /// The checksum of bytes of this segment.
    pub(crate) fn crc(&self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.seed, bytes)
    }
}

/// A record that passed its check.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) sequence: u64,
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
}

/// The bytes that a record with this payload takes.
pub(crate) fn framed_len(payload: usize) -> usize {
    FRAME_HEADER + payload.next_multiple_of(8)
}

/// What stands before a payload whose place is not known yet; [`stamp`] completes it.
pub(crate) fn head(kind: Kind, payload: usize) -> [u8; FRAME_HEADER] {
    let mut head = [0; FRAME_HEADER];
    let [_, _, _, _, a, b, c, d, rest @ ..] = &mut head;
    [*a, *b, *c, *d] = (payload as u32).to_le_bytes();
    if let Some(byte) = rest.get_mut(16) {
        *byte = kind as u8;
    }
    head
}

/// The zeros behind a payload.
pub(crate) fn padding(payload: usize) -> &'static [u8] {
    const ZEROS: [u8; 8] = [0; 8];
    let len = payload.next_multiple_of(8) - payload;
    ZEROS.get(..len).unwrap_or_default()
}

/// Completes the record at the start of `bytes`: its segment, its sequence, its checksum. Returns how long it is.
pub(crate) fn stamp(bytes: &mut [u8], key: &SegmentKey, sequence: u64) -> Result<usize, Malformed> {
    let payload = Reader::new(bytes.get(4..8).ok_or(Malformed)?).u32()? as usize;
    let record = bytes.get_mut(..FRAME_HEADER + payload).ok_or(Malformed)?;
    let (head, _) = record.split_first_chunk_mut::<24>().ok_or(Malformed)?;
    let (_, place) = head.split_first_chunk_mut::<8>().ok_or(Malformed)?;
    let (segment, seq) = place.split_first_chunk_mut::<8>().ok_or(Malformed)?;
    *segment = key.id.to_le_bytes();
    seq.copy_from_slice(&sequence.to_le_bytes());
    let crc = key.crc(record.get(4..).ok_or(Malformed)?);
    record
        .get_mut(..4)
        .ok_or(Malformed)?
        .copy_from_slice(&crc.to_le_bytes());
    Ok(framed_len(payload))
}

/// How long the record is of whose head this is, as far as that can be believed: its checksum is not looked at.
pub(crate) fn len_of(head: &[u8; FRAME_HEADER]) -> Option<usize> {
    let mut reader = Reader::new(head);
    reader.u32().ok()?;
    FRAME_HEADER.checked_add(reader.u32().ok()? as usize)
}

/// Reads the record at the start of `bytes`.
pub(crate) fn parse<'a>(bytes: &'a [u8], key: &SegmentKey) -> Result<Frame<'a>, Malformed> {
    let mut reader = Reader::new(bytes);
    let crc = reader.u32()?;
    let len = reader.u32()? as usize;
    let segment = reader.u64()?;
    if segment != key.id {
        return Err(Malformed);
    }
    let sequence = reader.u64()?;
    if sequence >= SEQUENCE_END {
        return Err(Malformed);
    }
    let kind = Kind::from_byte(reader.u8()?).ok_or(Malformed)?;
    let record = bytes.get(..FRAME_HEADER + len).ok_or(Malformed)?;
    let (_, covered) = record.split_at(4);
    if key.crc(covered) != crc {
        return Err(Malformed);
    }
    let (_, payload) = record.split_at(FRAME_HEADER);
    Ok(Frame {
        sequence,
        kind,
        payload,
    })
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test that cannot go on ends")]
mod tests {
    use super::*;

    const SECRET: [u8; 16] = [9; 16];

    fn record(segment: u64, sequence: u64) -> Vec<u8> {
        let mut bytes = head(Kind::Lane, 7).to_vec();
        bytes.extend(b"payload");
        bytes.extend(padding(7));
        let len = stamp(&mut bytes, &SegmentKey::new(&SECRET, segment), sequence).unwrap();
        assert_eq!(len, bytes.len());
        bytes
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_seen() {
        let key = SegmentKey::new(&SECRET, 3);
        let bytes = record(3, 17);
        let frame = parse(&bytes, &key).unwrap();
        assert_eq!(
            (frame.sequence, frame.kind, frame.payload),
            (17, Kind::Lane, &b"payload"[..])
        );
        for bit in 0..(FRAME_HEADER + 7) * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&flipped, &key).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_segment_or_queue_is_refused() {
        let bytes = record(3, 17);
        assert!(parse(&bytes, &SegmentKey::new(&SECRET, 4)).is_err());
        assert!(parse(&bytes, &SegmentKey::new(&[8; 16], 3)).is_err());
    }

    #[test]
    fn a_record_that_names_another_segment_is_refused_whatever_its_checksum() {
        let key = SegmentKey::new(&SECRET, 3);
        let mut bytes = record(3, 17);
        bytes[8..16].copy_from_slice(&4_u64.to_le_bytes());
        let crc = key.crc(&bytes[4..FRAME_HEADER + 7]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        assert!(parse(&bytes, &key).is_err());
    }

    #[test]
    fn a_sequence_that_no_queue_reaches_is_refused_whatever_its_checksum() {
        let key = SegmentKey::new(&SECRET, 3);
        assert!(parse(&record(3, SEQUENCE_END - 1), &key).is_ok());
        for sequence in [SEQUENCE_END, u64::MAX] {
            assert!(parse(&record(3, sequence), &key).is_err());
        }
    }

    #[test]
    fn a_false_length_reads_nothing_beyond_the_input() {
        let mut bytes = record(3, 17);
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let key = SegmentKey::new(&SECRET, 3);
        assert!(parse(&bytes, &key).is_err());
        bytes[4..8].copy_from_slice(&100_u32.to_le_bytes());
        let crc = key.crc(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        assert!(parse(&bytes, &key).is_err(), "whatever its checksum covers");
    }
}

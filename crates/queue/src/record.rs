//! What the log says: one record for each thing that happened.
//!
//! ```text
//! STORE    id 16 · created ms 8 · priority 1 · lanes n 1, 2 each · flags 1 · [hash 32] · route, source, type (2+n each)
//!          · headers n 2, (name 2+n, value 2+n) each · body length 8 · [body, unless it is in a file of its own]
//! SETTLE   id 16 · lane 2 · what 1 (acknowledged | buried | discarded | revived) · wall ms 8 · note 2+n
//! RETRY    id 16 · lane 2 · attempts 4 · after ms 8 · wall ms 8 · note 2+n
//! MOVE     order 8 · enqueued ms 8 · lanes n 1, (lane 2, state 1, attempts 4, wall ms 8, after ms 8, note 2+n) each · STORE
//! LANE     lane 2 · name 2+n
//! CLAIMS   all 1 (whether the opened are all that are open) · opened n 4, 16 each · closed n 4, 16 each
//! GROUP    see `group`
//! ```

#![warn(clippy::indexing_slicing)]

mod lanes;

pub(crate) use lanes::Lanes;

use crate::document::{ClaimId, DocumentId, LaneId, NewBody, NewDocument, Priority, State};
use crate::wire::{Malformed, Put, Reader};
use lanes::decode_lane_id;
use std::ops::Range;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Group = 1,
    Store = 2,
    Settle = 3,
    Retry = 4,
    Move = 5,
    Lane = 6,
    Claims = 7,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Group,
            2 => Self::Store,
            3 => Self::Settle,
            4 => Self::Retry,
            5 => Self::Move,
            6 => Self::Lane,
            7 => Self::Claims,
            _ => return None,
        })
    }
}

/// The most characters kept of what went wrong.
pub(crate) const NOTE_CHARS_MAX: usize = 500;

/// More bytes than any body has: sums of so many documents of it stay below 64 bits.
pub(crate) const BODY_BYTES_MAX: u64 = 1 << 40;

/// What became of a document on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Settlement {
    Acknowledged = 1,
    Buried = 2,
    Discarded = 3,
    Revived = 4,
}

impl Settlement {
    fn from_byte(byte: u8) -> Result<Self, Malformed> {
        Ok(match byte {
            1 => Self::Acknowledged,
            2 => Self::Buried,
            3 => Self::Discarded,
            4 => Self::Revived,
            _ => return Err(Malformed),
        })
    }
}

/// A record, as the index takes it in; the body of a document stays where it is.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    Store(Head),
    Settle {
        id: DocumentId,
        lane: LaneId,
        settlement: Settlement,
        wall: u64,
        note: &'a str,
    },
    Retry {
        id: DocumentId,
        lane: LaneId,
        attempts: u32,
        after: u64,
        wall: u64,
        note: &'a str,
    },
    Move {
        order: u64,
        enqueued: u64,
        lanes: Vec<MovedLane>,
        head: Head,
    },
    Lane {
        lane: LaneId,
        name: &'a str,
    },
    Claims {
        all: bool,
        opened: Vec<ClaimId>,
        closed: Vec<ClaimId>,
    },
}

/// What the index needs to know of a stored document.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) id: DocumentId,
    pub(crate) created: u64,
    pub(crate) priority: Priority,
    pub(crate) lanes: Lanes,
    /// The hash under which the body lies in a file of its own.
    pub(crate) body_file: Option<[u8; 32]>,
    pub(crate) body_len: u64,
}

/// Where a moved document stood on one of its lanes.
#[derive(Clone, Debug)]
pub(crate) struct MovedLane {
    pub(crate) lane: LaneId,
    pub(crate) state: State,
    pub(crate) attempts: u32,
    pub(crate) wall: u64,
    pub(crate) after: u64,
    pub(crate) note: String,
}

const HAS_HASH: u8 = 1;
const BODY_IN_FILE: u8 = 2;

/// A stored document, read back whole.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) head: Head,
    pub(crate) hash: Option<[u8; 32]>,
    pub(crate) route: &'a str,
    pub(crate) source: &'a [u8],
    pub(crate) content_type: &'a str,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    /// Where the body lies in the bytes that were read, unless it is in a file.
    pub(crate) body: Range<usize>,
}

/// Writes the payload of a STORE record.
#[cfg(any(test, feature = "sqlite"))]
pub(crate) fn encode_store(document: &NewDocument, created: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(store_len_max(document));
    put_store(&mut out, document, created);
    out
}

/// The bytes of the payload of a document's STORE record; less where a name is cut.
pub(crate) fn store_len_max(document: &NewDocument) -> usize {
    const NUMBERS: usize = 16 + 8 + 1 + 1 + 1 + 3 * 2 + 2 + 8;
    let (inline, has_hash) = match &document.body {
        NewBody::Inline(bytes) => (bytes.len(), document.hash.is_some()),
        NewBody::File(_) => (0, true),
    };
    let hash = if has_hash { 32 } else { 0 };
    let facts = document.route.len() + document.source.len() + document.content_type.len();
    let headers: usize = document
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    NUMBERS + hash + facts + headers + document.lanes.len() * 2 + inline
}

/// Appends the payload of a STORE record.
pub(crate) fn put_store(out: &mut impl Put, document: &NewDocument, created: u64) {
    let (inline, hash, in_file): (&[u8], Option<[u8; 32]>, bool) = match &document.body {
        NewBody::Inline(bytes) => (bytes, document.hash, false),
        NewBody::File(file) => (&[], Some(file.hash()), true),
    };
    out.put(&document.id.to_bytes());
    out.put_u64(created);
    out.put_u8(document.priority.number());
    out.put_u8(document.lanes.len() as u8);
    for lane in &document.lanes {
        out.put_u16(lane.0);
    }
    out.put_u8(if hash.is_some() { HAS_HASH } else { 0 } | if in_file { BODY_IN_FILE } else { 0 });
    if let Some(hash) = hash {
        out.put(&hash);
    }
    out.put_short_text(&document.route);
    out.put_short_bytes(&document.source);
    out.put_short_text(&document.content_type);
    out.put_u16(document.headers.len() as u16);
    for (name, value) in &document.headers {
        out.put_short_text(name);
        out.put_short_text(value);
    }
    out.put_u64(document.body.len());
    out.put(inline);
}

/// Reads the payload of a STORE record.
pub(crate) fn decode_store(payload: &[u8]) -> Result<Stored<'_>, Malformed> {
    let mut reader = Reader::new(payload);
    let id = DocumentId::from_bytes(reader.array()?);
    let created = reader.u64()?;
    let priority = Priority::new(reader.u8()?).ok_or(Malformed)?;
    let lanes = Lanes::read(&mut reader)?;
    let flags = reader.u8()?;
    let hash = if flags & HAS_HASH == 0 {
        None
    } else {
        Some(reader.array::<32>()?)
    };
    let route = reader.short_text()?;
    let source = reader.short_bytes()?;
    let content_type = reader.short_text()?;
    let header_count = reader.u16()?;
    let mut headers = Vec::new();
    for _ in 0..header_count {
        headers.push((reader.short_text()?, reader.short_text()?));
    }
    let body_len = reader.u64()?;
    let start = payload.len() - reader.rest().len();
    let body_file = if flags & BODY_IN_FILE == 0 {
        None
    } else {
        Some(hash.ok_or(Malformed)?)
    };
    let inline_len = if body_file.is_some() { 0 } else { body_len };
    let is_possible = body_len <= BODY_BYTES_MAX && !lanes.is_empty();
    if reader.rest().len() as u64 != inline_len || !is_possible {
        return Err(Malformed);
    }
    let head = Head {
        id,
        created,
        priority,
        lanes,
        body_file,
        body_len,
    };
    Ok(Stored {
        head,
        hash,
        route,
        source,
        content_type,
        headers,
        body: start..payload.len(),
    })
}

/// Appends the payload of a SETTLE record.
pub(crate) fn put_settle(
    out: &mut impl Put,
    id: DocumentId,
    lane: LaneId,
    settlement: Settlement,
    wall: u64,
    note: &str,
) {
    out.put(&id.to_bytes());
    out.put_u16(lane.0);
    out.put_u8(settlement as u8);
    out.put_u64(wall);
    out.put_short_text(note);
}

/// Writes the payload of a RETRY record; times in milliseconds.
pub(crate) fn encode_retry(
    id: DocumentId,
    lane: LaneId,
    attempts: u32,
    after: u64,
    wall: u64,
    note: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(48 + note.len());
    out.put(&id.to_bytes());
    out.put_u16(lane.0);
    out.put_u32(attempts);
    out.put_u64(after);
    out.put_u64(wall);
    out.put_short_text(note);
    out
}

/// Writes the payload of a MOVE record around the payload of the STORE record that is moved.
pub(crate) fn encode_move(order: u64, enqueued: u64, lanes: &[MovedLane], store: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + lanes.len() * 48 + store.len());
    out.put_u64(order);
    out.put_u64(enqueued);
    out.put_u8(lanes.len() as u8);
    for lane in lanes {
        out.put_u16(lane.lane.0);
        out.put_u8(state_byte(lane.state));
        out.put_u32(lane.attempts);
        out.put_u64(lane.wall);
        out.put_u64(lane.after);
        out.put_short_text(&lane.note);
    }
    out.put(store);
    out
}

/// The payload of the STORE record inside a STORE or MOVE record.
pub(crate) fn store_part(kind: Kind, payload: &[u8]) -> Result<&[u8], Malformed> {
    match kind {
        Kind::Store => Ok(payload),
        Kind::Move => decode_move(payload).map(|(_, _, _, store)| store),
        _ => Err(Malformed),
    }
}

type Moved<'a> = (u64, u64, Vec<MovedLane>, &'a [u8]);

fn decode_move(payload: &[u8]) -> Result<Moved<'_>, Malformed> {
    let mut reader = Reader::new(payload);
    let order = reader.u64()?;
    let enqueued = reader.u64()?;
    let mut lanes = Vec::new();
    decode_moved_lanes(&mut reader, &mut lanes)?;
    Ok((order, enqueued, lanes, reader.rest()))
}

/// Reads where a moved document stood on its lanes into `lanes`, which is emptied first.
pub(crate) fn decode_moved_lanes(
    reader: &mut Reader<'_>,
    lanes: &mut Vec<MovedLane>,
) -> Result<(), Malformed> {
    lanes.clear();
    let count = reader.u8()?;
    for _ in 0..count {
        lanes.push(MovedLane {
            lane: decode_lane_id(reader)?,
            state: state_from_byte(reader.u8()?)?,
            attempts: reader.u32()?,
            wall: reader.u64()?,
            after: reader.u64()?,
            note: reader.short_text()?.to_owned(),
        });
    }
    Ok(())
}

/// Writes the payload of a LANE record.
pub(crate) fn encode_lane(lane: LaneId, name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u16(lane.0);
    out.put_short_text(name);
    out
}

/// Writes the payload of a CLAIMS record that opens and closes claims.
pub(crate) fn encode_claims(opened: &[ClaimId], closed: &[ClaimId]) -> Vec<u8> {
    encode_claims_as(false, opened, closed)
}

/// Writes the payload of a CLAIMS record that says which claims are open, all of them.
pub(crate) fn encode_all_claims(open: &[ClaimId]) -> Vec<u8> {
    encode_claims_as(true, open, &[])
}

fn encode_claims_as(all: bool, opened: &[ClaimId], closed: &[ClaimId]) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + (opened.len() + closed.len()) * 16);
    out.put_u8(u8::from(all));
    for claims in [opened, closed] {
        out.put_u32(claims.len() as u32);
        for claim in claims {
            out.put(&claim.to_bytes());
        }
    }
    out
}

/// Reads any record but a GROUP.
pub(crate) fn decode(kind: Kind, payload: &[u8]) -> Result<Record<'_>, Malformed> {
    let mut reader = Reader::new(payload);
    let record = match kind {
        Kind::Group => return Err(Malformed),
        Kind::Store => return decode_store(payload).map(|stored| Record::Store(stored.head)),
        Kind::Move => {
            let (order, enqueued, lanes, store) = decode_move(payload)?;
            let head = decode_store(store)?.head;
            return Ok(Record::Move {
                order,
                enqueued,
                lanes,
                head,
            });
        }
        Kind::Settle => Record::Settle {
            id: DocumentId::from_bytes(reader.array()?),
            lane: decode_lane_id(&mut reader)?,
            settlement: Settlement::from_byte(reader.u8()?)?,
            wall: reader.u64()?,
            note: reader.short_text()?,
        },
        Kind::Retry => Record::Retry {
            id: DocumentId::from_bytes(reader.array()?),
            lane: decode_lane_id(&mut reader)?,
            attempts: reader.u32()?,
            after: reader.u64()?,
            wall: reader.u64()?,
            note: reader.short_text()?,
        },
        Kind::Lane => Record::Lane {
            lane: decode_lane_id(&mut reader)?,
            name: reader.short_text()?,
        },
        Kind::Claims => Record::Claims {
            all: reader.u8()? != 0,
            opened: decode_claims(&mut reader)?,
            closed: decode_claims(&mut reader)?,
        },
    };
    reader.finish()?;
    Ok(record)
}

fn decode_claims(reader: &mut Reader<'_>) -> Result<Vec<ClaimId>, Malformed> {
    let count = reader.u32()? as usize;
    // Taken in one piece first, so that a false count cannot ask for memory.
    let bytes = reader.take(count.checked_mul(16).ok_or(Malformed)?)?;
    let (claims, _) = bytes.as_chunks::<16>();
    Ok(claims.iter().copied().map(ClaimId::from_bytes).collect())
}

/// The byte that stands for a state; a lease is not kept, so it reads as ready.
pub(crate) fn state_byte(state: State) -> u8 {
    match state {
        State::Ready | State::Leased => 0,
        State::Waiting => 1,
        State::Sent => 2,
        State::Dead => 3,
        State::Discarded => 4,
    }
}

/// The state that a byte stands for.
pub(crate) fn state_from_byte(byte: u8) -> Result<State, Malformed> {
    Ok(match byte {
        0 => State::Ready,
        1 => State::Waiting,
        2 => State::Sent,
        3 => State::Dead,
        4 => State::Discarded,
        _ => return Err(Malformed),
    })
}

/// A note cut to what is kept of it.
pub(crate) fn cut_note(note: &str) -> &str {
    note.char_indices()
        .nth(NOTE_CHARS_MAX)
        .map_or(note, |(end, _)| note.get(..end).unwrap_or(note))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test that cannot go on ends")]
mod tests {
    use super::*;

    fn document() -> NewDocument {
        NewDocument {
            route: "reports".to_owned(),
            source: b"caf\xe9.json".to_vec(),
            headers: vec![("a".to_owned(), "b".to_owned())],
            hash: Some([7; 32]),
            ..NewDocument::new(vec![LaneId(0), LaneId(3)], &b"body"[..])
        }
    }

    #[test]
    fn a_stored_document_reads_back_as_it_was() {
        let document = document();
        let payload = encode_store(&document, 99);
        let stored = decode_store(&payload).unwrap();
        assert_eq!(stored.head.id, document.id);
        assert_eq!(stored.head.created, 99);
        assert_eq!(*stored.head.lanes, document.lanes);
        assert_eq!(stored.source, document.source);
        assert_eq!(stored.headers, [("a", "b")]);
        assert_eq!(stored.hash, Some([7; 32]));
        assert_eq!(&payload[stored.body], b"body");
        assert_eq!(payload.len(), store_len_max(&document));
    }

    #[test]
    fn a_record_with_a_body_longer_than_any_is_malformed() {
        let mut document = NewDocument {
            body: NewBody::Inline(Vec::new().into()),
            ..document()
        };
        let mut payload = encode_store(&document, 1);
        document.hash = None;
        let without = encode_store(&document, 1);
        let mut pairs = payload.iter().zip(&without);
        let flags = pairs.position(|(one, other)| one != other).unwrap();
        payload[flags] |= BODY_IN_FILE;
        let len = payload.len() - 8;
        for (bytes, is_possible) in [
            (BODY_BYTES_MAX, true),
            (BODY_BYTES_MAX + 1, false),
            (u64::MAX, false),
        ] {
            payload[len..].copy_from_slice(&bytes.to_le_bytes());
            assert_eq!(decode_store(&payload).is_ok(), is_possible, "{bytes}");
        }
    }

    #[test]
    fn a_record_cut_anywhere_is_malformed() {
        let store = encode_store(&document(), 1);
        let lane = MovedLane {
            lane: LaneId(3),
            state: State::Waiting,
            attempts: 2,
            wall: 5,
            after: 6,
            note: "no".to_owned(),
        };
        let id = DocumentId::new();
        let mut settle = Vec::new();
        put_settle(&mut settle, id, LaneId(0), Settlement::Buried, 3, "why");
        let records = [
            (Kind::Store, store.clone()),
            (Kind::Move, encode_move(1, 2, &[lane], &store)),
            (Kind::Settle, settle),
            (Kind::Retry, encode_retry(id, LaneId(0), 1, 2, 3, "why")),
            (Kind::Lane, encode_lane(LaneId(1), "a/http")),
            (
                Kind::Claims,
                encode_claims(&[ClaimId::new()], &[ClaimId::new()]),
            ),
        ];
        for (kind, payload) in records {
            assert!(decode(kind, &payload).is_ok(), "{kind:?}");
            for end in 0..payload.len() {
                assert!(
                    decode(kind, &payload[..end]).is_err(),
                    "{kind:?} cut at {end}"
                );
            }
        }
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        let long = "ü".repeat(NOTE_CHARS_MAX + 10);
        assert_eq!(cut_note(&long).chars().count(), NOTE_CHARS_MAX);
        assert_eq!(cut_note("short"), "short");
    }
}

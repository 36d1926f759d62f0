//! The records that operations need, written into the group one after the other.

use crate::disk::AlignedBuf;
use crate::document::{ClaimId, DocumentId, LaneId, NewBody, NewDocument, Receipt, State};
use crate::error::{Error, ErrorKind};
use crate::frame::framed_len;
use crate::group::{Group, Pushed};
use crate::index::{Index, Now};
use crate::limits::LANES_MAX;
use crate::record::{self, Kind};
use crate::store::{Op, Outcome};
use crate::wire::Put;
use hashbrown::HashSet;

/// A record that was put into the group, and the operation that it belongs to.
pub(super) struct Planned {
    pub(super) op: usize,
    pub(super) kind: Kind,
    pub(super) place: Pushed,
}

/// What became of planning an operation.
pub(super) enum Added {
    /// Its records are in the group; the receipts hold once that is written.
    Planned(Vec<Receipt>),
    /// It needs no record.
    Answered(Result<Outcome, Error>),
    DoesNotFit,
}

/// Writes the records of operations into a group.
pub(super) struct Planner<'a> {
    pub(super) index: &'a Index,
    pub(super) group: &'a mut Group,
    /// The documents that the group stores so far.
    pub(super) stored_here: &'a mut HashSet<DocumentId>,
    pub(super) records: Vec<Planned>,
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) now: Now,
}

impl Planner<'_> {
    pub(super) fn add(&mut self, number: usize, op: &Op) -> Added {
        match op {
            Op::Enqueue { documents, claims } => self.enqueue(number, documents, claims),
            Op::Settle {
                id,
                lane,
                verdict,
                note,
            } => {
                if self.index.state(*id, *lane).is_none() && !self.stored_here.contains(id) {
                    return Added::Answered(Ok(Outcome::NotFound));
                }
                let (note, wall) = (record::cut_note(note), self.now.wall);
                self.only(number, Kind::Settle, 32 + note.len(), |out| {
                    record::put_settle(out, *id, *lane, (*verdict).into(), wall, note);
                })
            }
            Op::Retry {
                id,
                lane,
                after,
                note,
            } => {
                if !self.index.state(*id, *lane).is_some_and(State::is_pending) {
                    return Added::Answered(Ok(Outcome::NotFound));
                }
                let attempts = self.index.attempts(*id, *lane).saturating_add(1);
                let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                let note = record::cut_note(note);
                let wall = self.now.wall;
                let payload = record::encode_retry(*id, *lane, attempts, after, wall, note);
                self.only_bytes(number, Kind::Retry, &payload)
            }
            Op::CloseClaims(claims) => {
                let open: Vec<_> = claims
                    .iter()
                    .copied()
                    .filter(|claim| self.index.is_claim_open(*claim))
                    .collect();
                if open.is_empty() {
                    return Added::Answered(Ok(Outcome::Done));
                }
                let payload = record::encode_claims(&[], &open);
                self.only_bytes(number, Kind::Claims, &payload)
            }
            Op::DeclareLane(name) => {
                if let Some(lane) = self.index.lane(name) {
                    Added::Answered(Ok(Outcome::Lane(lane)))
                } else if self.index.next_lane() < LANES_MAX {
                    let lane = LaneId(self.index.next_lane() as u16);
                    self.only_bytes(number, Kind::Lane, &record::encode_lane(lane, name))
                } else {
                    let message = format!("a queue has at most {LANES_MAX} lanes");
                    Added::Answered(Err(Error::new(ErrorKind::TooLarge, message)))
                }
            }
        }
    }

    fn only_bytes(&mut self, op: usize, kind: Kind, payload: &[u8]) -> Added {
        self.only(op, kind, payload.len(), |out| out.put(payload))
    }

    /// The one record of an operation, of at most `len_max` bytes.
    fn only(
        &mut self,
        op: usize,
        kind: Kind,
        len_max: usize,
        write: impl FnOnce(&mut AlignedBuf),
    ) -> Added {
        if !self.group.fits(len_max) {
            return Added::DoesNotFit;
        }
        self.push(op, kind, len_max, write);
        Added::Planned(Vec::new())
    }

    fn push(
        &mut self,
        op: usize,
        kind: Kind,
        expected: usize,
        write: impl FnOnce(&mut AlignedBuf),
    ) -> Pushed {
        let place = self.group.push_with(kind, expected, write);
        self.records.push(Planned { op, kind, place });
        place
    }

    fn enqueue(&mut self, op: usize, documents: &[NewDocument], claims: &[ClaimId]) -> Added {
        let mut lanes = documents.iter().flat_map(|document| &document.lanes);
        if let Some(lane) = lanes.find(|lane| !self.index.has_lane(**lane)) {
            let message = format!("lane {} was never declared; nothing was stored", lane.0);
            return Added::Answered(Err(Error::new(ErrorKind::UnknownLane, message)));
        }
        let unknown: Vec<_> = claims
            .iter()
            .copied()
            .filter(|claim| !self.index.is_claim_open(*claim))
            .collect();
        let claims = (!unknown.is_empty()).then(|| record::encode_claims(&unknown, &[]));
        let mut bytes = claims
            .as_ref()
            .map_or(0, |payload| framed_len(payload.len()));
        let mut receipts = Vec::with_capacity(documents.len());
        for document in documents {
            let id = document.id;
            if self.index.contains(id) || !self.stored_here.insert(id) {
                receipts.push(Receipt::AlreadyThere(id));
            } else {
                bytes += framed_len(record::store_len_max(document));
                receipts.push(Receipt::Accepted(id));
            }
        }
        if bytes == 0 {
            return Added::Answered(Ok(Outcome::Receipts(receipts)));
        }
        if !self.group.fits_framed(bytes) {
            for receipt in receipts {
                if let Receipt::Accepted(id) = receipt {
                    self.stored_here.remove(&id);
                }
            }
            return Added::DoesNotFit;
        }
        let wall = self.now.wall;
        for (document, receipt) in documents.iter().zip(&receipts) {
            if matches!(receipt, Receipt::Accepted(_)) {
                let expected = record::store_len_max(document);
                let place = self.push(op, Kind::Store, expected, |out| {
                    record::put_store(out, document, wall);
                });
                self.documents += 1;
                self.bytes += framed_len(place.len as usize) as u64;
                if let NewBody::File(file) = &document.body {
                    self.bytes += file.len();
                }
            }
        }
        if let Some(payload) = claims {
            self.push(op, Kind::Claims, payload.len(), |out| out.put(&payload));
        }
        Added::Planned(receipts)
    }
}

//! What the queue knows in memory: every document, where it lies, and where it stands on each lane.
//!
//! [`Index::apply`] takes in one record after the other, and is the same at run time and at start: what a crash
//! leaves in the log leads to the same index. Leases alone are not in the log; a document that was leased when the
//! process died is ready again.
//!
//! Memory for a document that waits for one destination: 48 bytes here, 12 for its delivery, 8 for its place in line
//! and 5 to 10 in the table of names.

mod account;
mod apply;
mod lane;
mod line;
mod reorder;
mod since;
mod slab;

use crate::config::Config;
use crate::document::{ClaimId, DocumentId, LaneId, LaneInfo, Priority, State};
use crate::ledger::{Ledger, Totals};
use crate::record::cut_note;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use lane::Lane;
use mainstay_clock::Moment;
pub(crate) use since::Since;
use slab::Slab;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

/// The most notes of different wording that are kept in memory; the rest read as [`OTHER_NOTE`].
const NOTES_MAX: usize = 4096;
const OTHER_NOTE: &str = "(the reason stands in the log)";
const NONE: u32 = u32::MAX;

/// Both clocks, read once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) moment: Moment,
    pub(crate) wall: u64,
}

/// Where the record of a document lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    /// Of the payload.
    pub(crate) len: u32,
}

impl Location {
    /// Of what is no document.
    pub(crate) const NOWHERE: Self = Self {
        segment: 0,
        offset: 0,
        len: 0,
    };
}

/// A document, as far as it is kept in memory.
#[derive(Debug)]
pub(crate) struct Doc {
    pub(crate) id: DocumentId,
    /// The sequence of its first record: its place in line.
    pub(crate) order: u64,
    pub(crate) location: Location,
    first: u32,
    since: Since,
    pub(crate) priority: Priority,
}

#[derive(Debug)]
struct Delivery {
    doc: u32,
    next: u32,
    lane: LaneId,
    state: State,
}

/// What went wrong with a delivery so far.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) attempts: u32,
    pub(crate) note: Arc<str>,
    /// When the wait began and how long it is, ms; both 0 where nothing waits.
    pub(crate) wall: u64,
    pub(crate) after: u64,
    pub(crate) due: Moment,
}

/// A body in a file of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyRef {
    pub(crate) hash: [u8; 32],
    pub(crate) len: u64,
}

/// What of a segment is still needed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Live {
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
}

/// What a record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    Done,
    AlreadyThere,
    NotFound,
}

/// How long and how much is kept after its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) time: Duration,
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
}

impl Retention {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            time: config.retain_after_ack,
            documents: config.retain_documents,
            bytes: config.retain_bytes,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Index {
    docs: Slab<Doc>,
    deliveries: Slab<Delivery>,
    names: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// By their numbers; `None` where nothing spoke of one.
    lanes: Vec<Option<Box<Lane>>>,
    troubles: HashMap<u32, Trouble>,
    /// When each delivery that was acknowledged was, ms since 1970; what still waits has no place here.
    sent_at: HashMap<u32, u64>,
    notes: HashSet<Arc<str>>,
    body_files: HashMap<u32, BodyRef>,
    body_references: HashMap<[u8; 32], u32>,
    claims: HashSet<ClaimId>,
    segments: BTreeMap<u32, Live>,
    /// What was delivered and is kept: until when, which document, of which order.
    sent: VecDeque<(Moment, u32, u64)>,
    /// Documents that were taken back after they were sent, and until when they are kept now.
    sent_again: HashMap<u32, Option<Moment>>,
    sent_documents: u64,
    sent_bytes: u64,
    retention: Retention,
    ageing: Duration,
    totals: Totals,
    queued: u64,
    dead: u64,
    waiting_bytes: u64,
    /// Lanes that have become ready since they were last asked for.
    woken: Vec<LaneId>,
    /// Body files that nothing refers to any more.
    unreferenced: Vec<[u8; 32]>,
}

impl Index {
    pub(crate) fn new(retention: Retention, ageing: Duration) -> Self {
        Self {
            docs: Slab::default(),
            deliveries: Slab::default(),
            names: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            lanes: Vec::new(),
            troubles: HashMap::new(),
            sent_at: HashMap::new(),
            notes: HashSet::new(),
            body_files: HashMap::new(),
            body_references: HashMap::new(),
            claims: HashSet::new(),
            segments: BTreeMap::new(),
            sent: VecDeque::new(),
            sent_again: HashMap::new(),
            sent_documents: 0,
            sent_bytes: 0,
            retention,
            ageing,
            totals: Totals::default(),
            queued: 0,
            dead: 0,
            waiting_bytes: 0,
            woken: Vec::new(),
            unreferenced: Vec::new(),
        }
    }

    /// Makes room for so many documents more, so that taking them in moves none.
    pub(crate) fn reserve(&mut self, documents: usize) {
        let (docs, hasher) = (&self.docs, &self.hasher);
        self.names.reserve(documents, |other| {
            let doc = docs.get(*other);
            hasher.hash_one(doc.expect("every name belongs to a document").id)
        });
    }

    fn doc(&self, number: u32) -> &Doc {
        self.docs
            .get(number)
            .expect("a delivery belongs to a document")
    }

    fn doc_mut(&mut self, number: u32) -> &mut Doc {
        self.docs
            .get_mut(number)
            .expect("a delivery belongs to a document")
    }

    fn delivery(&self, number: u32) -> &Delivery {
        self.deliveries
            .get(number)
            .expect("a document's deliveries live as long as it does")
    }

    fn deliveries_of(&self, doc: u32) -> impl Iterator<Item = u32> + '_ {
        let first = self.doc(doc).first;
        std::iter::successors((first != NONE).then_some(first), |delivery| {
            let next = self.delivery(*delivery).next;
            (next != NONE).then_some(next)
        })
    }

    fn lane_mut(&mut self, lane: LaneId) -> &mut Lane {
        self.lanes
            .get_mut(usize::from(lane.0))
            .and_then(Option::as_deref_mut)
            .expect("the lane of a delivery is there")
    }

    /// A lane; one that nothing spoke of before has no name until it is declared.
    fn lane_or_new(&mut self, lane: LaneId) -> &mut Lane {
        let place = usize::from(lane.0);
        if self.lanes.len() <= place {
            self.lanes.resize_with(place + 1, || None);
        }
        self.lanes[place].get_or_insert_default()
    }

    fn set_state(&mut self, delivery: u32, state: State) {
        let entry = self
            .deliveries
            .get_mut(delivery)
            .expect("a document's deliveries live as long as it does");
        let (doc, lane) = (entry.doc, entry.lane);
        let old = std::mem::replace(&mut entry.state, state);
        let since = self.doc(doc).since;
        let lane = self.lane_mut(lane);
        lane.left(old, delivery, since);
        lane.entered(state, delivery, since);
    }

    fn find(&self, id: DocumentId) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        self.names
            .find(hash, |number| self.doc(*number).id == id)
            .copied()
    }

    fn find_delivery(&self, id: DocumentId, lane: LaneId) -> Option<(u32, u32)> {
        let doc = self.find(id)?;
        let delivery = self
            .deliveries_of(doc)
            .find(|delivery| self.delivery(*delivery).lane == lane)?;
        Some((doc, delivery))
    }

    fn note(&mut self, note: &str) -> Arc<str> {
        let note = cut_note(note);
        if let Some(known) = self.notes.get(note) {
            return Arc::clone(known);
        }
        if self.notes.len() >= NOTES_MAX {
            self.notes.retain(|note| Arc::strong_count(note) > 1);
        }
        let note: Arc<str> = if self.notes.len() >= NOTES_MAX {
            OTHER_NOTE.into()
        } else {
            note.into()
        };
        self.notes.insert(Arc::clone(&note));
        note
    }

    fn wake(&mut self, lane: LaneId) {
        if !self.woken.contains(&lane) {
            self.woken.push(lane);
        }
    }
}

mod view;
pub(crate) use line::Leased;
pub(crate) use view::{DocView, LaneView};

#[cfg(test)]
mod tests;

//! What others ask of the index.

use super::{
    Applied, BodyRef, ClaimId, DocumentId, HashMap, Index, Lane, LaneId, LaneInfo, Ledger, Live,
    Location, Since, State, Totals, Trouble,
};
use crate::document::Priority;
use mainstay_clock::Moment;
use std::collections::BTreeMap;

/// Where a document stands on one lane.
#[derive(Clone, Debug)]
pub(crate) struct LaneView {
    pub(crate) lane: LaneId,
    pub(crate) state: State,
    /// When it was acknowledged, ms since 1970.
    pub(crate) sent_at: Option<u64>,
    pub(crate) trouble: Option<Trouble>,
}

/// A document and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct DocView {
    pub(crate) id: DocumentId,
    pub(crate) order: u64,
    pub(crate) location: Location,
    pub(crate) priority: Priority,
    pub(crate) since: Since,
    pub(crate) lanes: Vec<LaneView>,
    pub(crate) body: Option<BodyRef>,
}

impl Index {
    /// Empties it again.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.retention, self.ageing);
    }

    /// Says where a document's record lies now.
    pub(crate) fn relocate(&mut self, id: DocumentId, location: Location) {
        let Some(doc) = self.find(id) else { return };
        let before = self.cost(doc);
        let old = self.doc(doc).location;
        self.vacate(old);
        self.doc_mut(doc).location = location;
        self.occupy(location);
        // A moved record is longer or shorter than the one before it.
        let after = self.cost(doc);
        let counted = match self.state_of(doc) {
            State::Sent => &mut self.sent_bytes,
            _ => &mut self.waiting_bytes,
        };
        *counted = *counted + after - before;
    }

    /// How many documents it knows, sent ones included.
    pub(crate) fn len(&self) -> usize {
        self.docs.len()
    }

    pub(crate) fn contains(&self, id: DocumentId) -> bool {
        self.find(id).is_some()
    }

    /// Whether a settlement or retry of this delivery would find it pending.
    pub(crate) fn state(&self, id: DocumentId, lane: LaneId) -> Option<State> {
        self.find_delivery(id, lane)
            .map(|(_, delivery)| self.delivery(delivery).state)
    }

    pub(crate) fn attempts(&self, id: DocumentId, lane: LaneId) -> u32 {
        self.find_delivery(id, lane)
            .and_then(|(_, delivery)| self.troubles.get(&delivery))
            .map_or(0, |trouble| trouble.attempts)
    }

    /// Where the record of a document lies.
    pub(crate) fn location(&self, id: DocumentId) -> Option<Location> {
        self.find(id).map(|doc| self.doc(doc).location)
    }

    pub(crate) fn get(&self, id: DocumentId) -> Option<DocView> {
        self.find(id).map(|doc| self.view(doc))
    }

    /// A document by its number, while it has it.
    pub(crate) fn view(&self, number: u32) -> DocView {
        let doc = self.doc(number);
        let lanes = self.deliveries_of(number).map(|delivery| LaneView {
            lane: self.delivery(delivery).lane,
            state: self.delivery(delivery).state,
            sent_at: self.sent_at.get(&delivery).copied(),
            trouble: self.troubles.get(&delivery).cloned(),
        });
        DocView {
            id: doc.id,
            order: doc.order,
            location: doc.location,
            priority: doc.priority,
            since: doc.since,
            lanes: lanes.collect(),
            body: self.body_files.get(&number).copied(),
        }
    }

    /// The numbers of all documents, first in line first.
    pub(crate) fn in_line(&self) -> Vec<u32> {
        let mut order: Vec<(u64, u32)> = self
            .docs
            .iter()
            .map(|(number, doc)| (doc.order, number))
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, number)| number).collect()
    }

    /// All documents, first in line first.
    pub(crate) fn views(&self) -> impl Iterator<Item = DocView> + '_ {
        let numbers = self.in_line().into_iter();
        numbers.map(|number| self.view(number))
    }

    /// The ids of the documents that have a delivery of which `wanted` says yes, first in line first.
    pub(crate) fn select(&self, wanted: impl Fn(LaneId, State) -> bool) -> Vec<(u64, DocumentId)> {
        let mut found: Vec<(u64, DocumentId)> = self
            .docs
            .iter()
            .filter(|(number, _)| {
                self.deliveries_of(*number).any(|delivery| {
                    let delivery = self.delivery(delivery);
                    wanted(delivery.lane, delivery.state)
                })
            })
            .map(|(_, doc)| (doc.order, doc.id))
            .collect();
        found.sort_unstable();
        found
    }

    /// The ids of the documents whose records lie in a segment, at most `most` of them.
    pub(crate) fn in_segment(&self, segment: u32, most: usize) -> Vec<DocumentId> {
        let here = self
            .docs
            .iter()
            .filter(|(_, doc)| doc.location.segment == segment);
        here.map(|(_, doc)| doc.id).take(most).collect()
    }

    pub(crate) fn lane(&self, name: &str) -> Option<LaneId> {
        self.each_lane()
            .find(|(_, lane)| lane.name.as_deref() == Some(name))
            .map(|(id, _)| id)
    }

    fn each_lane(&self) -> impl Iterator<Item = (LaneId, &Lane)> {
        let lanes = self.lanes.iter().enumerate();
        lanes.filter_map(|(place, lane)| Some((LaneId(place as u16), lane.as_deref()?)))
    }

    pub(crate) fn has_lane(&self, lane: LaneId) -> bool {
        self.lanes
            .get(usize::from(lane.0))
            .is_some_and(Option::is_some)
    }

    /// The number that the next lane gets.
    pub(crate) fn next_lane(&self) -> usize {
        self.lanes.len()
    }

    /// The lanes that were declared.
    pub(crate) fn named_lanes(&self) -> Vec<LaneInfo> {
        let named = self.each_lane().filter_map(|(id, lane)| {
            let name = lane.name.clone()?;
            Some(LaneInfo { id, name })
        });
        named.collect()
    }

    /// The lanes that documents go to and whose names are lost, each with what it is called instead.
    pub(crate) fn nameless_lanes(&self) -> Vec<LaneInfo> {
        let nameless = self
            .each_lane()
            .filter(|(_, lane)| lane.name.is_none() && !lane.is_empty());
        let called = nameless.map(|(id, _)| LaneInfo {
            id,
            name: format!("lane-{}", id.0),
        });
        called.collect()
    }

    pub(crate) fn lanes(&self) -> Vec<LaneInfo> {
        let mut lanes = self.named_lanes();
        lanes.append(&mut self.nameless_lanes());
        lanes.sort_by_key(|lane| lane.id);
        lanes
    }

    pub(crate) fn depth(&self, lane: LaneId, state: State) -> u64 {
        self.lanes
            .get(usize::from(lane.0))
            .and_then(Option::as_deref)
            .map_or(0, |lane| lane.count(state))
    }

    pub(crate) fn is_claim_open(&self, claim: ClaimId) -> bool {
        self.claims.contains(&claim)
    }

    pub(crate) fn open_claims(&self) -> Vec<ClaimId> {
        let mut claims: Vec<ClaimId> = self.claims.iter().copied().collect();
        claims.sort_unstable();
        claims
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger {
            accepted: self.totals.accepted,
            delivered: self.totals.delivered,
            queued: self.queued,
            dead: self.dead,
            discarded: self.totals.discarded,
            unreadable: self.totals.unreadable,
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn set_totals(&mut self, totals: Totals) {
        self.totals = totals;
    }

    /// How many documents wait, dead ones too, and how many bytes they take.
    pub(crate) fn usage(&self) -> (u64, u64) {
        (self.queued + self.dead, self.waiting_bytes)
    }

    pub(crate) fn sent(&self) -> (u64, u64) {
        (self.sent_documents, self.sent_bytes)
    }

    pub(crate) fn segments(&self) -> &BTreeMap<u32, Live> {
        &self.segments
    }

    pub(crate) fn oldest_segment(&self) -> Option<u32> {
        self.segments.keys().next().copied()
    }

    pub(crate) fn live_log_bytes(&self) -> u64 {
        self.segments.values().map(|live| live.bytes).sum()
    }

    pub(crate) fn body_references(&self) -> &HashMap<[u8; 32], u32> {
        &self.body_references
    }

    /// The lanes that became ready since this was last asked.
    pub(crate) fn take_woken(&mut self) -> Vec<LaneId> {
        std::mem::take(&mut self.woken)
    }

    /// The body files that lost their last reference since this was last asked.
    pub(crate) fn take_unreferenced(&mut self) -> Vec<[u8; 32]> {
        std::mem::take(&mut self.unreferenced)
    }

    /// Drops a document whose record the disk has lost; it counts as unreadable, unless it was delivered before.
    pub(crate) fn drop_unreadable(&mut self, id: DocumentId) -> Applied {
        let Some(doc) = self.find(id) else {
            return Applied::NotFound;
        };
        let delivered = self.state_of(doc) == State::Sent;
        self.leave(doc);
        self.forget(doc);
        if delivered {
            self.totals.delivered += 1;
        } else {
            self.totals.unreadable += 1;
        }
        Applied::Done
    }

    /// Until when a sent document is kept.
    pub(crate) fn kept_until_of(&self, id: DocumentId) -> Option<Moment> {
        let number = self.find(id)?;
        let kept = self
            .sent
            .iter()
            .find(|(until, doc, order)| *doc == number && self.is_kept_until(*until, *doc, *order));
        kept.map(|(until, ..)| *until)
    }

    /// Until when each sent document is kept.
    pub(crate) fn kept_until(&self) -> HashMap<DocumentId, Moment> {
        let kept = self
            .sent
            .iter()
            .filter(|(until, doc, order)| self.is_kept_until(*until, *doc, *order));
        kept.map(|(until, doc, _)| (self.doc(*doc).id, *until))
            .collect()
    }
}

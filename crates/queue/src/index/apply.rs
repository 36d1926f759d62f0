//! What each record does to the index.

use super::{
    Applied, Delivery, Doc, DocumentId, Index, LaneId, Location, NONE, Now, Since, State, Trouble,
};
use crate::index::BodyRef;
use crate::record::{Head, MovedLane, Record, Settlement};
use mainstay_clock::Moment;
use std::cmp::Reverse;
use std::hash::BuildHasher;
use std::time::Duration;

impl Index {
    /// Takes in a record that lies at `location` under `sequence`.
    pub(crate) fn apply(
        &mut self,
        record: &Record<'_>,
        sequence: u64,
        location: Location,
        now: Now,
    ) -> Applied {
        match record {
            Record::Store(head) => self.store(head, sequence, location, now),
            Record::Move {
                order,
                enqueued,
                lanes,
                head,
            } => self.take_moved(*order, *enqueued, lanes, head, location, now),
            Record::Settle {
                id,
                lane,
                settlement,
                wall,
                note,
            } => self.settle(*id, *lane, *settlement, *wall, note, now),
            Record::Retry {
                id,
                lane,
                attempts,
                after,
                wall,
                note,
            } => self.retry(*id, *lane, *attempts, *after, *wall, note, now),
            Record::Lane { lane, name } => self.declare(*lane, name),
            Record::Claims {
                all,
                opened,
                closed,
            } => {
                if *all {
                    self.claims.clear();
                }
                self.claims.extend(opened.iter().copied());
                for claim in closed {
                    self.claims.remove(claim);
                }
                Applied::Done
            }
        }
    }

    pub(super) fn store(
        &mut self,
        head: &Head,
        order: u64,
        location: Location,
        now: Now,
    ) -> Applied {
        if self.find(head.id).is_some() {
            return Applied::AlreadyThere;
        }
        let doc = self.insert(head, order, head.created, location, now);
        for lane in head.lanes.iter().rev() {
            self.add_delivery(doc, *lane, State::Ready);
        }
        self.totals.accepted += 1;
        self.enter(doc);
        Applied::Done
    }

    pub(super) fn insert(
        &mut self,
        head: &Head,
        order: u64,
        enqueued: u64,
        location: Location,
        now: Now,
    ) -> u32 {
        let doc = self.docs.insert(Doc {
            id: head.id,
            order,
            location,
            first: NONE,
            since: Since::new(enqueued, now),
            priority: head.priority,
        });
        let hash = self.hasher.hash_one(head.id);
        let (docs, hasher) = (&self.docs, &self.hasher);
        self.names.insert_unique(hash, doc, |other| {
            hasher.hash_one(
                docs.get(*other)
                    .expect("every name belongs to a document")
                    .id,
            )
        });
        if let Some(hash) = head.body_file {
            self.body_files.insert(
                doc,
                BodyRef {
                    hash,
                    len: head.body_len,
                },
            );
            *self.body_references.entry(hash).or_insert(0) += 1;
            self.unreferenced
                .retain(|unreferenced| *unreferenced != hash);
        }
        self.occupy(location);
        doc
    }

    pub(super) fn add_delivery(&mut self, doc: u32, lane: LaneId, state: State) -> u32 {
        let Doc {
            first: next,
            order,
            priority,
            since,
            ..
        } = *self.doc(doc);
        let delivery = self.deliveries.insert(Delivery {
            doc,
            next,
            lane,
            state,
        });
        self.doc_mut(doc).first = delivery;
        // Its declaration is damaged or still to come; the documents of the lane are not to be lost for that.
        let entry = self.lane_or_new(lane);
        entry.entered(state, delivery, since);
        if state == State::Ready {
            entry.priorities[usize::from(priority.number()) - 1].line_up(order, delivery);
            self.wake(lane);
        }
        delivery
    }

    pub(super) fn settle(
        &mut self,
        id: DocumentId,
        lane: LaneId,
        settlement: Settlement,
        wall: u64,
        note: &str,
        now: Now,
    ) -> Applied {
        let Some((doc, delivery)) = self.find_delivery(id, lane) else {
            return Applied::NotFound;
        };
        let state = self.delivery(delivery).state;
        let next = match settlement {
            Settlement::Acknowledged if state.is_pending() || state == State::Dead => State::Sent,
            Settlement::Buried if state.is_pending() => State::Dead,
            Settlement::Discarded if state.is_pending() || state == State::Dead => State::Discarded,
            Settlement::Revived if matches!(state, State::Dead | State::Sent | State::Waiting) => {
                State::Ready
            }
            // Its wait ended meanwhile, which the log does not say: to the log it waits, and its attempts are forgotten
            // here as they will be there.
            Settlement::Revived if self.troubles.remove(&delivery).is_some() => {
                return Applied::Done;
            }
            _ => return Applied::NotFound,
        };
        self.leave(doc);
        self.note_sent(delivery, next, wall);
        match next {
            State::Dead => {
                let note = self.note(note);
                let attempts = self
                    .troubles
                    .get(&delivery)
                    .map_or(0, |trouble| trouble.attempts);
                let trouble = Trouble {
                    attempts,
                    note,
                    wall: 0,
                    after: 0,
                    due: Moment::ORIGIN,
                };
                self.troubles.insert(delivery, trouble);
            }
            _ => {
                self.troubles.remove(&delivery);
            }
        }
        self.set_state(delivery, next);
        if next == State::Ready {
            self.line_up_again(delivery);
        }
        self.enter_at(doc, wall, now);
        Applied::Done
    }

    /// Keeps when a delivery was acknowledged, and forgets it when it is to be made again. 0 stands for a time that nobody
    /// wrote down.
    pub(super) fn note_sent(&mut self, delivery: u32, state: State, wall: u64) {
        if state == State::Sent && wall != 0 {
            self.sent_at.insert(delivery, wall);
        } else {
            self.sent_at.remove(&delivery);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one record")]
    pub(super) fn retry(
        &mut self,
        id: DocumentId,
        lane: LaneId,
        attempts: u32,
        after: u64,
        wall: u64,
        note: &str,
        now: Now,
    ) -> Applied {
        let Some((_, delivery)) = self.find_delivery(id, lane) else {
            return Applied::NotFound;
        };
        if !self.delivery(delivery).state.is_pending() {
            return Applied::NotFound;
        }
        self.set_state(delivery, State::Waiting);
        self.wait(delivery, attempts, after, wall, note, now);
        Applied::Done
    }

    /// Lets a delivery wait. What has passed on the wall since it began counts, but a clock that jumped can neither
    /// lengthen the wait nor end it before it began.
    pub(super) fn wait(
        &mut self,
        delivery: u32,
        attempts: u32,
        after: u64,
        wall: u64,
        note: &str,
        now: Now,
    ) {
        let passed = now.wall.saturating_sub(wall).min(after);
        let due = now.moment + Duration::from_millis(after - passed);
        let note = self.note(note);
        self.troubles.insert(
            delivery,
            Trouble {
                attempts,
                note,
                wall,
                after,
                due,
            },
        );
        let Delivery { doc, lane, .. } = *self.delivery(delivery);
        let order = self.doc(doc).order;
        self.lane_mut(lane)
            .waiting
            .push(Reverse((due, order, delivery)));
        // Whoever waits for this lane has to look again when the next is due.
        self.wake(lane);
    }

    /// Takes in a document as it stands, in a record or a snapshot.
    pub(crate) fn take_moved(
        &mut self,
        order: u64,
        enqueued: u64,
        lanes: &[MovedLane],
        head: &Head,
        location: Location,
        now: Now,
    ) -> Applied {
        if let Some(doc) = self.find(head.id) {
            self.relocate(head.id, location);
            self.restate(doc, lanes, now);
            return Applied::AlreadyThere;
        }
        // Its older records are gone with their segment: this one says all of it.
        let doc = self.insert(head, order, enqueued, location, now);
        for moved in lanes.iter().rev() {
            let delivery = self.add_delivery(doc, moved.lane, moved.state);
            self.restate_trouble(delivery, moved, now);
        }
        let wall = lanes.iter().map(|lane| lane.wall).max().unwrap_or(0);
        // It was counted when it was first stored; only its place is new.
        let totals = self.totals;
        self.enter_at(doc, wall, now);
        self.totals = totals;
        Applied::Done
    }

    /// Takes over what a MOVE record says of a known document. It differs from what is known where a snapshot is older
    /// than a settlement whose segment is gone: then the record is right, and the totals of its group count it already.
    pub(super) fn restate(&mut self, doc: u32, lanes: &[MovedLane], now: Now) {
        let is_known = lanes.iter().all(|moved| {
            self.deliveries_of(doc).any(|delivery| {
                let known = self.delivery(delivery);
                let attempts = self
                    .troubles
                    .get(&delivery)
                    .map_or(0, |trouble| trouble.attempts);
                let waits = moved.state == State::Waiting || known.state == State::Waiting;
                known.lane == moved.lane
                    && (known.state == moved.state
                        || !waits && known.state.is_pending() && moved.state.is_pending())
                    && attempts == moved.attempts
            })
        });
        if is_known {
            return;
        }
        let totals = self.totals;
        self.leave(doc);
        for moved in lanes {
            let found = self
                .deliveries_of(doc)
                .find(|delivery| self.delivery(*delivery).lane == moved.lane);
            let Some(delivery) = found else { continue };
            self.set_state(delivery, moved.state);
            self.restate_trouble(delivery, moved, now);
            if moved.state == State::Ready {
                self.line_up_again(delivery);
            }
        }
        let wall = lanes.iter().map(|lane| lane.wall).max().unwrap_or(0);
        self.enter_at(doc, wall, now);
        self.totals = totals;
    }

    pub(super) fn restate_trouble(&mut self, delivery: u32, moved: &MovedLane, now: Now) {
        self.troubles.remove(&delivery);
        self.note_sent(delivery, moved.state, moved.wall);
        if moved.state == State::Waiting {
            self.wait(
                delivery,
                moved.attempts,
                moved.after,
                moved.wall,
                &moved.note,
                now,
            );
        } else if moved.attempts != 0 || !moved.note.is_empty() {
            let note = self.note(&moved.note);
            let trouble = Trouble {
                attempts: moved.attempts,
                note,
                wall: 0,
                after: 0,
                due: Moment::ORIGIN,
            };
            self.troubles.insert(delivery, trouble);
        }
    }

    /// Lets go of documents whose records lie before `segment`, the oldest that is needed: they were settled after the
    /// snapshot that knew them, and the log's totals count them already.
    pub(crate) fn forget_before(&mut self, segment: u32) {
        let stale: Vec<u32> = self
            .docs
            .iter()
            .filter(|(_, doc)| doc.location.segment < segment)
            .map(|(number, _)| number)
            .collect();
        let totals = self.totals;
        for doc in stale {
            self.leave(doc);
            self.forget(doc);
        }
        self.totals = totals;
    }

    pub(super) fn declare(&mut self, lane: LaneId, name: &str) -> Applied {
        self.lane_or_new(lane).name = Some(name.to_owned());
        Applied::Done
    }
}

//! What each document counts as, what it takes, and when it goes.

use super::{Doc, HashTable, Index, Location, Moment, NONE, Now, State, VecDeque};
use std::hash::BuildHasher;
use std::time::Duration;

impl Index {
    /// Where a document stands as a whole.
    pub(super) fn state_of(&self, doc: u32) -> State {
        let mut state = State::Sent;
        for delivery in self.deliveries_of(doc) {
            match self.delivery(delivery).state {
                State::Ready | State::Leased | State::Waiting => return State::Ready,
                State::Dead => state = State::Dead,
                State::Discarded if state == State::Sent => state = State::Discarded,
                State::Sent | State::Discarded => {}
            }
        }
        state
    }

    pub(super) fn enter(&mut self, doc: u32) {
        self.queued += 1;
        self.waiting_bytes += self.cost(doc);
    }

    /// Counts a document where it stands now; what is settled is kept a while or goes.
    pub(super) fn enter_at(&mut self, doc: u32, wall: u64, now: Now) {
        match self.state_of(doc) {
            State::Dead => {
                self.dead += 1;
                self.waiting_bytes += self.cost(doc);
            }
            State::Sent => {
                self.totals.delivered += 1;
                let kept = self.retention.time;
                let passed = Duration::from_millis(now.wall.saturating_sub(wall));
                let until = now.moment + kept.saturating_sub(passed);
                self.sent_bytes += self.cost(doc);
                self.sent_documents += 1;
                if let Some(sent_again) = self.sent_again.get_mut(&doc) {
                    *sent_again = Some(until);
                }
                self.sent.push_back((until, doc, self.doc(doc).order));
            }
            State::Discarded => {
                self.totals.discarded += 1;
                self.forget(doc);
            }
            State::Ready | State::Leased | State::Waiting => self.enter(doc),
        }
    }

    pub(super) fn leave(&mut self, doc: u32) {
        let cost = self.cost(doc);
        match self.state_of(doc) {
            State::Dead => {
                self.dead -= 1;
                self.waiting_bytes -= cost;
            }
            State::Sent => {
                // The totals come from the disk, and need not fit what lies there.
                self.totals.delivered = self.totals.delivered.saturating_sub(1);
                self.sent_bytes -= cost;
                self.sent_documents -= 1;
                self.sent_again.insert(doc, None);
            }
            State::Discarded => {
                self.totals.discarded = self.totals.discarded.saturating_sub(1);
            }
            State::Ready | State::Leased | State::Waiting => {
                self.queued -= 1;
                self.waiting_bytes -= cost;
            }
        }
    }

    /// Brings what was delivered into the order in which it goes; a snapshot has it in another.
    pub(crate) fn order_sent(&mut self) {
        self.sent
            .make_contiguous()
            .sort_by_key(|(until, ..)| *until);
    }

    /// Lets go of what was delivered and is no longer to be kept. Returns whether anything went.
    pub(crate) fn expire(&mut self, now: Moment) -> bool {
        let mut any = false;
        while let Some((until, doc, order)) = self.sent.front().copied() {
            let over = self.sent_documents > self.retention.documents
                || self.sent_bytes > self.retention.bytes;
            if now < until && !over {
                break;
            }
            self.sent.pop_front();
            if self.is_kept_until(until, doc, order) {
                self.sent_bytes -= self.cost(doc);
                self.sent_documents -= 1;
                self.forget(doc);
                any = true;
            }
        }
        if self.sent.is_empty() && self.sent.capacity() > 1024 {
            self.sent = VecDeque::new();
        }
        any
    }

    /// Lets go of all that was delivered and is kept: the disk needs its room for what was not.
    pub(crate) fn release_sent(&mut self) {
        let kept = self.retention;
        self.retention.documents = 0;
        self.expire(Moment::ORIGIN);
        self.retention = kept;
    }

    /// Lets go of what was delivered and has no body any more. It had been let go of before, but the date jumped back or
    /// the start found less to keep, and it was kept again: without its body it can be of no use to anybody.
    pub(crate) fn release_sent_without_body(&mut self, is_there: impl Fn(&[u8; 32]) -> bool) {
        let without: Vec<u32> = self
            .body_files
            .iter()
            .filter(|(doc, body)| !is_there(&body.hash) && self.state_of(**doc) == State::Sent)
            .map(|(doc, _)| *doc)
            .collect();
        for doc in without {
            self.sent_bytes -= self.cost(doc);
            self.sent_documents -= 1;
            self.forget(doc);
        }
    }

    /// Whether this is the entry under which a sent document is kept, and not one from before it was sent again.
    pub(super) fn is_kept_until(&self, until: Moment, number: u32, order: u64) -> bool {
        self.docs.get(number).is_some_and(|doc| doc.order == order)
            && self
                .sent_again
                .get(&number)
                .is_none_or(|latest| *latest == Some(until))
            && self.state_of(number) == State::Sent
    }

    /// The bytes that a document takes on the disk.
    pub(super) fn cost(&self, doc: u32) -> u64 {
        let body = self.body_files.get(&doc).map_or(0, |body| body.len);
        crate::frame::framed_len(self.doc(doc).location.len as usize) as u64 + body
    }

    pub(super) fn forget(&mut self, number: u32) {
        let Doc {
            first: mut delivery,
            since,
            ..
        } = *self.doc(number);
        while delivery != NONE {
            self.troubles.remove(&delivery);
            self.sent_at.remove(&delivery);
            let Some(gone) = self.deliveries.remove(delivery) else {
                break;
            };
            self.lane_mut(gone.lane).left(gone.state, delivery, since);
            delivery = gone.next;
        }
        self.sent_again.remove(&number);
        let Some(doc) = self.docs.remove(number) else {
            return;
        };
        let hash = self.hasher.hash_one(doc.id);
        if let Ok(entry) = self.names.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
        if self.docs.len() == 0 {
            self.names = HashTable::new();
        }
        self.vacate(doc.location);
        if let Some(body) = self.body_files.remove(&number)
            && let Some(references) = self.body_references.get_mut(&body.hash)
        {
            *references -= 1;
            if *references == 0 {
                self.body_references.remove(&body.hash);
                self.unreferenced.push(body.hash);
            }
        }
    }

    pub(super) fn occupy(&mut self, location: Location) {
        let live = self.segments.entry(location.segment).or_default();
        live.documents += 1;
        live.bytes += crate::frame::framed_len(location.len as usize) as u64;
    }

    pub(super) fn vacate(&mut self, location: Location) {
        if let Some(live) = self.segments.get_mut(&location.segment) {
            live.documents -= 1;
            live.bytes -= crate::frame::framed_len(location.len as usize) as u64;
            if live.documents == 0 {
                self.segments.remove(&location.segment);
            }
        }
    }
}

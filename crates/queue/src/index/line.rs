//! Who is next: leases, which are in memory alone, and waits that end.

use super::{Delivery, Doc, DocumentId, Index, LaneId, Location, Now, Since, State, Trouble};
use std::cmp::Reverse;
use std::time::Duration;

/// A document that was taken: where it lies, and what went wrong with it so far.
#[derive(Clone, Debug)]
pub(crate) struct Leased {
    pub(crate) id: DocumentId,
    pub(crate) location: Location,
    pub(crate) trouble: Option<Trouble>,
}

/// The first of a priority.
struct Head {
    level: i64,
    order: u64,
    delivery: u32,
    since: Since,
}

impl Index {
    /// Takes the document that is next in line, if any is ready.
    pub(crate) fn lease(&mut self, lane: LaneId, now: Now) -> Option<Leased> {
        self.promote_due(lane, now);
        let step = self.ageing.as_secs() as i64;
        let ranked = self.heads(lane).map(|head| {
            let waited = head.since.age(now).as_secs() as i64;
            let rank = if step == 0 {
                head.level
            } else {
                head.level * step - waited
            };
            (rank, head.order, head.delivery)
        });
        let (_, _, delivery) = ranked.min()?;
        self.set_state(delivery, State::Leased);
        let doc = self.doc(self.delivery(delivery).doc);
        Some(Leased {
            id: doc.id,
            location: doc.location,
            trouble: self.troubles.get(&delivery).cloned(),
        })
    }

    /// The first of each priority that are ready.
    fn heads(&mut self, lane: LaneId) -> impl Iterator<Item = Head> {
        let lane_entry = self.lanes.get_mut(usize::from(lane.0));
        let entry = lane_entry.and_then(Option::as_deref_mut);
        let (docs, deliveries) = (&self.docs, &self.deliveries);
        let doc_if_ready = move |number: u32| {
            let delivery = deliveries.get(number)?;
            (delivery.state == State::Ready && delivery.lane == lane)
                .then(|| docs.get(delivery.doc))?
        };
        let priorities = entry.into_iter().flat_map(|entry| &mut entry.priorities);
        priorities.zip(0..).filter_map(move |(fifo, level)| {
            let (order, delivery) = fifo.head(|number| Some(doc_if_ready(number)?.order))?;
            Some(Head {
                level,
                order,
                delivery,
                since: doc_if_ready(delivery)?.since,
            })
        })
    }

    /// Since when the oldest document has been here that still has to go to a lane. It takes no longer with more of them.
    pub(crate) fn oldest(&mut self, lane: LaneId) -> Option<Since> {
        let in_line = self.heads(lane).map(|head| head.since).min();
        let entry = self.lanes.get(usize::from(lane.0))?.as_deref()?;
        in_line.into_iter().chain(entry.oldest_out_of_line()).min()
    }

    /// Gives a leased document back, to the place in line that it had.
    pub(crate) fn give_back(&mut self, id: DocumentId, lane: LaneId) {
        if let Some((_, delivery)) = self.find_delivery(id, lane)
            && self.delivery(delivery).state == State::Leased
        {
            self.set_state(delivery, State::Ready);
            self.line_up_again(delivery);
        }
    }

    /// How long until the next waiting document of a lane is due; `None` if none waits.
    pub(crate) fn next_due(&mut self, lane: LaneId, now: Now) -> Option<Duration> {
        self.promote_due(lane, now);
        let entry = self.lanes.get(usize::from(lane.0))?.as_deref()?;
        entry
            .waiting
            .peek()
            .map(|Reverse((due, ..))| due.since(now.moment))
    }

    pub(super) fn promote_due(&mut self, lane: LaneId, now: Now) {
        loop {
            let Some(Some(entry)) = self.lanes.get_mut(usize::from(lane.0)) else {
                return;
            };
            let Some(Reverse((due, order, delivery))) = entry.waiting.peek().copied() else {
                return;
            };
            let still_waits = self.deliveries.get(delivery).is_some_and(|found| {
                found.state == State::Waiting
                    && found.lane == lane
                    && self
                        .docs
                        .get(found.doc)
                        .is_some_and(|doc| doc.order == order)
                    && self
                        .troubles
                        .get(&delivery)
                        .is_some_and(|trouble| trouble.due == due)
            });
            if still_waits && now.moment < due {
                return;
            }
            entry.waiting.pop();
            if still_waits {
                self.set_state(delivery, State::Ready);
                self.line_up_again(delivery);
            }
        }
    }

    pub(super) fn line_up_again(&mut self, delivery: u32) {
        let Delivery { doc, lane, .. } = *self.delivery(delivery);
        let Doc {
            order, priority, ..
        } = *self.doc(doc);
        self.lane_mut(lane).priorities[usize::from(priority.number()) - 1]
            .put_back(order, delivery);
        self.wake(lane);
    }
}

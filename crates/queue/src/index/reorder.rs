//! Another place in line for a document whose record was written again.

use super::{Index, NONE};
use crate::document::{DocumentId, State};
use std::cmp::Reverse;

impl Index {
    /// Gives a document the order under which its record lies in the log now.
    ///
    /// Recovery copies records whose group nobody confirmed, and each copy gets a sequence of its own, which is what the next start
    /// reads. What is copied forward says in its record which order it had, so that both have to be of one counting.
    pub(crate) fn reorder(&mut self, id: DocumentId, order: u64) {
        let Some(doc) = self.find(id) else { return };
        let old = std::mem::replace(&mut self.doc_mut(doc).order, order);
        let (priority, mut next) = {
            let doc = self.doc(doc);
            (usize::from(doc.priority.number()) - 1, doc.first)
        };
        // What stands in line under the old order is passed over.
        while next != NONE {
            let delivery = next;
            let (lane, state) = {
                let found = self.delivery(delivery);
                next = found.next;
                (found.lane, found.state)
            };
            let due = self.troubles.get(&delivery).map(|trouble| trouble.due);
            let lane = self.lane_mut(lane);
            match (state, due) {
                (State::Ready, _) => lane.priorities[priority].line_up(order, delivery),
                (State::Waiting, Some(due)) => lane.waiting.push(Reverse((due, order, delivery))),
                _ => {}
            }
        }
        if self.state_of(doc) == State::Sent {
            // It was sent lately, and entries from before it was sent again count for nothing.
            let mut entries = self.sent.iter_mut().rev();
            if let Some(entry) = entries.find(|entry| (entry.1, entry.2) == (doc, old)) {
                entry.2 = order;
            }
        }
    }
}

//! The order in which one destination is offered its documents.

use super::Since;
use crate::document::State;
use mainstay_clock::Moment;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

/// A delivery that is ready, with the low half of its document's order: the number may have been given away since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticket {
    delivery: u32,
    order_low: u32,
}

/// One priority: first in, first out; what comes back goes to where it was.
#[derive(Debug, Default)]
pub(crate) struct Fifo {
    fresh: VecDeque<Ticket>,
    newest: u64,
    returned: BTreeSet<(u64, u32)>,
}

impl Fifo {
    /// Lines a document up; mostly it is the newest, but one that was moved or restored takes its old place.
    pub(crate) fn line_up(&mut self, order: u64, delivery: u32) {
        if self.newest < order {
            self.newest = order;
            self.fresh.push_back(Ticket {
                delivery,
                order_low: order as u32,
            });
        } else {
            self.put_back(order, delivery);
        }
    }

    pub(crate) fn put_back(&mut self, order: u64, delivery: u32) {
        self.returned.insert((order, delivery));
    }

    /// The first for which `order_if_ready` knows an order; those before it are forgotten.
    pub(crate) fn head(
        &mut self,
        order_if_ready: impl Fn(u32) -> Option<u64>,
    ) -> Option<(u64, u32)> {
        while let Some(ticket) = self.fresh.front() {
            match order_if_ready(ticket.delivery) {
                Some(order) if order as u32 == ticket.order_low => break,
                _ => {
                    self.fresh.pop_front();
                }
            }
        }
        if self.fresh.is_empty() && self.fresh.capacity() > 1024 {
            self.fresh = VecDeque::new();
        }
        while let Some((order, delivery)) = self.returned.first().copied() {
            if order_if_ready(delivery) == Some(order) {
                break;
            }
            self.returned.pop_first();
        }
        let fresh = self.fresh.front().and_then(|ticket| {
            order_if_ready(ticket.delivery).map(|order| (order, ticket.delivery))
        });
        let returned = self.returned.first().copied();
        match (fresh, returned) {
            (Some(fresh), Some(returned)) => Some(fresh.min(returned)),
            (fresh, returned) => fresh.or(returned),
        }
    }
}

/// A destination's share of the queue.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// `None` where its declaration is lost.
    pub(crate) name: Option<String>,
    pub(crate) priorities: [Fifo; 10],
    /// When which delivery of which order is due again.
    pub(crate) waiting: BinaryHeap<Reverse<(Moment, u64, u32)>>,
    /// What still has to go and is not in line, as it is in somebody's hands or waits: since when it has been here.
    out_of_line: BTreeSet<(Since, u32)>,
    counts: [u64; 6],
}

impl Lane {
    pub(crate) fn count(&self, state: State) -> u64 {
        self.counts[state as usize]
    }

    /// Whether no document goes there.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts == [0; 6]
    }

    /// Since when the oldest has been here of what is in somebody's hands or waits.
    pub(super) fn oldest_out_of_line(&self) -> Option<Since> {
        self.out_of_line.first().map(|(since, _)| *since)
    }

    pub(super) fn entered(&mut self, state: State, delivery: u32, since: Since) {
        self.counts[state as usize] += 1;
        if is_out_of_line(state) {
            self.out_of_line.insert((since, delivery));
        }
    }

    pub(super) fn left(&mut self, state: State, delivery: u32, since: Since) {
        self.counts[state as usize] -= 1;
        if is_out_of_line(state) {
            self.out_of_line.remove(&(since, delivery));
        }
    }
}

fn is_out_of_line(state: State) -> bool {
    matches!(state, State::Leased | State::Waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_goes_before_what_came_later() {
        let mut fifo = Fifo::default();
        let ready = |delivery: u32| Some(u64::from(delivery));
        for delivery in [1, 2, 3] {
            fifo.line_up(u64::from(delivery), delivery);
        }
        assert_eq!(fifo.head(ready), Some((1, 1)));
        let not_one = |delivery: u32| (delivery != 1).then_some(u64::from(delivery));
        assert_eq!(fifo.head(not_one), Some((2, 2)));
        fifo.put_back(1, 1);
        assert_eq!(fifo.head(ready), Some((1, 1)));
    }

    #[test]
    fn what_is_restored_out_of_order_takes_its_place() {
        let mut fifo = Fifo::default();
        let ready = |delivery: u32| Some(u64::from(delivery));
        for delivery in [3, 1, 2] {
            fifo.line_up(u64::from(delivery), delivery);
        }
        assert_eq!(fifo.head(ready), Some((1, 1)));
    }

    #[test]
    fn a_number_given_away_to_another_document_is_passed_over() {
        let mut fifo = Fifo::default();
        fifo.line_up(1, 7);
        assert_eq!(fifo.head(|_| Some(2)), None);
    }
}

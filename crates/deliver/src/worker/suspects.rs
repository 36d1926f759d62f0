//! Documents that a destination was held for, though they may have been the cause themselves.

use mainstay_queue::DocumentId;
use std::collections::{HashMap, VecDeque};

/// So many are remembered; of more, the oldest are forgotten, and hold the destination once more.
const SUSPECTS_MAX: usize = 1024;

/// For each suspect, how many documents had been delivered when it first held the destination.
///
/// If others are delivered afterwards, the destination was not to blame.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    since: HashMap<DocumentId, u64>,
    order: VecDeque<DocumentId>,
}

impl Suspects {
    pub(super) fn note(&mut self, id: DocumentId, delivered: u64) {
        if self.since.contains_key(&id) {
            return;
        }
        if self.order.len() == SUSPECTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.since.remove(&oldest);
        }
        self.since.insert(id, delivered);
        self.order.push_back(id);
    }

    /// Whether others were delivered since `id` first held the destination.
    pub(super) fn is_to_blame(&self, id: DocumentId, delivered: u64) -> bool {
        self.since.get(&id).is_some_and(|since| *since < delivered)
    }

    pub(super) fn forget(&mut self, id: DocumentId) {
        if self.since.remove(&id).is_some() {
            self.order.retain(|other| *other != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_to_blame_only_after_others_went_through() {
        let (mut suspects, id) = (Suspects::default(), DocumentId::new());
        assert!(!suspects.is_to_blame(id, 9));
        suspects.note(id, 9);
        assert!(!suspects.is_to_blame(id, 9));
        suspects.note(id, 10);
        assert!(suspects.is_to_blame(id, 10));
        suspects.forget(id);
        assert!(!suspects.is_to_blame(id, 10));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let mut suspects = Suspects::default();
        let ids: Vec<_> = (0..SUSPECTS_MAX + 10).map(|_| DocumentId::new()).collect();
        for id in &ids {
            suspects.note(*id, 0);
        }
        assert_eq!(suspects.since.len(), SUSPECTS_MAX);
        assert_eq!(suspects.order.len(), SUSPECTS_MAX);
        assert!(!suspects.is_to_blame(ids[0], 1) && suspects.is_to_blame(ids[10], 1));
    }
}

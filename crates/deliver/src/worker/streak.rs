//! Documents that failed one after the other, as they do where a server answers everybody with an error.

use mainstay_queue::DocumentId;

/// Different documents that failed in a row, none having succeeded in between.
#[derive(Debug, Default)]
pub(super) struct Streak {
    failed: Vec<DocumentId>,
}

impl Streak {
    /// So many, and it is no longer likely that they are to blame: twice as many as are under way at a time by default, so that one
    /// moment in which a server is started anew is not taken for an outage.
    pub(super) const LONGEST: usize = 10;

    /// Takes in that a document failed; answers whether it is no longer likely that the documents are to blame. Then it begins anew.
    pub(super) fn failed(&mut self, id: DocumentId) -> bool {
        // One that fails again and again is one.
        if !self.failed.contains(&id) {
            self.failed.push(id);
        }
        let is_long = Self::LONGEST <= self.failed.len();
        if is_long {
            self.failed.clear();
        }
        is_long
    }

    /// A document was taken, or refused for its own sake.
    pub(super) fn end(&mut self) {
        self.failed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_different_documents_in_a_row_count() {
        let mut streak = Streak::default();
        let one = DocumentId::new();
        for _ in 0..100 {
            assert!(!streak.failed(one));
        }
        for _ in 2..Streak::LONGEST {
            assert!(!streak.failed(DocumentId::new()));
        }
        streak.end();
        for _ in 1..Streak::LONGEST {
            assert!(!streak.failed(DocumentId::new()));
        }
        assert!(streak.failed(DocumentId::new()));
        assert!(!streak.failed(DocumentId::new()), "it begins anew");
    }
}

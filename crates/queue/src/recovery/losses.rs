//! What went with the damage: documents, and the word that others were settled.
//!
//! The sequence says how many records are missing. Each group states the account before it: where more were delivered or
//! discarded than was counted up to there, so many of the missing records were settlements. Looked at in the sum alone,
//! a lost document and a lost settlement would hide each other.

use crate::ledger::Totals;

/// What is known of the records that could not be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    records: u64,
    settled: i64,
    /// The last sequence that was read; 0 before the first.
    seen: u64,
}

impl Losses {
    /// Counts from behind this sequence on.
    pub(super) fn begin(&mut self, sequence: u64) {
        self.seen = sequence;
    }

    /// Up to this sequence nothing is missing, whatever was read of it.
    pub(super) fn pass_over(&mut self, sequence: u64) {
        if self.seen != 0 {
            self.seen = self.seen.max(sequence);
        }
    }

    /// Counts the records that are missing before this one.
    pub(super) fn see(&mut self, sequence: u64) {
        if self.seen != 0 {
            let missing = sequence.saturating_sub(self.seen.saturating_add(1));
            self.records = self.records.saturating_add(missing);
        }
        self.seen = self.seen.max(sequence);
    }

    /// Holds the account that the log states against the one that was counted up to there; `is_gap` says whether anything
    /// in between could not be read.
    pub(super) fn note(&mut self, counted: Totals, stated: Totals, is_gap: bool) {
        let more = |stated: u64, counted: u64| stated as i64 - counted as i64;
        let settled =
            more(stated.delivered, counted.delivered) + more(stated.discarded, counted.discarded);
        // Without a gap, more were settled whose records lay in segments that are gone by now; fewer, where a start before
        // this one took it back.
        if is_gap || settled < 0 {
            self.settled = self.settled.saturating_add(settled);
        }
    }

    /// How many documents are lost, where so many are missing in the sum and `live` are there. Of what is possible it says
    /// the most: a document may have been stored and settled by records that are both lost.
    pub(super) fn documents(&self, missing: i64, live: u64) -> u64 {
        let others = (self.records as i64).saturating_sub(self.settled);
        let again = self.settled.min(live as i64);
        others
            .min(missing.saturating_add(again))
            .max(missing)
            .max(0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(delivered: u64, unreadable: u64) -> Totals {
        Totals {
            accepted: 6,
            delivered,
            discarded: 0,
            unreadable,
        }
    }

    /// The sequences behind 10 up to `last` are missing, and then the account says that more were delivered.
    fn gap(last: u64, delivered: u64) -> Losses {
        let mut losses = Losses::default();
        losses.begin(10);
        losses.see(last + 1);
        losses.note(totals(2, 0), totals(2 + delivered, 0), true);
        losses
    }

    #[test]
    fn a_lost_document_is_not_hidden_by_a_lost_acknowledgement() {
        assert_eq!(gap(12, 1).documents(0, 4), 1);
    }

    #[test]
    fn a_lost_acknowledgement_alone_is_no_lost_document() {
        assert_eq!(gap(11, 1).documents(-1, 4), 0);
        assert_eq!(gap(11, 1).documents(0, 4), 0, "of one that is gone by now");
    }

    #[test]
    fn where_nothing_is_left_nothing_is_offered_again() {
        assert_eq!(gap(20, 5).documents(3, 0), 3);
    }

    #[test]
    fn a_lost_document_that_was_delivered_later_is_no_loss() {
        let mut losses = gap(11, 0);
        losses.note(totals(2, 0), totals(3, 0), false);
        assert_eq!(losses.documents(0, 4), 0);
    }

    #[test]
    fn what_an_earlier_start_counted_is_not_counted_again() {
        let mut losses = gap(12, 1);
        losses.note(totals(3, 0), totals(2, 1), false);
        assert_eq!(losses.documents(0, 4), 0);
    }
}

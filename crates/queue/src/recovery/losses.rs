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
    /// So many of the records may have been settlements besides: no account says what stood before them.
    doubtful: u64,
    /// The last sequence that was read; `None` while it is not known what comes first.
    seen: Option<u64>,
}

/// What went with the damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Documents.
    pub(super) documents: u64,
    /// The word that documents were settled: they are offered again.
    pub(super) settlements: u64,
}

impl Losses {
    /// Counts from behind this sequence on.
    pub(super) fn begin(&mut self, sequence: u64) {
        self.seen = Some(sequence);
    }

    /// What comes next may be anything: what was before it is not missing.
    pub(super) fn begin_anywhere(&mut self) {
        self.seen = None;
    }

    /// Up to this sequence nothing is missing, whatever was read of it.
    pub(super) fn pass_over(&mut self, sequence: u64) {
        self.seen = self.seen.map(|seen| seen.max(sequence));
    }

    /// Counts the records that are missing before this one.
    pub(super) fn see(&mut self, sequence: u64) {
        if let Some(seen) = self.seen {
            let missing = sequence.saturating_sub(seen.saturating_add(1));
            self.records = self.records.saturating_add(missing);
        }
        self.seen = self.seen.max(Some(sequence));
    }

    /// The first account that the log states stands behind records that are missing.
    pub(super) fn doubt(&mut self) {
        self.doubtful = self.records;
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

    /// What is lost, where so many documents are missing in the sum and `live` are there. Of what is possible it says the
    /// most: a document may have been stored and settled by records that are both lost.
    pub(super) fn lost(&self, missing: i64, live: u64) -> Lost {
        let live = i64::try_from(live).unwrap_or(i64::MAX);
        let records = i64::try_from(self.records).unwrap_or(i64::MAX);
        let documents = |settled: i64| {
            let others = records.saturating_sub(settled);
            let again = settled.min(live);
            others.min(missing.saturating_add(again)).max(missing)
        };
        // With each settlement more, one document more may be missing behind it, until there are no records for that.
        let doubtful = i64::try_from(self.doubtful).unwrap_or(i64::MAX);
        let most = self.settled.saturating_add(doubtful);
        let even = (records.saturating_sub(missing) / 2).clamp(self.settled, most);
        let tried = [self.settled, even, live.clamp(self.settled, most)];
        let documents = tried
            .map(documents)
            .into_iter()
            .max()
            .unwrap_or(missing)
            .max(0);
        Lost {
            documents: documents as u64,
            settlements: documents.saturating_sub(missing) as u64,
        }
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

    fn lost(documents: u64, settlements: u64) -> Lost {
        Lost {
            documents,
            settlements,
        }
    }

    #[test]
    fn a_lost_document_is_not_hidden_by_a_lost_acknowledgement() {
        assert_eq!(gap(12, 1).lost(0, 4), lost(1, 1));
    }

    #[test]
    fn a_lost_document_is_not_hidden_where_nothing_says_what_stood_before() {
        let mut losses = Losses::default();
        losses.begin(10);
        losses.see(13);
        losses.doubt();
        assert_eq!(losses.lost(0, 4), lost(1, 1));
        assert_eq!(
            losses.lost(1, 4),
            lost(1, 0),
            "no more than there are records"
        );
        assert_eq!(losses.lost(-1, 4), lost(0, 1));
    }

    #[test]
    fn what_is_passed_over_is_not_missing_and_what_follows_is() {
        let mut losses = Losses::default();
        losses.pass_over(10);
        losses.see(20);
        assert_eq!(losses.records, 0, "nothing was known before the first");
        losses.pass_over(30);
        losses.pass_over(25);
        losses.see(31);
        assert_eq!(losses.records, 0, "21 to 30 are not missing");
        losses.see(33);
        assert_eq!(losses.records, 1, "32 is");
    }

    #[test]
    fn a_lost_acknowledgement_alone_is_no_lost_document() {
        assert_eq!(gap(11, 1).lost(-1, 4), lost(0, 1));
        assert_eq!(
            gap(11, 1).lost(0, 4),
            lost(0, 0),
            "of one that is gone by now"
        );
    }

    #[test]
    fn where_nothing_is_left_nothing_is_offered_again() {
        assert_eq!(gap(20, 5).lost(3, 0), lost(3, 0));
    }

    #[test]
    fn a_lost_document_that_was_delivered_later_is_no_loss() {
        let mut losses = gap(11, 0);
        losses.note(totals(2, 0), totals(3, 0), false);
        assert_eq!(losses.lost(0, 4), lost(0, 0));
    }

    #[test]
    fn what_an_earlier_start_counted_is_not_counted_again() {
        let mut losses = gap(12, 1);
        losses.note(totals(3, 0), totals(2, 1), false);
        assert_eq!(losses.lost(0, 4), lost(0, 0));
    }
}

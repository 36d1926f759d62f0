//! The account of every document: `accepted = delivered + queued + dead + discarded`, and nothing else.

use crate::wire::{Malformed, Reader};
use serde::{Deserialize, Serialize};

/// What has happened since the queue was made; it stands in every group of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) discarded: u64,
    pub(crate) unreadable: u64,
}

/// More documents than any queue ever sees: a million a second for nine years.
const DOCUMENTS_MAX: u64 = 1 << 48;

impl Totals {
    /// The account once so many more documents were accepted.
    pub(crate) fn plus(self, accepted: u64) -> Self {
        Self {
            accepted: self.accepted + accepted,
            ..self
        }
    }

    /// Reads the four numbers; refuses what cannot be, so that sums of them never overflow.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut number = || {
            reader.u64().and_then(|number| {
                let is_possible = number <= DOCUMENTS_MAX;
                is_possible.then_some(number).ok_or(Malformed)
            })
        };
        Ok(Self {
            accepted: number()?,
            delivered: number()?,
            discarded: number()?,
            unreadable: number()?,
        })
    }
}

/// The account of every document that was ever accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// How many were ever accepted.
    pub accepted: u64,
    /// How many every one of their destinations confirmed (and none gave up).
    pub delivered: u64,
    /// How many still have to be delivered.
    pub queued: u64,
    /// How many were given up and wait for a person.
    pub dead: u64,
    /// How many were dropped by a named policy or person.
    pub discarded: u64,
    /// How many the disk lost: found damaged, reported, and not part of any other figure.
    pub unreadable: u64,
}

impl Ledger {
    /// Whether every accepted document is accounted for.
    pub fn is_balanced(&self) -> bool {
        self.missing() == 0
    }

    /// How many documents are unaccounted for; negative if there are more than were accepted.
    pub fn missing(&self) -> i64 {
        let accounted = self.delivered + self.queued + self.dead + self.discarded + self.unreadable;
        self.accepted as i64 - accounted as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_that_no_queue_can_reach_is_malformed() {
        for at in 0..4 {
            let read = |number: u64| {
                let mut totals = [1; 4];
                totals[at] = number;
                let bytes: Vec<u8> = totals.into_iter().flat_map(u64::to_le_bytes).collect();
                Totals::read(&mut Reader::new(&bytes)).is_ok()
            };
            assert!(read(DOCUMENTS_MAX));
            assert!(!read(DOCUMENTS_MAX + 1));
            assert!(!read(u64::MAX));
        }
    }

    #[test]
    fn an_account_with_one_document_missing_is_not_balanced() {
        let ledger = Ledger {
            accepted: 5,
            delivered: 2,
            queued: 1,
            dead: 1,
            discarded: 1,
            unreadable: 0,
        };
        assert!(ledger.is_balanced());
        assert_eq!(
            Ledger {
                accepted: 6,
                ..ledger
            }
            .missing(),
            1
        );
        assert_eq!(
            Ledger {
                accepted: 4,
                ..ledger
            }
            .missing(),
            -1
        );
    }
}

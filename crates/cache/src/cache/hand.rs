//! For whoever cannot wait: what is in memory, or was seen before.

use super::{Cache, answer};
use crate::address::Address;
use crate::answer::Answer;
use crate::counters::Counter;
use crate::entry;
use crate::freshness::Freshness;
use crate::recent::Held;
use http::request::Parts;

impl Cache {
    /// As [`lookup`](Self::lookup), for whoever cannot wait: it does not block, and knows only what was served lately. None where the
    /// cache has to be looked at.
    ///
    /// What another process removed may be served for a tenth of a second after that.
    pub fn at_hand(&self, request: &Parts) -> Option<Answer> {
        let address = self.address_to_look_at(request)?;
        let held = self.recent.get(&address.url, self.clock.now())?;
        let wall = self.clock.wall();
        if !held.fits(&request.headers) || !held.freshness.is_fresh_for(&request.headers, wall) {
            return None;
        }
        let age = held.freshness.age(wall);
        let answer = answer(request, held.status, age, held.origin.clone());
        self.remember(Counter::Hits, Some(&answer));
        Some(answer)
    }

    /// As [`stale_on_error`](Self::stale_on_error), of an answer that [`lookup`](Self::lookup) found before, for whoever cannot wait:
    /// it does not block, and does not know what became of the answer since.
    pub fn at_hand_on_error(&self, request: &Parts, seen: &Answer) -> Option<Answer> {
        let address = self.address_to_look_at(request)?;
        let candidate = self.candidate(&address, request, seen.status, seen.origin.clone());
        let now = self.clock.wall();
        if !candidate
            .freshness
            .may_serve_on_error(&request.headers, now, &self.settings)
        {
            return None;
        }
        let mut memory = self.memory();
        memory.tally.add(Counter::StaleServed, 1);
        let saved = candidate.answer.body.len() as u64;
        memory.tally.add(Counter::BytesSaved, saved);
        Some(Answer {
            is_stale: true,
            ..candidate.answer
        })
    }

    /// Holds what was found, for whoever cannot wait.
    pub(super) fn hold(
        &self,
        address: &Address,
        request: &Parts,
        answer: &Answer,
        freshness: Freshness,
        changes: u64,
    ) {
        let origin = answer.origin.clone();
        // It was stored, so it varies with what can be told.
        let Some(vary) = entry::vary(&origin.headers) else {
            return;
        };
        let held = Held {
            status: answer.status,
            freshness,
            variant: entry::variant(&vary, &request.headers),
            vary,
            origin,
        };
        self.recent.hold(&address.url, held, changes);
    }

    /// Something else is stored under this address by now. What was evicted for it is no longer in the index, and so nobody would be
    /// told that another process made it void.
    pub(super) fn forget_replaced(&self, url: &str, evicted_none: bool) {
        if evicted_none {
            self.recent.forget(url);
        } else {
            self.recent.forget_all();
        }
    }

    /// Asks whether another process changed something, now and then: what is at hand is believed for a moment after it.
    pub(super) fn ask_the_index(&self) {
        let asked = self.clock.now();
        if !self.recent.is_doubtful(asked) {
            return;
        }
        let store = self.store.as_ref();
        if let Some(stand) = store.and_then(|store| store.index.stand()) {
            self.recent.stands(stand, asked);
        }
    }
}

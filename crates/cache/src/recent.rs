//! The answers that were served last, in memory: for whoever cannot wait for a disk.
//!
//! What this process stores or removes is known here at once. Other processes share the folder: whether they changed something is
//! asked of the index by those who look there, and what is here is believed for no longer than a moment after that.

use crate::answer::Origin;
use crate::entry::{self, Hash};
use crate::freshness::Freshness;
use http::{HeaderMap, StatusCode};
use mainstay_clock::Moment;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So long nobody asks whether another process changed something: less than anybody notices, and enough for a thousand answers.
pub(crate) const BELIEVED: Duration = Duration::from_millis(100);

/// So many answers, and bytes of bodies, headers and addresses: what a lookup asks for again and again is less.
const ANSWERS_MAX: usize = 1_024;
const BYTES_MAX: usize = 4 << 20;

/// A larger one is better read from the disk than held for it.
const ANSWER_MAX: usize = 64 << 10;

/// How the index stood: which file it is, and how often others changed it.
pub(crate) type Stand = ((u64, u64), i64);

/// An answer as it was read from the disk and found whole.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) status: StatusCode,
    pub(crate) origin: Origin,
    pub(crate) freshness: Freshness,
    pub(crate) vary: String,
    pub(crate) variant: Hash,
}

#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    answers: HashMap<String, Kept>,
    bytes: usize,
    /// Counts what was served, to know what was served longest ago.
    served: u64,
    /// Counts what was stored and removed.
    changes: u64,
    stand: Option<Stand>,
    believed_until: Option<Moment>,
}

#[derive(Debug)]
struct Kept {
    held: Arc<Held>,
    bytes: usize,
    served: u64,
}

impl Held {
    /// Whether the request has in the headers that the answer varies with what the first one had.
    pub(crate) fn fits(&self, request: &HeaderMap) -> bool {
        entry::variant(&self.vary, request) == self.variant
    }

    fn bytes(&self, url: &str) -> usize {
        let headers = self.origin.headers.iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len());
        self.origin.body.len() + headers.sum::<usize>() + url.len() + self.vary.len()
    }
}

impl Recent {
    /// The answer of an address, while nobody else can have changed it for longer than a moment.
    pub(crate) fn get(&self, url: &str, now: Moment) -> Option<Arc<Held>> {
        let mut state = self.state();
        if state.believed_until.is_none_or(|until| until <= now) {
            return None;
        }
        state.served += 1;
        let served = state.served;
        let kept = state.answers.get_mut(url)?;
        kept.served = served;
        Some(Arc::clone(&kept.held))
    }

    /// How often something was stored or removed so far; to be asked before an answer is read.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Holds what was read, unless something was stored or removed since `changes` was asked: it may have been this.
    pub(crate) fn hold(&self, url: &str, held: Held, changes: u64) {
        let bytes = held.bytes(url);
        let mut state = self.state();
        if bytes > ANSWER_MAX || state.changes != changes {
            return;
        }
        state.remove(url);
        while state.answers.len() >= ANSWERS_MAX || state.bytes + bytes > BYTES_MAX {
            let oldest = state.answers.iter().min_by_key(|(_, kept)| kept.served);
            let Some(oldest) = oldest.map(|(url, _)| url.clone()) else {
                break;
            };
            state.remove(&oldest);
        }
        state.served += 1;
        let served = state.served;
        let held = Arc::new(held);
        let kept = Kept {
            held,
            bytes,
            served,
        };
        state.answers.insert(url.to_owned(), kept);
        state.bytes += bytes;
    }

    /// What is stored of an address is another by now.
    pub(crate) fn forget(&self, url: &str) {
        let mut state = self.state();
        state.changes += 1;
        state.remove(url);
    }

    /// Whatever is stored may be another by now.
    pub(crate) fn forget_all(&self) {
        let mut state = self.state();
        state.changes += 1;
        state.clear();
    }

    /// Whether it is time to ask how the index stands.
    pub(crate) fn is_doubtful(&self, now: Moment) -> bool {
        let state = self.state();
        state.believed_until.is_none_or(|until| until <= now)
    }

    /// The index stood so at a moment that had not come yet at `asked`.
    pub(crate) fn stands(&self, stand: Stand, asked: Moment) {
        let mut state = self.state();
        if state.stand != Some(stand) {
            state.changes += 1;
            state.clear();
            state.stand = Some(stand);
        }
        let until = asked + BELIEVED;
        state.believed_until = state.believed_until.max(Some(until));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, url: &str) {
        if let Some(gone) = self.answers.remove(url) {
            self.bytes -= gone.bytes;
        }
    }

    fn clear(&mut self) {
        self.answers.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freshness::Known;
    use crate::settings::CacheSettings;
    use bytes::Bytes;

    const STAND: Stand = ((1, 2), 3);

    fn held(body: usize) -> Held {
        let headers = HeaderMap::new();
        let known = Known {
            status: StatusCode::OK,
            headers: &headers,
            stored_at: 0,
        };
        Held {
            status: StatusCode::OK,
            freshness: Freshness::of(known, None, &CacheSettings::default()),
            origin: Origin {
                id: 1,
                seal: [0; 32],
                stored_at: 0,
                headers,
                body: Bytes::from(vec![0; body]),
            },
            vary: String::new(),
            variant: entry::variant("", &HeaderMap::new()),
        }
    }

    fn at(ms: u64) -> Moment {
        Moment::after_origin(Duration::from_millis(ms))
    }

    fn recent() -> Recent {
        let recent = Recent::default();
        recent.stands(STAND, at(0));
        recent
    }

    #[test]
    fn nothing_is_believed_for_longer_than_a_moment_after_the_index_was_asked() {
        let recent = recent();
        recent.hold("a", held(1), recent.changes());
        assert!(recent.get("a", at(99)).is_some() && !recent.is_doubtful(at(99)));
        assert!(recent.get("a", at(100)).is_none() && recent.is_doubtful(at(100)));
        recent.stands(STAND, at(150));
        assert!(recent.get("a", at(249)).is_some());
        // Others changed it, or it is another one.
        for stand in [((1, 2), 4), ((9, 2), 4)] {
            recent.hold("a", held(1), recent.changes());
            recent.stands(stand, at(200));
            assert!(recent.get("a", at(200)).is_none());
        }
    }

    #[test]
    fn what_was_read_before_something_changed_is_not_held_after_it() {
        let recent = recent();
        let changes = recent.changes();
        recent.forget("another");
        recent.hold("a", held(1), changes);
        assert!(recent.get("a", at(0)).is_none());
        recent.hold("a", held(1), recent.changes());
        assert!(recent.get("a", at(0)).is_some());
        recent.forget("a");
        assert!(recent.get("a", at(0)).is_none());
        recent.hold("a", held(1), recent.changes());
        recent.forget_all();
        assert!(recent.get("a", at(0)).is_none());
        assert_eq!(recent.state().bytes, 0);
    }

    #[test]
    fn memory_is_bounded_and_what_was_served_longest_ago_goes_first() {
        let recent = recent();
        recent.hold("large", held(ANSWER_MAX), recent.changes());
        assert!(recent.get("large", at(0)).is_none(), "with its address");
        for number in 0..3_000 {
            let url = format!("{number}");
            recent.hold(&url, held(8_000), recent.changes());
            assert!(
                recent.get("0", at(0)).is_some(),
                "it is served all the time"
            );
            let state = recent.state();
            assert!(state.bytes <= BYTES_MAX && state.answers.len() <= ANSWERS_MAX);
            let bytes: usize = state.answers.values().map(|kept| kept.bytes).sum();
            assert_eq!(state.bytes, bytes);
        }
        assert!(recent.get("2999", at(0)).is_some() && recent.get("1", at(0)).is_none());
        for number in 0..3_000 {
            recent.hold(&format!("{number}"), held(1), recent.changes());
        }
        assert_eq!(recent.state().answers.len(), ANSWERS_MAX);
    }
}

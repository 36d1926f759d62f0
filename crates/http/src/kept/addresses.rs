//! What became of addresses since somebody looked: whether an answer was kept of one, or what is kept was made void.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// So many places for all addresses, of 24 bytes. Two that share one cost each other a look, or an answer that is not kept, when
/// both are asked for at the same moment, and nothing else.
const PLACES: usize = 1_024;

/// What became of all addresses, in bounded room.
#[derive(Debug)]
pub(super) struct Addresses {
    places: Box<[Place]>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Place {
    /// How often an answer was kept.
    landed: AtomicU64,
    /// How often what is kept was made void.
    voided: AtomicU64,
    /// How many are letting go of what is void.
    voiding: AtomicUsize,
}

/// How an address stood at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stand {
    place: usize,
    landed: u64,
    voided: u64,
}

/// Nothing that is kept of these addresses is served, while this lives.
#[derive(Debug)]
pub(super) struct Voiding {
    addresses: Arc<Addresses>,
    places: Vec<usize>,
}

impl Addresses {
    pub(super) fn new() -> Self {
        Self {
            places: (0..PLACES).map(|_| Place::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// How an address stands now.
    pub(super) fn stand(&self, key: &str) -> Stand {
        let at = self.at(key);
        let place = self.place(at);
        Stand {
            place: at,
            landed: place.landed.load(Ordering::SeqCst),
            voided: place.voided.load(Ordering::SeqCst),
        }
    }

    /// An answer of this address was kept.
    pub(super) fn land(&self, key: &str) {
        let place = self.place(self.at(key));
        place.landed.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether an answer of this address was kept since.
    pub(super) fn has_landed(&self, since: Stand) -> bool {
        let place = self.place(since.place);
        place.landed.load(Ordering::SeqCst) != since.landed
    }

    /// Whether what is kept of this address was made void since.
    pub(super) fn is_outdated(&self, since: Stand) -> bool {
        let place = self.place(since.place);
        place.voided.load(Ordering::SeqCst) != since.voided
    }

    /// What is kept of these addresses is void from here on, and whatever was asked of them before. Until the cache has let go of
    /// it, hold what this returns.
    pub(super) fn void(self: &Arc<Self>, keys: &[String]) -> Voiding {
        let places: Vec<usize> = keys.iter().map(|key| self.at(key)).collect();
        for at in &places {
            let place = self.place(*at);
            place.voiding.fetch_add(1, Ordering::SeqCst);
            place.voided.fetch_add(1, Ordering::SeqCst);
        }
        Voiding {
            addresses: Arc::clone(self),
            places,
        }
    }

    /// Whether what is kept of this address is void, and may still be there.
    pub(super) fn is_void(&self, key: &str) -> bool {
        let place = self.place(self.at(key));
        place.voiding.load(Ordering::SeqCst) > 0
    }

    fn at(&self, key: &str) -> usize {
        // What is left of a division by `PLACES` fits.
        (self.hasher.hash_one(key) % PLACES as u64) as usize
    }

    fn place(&self, at: usize) -> &Place {
        self.places
            .get(at)
            .expect("it is the rest of a division by how many there are")
    }
}

impl Voiding {
    /// What is kept of these addresses stays void, because nobody is going to let go of it.
    pub(super) fn for_ever(mut self) {
        self.places.clear();
    }
}

impl Drop for Voiding {
    fn drop(&mut self) {
        for at in &self.places {
            let place = self.addresses.place(*at);
            place.voiding.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two keys that share no place.
    fn apart(addresses: &Addresses) -> [String; 2] {
        let first = "http://h/0".to_owned();
        let mut others = (1..).map(|number| format!("http://h/{number}"));
        let second = others.find(|other| addresses.at(other) != addresses.at(&first));
        [first, second.unwrap()]
    }

    #[test]
    fn what_lands_and_what_is_void_is_told_of_its_own_address_alone() {
        let addresses = Arc::new(Addresses::new());
        let [one, other] = apart(&addresses);
        let before = [&one, &other].map(|key| addresses.stand(key));
        addresses.land(&one);
        assert_eq!(
            before.map(|since| addresses.has_landed(since)),
            [true, false]
        );
        assert_eq!(before.map(|since| addresses.is_outdated(since)), [false; 2]);
        let voiding = addresses.void(&[other.clone(), other.clone()]);
        assert_eq!(
            before.map(|since| addresses.is_outdated(since)),
            [false, true]
        );
        assert_eq!(
            [&one, &other].map(|key| addresses.is_void(key)),
            [false, true]
        );
        drop(voiding);
        assert!(!addresses.is_void(&other));
        addresses.void(std::slice::from_ref(&one)).for_ever();
        assert!(addresses.is_void(&one) && !addresses.is_void(&other));
        let after = addresses.stand(&other);
        assert!(!addresses.is_outdated(after) && !addresses.has_landed(after));
    }
}

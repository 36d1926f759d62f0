//! What became of addresses since somebody looked: whether an answer was kept of one, or what is kept was made void.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many places for all addresses, of 24 bytes. Two that share one cost each other a look, or an answer that is not kept, when
/// both are asked for at the same moment; and while what is kept of one is void, nothing of the other is served.
const PLACES: usize = 1_024;

/// What became of all addresses, in bounded room.
#[derive(Debug)]
pub(super) struct Addresses {
    places: Box<[Place]>,
    hasher: RandomState,
    /// The places of what is void, and of which nobody is letting go: each is counted in `voiding` once.
    left: Mutex<BTreeSet<usize>>,
}

#[derive(Debug, Default)]
struct Place {
    /// How often an answer was kept.
    landed: AtomicU64,
    /// How often what is kept was made void.
    voided: AtomicU64,
    /// How many are letting go of what is void, or were to.
    voiding: AtomicUsize,
}

/// How an address stood at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stand {
    place: usize,
    landed: u64,
    voided: u64,
}

/// Nothing that is kept of these addresses is served, until it is said that the cache has let go of it. Where nobody says so, they
/// are left, and somebody else has to.
#[derive(Debug)]
#[must_use]
pub(super) struct Voiding {
    addresses: Arc<Addresses>,
    places: Vec<usize>,
}

impl Addresses {
    pub(super) fn new() -> Self {
        Self {
            places: (0..PLACES).map(|_| Place::default()).collect(),
            hasher: RandomState::new(),
            left: Mutex::default(),
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

    /// What is kept of these addresses is void from here on, and whatever was asked of them before.
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

    /// Whether anything void was left.
    pub(super) fn has_left(&self) -> bool {
        !self.left().is_empty()
    }

    /// What was left so far, for whoever lets go of it: what is kept of each address that is void.
    pub(super) fn take_left(self: &Arc<Self>) -> Option<Voiding> {
        let left = std::mem::take(&mut *self.left());
        (!left.is_empty()).then(|| Voiding {
            addresses: Arc::clone(self),
            places: left.into_iter().collect(),
        })
    }

    fn left(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// The cache has let go of it.
    pub(super) fn end(mut self) {
        for at in self.places.drain(..) {
            let place = self.addresses.place(at);
            place.voiding.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Voiding {
    /// Whatever is not said to be gone is left.
    fn drop(&mut self) {
        if self.places.is_empty() {
            return;
        }
        let mut left = self.addresses.left();
        for at in &self.places {
            // However often it was left, it is counted once: the room for it is bounded by the places.
            if !left.insert(*at) {
                let place = self.addresses.place(*at);
                place.voiding.fetch_sub(1, Ordering::SeqCst);
            }
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
        voiding.end();
        assert!(!addresses.is_void(&other));
        let after = addresses.stand(&other);
        assert!(!addresses.is_outdated(after) && !addresses.has_landed(after));
    }

    #[test]
    fn what_nobody_let_go_of_stays_void_until_somebody_does() {
        let addresses = Arc::new(Addresses::new());
        let [one, other] = apart(&addresses);
        assert!(addresses.take_left().is_none());
        for _ in 0..3 {
            drop(addresses.void(std::slice::from_ref(&one)));
        }
        assert!(addresses.is_void(&one) && !addresses.is_void(&other));
        let again = addresses.take_left().unwrap();
        assert!(addresses.is_void(&one) && !addresses.has_left());
        // Left once more meanwhile: what is let go of now may have come before that.
        drop(addresses.void(std::slice::from_ref(&one)));
        again.end();
        assert!(addresses.is_void(&one));
        // Tried in vain.
        drop(addresses.take_left());
        assert!(addresses.is_void(&one));
        addresses.take_left().unwrap().end();
        assert!(!addresses.is_void(&one) && !addresses.has_left());
    }
}

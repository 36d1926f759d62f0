//! One caller asks, and the others wait for what it brings.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many keys have a caller under way at once; whoever asks for another goes by itself.
const KEYS_MAX: usize = 1_024;

/// So many callers wait for one other; whoever comes then goes by itself.
const WAITERS_MAX: usize = 1_024;

/// Callers that want the same, of whom one goes and the others wait.
///
/// ```
/// use mainstay_cache::{Flights, Turn};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let flights = Flights::new();
/// loop {
///     // Look into the cache first, each time.
///     match flights.turn("https://example.org/list").await {
///         Turn::Lead(lead) => {
///             // Ask the server, and store the answer.
///             lead.shared();
///             break;
///         }
///         Turn::Look => {}      // Somebody stored an answer meanwhile.
///         Turn::Alone => break, // Ask the server: what the other one got was for itself alone.
///     }
/// }
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Defaults
///
/// | what | number | why |
/// |---|---|---|
/// | keys with a caller under way | 1,024 | far above what one process asks at once |
/// | callers that wait for one | 1,024 | the same; beyond both, callers go by themselves |
#[derive(Debug)]
pub struct Flights<K: Eq + Hash + Clone> {
    slots: Arc<Mutex<Slots<K>>>,
}

type Slots<K> = HashMap<K, Arc<Slot>>;

/// One key's: whoever holds the permit leads. Closed, it is over.
#[derive(Debug)]
struct Slot {
    permit: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Callers that lead or wait.
    callers: usize,
    was_shared: bool,
}

/// What a caller does next.
#[derive(Debug)]
pub enum Turn<K: Eq + Hash + Clone> {
    /// Go, and say what came of it. The others wait.
    Lead(Lead<K>),
    /// Somebody else went, and stored what came: look again.
    Look,
    /// Go by yourself: what somebody else got cannot be shared, or too many wait.
    Alone,
}

/// The caller that goes. Dropped without a word, which is what a caller does that gives up, the next one leads.
#[derive(Debug)]
#[must_use = "dropping it lets the next caller lead"]
pub struct Lead<K: Eq + Hash + Clone> {
    seat: Seat<K>,
    _permit: OwnedSemaphorePermit,
}

/// A caller's place, given back when it goes for whatever reason.
#[derive(Debug)]
struct Seat<K: Eq + Hash + Clone> {
    slots: Arc<Mutex<Slots<K>>>,
    slot: Arc<Slot>,
    key: K,
}

impl<K: Eq + Hash + Clone> Flights<K> {
    /// Nobody is under way.
    pub fn new() -> Self {
        Self {
            slots: Arc::default(),
        }
    }

    /// Waits for whoever is under way for `key`, and says what to do next.
    ///
    /// Dropping the future gives the place up, and nobody else notices. There is no limit of time: the leader has one.
    pub async fn turn(&self, key: K) -> Turn<K> {
        let Some(seat) = self.sit_down(key) else {
            return Turn::Alone;
        };
        let permit = Arc::clone(&seat.slot.permit);
        match permit.acquire_owned().await {
            Ok(permit) => Turn::Lead(Lead {
                seat,
                _permit: permit,
            }),
            // Closed: the leader is done.
            Err(_) if lock(&seat.slot.state).was_shared => Turn::Look,
            Err(_) => Turn::Alone,
        }
    }

    /// How many keys have a caller under way.
    pub fn len(&self) -> usize {
        lock(&self.slots).len()
    }

    /// Whether nobody is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn sit_down(&self, key: K) -> Option<Seat<K>> {
        let mut slots = lock(&self.slots);
        let is_full = slots.len() >= KEYS_MAX && !slots.contains_key(&key);
        if is_full {
            return None;
        }
        let slot = slots.entry(key.clone()).or_insert_with(|| {
            Arc::new(Slot {
                permit: Arc::new(Semaphore::new(1)),
                state: Mutex::default(),
            })
        });
        let slot = Arc::clone(slot);
        {
            let mut state = lock(&slot.state);
            if state.callers > WAITERS_MAX {
                return None;
            }
            state.callers += 1;
        }
        Some(Seat {
            slots: Arc::clone(&self.slots),
            slot,
            key,
        })
    }
}

impl<K: Eq + Hash + Clone> Default for Flights<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash + Clone> Lead<K> {
    /// What came is stored: those who wait look again.
    pub fn shared(self) {
        self.land(true);
    }

    /// What came is for this caller alone: those who wait go by themselves, all at once.
    pub fn not_shared(self) {
        self.land(false);
    }

    fn land(self, was_shared: bool) {
        let seat = &self.seat;
        // Whoever comes from here on begins anew.
        seat.leave_map();
        lock(&seat.slot.state).was_shared = was_shared;
        seat.slot.permit.close();
    }
}

impl<K: Eq + Hash + Clone> Seat<K> {
    fn leave_map(&self) {
        let mut slots = lock(&self.slots);
        let is_ours = slots.get(&self.key);
        if is_ours.is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            slots.remove(&self.key);
        }
    }
}

impl<K: Eq + Hash + Clone> Drop for Seat<K> {
    fn drop(&mut self) {
        // Under the lock of all, so that nobody sits down between the last one's leaving and the slot's.
        let mut slots = lock(&self.slots);
        let callers = {
            let mut state = lock(&self.slot.state);
            state.callers -= 1;
            state.callers
        };
        let is_ours = slots.get(&self.key);
        if callers == 0 && is_ours.is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            slots.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! One rate limit for each host, tenant or user, in bounded memory.

use crate::error::{InvalidSettings, Rejection};
use crate::limiter::bucket::Rate;
use crate::limiter::{RateLimit, RateLimiter};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use mainstay_clock::{Moment, SharedClock};
use serde::Serialize;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// At the bound, at least this part of the keys goes at once. A sweep looks at every key; so it costs each new key ten looks.
const SWEPT_PART: usize = 10;

/// The limit of each key, and how many keys are known.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `limit` | [`RateLimit::default`] | |
/// | `keys_max` | 10,000 | about 3 MB with short keys; more hosts than anybody talks to |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedLimit {
    /// What each key may have.
    pub limit: RateLimit,
    /// How many keys are known at most; at least 1.
    pub keys_max: usize,
}

/// A [`RateLimiter`] for each key, made when the key is first seen and forgotten when there are too many.
///
/// Where there is no room for another key, those whose bucket is full go first: to forget them changes nothing. If those are
/// fewer than a tenth, the least recently used follow, and a forgotten key begins anew with a full bucket: who can make up keys
/// without end can have more than their part, at the price of keeping the memory bounded. A key that somebody waits for is never
/// forgotten; where all are waited for, a new one is turned away. Nobody has to call anything for this.
pub struct KeyedLimiter<K> {
    name: Arc<str>,
    clock: SharedClock,
    keys_max: usize,
    forgotten: AtomicU64,
    keys: Mutex<Keys<K>>,
}

struct Keys<K> {
    rate: Rate,
    /// Counts the uses; the number of its last use tells how long ago a key was used.
    uses: u64,
    known: HashMap<K, Known>,
}

struct Known {
    limiter: Arc<RateLimiter>,
    used: u64,
}

/// What a [`KeyedLimiter`] is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyedStatus {
    /// How many keys are known.
    pub keys: usize,
    /// How many there may be.
    pub keys_max: usize,
    /// How many were forgotten to make room.
    pub forgotten: u64,
}

// === impl KeyedLimit ===

impl Default for KeyedLimit {
    fn default() -> Self {
        Self {
            limit: RateLimit::default(),
            keys_max: 10_000,
        }
    }
}

// === impl KeyedLimiter ===

impl<K: Hash + Eq> KeyedLimiter<K> {
    /// A limiter that knows no key yet.
    ///
    /// # Errors
    ///
    /// Where the limit is refused by [`RateLimiter::new`], or `keys_max` is 0.
    pub fn new(
        name: impl Into<Arc<str>>,
        settings: KeyedLimit,
        clock: SharedClock,
    ) -> Result<Self, InvalidSettings> {
        if settings.keys_max == 0 {
            return Err(InvalidSettings::new(
                "a keyed rate limit of 0 keys would let nothing pass: `keys_max` is at least 1",
            ));
        }
        let keys = Keys {
            rate: settings.limit.check()?,
            uses: 0,
            known: HashMap::new(),
        };
        Ok(Self {
            name: name.into(),
            clock,
            keys_max: settings.keys_max,
            forgotten: AtomicU64::new(0),
            keys: Mutex::new(keys),
        })
    }

    /// Takes `n` permits of `key`; see [`RateLimiter::try_acquire`].
    ///
    /// # Errors
    ///
    /// As there; also where `key` is new, and somebody waits for each of those that are known.
    pub fn try_acquire<Q>(&self, key: &Q, n: u32) -> Result<(), Rejection>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let now = self.clock.now();
        self.with(key, now, |limiter| limiter.try_acquire_at(now, n))?
    }

    /// Takes `n` permits of `key`, and waits for them for up to `max_wait`; see [`RateLimiter::acquire`].
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub async fn acquire<Q>(&self, key: &Q, n: u32, max_wait: Duration) -> Result<(), Rejection>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let limiter = self.with(key, self.clock.now(), Arc::clone)?;
        limiter.acquire(n, max_wait).await
    }

    /// Takes what a server said to `key` into account; see [`RateLimiter::observe`].
    ///
    /// # Errors
    ///
    /// Where `key` is new, and somebody waits for each of those that are known.
    pub fn observe<Q>(
        &self,
        key: &Q,
        remaining: Option<u64>,
        reset_in: Option<Duration>,
        retry_after: Option<Duration>,
    ) -> Result<(), Rejection>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.with(key, self.clock.now(), |limiter| {
            limiter.observe(remaining, reset_in, retry_after);
        })
    }

    /// Changes the settings of every key; see [`RateLimiter::set`].
    ///
    /// # Errors
    ///
    /// As there; then all stays as it was.
    pub fn set(&self, limit: RateLimit) -> Result<(), InvalidSettings> {
        let rate = limit.check()?;
        let mut keys = self.keys();
        keys.rate = rate;
        for known in keys.known.values() {
            known.limiter.set_rate(rate);
        }
        Ok(())
    }

    /// Ends the holds of all keys at once; see [`RateLimiter::release`].
    pub fn release(&self) {
        for known in self.keys().known.values() {
            known.limiter.release();
        }
    }

    /// What it is doing.
    pub fn status(&self) -> KeyedStatus {
        KeyedStatus {
            keys: self.keys().known.len(),
            keys_max: self.keys_max,
            forgotten: self.forgotten.load(Ordering::Relaxed),
        }
    }

    /// What `act` makes of the limiter of `key`.
    fn with<Q, T>(
        &self,
        key: &Q,
        now: Moment,
        act: impl FnOnce(&Arc<RateLimiter>) -> T,
    ) -> Result<T, Rejection>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let mut keys = self.keys();
        keys.uses += 1;
        let used = keys.uses;
        if let Some(known) = keys.known.get_mut(key) {
            known.used = used;
            return Ok(act(&known.limiter));
        }
        let limiter = RateLimiter::of(Arc::clone(&self.name), keys.rate, Arc::clone(&self.clock));
        if self.keys_max <= keys.known.len() {
            let forgotten = keys.make_room(now);
            if forgotten == 0 {
                return Err(limiter.reject_full());
            }
            self.forgotten.fetch_add(forgotten, Ordering::Relaxed);
        }
        let limiter = Arc::new(limiter);
        let acted = act(&limiter);
        keys.known.insert(key.to_owned(), Known { limiter, used });
        Ok(acted)
    }

    fn keys(&self) -> MutexGuard<'_, Keys<K>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`KeyedLimiter`], whatever its keys are: how a [`Registry`](crate::Registry) has it.
pub trait AnyKeyed: fmt::Debug + Send + Sync {
    /// As [`KeyedLimiter::status`].
    fn status(&self) -> KeyedStatus;

    /// As [`KeyedLimiter::set`].
    ///
    /// # Errors
    ///
    /// As there.
    fn set(&self, limit: RateLimit) -> Result<(), InvalidSettings>;

    /// As [`KeyedLimiter::release`].
    fn release(&self);
}

impl<K: Hash + Eq + Send> AnyKeyed for KeyedLimiter<K> {
    fn status(&self) -> KeyedStatus {
        Self::status(self)
    }

    fn set(&self, limit: RateLimit) -> Result<(), InvalidSettings> {
        Self::set(self, limit)
    }

    fn release(&self) {
        Self::release(self);
    }
}

impl<K> fmt::Debug for KeyedLimiter<K> {
    /// Without the keys: they may be names of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLimiter")
            .field("name", &self.name)
            .field("keys_max", &self.keys_max)
            .finish_non_exhaustive()
    }
}

// === impl Keys ===

impl<K: Hash + Eq> Keys<K> {
    /// Forgets every key that is idle, and then the least recently used, until there is some room. Answers how many.
    fn make_room(&mut self, now: Moment) -> u64 {
        let before = self.known.len();
        let enough = before.div_ceil(SWEPT_PART);
        self.known
            .retain(|_, known| !known.can_go() || !known.limiter.is_idle(now));
        let missing = (enough + self.known.len()).saturating_sub(before);
        if 0 < missing {
            let mut uses: Vec<u64> = self
                .known
                .values()
                .filter(|known| known.can_go())
                .map(|known| known.used)
                .collect();
            if missing < uses.len() {
                uses.select_nth_unstable(missing - 1);
                uses.truncate(missing);
            }
            let last = uses.into_iter().max().unwrap_or(0);
            self.known
                .retain(|_, known| !known.can_go() || last < known.used);
        }
        (before - self.known.len()) as u64
    }
}

impl Known {
    /// Whoever waits in line holds the limiter too. A new one takes it under the lock, so that this cannot change meanwhile.
    fn can_go(&self) -> bool {
        Arc::strong_count(&self.limiter) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    const SECOND: Duration = Duration::from_secs(1);

    fn keyed<K: Hash + Eq>(keys_max: usize) -> (KeyedLimiter<K>, ManualClock) {
        let clock = ManualClock::new();
        let limit = RateLimit {
            permits: 1,
            per: SECOND,
            burst: 2,
        };
        let settings = KeyedLimit { limit, keys_max };
        let limiter = KeyedLimiter::new("hosts", settings, Arc::new(clock.clone())).unwrap();
        (limiter, clock)
    }

    #[test]
    fn each_key_has_a_limit_of_its_own() {
        let (limiter, clock) = keyed::<String>(10);
        limiter.try_acquire("a", 2).unwrap();
        let rejection = limiter.try_acquire("a", 1).unwrap_err();
        assert_eq!(rejection.retry_after, Some(SECOND));
        limiter.try_acquire("b", 2).unwrap();
        clock.advance(SECOND);
        limiter.try_acquire("a", 1).unwrap();
        assert_eq!(limiter.status().keys, 2);
    }

    #[test]
    fn keys_that_are_idle_go_first_and_then_the_least_recently_used() {
        let (limiter, clock) = keyed::<u32>(10);
        // The keys 0 to 4 are full again after two seconds; 5 to 9 are used once more, 5 last.
        for key in 0..10 {
            limiter.try_acquire(&key, 1).unwrap();
        }
        clock.advance(2 * SECOND);
        for key in (5..10).rev() {
            limiter.try_acquire(&key, 2).unwrap();
        }
        limiter.try_acquire(&10, 1).unwrap();
        assert_eq!((limiter.status().keys, limiter.status().forgotten), (6, 5));
        assert!(limiter.try_acquire(&6, 1).is_err(), "in use, so it is kept");

        // Ten again, and none is idle: the least recently used goes, and only that.
        for key in 11..15 {
            limiter.try_acquire(&key, 2).unwrap();
        }
        limiter.try_acquire(&15, 2).unwrap();
        assert_eq!((limiter.status().keys, limiter.status().forgotten), (10, 6));
        for key in [5, 6, 7, 8] {
            assert!(limiter.try_acquire(&key, 1).is_err(), "{key}");
        }
        limiter
            .try_acquire(&9, 2)
            .expect("forgotten, so it begins anew");
    }

    #[test]
    fn a_key_that_somebody_waits_for_is_not_forgotten() {
        let (limiter, clock) = keyed::<u32>(1);
        limiter.try_acquire(&1, 2).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut waits = pin!(limiter.acquire(&1, 1, Duration::MAX));
            assert_eq!(waits.as_mut().poll(&mut cx), Poll::Pending);
            assert!(limiter.try_acquire(&2, 1).is_err());
            clock.advance(SECOND);
            assert_eq!(waits.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
        }
        limiter.try_acquire(&2, 1).unwrap();
        assert_eq!(limiter.status().keys, 1);
    }

    #[test]
    fn a_storm_of_a_million_keys_stays_within_the_bound() {
        let (limiter, _clock) = keyed::<u64>(1_000);
        for key in 0..1_000_000_u64 {
            limiter.try_acquire(&key, 1).unwrap();
            if key % 1_000 == 0 {
                assert!(limiter.status().keys <= 1_000);
            }
        }
        let status = limiter.status();
        assert!(status.keys <= 1_000);
        assert_eq!(status.forgotten + status.keys as u64, 1_000_000);
        let keys = limiter.keys();
        assert!(keys.known.capacity() < 4_000, "{}", keys.known.capacity());
    }

    #[test]
    fn a_hold_is_for_its_key_alone_and_is_not_forgotten_as_idle() {
        let (limiter, clock) = keyed::<u32>(2);
        limiter.observe(&1, None, None, Some(9 * SECOND)).unwrap();
        limiter.try_acquire(&2, 1).unwrap();
        clock.advance(5 * SECOND);
        limiter.try_acquire(&3, 1).unwrap();
        let rejection = limiter.try_acquire(&1, 1).unwrap_err();
        assert_eq!(rejection.retry_after, Some(4 * SECOND));
    }

    #[test]
    fn a_change_reaches_the_keys_that_are_known_and_those_to_come() {
        let (limiter, _clock) = keyed::<u32>(10);
        limiter.try_acquire(&1, 2).unwrap();
        let limit = RateLimit {
            permits: 1,
            per: SECOND,
            burst: 3,
        };
        limiter.set(limit).unwrap();
        limiter.try_acquire(&1, 1).unwrap();
        limiter.try_acquire(&2, 3).unwrap();
        assert!(limiter.try_acquire(&1, 1).is_err());
        assert!(limiter.set(RateLimit { burst: 0, ..limit }).is_err());
    }

    #[test]
    fn no_room_for_any_key_is_refused_and_the_keys_are_not_shown() {
        let clock = mainstay_clock::system();
        let settings = KeyedLimit {
            keys_max: 0,
            ..KeyedLimit::default()
        };
        let refused = KeyedLimiter::<String>::new("hosts", settings, clock).unwrap_err();
        assert!(refused.to_string().contains("keys_max"));
        let (limiter, _clock) = keyed::<String>(10);
        limiter.try_acquire("secret", 1).unwrap();
        assert!(!format!("{limiter:?}").contains("secret"));
    }
}

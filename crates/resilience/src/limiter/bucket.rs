//! How much may pass now, in one word that every thread changes without a lock.
//!
//! The generic cell rate algorithm (ITU-T I.371): instead of counting tokens, the word holds the time at which the bucket would
//! be full again. A permit moves it on by one interval; a call passes while it lies no further ahead than `burst` intervals.
//! Nothing has to be filled up in the meantime, and there is no window that begins anew and lets twice the number through.
//!
//! ```text
//!   63     62…60      59…0
//!   line │ changes │ full again at, in nanoseconds since the clock's origin: 36 years
//! ```
//!
//! - `line`: somebody waits in line, or the settings are being changed. Who finds it set goes to the lock, so that nobody passes
//!   those who wait. It is set and cleared under the lock only.
//! - `changes` counts the changes of the settings. A thread that read the settings while they changed fails to exchange the
//!   word: it was marked before the change, and has another number after it.

use super::Refusal;
use crate::error::InvalidSettings;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

const LINE: u64 = 1 << 63;
const CHANGE: u64 = 1 << 60;
const CHANGES: u64 = 7 * CHANGE;
const TIME: u64 = CHANGE - 1;

/// An empty bucket is full again within ten years, so that sums of times stay far from the end of the word.
const FILL_MAX: u64 = 10 * 365 * 86_400 * 1_000_000_000;

/// Settings that were checked: `interval` nanoseconds for each permit, and at most `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(super) interval: u64,
    pub(super) burst: u32,
}

#[derive(Debug)]
pub(super) struct Bucket {
    word: AtomicU64,
    interval: AtomicU64,
    burst: AtomicU32,
    /// Nothing passes before; zero where nothing is held.
    held_until: AtomicU64,
}

// === impl Rate ===

impl Rate {
    pub(super) fn new(permits: u32, per: Duration, burst: u32) -> Result<Self, InvalidSettings> {
        if permits == 0 || burst == 0 {
            return Err(InvalidSettings::new(
                "a rate limit of no permits, or with a burst of 0, would let nothing pass: both are at least 1",
            ));
        }
        let nanos = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        if nanos < u64::from(permits) {
            return Err(InvalidSettings::new(format!(
                "a rate limit of {permits} permits in {per:?} is more than one in a nanosecond"
            )));
        }
        // Rounded up: a limit may let a billionth too few through, never one too many.
        let interval = nanos.div_ceil(u64::from(permits));
        match interval.checked_mul(u64::from(burst)) {
            Some(fill) if fill <= FILL_MAX => Ok(Self { interval, burst }),
            _ => Err(InvalidSettings::new(format!(
                "a rate limit of {permits} permits in {per:?} would take more than ten years for a burst of {burst}"
            ))),
        }
    }
}

// === impl Bucket ===

impl Bucket {
    pub(super) fn full(rate: Rate) -> Self {
        Self {
            word: AtomicU64::new(0),
            interval: AtomicU64::new(rate.interval),
            burst: AtomicU32::new(rate.burst),
            held_until: AtomicU64::new(0),
        }
    }

    /// Takes `n` permits at `now`, unless there is a line.
    #[inline]
    pub(super) fn take(&self, now: u64, n: u32) -> Result<(), Refusal> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word & LINE != 0 {
                return Err(Refusal::Line);
            }
            word = match self.weigh(word, now, n, 0) {
                // Release: see `changes` at the top; what was read of the settings was read before the exchange.
                Ok(next) => match self.word.compare_exchange_weak(
                    word,
                    next,
                    Ordering::AcqRel,
                    Ordering::Acquire,
                ) {
                    Ok(_) => return Ok(()),
                    Err(seen) => seen,
                },
                Err(refusal) => {
                    let seen = self.word.load(Ordering::Acquire);
                    if (seen ^ word) & !TIME == 0 {
                        return Err(refusal);
                    }
                    seen
                }
            };
        }
    }

    /// Whether `n` permits would pass at `now`.
    pub(super) fn ready(&self, now: u64, n: u32) -> Result<(), Refusal> {
        let word = self.word.load(Ordering::Acquire);
        if word & LINE != 0 {
            return Err(Refusal::Line);
        }
        self.weigh(word, now, n, 0).map(drop)
    }

    /// Takes `n` permits at `now` for the head of the line. Only under the lock.
    pub(super) fn take_in_line(&self, now: u64, n: u32) -> Result<(), Refusal> {
        let word = self.word.load(Ordering::Acquire);
        let next = self.weigh(word, now, n, 0)?;
        // While the mark of the line is set, nobody but the holder of the lock changes the word.
        self.word.store(next, Ordering::Release);
        Ok(())
    }

    /// Why a call for `n` permits does not pass behind `ahead` others. Only under the lock.
    pub(super) fn behind(&self, ahead: u64, now: u64, n: u32) -> Refusal {
        let word = self.word.load(Ordering::Acquire);
        match self.weigh(word, now, n, ahead) {
            Ok(_) => Refusal::After(0),
            Err(refusal) => refusal,
        }
    }

    /// Marks the word, so that everybody comes to the lock. Only under the lock.
    pub(super) fn form_line(&self) {
        self.word.fetch_or(LINE, Ordering::AcqRel);
    }

    /// Only under the lock.
    pub(super) fn end_line(&self) {
        self.word.fetch_and(!LINE, Ordering::AcqRel);
    }

    /// Other settings from now on; the same number of permits stays taken. Only under the lock.
    pub(super) fn change(&self, rate: Rate, now: u64) {
        let word = self.word.fetch_or(LINE, Ordering::AcqRel);
        let before = self.interval.swap(rate.interval, Ordering::Relaxed);
        self.burst.store(rate.burst, Ordering::Relaxed);
        let full = word & TIME;
        let owed = u128::from(full.saturating_sub(now)) * u128::from(rate.interval);
        let full = match u64::try_from(owed.div_ceil(u128::from(before))).unwrap_or(TIME) {
            0 => full,
            owed => now.saturating_add(owed).min(TIME),
        };
        let changes = word.wrapping_add(CHANGE) & CHANGES;
        self.word
            .store((word & LINE) | changes | full, Ordering::Release);
    }

    /// Leaves no more than `left` permits. Only under the lock.
    pub(super) fn drain(&self, left: u64, now: u64) {
        let word = self.word.fetch_or(LINE, Ordering::AcqRel);
        let left = left.min(u64::from(self.burst.load(Ordering::Relaxed)));
        let taken = self
            .fill()
            .saturating_sub(left.saturating_mul(self.interval.load(Ordering::Relaxed)));
        let full = (word & TIME).max(now.saturating_add(taken)).min(TIME);
        self.word.store((word & !TIME) | full, Ordering::Release);
    }

    /// Lets nothing pass before `until`, and does not shorten a hold that lasts longer.
    pub(super) fn hold(&self, until: u64) {
        self.held_until.fetch_max(until, Ordering::AcqRel);
    }

    pub(super) fn release(&self) {
        self.held_until.store(0, Ordering::Release);
    }

    /// How long nothing passes, in nanoseconds.
    pub(super) fn held_for(&self, now: u64) -> u64 {
        self.held_until.load(Ordering::Acquire).saturating_sub(now)
    }

    /// How many permits the bucket holds.
    pub(super) fn available(&self, now: u64) -> u32 {
        let full = self.word.load(Ordering::Acquire) & TIME;
        let missing = full.saturating_sub(now);
        (self.fill().saturating_sub(missing) / self.interval.load(Ordering::Relaxed)) as u32
    }

    /// Whether forgetting it would change nothing for anybody.
    pub(super) fn is_idle(&self, now: u64) -> bool {
        let word = self.word.load(Ordering::Acquire);
        word & LINE == 0 && word & TIME <= now && self.held_for(now) == 0
    }

    pub(super) fn interval(&self) -> u64 {
        self.interval.load(Ordering::Relaxed)
    }

    pub(super) fn burst(&self) -> u32 {
        self.burst.load(Ordering::Relaxed)
    }

    /// How long an empty bucket takes to be full. It wraps only where the settings are read while they change, and then the
    /// result is thrown away.
    fn fill(&self) -> u64 {
        self.interval().wrapping_mul(u64::from(self.burst()))
    }

    /// The word after `n` more permits behind `ahead` others, or why they do not pass now: also where the word has no room for the
    /// time, at its end.
    #[inline]
    fn weigh(&self, word: u64, now: u64, n: u32, ahead: u64) -> Result<u64, Refusal> {
        if n > self.burst() {
            return Err(Refusal::Never);
        }
        let start = now.max(self.held_until.load(Ordering::Acquire));
        let cost = self
            .interval()
            .saturating_mul(ahead.saturating_add(u64::from(n)));
        let full = (word & TIME).max(start).saturating_add(cost);
        if full > TIME {
            return Err(Refusal::Never);
        }
        let earliest = full.saturating_sub(self.fill()).max(start);
        if earliest <= now {
            Ok((word & !TIME) | full)
        } else {
            Err(Refusal::After(earliest.saturating_sub(now)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread that read the word and half of the settings before a change would exchange the word after it.
    #[test]
    fn a_change_leaves_another_word_behind_even_if_nothing_is_different() {
        let rate = Rate::new(1, Duration::from_secs(1), 3).unwrap();
        for taken in 0..3 {
            let bucket = Bucket::full(rate);
            bucket.take(5, taken).unwrap();
            let before = bucket.word.load(Ordering::Acquire);
            let mut seen = vec![before];
            for _ in 0..7 {
                bucket.change(rate, 5);
                let word = bucket.word.load(Ordering::Acquire);
                assert_eq!(word & TIME, before & TIME);
                assert!(!seen.contains(&word));
                seen.push(word);
            }
        }
    }
}

//! What happened lately: counts of the last while, or of the last calls.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use mainstay_clock::Moment;
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

/// So many pieces a window of time has at most; what is counted leaves it piece by piece.
const SLOTS: u64 = 16;

/// Counts of `N` kinds over a window of time that moves with the clock.
///
/// A count is exact to one part in eight of the window at its far end. Adding takes no lock, but for the first of each piece.
#[derive(Debug)]
pub(crate) struct TimeWindow<const N: usize> {
    /// A piece is two to the power of this many nanoseconds long.
    shift: AtomicU32,
    /// So many pieces are the window.
    span: AtomicU64,
    slots: [Slot<N>; SLOTS as usize],
    turning: Mutex<()>,
}

#[derive(Debug)]
struct Slot<const N: usize> {
    /// Which piece of time it counts, plus 1; 0 is none.
    piece: AtomicU64,
    counts: [AtomicU32; N],
}

impl<const N: usize> TimeWindow<N> {
    pub(crate) fn new(length: Duration) -> Self {
        let window = Self {
            shift: AtomicU32::new(0),
            span: AtomicU64::new(1),
            slots: std::array::from_fn(|_| Slot {
                piece: AtomicU64::new(0),
                counts: std::array::from_fn(|_| AtomicU32::new(0)),
            }),
            turning: Mutex::new(()),
        };
        window.resize(length);
        window
    }

    /// Gives it another length, and forgets what it counted.
    pub(crate) fn resize(&self, length: Duration) {
        let nanos = u64::try_from(length.as_nanos())
            .unwrap_or(u64::MAX)
            .max(SLOTS);
        let shift = (nanos / (SLOTS / 2)).ilog2();
        let _turning = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        // Between 8 and 16 pieces, of which the newest is still growing.
        self.span
            .store(nanos.div_ceil(1 << shift).min(SLOTS), Ordering::Relaxed);
        self.shift.store(shift, Ordering::Relaxed);
        self.forget();
    }

    pub(crate) fn clear(&self) {
        let _turning = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget();
    }

    /// Only under the lock.
    fn forget(&self) {
        for slot in &self.slots {
            slot.piece.store(0, Ordering::Release);
        }
    }

    fn piece(&self, now: Moment) -> u64 {
        (now.nanos() >> self.shift.load(Ordering::Relaxed)) + 1
    }

    /// Adds one to each kind that is named.
    pub(crate) fn add(&self, now: Moment, kinds: [bool; N]) {
        let piece = self.piece(now);
        let Some(slot) = self.slots.get((piece % SLOTS) as usize) else {
            return;
        };
        if slot.piece.load(Ordering::Acquire) != piece && !self.turn(slot, piece, now) {
            return;
        }
        for (count, is_named) in slot.counts.iter().zip(kinds) {
            if is_named {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Makes the slot count this piece; whoever comes too late for its piece counts nothing.
    #[cold]
    fn turn(&self, slot: &Slot<N>, piece: u64, now: Moment) -> bool {
        let _turning = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        if self.piece(now) != piece {
            // The window got another length meanwhile.
            return false;
        }
        let there = slot.piece.load(Ordering::Acquire);
        if there < piece {
            for count in &slot.counts {
                count.store(0, Ordering::Relaxed);
            }
            slot.piece.store(piece, Ordering::Release);
        }
        there <= piece
    }

    /// What the window holds now.
    pub(crate) fn sums(&self, now: Moment) -> [u64; N] {
        let piece = self.piece(now);
        let oldest = piece.saturating_sub(self.span.load(Ordering::Relaxed));
        let mut sums = [0; N];
        for slot in &self.slots {
            let counted = slot.piece.load(Ordering::Acquire);
            if counted > oldest && counted <= piece {
                for (sum, count) in sums.iter_mut().zip(&slot.counts) {
                    *sum += u64::from(count.load(Ordering::Relaxed));
                }
            }
        }
        sums
    }
}

/// How one call went, for a window of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Went {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// Counts over the last calls.
#[derive(Debug)]
pub(crate) struct CallWindow {
    calls: VecDeque<Went>,
    length: usize,
    failed: u64,
    slow: u64,
}

impl CallWindow {
    pub(crate) fn new(length: u32) -> Self {
        Self {
            calls: VecDeque::with_capacity(length as usize),
            length: length as usize,
            failed: 0,
            slow: 0,
        }
    }

    pub(crate) fn add(&mut self, went: Went) {
        if self.calls.len() >= self.length
            && let Some(oldest) = self.calls.pop_front()
        {
            self.failed -= u64::from(oldest.failed);
            self.slow -= u64::from(oldest.slow);
        }
        self.calls.push_back(went);
        self.failed += u64::from(went.failed);
        self.slow += u64::from(went.slow);
    }

    /// All, failed, slow.
    pub(crate) fn sums(&self) -> [u64; 3] {
        [self.calls.len() as u64, self.failed, self.slow]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Moment {
        Moment::ORIGIN + Duration::from_millis(millis)
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let window = TimeWindow::<2>::new(10 * SECOND);
        window.add(at(0), [true, false]);
        window.add(at(100), [true, true]);
        assert_eq!(window.sums(at(100)), [2, 1]);
        assert_eq!(window.sums(at(8_000)), [2, 1]);
        assert_eq!(window.sums(at(12_000)), [0, 0]);
        window.add(at(1_000_000), [true, false]);
        assert_eq!(window.sums(at(1_000_000)), [1, 0]);
        window.resize(SECOND);
        assert_eq!(window.sums(at(1_000_000)), [0, 0]);
    }

    #[test]
    fn threads_that_add_at_once_are_all_counted() {
        let window = TimeWindow::<1>::new(10 * SECOND);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        window.add(at(5), [true]);
                    }
                });
            }
        });
        assert_eq!(window.sums(at(5)), [80_000]);
    }

    proptest! {
        /// The window never forgets what is younger than seven eighths of it, and never remembers what is older than it.
        #[test]
        fn a_window_of_time_holds_what_is_young_and_drops_what_is_old(
            steps in prop::collection::vec(0..4_000_u64, 1..200),
            length in 100..20_000_u64,
        ) {
            let window = TimeWindow::<1>::new(Duration::from_millis(length));
            let mut added = Vec::new();
            let mut now = 0;
            for step in steps {
                now += step;
                window.add(at(now), [true]);
                added.push(now);
                let [sum] = window.sums(at(now));
                let surely = added.iter().filter(|then| now - **then < length * 7 / 8).count() as u64;
                let perhaps = added.iter().filter(|then| now - **then <= length * 9 / 8).count() as u64;
                prop_assert!((surely..=perhaps).contains(&sum), "{surely} {sum} {perhaps}");
            }
        }

        #[test]
        fn a_window_of_calls_holds_the_last_ones(
            calls in prop::collection::vec((any::<bool>(), any::<bool>()), 0..300),
            length in 1..50_u32,
        ) {
            let mut window = CallWindow::new(length);
            for (failed, slow) in &calls {
                window.add(Went { failed: *failed, slow: *slow });
            }
            let last = calls.iter().rev().take(length as usize);
            let failed = last.clone().filter(|(failed, _)| *failed).count() as u64;
            let slow = last.clone().filter(|(_, slow)| *slow).count() as u64;
            prop_assert_eq!(window.sums(), [last.count() as u64, failed, slow]);
        }
    }
}

//! A segment in the making: how whoever fills it keeps out of the way of those who write, and how they get it in time.

use crate::spare::Spare;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard};
use std::sync::PoisonError;
use std::time::Duration;

/// Whoever fills a segment goes on after this long although nothing was written: then nobody is in the way.
const PATIENCE: Duration = Duration::from_millis(2);

/// For each two bytes that are written three are filled: begun when a quarter of a segment is written, the next one is there
/// before the rest of it is.
const WRITTEN: u64 = 2;
const FILLED: u64 = 3;

/// So much is filled without waiting for anybody: less than is worth the wait.
const AT_ONCE: u64 = 1024 * 1024;

/// A segment that is needed before it is finished ends where it is, if it has this many bytes.
const LEAST: u64 = 8 * 1024 * 1024;

/// What whoever fills a segment is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Go,
    /// The segment is needed now, as far as it is filled.
    Enough,
    /// Nobody wants it any more.
    Stop,
}

/// Shared by the log, which may need the segment at once, and the one that makes it.
#[derive(Debug, Default)]
pub(crate) struct Making {
    state: Mutex<State>,
    changed: Condvar,
    /// The same as in the state, for those who look without waiting.
    is_busy: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    is_busy: bool,
    /// How many bytes may be filled before the log has to be waited for.
    credit: u64,
    /// What credit has to come to before there is something to do.
    wanted: u64,
    /// How often something was written.
    writes: u64,
    /// The log waits for so many bytes.
    needed: Option<u64>,
    made: Option<Spare>,
    is_closing: bool,
}

/// Held while a segment is in the making; nobody waits for one that will not come.
pub(crate) struct Busy<'a> {
    making: &'a Making,
    made: Option<Spare>,
}

impl Busy<'_> {
    /// Hands over what was made; whoever comes first takes it.
    pub(crate) fn made(mut self, spare: Spare) {
        self.made = Some(spare);
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.making.end(self.made.take());
    }
}

impl Making {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // === The one that makes it ===

    /// Says that a segment is in the making, until what it gives is dropped.
    pub(crate) fn begin(&self) -> Busy<'_> {
        let mut state = self.state();
        state.is_busy = true;
        state.credit = 0;
        self.is_busy.store(true, Ordering::Relaxed);
        Busy {
            making: self,
            made: None,
        }
    }

    /// Waits for its turn, once so many bytes are filled and so many more are to come in one piece.
    pub(crate) fn next(&self, filled: u64, piece: u64) -> Next {
        let mut state = self.state();
        state.wanted = piece;
        loop {
            let is_due = state.wanted <= state.credit || state.needed.is_some();
            if filled < AT_ONCE || is_due || state.is_closing {
                break;
            }
            let before = state.writes;
            let waited = self.changed.wait_timeout(state, PATIENCE);
            let (after, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = after;
            if waited.timed_out() && state.writes == before {
                break;
            }
        }
        state.credit = state.credit.saturating_sub(piece);
        match state.needed {
            _ if state.is_closing => Next::Stop,
            Some(needed) if needed.max(LEAST) <= filled => Next::Enough,
            _ => Next::Go,
        }
    }

    fn end(&self, made: Option<Spare>) {
        let mut state = self.state();
        state.is_busy = false;
        state.needed = None;
        state.made = made;
        self.is_busy.store(false, Ordering::Relaxed);
        self.changed.notify_all();
    }

    // === The log ===

    /// Says that so many bytes were written: the disk has a moment for others now.
    pub(crate) fn wrote(&self, bytes: u64) {
        if self.is_busy.load(Ordering::Relaxed) {
            let mut state = self.state();
            state.writes += 1;
            state.credit += bytes * FILLED / WRITTEN;
            if state.wanted <= state.credit {
                self.changed.notify_all();
            }
        }
    }

    /// What was made and not taken yet.
    pub(crate) fn take(&self) -> Option<Spare> {
        self.state().made.take()
    }

    /// Waits for what is in the making, and takes it; at once where nothing is. It has `needed` bytes or is all that the disk
    /// has room for.
    pub(crate) fn hurry(&self, needed: u64) -> Option<Spare> {
        let mut state = self.state();
        if state.is_busy {
            state.needed = Some(needed);
            self.changed.notify_all();
        }
        let ended = self.changed.wait_while(state, |state| state.is_busy);
        ended.unwrap_or_else(PoisonError::into_inner).made.take()
    }

    /// Nothing is made from now on.
    pub(crate) fn close(&self) {
        self.state().is_closing = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.state().is_closing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = 128 * 1024;

    #[test]
    fn whoever_needs_a_segment_gets_it_as_far_as_it_is_filled() {
        let making = Making::default();
        let busy = making.begin();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| making.hurry(4096));
            let mut filled = AT_ONCE;
            while making.next(filled, PIECE) == Next::Go {
                filled += PIECE;
            }
            assert_eq!(making.next(filled, PIECE), Next::Enough);
            assert!(filled >= LEAST);
            busy.made(Spare {
                id: 7,
                size: filled,
            });
            let spare = waiting.join().unwrap().unwrap();
            assert_eq!((spare.id, spare.size), (7, filled));
        });
        assert!(making.take().is_none(), "it is given to one alone");
    }

    #[test]
    fn nobody_waits_for_a_segment_that_will_not_come() {
        let making = Making::default();
        assert!(making.hurry(4096).is_none(), "nothing is in the making");
        let busy = making.begin();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| making.hurry(4096));
            drop(busy);
            assert!(waiting.join().unwrap().is_none());
        });
    }

    #[test]
    fn what_is_written_makes_room_for_more_zeros_than_itself() {
        let making = Making::default();
        let _busy = making.begin();
        making.wrote(PIECE);
        assert_eq!(making.next(AT_ONCE, PIECE), Next::Go);
        assert_eq!(making.state().credit, PIECE / 2);
    }

    #[test]
    fn a_queue_that_closes_waits_for_no_zeros() {
        let making = Making::default();
        let _busy = making.begin();
        making.close();
        assert_eq!(making.next(0, PIECE), Next::Stop);
        assert!(making.is_closing());
    }
}

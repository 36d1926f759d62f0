//! What the library of schedules does not bring by itself: a wait that may end by its time.

use super::MutexGuard;
use shuttle::rand::{Rng, thread_rng};
use std::sync::LockResult;
use std::time::Duration;

/// As that of the standard library, in time that is chosen: a wait with a limit ends by it at once or never.
///
/// So whoever relies on a limit where he ought to have been woken stands still in some schedules, and is seen.
#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait_while(guard, condition)
    }

    /// Waits for a word and for nothing else: whoever goes on by itself after a while has to come to its end without that too.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, TimedOut)> {
        match self.0.wait(guard) {
            Ok(guard) => Ok((guard, TimedOut)),
            Err(poisoned) => Ok((poisoned.into_inner(), TimedOut)),
        }
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        if condition(&mut guard) && (limit.is_zero() || thread_rng().gen_bool(0.5)) {
            return Ok((guard, true));
        }
        match self.0.wait_while(guard, condition) {
            Ok(guard) => Ok((guard, false)),
            Err(poisoned) => Ok((poisoned.into_inner(), false)),
        }
    }
}

/// What a wait with a limit says of itself: it never came to that.
#[derive(Debug)]
pub(crate) struct TimedOut;

impl TimedOut {
    #[expect(clippy::unused_self, reason = "the standard library's has an answer")]
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

/// Tokio's, with others having a turn before each call: what happens between a look and a wait is then part of a schedule.
#[derive(Debug)]
pub(crate) struct Notify {
    inner: tokio::sync::Notify,
    turn: shuttle::sync::atomic::AtomicBool,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self {
            inner: tokio::sync::Notify::new(),
            turn: shuttle::sync::atomic::AtomicBool::new(false),
        }
    }

    fn let_others_go_first(&self) {
        self.turn.load(std::sync::atomic::Ordering::SeqCst);
    }

    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        self.let_others_go_first();
        self.inner.notified()
    }

    pub(crate) fn notify_waiters(&self) {
        self.let_others_go_first();
        self.inner.notify_waiters();
    }
}

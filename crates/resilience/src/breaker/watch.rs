//! What a closed breaker watches: failures in a row, and shares of the last calls.

use super::settings::{BreakerSettings, Rate, Window};
use crate::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::window::{CallWindow, TimeWindow, Went};
use mainstay_clock::{Clock, Moment};
use std::sync::PoisonError;
use std::time::Duration;

/// No share is watched.
const NONE: u8 = 0;
/// That of the last calls.
const CALLS: u8 = 1;
/// That of the last while.
const TIME: u8 = 2;
/// That of the last while, which is long.
const LONG_TIME: u8 = 3;

/// A window that is at least so long consists of pieces of 62 ms and more: the coarse clock, which lags by less than two ticks of
/// at most 10 ms, costs a tenth of the exact one and is good enough for it.
const LONG: Duration = Duration::from_secs(1);

/// What is watched, and what was seen.
#[derive(Debug)]
pub(super) struct Watch {
    /// Failures in a row.
    in_a_row: AtomicU32,
    /// Which window there is; it decides whether a call costs more than two reads of memory.
    window: AtomicU8,
    /// A call that takes longer, in nanoseconds, is slow.
    slow_after: AtomicU64,
    time: TimeWindow<3>,
    calls: Mutex<CallWindow>,
}

impl Watch {
    pub(super) fn new(settings: &BreakerSettings) -> Self {
        let watch = Self {
            in_a_row: AtomicU32::new(0),
            window: AtomicU8::new(NONE),
            slow_after: AtomicU64::new(u64::MAX),
            time: TimeWindow::new(Duration::from_secs(1)),
            calls: Mutex::new(CallWindow::new(0)),
        };
        watch.set(settings);
        watch
    }

    /// Watches something else, and forgets what was seen.
    pub(super) fn set(&self, settings: &BreakerSettings) {
        self.window.store(NONE, Ordering::Release);
        let slow = settings.rate.and_then(|rate| rate.slow);
        let nanos = slow.map_or(u64::MAX, |slow| slow.longer_than.as_nanos() as u64);
        self.slow_after.store(nanos, Ordering::Relaxed);
        let kind = match settings.rate.map(|rate| rate.window) {
            None => NONE,
            Some(Window::Time(time)) => {
                self.time.resize(time);
                if time < LONG { TIME } else { LONG_TIME }
            }
            Some(Window::Calls(calls)) => {
                *self.calls() = CallWindow::new(calls);
                CALLS
            }
        };
        self.in_a_row.store(0, Ordering::Relaxed);
        self.window.store(kind, Ordering::Release);
    }

    /// Forgets what was seen.
    pub(super) fn clear(&self, settings: &BreakerSettings) {
        self.in_a_row.store(0, Ordering::Relaxed);
        self.time.clear();
        if let Some(Rate {
            window: Window::Calls(calls),
            ..
        }) = settings.rate
        {
            *self.calls() = CallWindow::new(calls);
        }
    }

    fn calls(&self) -> MutexGuard<'_, CallWindow> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the time at which a call begins matters.
    #[inline]
    pub(super) fn needs_start(&self) -> bool {
        self.slow_after.load(Ordering::Relaxed) != u64::MAX
    }

    /// Whether a call that went well leaves nothing to remember: no share is watched, and none failed before it.
    #[inline]
    pub(super) fn is_at_ease(&self) -> bool {
        self.in_a_row.load(Ordering::Relaxed) == 0 && self.window.load(Ordering::Acquire) == NONE
    }

    /// Remembers how a call went; answers whether that may be a reason to open.
    pub(super) fn saw(&self, failed: bool, started: Option<Moment>, clock: &dyn Clock) -> bool {
        if failed {
            self.in_a_row.fetch_add(1, Ordering::Relaxed);
        } else if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        let window = self.window.load(Ordering::Acquire);
        if window == NONE {
            return failed;
        }
        let now = if started.is_none() && window != TIME {
            clock.now_coarse()
        } else {
            clock.now()
        };
        let slow = started.is_some_and(|started| {
            now.since(started).as_nanos() as u64 > self.slow_after.load(Ordering::Relaxed)
        });
        if matches!(window, TIME | LONG_TIME) {
            self.time.add(now, [true, failed, slow]);
        } else {
            self.calls().add(Went { failed, slow });
        }
        failed || slow
    }

    /// Why to open, if there is a reason.
    pub(super) fn reason(&self, settings: &BreakerSettings, now: Moment) -> Option<String> {
        let in_a_row = self.in_a_row();
        if settings.consecutive.is_some_and(|limit| in_a_row >= limit) {
            return Some(format!("{in_a_row} failures in a row"));
        }
        let rate = settings.rate?;
        let [all, failed, slow] = self.sums(now);
        if all < u64::from(rate.calls_min.max(1)) {
            return None;
        }
        let share = |part: u64| part as f64 / all as f64;
        if share(failed) >= rate.failed {
            return Some(format!("{failed} of the last {all} calls failed"));
        }
        let limit = rate.slow?;
        (share(slow) >= limit.share).then(|| {
            let longer = limit.longer_than.as_secs_f64();
            format!("{slow} of the last {all} calls took longer than {longer} s")
        })
    }

    pub(super) fn in_a_row(&self) -> u32 {
        self.in_a_row.load(Ordering::Relaxed)
    }

    /// Of the window: all, failed, slow; all zero where there is none.
    pub(super) fn sums(&self, now: Moment) -> [u64; 3] {
        match self.window.load(Ordering::Acquire) {
            TIME | LONG_TIME => self.time.sums(now),
            CALLS => self.calls().sums(),
            _ => [0; 3],
        }
    }
}

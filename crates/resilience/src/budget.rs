//! How many retries all callers together may make.

use crate::error::InvalidSettings;
use crate::sync::{Mutex, MutexGuard};
use crate::window::TimeWindow;
use mainstay_clock::{Moment, SharedClock};
use serde::Serialize;
use std::sync::PoisonError;
use std::time::Duration;

/// How much may be retried.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `share` | 0.2 | in an outage retries add a fifth to the load, not three times as much |
/// | `least` | 10 a second | who calls seldom may still retry |
/// | `window` | 10 s | a burst of calls pays for retries soon after it, and not for ever |
///
/// The numbers are Finagle's (`RetryBudget`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetSettings {
    /// Retries for each call; 0 to 1,000.
    pub share: f64,
    /// Retries in a second that nobody has to pay for.
    pub least: u32,
    /// For how long a call pays for retries, and a retry counts.
    pub window: Duration,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            share: 0.2,
            least: 10,
            window: Duration::from_secs(10),
        }
    }
}

impl BudgetSettings {
    fn check(&self) -> Result<(), InvalidSettings> {
        if !(0.0..=1_000.0).contains(&self.share) {
            return Err(InvalidSettings::new("`share` must lie between 0 and 1,000"));
        }
        if self.window < Duration::from_secs(1) {
            return Err(InvalidSettings::new("`window` must be 1 s long at least"));
        }
        Ok(())
    }
}

/// A budget of retries that many callers share: each of them may be right to retry, and all together drown the other side.
///
/// A retry counts from when it is decided on, so those that still wait count as well.
#[derive(Debug)]
pub struct RetryBudget {
    clock: SharedClock,
    /// Calls, retries, and retries that were refused.
    window: TimeWindow<3>,
    /// Held by whoever takes a retry, so that two do not take the last one.
    settings: Mutex<BudgetSettings>,
}

/// How a budget stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BudgetStatus {
    /// Calls in the window.
    pub calls: u64,
    /// Retries in the window, waiting ones among them.
    pub retries: u64,
    /// Retries in the window that were refused.
    pub refused: u64,
    /// Retries that may be made now.
    pub left: u64,
}

impl RetryBudget {
    /// One that nobody has used.
    ///
    /// # Errors
    ///
    /// A share that is negative or above 1,000; a window shorter than 1 s.
    pub fn new(settings: BudgetSettings, clock: SharedClock) -> Result<Self, InvalidSettings> {
        settings.check()?;
        Ok(Self {
            window: TimeWindow::new(settings.window),
            settings: Mutex::new(settings),
            clock,
        })
    }

    /// Follows other settings from now on; with another window, what was counted is forgotten.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); it follows the old ones.
    pub fn set(&self, settings: BudgetSettings) -> Result<(), InvalidSettings> {
        settings.check()?;
        let mut followed = self.locked();
        if followed.window != settings.window {
            self.window.resize(settings.window);
        }
        *followed = settings;
        Ok(())
    }

    /// Its settings as they are now.
    pub fn settings(&self) -> BudgetSettings {
        *self.locked()
    }

    /// Forgets the calls and the retries of its window: there is as much left as at the beginning.
    pub fn reset(&self) {
        let _nobody_takes_one = self.locked();
        self.window.clear();
    }

    fn locked(&self) -> MutexGuard<'_, BudgetSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call was made: it pays for retries.
    pub fn call(&self) {
        self.call_at(self.clock.now());
    }

    pub(crate) fn call_at(&self, now: Moment) {
        self.window.add(now, [true, false, false]);
    }

    /// Takes one retry out of the budget; `false` where there is none left.
    pub fn try_retry(&self) -> bool {
        let settings = self.locked();
        let now = self.clock.now();
        let may = self.left(&settings, now) > 0;
        self.window.add(now, [false, may, !may]);
        may
    }

    fn left(&self, settings: &BudgetSettings, now: Moment) -> u64 {
        let [calls, retries, _] = self.window.sums(now);
        let free = f64::from(settings.least) * settings.window.as_secs_f64();
        // The least is there from the beginning, the share has to be paid first.
        let all = (calls as f64).mul_add(settings.share, free);
        (all as u64).saturating_sub(retries)
    }

    /// How it stands.
    pub fn status(&self) -> BudgetStatus {
        let settings = self.locked();
        let now = self.clock.now();
        let [calls, retries, refused] = self.window.sums(now);
        BudgetStatus {
            calls,
            retries,
            refused,
            left: self.left(&settings, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use std::sync::Arc;

    fn budget(share: f64, least: u32) -> (RetryBudget, ManualClock) {
        let clock = ManualClock::new();
        let settings = BudgetSettings {
            share,
            least,
            ..BudgetSettings::default()
        };
        let shared = Arc::new(clock.clone());
        (RetryBudget::new(settings, shared).unwrap(), clock)
    }

    fn retries(budget: &RetryBudget) -> u32 {
        (0..10_000).filter(|_| budget.try_retry()).count() as u32
    }

    #[test]
    fn a_fifth_of_the_calls_may_be_retried_and_a_few_more() {
        let (budget, clock) = budget(0.2, 1);
        for _ in 0..100 {
            budget.call();
        }
        assert_eq!(retries(&budget), 20 + 10);
        let status = budget.status();
        assert_eq!((status.calls, status.retries, status.left), (100, 30, 0));
        assert_eq!(status.refused, 10_000 - 30);
        clock.advance(Duration::from_secs(12));
        assert_eq!(
            retries(&budget),
            10,
            "what is long ago neither pays nor counts"
        );
    }

    #[test]
    fn without_calls_and_without_a_least_nothing_is_retried() {
        let (budget, _clock) = budget(0.2, 0);
        assert_eq!(retries(&budget), 0);
        for _ in 0..5 {
            budget.call();
        }
        assert_eq!(retries(&budget), 1);
    }

    #[test]
    fn callers_at_once_take_no_more_than_there_is() {
        let (budget, _clock) = budget(0.2, 10);
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..1_000).filter(|_| budget.try_retry()).count()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(taken, 100);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let clock = mainstay_clock::system();
        for (settings, name) in [
            (
                BudgetSettings {
                    share: -0.1,
                    ..BudgetSettings::default()
                },
                "share",
            ),
            (
                BudgetSettings {
                    share: f64::NAN,
                    ..BudgetSettings::default()
                },
                "share",
            ),
            (
                BudgetSettings {
                    window: Duration::ZERO,
                    ..BudgetSettings::default()
                },
                "window",
            ),
        ] {
            let error = RetryBudget::new(settings, clock.clone()).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

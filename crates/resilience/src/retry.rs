//! Trying again: how often, after what waits, for how long in all, and who pays for it.

mod settings;

mod tracker;

pub use settings::RetrySettings;
pub use tracker::Retrying;

use crate::budget::RetryBudget;
use crate::class::{Class, Classify};
use crate::error::{Error, InvalidSettings, RejectedBy, Rejection};
use crate::limit::within_noting;
use crate::random::Random;
use futures_util::TryFutureExt;
use mainstay_clock::{Moment, SharedClock, block_on};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracker::Tracker;

/// Tries calls again that may succeed another time.
///
/// Whether that helps the error itself says ([`Classify`]): what the caller did wrong, what was turned away and what is unknown
/// is not tried again. Only calls that may be made twice belong here.
///
/// ```
/// use mainstay_resilience::{Retry, RetrySettings};
/// use std::io::{Error, ErrorKind};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let retry = Retry::new("registry", RetrySettings::generic(), mainstay_clock::system())?;
/// let answer = retry.run(async move |attempt| {
///     if attempt.number < 3 { Err(Error::from(ErrorKind::ConnectionReset)) } else { Ok(attempt.number) }
/// }).await;
/// assert_eq!(answer.ok(), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Retry {
    name: Arc<str>,
    settings: RetrySettings,
    clock: SharedClock,
    random: Random,
    budget: Option<Arc<RetryBudget>>,
    tracker: Tracker,
}

/// One attempt, as it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// 1 is the first.
    pub number: u32,
    /// So many may be made.
    pub of: u32,
    /// What is left of the deadline, where there is one.
    pub left: Option<Duration>,
}

/// What has to be known to decide on the next attempt.
struct Course {
    number: u32,
    wait: Duration,
    /// So long it may take in all.
    deadline: Option<Duration>,
    ends: Option<Moment>,
}

impl Retry {
    /// One that nothing was tried with yet.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub fn new(
        name: &str,
        settings: RetrySettings,
        clock: SharedClock,
    ) -> Result<Self, InvalidSettings> {
        settings.check()?;
        Ok(Self {
            name: name.into(),
            settings,
            clock,
            random: Random::from_system(),
            budget: None,
            tracker: Tracker::new(),
        })
    }

    /// Takes its retries out of this budget, which others share.
    #[must_use]
    pub fn paid_by(self, budget: Arc<RetryBudget>) -> Self {
        Self {
            budget: Some(budget),
            ..self
        }
    }

    /// Takes its waits from this randomness.
    #[must_use]
    pub fn with_random(self, random: Random) -> Self {
        Self { random, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings.
    pub fn settings(&self) -> &RetrySettings {
        &self.settings
    }

    /// What it waits for now, for a person to see: none while nothing is tried again.
    pub fn watch(&self) -> watch::Receiver<Option<Retrying>> {
        self.tracker.watch()
    }

    /// Makes a call, and makes it again as long as that helps and is allowed.
    ///
    /// Dropping the future ends it, in an attempt as well as in a pause.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`]: the first attempt failed and there was no other, or one failed with what is not tried again.
    /// [`Error::Exhausted`]: several failed. [`Error::TimedOut`]: the deadline was over in the first attempt.
    pub async fn run<T, E: Classify, F>(
        &self,
        mut call: impl FnMut(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.run_protected(|attempt| call(attempt).map_err(Error::Failed))
            .await
    }

    /// Like [`run`](Self::run), for a call that other protections may turn away or cut off.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and [`Error::Rejected`], which is not tried again.
    pub fn run_protected<T, E: Classify, F>(
        &self,
        call: impl FnMut(Attempt) -> F,
    ) -> impl Future<Output = Result<T, Error<E>>>
    where
        F: Future<Output = Result<T, Error<E>>>,
    {
        // No future around another: that costs as much as all of this.
        self.go(self.settings.deadline, call)
    }

    /// Makes the calls; `deadline` covers them all.
    pub(crate) async fn go<T, E: Classify, F>(
        &self,
        deadline: Option<Duration>,
        mut call: impl FnMut(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, Error<E>>>,
    {
        let mut course = self.begin(deadline);
        loop {
            let attempt = self.attempt(&course);
            let result = {
                // Pinned here, so that it takes its room once and not in each arm.
                let called = pin!(call(attempt));
                match attempt.left {
                    None => called.await,
                    Some(left) => {
                        let begins = || course.begins(|| self.clock.now());
                        within_noting(&*self.clock, left, called, begins)
                            .await
                            .unwrap_or_else(|| Err(self.out_of_time(&course)))
                    }
                }
            };
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match self.next(&mut course, &error.class()) {
                Some(wait) => {
                    let _shown = self.tracker.waits(&self.retrying(&course, wait, &error));
                    if !wait.is_zero() {
                        self.clock.sleep(wait).await;
                    }
                }
                None => return Err(course.gave_up(error)),
            }
        }
    }

    /// Like [`run`](Self::run), for a call that blocks: it blocks in the pauses as well, until `cancelled` ends them.
    ///
    /// A call that blocks cannot be cut off: its deadline is looked at between attempts.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); where a pause was cancelled, that of the last attempt.
    ///
    /// # Panics
    ///
    /// Where the thread is one of a runtime, and the system refuses the helper thread that waits for it.
    pub fn run_blocking<T, E: Classify>(
        &self,
        mut call: impl FnMut(Attempt) -> Result<T, E>,
        cancelled: &CancellationToken,
    ) -> Result<T, Error<E>> {
        self.go_blocking(|attempt| call(attempt).map_err(Error::Failed), cancelled)
    }

    /// The same, for a call that other protections may turn away.
    pub(crate) fn go_blocking<T, E: Classify>(
        &self,
        mut call: impl FnMut(Attempt) -> Result<T, Error<E>>,
        cancelled: &CancellationToken,
    ) -> Result<T, Error<E>> {
        let mut course = self.begin(self.settings.deadline);
        course.begins(|| self.clock.now());
        loop {
            let error = match call(self.attempt(&course)) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let made = course.number;
            let Some(wait) = self.next(&mut course, &error.class()) else {
                return Err(course.gave_up(error));
            };
            let _shown = self.tracker.waits(&self.retrying(&course, wait, &error));
            let is_cancelled = block_on(async {
                tokio::select! {
                    biased;
                    () = cancelled.cancelled() => true,
                    () = self.clock.sleep(wait) => false,
                }
            });
            if is_cancelled {
                course.number = made;
                return Err(course.gave_up(error));
            }
        }
    }

    #[inline]
    fn begin(&self, deadline: Option<Duration>) -> Course {
        if let Some(budget) = &self.budget {
            budget.call();
        }
        Course {
            number: 1,
            wait: Duration::ZERO,
            deadline,
            ends: None,
        }
    }

    fn attempt(&self, course: &Course) -> Attempt {
        Attempt {
            number: course.number,
            of: self.settings.attempts,
            left: match course.number {
                1 => course.deadline,
                _ => course.ends.map(|ends| ends.since(self.clock.now())),
            },
        }
    }

    /// The wait before the next attempt, if there is to be one.
    fn next(&self, course: &mut Course, class: &Class) -> Option<Duration> {
        if !class.is_retryable || course.number >= self.settings.attempts {
            return None;
        }
        course.begins(|| self.clock.now());
        let asked = class.retry_after.unwrap_or(Duration::ZERO);
        if asked > self.settings.retry_after_max {
            // To come earlier than asked would be turned away again.
            return None;
        }
        let backoff = &self.settings.backoff;
        let wait = backoff
            .wait(course.number, course.wait, &self.random)
            .max(asked);
        if course
            .ends
            .is_some_and(|ends| self.clock.now() + wait >= ends)
        {
            return None;
        }
        if self
            .budget
            .as_ref()
            .is_some_and(|budget| !budget.try_retry())
        {
            tracing::debug!(retry = %self.name, "the budget of retries is used up");
            return None;
        }
        course.number += 1;
        course.wait = wait;
        Some(wait)
    }

    fn retrying<E: Classify>(&self, course: &Course, wait: Duration, error: &Error<E>) -> Retrying {
        Retrying {
            attempt: course.number,
            of: self.settings.attempts,
            next_in: wait,
            begins: self.clock.now() + wait,
            error: error.told().unwrap_or_default(),
        }
    }

    fn out_of_time<E>(&self, course: &Course) -> Error<E> {
        match course.deadline {
            Some(deadline) => Error::TimedOut(deadline),
            None => Rejection::new(RejectedBy::Deadline, &self.name, None).into(),
        }
    }
}

impl Course {
    /// The deadline counts from here. What comes back before it ever waited took no time worth a look at the clock.
    fn begins(&mut self, now: impl FnOnce() -> Moment) {
        if let (None, Some(deadline)) = (self.ends, self.deadline) {
            self.ends = Some(now() + deadline);
        }
    }

    /// The error itself after one attempt, and after what is not tried again; with the number of attempts otherwise.
    fn gave_up<E: Classify>(&self, error: Error<E>) -> Error<E> {
        if self.number > 1 && error.class().is_retryable {
            return Error::Exhausted {
                last: Box::new(error),
                attempts: self.number,
            };
        }
        error
    }
}

#[cfg(test)]
mod tests;

//! What to do when an operation fails: plans that are named for the operation.

mod blocking;
mod history;
mod plan;

pub use history::{RecoveryEvent, RecoveryStatus};
pub use plan::{Guard, RecoveryPlan, RecoveryStrategy, Report};

use crate::class::Classify;
use crate::context::told;
use crate::error::{Error, InvalidSettings};
use crate::limit::within;
use crate::recent::Recent;
use crate::retry::Retry;
use mainstay_clock::SharedClock;
use plan::Remedy;
use std::collections::HashMap;
use std::future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Runs operations by the plan that is registered for each.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mainstay_resilience::{Outcome, Recovery, RecoveryPlan};
/// use std::io;
///
/// let recovery = Recovery::new(mainstay_clock::system());
/// recovery.register(RecoveryPlan::fallback("fetch"))?;
/// let outcome = recovery
///     .run_or("fetch", async || Err(io::Error::other("no way")), async || Ok("from the cache"))
///     .await;
/// assert!(matches!(outcome, Outcome::Recovered("from the cache")));
/// assert_eq!(recovery.history(1)[0].status.name(), "fallback_success");
/// # Ok(())
/// # }
/// ```
///
/// | plan | the operation succeeds | it fails |
/// |---|---|---|
/// | none | its value; not in the history | its error; not in the history |
/// | retry | its value, `success` | tried again where that helps; then its error, `failed` |
/// | fallback | its value, `primary_success` | the fallback's value, `fallback_success`, or error, `fallback_failed`; the error, `no_fallback`, where there is none |
/// | circuit break | its value, `success` | its error, `failed`; a rejection, `circuit_open`, where the guard turned it away |
/// | graceful degrade | its value; not in the history | [`Outcome::Degraded`], `degraded` |
///
/// # Limits
///
/// | what | number | why |
/// |---|---|---|
/// | events in the history | 1,000 | some hundred KiB, and more than anybody reads |
/// | plans | 1,024 | they are named by people; a name made from data would fill the memory |
#[derive(Debug)]
pub struct Recovery {
    clock: SharedClock,
    plans: RwLock<HashMap<String, Arc<Registered>>>,
    history: Mutex<Recent<RecoveryEvent>>,
}

/// What an operation came to under its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome<T, E> {
    /// A value: of the operation, at once or in the end, or of its fallback.
    Recovered(T),
    /// No value.
    Failed(Error<E>),
    /// No value, and the plan says that the caller goes on without.
    Degraded {
        /// Why.
        error: Error<E>,
    },
}

/// A plan, and what tries again for it.
#[derive(Debug)]
struct Registered {
    plan: Arc<RecoveryPlan>,
    engine: Retry,
}

// === impl Recovery ===

impl Recovery {
    /// The events that are kept unless said otherwise.
    pub const HISTORY: usize = 1_000;
    /// The plans at most.
    pub const PLANS_MAX: usize = 1_024;

    /// One without plans.
    pub fn new(clock: SharedClock) -> Self {
        Self::with_history(clock, Self::HISTORY)
    }

    /// One without plans that keeps so many events.
    pub fn with_history(clock: SharedClock, events: usize) -> Self {
        Self {
            clock,
            plans: RwLock::default(),
            history: Mutex::new(Recent::new(events)),
        }
    }

    /// Follows this plan for its operation from the next call on; answers the plan that it replaces.
    ///
    /// # Errors
    ///
    /// A plan that cannot work: without an attempt, without time, with several attempts of what is tried once; or one too many.
    /// The plans are as before.
    pub fn register(
        &self,
        plan: RecoveryPlan,
    ) -> Result<Option<Arc<RecoveryPlan>>, InvalidSettings> {
        plan.check()?;
        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= Self::PLANS_MAX && !plans.contains_key(&plan.operation) {
            let (operation, most) = (&plan.operation, Self::PLANS_MAX);
            return Err(InvalidSettings::new(format!(
                "cannot register a recovery plan for `{operation}`: there are {most} already"
            )));
        }
        let registered = Arc::new(Registered {
            engine: plan.engine(&self.clock)?,
            plan: Arc::new(plan),
        });
        let before = plans.insert(registered.plan.operation.clone(), registered);
        Ok(before.map(|before| Arc::clone(&before.plan)))
    }

    /// The plan for an operation.
    pub fn plan(&self, operation: &str) -> Option<Arc<RecoveryPlan>> {
        Some(Arc::clone(&self.registered(operation)?.plan))
    }

    fn registered(&self, operation: &str) -> Option<Arc<Registered>> {
        let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
        plans.get(operation).map(Arc::clone)
    }

    /// What the plans did lately, the newest first, `limit` at most; none with 0.
    pub fn history(&self, limit: usize) -> Vec<Arc<RecoveryEvent>> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.newest(limit)
    }

    /// Calls an operation that has no fallback, by its plan; once and without a limit where it has none.
    ///
    /// Dropping the future drops the call that is under way, and nothing is added to the history.
    pub async fn run<T, E, F, Fut>(&self, operation: &str, call: F) -> Outcome<T, E>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: std::error::Error + Classify + 'static,
    {
        let none = None::<fn() -> future::Pending<Result<T, E>>>;
        self.follow(operation, call, none).await
    }

    /// As [`run`](Self::run), with what to call instead where the plan is a fallback.
    pub async fn run_or<T, E, F, Fut, G, GFut>(
        &self,
        operation: &str,
        call: F,
        fallback: G,
    ) -> Outcome<T, E>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        G: FnOnce() -> GFut,
        GFut: Future<Output = Result<T, E>>,
        E: std::error::Error + Classify + 'static,
    {
        self.follow(operation, call, Some(fallback)).await
    }

    async fn follow<T, E, F, Fut, G, GFut>(
        &self,
        operation: &str,
        mut call: F,
        fallback: Option<G>,
    ) -> Outcome<T, E>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        G: FnOnce() -> GFut,
        GFut: Future<Output = Result<T, E>>,
        E: std::error::Error + Classify + 'static,
    {
        let Some(registered) = self.registered(operation) else {
            return match call().await {
                Ok(value) => Outcome::Recovered(value),
                Err(error) => Outcome::Failed(Error::Failed(error)),
            };
        };
        let plan = &*registered.plan;
        match &plan.remedy {
            Remedy::Retry => self.retry(plan, &registered.engine, call).await,
            Remedy::Fallback => {
                let first = self.limited(plan, call()).await;
                self.fall_back(plan, first, fallback).await
            }
            Remedy::CircuitBreak(guard) => match guard.admit() {
                Ok(report) => {
                    let answer = self.limited(plan, call()).await;
                    self.report(plan, answer, report)
                }
                Err(rejection) => self.fail(plan, RecoveryStatus::CircuitOpen, 0, rejection.into()),
            },
            Remedy::GracefulDegrade => {
                let answer = self.limited(plan, call()).await;
                self.degrade(plan, answer)
            }
        }
    }

    async fn retry<T, E, F, Fut>(
        &self,
        plan: &RecoveryPlan,
        engine: &Retry,
        mut call: F,
    ) -> Outcome<T, E>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: std::error::Error + Classify + 'static,
    {
        let made = AtomicU32::new(0);
        let answer = engine
            .run_protected(|attempt| {
                made.store(attempt.number, Ordering::Relaxed);
                self.limited(plan, call())
            })
            .await;
        self.retried(plan, made.load(Ordering::Relaxed), answer)
    }

    fn retried<T, E>(
        &self,
        plan: &RecoveryPlan,
        made: u32,
        answer: Result<T, Error<E>>,
    ) -> Outcome<T, E>
    where
        E: std::error::Error + Classify + 'static,
    {
        match answer {
            Ok(value) => {
                self.note(plan, RecoveryStatus::Success, made, None);
                Outcome::Recovered(value)
            }
            Err(error) => self.fail(plan, RecoveryStatus::Failed, made, error),
        }
    }

    async fn fall_back<T, E, G, GFut>(
        &self,
        plan: &RecoveryPlan,
        first: Result<T, Error<E>>,
        fallback: Option<G>,
    ) -> Outcome<T, E>
    where
        G: FnOnce() -> GFut,
        GFut: Future<Output = Result<T, E>>,
        E: std::error::Error + Classify + 'static,
    {
        let error = match self.first(plan, first) {
            Ok(outcome) => return outcome,
            Err(error) => error,
        };
        let Some(fallback) = fallback else {
            return self.fail(plan, RecoveryStatus::NoFallback, 1, error);
        };
        let second = self.limited(plan, fallback()).await;
        self.fell_back(plan, &error, second)
    }

    /// What the operation of a fallback came to, where that is a value; its error otherwise.
    fn first<T, E>(
        &self,
        plan: &RecoveryPlan,
        first: Result<T, Error<E>>,
    ) -> Result<Outcome<T, E>, Error<E>> {
        first.map(|value| {
            self.note(plan, RecoveryStatus::PrimarySuccess, 1, None);
            Outcome::Recovered(value)
        })
    }

    fn fell_back<T, E>(
        &self,
        plan: &RecoveryPlan,
        error: &Error<E>,
        second: Result<T, Error<E>>,
    ) -> Outcome<T, E>
    where
        E: std::error::Error + Classify + 'static,
    {
        match second {
            Ok(value) => {
                self.note(plan, RecoveryStatus::FallbackSuccess, 1, Some(told(error)));
                Outcome::Recovered(value)
            }
            Err(second) => {
                let both = format!("{}; before that: {}", told(&second), told(error));
                self.note(plan, RecoveryStatus::FallbackFailed, 1, Some(both));
                Outcome::Failed(second)
            }
        }
    }

    fn report<T, E>(
        &self,
        plan: &RecoveryPlan,
        answer: Result<T, Error<E>>,
        report: Report<'_>,
    ) -> Outcome<T, E>
    where
        E: std::error::Error + Classify + 'static,
    {
        match answer {
            Ok(value) => {
                report(true);
                self.note(plan, RecoveryStatus::Success, 1, None);
                Outcome::Recovered(value)
            }
            Err(error) => {
                if error.class().is_failure_of_the_service() {
                    report(false);
                }
                self.fail(plan, RecoveryStatus::Failed, 1, error)
            }
        }
    }

    fn degrade<T, E>(&self, plan: &RecoveryPlan, answer: Result<T, Error<E>>) -> Outcome<T, E>
    where
        E: std::error::Error + Classify + 'static,
    {
        match answer {
            Ok(value) => Outcome::Recovered(value),
            Err(error) => {
                self.note(plan, RecoveryStatus::Degraded, 1, Some(told(&error)));
                Outcome::Degraded { error }
            }
        }
    }

    /// One call, dropped when its time is over.
    async fn limited<T, E>(
        &self,
        plan: &RecoveryPlan,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error<E>> {
        match within(&*self.clock, plan.timeout, call).await {
            Some(answer) => answer.map_err(Error::Failed),
            None => Err(Error::TimedOut(plan.timeout)),
        }
    }

    fn fail<T, E>(
        &self,
        plan: &RecoveryPlan,
        status: RecoveryStatus,
        attempt: u32,
        error: Error<E>,
    ) -> Outcome<T, E>
    where
        E: std::error::Error + 'static,
    {
        self.note(plan, status, attempt, Some(told(&error)));
        Outcome::Failed(error)
    }

    fn note(
        &self,
        plan: &RecoveryPlan,
        status: RecoveryStatus,
        attempt: u32,
        error: Option<String>,
    ) {
        let event = Arc::new(RecoveryEvent {
            at: self.clock.wall(),
            operation: plan.operation.clone(),
            strategy: plan.strategy(),
            status,
            attempt,
            error,
        });
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.push(event);
    }
}

// === impl Outcome ===

impl<T, E> Outcome<T, E> {
    /// Whether there is a value.
    pub fn is_recovered(&self) -> bool {
        matches!(self, Self::Recovered(_))
    }

    /// Whether the caller goes on without.
    pub fn is_degraded(&self) -> bool {
        matches!(self, Self::Degraded { .. })
    }

    /// The value, or the error of either kind.
    ///
    /// # Errors
    ///
    /// Why there is no value.
    pub fn into_result(self) -> Result<T, Error<E>> {
        match self {
            Self::Recovered(value) => Ok(value),
            Self::Failed(error) | Self::Degraded { error } => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;

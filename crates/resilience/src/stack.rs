//! All protections of one destination, in one order.

mod order;

mod builder;

pub use builder::StackBuilder;
pub use order::Layer;

use crate::adaptive::{AdaptiveLimit, AdaptivePermit};
use crate::breaker::{Breaker, Permit, Verdict};
use crate::bulkhead::{Bulkhead, BulkheadPermit};
use crate::class::Classify;
use crate::error::Error;
use crate::limit::within;
use crate::limiter::RateLimiter;
use crate::retry::{Attempt, Retry};
use crate::shed::{LoadShedder, Priority};
use mainstay_clock::SharedClock;
use std::sync::Arc;
use std::time::Duration;

/// The protections of one thing that is called, put around each call in an order that makes sense.
///
/// ```
/// use mainstay_resilience::{Breaker, BreakerSettings, RateLimit, RateLimiter, RetrySettings, Stack};
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let clock = mainstay_clock::system();
/// let breaker = Arc::new(Breaker::new("registry", BreakerSettings::default(), clock.clone())?);
/// let limiter = Arc::new(RateLimiter::new("registry", RateLimit::default(), clock.clone())?);
/// let stack = Stack::builder("registry", clock)
///     .deadline(Duration::from_secs(60))
///     .retry(RetrySettings::client())
///     .breaker(breaker)
///     .limiter(limiter, Duration::from_secs(5))
///     .attempt_limit(Duration::from_secs(10))
///     .build()?;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let answer = stack.run(|_| async { Ok::<_, std::io::Error>("an answer") }).await;
/// assert_eq!(answer.ok(), Some("an answer"));
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stack {
    name: Arc<str>,
    clock: SharedClock,
    order: Vec<Layer>,
    deadline: Option<Duration>,
    shedder: Option<Arc<LoadShedder>>,
    retry: Option<Retry>,
    /// What each attempt has to pass, from the outside in.
    gates: Vec<Gate>,
    attempt_limit: Option<Duration>,
}

/// Something that an attempt has to pass.
#[derive(Debug)]
enum Gate {
    Breaker(Arc<Breaker>),
    /// With the longest wait for its turn.
    Limiter(Arc<RateLimiter>, Duration),
    Bulkhead(Arc<Bulkhead>),
    Adaptive(Arc<AdaptiveLimit>),
}

/// What an attempt holds while it is made; dropped, all of it is given back.
#[derive(Debug, Default)]
struct Passes<'a> {
    breaker: Option<Permit<'a>>,
    adaptive: Option<AdaptivePermit>,
    bulkhead: Option<BulkheadPermit>,
}

impl Stack {
    /// One that nothing was put into yet.
    pub fn builder(name: &str, clock: SharedClock) -> StackBuilder {
        StackBuilder::new(name, clock)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its protections, from the outside in.
    pub fn order(&self) -> &[Layer] {
        &self.order
    }

    /// Its retry, to watch it.
    pub fn retry(&self) -> Option<&Retry> {
        self.retry.as_ref()
    }

    /// Makes a call behind all protections; with a retry, perhaps several times.
    ///
    /// Dropping the future ends it wherever it is, and gives back what it holds.
    ///
    /// # Errors
    ///
    /// As [`Retry::run_protected`]; [`Error::Rejected`] says who turned it away, [`Error::TimedOut`] which limit was over.
    pub async fn run<T, E: Classify, F>(&self, call: impl Fn(Attempt) -> F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.run_as(Priority::Normal, call).await
    }

    /// Like [`run`](Self::run), for a call that is more or less important to a shedder.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_as<T, E: Classify, F>(
        &self,
        priority: Priority,
        call: impl Fn(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        if let Some(shedder) = &self.shedder {
            shedder.admit(priority)?;
        }
        if let Some(retry) = &self.retry {
            return retry
                .run_protected(|attempt| self.attempt(attempt, &call))
                .await;
        }
        let only = Attempt {
            number: 1,
            of: 1,
            left: self.deadline,
        };
        let once = self.attempt(only, &call);
        match self.deadline {
            None => once.await,
            Some(deadline) => within(&*self.clock, deadline, once)
                .await
                .unwrap_or(Err(Error::TimedOut(deadline))),
        }
    }

    /// Like [`run`](Self::run); where that comes to nothing, `otherwise` says what it comes to.
    ///
    /// # Errors
    ///
    /// Those of `otherwise`.
    pub async fn run_or<T, E: Classify, F, O>(
        &self,
        call: impl Fn(Attempt) -> F,
        otherwise: impl FnOnce(Error<E>) -> O,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        O: Future<Output = Result<T, Error<E>>>,
    {
        match self.run(call).await {
            Ok(value) => Ok(value),
            Err(error) => otherwise(error).await,
        }
    }

    async fn attempt<T, E: Classify, F>(
        &self,
        attempt: Attempt,
        call: &impl Fn(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut passes = Passes::default();
        for gate in &self.gates {
            match gate {
                Gate::Breaker(breaker) => passes.breaker = Some(breaker.enter()?),
                Gate::Limiter(limiter, wait) => limiter.acquire(1, *wait).await?,
                Gate::Bulkhead(bulkhead) => passes.bulkhead = Some(bulkhead.enter().await?),
                Gate::Adaptive(limit) => passes.adaptive = Some(limit.try_enter()?),
            }
        }
        let result = match self.attempt_limit {
            None => call(attempt).await.map_err(Error::Failed),
            Some(limit) => match within(&*self.clock, limit, call(attempt)).await {
                Some(result) => result.map_err(Error::Failed),
                None => Err(Error::TimedOut(limit)),
            },
        };
        passes.end(result.as_ref().err());
        result
    }
}

impl Passes<'_> {
    fn end<E: Classify>(self, error: Option<&Error<E>>) {
        drop(self.bulkhead);
        let verdict = error.map_or(Verdict::Success, |error| Verdict::of(&error.class()));
        if let Some(permit) = self.breaker {
            permit.record(verdict);
        }
        if let Some(permit) = self.adaptive {
            match error {
                None => permit.success(),
                // Only what came late or not at all speaks of overload.
                Some(Error::TimedOut(_)) => permit.dropped(),
                Some(_) => drop(permit),
            }
        }
    }
}

#[cfg(test)]
mod tests;

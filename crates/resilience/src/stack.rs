//! All protections of one destination, in one order.

mod order;

mod builder;

mod blocking;

mod fallback;

mod hedged;

pub use builder::StackBuilder;
pub use fallback::{Fallback, WithFallback};
pub use order::Layer;

use crate::adaptive::{AdaptiveLimit, AdaptivePermit};
use crate::breaker::{Breaker, Permit, Verdict};
use crate::bulkhead::{Bulkhead, BulkheadPermit, Place};
use crate::class::{Category, Classify};
use crate::error::{Error, Rejection};
use crate::hedge::Hedge;
use crate::limit::within;
use crate::limiter::RateLimiter;
use crate::retry::{Attempt, Retry};
use crate::shed::{LoadShedder, Priority};
use hedged::Hedged;
use mainstay_clock::{Moment, SharedClock};
use std::future::poll_fn;
use std::pin::pin;
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
    hedged: Option<Hedged>,
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
    bulkhead: Option<Held<'a>>,
    call: Call,
}

/// A place in a bulkhead.
#[derive(Debug)]
#[expect(dead_code, reason = "it is held, and given back when it is dropped")]
enum Held<'a> {
    Borrowed(Place<'a>),
    Waited(BulkheadPermit),
}

/// How far an attempt came.
#[derive(Debug, Default)]
enum Call {
    #[default]
    NotYet,
    /// When the attempt began, or as good as that.
    Begun,
    BegunAfterWaiting(Moment),
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

    /// Its hedge, to watch it.
    pub fn hedge(&self) -> Option<&Hedge> {
        self.hedged.as_ref().map(|hedged| &*hedged.hedge)
    }

    /// Makes a call behind all protections; with a retry, perhaps several times, and with a hedge several times at once.
    ///
    /// Dropping the future ends it wherever it is, and gives back what it holds.
    ///
    /// # Errors
    ///
    /// As [`Retry::run_protected`]; [`Error::Rejected`] says who turned it away, [`Error::TimedOut`] which limit was over.
    pub fn run<T, E: Classify, F>(
        &self,
        call: impl Fn(Attempt) -> F,
    ) -> impl Future<Output = Result<T, Error<E>>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.go(Priority::Normal, None, call)
    }

    /// Like [`run`](Self::run), for a call that has no more time than `left`, whatever the deadline of the stack: a stack that is put
    /// together once serves calls that each have their own.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_within<T, E: Classify, F>(
        &self,
        left: Duration,
        call: impl Fn(Attempt) -> F,
    ) -> impl Future<Output = Result<T, Error<E>>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let all = self.whole_deadline(left);
        self.go(Priority::Normal, Some(all.min(left)), call)
    }

    /// Like [`run`](Self::run), for a call that is more or less important to a shedder.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_as<T, E: Classify, F>(
        &self,
        priority: Priority,
        call: impl Fn(Attempt) -> F,
    ) -> impl Future<Output = Result<T, Error<E>>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.go(priority, None, call)
    }

    /// With no more time than `within`, if that is given.
    async fn go<T, E: Classify, F>(
        &self,
        priority: Priority,
        within: Option<Duration>,
        call: impl Fn(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        if let Some(shedder) = &self.shedder {
            shedder.admit(priority)?;
        }
        if let Some(retry) = &self.retry {
            let all = retry.settings().deadline;
            let deadline = within.or(all);
            return retry
                .go(deadline, |attempt| self.copies(attempt, within, &call))
                .await;
        }
        if let Some(hedged) = &self.hedged {
            // With a retry, that one pays.
            hedged.budget.call();
        }
        let only = Attempt {
            number: 1,
            of: 1,
            left: within.or(self.deadline),
        };
        self.copies(only, within, &call).await
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

    /// One attempt, in as many copies as the hedge makes of it.
    async fn copies<T, E: Classify, F>(
        &self,
        attempt: Attempt,
        whole: Option<Duration>,
        call: &impl Fn(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        match &self.hedged {
            None => self.attempt(attempt, whole, call).await,
            // In a box, so that it takes no room where there is no hedge.
            Some(hedged) => Box::pin(self.hedge_attempt(hedged, attempt, whole, call)).await,
        }
    }

    async fn attempt<T, E: Classify, F>(
        &self,
        attempt: Attempt,
        whole: Option<Duration>,
        call: &impl Fn(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut passes = Passes::default();
        let made = {
            // Pinned here, so that it takes its room once and not in each arm.
            let called = pin!(self.pass_and_call(attempt, call, &mut passes));
            match attempt.left {
                None => Ok(called.await),
                // The retry has the same limit; this one begins first, and so ends first, and what is held learns why.
                Some(left) => within(&*self.clock, left, called).await.ok_or(left),
            }
        };
        let left = match made {
            Ok(result) => {
                passes.end(result.as_ref().err());
                return result;
            }
            Err(left) => left,
        };
        let whole = whole.unwrap_or_else(|| self.whole_deadline(left));
        let error = Error::TimedOut(whole);
        // A call that got little, because others before it or our own limits took the rest, says nothing of the other side.
        if passes.time_for_call(left, self.clock.now()) >= whole / 2 {
            passes.end(Some(&error));
        }
        Err(error)
    }

    fn whole_deadline(&self, left: Duration) -> Duration {
        let of_retry = self.retry.as_ref().map(|retry| retry.settings().deadline);
        of_retry.flatten().or(self.deadline).unwrap_or(left)
    }

    async fn pass_and_call<'s, T, E: Classify, F>(
        &'s self,
        attempt: Attempt,
        call: &impl Fn(Attempt) -> F,
        passes: &mut Passes<'s>,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut has_waited = false;
        for gate in &self.gates {
            match gate {
                Gate::Breaker(breaker) => passes.breaker = Some(breaker.enter()?),
                // Nearly every call passes without waiting, and needs no future for that.
                Gate::Limiter(limiter, _) if limiter.takes_at_once(1) => {}
                Gate::Limiter(limiter, wait) => {
                    noting_waits(limiter.acquire(1, *wait), &mut has_waited).await?;
                }
                Gate::Bulkhead(bulkhead) => {
                    passes.bulkhead = Some(if let Some(place) = bulkhead.enter_at_once() {
                        Held::Borrowed(place)
                    } else {
                        let entering = bulkhead.enter();
                        Held::Waited(noting_waits(entering, &mut has_waited).await?)
                    });
                }
                Gate::Adaptive(limit) => passes.adaptive = Some(limit.try_enter()?),
            }
        }
        if has_waited {
            passes.begin_after_waiting(self.clock.now())?;
        } else {
            passes.call = Call::Begun;
        }
        let called = pin!(call(attempt));
        match self.attempt_limit {
            None => called.await.map_err(Error::Failed),
            Some(limit) => match within(&*self.clock, limit, called).await {
                Some(result) => result.map_err(Error::Failed),
                None => Err(Error::TimedOut(limit)),
            },
        }
    }
}

impl Passes<'_> {
    /// The call begins, after our own limits took some time.
    fn begin_after_waiting(&mut self, now: Moment) -> Result<(), Rejection> {
        if let Some(permit) = self.breaker.take() {
            // It may have opened meanwhile, by those who did not have to wait.
            let mut permit = permit.renewed()?;
            // Waiting for our own limits is no slowness of the other side.
            permit.begins(now);
            self.breaker = Some(permit);
        }
        self.call = Call::BegunAfterWaiting(now);
        Ok(())
    }

    /// How long the call itself had, of an attempt that was cut at `now` after `left`.
    fn time_for_call(&self, left: Duration, now: Moment) -> Duration {
        match self.call {
            Call::NotYet => Duration::ZERO,
            Call::Begun => left,
            Call::BegunAfterWaiting(begun) => now.since(begun),
        }
    }

    /// Tells what is held how it went; what was never called goes back without a word.
    fn end<E: Classify>(self, error: Option<&Error<E>>) {
        drop(self.bulkhead);
        if matches!(self.call, Call::NotYet) {
            return;
        }
        let class = error.map(Classify::class);
        if let Some(permit) = self.breaker {
            permit.record(class.as_ref().map_or(Verdict::Success, Verdict::of));
        }
        if let Some(permit) = self.adaptive {
            match class.map(|class| class.category) {
                None => permit.success(),
                // What came late, or was refused because there is too much, speaks of overload.
                Some(Category::Timeout | Category::Resource) => permit.dropped(),
                Some(_) => drop(permit),
            }
        }
    }
}

/// Awaits it, and notes if it was not ready at once.
async fn noting_waits<F: Future>(future: F, has_waited: &mut bool) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        *has_waited |= polled.is_pending();
        polled
    })
    .await
}

#[cfg(test)]
mod tests;

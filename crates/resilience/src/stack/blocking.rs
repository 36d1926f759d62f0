//! A call that blocks, behind the same protections.

use super::{Gate, Held, Passes, Stack};
use crate::class::Classify;
use crate::error::Error;
use crate::retry::Attempt;
use crate::shed::Priority;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

impl Stack {
    /// Like [`run`](Self::run), for a call that blocks, on a plain thread or on one of a runtime; `cancelled` ends waits and pauses.
    ///
    /// The call is made on this thread, and nothing ends it but itself: limits of time end our own waits and pauses, and have no
    /// attempt begin after them. What is [left](Attempt::left) of them, that of the attempt too, is told to the call. A hedge makes
    /// no copies.
    ///
    /// # Errors
    ///
    /// As [`Retry::run_blocking`](crate::Retry::run_blocking); [`Error::Rejected`] says who turned it away, also where that was
    /// because the wait was cancelled.
    ///
    /// # Panics
    ///
    /// Where the thread is one of a runtime, it has to wait, and the system refuses the helper thread for that.
    pub fn run_blocking<T, E: Classify>(
        &self,
        mut call: impl FnMut(Attempt) -> Result<T, E>,
        cancelled: &CancellationToken,
    ) -> Result<T, Error<E>> {
        if let Some(shedder) = &self.shedder {
            shedder.admit(Priority::Normal)?;
        }
        let mut once = |attempt| self.attempt_blocking(attempt, &mut call, cancelled);
        if let Some(retry) = &self.retry {
            return retry.go_blocking(once, cancelled);
        }
        once(Attempt {
            number: 1,
            of: 1,
            left: self.deadline,
        })
    }

    fn attempt_blocking<T, E: Classify>(
        &self,
        attempt: Attempt,
        call: &mut impl FnMut(Attempt) -> Result<T, E>,
        cancelled: &CancellationToken,
    ) -> Result<T, Error<E>> {
        let began = self.clock.now();
        let left = || {
            let took = self.clock.now().since(began);
            attempt.left.map(|left| left.saturating_sub(took))
        };
        let mut passes = Passes::default();
        for gate in &self.gates {
            match gate {
                Gate::Breaker(breaker) => passes.breaker = Some(breaker.enter()?),
                Gate::Limiter(limiter, wait) => {
                    let wait = left().map_or(*wait, |left| left.min(*wait));
                    limiter.acquire_blocking(1, wait, cancelled)?;
                }
                Gate::Bulkhead(bulkhead) => {
                    let wait = left().unwrap_or(Duration::MAX);
                    let entered = bulkhead.enter_blocking_within(wait, cancelled)?;
                    passes.bulkhead = Some(Held::Waited(entered));
                }
                Gate::Adaptive(limit) => passes.adaptive = Some(limit.try_enter()?),
            }
        }
        passes.begin_after_waiting(self.clock.now())?;
        let left = left().into_iter().chain(self.attempt_limit).min();
        let result = call(Attempt { left, ..attempt }).map_err(Error::Failed);
        passes.end(result.as_ref().err());
        result
    }
}

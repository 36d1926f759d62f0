//! The same plans for operations that block.

use super::plan::Remedy;
use super::{Outcome, Recovery, RecoveryStatus};
use crate::class::Classify;
use crate::error::Error;
use tokio_util::sync::CancellationToken;

impl Recovery {
    /// Like [`run`](Self::run), for an operation that blocks, on a plain thread or on one of a runtime; `cancelled` ends the pauses of
    /// a retry.
    ///
    /// The operation is called on this thread, and nothing ends it but itself: the plan's `timeout` does not. Give it one of its own.
    ///
    /// # Panics
    ///
    /// Where the thread is one of a runtime, it has to pause, and the system refuses the helper thread for that.
    pub fn run_blocking<T, E>(
        &self,
        operation: &str,
        call: impl FnMut() -> Result<T, E>,
        cancelled: &CancellationToken,
    ) -> Outcome<T, E>
    where
        E: std::error::Error + Classify + 'static,
    {
        let none = None::<fn() -> Result<T, E>>;
        self.follow_blocking(operation, call, none, cancelled)
    }

    /// As [`run_blocking`](Self::run_blocking), with what to call instead where the plan is a fallback.
    ///
    /// # Panics
    ///
    /// As there.
    pub fn run_or_blocking<T, E>(
        &self,
        operation: &str,
        call: impl FnMut() -> Result<T, E>,
        fallback: impl FnOnce() -> Result<T, E>,
        cancelled: &CancellationToken,
    ) -> Outcome<T, E>
    where
        E: std::error::Error + Classify + 'static,
    {
        self.follow_blocking(operation, call, Some(fallback), cancelled)
    }

    fn follow_blocking<T, E>(
        &self,
        operation: &str,
        mut call: impl FnMut() -> Result<T, E>,
        fallback: Option<impl FnOnce() -> Result<T, E>>,
        cancelled: &CancellationToken,
    ) -> Outcome<T, E>
    where
        E: std::error::Error + Classify + 'static,
    {
        let mut called = || call().map_err(Error::Failed);
        let Some(registered) = self.registered(operation) else {
            return match called() {
                Ok(value) => Outcome::Recovered(value),
                Err(error) => Outcome::Failed(error),
            };
        };
        let plan = &*registered.plan;
        match &plan.remedy {
            Remedy::Retry => {
                let mut made = 0;
                let tried = |attempt: crate::Attempt| {
                    made = attempt.number;
                    called()
                };
                let answer = registered.engine.go_blocking(tried, cancelled);
                self.retried(plan, made, answer)
            }
            Remedy::Fallback => {
                let error = match self.first(plan, called()) {
                    Ok(outcome) => return outcome,
                    Err(error) => error,
                };
                let Some(fallback) = fallback else {
                    return self.fail(plan, RecoveryStatus::NoFallback, 1, error);
                };
                self.fell_back(plan, &error, fallback().map_err(Error::Failed))
            }
            Remedy::CircuitBreak(guard) => match guard.admit() {
                Ok(report) => self.report(plan, called(), report),
                Err(rejection) => self.fail(plan, RecoveryStatus::CircuitOpen, 0, rejection.into()),
            },
            Remedy::GracefulDegrade => self.degrade(plan, called()),
        }
    }
}

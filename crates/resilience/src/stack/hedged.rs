//! Several copies of one attempt, each behind the protections further in.

use super::Stack;
use crate::budget::RetryBudget;
use crate::class::Classify;
use crate::error::Error;
use crate::hedge::Hedge;
use crate::retry::Attempt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A hedge, and who pays for its copies.
#[derive(Debug)]
pub(super) struct Hedged {
    pub(super) hedge: Arc<Hedge>,
    pub(super) budget: Arc<RetryBudget>,
}

impl Stack {
    /// Makes an attempt, and further copies of it while it is slow. A copy that is given up is dropped, and gives back what it holds.
    pub(super) async fn hedge_attempt<T, E: Classify, F>(
        &self,
        hedged: &Hedged,
        attempt: Attempt,
        whole: Option<Duration>,
        call: &impl Fn(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let has_begun = AtomicBool::new(false);
        let noted = |attempt| {
            has_begun.store(true, Ordering::Relaxed);
            call(attempt)
        };
        let may = || has_begun.load(Ordering::Relaxed) && hedged.budget.try_retry();
        let began = self.clock.now();
        let copy = |number| {
            let left = match number {
                0 => attempt.left,
                // All copies have the time of the attempt, and not each its own.
                _ => attempt
                    .left
                    .map(|left| left.saturating_sub(self.clock.now().since(began))),
            };
            self.attempt(Attempt { left, ..attempt }, whole, &noted)
        };
        hedged.hedge.go(&may, copy, weightier).await
    }
}

/// That a copy was turned away says less than how another one failed.
fn weightier<E>(earlier: Error<E>, later: Error<E>) -> Error<E> {
    match (&earlier, &later) {
        (Error::Failed(_) | Error::TimedOut(_), Error::Rejected(_)) => earlier,
        _ => later,
    }
}

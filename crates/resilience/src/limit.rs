//! Waiting, but not for ever.

use mainstay_clock::Clock;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// What `future` comes to, or nothing if it takes longer than `limit`; it is dropped then.
///
/// The time counts from the first poll. What is ready at once costs no timer.
pub async fn within<F: Future>(clock: &dyn Clock, limit: Duration, future: F) -> Option<F::Output> {
    within_noting(clock, limit, future, || ()).await
}

/// Like [`within`], and calls `waits` when the first poll has come to nothing.
pub(crate) async fn within_noting<F: Future>(
    clock: &dyn Clock,
    limit: Duration,
    future: F,
    mut waits: impl FnMut(),
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut sleep = None;
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let sleep = sleep.get_or_insert_with(|| {
            waits();
            clock.sleep(limit)
        });
        sleep.as_mut().poll(context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;

    #[tokio::test]
    async fn what_takes_too_long_is_given_up() {
        let clock = ManualClock::new();
        let second = Duration::from_secs(1);
        assert_eq!(within(&clock, Duration::ZERO, async { 7 }).await, Some(7));
        let waiting = within(&clock, second, std::future::pending::<()>());
        let advance = async { clock.advance(second) };
        assert_eq!(tokio::join!(waiting, advance).0, None);
    }
}

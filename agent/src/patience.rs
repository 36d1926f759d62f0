//! Waiting, but not for ever.

use mainstay_clock::Clock;
use std::time::Duration;

/// What `future` came to, or nothing if it takes longer than `limit`; it is dropped then.
pub(crate) async fn within<F: Future>(
    clock: &dyn Clock,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = clock.sleep(limit) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;

    #[tokio::test]
    async fn what_takes_too_long_is_given_up() {
        let clock = ManualClock::new();
        assert_eq!(
            within(&clock, Duration::from_secs(1), async { 7 }).await,
            Some(7)
        );
        let waiting = within(&clock, Duration::from_secs(1), std::future::pending::<()>());
        let advance = async { clock.advance(Duration::from_secs(1)) };
        assert_eq!(tokio::join!(waiting, advance).0, None);
    }
}

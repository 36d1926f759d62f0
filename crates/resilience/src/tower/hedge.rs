//! A [`Hedge`] around any tower service.

use crate::budget::RetryBudget;
use crate::hedge::Hedge;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a hedge around each service that it is given: all of them share it, and its budget.
///
/// Only for requests that are idempotent, as [`Hedge`] says. It belongs inside of a limit of time over all and of a retry, and
/// outside of breaker, limiter and bulkhead, so that each copy counts there by itself; a [`Stack`](crate::Stack) puts it there.
#[derive(Debug, Clone)]
pub struct HedgeLayer {
    hedge: Arc<Hedge>,
    budget: Arc<RetryBudget>,
}

/// A service with a hedge around it; a request is cloned for each copy.
#[derive(Debug, Clone)]
pub struct Hedged<S> {
    inner: S,
    layer: HedgeLayer,
}

impl HedgeLayer {
    /// One that puts this hedge around services, and takes its copies out of this budget; each request pays into it.
    pub fn new(hedge: impl Into<Arc<Hedge>>, budget: Arc<RetryBudget>) -> Self {
        Self {
            hedge: hedge.into(),
            budget,
        }
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = Hedged<S>;

    fn layer(&self, inner: S) -> Hedged<S> {
        Hedged {
            inner,
            layer: self.clone(),
        }
    }
}

impl<S, R> Service<R> for Hedged<S>
where
    S: Service<R> + Clone + Send + Sync + 'static,
    S::Response: Send,
    S::Error: Send,
    S::Future: Send,
    R: Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    /// Always ready: whether the service is, each copy asks for itself.
    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (inner, HedgeLayer { hedge, budget }) = (self.inner.clone(), self.layer.clone());
        Box::pin(async move {
            budget.call();
            let copy = |_| {
                let (mut service, request) = (inner.clone(), request.clone());
                async move {
                    poll_fn(|context| service.poll_ready(context)).await?;
                    service.call(request).await
                }
            };
            hedge.call(&|| budget.try_retry(), copy).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::BudgetSettings;
    use crate::hedge::{HedgeDelay, HedgeSettings};
    use mainstay_clock::{ManualClock, SharedClock};
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    /// The first request, of all clones together, takes a minute; the others none.
    #[derive(Clone)]
    struct SlowOnce {
        clock: SharedClock,
        calls: Arc<AtomicU32>,
    }

    impl Service<&'static str> for SlowOnce {
        type Response = String;
        type Error = io::Error;
        type Future = Pin<Box<dyn Future<Output = io::Result<String>> + Send>>;

        fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: &'static str) -> Self::Future {
            let (number, clock) = (
                self.calls.fetch_add(1, Ordering::Relaxed),
                self.clock.clone(),
            );
            Box::pin(async move {
                if number == 0 {
                    clock.sleep(60 * SECOND).await;
                }
                Ok(format!("{request} {number}"))
            })
        }
    }

    #[tokio::test]
    async fn a_slow_service_is_asked_once_more_and_only_as_long_as_the_budget_lasts() {
        for (share, copies) in [(1.0, 2), (0.0, 1)] {
            let clock = ManualClock::new();
            let shared: SharedClock = Arc::new(clock.clone());
            let settings = HedgeSettings {
                delay: HedgeDelay::Fixed(SECOND),
                extra: 1,
            };
            let budget = BudgetSettings {
                share,
                least: 0,
                ..BudgetSettings::default()
            };
            let layer = HedgeLayer::new(
                Hedge::new(settings, shared.clone()).unwrap(),
                Arc::new(RetryBudget::new(budget, shared.clone()).unwrap()),
            );
            let calls = Arc::new(AtomicU32::new(0));
            let mut service = layer.layer(SlowOnce {
                clock: shared,
                calls: Arc::clone(&calls),
            });
            let mut answer = service.call("hub");
            assert!(futures_util::poll!(&mut answer).is_pending());
            clock.advance(SECOND);
            let early = futures_util::poll!(&mut answer);
            assert_eq!(calls.load(Ordering::Relaxed), copies, "share {share}");
            match early {
                Poll::Ready(answer) => assert_eq!(answer.unwrap(), "hub 1"),
                Poll::Pending => {
                    assert_eq!(copies, 1);
                    clock.advance(60 * SECOND);
                    assert_eq!(answer.await.unwrap(), "hub 0");
                }
            }
        }
    }
}

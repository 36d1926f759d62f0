//! What is done instead of a request that a tower service failed to answer.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a fallback around each service that it is given; it belongs outside of everything that may fail, a
/// [`StackLayer`](crate::StackLayer) among them.
///
/// The fallback gets the request and the error, and may answer, or fail with this error or with another. A request whose future is
/// dropped has none.
#[derive(Clone)]
pub struct FallbackLayer<O> {
    otherwise: O,
}

/// A service with a fallback around it; a request is cloned once, for the fallback.
#[derive(Clone)]
pub struct Backed<S, O> {
    inner: S,
    otherwise: O,
}

impl<O> FallbackLayer<O> {
    /// One that answers by `otherwise`.
    pub fn new(otherwise: O) -> Self {
        Self { otherwise }
    }
}

impl<O> fmt::Debug for FallbackLayer<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, O> fmt::Debug for Backed<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Backed");
        shown.field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, O: Clone> Layer<S> for FallbackLayer<O> {
    type Service = Backed<S, O>;

    fn layer(&self, inner: S) -> Backed<S, O> {
        Backed {
            inner,
            otherwise: self.otherwise.clone(),
        }
    }
}

impl<S, R, O, F> Service<R> for Backed<S, O>
where
    S: Service<R> + Clone + Send + 'static,
    S::Response: Send,
    S::Error: Send,
    S::Future: Send,
    R: Clone + Send + 'static,
    O: Fn(R, S::Error) -> F + Clone + Send + 'static,
    F: Future<Output = Result<S::Response, S::Error>> + Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    /// Always ready: that the service is not may be what the fallback is for.
    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (mut service, otherwise) = (self.inner.clone(), self.otherwise.clone());
        Box::pin(async move {
            let kept = request.clone();
            let answer = async {
                poll_fn(|context| service.poll_ready(context)).await?;
                service.call(request).await
            };
            match answer.await {
                Ok(answer) => Ok(answer),
                Err(error) => otherwise(kept, error).await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::{Category, Class, Classify, Severity};
    use crate::error::Error;
    use crate::retry::RetrySettings;
    use crate::stack::Stack;
    use crate::tower::StackLayer;
    use std::future::{Pending, Ready, pending, ready};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Debug, PartialEq)]
    struct Gone;

    impl Classify for Gone {
        fn class(&self) -> Class {
            Class::permanent(Category::Network, Severity::Medium)
        }
    }

    #[derive(Clone)]
    struct Fails;

    impl Service<&'static str> for Fails {
        type Response = String;
        type Error = Gone;
        type Future = Ready<Result<String, Gone>>;

        fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _request: &'static str) -> Self::Future {
            ready(Err(Gone))
        }
    }

    #[derive(Clone)]
    struct Hangs;

    impl Service<&'static str> for Hangs {
        type Response = String;
        type Error = Gone;
        type Future = Pending<Result<String, Gone>>;

        fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _request: &'static str) -> Self::Future {
            pending()
        }
    }

    #[tokio::test]
    async fn a_fallback_gets_the_request_and_what_the_stack_inside_came_to() {
        let stack = Stack::builder("hub", mainstay_clock::system())
            .retry(RetrySettings::client())
            .build()
            .unwrap();
        let fallback = FallbackLayer::new(|request: &str, error: Error<Gone>| {
            ready(match error {
                Error::Failed(Gone) => Ok(format!("yesterday's {request}")),
                error => Err(error),
            })
        });
        let mut service = fallback.layer(StackLayer::new(stack).layer(Fails));
        assert_eq!(service.call("prices").await.unwrap(), "yesterday's prices");
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_has_no_fallback() {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let fallback = FallbackLayer::new(move |_: &str, error: Gone| {
            counted.fetch_add(1, Ordering::Relaxed);
            ready(Err::<String, _>(error))
        });
        let mut hanging = fallback.layer(Hangs).call("prices");
        assert!(futures_util::poll!(&mut hanging).is_pending());
        drop(hanging);
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        assert_eq!(fallback.layer(Fails).call("prices").await, Err(Gone));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}

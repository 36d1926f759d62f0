//! A [`Stack`] around any tower service.

mod fallback;

mod hedge;

pub use fallback::{Backed, FallbackLayer};
pub use hedge::{HedgeLayer, Hedged};

use crate::class::Classify;
use crate::error::Error;
use crate::stack::Stack;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a stack around each service that it is given: all of them share its protections.
///
/// ```
/// use mainstay_resilience::{RetrySettings, Stack, StackLayer};
/// use tower_layer::Layer;
/// use tower_service::Service;
///
/// # #[derive(Clone)] struct Hello;
/// # impl Service<String> for Hello {
/// #     type Response = String; type Error = std::io::Error; type Future = std::future::Ready<std::io::Result<String>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> { std::task::Poll::Ready(Ok(())) }
/// #     fn call(&mut self, name: String) -> Self::Future { std::future::ready(Ok(format!("hello {name}"))) }
/// # }
/// let stack = Stack::builder("hub", mainstay_clock::system()).retry(RetrySettings::client()).build()?;
/// let mut service = StackLayer::new(stack).layer(Hello);
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// assert_eq!(service.call("hub".to_owned()).await?, "hello hub");
/// # Ok::<(), mainstay_resilience::Error<std::io::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StackLayer {
    stack: Arc<Stack>,
}

/// A service with a stack around it; a request is cloned for each attempt.
#[derive(Debug, Clone)]
pub struct Protected<S> {
    inner: S,
    stack: Arc<Stack>,
}

impl StackLayer {
    /// One that puts this stack around services.
    pub fn new(stack: impl Into<Arc<Stack>>) -> Self {
        Self {
            stack: stack.into(),
        }
    }
}

impl<S> Layer<S> for StackLayer {
    type Service = Protected<S>;

    fn layer(&self, inner: S) -> Protected<S> {
        Protected {
            inner,
            stack: Arc::clone(&self.stack),
        }
    }
}

impl<S, R> Service<R> for Protected<S>
where
    S: Service<R> + Clone + Send + Sync + 'static,
    S::Response: Send,
    S::Error: Classify + Send + Sync,
    S::Future: Send,
    R: Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Self::Error>> + Send>>;

    /// Always ready: whether the service is, each attempt asks for itself.
    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (inner, stack) = (self.inner.clone(), Arc::clone(&self.stack));
        Box::pin(async move {
            let attempt = |_| {
                let (mut service, request) = (inner.clone(), request.clone());
                async move {
                    poll_fn(|context| service.poll_ready(context)).await?;
                    service.call(request).await
                }
            };
            stack.run(attempt).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::{Backoff, Jitter, Shape};
    use crate::retry::RetrySettings;
    use std::future::{Ready, ready};
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    /// Fails twice, for all its clones together.
    #[derive(Clone)]
    struct Third(Arc<AtomicU32>);

    impl Service<&'static str> for Third {
        type Response = String;
        type Error = io::Error;
        type Future = Ready<io::Result<String>>;

        fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: &'static str) -> Self::Future {
            ready(match self.0.fetch_add(1, Ordering::Relaxed) {
                2 => Ok(request.to_uppercase()),
                _ => Err(io::ErrorKind::ConnectionReset.into()),
            })
        }
    }

    #[tokio::test]
    async fn a_service_behind_a_stack_is_called_until_it_answers() {
        let settings = RetrySettings {
            backoff: Backoff {
                shape: Shape::Fixed,
                initial: Duration::ZERO,
                max: Duration::ZERO,
                jitter: Jitter::None,
            },
            ..RetrySettings::generic()
        };
        let stack = Stack::builder("hub", mainstay_clock::system())
            .retry(settings)
            .build()
            .unwrap();
        let calls = Arc::new(AtomicU32::new(0));
        let mut service = StackLayer::new(stack).layer(Third(Arc::clone(&calls)));
        let answer = tokio::spawn(service.call("hub")).await.unwrap();
        assert_eq!(answer.unwrap(), "HUB");
        let error = service.call("hub").await.unwrap_err();
        assert!(matches!(error, Error::Exhausted { attempts: 3, .. }));
        assert_eq!(calls.load(Ordering::Relaxed), 6);
    }
}

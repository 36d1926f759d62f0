//! What is done instead of a call that came to nothing.

use super::{Layer, Stack};
use crate::class::Classify;
use crate::error::Error;
use crate::retry::Attempt;
use crate::shed::Priority;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The mark of a [`StackBuilder`](super::StackBuilder) that was given a fallback.
pub struct Fallback<O>(pub(super) O);

/// A [`Stack`] with a fallback around all of it.
///
/// ```
/// use mainstay_resilience::{Error, RetrySettings, Stack};
/// use std::io;
/// use std::time::Duration;
///
/// let stack = Stack::builder("prices", mainstay_clock::system())
///     .deadline(Duration::from_secs(5))
///     .retry(RetrySettings { attempts: 1, ..RetrySettings::client() })
///     .fallback(async |_: Error<io::Error>| Ok("yesterday's"))
///     .build()?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let answer = stack.run(async |_| Err(io::Error::other("down"))).await;
/// assert_eq!(answer.ok(), Some("yesterday's"));
/// assert_eq!(stack.fallbacks(), 1);
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WithFallback<O> {
    stack: Stack,
    otherwise: O,
    fallbacks: AtomicU64,
}

impl<O> fmt::Debug for Fallback<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fallback")
    }
}

impl<O> fmt::Debug for WithFallback<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithFallback")
            .field("stack", &self.stack)
            .field("fallbacks", &self.fallbacks)
            .finish_non_exhaustive()
    }
}

impl<O> WithFallback<O> {
    pub(super) fn new(stack: Stack, otherwise: O) -> Self {
        Self {
            stack,
            otherwise,
            fallbacks: AtomicU64::new(0),
        }
    }

    /// What stands inside of the fallback.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Its protections, from the outside in; the fallback is the first.
    pub fn order(&self) -> &[Layer] {
        self.stack.order()
    }

    /// How often the fallback was asked.
    pub fn fallbacks(&self) -> u64 {
        self.fallbacks.load(Ordering::Relaxed)
    }

    /// As [`Stack::run`]; where that comes to nothing, the fallback says what it comes to.
    ///
    /// Dropping the future ends it wherever it is, and asks no fallback.
    ///
    /// # Errors
    ///
    /// Those of the fallback.
    pub async fn run<T, E: Classify, F, G>(
        &self,
        call: impl Fn(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        O: Fn(Error<E>) -> G,
        G: Future<Output = Result<T, Error<E>>>,
    {
        self.fall_back(self.stack.run(call).await).await
    }

    /// As [`Stack::run_within`]; the time of the fallback is not part of `left`.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_within<T, E: Classify, F, G>(
        &self,
        left: Duration,
        call: impl Fn(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        O: Fn(Error<E>) -> G,
        G: Future<Output = Result<T, Error<E>>>,
    {
        self.fall_back(self.stack.run_within(left, call).await)
            .await
    }

    /// As [`Stack::run_as`].
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_as<T, E: Classify, F, G>(
        &self,
        priority: Priority,
        call: impl Fn(Attempt) -> F,
    ) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        O: Fn(Error<E>) -> G,
        G: Future<Output = Result<T, Error<E>>>,
    {
        self.fall_back(self.stack.run_as(priority, call).await)
            .await
    }

    async fn fall_back<T, E, G>(&self, answer: Result<T, Error<E>>) -> Result<T, Error<E>>
    where
        O: Fn(Error<E>) -> G,
        G: Future<Output = Result<T, Error<E>>>,
    {
        match answer {
            Ok(value) => Ok(value),
            Err(error) => {
                self.fallbacks.fetch_add(1, Ordering::Relaxed);
                (self.otherwise)(error).await
            }
        }
    }
}

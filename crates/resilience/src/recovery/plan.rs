//! What to do about an operation, and what is refused.

use crate::backoff::{Backoff, Jitter, Shape};
use crate::breaker::Breaker;
use crate::error::{InvalidSettings, Rejection};
use crate::retry::{Retry, RetrySettings};
use mainstay_clock::SharedClock;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What to do about one operation.
///
/// # Defaults
///
/// | what | number | why |
/// |---|---|---|
/// | attempts of a retry, the first included | 3 | as the layer before had it |
/// | pause between two | 100 ms | as the layer before had it |
/// | time for one call, of the operation or of its fallback | 5 s | as the layer before said, and did not do |
#[derive(Debug, Clone)]
pub struct RecoveryPlan {
    pub(super) operation: String,
    pub(super) remedy: Remedy,
    pub(super) attempts: u32,
    pause: Duration,
    pub(super) timeout: Duration,
}

/// What kind of plan it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryStrategy {
    /// Try again, where that helps.
    Retry,
    /// Do something else instead.
    Fallback,
    /// Do not even try while the other side is down.
    CircuitBreak,
    /// Go on with less.
    GracefulDegrade,
}

/// Decides whether a call may be made, and learns what came of it: a circuit breaker.
pub trait Guard: fmt::Debug + Send + Sync {
    /// Lets a call through, or turns it away.
    ///
    /// # Errors
    ///
    /// The rejection; nothing is to be reported then.
    fn admit(&self) -> Result<Report<'_>, Rejection>;
}

/// Takes whether the other side did its part. One that is dropped says nothing of the other side: the call was given up, or its
/// caller asked for what cannot be.
pub type Report<'a> = Box<dyn FnOnce(bool) + Send + 'a>;

#[derive(Debug, Clone)]
pub(super) enum Remedy {
    Retry,
    Fallback,
    CircuitBreak(Arc<dyn Guard>),
    GracefulDegrade,
}

// === impl RecoveryStrategy ===

impl RecoveryStrategy {
    /// One lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Fallback => "fallback",
            Self::CircuitBreak => "circuit_break",
            Self::GracefulDegrade => "graceful_degrade",
        }
    }
}

// === impl RecoveryPlan ===

impl RecoveryPlan {
    /// The attempts of a retry unless said otherwise.
    pub const ATTEMPTS: u32 = 3;
    /// The pause between two attempts unless said otherwise.
    pub const PAUSE: Duration = Duration::from_millis(100);
    /// The time for one call unless said otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// Try the operation again, where its error says that this may help.
    pub fn retry(operation: impl Into<String>) -> Self {
        Self {
            attempts: Self::ATTEMPTS,
            ..Self::of(operation, Remedy::Retry)
        }
    }

    /// Call the fallback where the operation fails.
    pub fn fallback(operation: impl Into<String>) -> Self {
        Self::of(operation, Remedy::Fallback)
    }

    /// Call the operation only where the guard lets it through.
    pub fn circuit_break(operation: impl Into<String>, guard: Arc<dyn Guard>) -> Self {
        Self::of(operation, Remedy::CircuitBreak(guard))
    }

    /// Tell the caller to go on without, where the operation fails.
    pub fn graceful_degrade(operation: impl Into<String>) -> Self {
        Self::of(operation, Remedy::GracefulDegrade)
    }

    fn of(operation: impl Into<String>, remedy: Remedy) -> Self {
        Self {
            operation: operation.into(),
            remedy,
            attempts: 1,
            pause: Self::PAUSE,
            timeout: Self::TIMEOUT,
        }
    }

    /// So many calls of the operation at most, the first included.
    #[must_use]
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// So long a pause between two attempts. Where the other side asks for a longer one it gets that, up to the
    /// [`timeout`](Self::timeout); one that asks for more is not tried again.
    #[must_use]
    pub fn pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// So much time for each call, of the operation or of its fallback; then it is dropped.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// What it is for.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// What kind it is.
    pub fn strategy(&self) -> RecoveryStrategy {
        match self.remedy {
            Remedy::Retry => RecoveryStrategy::Retry,
            Remedy::Fallback => RecoveryStrategy::Fallback,
            Remedy::CircuitBreak(_) => RecoveryStrategy::CircuitBreak,
            Remedy::GracefulDegrade => RecoveryStrategy::GracefulDegrade,
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidSettings> {
        let operation = &self.operation;
        let refuse = |why: &str| {
            let what = format!("cannot register a recovery plan for `{operation}`: {why}");
            Err(InvalidSettings::new(what))
        };
        if self.attempts == 0 {
            return refuse("0 attempts would never call it; 1 is one call and no other");
        }
        if 1 < self.attempts && !matches!(self.remedy, Remedy::Retry) {
            return refuse("only a plan of the kind retry has several attempts");
        }
        if self.timeout.is_zero() {
            return refuse("a timeout of 0 would end every call before it began");
        }
        Ok(())
    }

    /// What tries again for it.
    pub(super) fn engine(&self, clock: &SharedClock) -> Result<Retry, InvalidSettings> {
        let settings = RetrySettings {
            attempts: self.attempts,
            backoff: Backoff {
                shape: Shape::Fixed,
                initial: self.pause,
                max: self.pause,
                jitter: Jitter::None,
            },
            deadline: None,
            retry_after_max: self.timeout.max(self.pause),
        };
        Retry::new(&self.operation, settings, clock.clone())
    }
}

// === impl Guard ===

impl Guard for Breaker {
    fn admit(&self) -> Result<Report<'_>, Rejection> {
        let permit = self.enter()?;
        Ok(Box::new(move |is_well| {
            if is_well {
                permit.success();
            } else {
                permit.failure();
            }
        }))
    }
}

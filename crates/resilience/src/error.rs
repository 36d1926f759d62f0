//! Why a call did not come to a result.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Who turned a call away before it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectedBy {
    /// A circuit breaker that is open, or forced open.
    Breaker,
    /// A rate limiter without a permit.
    Limiter,
    /// A bulkhead, or an adaptive limit, that is full.
    Bulkhead,
    /// Load shedding.
    Shedder,
    /// The deadline over all attempts: no time is left for this one.
    Deadline,
}

/// A call that was turned away before it was made; nothing was sent, nothing happened.
///
/// Trying again at once is turned away again, so no retry of this crate does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Who turned it away.
    pub by: RejectedBy,
    /// The name of who did.
    pub name: Arc<str>,
    /// When it is worth coming back, as far as that is known.
    pub retry_after: Option<Duration>,
}

/// What a protected call came to, where it came to no value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// It was turned away before it was made.
    Rejected(Rejection),
    /// An attempt took longer than this, and was given up: whether it had an effect is unknown.
    TimedOut(Duration),
    /// It failed, once or for good, with an error that trying again does not help.
    Failed(E),
    /// It failed in every attempt that it was given, the last time so.
    Exhausted {
        /// The last error.
        last: Box<Error<E>>,
        /// How many attempts were made.
        attempts: u32,
    },
}

/// Settings that cannot work: which, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings {
    pub(crate) what: String,
}

// === impl Rejection ===

impl Rejection {
    pub(crate) fn new(by: RejectedBy, name: &Arc<str>, retry_after: Option<Duration>) -> Self {
        Self {
            by,
            name: Arc::clone(name),
            retry_after,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.by {
            RejectedBy::Breaker => write!(f, "circuit breaker `{name}` is open")?,
            RejectedBy::Limiter => write!(f, "the rate limit of `{name}` is reached")?,
            RejectedBy::Bulkhead => write!(f, "`{name}` has as many calls under way as it may")?,
            RejectedBy::Shedder => write!(f, "`{name}` is overloaded")?,
            RejectedBy::Deadline => write!(f, "no time is left for another attempt of `{name}`")?,
        }
        match self.retry_after {
            Some(after) => write!(f, ", try again in {:.1} s", after.as_secs_f64()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Rejection {}

// === impl Error ===

impl<E> Error<E> {
    /// The error that the call itself answered, the last one where it was tried several times.
    pub fn inner(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Exhausted { last, .. } => last.inner(),
            Self::Rejected(_) | Self::TimedOut(_) => None,
        }
    }

    /// As [`inner`](Self::inner), by value.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Exhausted { last, .. } => last.into_inner(),
            Self::Rejected(_) | Self::TimedOut(_) => None,
        }
    }

    /// Who turned it away, where it was; the last attempt, where there were several.
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Exhausted { last, .. } => last.rejection(),
            Self::Failed(_) | Self::TimedOut(_) => None,
        }
    }
}

impl<E> From<Rejection> for Error<E> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl<E> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(_) => f.write_str("the call was not made"),
            Self::TimedOut(limit) => write!(f, "no answer within {:.1} s", limit.as_secs_f64()),
            Self::Failed(_) => f.write_str("the call failed"),
            Self::Exhausted { attempts, .. } => write!(f, "all {attempts} attempts failed"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::TimedOut(_) => None,
            Self::Failed(error) => Some(error),
            Self::Exhausted { last, .. } => Some(&**last),
        }
    }
}

// === impl InvalidSettings ===

impl InvalidSettings {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for InvalidSettings {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn an_error_says_each_thing_once_from_the_outside_in() {
        let rejection = Rejection::new(
            RejectedBy::Breaker,
            &"registry".into(),
            Some(Duration::from_millis(1_500)),
        );
        let error: Error<std::io::Error> = Error::Exhausted {
            last: Box::new(rejection.clone().into()),
            attempts: 3,
        };
        let mut said = vec![error.to_string()];
        let mut source = error.source();
        while let Some(error) = source {
            said.push(error.to_string());
            source = error.source();
        }
        assert_eq!(
            said,
            [
                "all 3 attempts failed",
                "the call was not made",
                "circuit breaker `registry` is open, try again in 1.5 s",
            ]
        );
        assert_eq!(error.rejection(), Some(&rejection));
        assert!(error.inner().is_none());
    }
}

//! Why a request came to no answer: what stopped it, where, and what to do.

use crate::answer::Answer;
use mainstay_resilience::{Category, Class, Classify, Severity};
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The cause of an error, whatever its type.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

/// Why a request came to no answer.
///
/// The message says what happened, where and what to do, and holds no secret; what others said of it is in
/// [`source`](std::error::Error::source).
///
/// It is never retryable by its class: what may be tried again the client has tried again.
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    attempts: u32,
    retry_after: Option<Duration>,
    answer: Option<Answer>,
    source: Option<Cause>,
}

/// What stopped a request, by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The address, or a header, is none that can be used.
    Url,
    /// The client's settings cannot work.
    Settings,
    /// The name of the host has no address, or the name server did not say.
    Dns,
    /// The machine is there, and nobody listens.
    Refused,
    /// No way leads to the machine.
    Unreachable,
    /// No TLS: the certificate, the versions, or our own identity.
    Tls,
    /// No connection in time.
    ConnectTimeout,
    /// The server was silent for too long.
    ReadTimeout,
    /// All together took too long.
    TotalTimeout,
    /// The answer is longer than what is read as a whole.
    TooLarge,
    /// A redirect that is not followed.
    Redirect,
    /// The server's answer says that it failed, after all retries.
    Status(u16),
    /// The server, or our own limit, wants to be left alone for a while: [`Error::retry_after`] says for how long.
    LimitedUntil,
    /// The circuit breaker of this origin is open: it did not work lately, and was not asked.
    BreakerOpen,
    /// As many requests as may be are under way to this origin.
    Full,
    /// Nobody was to be asked, and nothing is kept that could be served.
    Offline,
    /// The caller took it back.
    Cancelled,
    /// The connection broke, or what came over it is no HTTP.
    BrokenAnswer,
    /// What was downloaded is not what was expected, by its hash or its length.
    Mismatch,
    /// The file that a download is for cannot be written.
    File,
    /// Anything else.
    Other,
}

// === impl Error ===

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                attempts: 0,
                retry_after: None,
                answer: None,
                source: None,
            }),
        }
    }

    pub(crate) fn settings(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Settings, message)
    }

    pub(crate) fn unusable(unusable: mainstay_wire::Unusable) -> Self {
        let (message, source) = unusable.into_parts();
        let mut error = Self::settings(message);
        error.inner.source = source;
        error
    }

    pub(crate) fn because(mut self, source: impl Into<Cause>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    pub(crate) fn after(mut self, retry_after: Option<Duration>) -> Self {
        self.inner.retry_after = retry_after;
        self
    }

    pub(crate) fn with_answer(mut self, answer: Answer) -> Self {
        self.inner.answer = Some(answer);
        self
    }

    pub(crate) fn after_attempts(mut self, attempts: u32) -> Self {
        self.inner.attempts = attempts;
        if let Some(answer) = &mut self.inner.answer {
            answer.attempts = attempts;
        }
        self
    }

    /// What stopped it.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// How many attempts were made, over all redirects; 0 where nothing was sent.
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// How long to wait before it is worth asking again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// The status of the last answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.status.as_u16())
    }

    /// The last answer, where there was one; of its body the first 64 KiB, except after
    /// [`Answer::error_for_status`](crate::Answer::error_for_status), which has the whole.
    pub fn answer(&self) -> Option<&Answer> {
        self.inner.answer.as_ref()
    }
}

impl ErrorKind {
    /// What it is; whether it may be tried again, by itself.
    pub(crate) fn class(self) -> Class {
        let again = |category| Class::retryable(category, Severity::Medium);
        let not_again = |category| Class::permanent(category, Severity::Medium);
        match self {
            Self::Url | Self::Settings | Self::Redirect | Self::Cancelled | Self::TooLarge => {
                not_again(Category::Validation)
            }
            Self::Dns | Self::Refused | Self::Unreachable | Self::BrokenAnswer => {
                again(Category::Network)
            }
            Self::ConnectTimeout | Self::ReadTimeout => again(Category::Timeout),
            Self::TotalTimeout => not_again(Category::Timeout),
            Self::Tls => not_again(Category::Network),
            Self::Status(code) => crate::status::class(code),
            Self::LimitedUntil => crate::status::class(429),
            Self::BreakerOpen | Self::Full | Self::File | Self::Offline => {
                not_again(Category::Resource)
            }
            Self::Mismatch => not_again(Category::Internal),
            Self::Other => not_again(Category::Unknown),
        }
    }
}

impl Classify for Error {
    fn told(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn class(&self) -> Class {
        Class {
            is_retryable: false,
            retry_after: self.inner.retry_after,
            ..self.inner.kind.class()
        }
    }

    fn retries(&self) -> u32 {
        self.inner.attempts.saturating_sub(1)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        match self.inner.attempts {
            0 | 1 => Ok(()),
            attempts => write!(f, " ({attempts} attempts)"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message)
            .field("attempts", &self.inner.attempts)
            .field("retry_after", &self.inner.retry_after)
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.inner.source.as_deref()?;
        Some(source)
    }
}

//! Why work did not come to a result, sorted by what the caller can do about it.

use std::error::Error as StdError;
use std::fmt;

/// What a job may fail with: any error at all, so that `?` takes each.
pub type Failure = Box<dyn StdError + Send + Sync>;

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no place. Nothing was taken; try again later, or wait for one.
    Full,
    /// It was cancelled: before it began, or it noticed and gave up.
    Cancelled,
    /// It panicked; the message is in the text. How far it came is unknown.
    Panicked,
    /// It failed by itself; the source is what it failed with.
    Failed,
    /// Whoever would do it is gone, or on its way out. Nothing was taken.
    Closed,
    /// The wait is over and the job is not: it goes on, and still holds its worker.
    StillRunning,
    /// A setting or a name that cannot work: correct it.
    Invalid,
    /// The system refused; the source says why.
    System,
}

/// A failure of a job, or of what was asked of this crate.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Failure>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::with(kind, message.into(), None)
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Failure>,
    ) -> Self {
        Self::with(kind, message.into(), Some(source.into()))
    }

    fn with(kind: ErrorKind, message: String, source: Option<Failure>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message,
                source,
            }),
        }
    }

    pub(crate) fn cancelled(name: &str) -> Self {
        Self::new(ErrorKind::Cancelled, format!("`{name}` was cancelled"))
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What a job failed with, by value, so that it can be brought back to its own type.
    pub fn into_failure(self) -> Option<Failure> {
        self.inner.source
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message)
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_ref().map(|source| &**source as _)
    }
}

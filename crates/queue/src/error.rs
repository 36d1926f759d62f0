//! What can go wrong, sorted by what the caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process has the folder open.
    Locked,
    /// There is no room: the limit is reached or the disk is full. Nothing was stored; try again later.
    Full,
    /// The document or the batch is larger than the queue takes. Nothing was stored.
    TooLarge,
    /// The disk did not confirm. What was asked may or may not have happened; asking again with the same id is safe.
    NotDurable,
    /// Two fresh segments in a row failed: nothing can be stored until the disk heals. Delivery goes on.
    ReadOnly,
    /// The queue is closed.
    Closed,
    /// The lane was never declared.
    UnknownLane,
    /// No document with this id is in the state that was asked for.
    NotFound,
    /// The request itself makes no sense.
    Invalid,
    /// The bytes on the disk are not the bytes that were written.
    Damaged,
    /// The folder was written by a newer version; it was not touched.
    NewerFormat,
    /// The system refused; the source says why.
    Io,
}

/// A failure of the queue: what was tried, on what, and what to do.
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Arc::new(Inner {
                kind,
                message: message.into(),
                source: None,
            }),
        }
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        let source: Box<dyn StdError + Send + Sync> = Box::new(source);
        Self {
            inner: Arc::new(Inner {
                kind,
                message: message.into(),
                source: Some(source),
            }),
        }
    }

    /// An I/O failure, whose kind follows from what the system said.
    pub(crate) fn io(doing: impl Into<String>, error: std::io::Error) -> Self {
        let kind = if is_disk_full(&error) {
            ErrorKind::Full
        } else {
            ErrorKind::Io
        };
        Self::with_source(kind, doing, error)
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the queue is closed")
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }
}

/// Whether the system said that there is no room left on the disk or in the quota.
pub(crate) fn is_disk_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
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
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner
            .source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}

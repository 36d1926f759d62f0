//! What can go wrong with the cache, told by what the caller can do about it.

use std::fmt;
use std::path::Path;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the cache could not do something.
///
/// It is never a reason to fail the request that the cache was asked about: go on as if there were no cache. The exception is an
/// invalidation that fails, after which an outdated answer may still be served.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Source>,
}

/// What kind of failure it was, by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting or a pattern that cannot work: correct it.
    Invalid,
    /// Another process held the index for longer than is waited: the same call may succeed later.
    Busy,
    /// The disk is full: what could not be stored is not stored.
    NoRoom,
    /// The folder or the index cannot be used, see the source: go on without the cache.
    Unavailable,
}

impl Error {
    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    pub(crate) fn invalid(what: &str, source: Option<Source>) -> Self {
        Self::new(ErrorKind::Invalid, what.to_owned(), source)
    }

    /// The index failed, and setting it aside was no answer.
    pub(crate) fn of_index(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let kind = match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
            Some(ErrorCode::DiskFull) => ErrorKind::NoRoom,
            _ => ErrorKind::Unavailable,
        };
        Self::at_index(path, kind, Box::new(source))
    }

    /// A file of the cache could not be made, changed or removed.
    pub(crate) fn of_files(path: &Path, source: mainstay_files::Error) -> Self {
        use mainstay_files::ErrorKind as Files;
        let kind = match source.kind() {
            Files::Locked => ErrorKind::Busy,
            Files::DiskFull | Files::Quota => ErrorKind::NoRoom,
            _ => ErrorKind::Unavailable,
        };
        Self::at_index(path, kind, Box::new(source))
    }

    fn at_index(path: &Path, kind: ErrorKind, source: Source) -> Self {
        let reason = match kind {
            ErrorKind::Busy => "another process holds it, try again later",
            ErrorKind::NoRoom => "disk full, nothing was stored",
            _ => "it cannot be read or written, see owner and mode",
        };
        let message = format!("cannot use the cache at `{}`: {reason}", path.display());
        Self::new(kind, message, Some(source))
    }

    fn new(kind: ErrorKind, message: String, source: Option<Source>) -> Self {
        let inner = Inner {
            kind,
            message,
            source,
        };
        Self {
            inner: Box::new(inner),
        }
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

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| &**source as _)
    }
}

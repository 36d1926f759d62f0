//! What can be wrong with a destination before anything is sent.

use std::error::Error as StdError;
use std::fmt;

/// A setting that cannot work, found while a destination or a worker is made; nothing was sent and nothing was changed.
///
/// What goes wrong later, with a document on its way, is no error but an [`Outcome`](crate::Outcome).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What the caller can do about an [`Error`].
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A setting is impossible: the message names it and says what to write instead.
    Setting,
    /// A certificate or key file cannot be read, or holds something else.
    Certificate,
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn setting(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Setting,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn certificate(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Certificate,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn unusable(unusable: mainstay_wire::Unusable) -> Self {
        let (message, source) = unusable.into_parts();
        Self {
            source,
            ..Self::certificate(message)
        }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

//! Why something was not started or registered.

use mainstay_resilience::{Category, Class, Classify, InvalidSettings, Severity};
use std::fmt;

/// Why something was not started or registered; nothing was changed.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What the caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Change the settings: they cannot work.
    Settings,
    /// Take another name: this one is taken.
    Taken,
    /// Have fewer: there are as many as there may be.
    Full,
    /// Nothing: it is being stopped, and nothing is started any more.
    Stopping,
    /// Come back within a runtime, with more threads, or begun by whom it takes: the system refuses.
    Refused,
}

// === impl Error ===

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            source: None,
        }
    }

    pub(crate) fn because(
        self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<InvalidSettings> for Error {
    fn from(error: InvalidSettings) -> Self {
        Self::new(ErrorKind::Settings, error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self.kind {
            ErrorKind::Settings | ErrorKind::Taken => {
                Class::permanent(Category::Validation, Severity::Medium)
            }
            ErrorKind::Full | ErrorKind::Stopping => {
                Class::permanent(Category::Resource, Severity::Medium)
            }
            ErrorKind::Refused => Class::retryable(Category::Resource, Severity::High),
        }
    }
}

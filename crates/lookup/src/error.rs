//! What cannot work, and why a lookup came to nothing.

use mainstay_resilience::{Category, Class, Classify, Severity};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Settings that cannot work; it says which, and what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings(String);

impl InvalidSettings {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for InvalidSettings {}

/// Why a document did not get what is known elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose it is.
    pub kind: FailureKind,
    /// What happened, and what to do; without secrets.
    pub reason: String,
    /// The server asked to be left alone for so long.
    pub retry_after: Option<Duration>,
}

/// What a failure of a lookup is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The document: it cannot be read, or has no place for what was found. Waiting helps nobody.
    Document,
    /// An answer of the server: it may be another one later.
    Server,
    /// The server as a whole: nobody gets an answer until something is put right.
    Unreachable,
    /// A limit of our own: the rate, or the time for one document. Nobody failed, so the document waits, whatever was chosen.
    Limit,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            retry_after: None,
        }
    }

    pub(crate) fn document(reason: impl Into<String>) -> Self {
        Self::new(FailureKind::Document, reason)
    }

    /// Of a document that cannot be read, or has no place for what was found.
    pub(crate) fn unreadable(reason: impl fmt::Display) -> Self {
        Self::document(format!("the document cannot be looked up: {reason}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Failure {}

/// A limit of our own is the least of it; a server that nobody can ask is worse than one answer that cannot be used.
impl Classify for Failure {
    fn class(&self) -> Class {
        let class = match self.kind {
            FailureKind::Document => Class::permanent(Category::Validation, Severity::Medium),
            FailureKind::Server => Class::retryable(Category::Internal, Severity::Medium),
            FailureKind::Unreachable => Class::retryable(Category::Network, Severity::High),
            FailureKind::Limit => Class::retryable(Category::Resource, Severity::Low),
        };
        match self.retry_after {
            Some(wait) => class.after(wait),
            None => class,
        }
    }
}

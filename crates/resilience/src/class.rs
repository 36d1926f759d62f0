//! What kind of error it is, how bad, and whether trying again helps.

mod of_tokio;

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// The caller asked for something that cannot be.
    Validation,
    /// The way to the other side.
    Network,
    /// It took too long.
    Timeout,
    /// Something ran out: disk, memory, permits, descriptors.
    Resource,
    /// A fault of the program, here or there.
    Internal,
    /// Nobody knows.
    Unknown,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Expected now and then.
    Low,
    /// Somebody may want to know.
    Medium,
    /// Something does not work.
    High,
    /// Nothing works, or something is lost.
    Critical,
}

/// All that is to be known of an error to deal with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// What kind.
    pub category: Category,
    /// How bad.
    pub severity: Severity,
    /// Whether the same call may succeed another time.
    pub is_retryable: bool,
    /// The least that the other side asked to be waited.
    pub retry_after: Option<Duration>,
}

/// An error that knows its class.
pub trait Classify {
    /// What it is.
    fn class(&self) -> Class;

    /// How often it was tried again before this came of it, as far as it knows.
    fn retries(&self) -> u32 {
        0
    }

    /// What it says of itself, for whoever watches what is tried again; none where it has no words.
    fn told(&self) -> Option<String> {
        None
    }
}

// === impl Category ===

impl Category {
    /// All there are, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::Validation,
        Self::Network,
        Self::Timeout,
        Self::Resource,
        Self::Internal,
        Self::Unknown,
    ];

    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Resource => "resource",
            Self::Internal => "internal",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Severity ===

impl Severity {
    /// All there are, the least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

// === impl Class ===

impl Class {
    /// One that may go away by itself.
    pub const fn retryable(category: Category, severity: Severity) -> Self {
        Self {
            category,
            severity,
            is_retryable: true,
            retry_after: None,
        }
    }

    /// One that stays until somebody changes something.
    pub const fn permanent(category: Category, severity: Severity) -> Self {
        Self {
            category,
            severity,
            is_retryable: false,
            retry_after: None,
        }
    }

    /// The same, with the wait that the other side asked for.
    #[must_use]
    pub const fn after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// Whether it speaks against the other side: what the caller did wrong does not.
    pub fn is_failure_of_the_service(&self) -> bool {
        self.category != Category::Validation
    }
}

// === impl Classify ===

impl<T: Classify + ?Sized> Classify for &T {
    fn class(&self) -> Class {
        (**self).class()
    }

    fn retries(&self) -> u32 {
        (**self).retries()
    }

    fn told(&self) -> Option<String> {
        (**self).told()
    }
}

impl<T: Classify + ?Sized> Classify for Box<T> {
    fn class(&self) -> Class {
        (**self).class()
    }

    fn retries(&self) -> u32 {
        (**self).retries()
    }

    fn told(&self) -> Option<String> {
        (**self).told()
    }
}

/// A rejection is never retryable: the same call would be turned away again at once.
impl<E: Classify> Classify for Error<E> {
    fn class(&self) -> Class {
        match self {
            Self::Rejected(rejection) => Class {
                category: Category::Resource,
                severity: Severity::Medium,
                is_retryable: false,
                retry_after: rejection.retry_after,
            },
            Self::TimedOut(_) => Class::retryable(Category::Timeout, Severity::Medium),
            Self::Failed(error) => error.class(),
            Self::Exhausted { last, .. } => Class {
                is_retryable: false,
                ..last.class()
            },
        }
    }

    /// Those of its own attempts; of others inside of them, those of the last.
    fn retries(&self) -> u32 {
        match self {
            Self::Rejected(_) | Self::TimedOut(_) => 0,
            Self::Failed(error) => error.retries(),
            Self::Exhausted { last, attempts } => {
                attempts.saturating_sub(1).saturating_add(last.retries())
            }
        }
    }

    /// What the call failed with says more than that it failed.
    fn told(&self) -> Option<String> {
        let inner = match self {
            Self::Failed(error) => error.told(),
            Self::Exhausted { last, .. } => last.told(),
            Self::Rejected(_) | Self::TimedOut(_) => None,
        };
        inner.or_else(|| Some(self.to_string()))
    }
}

impl Classify for io::Error {
    fn told(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn class(&self) -> Class {
        use io::ErrorKind as Kind;
        match self.kind() {
            Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::AddrNotAvailable
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::HostUnreachable
            | Kind::BrokenPipe
            | Kind::UnexpectedEof => Class::retryable(Category::Network, Severity::Medium),
            Kind::TimedOut => Class::retryable(Category::Timeout, Severity::Medium),
            Kind::WouldBlock | Kind::Interrupted | Kind::ResourceBusy | Kind::AddrInUse => {
                Class::retryable(Category::Resource, Severity::Low)
            }
            Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::OutOfMemory
            | Kind::ReadOnlyFilesystem
            | Kind::FileTooLarge => Class::permanent(Category::Resource, Severity::High),
            Kind::NotFound
            | Kind::PermissionDenied
            | Kind::AlreadyExists
            | Kind::InvalidInput
            | Kind::InvalidFilename
            | Kind::IsADirectory
            | Kind::NotADirectory
            | Kind::DirectoryNotEmpty
            | Kind::Unsupported => Class::permanent(Category::Validation, Severity::Medium),
            Kind::InvalidData => Class::permanent(Category::Internal, Severity::High),
            _ => Class::permanent(Category::Unknown, Severity::High),
        }
    }
}

#[cfg(feature = "serde_json")]
impl Classify for serde_json::Error {
    fn told(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn class(&self) -> Class {
        match self.classify() {
            serde_json::error::Category::Io => {
                let kind = self.io_error_kind().unwrap_or(io::ErrorKind::Other);
                io::Error::from(kind).class()
            }
            // An answer that ends too early was cut.
            serde_json::error::Category::Eof => {
                Class::retryable(Category::Network, Severity::Medium)
            }
            serde_json::error::Category::Syntax | serde_json::error::Category::Data => {
                Class::permanent(Category::Validation, Severity::Medium)
            }
        }
    }
}

//! What became of one attempt, sorted by what to do next.

use mainstay_resilience::{Category, Class, Severity};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What became of one attempt to deliver a document.
///
/// A destination sorts by cause; the [`Worker`](crate::Worker) acts on it. Reasons are for people: they say what, where and
/// what to do, hold no secret and no query string, and control characters in them are escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination confirmed it: the document may leave the queue.
    Delivered,
    /// The destination confirmed that it has this very document from an earlier attempt: it may leave the queue.
    AlreadyThere,
    /// It is not known whether the document arrived, or the destination cannot take it now: the same document is sent again.
    Retry {
        /// What kind of thing went wrong.
        category: Category,
        /// What happened.
        reason: String,
        /// The destination asked not to be sent this document again before this time has passed.
        after: Option<Duration>,
    },
    /// As [`Retry`](Self::Retry), and it was not even sent: what stands before the destination kept it back, which says nothing of
    /// the destination itself.
    NotSent {
        /// What kind of thing went wrong.
        category: Category,
        /// What happened.
        reason: String,
        /// Not before this time has passed.
        after: Option<Duration>,
    },
    /// As [`Retry`](Self::Retry), and the destination asked to be sent nothing at all for a while.
    Busy {
        /// What happened.
        reason: String,
        /// For how long nothing may be sent.
        after: Duration,
    },
    /// Nothing can be delivered there until something outside is put right: the destination is held and probed, and the
    /// document waits without an attempt being counted.
    Hold {
        /// What happened, and what to do about it.
        reason: String,
        /// The destination asked to be left alone for at least this long.
        after: Option<Duration>,
        /// Whether the document could be the cause after all.
        cause: Cause,
    },
    /// The destination refused this document; others may well go through.
    Reject {
        /// What the destination said.
        reason: String,
    },
    /// The document itself stands in the way: damaged, or of an impossible name. Nothing was sent; it is treated as a
    /// rejection, and says nothing about the destination.
    Unsendable {
        /// What is wrong with it.
        reason: String,
    },
}

/// Whom an [`Outcome::Hold`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The destination alone: no connection to it can be made, or its folder is not there.
    Unreachable,
    /// The destination alone: full, or not to be written to.
    Destination,
    /// The destination alone: it cannot prove who it is, or does not believe who we are.
    Untrusted,
    /// The destination alone, or a proxy before it: it does not believe the credentials that it was shown.
    Credentials,
    /// What stands before the destination, a server that is asked about each document, say: nothing was sent.
    Before,
    /// Most likely the destination, but one document may cause it alone: a 404 for just this name, say.
    ///
    /// If other documents are delivered all the same, it is counted as a rejection of this document.
    Unclear,
    /// As [`Unclear`](Self::Unclear), and most likely the credentials may not do there what they are shown for.
    Forbidden,
}

impl Cause {
    /// Whether a person has to look at the credentials.
    pub fn is_about_credentials(self) -> bool {
        matches!(self, Self::Credentials | Self::Forbidden)
    }

    fn category(self) -> Category {
        match self {
            Self::Unreachable | Self::Untrusted | Self::Before => Category::Network,
            Self::Destination => Category::Resource,
            Self::Credentials | Self::Unclear | Self::Forbidden => Category::Validation,
        }
    }
}

impl Outcome {
    pub(crate) fn retry(category: Category, reason: impl Into<String>) -> Self {
        Self::Retry {
            category,
            reason: reason.into(),
            after: None,
        }
    }

    pub(crate) fn hold(reason: impl Into<String>) -> Self {
        Self::Hold {
            reason: reason.into(),
            after: None,
            cause: Cause::Destination,
        }
    }

    pub(crate) fn untrusted(reason: impl Into<String>) -> Self {
        Self::Hold {
            reason: reason.into(),
            after: None,
            cause: Cause::Untrusted,
        }
    }

    pub(crate) fn unreachable(reason: impl Into<String>) -> Self {
        Self::Hold {
            reason: reason.into(),
            after: None,
            cause: Cause::Unreachable,
        }
    }

    /// What went wrong, in words; none where the destination has the document.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Delivered | Self::AlreadyThere => None,
            Self::Retry { reason, .. }
            | Self::NotSent { reason, .. }
            | Self::Busy { reason, .. }
            | Self::Hold { reason, .. }
            | Self::Reject { reason }
            | Self::Unsendable { reason } => Some(reason),
        }
    }

    /// What kind of failure it is, and how bad; none where the destination has the document.
    ///
    /// | outcome | category | severity |
    /// |---|---|---|
    /// | retry | what it says: network, timeout, resource or internal | medium |
    /// | not sent | what it says | low |
    /// | busy | resource | low |
    /// | hold: unreachable, untrusted, or what stands before it | network | high |
    /// | hold: full, or not to be written to | resource | high |
    /// | hold: credentials, or an address that is not right | validation | high |
    /// | reject, unsendable | validation | medium |
    pub fn class(&self) -> Option<Class> {
        let (class, after) = match self {
            Self::Delivered | Self::AlreadyThere => return None,
            Self::Retry {
                category, after, ..
            } => (Class::retryable(*category, Severity::Medium), *after),
            Self::NotSent {
                category, after, ..
            } => (Class::retryable(*category, Severity::Low), *after),
            Self::Busy { after, .. } => {
                let class = Class::retryable(Category::Resource, Severity::Low);
                (class, Some(*after))
            }
            Self::Hold { cause, after, .. } => {
                (Class::retryable(cause.category(), Severity::High), *after)
            }
            Self::Reject { .. } | Self::Unsendable { .. } => (
                Class::permanent(Category::Validation, Severity::Medium),
                None,
            ),
        };
        Some(match after {
            Some(after) => class.after(after),
            None => class,
        })
    }

    pub(crate) fn unsendable(reason: impl Into<String>) -> Self {
        Self::Unsendable {
            reason: reason.into(),
        }
    }

    pub(crate) fn reject(reason: impl Into<String>) -> Self {
        Self::Reject {
            reason: reason.into(),
        }
    }
}

/// What went wrong in an attempt, in words that are an error.
#[derive(Debug)]
pub(crate) struct Reason<'a>(pub(crate) &'a str);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Reason<'_> {}

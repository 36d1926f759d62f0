//! What became of one attempt, sorted by what to do next.

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
        /// What happened.
        reason: String,
        /// The destination asked not to be sent this document again before this time has passed.
        after: Option<Duration>,
    },
    /// As [`Retry`](Self::Retry), and it was not even sent: what stands before the destination kept it back, which says nothing of
    /// the destination itself.
    NotSent {
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
    /// The destination alone: untrusted, full.
    Destination,
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
}

impl Outcome {
    pub(crate) fn retry(reason: impl Into<String>) -> Self {
        Self::Retry {
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

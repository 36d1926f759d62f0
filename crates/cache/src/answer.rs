//! What the cache says when it is asked, and when it is given something.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// An answer out of the cache, and how far it can be trusted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers as the server sent them, without those of the connection, and with `Age`.
    pub headers: HeaderMap,
    /// Its body; empty where `HEAD` was asked.
    pub body: Bytes,
    /// How long ago the server made or confirmed it.
    pub age: Duration,
    /// Its time is over, and nobody has asked whether it still holds.
    pub is_stale: bool,
    /// It was served without asking anybody, because no network was wanted.
    pub is_offline: bool,
    pub(crate) origin: Origin,
}

/// The entry that an answer was read from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) id: i64,
    pub(crate) seal: [u8; 32],
    /// When it came, or was confirmed, in milliseconds since 1970.
    pub(crate) stored_at: u64,
    /// As stored, without `Age`; and the whole body, for `HEAD` too.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What the cache has for a request.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// An answer that holds: serve it.
    Fresh(Box<Answer>),
    /// An answer whose time is over: ask the server, see [`Stale`].
    Stale(Box<Stale>),
    /// Nothing, or nothing that may be used: ask the server, and give the answer to [`Cache::store`](crate::Cache::store).
    Miss,
}

/// An answer whose time is over, and what to ask the server.
///
/// Send the request with [`conditions`](Self::conditions). To 304 call [`Cache::revalidated`](crate::Cache::revalidated); where
/// the server cannot be reached, or says 5xx, [`Cache::stale_on_error`](crate::Cache::stale_on_error); give any other answer to
/// [`Cache::store`](crate::Cache::store).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stale {
    /// The answer.
    pub answer: Answer,
    /// Headers to send along: `If-None-Match`, `If-Modified-Since`; empty where the answer has nothing to compare.
    pub conditions: HeaderMap,
    /// The answer may be served right away while the server is asked in the background. It then counts as served.
    pub may_serve_while_revalidating: bool,
}

/// What became of an answer that the cache was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// It is stored, and this many others went for it.
    Kept {
        /// Answers that were evicted.
        evicted: usize,
    },
    /// It is not stored.
    Refused(Refusal),
}

/// Why an answer is not stored, or a request not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The cache is switched off.
    Disabled,
    /// A rule says never.
    Rule,
    /// Only answers to `GET` are stored, and only `GET` and `HEAD` are answered.
    Method,
    /// The address is not a complete `http` or `https` one, is longer than 8 KiB, or is not the one that `Host` names.
    Address,
    /// The request carries what tells callers apart: the answer may be meant for this one alone.
    Credentials,
    /// Request or answer says `no-store`, or the answer says `private` or sets a cookie.
    Forbidden,
    /// A status that is not stored, or not without a lifetime of its own.
    Status,
    /// It varies with everything, or with more than can be told.
    Varies,
    /// The body is not as long as the answer says.
    Incomplete,
    /// Larger than an entry, or the whole cache, may be.
    TooLarge,
    /// It would have to be asked for again each time, and has nothing to compare.
    Useless,
    /// What it is of was made void while it was on its way: see [`Cache::store_unless`](crate::Cache::store_unless).
    Outdated,
}

impl Answer {
    /// The answer as what HTTP libraries take.
    pub fn into_response(self) -> http::Response<Bytes> {
        let mut response = http::Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

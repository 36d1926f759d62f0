//! What a server answered.

use crate::error::{Error, ErrorKind};
use crate::{shown, status};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::fmt;
use std::time::Duration;

/// A whole answer.
#[derive(Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed, whole.
    pub body: Bytes,
    /// Where it came from, after all redirects.
    pub url: Url,
    /// How many attempts it took, over all redirects; 0 where nothing was sent.
    pub attempts: u32,
    /// Who said it, and when.
    pub source: Source,
    /// Whether no more than the origin of `url` may be shown.
    pub(crate) is_path_secret: bool,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The server, just now.
    Network,
    /// The cache, where it was still fresh.
    Cache {
        /// How long ago the server made or confirmed it.
        age: Duration,
    },
    /// The cache, after the server confirmed it just now.
    Revalidated,
    /// The cache, although its time is over.
    Stale {
        /// How long ago the server made or confirmed it.
        age: Duration,
        /// Why it is served all the same.
        because: Because,
    },
    /// The cache, without asking anybody, because that was wished.
    Offline {
        /// How long ago the server made or confirmed it.
        age: Duration,
        /// Whether its time is over.
        is_stale: bool,
    },
}

/// Why an answer is served although its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Because {
    /// The server allows it, while it is asked again in the background.
    Refreshing,
    /// The server failed, in this way.
    Failed(ErrorKind),
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BrokenAnswer`]: it is none, or not of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let url = self.shown();
            // Not its own words: they quote the answer, which may be secret.
            let (line, column) = (error.line(), error.column());
            let message = format!(
                "the answer of `{url}` is not the JSON that was expected, at line {line} column {column}: {}",
                wrong(error.classify())
            );
            Error::new(ErrorKind::BrokenAnswer, message).after_attempts(self.attempts)
        })
    }

    /// Where it came from, as it may stand in a message.
    pub(crate) fn shown(&self) -> String {
        shown::address(&self.url, self.is_path_secret)
    }

    /// The body as text; what is no UTF-8 in it is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// This answer, where its status is no error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Status`] for 400 and above; the answer is in it.
    pub fn error_for_status(self) -> Result<Self, Error> {
        let code = self.status.as_u16();
        if code < 400 {
            return Ok(self);
        }
        let message = status::message(code, &self.shown(), None);
        let attempts = self.attempts;
        Err(Error::new(ErrorKind::Status(code), message)
            .with_answer(self)
            .after_attempts(attempts))
    }
}

fn wrong(category: Category) -> &'static str {
    match category {
        Category::Eof => "it ends too early",
        Category::Data => "it has another shape; check the address and the version of the server",
        Category::Syntax | Category::Io => "it is no JSON; check the address",
    }
}

/// Without the values of headers, which may be cookies, and without the body.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("url", &shown::address(&self.url, self.is_path_secret))
            .field("headers", &self.headers.len())
            .field("bytes", &self.body.len())
            .field("attempts", &self.attempts)
            .field("source", &self.source)
            .finish()
    }
}

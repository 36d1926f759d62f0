//! Why a request is not a document, in words for the sender and in one word for the count.

use crate::arrival::Unfit;
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mainstay_files::ErrorKind as FileError;
use mainstay_queue::{Error, ErrorKind};
use serde_json::json;
use std::fmt;
use std::io;

/// What a refusal is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The request makes no sense, or what came is not what was announced.
    Bad,
    /// No token, or the wrong one.
    Unauthorized,
    /// There is nothing here.
    NotFound,
    /// Documents are handed over with POST or PUT.
    Method,
    /// The body stalled, or took too long.
    TooSlow,
    /// Nobody said how long the body is.
    Length,
    /// The body is larger than the limit.
    TooLarge,
    /// Not one of the types that this route takes, or an encoding that is not known.
    Type,
    /// The key was used for something else.
    Reused,
    /// Too many requests at once.
    Busy,
    /// The queue or its disk has no room, or does not answer.
    Full,
    /// The agent is being stopped.
    Stopping,
    /// A defect of ours.
    Failed,
}

impl Reason {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Bad => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::TooSlow => "too_slow",
            Self::Length => "no_length",
            Self::TooLarge => "too_large",
            Self::Type => "type",
            Self::Reused => "key_reused",
            Self::Busy => "busy",
            Self::Full => "full",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Bad => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Length => StatusCode::LENGTH_REQUIRED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Reused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Full | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whoever has no business here keeps no place by asking again and again.
    fn ends_the_connection(self) -> bool {
        matches!(self, Self::Unauthorized | Self::NotFound | Self::Method)
    }

    /// What has to be said beside the reason: when to come again, how to prove who one is, what is possible here.
    fn header(self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self {
            Self::Busy => (header::RETRY_AFTER, "1"),
            Self::Stopping => (header::RETRY_AFTER, "5"),
            // Long enough that a queue without room is not asked by everybody all the time.
            Self::Full => (header::RETRY_AFTER, "10"),
            Self::Unauthorized => (header::WWW_AUTHENTICATE, "Bearer realm=\"mainstay\""),
            Self::Method => (header::ALLOW, "HEAD, POST, PUT"),
            _ => return None,
        };
        Some((name, HeaderValue::from_static(value)))
    }
}

/// A refusal.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    words: String,
}

impl Refused {
    pub(super) fn new(reason: Reason, words: impl Into<String>) -> Self {
        Self {
            reason,
            words: words.into(),
        }
    }

    pub(super) fn too_large(len_max: u64) -> Self {
        let limit = crate::units::Size(len_max);
        Self::new(
            Reason::TooLarge,
            format!("the document is larger than {limit}"),
        )
    }

    /// What the queue's own error means for the sender.
    pub(super) fn queue(error: &Error) -> Self {
        let reason = match error.kind() {
            ErrorKind::Full | ErrorKind::ReadOnly | ErrorKind::NotDurable | ErrorKind::Io => {
                Reason::Full
            }
            ErrorKind::Closed => Reason::Stopping,
            ErrorKind::TooLarge => Reason::TooLarge,
            ErrorKind::Invalid => Reason::Bad,
            _ => Reason::Failed,
        };
        Self::new(reason, error.to_string())
    }

    /// What a body that did not arrive whole means.
    pub(super) fn unfit(unfit: Unfit, len_max: u64) -> Self {
        match unfit {
            Unfit::Broken(words) | Unfit::Wrong(words) => Self::new(Reason::Bad, words),
            Unfit::Slow(words) => Self::new(Reason::TooSlow, words),
            Unfit::TooLarge => Self::too_large(len_max),
            Unfit::Disk(error) => Self::disk(&error),
            Unfit::Stalled(words) => Self::new(Reason::Full, words),
        }
    }

    fn disk(error: &io::Error) -> Self {
        let of_queue = error.get_ref().and_then(|error| error.downcast_ref());
        if let Some(error) = of_queue {
            return Self::queue(error);
        }
        let reason = match FileError::of(error) {
            FileError::DiskFull | FileError::Quota => Reason::Full,
            _ => Reason::Failed,
        };
        Self::new(reason, format!("cannot store: {error}"))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.reason.status().as_u16();
        write!(f, "{status}: {}", self.words)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response =
            (self.reason.status(), Json(json!({ "error": self.words }))).into_response();
        if let Some((name, value)) = self.reason.header() {
            response.headers_mut().insert(name, value);
        }
        if self.reason.ends_the_connection() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

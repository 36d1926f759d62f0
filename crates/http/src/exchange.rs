//! One attempt: a request goes out, and an answer comes in, within its limits.

use crate::answer::{Answer, Source};
use crate::error::{Error, ErrorKind};
use crate::failure;
use crate::hop::Hop;
use crate::limits::Limits;
use bytes::{Bytes, BytesMut};
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue};
use mainstay_clock::SharedClock;
use mainstay_resilience::{Category, Class, Classify, Severity, within};
use reqwest::Response;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// So much is kept of the body of an answer that is an error.
pub(crate) const ERROR_BODY_MAX: usize = 64 << 10;

/// And no longer than so is waited for it: what it says matters less than that it is an error.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);

/// So much room is made for a body before any of it came: what a server says of its length may be wrong.
const EXPECTED_MAX: u64 = 64 << 10;

/// What a request is doing, for the message when its time is over.
#[derive(Debug, Default)]
pub(crate) struct Phase(AtomicU8);

/// What it may be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Doing {
    /// Waits for its turn, or to be tried again.
    Waiting = 0,
    /// Connects, sends, and waits for the answer to begin.
    Asking = 1,
    /// Reads the answer.
    Reading = 2,
    /// Waits for the disk.
    Writing = 3,
}

/// What an attempt came to that may be tried again, or that is no answer of the server's own.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The caller asked for the wrong thing, and was told so: for the caller that is an answer.
    CallersOwn(Box<Answer>),
    /// An error, with the class of its kind.
    Error(Error),
}

/// What came back from one hop.
pub(crate) enum End<T> {
    /// What was asked for.
    Value(T),
    /// It is elsewhere.
    Moved(u16, HeaderValue),
}

/// Does something with an answer that is one.
pub(crate) trait Taker: Sync {
    /// What it makes of it.
    type Value: Send;

    /// Whether the bytes have to come as they are stored, and not decompressed.
    const IS_RAW: bool;

    /// Adds what each attempt needs anew.
    fn dress(&self, headers: &mut HeaderMap);

    /// Takes the answer in; dropping the future gives it up.
    fn take(
        &self,
        reading: &Reading<'_>,
        response: Response,
    ) -> impl Future<Output = Result<Self::Value, Error>> + Send;
}

/// How answers are read: piece by piece, no silence too long.
pub(crate) struct Reading<'a> {
    pub(crate) clock: &'a SharedClock,
    pub(crate) limits: Limits,
    pub(crate) phase: &'a Phase,
    pub(crate) hop: &'a Hop,
}

/// Takes the whole body into memory.
pub(crate) struct Whole {
    pub(crate) max: usize,
}

// === impl Phase ===

impl Phase {
    pub(crate) fn set(&self, doing: Doing) {
        self.0.store(doing as u8, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Doing {
        match self.0.load(Ordering::Relaxed) {
            1 => Doing::Asking,
            2 => Doing::Reading,
            3 => Doing::Writing,
            _ => Doing::Waiting,
        }
    }
}

impl Doing {
    /// As a message ends with it.
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Waiting => "it was waiting for its turn, or to try again",
            Self::Asking => "it was waiting for the answer to begin",
            Self::Reading => "it was reading the answer",
            Self::Writing => "it was waiting for the disk",
        }
    }
}

// === impl Failure ===

impl Classify for Failure {
    fn told(&self) -> Option<String> {
        match self {
            Self::CallersOwn(_) => None,
            Self::Error(error) => Some(error.to_string()),
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::CallersOwn(answer) => crate::status::class(answer.status.as_u16()),
            // Our own disk says nothing of the server.
            Self::Error(error) if error.kind() == ErrorKind::File => {
                Class::permanent(Category::Validation, Severity::High)
            }
            Self::Error(error) => Class {
                retry_after: error.retry_after(),
                ..error.kind().class()
            },
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

// === impl Reading ===

impl Reading<'_> {
    /// Sends the request, and waits for the head of the answer.
    pub(crate) async fn head(
        &self,
        web: &reqwest::Client,
        dress: impl FnOnce(&mut HeaderMap),
    ) -> Result<Response, Error> {
        let mut request = reqwest::Request::new(self.hop.method.clone(), self.hop.url.clone());
        let mut headers = self.hop.headers.clone();
        dress(&mut headers);
        *request.headers_mut() = headers;
        if !self.hop.body.is_empty() {
            *request.body_mut() = Some(self.hop.body.clone().into());
        }
        self.phase.set(Doing::Asking);
        let answered = within(&**self.clock, self.limits.read, web.execute(request)).await;
        match answered {
            Some(Ok(response)) => {
                self.phase.set(Doing::Reading);
                Ok(response)
            }
            Some(Err(error)) => Err(failure::sort(error, &self.hop.shown())),
            None => Err(self.silent("gave no answer")),
        }
    }

    /// The next piece of the body; `None` after the last.
    pub(crate) async fn piece(&self, response: &mut Response) -> Result<Option<Bytes>, Error> {
        match within(&**self.clock, self.limits.read, response.chunk()).await {
            Some(Ok(piece)) => Ok(piece),
            Some(Err(error)) => {
                let url = self.hop.shown();
                let message = format!("the answer of `{url}` broke off");
                Err(Error::new(ErrorKind::BrokenAnswer, message).because(error.without_url()))
            }
            None => Err(self.silent("stopped in the middle of its answer")),
        }
    }

    /// The body of an answer that is an error: as much of it as there is to be had, and soon.
    pub(crate) async fn error_body(&self, mut response: Response) -> Bytes {
        let mut body = BytesMut::new();
        let reading = async {
            while let Ok(Some(piece)) = self.piece(&mut response).await {
                let room = ERROR_BODY_MAX - body.len();
                body.extend_from_slice(piece.get(..room).unwrap_or(&piece));
                if body.len() >= ERROR_BODY_MAX {
                    break;
                }
            }
        };
        let wait = self.limits.read.min(ERROR_BODY_WAIT);
        // Time over or not: what came is in the body.
        within(&**self.clock, wait, reading).await.unwrap_or(());
        body.freeze()
    }

    /// An answer without its body, whose headers it takes; how many attempts it took is said later.
    pub(crate) fn answer(&self, response: &mut Response) -> Answer {
        Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Bytes::new(),
            url: response.url().clone(),
            attempts: 0,
            source: Source::Network,
            is_path_secret: self.hop.is_path_secret,
        }
    }

    fn silent(&self, what: &str) -> Error {
        let url = self.hop.shown();
        let seconds = self.limits.read.as_secs_f64();
        let message = format!("`{url}` {what} within {seconds:.1} s: try again later");
        Error::new(ErrorKind::ReadTimeout, message)
    }
}

/// Where a redirect leads, if it says so.
pub(crate) fn location(response: &Response) -> Option<HeaderValue> {
    response.headers().get(LOCATION).cloned()
}

impl Taker for Whole {
    type Value = Answer;

    const IS_RAW: bool = false;

    fn dress(&self, _headers: &mut HeaderMap) {}

    async fn take(&self, reading: &Reading<'_>, mut response: Response) -> Result<Answer, Error> {
        // Asked before the headers are taken, from which it may come.
        let length = response.content_length();
        let mut answer = reading.answer(&mut response);
        let too_large = || {
            let url = reading.hop.shown();
            let max = self.max;
            let message =
                format!("the answer of `{url}` is longer than {max} bytes: download it to a file");
            Error::new(ErrorKind::TooLarge, message)
        };
        // Said by a compressed answer it would be the compressed length; then nothing is said here.
        if length.is_some_and(|length| length > self.max as u64) {
            return Err(too_large());
        }
        // A piece is copied, since it keeps the whole buffer that the connection was read into.
        let expected = length.unwrap_or(0).min(EXPECTED_MAX) as usize;
        let mut body = BytesMut::with_capacity(expected);
        while let Some(piece) = reading.piece(&mut response).await? {
            if piece.len() > self.max - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        answer.body = body.freeze();
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_disk_speaks_against_no_server() {
        let class = |kind| Failure::Error(Error::new(kind, "")).class();
        assert!(!class(ErrorKind::File).is_failure_of_the_service());
        assert!(!class(ErrorKind::File).is_retryable);
        assert!(class(ErrorKind::BrokenAnswer).is_failure_of_the_service());
    }
}

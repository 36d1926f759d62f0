//! One request, as the caller puts it together.

use crate::answer::Answer;
use crate::client::Shared;
use crate::course::{Outcome, Way};
use crate::error::{Error, ErrorKind};
use crate::exchange::Whole;
use crate::hop::{Hop, IDEMPOTENCY_KEY};
use crate::kept::{Staying, Through};
use crate::limits::{Class, Limits};
use crate::shown;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, PROXY_AUTHORIZATION,
    TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What belongs to the connection, not to the caller.
const RESERVED: [HeaderName; 8] = [
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// One request, as the caller puts it together; nothing is sent before [`send`](Self::send).
#[must_use = "nothing is sent before `send`"]
pub struct RequestBuilder {
    client: Arc<Shared>,
    method: Method,
    url: Result<Url, Error>,
    headers: HeaderMap,
    body: Bytes,
    class: Class,
    timeout: Option<Duration>,
    cancelled: Option<CancellationToken>,
    is_offline: bool,
    is_path_secret: bool,
    /// The first thing that was wrong.
    wrong: Option<Error>,
}

/// What a request is made of.
pub(crate) type Parts = (Arc<Shared>, Hop, Limits, Option<CancellationToken>);

impl RequestBuilder {
    pub(crate) fn new(client: Arc<Shared>, method: Method, url: &str) -> Self {
        Self {
            client,
            method,
            url: parse(url),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            class: Class::default(),
            timeout: None,
            cancelled: None,
            is_offline: false,
            is_path_secret: false,
            wrong: None,
        }
    }

    /// What it is for, which decides how long it may take.
    pub fn class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// One more header. To another origin, where a redirect leads, it does not go along, unless it only says how the answer
    /// should look.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.with_header(name, value, false)
    }

    /// One more header with a value that is kept out of logs, and goes to no other origin whatever its name.
    pub fn secret_header(self, name: &str, value: &str) -> Self {
        self.with_header(name, value, true)
    }

    /// What follows the host in its address is a secret, as that of many a webhook is: no message, log or `Debug` shows it.
    pub fn secret_path(self) -> Self {
        Self {
            is_path_secret: true,
            ..self
        }
    }

    /// The body.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    /// By this key the server knows the request when it comes again: so it may be tried again, whatever its method. The key
    /// goes as `Idempotency-Key` with every attempt.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.with_header(IDEMPOTENCY_KEY.as_str(), key, false)
    }

    /// It may take no longer in all; a limit longer than that of its class changes nothing.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }

    /// Gives it up when `token` is cancelled. Dropping the future of [`send`](Self::send) does the same, without an error.
    pub fn cancelled_by(self, token: CancellationToken) -> Self {
        Self {
            cancelled: Some(token),
            ..self
        }
    }

    /// Asks nobody: what is kept is the answer, however old, and says so; see [`Source::Offline`](crate::Source::Offline).
    ///
    /// What the server wants to be asked about each time (`no-cache`, `must-revalidate`) is not served once its time is over. Where
    /// the disk takes longer than a second to say what is kept, nothing is.
    pub fn offline(self) -> Self {
        Self {
            is_offline: true,
            ..self
        }
    }

    /// Sends it, as often as it helps and is allowed, and reads the whole answer.
    ///
    /// An answer of the 4xx is an answer; see [`Answer::error_for_status`].
    ///
    /// # Errors
    ///
    /// Which of its limits stopped it, or what broke: see [`ErrorKind`]. 408, 425, 429 and 5xx are errors, after all retries.
    pub async fn send(self) -> Result<Answer, Error> {
        let is_offline = self.is_offline;
        let (client, hop, limits, cancelled) = self.parts()?;
        let sending = async {
            let way = Way::begin(&client, limits);
            let outcome = if is_offline {
                let staying = Staying {
                    client: &client,
                    way: &way,
                };
                way.follow(&hop, &staying).await?
            } else if let Some(kept) = &client.kept {
                let through = Through {
                    client: &client,
                    kept,
                    way: &way,
                    limits,
                };
                way.follow(&hop, &through).await?
            } else {
                let max = client.settings.body_max;
                way.run(&hop, &Whole { max }).await?
            };
            let mut answer = match outcome {
                Outcome::Value(answer) => answer,
                Outcome::CallersOwn(answer) => *answer,
            };
            answer.attempts = way.attempts();
            Ok(answer)
        };
        // In a box: callers would hold it several times otherwise.
        unless(cancelled, &hop, Box::pin(sending)).await
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.is_offline
    }

    /// What was put together, or the first thing that was wrong with it.
    pub(crate) fn parts(self) -> Result<Parts, Error> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let hop = Hop {
            method: self.method,
            url: self.url?,
            headers: self.headers,
            body: self.body,
            is_path_secret: self.is_path_secret,
        };
        let limits = self
            .client
            .settings
            .limits
            .shortest(self.class, self.timeout);
        Ok((self.client, hop, limits, self.cancelled))
    }

    fn with_header(mut self, name: &str, value: &str, is_secret: bool) -> Self {
        match header(name, value, is_secret) {
            Ok((name, value)) => drop(self.headers.append(name, value)),
            Err(error) => drop(self.wrong.get_or_insert(error)),
        }
        self
    }
}

/// That nobody was asked.
pub(crate) fn offline(hop: &Hop) -> Error {
    let url = hop.shown();
    let message =
        format!("nothing is kept of `{url}`, and nobody was to be asked: ask without `offline`");
    Error::new(ErrorKind::Offline, message)
}

/// Without values: a query, a header and a body may all be secret.
impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The iterator itself would show the values.
        let headers: Vec<&HeaderName> = self.headers.keys().collect();
        let shown = |url| shown::address(url, self.is_path_secret);
        let url = self.url.as_ref().map(shown);
        f.debug_struct("RequestBuilder")
            .field("method", &self.method)
            .field("url", &url)
            .field("headers", &headers)
            .field("bytes", &self.body.len())
            .field("class", &self.class)
            .field("timeout", &self.timeout)
            .field("wrong", &self.wrong)
            .finish_non_exhaustive()
    }
}

/// What a request comes to, unless it is taken back.
pub(crate) async fn unless<T>(
    cancelled: Option<CancellationToken>,
    hop: &Hop,
    sending: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let Some(cancelled) = cancelled else {
        return sending.await;
    };
    tokio::select! {
        biased;
        () = cancelled.cancelled() => {
            let message = format!("the request to `{}` was taken back", hop.shown());
            Err(Error::new(ErrorKind::Cancelled, message))
        }
        result = sending => result,
    }
}

/// The values are not repeated: they may be secret.
fn header(name: &str, value: &str, is_secret: bool) -> Result<(HeaderName, HeaderValue), Error> {
    let wrong = |why: &str| {
        let name = mainstay_wire::excerpt(name, 100);
        Error::new(ErrorKind::Url, format!("the header `{name}` {why}"))
    };
    let parsed: HeaderName = name
        .parse()
        .map_err(|_| wrong("has a name that cannot be sent"))?;
    if RESERVED.contains(&parsed) {
        return Err(wrong("belongs to the connection; leave it out"));
    }
    let mut value =
        HeaderValue::from_str(value).map_err(|_| wrong("has a value that cannot be sent"))?;
    value.set_sensitive(is_secret || [AUTHORIZATION, COOKIE].contains(&parsed));
    Ok((parsed, value))
}

/// Nothing of it is repeated before it is known to hold no password.
pub(crate) fn parse(url: &str) -> Result<Url, Error> {
    let wrong = |why: &str| Error::new(ErrorKind::Url, format!("the address {why}"));
    let Ok(mut parsed) = Url::parse(url) else {
        return Err(wrong(
            "is none; write it as http://host/path or https://host/path",
        ));
    };
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(wrong(
            "is neither http nor https; write it as http://host/path or https://host/path",
        ));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong(
            "holds a user or a password; send them as a header, with `secret_header`",
        ));
    }
    parsed.set_fragment(None);
    Ok(parsed)
}

//! The errors of reqwest, for whoever uses it beside this client.

use crate::error::ErrorKind;
use crate::failure::told;
use mainstay_resilience::{Category, Class, Classify, Severity};
use mainstay_wire::find;
use std::error::Error as StdError;
use std::fmt;

/// An error of a reqwest client of one's own, that knows its class.
///
/// The errors of [`Client`](crate::Client) know theirs; this is for code that has reqwest already and wants a
/// [`Retry`](mainstay_resilience::Retry) or a breaker around it. It stands here and not in `resilience`, which knows no network.
///
/// | what happened | class |
/// |---|---|
/// | no connection: the name, the port, the way; a connection that broke, a body that was cut | network, tried again |
/// | no TLS | network |
/// | too late | timeout, tried again |
/// | a status that was made an error | as this client takes it: 408, 425, 429, 500, 502, 503 and 504 are tried again |
/// | an address or header that cannot be sent, too many redirects, an answer that is not the JSON that was expected | validation |
///
/// ```
/// use mainstay_http::ReqwestError;
/// use mainstay_resilience::{Retry, RetrySettings};
///
/// async fn prices(web: &reqwest::Client, retry: &Retry) -> Result<String, mainstay_resilience::Error<ReqwestError>> {
///     retry.run(async |_| Ok(web.get("http://hub/prices").send().await?.error_for_status()?.text().await?)).await
/// }
/// ```
#[derive(Debug)]
pub struct ReqwestError(reqwest::Error);

impl ReqwestError {
    /// The error itself.
    pub fn into_inner(self) -> reqwest::Error {
        self.0
    }
}

impl From<reqwest::Error> for ReqwestError {
    fn from(error: reqwest::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for ReqwestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for ReqwestError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl Classify for ReqwestError {
    fn class(&self) -> Class {
        let error = &self.0;
        if let Some(status) = error.status() {
            return crate::status::class(status.as_u16());
        }
        if error.is_redirect() {
            return ErrorKind::Redirect.class();
        }
        // All of it came, and is something else.
        if error.is_decode() && find::<serde_json::Error>(error).is_some() {
            return Class::permanent(Category::Validation, Severity::Medium);
        }
        told(error, "").0.class()
    }
}

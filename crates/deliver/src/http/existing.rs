//! What is said to be there already is looked at before it is believed.
//!
//! "Something is under this address" is not yet "the document is": many file servers keep what they had got when a connection
//! broke. So its length is asked for and compared.

use super::Http;
use super::body::Outbound;
use super::exchange::{Limits, exchange};
use super::{failure, sort};
use crate::Outcome;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, PROXY_AUTHORIZATION};
use http::{HeaderMap, Method, Request, Uri};

impl Http {
    /// Whether `len` bytes are under `uri`, as they are if the document arrived whole.
    pub(super) async fn compare(
        &self,
        uri: Uri,
        len: u64,
        question: &sort::Question<'_>,
    ) -> Outcome {
        let (body, trace) = Outbound::memory(Bytes::new(), &self.clock);
        let mut request = Request::new(body);
        *request.method_mut() = Method::HEAD;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.fixed.alone();
        if let Some(credentials) = self.way.credentials_in_request() {
            request
                .headers_mut()
                .insert(PROXY_AUTHORIZATION, credentials.clone());
        }
        let limits = Limits {
            timeout: self.timeout,
            len: 0,
            clock: &self.clock,
        };
        let shown = self.address.shown();
        let answer = match exchange(&self.client, request, &trace, &limits).await {
            Ok(answer) => answer,
            Err(broken) => return failure::sort(&broken, shown, &self.way.shown()),
        };
        if !answer.status.is_success() {
            return sort::sort(&answer, question);
        }
        match length(&answer.headers) {
            Some(there) if there == len => Outcome::AlreadyThere,
            Some(there) => Outcome::reject(format!(
                "`{shown}` has {there} bytes under the id of this document, which has {len}; remove them there and retry it"
            )),
            None => Outcome::reject(format!(
                "`{shown}` has something under the id of this document, but does not say how large it is; look at it there"
            )),
        }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

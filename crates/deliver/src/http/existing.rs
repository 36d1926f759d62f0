//! What is said to be there already is looked at before it is believed.
//!
//! "Something is under this address" is not yet "the document is": many file servers keep what they had got when a connection
//! broke. So its length is asked for and compared.

use super::Http;
use super::{failure, sort};
use crate::Outcome;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Uri};

impl Http {
    /// Whether `len` bytes are under `uri`, as they are if the document arrived whole.
    pub(super) async fn compare(
        &self,
        uri: Uri,
        len: u64,
        question: &sort::Question<'_>,
    ) -> Outcome {
        let shown = self.address.shown();
        let answer = match self.head(uri, self.timeout).await {
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

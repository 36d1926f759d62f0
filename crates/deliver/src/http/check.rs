//! Whether anybody answers, without a document.
//!
//! A HEAD goes the way that documents go: the same proxy, certificates, credentials and headers, to the address that a document
//! of no name would have. What it is answered by a server that only takes documents is not standardised, so that many answers
//! mean no more than that somebody is there.

use super::{Http, failure, sort};
use crate::template::Place;
use crate::{Checked, Content, Outgoing};
use bytes::Bytes;
use mainstay_queue::DocumentId;
use std::time::Duration;

/// A person waits for it; the usual limit of a minute is for bodies.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

impl Http {
    pub(super) async fn look(&self, route: &str) -> Checked {
        let document = nobodys(route);
        let shown = self.address.shown();
        let uri = match self.address.of(&document) {
            Ok(uri) => uri,
            Err(error) => {
                return Checked::failing(format!("the address `{shown}` cannot be used: {error}"));
            }
        };
        let answered = self.head(uri, self.timeout.min(PATIENCE)).await;
        self.tell(&answered);
        let answer = match answered {
            Ok(answer) => answer,
            Err(broken) => {
                let outcome = failure::sort(&broken, shown, &self.way.shown());
                return Checked::failing(outcome.reason().unwrap_or_default());
            }
        };
        let status = answer.status;
        let answered = format!("`{shown}`{} answered {status} to HEAD", self.way.shown());
        // An address of one document is that of nothing yet.
        let names_one = self.address.has(Place::Id) || self.address.has(Place::Name);
        match status.as_u16() {
            200..=299 => Checked::ready(answered),
            404 | 410 if names_one => Checked::only_a_document_shows(format!(
                "{answered}, as is to be expected of a document that is not there yet"
            )),
            // A store that lists nothing to us does not say either that it has no such document.
            403 if names_one => Checked::only_a_document_shows(format!(
                "{answered}: either who asks may not come in, or the server does not tell of a document that is not there"
            )),
            404 | 410 => Checked::only_a_document_shows(format!(
                "{answered}: either nothing is at this address, or it knows documents only"
            )),
            401 | 403 | 407 | 408 | 425 | 429 | 300..=399 | 500 | 502..=599 => {
                let id = document.id.to_string();
                let outcome = sort::sort(&answer, &self.question(&id));
                Checked::failing(outcome.reason().unwrap_or_default())
            }
            _ => Checked::only_a_document_shows(answered),
        }
    }
}

/// A document that is nobody's: for an address with places for what a document is called.
pub(super) fn nobodys(route: &str) -> Outgoing {
    Outgoing {
        id: DocumentId::new(),
        route: route.to_owned(),
        source: Vec::new(),
        content_type: String::new(),
        headers: Vec::new(),
        hash: None,
        body: Content::Bytes(Bytes::new()),
    }
}

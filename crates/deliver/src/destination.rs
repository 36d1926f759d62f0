//! The one thing that everything a document can go to has in common.

use crate::{Checked, Outcome};
use bytes::Bytes;
use mainstay_queue::DocumentId;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::pin::Pin;

/// An attempt that is under way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A look at a destination that is under way.
pub type Checking<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;

/// Finding out whether the network leads to a destination.
pub type Probing<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Something that documents can be delivered to.
pub trait Destination: fmt::Debug + Send + Sync + 'static {
    /// Where it is, for people: no user information, no query, no secret.
    fn address(&self) -> &str;

    /// Tries once to deliver `document`, and says what became of it.
    ///
    /// It ends in bounded time, whatever the other side does. Dropping it gives the attempt up; whether the document arrived is
    /// then unknown, and it has to be sent again under the same id.
    fn send(&self, document: Outgoing) -> Sending<'_>;

    /// Finds out whether documents of `route` could be delivered there now, without delivering one.
    ///
    /// It ends in bounded time, changes nothing there that outlasts it, and may be dropped at any moment.
    fn check<'a>(&'a self, _route: &'a str) -> Checking<'a> {
        Box::pin(std::future::ready(Checked::only_a_document_shows(
            "it cannot be asked without a document",
        )))
    }

    /// What [`Connectivity`](mainstay_wire::Connectivity) calls its host; none where no network leads there, or nobody is told.
    fn host(&self) -> Option<&str> {
        None
    }

    /// Finds out whether the network leads there, without a document, and tells that to whoever is told what attempts meet.
    ///
    /// It ends in bounded time, and may be dropped at any moment.
    fn probe(&self) -> Probing<'_> {
        Box::pin(std::future::ready(()))
    }

    /// Hears that the queue has recorded the delivery of `id`, so that this document is not sent again.
    ///
    /// It must not block. After a crash it may never be called for a document that was delivered.
    fn acknowledged(&self, _id: DocumentId) {}
}

/// A document on its way out: everything that one attempt needs.
#[derive(Debug)]
pub struct Outgoing {
    /// The document's name and idempotency key, the same on every attempt, for ever.
    pub id: DocumentId,
    /// The route that it came by.
    pub route: String,
    /// The name that its producer gave it, byte for byte; it need not be UTF-8.
    pub source: Vec<u8>,
    /// What it is, as a media type.
    pub content_type: String,
    /// Further facts that travel with it.
    pub headers: Vec<(String, String)>,
    /// SHA-256 of the body, where it is known; what does not match it is never sent as whole.
    pub hash: Option<[u8; 32]>,
    /// Its content.
    pub body: Content,
}

/// The content of an [`Outgoing`] document.
pub enum Content {
    /// All of it, in memory.
    Bytes(Bytes),
    /// A file, and its length in bytes; it is read from its beginning.
    File(File, u64),
}

impl Content {
    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, len) => *len,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Content {
    /// Its length alone: documents may be confidential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self {
            Self::Bytes(_) => "Bytes",
            Self::File(..) => "File",
        };
        write!(f, "{form}({} bytes)", self.len())
    }
}

/// What is said of a body that is not what was stored.
pub(crate) const DAMAGED: &str =
    "the body does not match the hash it was stored with; it was not delivered, see `queue verify`";

/// Whether `bytes` are what `hash` was taken of; without a hash there is nothing to compare.
pub(crate) fn matches(bytes: &[u8], hash: Option<[u8; 32]>) -> bool {
    hash.is_none_or(|hash| Sha256::digest(bytes)[..] == hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_document_is_never_printed() {
        let content = Content::Bytes(Bytes::from_static(b"patient: X"));
        assert_eq!(format!("{content:?}"), "Bytes(10 bytes)");
    }

    #[test]
    fn one_changed_bit_is_noticed() {
        let hash = Sha256::digest(b"abc").into();
        assert!(matches(b"abc", Some(hash)));
        assert!(!matches(b"abb", Some(hash)));
        assert!(matches(b"anything", None));
    }
}

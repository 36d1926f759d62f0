//! The queue as a worker sees it: one lane, and documents in hand.
//!
//! A worker asks no more of the queue than this, so that its own tests can be a queue whose disk fails when they want it to.

use crate::{Content, Outcome, Outgoing};
use mainstay_queue::{Body, DocumentId, ErrorKind, INLINE_BODY_MAX, LaneId, Lease, Queue};
use mainstay_resilience::Category;
use std::future::Future;
use std::time::Duration;

/// Where documents come from.
pub(super) trait Lane: Send + Sync + 'static {
    type InHand: InHand;

    /// Waits for the next document; `None` once there will be no more. Dropped while it waits, it takes nothing.
    fn lease(&self) -> impl Future<Output = Option<Self::InHand>> + Send;

    /// The next document, if one is ready.
    fn try_lease(&self) -> Option<Self::InHand>;
}

/// A document that was leased; dropped, it goes back without an attempt being counted.
pub(super) trait InHand: Send + 'static {
    fn id(&self) -> DocumentId;

    /// How many attempts have failed so far.
    fn attempts(&self) -> u32;

    fn last_error(&self) -> Option<&str>;

    /// Whether making it ready to be sent touches the disk.
    fn is_in_file(&self) -> bool;

    /// Everything that one attempt needs; or what stands in the way.
    fn outgoing(&self) -> Result<Outgoing, Outcome>;

    /// Records what became of it; durable when it returns `Ok`.
    fn settle(self, settlement: Settlement) -> impl Future<Output = Result<(), Unsettled>> + Send;
}

/// What becomes of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settlement {
    Acknowledge,
    Retry { after: Duration, error: String },
    Bury { reason: String },
}

/// Why a settlement is not on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unsettled {
    /// The disk does not take it now. The queue goes on trying, and offers the document to nobody meanwhile.
    NotYet(String),
    /// The queue is closed.
    Closed,
    /// A person settled it meanwhile; there is nothing left to do.
    ByAnother,
}

/// One lane of a queue.
#[derive(Debug, Clone)]
pub(super) struct QueueLane {
    pub(super) queue: Queue,
    pub(super) lane: LaneId,
}

impl Lane for QueueLane {
    type InHand = Lease;

    async fn lease(&self) -> Option<Lease> {
        // The only error is that the queue is closed.
        self.queue.lease(self.lane).await.ok()
    }

    fn try_lease(&self) -> Option<Lease> {
        self.queue.try_lease(self.lane)
    }
}

impl InHand for Lease {
    fn id(&self) -> DocumentId {
        Lease::id(self)
    }

    fn attempts(&self) -> u32 {
        Lease::attempts(self)
    }

    fn last_error(&self) -> Option<&str> {
        Lease::last_error(self)
    }

    fn is_in_file(&self) -> bool {
        (INLINE_BODY_MAX as u64) < self.body_len()
    }

    fn outgoing(&self) -> Result<Outgoing, Outcome> {
        let body = self.body().map_err(|error| match error.kind() {
            ErrorKind::Damaged => Outcome::unsendable(error.to_string()),
            _ => Outcome::retry(Category::Resource, error.to_string()),
        })?;
        Ok(Outgoing {
            id: Lease::id(self),
            route: self.route().to_owned(),
            source: self.source().to_vec(),
            content_type: self.content_type().to_owned(),
            headers: self.headers().to_vec(),
            hash: self.hash(),
            body: match body {
                Body::Bytes(bytes) => Content::Bytes(bytes),
                Body::File(file, len) => Content::File(file, len),
            },
        })
    }

    async fn settle(self, settlement: Settlement) -> Result<(), Unsettled> {
        let settled = match settlement {
            Settlement::Acknowledge => self.ack().await,
            Settlement::Retry { after, error } => self.retry(after, &error).await,
            Settlement::Bury { reason } => self.bury(&reason).await,
        };
        settled.map_err(|error| match error.kind() {
            ErrorKind::Closed => Unsettled::Closed,
            ErrorKind::NotFound => Unsettled::ByAnother,
            _ => Unsettled::NotYet(error.to_string()),
        })
    }
}

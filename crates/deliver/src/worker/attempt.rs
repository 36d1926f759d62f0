//! One attempt, and one settlement: what runs beside the loop.

use super::lane::{InHand, Settlement, Unsettled};
use crate::{Destination, Outcome};
use mainstay_clock::SharedClock;
use mainstay_queue::DocumentId;
use mainstay_resilience::Category;
use std::sync::Arc;
use std::time::Duration;

/// An attempt that has ended.
#[derive(Debug)]
pub(super) struct Attempted<D> {
    /// The document; `None` if it was lost on the way to the sender, which gives it back to the queue.
    pub(super) document: Option<D>,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
    pub(super) was_probe: bool,
}

/// A settlement that has ended.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) id: DocumentId,
    pub(super) result: Result<(), Unsettled>,
    /// The document was delivered, and that is what was to be recorded.
    pub(super) was_delivered: bool,
    /// The destination answered for this document, whatever it said: it is there.
    pub(super) opens: bool,
    pub(super) was_probe: bool,
}

/// Sends `document` once.
pub(super) async fn attempt<D: InHand>(
    document: D,
    was_probe: bool,
    destination: Arc<dyn Destination>,
    clock: SharedClock,
) -> Attempted<D> {
    let started = clock.now();
    let (document, outgoing) = if document.is_in_file() {
        // Opening a file can wait for the disk; all other documents should not wait with it.
        let opening = tokio::task::spawn_blocking(move || {
            let outgoing = document.outgoing();
            (document, outgoing)
        });
        match opening.await {
            Ok(ready) => ready,
            Err(error) => {
                let reason = format!("the document could not be opened: {error}");
                let outcome = Outcome::retry(Category::Internal, reason);
                return Attempted {
                    document: None,
                    outcome,
                    took: Duration::ZERO,
                    was_probe,
                };
            }
        }
    } else {
        let outgoing = document.outgoing();
        (document, outgoing)
    };
    let outcome = match outgoing {
        Ok(outgoing) => destination.send(outgoing).await,
        Err(Outcome::Retry {
            category,
            reason,
            after,
        }) => Outcome::NotSent {
            category,
            reason,
            after,
        },
        Err(outcome) => outcome,
    };
    Attempted {
        document: Some(document),
        outcome,
        took: clock.now().since(started),
        was_probe,
    }
}

/// Records what became of `document`.
pub(super) async fn settle<D: InHand>(
    document: D,
    settlement: Settlement,
    opens: bool,
    was_probe: bool,
) -> Settled {
    let id = document.id();
    let was_delivered = settlement == Settlement::Acknowledge;
    let result = document.settle(settlement).await;
    Settled {
        id,
        result,
        was_delivered,
        opens,
        was_probe,
    }
}

//! A document in somebody's hands.

use crate::core::Core;
use crate::document::{DocumentId, LaneId, Priority};
use crate::error::{Error, ErrorKind};
use crate::index::Trouble;
use crate::store::{Body, Document, Op, Outcome, Store, StoredBody, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// A document that was taken from a lane. While it is held, nobody else is offered it; dropped, it goes back to the place
/// in line that it had, and no attempt is counted.
#[derive(Debug)]
pub struct Lease {
    core: Arc<Core>,
    lane: LaneId,
    document: Document,
    attempts: u32,
    note: Option<String>,
    is_settled: bool,
}

impl Lease {
    pub(crate) fn new(
        core: Arc<Core>,
        lane: LaneId,
        document: Document,
        trouble: Option<Trouble>,
    ) -> Self {
        let (attempts, note) = trouble.map_or((0, None), |trouble| {
            (trouble.attempts, Some(trouble.note.to_string()))
        });
        Self {
            core,
            lane,
            document,
            attempts,
            note,
            is_settled: false,
        }
    }

    /// The document's name, and the idempotency key of every attempt.
    pub fn id(&self) -> DocumentId {
        self.document.id
    }

    /// The lane that it was taken from.
    pub fn lane(&self) -> LaneId {
        self.lane
    }

    /// When it was stored, ms since 1970.
    pub fn created(&self) -> u64 {
        self.document.created
    }

    /// The route that it came by.
    pub fn route(&self) -> &str {
        &self.document.route
    }

    /// The name that its producer gave it; it need not be UTF-8.
    pub fn source(&self) -> &[u8] {
        &self.document.source
    }

    /// What it is, as a media type.
    pub fn content_type(&self) -> &str {
        &self.document.content_type
    }

    /// How urgent it is.
    pub fn priority(&self) -> Priority {
        self.document.priority
    }

    /// Further facts that travel with it.
    pub fn headers(&self) -> &[(String, String)] {
        &self.document.headers
    }

    /// SHA-256 of its body, where it is known.
    pub fn hash(&self) -> Option<[u8; 32]> {
        self.document.hash
    }

    /// How many attempts have failed so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What went wrong last, if anything did.
    pub fn last_error(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// How many bytes its body has.
    pub fn body_len(&self) -> u64 {
        match &self.document.body {
            StoredBody::Inline(bytes) => bytes.len() as u64,
            StoredBody::File(_, len) => *len,
        }
    }

    /// Its body. Small ones are in memory; for a large one a file is opened, which may block.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged) if the disk lost it: it is counted, reported and gone; drop the lease.
    /// [`Io`](ErrorKind::Io) if the system refuses: it is still there.
    pub fn body(&self) -> Result<Body, Error> {
        self.core.store.body(&self.document)
    }

    /// The destination confirmed it: it leaves this lane. Durable when it returns.
    ///
    /// # Errors
    /// [`Full`](ErrorKind::Full), [`NotDurable`](ErrorKind::NotDurable): it is not on the disk yet. The queue goes on
    /// trying, and offers the document to nobody meanwhile; only a crash before it succeeds has it delivered again.
    /// [`Closed`](ErrorKind::Closed): it is delivered again at the next start.
    pub async fn ack(self) -> Result<(), Error> {
        self.settle(Verdict::Acknowledged, String::new()).await
    }

    /// Their destinations confirmed all of these: they leave their lanes, and share as few flushes as can be. Each is durable
    /// whose answer says so; the answers are in the order of the leases.
    ///
    /// # Errors
    /// Each as [`ack`](Lease::ack).
    pub async fn ack_all(mut leases: Vec<Self>) -> Vec<Result<(), Error>> {
        let mut answers = Vec::with_capacity(leases.len());
        for together in leases.chunk_by_mut(|one, next| Arc::ptr_eq(&one.core, &next.core)) {
            let core = Arc::clone(&together[0].core);
            let settled = together
                .iter_mut()
                .map(|lease| lease.settlement(Verdict::Acknowledged, String::new()));
            let outcomes = core.submit_all(settled.collect()).await;
            for (lease, outcome) in together.iter().zip(outcomes) {
                answers.push(lease.settled(outcome));
            }
        }
        answers
    }

    /// It failed: it waits for `after`, and the attempt is counted. Durable when it returns.
    ///
    /// # Errors
    /// As [`ack`](Lease::ack).
    pub async fn retry(mut self, after: Duration, error: &str) -> Result<(), Error> {
        self.is_settled = true;
        let op = Op::Retry {
            id: self.id(),
            lane: self.lane,
            after,
            note: error.to_owned(),
        };
        self.core.submit(op, None).await.map(drop)
    }

    /// It is given up, and waits for a person. Durable when it returns.
    ///
    /// # Errors
    /// As [`ack`](Lease::ack).
    pub async fn bury(self, reason: &str) -> Result<(), Error> {
        self.settle(Verdict::Buried, reason.to_owned()).await
    }

    /// Gives it back to the place in line that it had; no attempt is counted. The same as dropping it.
    pub fn give_back(self) {
        drop(self);
    }

    async fn settle(mut self, verdict: Verdict, note: String) -> Result<(), Error> {
        let op = self.settlement(verdict, note);
        let outcome = self.core.submit(op, None).await;
        self.settled(outcome)
    }

    /// From here on it is not given back any more.
    fn settlement(&mut self, verdict: Verdict, note: String) -> Op {
        self.is_settled = true;
        Op::Settle {
            id: self.id(),
            lane: self.lane,
            verdict,
            note,
        }
    }

    fn settled(&self, outcome: Result<Outcome, Error>) -> Result<(), Error> {
        match outcome? {
            Outcome::NotFound => Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "document {} was settled by somebody else meanwhile",
                    self.document.id
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_settled {
            self.core.store.give_back(self.document.id, self.lane);
            self.core.ready(self.lane).notify_waiters();
        }
    }
}

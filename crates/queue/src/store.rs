//! What a store of documents does, whatever it is made of.
//!
//! The queue runs on [`LogStore`](crate::LogStore). `SqliteStore` (feature `sqlite`) does the same with far less code and
//! far less speed; tests hold the one against the other.

use crate::document::{
    ClaimId, DocumentId, LaneId, LaneInfo, NewDocument, Priority, Receipt, State,
};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::record::Settlement;
use bytes::Bytes;
use std::fmt;
use std::fs::File;
use std::time::Duration;

/// Something that changes what is stored.
#[derive(Debug)]
pub enum Op {
    /// Store documents, all of them or none, and remember the claims that they came from.
    Enqueue {
        /// The documents.
        documents: Vec<NewDocument>,
        /// The claims; each is remembered until it is closed.
        claims: Vec<ClaimId>,
    },
    /// Say what became of a document on a lane.
    Settle {
        /// Which document.
        id: DocumentId,
        /// On which lane.
        lane: LaneId,
        /// What became of it.
        verdict: Verdict,
        /// Why, or by which policy.
        note: String,
    },
    /// Let a document wait for its next attempt, and count the one that failed.
    Retry {
        /// Which document.
        id: DocumentId,
        /// On which lane.
        lane: LaneId,
        /// How long it waits.
        after: Duration,
        /// What went wrong.
        note: String,
    },
    /// Forget claims whose files are dealt with.
    CloseClaims(Vec<ClaimId>),
    /// Make a lane known.
    DeclareLane(String),
}

/// What became of a document on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The destination confirmed it.
    Acknowledged,
    /// It was given up.
    Buried,
    /// A policy or a person dropped it.
    Discarded,
    /// It is to be delivered again: it was dead, sent, or waiting.
    Revived,
}

impl From<Verdict> for Settlement {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Acknowledged => Self::Acknowledged,
            Verdict::Buried => Self::Buried,
            Verdict::Discarded => Self::Discarded,
            Verdict::Revived => Self::Revived,
        }
    }
}

/// What an [`Op`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer for each document of an enqueue.
    Receipts(Vec<Receipt>),
    /// It was done.
    Done,
    /// No document is in a state for which it makes sense.
    NotFound,
    /// The lane that was declared.
    Lane(LaneId),
}

/// What a commit came to.
#[derive(Debug, Default)]
pub struct Committed {
    /// For each operation what it came to; each is durable.
    pub answers: Vec<Result<Outcome, Error>>,
    /// Lanes that may have a document to lease now.
    pub woken: Vec<LaneId>,
    /// Whether documents went, so that there may be room for others.
    pub made_room: bool,
}

/// A document, read back.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name.
    pub id: DocumentId,
    /// When it was stored, ms since 1970.
    pub created: u64,
    /// How urgent it is.
    pub priority: Priority,
    /// The route that it came by.
    pub route: String,
    /// The name that its producer gave it.
    pub source: Vec<u8>,
    /// What it is, as a media type.
    pub content_type: String,
    /// Further facts that travel with it.
    pub headers: Vec<(String, String)>,
    /// SHA-256 of the body, where it is known.
    pub hash: Option<[u8; 32]>,
    /// Where its content is.
    pub body: StoredBody,
}

/// Where the content of a stored document is.
#[derive(Clone, Debug)]
pub enum StoredBody {
    /// Here; its checksum was verified.
    Inline(Bytes),
    /// In a file of its own, by its SHA-256 and length.
    File([u8; 32], u64),
}

/// The content of a document.
#[derive(Debug)]
pub enum Body {
    /// Bytes in memory; their checksum was verified.
    Bytes(Bytes),
    /// A file to stream from, positioned at its start, and its length. Its name is its SHA-256; what is read is to be
    /// held against it.
    File(File, u64),
}

impl Body {
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

/// Where a document stands on one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The lane.
    pub lane: LaneId,
    /// Where it stands there.
    pub state: State,
    /// How many attempts have failed.
    pub attempts: u32,
    /// What went wrong last, or why it was given up.
    pub note: Option<String>,
    /// How long until it is due; only while it waits.
    pub due_in: Option<Duration>,
    /// When it was acknowledged, ms since 1970; only while it is kept as sent.
    pub sent_at: Option<u64>,
}

/// Where documents are stored. Calls block; [`commit`](Store::commit) is called by one thread at a time.
pub trait Store: fmt::Debug + Send + Sync {
    /// Does what is asked, in order, and returns once it is durable. An operation that fails changes nothing.
    fn commit(&self, ops: &[Op]) -> Committed;

    /// Takes the document that is next in line on a lane. A lease is not durable: after a crash the document is ready.
    fn lease(&self, lane: LaneId) -> Option<DocumentId>;

    /// Gives a leased document back, to the place in line that it had.
    fn give_back(&self, id: DocumentId, lane: LaneId);

    /// How long until the next waiting document of a lane is due; `None` if none waits.
    fn next_due(&self, lane: LaneId) -> Option<Duration>;

    /// Reads a document; `None` if it is not known.
    ///
    /// # Errors
    /// [`Damaged`](crate::ErrorKind::Damaged) if its bytes are not what was written; it is then counted as unreadable and
    /// gone. [`Io`](crate::ErrorKind::Io) if the system refuses; it is still there.
    fn load(&self, id: DocumentId) -> Result<Option<Document>, Error>;

    /// Opens the content of a document.
    ///
    /// # Errors
    /// As [`load`](Store::load).
    fn body(&self, document: &Document) -> Result<Body, Error>;

    /// Where a document stands on each of its lanes; `None` if it is not known.
    fn standing(&self, id: DocumentId) -> Option<Vec<Standing>>;

    /// The documents that stand in one of these states (all if none is named) on this lane (any if none is named), first
    /// in line first, behind `after` if that is given.
    fn select(
        &self,
        lane: Option<LaneId>,
        states: &[State],
        after: Option<DocumentId>,
    ) -> Vec<DocumentId>;

    /// The lanes that were declared.
    fn lanes(&self) -> Vec<LaneInfo>;

    /// How many documents stand in a state on a lane.
    fn depth(&self, lane: LaneId, state: State) -> u64;

    /// Whether a claim was committed and is not closed.
    fn is_claim_open(&self, claim: ClaimId) -> bool;

    /// All claims that were committed and are not closed.
    fn open_claims(&self) -> Vec<ClaimId>;

    /// The account of all documents.
    fn ledger(&self) -> Ledger;

    /// How many documents wait (dead ones too), and how many bytes they take.
    fn usage(&self) -> (u64, u64);
}

//! How a queue is doing, for people and programs that look at it.

use crate::damage::Damage;
use crate::ledger::Ledger;
use crate::log_store::Mode;
use serde::Serialize;

/// How a queue is doing.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The account of all documents.
    pub ledger: Ledger,
    /// Whether documents can be taken in.
    pub mode: Mode,
    /// How many documents stand where, lane by lane.
    pub lanes: Vec<LaneStatus>,
    /// How many documents wait, dead ones too.
    pub waiting_documents: u64,
    /// How many bytes they take.
    pub waiting_bytes: u64,
    /// How many documents are kept after they were sent.
    pub kept_documents: u64,
    /// The bytes of the log on the disk, with what is made ahead.
    pub log_bytes: u64,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

/// How many documents stand where on a lane.
#[derive(Clone, Debug, Serialize)]
pub struct LaneStatus {
    /// The lane's name.
    pub name: String,
    /// Can be leased now.
    pub ready: u64,
    /// In somebody's hands.
    pub leased: u64,
    /// Wait for their next attempt.
    pub waiting: u64,
    /// Given up.
    pub dead: u64,
    /// For how many seconds the oldest document that is neither delivered nor given up has been here; none where none is.
    pub oldest_seconds: Option<u64>,
}

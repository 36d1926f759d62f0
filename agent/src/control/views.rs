//! What goes over the control socket, and what `--json` prints.

use crate::exit::{Exit, Failure};
use crate::status::Ledger;
use mainstay_queue::{Compacted, Detail, Exported, State, Summary};
use mainstay_work::BudgetReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A document and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) id: String,
    /// The producer's name for it, as far as it is text.
    pub(crate) source: String,
    pub(crate) route: String,
    pub(crate) priority: u8,
    pub(crate) bytes: u64,
    /// When it was accepted, as a date in UTC.
    pub(crate) accepted: String,
    pub(crate) lanes: Vec<Lane>,
    /// These stand in `show` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) headers: Vec<(String, String)>,
}

/// Where a document stands on one lane.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the field has the queue's own word, as in its lists"
)]
pub(crate) struct Lane {
    pub(crate) lane: String,
    pub(crate) state: State,
    pub(crate) attempts: u32,
    /// What went wrong last, or why it was given up.
    pub(crate) error: Option<String>,
    /// Until it is tried again.
    pub(crate) due_in_ms: Option<u64>,
    /// When it was delivered, as a date in UTC; only while it is kept.
    #[serde(default)]
    pub(crate) sent_at: Option<String>,
}

/// Which documents to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) state: Option<State>,
    pub(crate) lane: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) limit: usize,
}

/// What a person can do with documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verb {
    /// Deliver at once what waits, is dead, or was sent and is still kept.
    Retry,
    /// Deliver dead letters again.
    Replay,
    /// Make dead letters of what still has to be delivered.
    Bury,
    /// Give up for good.
    Discard,
    /// Give up dead letters for good.
    DiscardDead,
}

/// Documents to move.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Move {
    pub(crate) verb: Verb,
    /// Which ones; empty for all that the verb fits.
    pub(crate) ids: Vec<String>,
    pub(crate) lane: Option<String>,
    pub(crate) reason: String,
}

/// Documents that were moved.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) documents: u64,
    /// On how many lanes, all documents together.
    pub(crate) lanes: u64,
}

/// Which delivered documents to send again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Redeliver {
    /// Delivered at this time or later, ms since 1970.
    pub(crate) since: u64,
    /// Delivered before this time, ms since 1970.
    pub(crate) until: u64,
    pub(crate) lane: Option<String>,
    pub(crate) route: Option<String>,
    /// Only say what would be sent.
    pub(crate) dry_run: bool,
    pub(crate) reason: String,
}

/// Delivered documents that are sent again, or would be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Redelivered {
    pub(crate) documents: u64,
    /// On how many lanes, all documents together.
    pub(crate) lanes: u64,
    pub(crate) bytes: u64,
    pub(crate) dry_run: bool,
    /// When the oldest document that is still kept was delivered, as a date in UTC.
    pub(crate) oldest_kept: Option<String>,
    /// Whether documents of that time may have been delivered that are no longer kept.
    pub(crate) is_cut_off: bool,
    /// The first hundred of them; in a dry run alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) named: Vec<Document>,
}

/// What the agent takes for what it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Budgets {
    /// For people.
    pub(crate) page: String,
    /// For programs.
    pub(crate) report: serde_json::Value,
}

/// Something that protects a destination or a server of a lookup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Protection {
    pub(crate) name: String,
    /// `gate`, `breaker`, `limiter`, `bulkhead`, `budget`, `adaptive` or `hedge`.
    pub(crate) kind: String,
    /// How it stands, for people.
    pub(crate) stands: String,
    /// All that is known of it, for programs.
    pub(crate) status: serde_json::Value,
}

/// What a person does to one of them, by its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shield {
    /// Lets nothing through.
    Hold(String),
    /// Takes that back.
    Release(String),
    /// Puts it back to its beginning.
    Reset(String),
    /// Has it follow other settings until the agent reads its configuration again.
    Set(Wanted),
}

/// Settings that something that protects is to follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// What, and which value, as a person wrote it.
    pub(crate) changes: BTreeMap<String, String>,
}

/// A document to hand over, without its content.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub(crate) route: Option<String>,
    pub(crate) name: Vec<u8>,
    pub(crate) content_type: Option<String>,
    pub(crate) priority: Option<u8>,
}

/// A document that was handed over: it is on the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Submitted {
    pub(crate) id: String,
    pub(crate) route: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// What reading everything back found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Verified {
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    pub(crate) ledger: Ledger,
    /// What could not be read; empty when all is well.
    pub(crate) damage: Vec<String>,
}

/// What was set aside, and what stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Repaired {
    /// Documents that can be read.
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    pub(crate) ledger: Ledger,
    /// Documents that were found to be lost now.
    pub(crate) lost: u64,
    /// Documents whose content is damaged, moved to the dead letters now.
    pub(crate) buried: u64,
    /// Unreadable places that were copied aside.
    pub(crate) copies: u64,
    pub(crate) damaged_folder: PathBuf,
    /// The bytes of the log.
    pub(crate) log: Compacted,
    /// What could not be read; empty when all was well.
    pub(crate) damage: Vec<String>,
}

/// Which documents to carry elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Export {
    /// None for all that still has to arrive.
    pub(crate) state: Option<State>,
    pub(crate) lane: Option<String>,
}

/// How an export came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExportEnd {
    /// The archive is whole.
    Done(Exported),
    /// It is not.
    Refused(Refused),
}

/// A refusal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) exit: u8,
    pub(crate) error: String,
    pub(crate) help: Option<String>,
}

impl Shield {
    /// The word on the command line.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Hold(_) => "hold",
            Self::Release(_) => "release",
            Self::Reset(_) => "reset",
            Self::Set(_) => "set",
        }
    }

    /// What it is done to.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Hold(name) | Self::Release(name) | Self::Reset(name) => name,
            Self::Set(wanted) => &wanted.name,
        }
    }
}

impl Budgets {
    /// # Errors
    /// It is no JSON, which it always is.
    pub(crate) fn of(report: &BudgetReport) -> Result<Self, Failure> {
        let page = report.to_string();
        let report = serde_json::to_value(report).map_err(|error| {
            Failure::new(Exit::Unexpected, "what was measured cannot be told").because(error)
        })?;
        Ok(Self { page, report })
    }
}

impl From<&Failure> for Refused {
    fn from(failure: &Failure) -> Self {
        Self {
            exit: failure.exit() as u8,
            error: failure.account(),
            help: failure.advice().map(str::to_owned),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let failure = Self::new(Exit::of_code(refused.exit), refused.error);
        match refused.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

impl From<Summary> for Document {
    fn from(summary: Summary) -> Self {
        let lanes = summary.lanes.into_iter().map(|lane| Lane {
            lane: lane.lane,
            state: lane.state,
            attempts: lane.attempts,
            error: lane.error,
            due_in_ms: lane.due_in_ms,
            sent_at: lane.sent_at.map(crate::status::date),
        });
        Self {
            id: summary.id.to_string(),
            source: summary.source,
            route: summary.route,
            priority: summary.priority,
            bytes: summary.bytes,
            accepted: crate::status::date(summary.created),
            lanes: lanes.collect(),
            content_type: None,
            sha256: None,
            headers: Vec::new(),
        }
    }
}

impl From<Detail> for Document {
    fn from(detail: Detail) -> Self {
        Self {
            content_type: Some(detail.content_type),
            sha256: detail.sha256,
            headers: detail.headers,
            ..Self::from(detail.summary)
        }
    }
}

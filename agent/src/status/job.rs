//! A job of the agent: what is done for a person, or to look after what is kept.

use serde::{Deserialize, Serialize};

/// A job that runs, or waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What people call it.
    pub(crate) name: String,
    /// `scrub`, `trash`, `verify`, `import`, `export` or `move`.
    pub(crate) kind: String,
    /// `waiting`, `running`, or `stopping` where it was told to give up.
    pub(crate) state: String,
    /// When it was asked for, and once it runs, since when; as a date in UTC.
    pub(crate) since: String,
    /// What it is at.
    pub(crate) phase: Option<String>,
    /// How much is done of that.
    pub(crate) done: u64,
    /// How much there is to do, where that is known.
    pub(crate) total: Option<u64>,
    /// What is counted: `items` or `bytes`.
    pub(crate) unit: String,
    /// All of that in words.
    pub(crate) words: String,
}

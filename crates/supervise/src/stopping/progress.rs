//! What people are shown while all is stopped.

use serde::{Deserialize, Serialize};

/// How far a stop is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopPhase {
    /// It has not begun.
    #[default]
    NotBegun,
    /// What is under way finishes.
    Drain,
    /// What is under way gives up.
    Cancel,
    /// Everything is closed and looked at.
    CleanUp,
    /// It is over.
    Over,
}

/// Something that a stop waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    /// Whose: a component, a task, a hook.
    pub who: String,
    /// What of it is under way, where that is known.
    pub what: Option<String>,
    /// For so long by now, in milliseconds; of a task, since all were asked to stop.
    pub for_ms: u64,
}

/// How far a stop is, and what it waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopProgress {
    /// How far.
    pub phase: StopPhase,
    /// How long this phase has taken by now, in milliseconds.
    pub for_ms: u64,
    /// How long it may take, in milliseconds; none where each step has a time of its own.
    pub limit_ms: Option<u64>,
    /// What it waits for; the first [`REMAINING_MAX`](Self::REMAINING_MAX).
    pub remaining: Vec<Remaining>,
}

impl StopProgress {
    /// What is shown at most: more nobody reads.
    pub const REMAINING_MAX: usize = 64;
}

impl StopPhase {
    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotBegun => "not_begun",
            Self::Drain => "drain",
            Self::Cancel => "cancel",
            Self::CleanUp => "clean_up",
            Self::Over => "over",
        }
    }
}

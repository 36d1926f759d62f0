//! What is told of health.

use super::check::HealthState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one run of a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What it saw.
    pub state: HealthState,
    /// Why, for people.
    pub message: String,
    /// What helps to find out why.
    pub details: BTreeMap<String, String>,
    /// Where it is written what to do, where that is not what the check itself names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// How a check stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// What counts: what was seen and lasts, as long as it is not too old.
    pub state: HealthState,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether the process has to be started anew when it is unhealthy.
    pub live: bool,
    /// Whether nothing new can be taken while it is unhealthy.
    pub ready: bool,
    /// What was seen last; it may be better or worse than what counts.
    pub last: Option<Observation>,
    /// Whether that is too old to count.
    pub is_stale: bool,
    /// Where it is written what to do.
    pub runbook: Option<String>,
}

/// How everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSnapshot {
    /// The worst of all; unknown where there are no checks.
    pub state: HealthState,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: u64,
    /// Each check by its name.
    pub checks: BTreeMap<String, CheckStatus>,
    /// The last changes of the whole, the newest first.
    pub history: Vec<HealthChange>,
}

/// A state that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthChange {
    /// Of which check; none: of the whole.
    pub check: Option<String>,
    /// From.
    pub from: HealthState,
    /// To.
    pub to: HealthState,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Why; of the whole, the names of the checks that are so.
    pub why: String,
    /// Where it is written what to do.
    pub runbook: Option<String>,
}

/// Whether something new can be taken now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether it can.
    pub is_ready: bool,
    /// Why not; nothing where it can.
    pub why: Vec<String>,
}

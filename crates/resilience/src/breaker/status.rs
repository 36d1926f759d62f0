//! What a breaker says of itself.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum BreakerState {
    /// They pass, and are counted.
    Closed = 0,
    /// They are rejected until its time is over.
    Open = 1,
    /// A few pass, to find out.
    HalfOpen = 2,
    /// They are rejected until a person says otherwise.
    ForcedOpen = 3,
    /// They pass uncounted until a person says otherwise.
    Disabled = 4,
    /// They are counted and pass, until a person says otherwise.
    MetricsOnly = 5,
}

/// One change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// The breaker's name.
    #[serde(serialize_with = "text")]
    pub name: Arc<str>,
    /// What it was.
    pub from: BreakerState,
    /// What it is.
    pub to: BreakerState,
    /// When, in milliseconds since 1970 by the machine's date.
    pub at: u64,
    /// Why.
    pub reason: String,
}

/// How a breaker stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BreakerStatus {
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: BreakerState,
    /// Why it came to that; empty at its beginning.
    pub reason: String,
    /// For how long it does, in milliseconds.
    pub since_ms: u64,
    /// Failures in a row, while it is closed.
    pub failure_count: u32,
    /// Successes in a row, while it is half open.
    pub success_count: u32,
    /// How long ago a call failed last, in milliseconds.
    pub last_failure_ms: Option<u64>,
    /// When it lets a call pass again, in milliseconds, while it is open.
    pub retry_after_ms: Option<u64>,
    /// Calls in the window; 0 where there is none.
    pub calls: u64,
    /// The share of them that failed.
    pub failure_rate: Option<f64>,
    /// The share of them that was slow.
    pub slow_rate: Option<f64>,
    /// How often it opened.
    pub opened: u64,
    /// Calls that were turned away.
    pub rejected: u64,
    /// Calls that came back after the state had changed, and were not counted.
    pub late: u64,
    /// The last changes, the oldest first; 64 at most.
    pub history: Vec<Transition>,
}

impl BreakerState {
    pub(super) fn from_bits(bits: u64) -> Self {
        match bits {
            1 => Self::Open,
            2 => Self::HalfOpen,
            3 => Self::ForcedOpen,
            4 => Self::Disabled,
            5 => Self::MetricsOnly,
            _ => Self::Closed,
        }
    }

    /// Words in lower case, with an underscore where there are two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn text<S: serde::Serializer>(name: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

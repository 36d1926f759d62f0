//! What recovery plans did.

use super::plan::RecoveryStrategy;
use crate::context::seconds;
use serde::{Serialize, Serializer};

/// What a plan came to, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecoveryEvent {
    /// When, in milliseconds since 1970; serializes as `timestamp`, in seconds with a fraction.
    #[serde(rename = "timestamp", serialize_with = "as_seconds")]
    pub at: u64,
    /// What was to be done.
    pub operation: String,
    /// The kind of the plan.
    pub strategy: RecoveryStrategy,
    /// What came of it.
    pub status: RecoveryStatus,
    /// The calls of the operation that were made: 0 where none was, and the fallback does not count.
    pub attempt: u32,
    /// Why the operation failed, where it did.
    pub error: Option<String>,
}

/// What came of a plan, in the words of the layer before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryStatus {
    /// The operation succeeded, at once or after several attempts.
    Success,
    /// It failed, and nothing else was to be done.
    Failed,
    /// It succeeded, its fallback was not called.
    PrimarySuccess,
    /// It failed, its fallback succeeded.
    FallbackSuccess,
    /// It failed, and so did its fallback.
    FallbackFailed,
    /// It failed, and there is no fallback.
    NoFallback,
    /// It was not called.
    CircuitOpen,
    /// It failed, and the caller goes on without.
    Degraded,
}

// === impl RecoveryStatus ===

impl RecoveryStatus {
    /// One lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::PrimarySuccess => "primary_success",
            Self::FallbackSuccess => "fallback_success",
            Self::FallbackFailed => "fallback_failed",
            Self::NoFallback => "no_fallback",
            Self::CircuitOpen => "circuit_open",
            Self::Degraded => "degraded",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn as_seconds<S: Serializer>(at: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(seconds(*at))
}

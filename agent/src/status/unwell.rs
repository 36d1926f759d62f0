//! What is not well, since when, and where it is written what to do.

use super::date;
use mainstay_supervise::{HealthSnapshot, HealthState};
use serde::{Deserialize, Serialize};

/// A check that is not well.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Unwell {
    /// Its name.
    pub(crate) check: String,
    /// `degraded` or `unhealthy`, or `unknown` where it was not looked at for too long.
    pub(crate) state: String,
    /// Since when, as a date in UTC.
    pub(crate) since: String,
    /// Why.
    pub(crate) message: String,
    /// Where it is written what to do: `mainstay runbook NAME`.
    pub(crate) runbook: Option<String>,
}

impl Unwell {
    /// A run that began at this time, in milliseconds since 1970, and was not stopped: all that is known of its end is that it came later.
    pub(crate) fn crashed(began_ms: u64) -> Self {
        let since = date(began_ms);
        Self {
            check: "last crash".to_owned(),
            state: "degraded".to_owned(),
            message: format!(
                "the run that began at {since} was not stopped: it was killed, crashed, or lost its power after that"
            ),
            since,
            runbook: Some("crash-loop".to_owned()),
        }
    }

    /// All of them, by their names; what was not looked at yet is not among them.
    pub(crate) fn all(snapshot: HealthSnapshot) -> Vec<Self> {
        let checks = snapshot.checks.into_iter();
        let unwell = checks.filter(|(_, check)| check.state != HealthState::Healthy);
        unwell
            .filter_map(|(name, check)| {
                let last = check.last?;
                let message = if check.is_stale {
                    "it was not looked at for too long".to_owned()
                } else {
                    last.message
                };
                Some(Self {
                    check: name,
                    state: check.state.name().to_owned(),
                    since: date(check.since_ms),
                    message,
                    runbook: check.runbook,
                })
            })
            .collect()
    }
}

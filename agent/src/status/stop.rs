//! How far a stop is, and what it waits for.

use super::date;
use crate::units::{Span, rounded};
use mainstay_supervise::{Remaining, StopPhase, StopProgress};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far a stop is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stop {
    /// `not_begun`, `drain`, `cancel` or `clean_up`.
    pub(crate) phase: StopPhase,
    /// Since when it is in this phase, as a date in UTC.
    pub(crate) since: String,
    /// For so long by now, in milliseconds.
    pub(crate) for_ms: u64,
    /// How long the phase may take, in milliseconds; none where each step has a time of its own.
    pub(crate) limit_ms: Option<u64>,
    /// What it waits for, and for how long by now.
    pub(crate) remaining: Vec<Remaining>,
}

impl Stop {
    /// Of a stop that is under way; none of one that is over.
    pub(crate) fn of(progress: StopProgress, wall: u64) -> Option<Self> {
        (progress.phase != StopPhase::Over).then(|| Self {
            phase: progress.phase,
            since: date(wall.saturating_sub(progress.for_ms)),
            for_ms: progress.for_ms,
            limit_ms: progress.limit_ms,
            remaining: progress.remaining,
        })
    }

    /// For people: first the phase, then all that it waits for.
    pub(crate) fn lines(&self) -> Vec<String> {
        let what = match self.phase {
            StopPhase::NotBegun => "it is told to take nothing new",
            StopPhase::Drain => "what is under way finishes",
            StopPhase::Cancel => "what is left gives up",
            StopPhase::CleanUp | StopPhase::Over => "everything is closed",
        };
        let most = self
            .limit_ms
            .map_or_else(String::new, |limit| format!(" of at most {}", time(limit)));
        let (took, since) = (time(self.for_ms), &self.since);
        let phase = format!("{what}, for {took}{most}, since {since}");
        let remaining = self.remaining.iter().map(|one| {
            let (who, took) = (&one.who, time(one.for_ms));
            let what = one.what.as_ref();
            let what = what.map_or_else(String::new, |what| format!(": {what}"));
            format!("{who} still runs{what}, for {took}")
        });
        [phase].into_iter().chain(remaining).collect()
    }
}

fn time(ms: u64) -> Span {
    rounded(Duration::from_millis(ms))
}

//! What earlier lives of the agent ended with.

use super::component::Drained;
use super::report::{PhaseReport, StopOutcome, StopReport};
use serde::{Deserialize, Serialize};

/// A life of the agent, as far as it was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLife {
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// How it was stopped; none where it was not: it was killed, crashed, or lost its power, or it still runs.
    pub stop: Option<RecordedStop>,
}

/// How a life ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedStop {
    /// How.
    pub outcome: StopOutcome,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The phases that were begun, each with how long it took; none where an earlier version wrote it down.
    #[serde(default)]
    pub phases: Vec<PhaseReport>,
    /// What became of the work that was under way; none where an earlier version wrote it down.
    #[serde(default)]
    pub drained: Option<Drained>,
    /// What did not go as it should; the first [`COMPLAINTS_MAX`](StopRecord::COMPLAINTS_MAX).
    pub complaints: Vec<String>,
}

/// How the last lives ended, the newest last. Whoever keeps it writes it down after [`started`](Self::started) and after
/// [`stopped`](Self::stopped).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRecord {
    lives: Vec<RecordedLife>,
}

/// A run of bad stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadStops {
    /// So many lives in a row did not end cleanly.
    pub in_a_row: usize,
    /// How many of them were not stopped at all.
    pub not_stopped: usize,
    /// What the last one complained of.
    pub complaints: Vec<String>,
}

impl StopRecord {
    /// The lives that are remembered: a month of nightly restarts.
    pub const LIVES_MAX: usize = 32;
    /// The complaints that are remembered of each.
    pub const COMPLAINTS_MAX: usize = 16;
    /// So many bad stops in a row are no accident any more.
    pub const BAD_RUN: usize = 3;

    /// A life begins. Answers the run of bad stops before it, where there is one.
    pub fn started(&mut self, at_ms: u64) -> Option<BadStops> {
        let bad = self.bad_stops();
        self.lives.push(RecordedLife {
            started_ms: at_ms,
            stop: None,
        });
        self.shorten();
        bad.filter(|bad| Self::BAD_RUN <= bad.in_a_row)
    }

    /// The life that began last ends so.
    pub fn stopped(&mut self, report: &StopReport) {
        let mut complaints = report.complaints();
        complaints.truncate(Self::COMPLAINTS_MAX);
        let stop = Some(RecordedStop {
            outcome: report.outcome,
            took_ms: report.took_ms(),
            phases: report.phases.clone(),
            drained: Some(report.drained()),
            complaints,
        });
        match self.lives.last_mut() {
            Some(life) if life.stop.is_none() => life.stop = stop,
            _ => self.lives.push(RecordedLife {
                started_ms: report.at_ms,
                stop,
            }),
        }
        self.shorten();
    }

    /// The lives, the newest last.
    pub fn lives(&self) -> &[RecordedLife] {
        &self.lives
    }

    /// How many of the last lives in a row did not end cleanly; to be asked before the next one begins.
    pub fn bad_stops(&self) -> Option<BadStops> {
        let is_bad = |life: &&RecordedLife| {
            let stop = life.stop.as_ref();
            stop.is_none_or(|stop| stop.outcome != StopOutcome::Clean)
        };
        let bad: Vec<&RecordedLife> = self.lives.iter().rev().take_while(is_bad).collect();
        let last = bad.first()?;
        Some(BadStops {
            in_a_row: bad.len(),
            not_stopped: bad.iter().filter(|life| life.stop.is_none()).count(),
            complaints: last
                .stop
                .as_ref()
                .map_or_else(Vec::new, |stop| stop.complaints.clone()),
        })
    }

    fn shorten(&mut self) {
        let too_many = self.lives.len().saturating_sub(Self::LIVES_MAX);
        self.lives.drain(..too_many);
    }
}

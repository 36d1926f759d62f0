//! What was observed, and how all stands because of it.

use super::check::{Check, HealthState};
use super::hysteresis::Hysteresis;
use super::snapshot::{CheckStatus, HealthChange, HealthSnapshot, Observation};
use mainstay_clock::Moment;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Observations that are remembered of each check: an hour at the default interval.
const OBSERVATIONS: usize = 100;

/// Changes that are remembered of the whole: a bad day.
const CHANGES: usize = 64;

#[derive(Debug)]
pub(super) struct Book {
    pub(super) checks: BTreeMap<String, Entry>,
    shown: HealthState,
    history: VecDeque<HealthChange>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) check: Arc<Check>,
    /// The newest first.
    pub(super) history: VecDeque<Observation>,
    /// When it was run last.
    pub(super) run_at: Option<Moment>,
    hysteresis: Hysteresis,
    since_ms: u64,
}

impl Book {
    pub(super) fn new() -> Self {
        Self {
            checks: BTreeMap::new(),
            shown: HealthState::Unknown,
            history: VecDeque::new(),
        }
    }

    /// Writes down what a check saw; answers the change of its state, if there is one.
    pub(super) fn saw(
        &mut self,
        check: &Arc<Check>,
        observation: Observation,
        now: Moment,
    ) -> Option<HealthChange> {
        let name = &*check.spec.name;
        // Another one may have its name by now.
        let entry = self.checks.get_mut(name);
        let entry = entry.filter(|entry| Arc::ptr_eq(&entry.check, check))?;
        let from = entry.hysteresis.shown();
        let to = entry.hysteresis.see(observation.state);
        entry.run_at = Some(now);
        let (at_ms, why) = (observation.at_ms, observation.message.clone());
        // Of the one before, the details go: a hundred times half a kilobyte for each check.
        if let Some(before) = entry.history.front_mut() {
            before.details = BTreeMap::new();
        }
        entry.history.push_front(observation);
        entry.history.truncate(OBSERVATIONS);
        if from == to {
            return None;
        }
        entry.since_ms = at_ms;
        Some(HealthChange {
            check: Some(name.to_owned()),
            from,
            to,
            at_ms,
            why,
            runbook: entry.runbook(),
        })
    }

    /// Sees how all stands now; answers the change, if there is one.
    pub(super) fn review(&mut self, at_ms: u64) -> Option<HealthChange> {
        let shown = |entry: &Entry| entry.hysteresis.shown();
        let now = HealthState::worst(self.checks.values().map(shown));
        if now == self.shown {
            return None;
        }
        let such = self.checks.iter().filter(|(_, entry)| shown(entry) == now);
        let named: Vec<&str> = such.map(|(name, _)| name.as_str()).collect();
        let change = HealthChange {
            check: None,
            from: self.shown,
            to: now,
            at_ms,
            why: named.join(", "),
            runbook: None,
        };
        self.shown = now;
        self.history.push_front(change.clone());
        self.history.truncate(CHANGES);
        Some(change)
    }

    pub(super) fn snapshot(&self, now: Moment, at_ms: u64) -> HealthSnapshot {
        let checks = self.checks.iter();
        let checks: BTreeMap<String, CheckStatus> = checks
            .map(|(name, entry)| (name.clone(), entry.status(now)))
            .collect();
        HealthSnapshot {
            state: HealthState::worst(checks.values().map(|check| check.state)),
            at_ms,
            checks,
            history: self.history.iter().cloned().collect(),
        }
    }
}

impl Entry {
    pub(super) fn new(check: Arc<Check>, at_ms: u64) -> Self {
        Self {
            hysteresis: check.spec.new_hysteresis(),
            check,
            history: VecDeque::new(),
            run_at: None,
            since_ms: at_ms,
        }
    }

    /// What the last trouble named, and else what the check does.
    fn runbook(&self) -> Option<String> {
        let shown = self.hysteresis.shown();
        let mut troubles = self.history.iter();
        let last = troubles.find(|seen| seen.state != HealthState::Healthy);
        let named = last.filter(|_| shown != HealthState::Healthy);
        let named = named.and_then(|seen| seen.runbook.clone());
        named.or_else(|| self.check.spec.runbook.as_deref().map(str::to_owned))
    }

    fn status(&self, now: Moment) -> CheckStatus {
        let spec = &self.check.spec;
        let is_stale = self
            .run_at
            .is_some_and(|run| spec.counts_for() < now.since(run));
        CheckStatus {
            state: if is_stale {
                HealthState::Unknown
            } else {
                self.hysteresis.shown()
            },
            since_ms: self.since_ms,
            live: spec.live,
            ready: spec.ready,
            last: self.history.front().cloned(),
            is_stale,
            runbook: self.runbook(),
        }
    }
}

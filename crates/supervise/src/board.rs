//! What is wrong at the moment, and how the service stands because of it.

use crate::state::{ServiceState, StateChange};
use std::collections::{BTreeMap, VecDeque};

/// Changes that are remembered: a bad day, in some KiB.
pub(crate) const HISTORY: usize = 64;

/// Troubles that are named in the state of the service; the others are counted.
const TROUBLES_TOLD: usize = 64;

/// What a trouble is about; one that comes again takes the place of the earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    /// The runtime stands still.
    Stall,
    /// A task that failed for good, by its number in the list of those.
    Failed(u64),
    /// A task that waits to be started again.
    Waiting(u64),
    /// A task that does not beat.
    Silent(u64),
    /// A task that outlived its owner.
    Leaked(u64),
}

/// How far the service has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Starting,
    Running,
    Stopping,
    Stopped,
}

#[derive(Debug)]
struct Trouble {
    is_error: bool,
    why: String,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Board {
    phase: Phase,
    troubles: BTreeMap<About, Trouble>,
    shown: ServiceState,
    why: Option<String>,
    since_ms: u64,
    history: VecDeque<StateChange>,
}

impl Board {
    pub(crate) fn new(at_ms: u64) -> Self {
        Self {
            phase: Phase::Starting,
            troubles: BTreeMap::new(),
            shown: ServiceState::Starting,
            why: None,
            since_ms: at_ms,
            history: VecDeque::new(),
        }
    }

    /// Goes on to a later phase, never back.
    pub(crate) fn enter(&mut self, phase: Phase, why: &str, at_ms: u64) -> Option<StateChange> {
        self.phase = self.phase.max(phase);
        self.review(why, at_ms)
    }

    pub(crate) fn raise(
        &mut self,
        about: About,
        is_error: bool,
        why: String,
        at_ms: u64,
    ) -> Option<StateChange> {
        self.troubles.insert(about, Trouble { is_error, why });
        self.review("", at_ms)
    }

    pub(crate) fn clear(&mut self, about: &About, at_ms: u64) -> Option<StateChange> {
        self.troubles.remove(about)?;
        self.review("what was wrong is over", at_ms)
    }

    pub(crate) fn state(&self) -> ServiceState {
        self.shown
    }

    pub(crate) fn since_ms(&self) -> u64 {
        self.since_ms
    }

    pub(crate) fn why(&self) -> Option<String> {
        self.why.clone()
    }

    /// The worst first.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let of = |is_error| {
            let all = self.troubles.values();
            all.filter(move |trouble| trouble.is_error == is_error)
        };
        let mut told: Vec<String> = of(true)
            .chain(of(false))
            .take(TROUBLES_TOLD)
            .map(|trouble| trouble.why.clone())
            .collect();
        if let Some(more @ 1..) = self.troubles.len().checked_sub(TROUBLES_TOLD) {
            told.push(format!("and {more} more"));
        }
        told
    }

    /// The newest first.
    pub(crate) fn history(&self) -> Vec<StateChange> {
        self.history.iter().cloned().collect()
    }

    /// Sees how the service stands now; `else_why` says it where no trouble does.
    fn review(&mut self, else_why: &str, at_ms: u64) -> Option<StateChange> {
        let worst = self
            .troubles
            .values()
            .find(|trouble| trouble.is_error)
            .or_else(|| self.troubles.values().next());
        let now = match (self.phase, worst) {
            (Phase::Stopped, _) => ServiceState::Stopped,
            (Phase::Stopping, _) => ServiceState::Stopping,
            // What is critical and missing is told while it starts, too.
            (_, Some(trouble)) if trouble.is_error => ServiceState::Error,
            (Phase::Starting, _) => ServiceState::Starting,
            (Phase::Running, Some(_)) => ServiceState::Degraded,
            (Phase::Running, None) => ServiceState::Running,
        };
        let told = |trouble: &Trouble| trouble.why.clone();
        self.why = match now {
            ServiceState::Stopping | ServiceState::Stopped | ServiceState::Running => None,
            _ => worst.map(told),
        };
        if now == self.shown {
            return None;
        }
        let change = StateChange {
            from: self.shown,
            to: now,
            at_ms,
            why: self.why.clone().unwrap_or_else(|| else_why.to_owned()),
        };
        self.shown = now;
        self.since_ms = at_ms;
        self.history.push_front(change.clone());
        self.history.truncate(HISTORY);
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn about() -> impl Strategy<Value = About> {
        prop_oneof![
            Just(About::Stall),
            (0..4_u64).prop_map(About::Failed),
            (0..4_u64).prop_map(About::Waiting),
            (0..4_u64).prop_map(About::Silent),
        ]
    }

    proptest! {
        #[test]
        fn the_worst_trouble_decides_and_each_change_is_told_once(
            steps in prop::collection::vec((about(), any::<bool>(), any::<bool>()), 0..200),
        ) {
            let mut board = Board::new(0);
            let mut known: BTreeMap<About, bool> = BTreeMap::new();
            let mut shown = board.enter(Phase::Running, "", 0).unwrap().to;
            for (about, is_error, raises) in steps {
                let change = if raises {
                    known.insert(about.clone(), is_error);
                    board.raise(about, is_error, "why".to_owned(), 1)
                } else {
                    known.remove(&about);
                    board.clear(&about, 1)
                };
                let worst = match known.values().max() {
                    Some(true) => ServiceState::Error,
                    Some(false) => ServiceState::Degraded,
                    None => ServiceState::Running,
                };
                prop_assert_eq!(board.state(), worst);
                prop_assert_eq!(change.is_some(), worst != shown);
                prop_assert_eq!(board.why().is_some(), worst != ServiceState::Running);
                prop_assert!(board.history.len() <= HISTORY);
                shown = worst;
            }
        }
    }
}

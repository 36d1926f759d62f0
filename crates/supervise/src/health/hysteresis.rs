//! What is told only when it lasts.

use super::check::HealthState;
use std::collections::VecDeque;

/// Tells a state once it was seen so often in a row.
#[derive(Debug, Clone)]
pub(super) struct Hysteresis {
    worse_after: usize,
    better_after: usize,
    shown: HealthState,
    /// What was seen since it was known last, as far back as is asked; the newest first.
    seen: VecDeque<HealthState>,
}

impl Hysteresis {
    pub(super) fn new(worse_after: u32, better_after: u32) -> Self {
        Self {
            worse_after: worse_after as usize,
            better_after: better_after as usize,
            shown: HealthState::Unknown,
            seen: VecDeque::new(),
        }
    }

    pub(super) fn shown(&self) -> HealthState {
        self.shown
    }

    /// What is shown after this observation: the mildest of so many that were all worse, or the worst of so many that were all
    /// better. What was unknown is known at once, and the other way round.
    pub(super) fn see(&mut self, seen: HealthState) -> HealthState {
        if seen == HealthState::Unknown || self.shown == HealthState::Unknown {
            self.seen.clear();
            self.shown = seen;
        }
        self.seen.push_front(seen);
        self.seen.truncate(self.worse_after.max(self.better_after));
        let last = |many: usize| {
            let enough = many <= self.seen.len();
            self.seen
                .iter()
                .copied()
                .take(if enough { many } else { 0 })
        };
        let mildest = last(self.worse_after).min();
        let worst = last(self.better_after).max();
        if let Some(worse) = mildest.filter(|state| self.shown < *state) {
            self.shown = worse;
        } else if let Some(better) = worst.filter(|state| *state < self.shown) {
            self.shown = better;
        }
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::HealthState::{Degraded, Healthy, Unhealthy, Unknown};
    use super::*;
    use proptest::prelude::*;

    fn shown(worse_after: u32, better_after: u32, seen: &[HealthState]) -> Vec<HealthState> {
        let mut hysteresis = Hysteresis::new(worse_after, better_after);
        seen.iter().map(|seen| hysteresis.see(*seen)).collect()
    }

    #[test]
    fn what_does_not_last_is_not_told_and_what_lasts_is() {
        let seen = [Healthy, Unhealthy, Healthy, Unhealthy, Unhealthy, Unhealthy];
        let told = [Healthy, Healthy, Healthy, Healthy, Healthy, Unhealthy];
        assert_eq!(shown(3, 2, &seen), told);
        let seen = [Unhealthy, Healthy, Unhealthy, Healthy, Degraded, Degraded];
        let told = [
            Unhealthy, Unhealthy, Unhealthy, Unhealthy, Degraded, Degraded,
        ];
        assert_eq!(shown(3, 2, &seen), told);
        assert_eq!(shown(3, 3, &[Unknown, Healthy]), [Unknown, Healthy]);
    }

    fn any_state() -> impl Strategy<Value = HealthState> {
        prop::sample::select(vec![Healthy, Degraded, Unhealthy])
    }

    proptest! {
        #[test]
        fn it_is_told_as_so_bad_only_after_so_many_and_then_for_certain(
            worse_after in 1..5_u32,
            better_after in 1..5_u32,
            seen in prop::collection::vec(any_state(), 1..60),
        ) {
            let told = shown(worse_after, better_after, &seen);
            for at in 1..seen.len() {
                let last = |many: u32| &seen[(at + 1).saturating_sub(many as usize)..=at];
                let (before, now) = (told[at - 1], told[at]);
                if before < now {
                    let all_as_bad = last(worse_after).iter().all(|seen| now <= *seen);
                    prop_assert!(all_as_bad && worse_after as usize <= at, "{at}");
                }
                if now < before {
                    let all_as_good = last(better_after).iter().all(|seen| *seen <= now);
                    prop_assert!(all_as_good && better_after as usize <= at, "{at}");
                }
                // So many in a row of one kind are always told.
                let longest = worse_after.max(better_after) as usize;
                if longest <= at && seen[at + 1 - longest..=at].iter().all(|one| *one == seen[at]) {
                    prop_assert_eq!(now, seen[at]);
                }
            }
        }
    }
}

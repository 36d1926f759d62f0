//! What of the changes is worth telling, and when: each once, and of one check no more than once in a minute.

use super::pattern::matches;
use mainstay_clock::Moment;
use mainstay_supervise::{HealthChange, HealthSnapshot, HealthState};
use std::collections::BTreeMap;
use std::time::Duration;

/// So long it is quiet about a check after something was told of it.
const QUIET: Duration = Duration::from_mins(1);

/// So long a change waits for somebody who wants to be told later; then it counts as not told.
const PUT_OFF_MAX: Duration = Duration::from_hours(24);

/// What one alert has told, and what it has yet to tell. Bounded by the number of checks.
#[derive(Debug)]
pub(super) struct Desk {
    from: HealthState,
    patterns: Vec<String>,
    checks: BTreeMap<String, Seen>,
}

/// A change that is to be told now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// From what was told last.
    pub(super) change: HealthChange,
    /// Since when it waited.
    since: Moment,
    /// When it was taken.
    pub(super) taken: Moment,
    /// What was told before.
    before: Option<HealthState>,
}

#[derive(Debug, Default)]
struct Seen {
    /// What was told last.
    told: Option<HealthState>,
    /// The last change to what somebody knows.
    last: Option<HealthChange>,
    /// Since when that has to be told; none where it has not.
    waits: Option<Moment>,
    /// Nothing is told of it before.
    quiet_until: Option<Moment>,
}

impl Desk {
    /// Of all checks that a pattern names, or of all where there is none, what is as bad as `from`.
    pub(super) fn new(from: HealthState, patterns: Vec<String>) -> Self {
        Self {
            from,
            patterns,
            checks: BTreeMap::new(),
        }
    }

    /// Goes on from what was told of a check before there was this desk.
    ///
    /// What was bad is left alone for a while: whoever has just begun to look takes everything for well.
    pub(super) fn recall(&mut self, check: String, state: HealthState, at: Moment, now: Moment) {
        let since = if state == HealthState::Healthy {
            at
        } else {
            now
        };
        let seen = Seen {
            told: Some(state),
            quiet_until: Some(since + QUIET),
            ..Seen::default()
        };
        self.checks.insert(check, seen);
    }

    /// Sees a change. That nobody knows how something is, is nothing to tell; what was known before stands.
    pub(super) fn see(&mut self, change: &HealthChange, now: Moment) {
        let Some(check) = &change.check else { return };
        let is_wanted =
            self.patterns.is_empty() || self.patterns.iter().any(|of| matches(of, check));
        if !is_wanted || change.to == HealthState::Unknown {
            return;
        }
        let seen = self.checks.entry(check.clone()).or_default();
        seen.last = Some(change.clone());
        seen.judge(self.from, seen.waits.unwrap_or(now));
    }

    /// Sees how everything stands, where changes were missed.
    pub(super) fn see_all(&mut self, snapshot: &HealthSnapshot, now: Moment) {
        for (name, status) in &snapshot.checks {
            let last = status.last.as_ref();
            let change = HealthChange {
                check: Some(name.clone()),
                from: HealthState::Unknown,
                to: status.state,
                at_ms: status.since_ms,
                why: last.map_or_else(String::new, |last| last.message.clone()),
                runbook: status.runbook.clone(),
            };
            self.see(&change, now);
        }
    }

    /// What has waited longest and may be told now; from here on it counts as told, unless it is put back.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Due> {
        let due = self.checks.values_mut().filter(|seen| seen.is_due(now));
        let seen = due.min_by_key(|seen| seen.waits)?;
        let (since, mut change) = (seen.waits.take()?, seen.last.clone()?);
        let before = seen.told.replace(change.to);
        change.from = before.unwrap_or(change.from);
        seen.quiet_until = Some(now + QUIET);
        Some(Due {
            change,
            since,
            taken: now,
            before,
        })
    }

    /// Takes back what could not be told yet: how it stands is told in `wait`, and not before the quiet is over.
    pub(super) fn put_back(&mut self, due: &Due, wait: Duration, now: Moment) {
        let check = due.change.check.as_deref().unwrap_or_default();
        let Some(seen) = self.checks.get_mut(check) else {
            return;
        };
        seen.told = due.before;
        seen.quiet_until = seen.quiet_until.max(Some(now + wait));
        seen.judge(self.from, due.since);
    }

    /// How long it is until something may be told; none where nothing waits.
    pub(super) fn next(&self, now: Moment) -> Option<Duration> {
        let waiting = self.checks.values().filter(|seen| seen.waits.is_some());
        waiting.map(|seen| seen.quiet_for(now)).min()
    }
}

impl Due {
    /// Whether it may be put back for so long.
    pub(super) fn may_wait(&self, wait: Duration, now: Moment) -> bool {
        (now + wait).since(self.since) < PUT_OFF_MAX
    }
}

impl Seen {
    /// Has it wait since then if it is worth telling beside what was told, and else not.
    fn judge(&mut self, from: HealthState, since: Moment) {
        let told = self.told.unwrap_or(HealthState::Healthy);
        let is_news = |last: &HealthChange| last.to != told && (from <= last.to || from <= told);
        self.waits = self.last.as_ref().is_some_and(is_news).then_some(since);
    }

    fn is_due(&self, now: Moment) -> bool {
        self.waits.is_some() && self.quiet_for(now).is_zero()
    }

    fn quiet_for(&self, now: Moment) -> Duration {
        self.quiet_until
            .map_or(Duration::ZERO, |until| until.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::HealthState::{Degraded, Healthy, Unhealthy, Unknown};
    use super::*;
    use mainstay_clock::{Clock, ManualClock};

    fn change(check: &str, from: HealthState, to: HealthState) -> HealthChange {
        HealthChange {
            check: Some(check.to_owned()),
            from,
            to,
            at_ms: 0,
            why: format!("it is {}", to.name()),
            runbook: None,
        }
    }

    /// What a desk tells of one check that takes these states, so many seconds apart, and for two minutes afterwards.
    fn told(from: HealthState, states: &[(u64, HealthState)]) -> Vec<(u64, String)> {
        let clock = ManualClock::new();
        let (began, mut desk) = (clock.now(), Desk::new(from, Vec::new()));
        let (mut was, mut told) = (Unknown, Vec::new());
        for second in 0..300 {
            for (_, to) in states.iter().filter(|(at, _)| *at == second) {
                desk.see(&change("disk", was, *to), clock.now());
                was = *to;
            }
            while let Some(due) = desk.take_due(clock.now()) {
                let at = clock.now().since(began).as_secs();
                let (from, to) = (due.change.from.name(), due.change.to.name());
                told.push((at, format!("{from} -> {to}")));
            }
            clock.advance(Duration::from_secs(1));
        }
        told
    }

    fn lines(told: &[(u64, String)]) -> Vec<(u64, &str)> {
        told.iter().map(|(at, line)| (*at, line.as_str())).collect()
    }

    #[test]
    fn each_change_is_told_once_and_what_was_always_well_is_not() {
        let all = told(
            Degraded,
            &[
                (0, Healthy),
                (5, Degraded),
                (100, Unhealthy),
                (200, Healthy),
            ],
        );
        let expected = [
            (5, "healthy -> degraded"),
            (100, "degraded -> unhealthy"),
            (200, "unhealthy -> healthy"),
        ];
        assert_eq!(lines(&all), expected);
        assert!(told(Degraded, &[(0, Healthy)]).is_empty());
    }

    #[test]
    fn a_check_that_flaps_is_told_once_a_minute_and_as_it_is_then() {
        let states: Vec<(u64, HealthState)> = (0..100)
            .map(|second| (second, [Degraded, Healthy][second as usize % 2]))
            .collect();
        // It ended well, at second 99; at 60 it was as it had been told.
        let all = told(Degraded, &states);
        assert_eq!(
            lines(&all),
            [(0, "unknown -> degraded"), (61, "degraded -> healthy")]
        );
    }

    #[test]
    fn a_change_that_comes_too_soon_is_told_when_the_minute_is_over_if_it_is_still_so() {
        let all = told(Degraded, &[(0, Degraded), (10, Unhealthy), (20, Healthy)]);
        let expected = [(0, "unknown -> degraded"), (60, "degraded -> healthy")];
        assert_eq!(lines(&all), expected);
        let all = told(Degraded, &[(0, Degraded), (10, Healthy), (20, Degraded)]);
        assert_eq!(lines(&all), [(0, "unknown -> degraded")]);
    }

    #[test]
    fn what_is_less_bad_than_wished_is_not_told_but_for_the_way_back() {
        let states = [
            (0, Healthy),
            (5, Degraded),
            (70, Unhealthy),
            (140, Degraded),
            (210, Healthy),
        ];
        let all = told(Unhealthy, &states);
        let expected = [
            (70, "degraded -> unhealthy"),
            (140, "unhealthy -> degraded"),
        ];
        assert_eq!(lines(&all), expected);
    }

    #[test]
    fn that_nobody_knows_is_no_change() {
        let states = [
            (0, Degraded),
            (70, Unknown),
            (140, Degraded),
            (210, Healthy),
        ];
        let all = told(Degraded, &states);
        let expected = [(0, "unknown -> degraded"), (210, "degraded -> healthy")];
        assert_eq!(lines(&all), expected);
    }

    #[test]
    fn a_check_that_nobody_asked_for_and_the_whole_are_not_told() {
        let (clock, patterns) = (ManualClock::new(), vec!["to *".to_owned()]);
        let mut desk = Desk::new(Degraded, patterns);
        let whole = HealthChange {
            check: None,
            ..change("", Healthy, Degraded)
        };
        for change in [
            change("disk", Healthy, Unhealthy),
            whole,
            change("to lab", Healthy, Degraded),
        ] {
            desk.see(&change, clock.now());
        }
        let due = desk.take_due(clock.now()).unwrap();
        assert_eq!(due.change.check.as_deref(), Some("to lab"));
        assert_eq!(desk.take_due(clock.now()), None);
        assert_eq!(desk.next(clock.now()), None);
    }

    #[test]
    fn checks_do_not_wait_for_each_other_and_the_first_comes_first() {
        let clock = ManualClock::new();
        let mut desk = Desk::new(Degraded, Vec::new());
        for check in ["b", "a", "c"] {
            desk.see(&change(check, Healthy, Degraded), clock.now());
            clock.advance(Duration::from_millis(1));
        }
        let now = clock.now();
        let told: Vec<String> = std::iter::from_fn(|| desk.take_due(now))
            .filter_map(|due| due.change.check)
            .collect();
        assert_eq!(told, ["b", "a", "c"]);
        desk.see(&change("a", Degraded, Healthy), now);
        assert_eq!(desk.next(now), Some(QUIET));
        assert_eq!(desk.take_due(now), None);
    }

    #[test]
    fn what_was_told_before_is_told_as_mended_once_it_stays_so_and_not_again() {
        let clock = ManualClock::new();
        let told_at = clock.now();
        clock.advance(Duration::from_hours(1));
        let began = clock.now();
        let mut desk = Desk::new(Degraded, Vec::new());
        for check in ["mended", "bad"] {
            desk.recall(check.to_owned(), Degraded, told_at, began);
        }
        desk.recall("well".to_owned(), Healthy, told_at, began);
        // Whoever begins takes all for well.
        for check in ["mended", "bad", "well"] {
            desk.see(&change(check, Unknown, Healthy), clock.now());
        }
        assert_eq!(desk.take_due(clock.now()), None);
        clock.advance(QUIET / 6);
        for check in ["bad", "well"] {
            desk.see(&change(check, Healthy, Degraded), clock.now());
        }
        // What was well is as any other.
        let due = desk.take_due(clock.now()).unwrap();
        assert_eq!(due.change.check.as_deref(), Some("well"));
        assert_eq!(desk.take_due(clock.now()), None);
        clock.advance(QUIET * 5 / 6);
        let mut mended = Vec::new();
        while let Some(due) = desk.take_due(clock.now()) {
            assert_eq!((due.change.from, due.change.to), (Degraded, Healthy));
            mended.extend(due.change.check);
        }
        assert_eq!(mended, ["mended"]);
        assert_eq!(desk.next(clock.now()), None);
    }

    #[test]
    fn what_is_put_back_is_told_later_and_as_it_is_then() {
        let clock = ManualClock::new();
        let mut desk = Desk::new(Degraded, Vec::new());
        for check in ["same", "worse", "well"] {
            desk.see(&change(check, Healthy, Degraded), clock.now());
        }
        let taken: Vec<Due> = std::iter::from_fn(|| desk.take_due(clock.now())).collect();
        clock.advance(Duration::from_secs(5));
        desk.see(&change("worse", Degraded, Unhealthy), clock.now());
        desk.see(&change("well", Degraded, Healthy), clock.now());
        for due in &taken {
            desk.put_back(due, 2 * QUIET, clock.now());
        }
        assert_eq!(desk.take_due(clock.now()), None);
        assert_eq!(desk.next(clock.now()), Some(2 * QUIET));
        clock.advance(2 * QUIET);
        let same = desk.take_due(clock.now()).unwrap();
        assert_eq!(same.change, taken[0].change);
        assert_eq!(same.since, taken[0].since);
        let worse = desk.take_due(clock.now()).unwrap();
        assert_eq!(worse.change.to, Unhealthy);
        // Nobody heard that it was bad.
        assert_eq!(desk.take_due(clock.now()), None);
        assert_eq!(desk.next(clock.now()), None);
    }

    #[test]
    fn what_is_put_back_at_once_is_still_told_once_a_minute() {
        let clock = ManualClock::new();
        let mut desk = Desk::new(Degraded, Vec::new());
        desk.see(&change("disk", Healthy, Degraded), clock.now());
        let due = desk.take_due(clock.now()).unwrap();
        desk.put_back(&due, Duration::ZERO, clock.now());
        assert_eq!(desk.next(clock.now()), Some(QUIET));
    }

    #[test]
    fn what_is_put_back_again_and_again_is_given_up_after_a_day() {
        let clock = ManualClock::new();
        let mut desk = Desk::new(Degraded, Vec::new());
        desk.see(&change("disk", Healthy, Degraded), clock.now());
        let (wait, mut times) = (Duration::from_hours(1), 0);
        loop {
            let due = desk.take_due(clock.now()).unwrap();
            if !due.may_wait(wait, clock.now()) {
                break;
            }
            desk.put_back(&due, wait, clock.now());
            clock.advance(wait);
            times += 1;
        }
        assert_eq!(times, 23);
    }
}

//! Whether a destination may be sent anything now: open, quiet for a while, or held and probed.
//!
//! A state machine without input or output: time comes in as an argument, so that every rule here is tested by hand.
//!
//! ```text
//!            hold                         a probe succeeds, or anything still under way does
//!   open ───────────► held, probe due at t ─────────────────────────────────────────────────► open
//!    │  ▲                │   ▲
//!    │  │ time passes    │   │ the probe fails: t is further away, 1 s … 60 s, full jitter
//!    ▼  │                ▼   │
//!   quiet until t       one document at a time
//! ```

use mainstay_clock::Moment;
use mainstay_resilience::{Backoff, Random};
use std::time::Duration;

/// After this long an unanswered probe no longer keeps the next one waiting: a slow document must not hold up the others even
/// when it is the probe. As long as a patient person waits for an answer, and a sixth of the time an attempt may take.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);

/// How far apart the probes are of a destination that fails one document after the other: 20 ms on average, so 50 in a second at
/// most. That burdens no server. It cannot be much less: where only some documents fail, for good, each comes again every 150 s on
/// average and before the younger ones, which are met as long as fewer than 7,500 do.
const SLOW: Backoff = Backoff::doubling(Duration::from_millis(20), Duration::from_millis(40));

#[derive(Debug)]
pub(crate) struct Gate {
    backoff: Backoff,
    held: Option<Held>,
    quiet: Option<Quiet>,
}

/// The destination is held until something is delivered again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) why: Why,
    pub(crate) next_probe: Moment,
    /// The destination asked to be left alone until then.
    asked: Moment,
    pub(crate) failures: u32,
    /// How far apart its probes are.
    backoff: Backoff,
}

/// What has to be put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) reason: String,
    /// Whether that is about the credentials.
    pub(crate) credentials: bool,
}

/// The destination asked for quiet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quiet {
    pub(crate) reason: String,
    pub(crate) until: Moment,
}

/// What may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// As much as there is room for.
    Any,
    /// One document, to see whether the destination is back.
    Probe,
    /// Nothing before this moment.
    NotBefore(Moment),
}

impl Gate {
    pub(crate) fn open(backoff: Backoff) -> Self {
        Self {
            backoff,
            held: None,
            quiet: None,
        }
    }

    pub(crate) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    pub(crate) fn quiet(&self, now: Moment) -> Option<&Quiet> {
        self.quiet.as_ref().filter(|quiet| now < quiet.until)
    }

    pub(crate) fn permission(&self, now: Moment) -> Permission {
        if let Some(quiet) = self.quiet(now) {
            return Permission::NotBefore(quiet.until);
        }
        match &self.held {
            None => Permission::Any,
            Some(held) if held.next_probe <= now => Permission::Probe,
            Some(held) => Permission::NotBefore(held.next_probe),
        }
    }

    /// A document goes out as the probe; the next one waits for its answer, or for the end of patience.
    pub(crate) fn probe_started(&mut self, now: Moment) {
        if let Some(held) = &mut self.held {
            held.next_probe = now + PROBE_PATIENCE;
        }
    }

    /// Something was delivered and recorded, or refused for its own sake: the destination is there. Answers whether it was
    /// held.
    pub(crate) fn succeeded(&mut self) -> bool {
        self.held.take().is_some()
    }

    /// An attempt met something that has to be put right outside. Answers whether this closed the gate.
    ///
    /// Only a failed probe lengthens the wait: five requests that were under way together and all failed are one failure.
    pub(crate) fn hold(
        &mut self,
        why: impl Into<Why>,
        after: Option<Duration>,
        was_probe: bool,
        now: Moment,
        random: &Random,
    ) -> bool {
        let after = after.unwrap_or(Duration::ZERO);
        match &mut self.held {
            None => {
                let wait = self.backoff.wait(1, Duration::ZERO, random).max(after);
                self.held = Some(Held {
                    why: why.into(),
                    next_probe: now + wait,
                    asked: now + after,
                    failures: 1,
                    backoff: self.backoff,
                });
                true
            }
            Some(held) if was_probe => {
                held.failures = held.failures.saturating_add(1);
                held.backoff = self.backoff;
                held.next_probe = now
                    + self
                        .backoff
                        .wait(held.failures, Duration::ZERO, random)
                        .max(after);
                held.asked = now + after;
                held.why = why.into();
                false
            }
            Some(held) => {
                held.next_probe = held.next_probe.max(now + after);
                held.asked = held.asked.max(now + after);
                false
            }
        }
    }

    /// One document after the other failed without a reason that is outside of them: one is sent at a time, 20 ms apart on average.
    /// Answers whether this closed the gate.
    pub(crate) fn slow_down(&mut self, reason: &str, now: Moment, random: &Random) -> bool {
        if self.held.is_some() {
            return false;
        }
        self.held = Some(Held {
            why: reason.into(),
            next_probe: now + SLOW.wait(1, Duration::ZERO, random),
            asked: now,
            failures: 1,
            backoff: SLOW,
        });
        true
    }

    /// The probe neither succeeded nor said why not: another document tries next, a little later.
    pub(crate) fn probe_was_inconclusive(&mut self, now: Moment, random: &Random) {
        if let Some(held) = &mut self.held {
            held.failures = held.failures.saturating_add(1);
            held.next_probe = now + held.backoff.wait(held.failures, Duration::ZERO, random);
        }
    }

    /// The probe came back without having been sent: another may go at once.
    pub(crate) fn probe_was_not_sent(&mut self, now: Moment) {
        if let Some(held) = &mut self.held {
            held.next_probe = now;
        }
    }

    /// Something outside changed: the next probe need not wait for its turn, but for as long as the destination asked.
    pub(crate) fn hurry(&mut self, now: Moment) {
        if let Some(held) = &mut self.held {
            held.next_probe = held.next_probe.min(held.asked.max(now));
        }
    }

    /// A person says that it is worth a try: what was waited for is over, and a destination that is held is probed now.
    pub(crate) fn try_now(&mut self, now: Moment) {
        self.quiet = None;
        self.probe_was_not_sent(now);
    }

    /// The destination asked to be sent nothing for `wait`.
    pub(crate) fn keep_quiet(&mut self, reason: &str, wait: Duration, now: Moment) {
        let until = now + wait;
        if self.quiet.as_ref().is_none_or(|quiet| quiet.until < until) {
            self.quiet = Some(Quiet {
                reason: reason.to_owned(),
                until,
            });
        }
    }
}

impl From<&str> for Why {
    fn from(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            credentials: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::doubling(Duration::from_secs(1), Duration::from_mins(1));

    fn at(seconds: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(seconds)
    }

    fn held_gate() -> (Gate, Random) {
        let (mut gate, random) = (Gate::open(BACKOFF), Random::from_seed(1));
        assert!(gate.hold("refused", None, false, at(0), &random));
        (gate, random)
    }

    #[test]
    fn a_hurried_gate_is_probed_at_once_but_not_before_the_destination_wants_it() {
        let (mut gate, random) = held_gate();
        assert!(!gate.hold("refused", None, true, at(1), &random));
        gate.hurry(at(1));
        assert_eq!(gate.permission(at(1)), Permission::Probe);
        gate.probe_started(at(1));
        let asked = Some(Duration::from_secs(30));
        assert!(!gate.hold("busy", asked, true, at(2), &random));
        gate.hurry(at(3));
        assert_eq!(gate.permission(at(3)), Permission::NotBefore(at(32)));
        let mut open = Gate::open(BACKOFF);
        open.hurry(at(0));
        assert_eq!(open.permission(at(0)), Permission::Any);
    }

    #[test]
    fn an_open_gate_lets_everything_through() {
        assert_eq!(Gate::open(BACKOFF).permission(at(0)), Permission::Any);
    }

    #[test]
    fn a_held_gate_lets_one_probe_through_once_it_is_due() {
        let (mut gate, _) = held_gate();
        assert!(matches!(gate.permission(at(0)), Permission::NotBefore(due) if due < at(1)));
        assert_eq!(gate.permission(at(1)), Permission::Probe);
        gate.probe_started(at(1));
        assert_eq!(gate.permission(at(1)), Permission::NotBefore(at(11)));
    }

    #[test]
    fn a_probe_that_hangs_gives_way_to_another() {
        let (mut gate, _) = held_gate();
        gate.probe_started(at(1));
        assert_eq!(gate.permission(at(11)), Permission::Probe);
    }

    #[test]
    fn one_success_opens_the_gate_fully() {
        let (mut gate, _) = held_gate();
        gate.probe_started(at(1));
        assert!(gate.succeeded());
        assert_eq!(gate.permission(at(1)), Permission::Any);
        assert!(!gate.succeeded());
    }

    #[test]
    fn failed_probes_are_ever_further_apart_and_at_most_a_minute() {
        let (mut gate, random) = held_gate();
        let mut longest = Duration::ZERO;
        for round in 1..200 {
            let now = at(round * 100);
            assert_eq!(gate.permission(now), Permission::Probe);
            gate.probe_started(now);
            assert!(!gate.hold("still refused", None, true, now, &random));
            let wait = gate.held().unwrap().next_probe.since(now);
            assert!(
                wait <= BACKOFF.bound(u32::try_from(round).unwrap() + 1),
                "{wait:?} in round {round}"
            );
            longest = longest.max(wait);
        }
        assert!(longest > Duration::from_secs(50), "{longest:?}");
        assert_eq!(gate.held().unwrap().why.reason, "still refused");
    }

    #[test]
    fn what_is_slowed_down_is_probed_soon_again_until_its_cause_is_told() {
        let (mut gate, random) = (Gate::open(BACKOFF), Random::from_seed(1));
        assert!(gate.slow_down("500", at(0), &random));
        assert!(!gate.slow_down("500", at(0), &random));
        for round in 1..100 {
            let now = at(0) + Duration::from_millis(40 * round);
            assert_eq!(gate.permission(now), Permission::Probe);
            gate.probe_started(now);
            gate.probe_was_inconclusive(now, &random);
        }
        let mut longest = Duration::ZERO;
        for round in 10..30 {
            let now = at(round * 100);
            gate.probe_started(now);
            gate.hold("refused", None, true, now, &random);
            longest = longest.max(gate.held().unwrap().next_probe.since(now));
        }
        assert!(Duration::from_secs(30) < longest, "{longest:?}");
        assert_eq!(gate.held().unwrap().why.reason, "refused");
        assert!(gate.succeeded());
        assert_eq!(gate.permission(at(3_000)), Permission::Any);
    }

    #[test]
    fn failures_that_were_under_way_together_count_as_one() {
        let (mut gate, random) = held_gate();
        let due = gate.held().unwrap().next_probe;
        for _ in 0..4 {
            assert!(!gate.hold("refused as well", None, false, at(0), &random));
        }
        assert_eq!(
            gate.held().unwrap(),
            &Held {
                why: "refused".into(),
                next_probe: due,
                asked: at(0),
                failures: 1,
                backoff: BACKOFF,
            }
        );
    }

    #[test]
    fn a_destination_that_names_a_time_is_not_probed_before() {
        let (mut gate, random) = (Gate::open(BACKOFF), Random::from_seed(1));
        gate.hold("403", Some(Duration::from_secs(30)), false, at(0), &random);
        assert_eq!(gate.permission(at(29)), Permission::NotBefore(at(30)));
    }

    #[test]
    fn quiet_stops_everything_and_ends_by_itself() {
        let mut gate = Gate::open(BACKOFF);
        gate.keep_quiet("429", Duration::from_secs(20), at(0));
        gate.keep_quiet("429", Duration::from_secs(5), at(1));
        assert_eq!(
            gate.permission(at(19)),
            Permission::NotBefore(at(20)),
            "a shorter wish does not shorten the longer one"
        );
        assert_eq!(gate.permission(at(20)), Permission::Any);
    }

    #[test]
    fn quiet_holds_back_a_probe_too() {
        let (mut gate, _) = held_gate();
        gate.keep_quiet("503", Duration::from_secs(20), at(0));
        assert_eq!(gate.permission(at(5)), Permission::NotBefore(at(20)));
        assert_eq!(gate.permission(at(20)), Permission::Probe);
    }

    #[test]
    fn an_inconclusive_probe_waits_and_an_unsent_one_does_not() {
        let (mut gate, random) = held_gate();
        gate.probe_started(at(1));
        gate.probe_was_inconclusive(at(2), &random);
        assert!(gate.held().unwrap().next_probe < at(4));
        gate.probe_started(at(5));
        gate.probe_was_not_sent(at(5));
        assert_eq!(gate.permission(at(5)), Permission::Probe);
    }
}

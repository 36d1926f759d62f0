mod blocking;
mod guards;

use super::*;
use crate::class::{Category, Class, Severity};
use mainstay_clock::{Clock, ManualClock, Moment};
use std::cell::Cell;
use std::fmt;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    text: &'static str,
    class: Class,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl std::error::Error for Fault {}

impl Classify for Fault {
    fn class(&self) -> Class {
        self.class
    }
}

fn passing(text: &'static str) -> Fault {
    let class = Class::retryable(Category::Network, Severity::Medium);
    Fault { text, class }
}

fn lasting(text: &'static str) -> Fault {
    let class = Class::permanent(Category::Validation, Severity::Medium);
    Fault { text, class }
}

/// Moves the clock by 10 ms whenever the call waits, for an hour at most.
fn drive<T>(clock: &ManualClock, call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..360_000 {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut cx) {
            return answer;
        }
        clock.advance(Duration::from_millis(10));
    }
    panic!("it waits for ever");
}

fn recovery(plan: RecoveryPlan) -> (ManualClock, Recovery) {
    let clock = ManualClock::new();
    let recovery = Recovery::new(Arc::new(clock.clone()));
    assert!(recovery.register(plan).unwrap().is_none());
    (clock, recovery)
}

fn passed(clock: &ManualClock) -> Duration {
    clock.now().since(Moment::ORIGIN)
}

/// Status, attempt and error of the only event.
fn only(recovery: &Recovery) -> (&'static str, u32, Option<String>) {
    let history = recovery.history(10);
    assert_eq!(history.len(), 1);
    let event = &history[0];
    (event.status.name(), event.attempt, event.error.clone())
}

#[test]
fn without_a_plan_it_is_called_once_and_nothing_is_noted() {
    let clock = ManualClock::new();
    let recovery = Recovery::new(Arc::new(clock.clone()));
    let calls = Cell::new(0);
    let outcome: Outcome<(), _> = drive(
        &clock,
        recovery.run("fetch", async || {
            calls.set(calls.get() + 1);
            Err(passing("no"))
        }),
    );
    assert_eq!(outcome, Outcome::Failed(Error::Failed(passing("no"))));
    assert_eq!(calls.get(), 1);
    assert!(recovery.history(10).is_empty());
}

#[test]
fn a_retry_pauses_between_attempts_and_stops_at_the_last() {
    let plan = RecoveryPlan::retry("fetch").attempts(4);
    let (clock, recovery) = recovery(plan);
    let calls = Cell::new(0);
    let outcome: Outcome<(), _> = drive(
        &clock,
        recovery.run("fetch", async || {
            calls.set(calls.get() + 1);
            Err(passing("no"))
        }),
    );
    let last = Box::new(Error::Failed(passing("no")));
    assert_eq!(
        outcome,
        Outcome::Failed(Error::Exhausted { last, attempts: 4 })
    );
    assert_eq!(calls.get(), 4);
    assert_eq!(passed(&clock), 3 * RecoveryPlan::PAUSE);
    let error = "all 4 attempts failed: the call failed: no".to_owned();
    assert_eq!(only(&recovery), ("failed", 4, Some(error)));
}

#[test]
fn an_error_that_stays_is_not_tried_again() {
    let (clock, recovery) = recovery(RecoveryPlan::retry("fetch"));
    let outcome: Outcome<(), _> = drive(&clock, recovery.run("fetch", async || Err(lasting("no"))));
    assert_eq!(outcome, Outcome::Failed(Error::Failed(lasting("no"))));
    assert_eq!(only(&recovery).1, 1);
    assert_eq!(passed(&clock), Duration::ZERO);
}

#[test]
fn what_was_tried_in_vain_several_times_is_exhausted_and_what_trying_does_not_help_is_not() {
    let ends_with = |second: Fault| {
        let (clock, recovery) = recovery(RecoveryPlan::retry("fetch").attempts(2));
        let mut faults = [passing("no"), second].into_iter();
        let outcome: Outcome<(), _> = drive(
            &clock,
            recovery.run("fetch", || future::ready(Err(faults.next().unwrap()))),
        );
        outcome.into_result().unwrap_err()
    };
    let stays = lasting("gone");
    assert_eq!(ends_with(stays.clone()), Error::Failed(stays));
    assert!(matches!(ends_with(passing("no")), Error::Exhausted { .. }));

    let (clock, recovery) = recovery(RecoveryPlan::retry("fetch").attempts(3));
    let mut asks_much = passing("busy");
    asks_much.class = asks_much.class.after(Duration::from_hours(1));
    let mut faults = [passing("no"), asks_much.clone()].into_iter();
    let outcome: Outcome<(), _> = drive(
        &clock,
        recovery.run("fetch", || future::ready(Err(faults.next().unwrap()))),
    );
    let last = Box::new(Error::Failed(asks_much));
    assert_eq!(
        outcome,
        Outcome::Failed(Error::Exhausted { last, attempts: 2 })
    );
}

#[test]
fn a_plan_of_one_attempt_answers_the_error_as_it_is() {
    let (clock, recovery) = recovery(RecoveryPlan::retry("fetch").attempts(1));
    let outcome: Outcome<(), _> = drive(&clock, recovery.run("fetch", async || Err(passing("no"))));
    assert_eq!(outcome, Outcome::Failed(Error::Failed(passing("no"))));
}

#[test]
fn the_other_side_is_given_the_pause_that_it_asks_for_up_to_the_timeout() {
    let asks = |wait| {
        let (clock, recovery) = recovery(RecoveryPlan::retry("fetch"));
        let mut fault = passing("busy");
        fault.class = fault.class.after(wait);
        let outcome: Outcome<(), _> =
            drive(&clock, recovery.run("fetch", async || Err(fault.clone())));
        assert!(!outcome.is_recovered());
        (only(&recovery).1, passed(&clock))
    };
    let ms = Duration::from_millis;
    assert_eq!(asks(ms(20)), (3, 2 * RecoveryPlan::PAUSE));
    assert_eq!(asks(ms(700)), (3, ms(1_400)));
    assert_eq!(asks(RecoveryPlan::TIMEOUT), (3, 2 * RecoveryPlan::TIMEOUT));
    assert_eq!(asks(RecoveryPlan::TIMEOUT + ms(1)), (1, Duration::ZERO));
}

#[test]
fn a_pause_longer_than_the_timeout_is_kept() {
    let minute = Duration::from_mins(1);
    let (clock, recovery) = recovery(RecoveryPlan::retry("fetch").attempts(2).pause(minute));
    let outcome: Outcome<(), _> = drive(&clock, recovery.run("fetch", async || Err(passing("no"))));
    assert!(!outcome.is_recovered());
    assert_eq!(passed(&clock), minute);
}

#[test]
fn a_call_that_takes_too_long_is_dropped() {
    struct Dropped<'a>(&'a Cell<u32>);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let timeout = Duration::from_millis(200);
    let plan = RecoveryPlan::retry("fetch").attempts(2).timeout(timeout);
    let (clock, recovery) = recovery(plan);
    let dropped = Cell::new(0);
    let outcome: Outcome<(), Fault> = drive(
        &clock,
        recovery.run("fetch", async || {
            let _dropped = Dropped(&dropped);
            future::pending().await
        }),
    );
    let last = Box::new(Error::TimedOut(timeout));
    assert_eq!(
        outcome,
        Outcome::Failed(Error::Exhausted { last, attempts: 2 })
    );
    assert_eq!(dropped.get(), 2);
    assert_eq!(passed(&clock), 2 * timeout + RecoveryPlan::PAUSE);
}

#[test]
fn an_answer_that_is_there_counts_although_the_time_is_over() {
    let (clock, recovery) = recovery(RecoveryPlan::retry("fetch"));
    let outcome: Outcome<_, Fault> = drive(
        &clock,
        recovery.run("fetch", async || {
            clock.advance(Duration::from_mins(1));
            Ok(7)
        }),
    );
    assert_eq!(outcome, Outcome::Recovered(7));
}

#[test]
fn a_fallback_is_called_only_where_the_operation_fails() {
    let (clock, recovery) = recovery(RecoveryPlan::fallback("fetch"));
    let answer = |first: Result<_, Fault>, second: Result<_, Fault>| {
        drive(
            &clock,
            recovery.run_or("fetch", async || first.clone(), async || second),
        )
    };
    let fault = || Err(passing("no"));
    assert_eq!(answer(Ok(1), Ok(2)), Outcome::Recovered(1));
    assert_eq!(answer(fault(), Ok(2)), Outcome::Recovered(2));
    let second = Error::Failed(lasting("empty"));
    assert_eq!(
        answer(fault(), Err(lasting("empty"))),
        Outcome::Failed(second)
    );
    let none: Outcome<i32, _> = drive(&clock, recovery.run("fetch", async || fault()));
    assert_eq!(none, Outcome::Failed(Error::Failed(passing("no"))));
    let history = recovery.history(10);
    let told: Vec<_> = history
        .iter()
        .map(|event| (event.status.name(), event.error.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("no_fallback", Some("the call failed: no")),
            (
                "fallback_failed",
                Some("the call failed: empty; before that: the call failed: no")
            ),
            ("fallback_success", Some("the call failed: no")),
            ("primary_success", None),
        ]
    );
}

#[test]
fn a_fallback_has_its_time_too() {
    let (clock, recovery) = recovery(RecoveryPlan::fallback("fetch"));
    let outcome: Outcome<(), Fault> = drive(
        &clock,
        recovery.run_or("fetch", future::pending, future::pending),
    );
    assert_eq!(
        outcome,
        Outcome::Failed(Error::TimedOut(RecoveryPlan::TIMEOUT))
    );
    assert_eq!(passed(&clock), 2 * RecoveryPlan::TIMEOUT);
    assert_eq!(only(&recovery).0, "fallback_failed");
}

#[test]
fn what_degrades_says_so_and_why() {
    let (clock, recovery) = recovery(RecoveryPlan::graceful_degrade("complete"));
    let well: Outcome<_, Fault> = drive(&clock, recovery.run("complete", async || Ok(1)));
    assert_eq!(well, Outcome::Recovered(1));
    assert!(recovery.history(10).is_empty());
    let outcome: Outcome<(), _> = drive(
        &clock,
        recovery.run("complete", async || Err(lasting("no"))),
    );
    assert!(outcome.is_degraded());
    assert_eq!(outcome.into_result(), Err(Error::Failed(lasting("no"))));
    let text = "the call failed: no".to_owned();
    assert_eq!(only(&recovery), ("degraded", 1, Some(text)));
}

#[test]
fn what_cannot_work_is_refused_with_its_reason_and_the_plans_stay() {
    let (_, recovery) = recovery(RecoveryPlan::retry("fetch"));
    let refused = |plan| recovery.register(plan).unwrap_err().to_string();
    for (plan, why) in [
        (
            RecoveryPlan::retry("fetch").attempts(0),
            "0 attempts would never call it; 1 is one call and no other",
        ),
        (
            RecoveryPlan::fallback("fetch").attempts(2),
            "only a plan of the kind retry has several attempts",
        ),
        (
            RecoveryPlan::graceful_degrade("fetch").timeout(Duration::ZERO),
            "a timeout of 0 would end every call before it began",
        ),
    ] {
        let text = format!("cannot register a recovery plan for `fetch`: {why}");
        assert_eq!(refused(plan), text);
    }
    let plan = recovery.plan("fetch").unwrap();
    assert_eq!(plan.strategy(), RecoveryStrategy::Retry);
    let replaced = recovery.register(RecoveryPlan::fallback("fetch")).unwrap();
    assert!(Arc::ptr_eq(&replaced.unwrap(), &plan));
    assert!(recovery.plan("other").is_none());
}

#[test]
fn plans_have_an_end_and_one_that_is_there_can_still_change() {
    let recovery = Recovery::new(Arc::new(ManualClock::new()));
    for number in 0..Recovery::PLANS_MAX {
        let plan = RecoveryPlan::fallback(number.to_string());
        assert!(recovery.register(plan).unwrap().is_none());
    }
    assert!(recovery.register(RecoveryPlan::fallback("more")).is_err());
    assert!(recovery.plan("more").is_none());
    assert!(
        recovery
            .register(RecoveryPlan::retry("7"))
            .unwrap()
            .is_some()
    );
}

#[test]
fn the_history_has_an_end_and_0_is_none() {
    let clock = ManualClock::new();
    let recovery = Recovery::with_history(Arc::new(clock.clone()), 3);
    for name in ["a", "b", "c", "d"] {
        recovery.register(RecoveryPlan::retry(name)).unwrap();
        let outcome: Outcome<(), Fault> = drive(&clock, recovery.run(name, async || Ok(())));
        assert!(outcome.is_recovered());
    }
    let names: Vec<String> = recovery
        .history(10)
        .iter()
        .map(|event| event.operation.clone())
        .collect();
    assert_eq!(names, ["d", "c", "b"]);
    assert_eq!(recovery.history(1).len(), 1);
    assert!(recovery.history(0).is_empty());
}

#[test]
fn an_event_is_told_in_the_old_words() {
    let (clock, recovery) = recovery(RecoveryPlan::graceful_degrade("complete"));
    clock.advance(Duration::from_millis(500));
    let outcome: Outcome<(), _> = drive(
        &clock,
        recovery.run("complete", async || Err(passing("no"))),
    );
    assert!(outcome.is_degraded());
    assert_eq!(
        serde_json::to_value(&*recovery.history(1)[0]).unwrap(),
        serde_json::json!({
            "timestamp": 1_577_836_800.5,
            "operation": "complete",
            "strategy": "graceful_degrade",
            "status": "degraded",
            "attempt": 1,
            "error": "the call failed: no",
        })
    );
}

#[test]
fn every_name_is_the_one_that_is_serialized() {
    use RecoveryStatus as Status;
    for status in [
        Status::Success,
        Status::Failed,
        Status::PrimarySuccess,
        Status::FallbackSuccess,
        Status::FallbackFailed,
        Status::NoFallback,
        Status::CircuitOpen,
        Status::Degraded,
    ] {
        assert_eq!(serde_json::to_value(status).unwrap(), status.name());
    }
    for plan in [
        RecoveryPlan::retry("a"),
        RecoveryPlan::fallback("a"),
        RecoveryPlan::circuit_break("a", Arc::new(guards::Door::default())),
        RecoveryPlan::graceful_degrade("a"),
    ] {
        let strategy = plan.strategy();
        assert_eq!(serde_json::to_value(strategy).unwrap(), strategy.name());
        assert_eq!(plan.operation(), "a");
    }
}

#[test]
fn a_run_can_be_handed_to_another_thread() {
    fn sent<T: Send>(it: T) -> T {
        it
    }
    let (clock, recovery) = recovery(RecoveryPlan::retry("fetch"));
    let run = sent(recovery.run("fetch", async || Ok::<_, Fault>(1)));
    assert!(drive(&clock, run).is_recovered());
}

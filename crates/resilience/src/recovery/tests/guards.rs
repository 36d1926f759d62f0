//! Plans that break the circuit.

use super::*;
use crate::breaker::{Breaker, BreakerSettings, BreakerState};
use crate::error::{RejectedBy, Rejection};

/// Lets calls through while it is closed, and remembers what it was told.
#[derive(Debug, Default)]
pub(super) struct Door {
    is_open: Mutex<bool>,
    reports: Arc<Mutex<Vec<bool>>>,
}

impl Guard for Door {
    fn admit(&self) -> Result<Report<'_>, Rejection> {
        if *self.is_open.lock().unwrap() {
            return Err(Rejection {
                by: RejectedBy::Breaker,
                name: "door".into(),
                retry_after: None,
            });
        }
        let reports = Arc::clone(&self.reports);
        Ok(Box::new(move |is_well| {
            reports.lock().unwrap().push(is_well);
        }))
    }
}

#[test]
fn the_guard_is_asked_and_learns_what_came_of_it() {
    let door = Arc::new(Door::default());
    let (clock, recovery) = recovery(RecoveryPlan::circuit_break("check", door.clone()));
    let answer =
        |answer: Result<i32, Fault>| drive(&clock, recovery.run("check", async || answer.clone()));
    assert!(answer(Ok(1)).is_recovered());
    assert!(!answer(Err(passing("no"))).is_recovered());
    // What the caller did wrong says nothing of the other side.
    assert!(!answer(Err(lasting("nonsense"))).is_recovered());
    assert_eq!(*door.reports.lock().unwrap(), [true, false]);
    let statuses: Vec<_> = recovery.history(10).iter().map(|e| e.status).collect();
    let [success, failed] = [RecoveryStatus::Success, RecoveryStatus::Failed];
    assert_eq!(statuses, [failed, failed, success]);
}

#[test]
fn what_the_guard_turns_away_is_not_called() {
    let door = Arc::new(Door::default());
    *door.is_open.lock().unwrap() = true;
    let (clock, recovery) = recovery(RecoveryPlan::circuit_break("check", door.clone()));
    let calls = Cell::new(0);
    let outcome: Outcome<(), Fault> = drive(
        &clock,
        recovery.run("check", async || {
            calls.set(calls.get() + 1);
            Ok(())
        }),
    );
    let Outcome::Failed(error) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(error.rejection().unwrap().by, RejectedBy::Breaker);
    assert_eq!(calls.get(), 0);
    assert!(door.reports.lock().unwrap().is_empty());
    let text = "the call was not made: circuit breaker `door` is open".to_owned();
    assert_eq!(only(&recovery), ("circuit_open", 0, Some(text)));
}

#[test]
fn a_breaker_guards_a_plan() {
    let clock = ManualClock::new();
    let shared: SharedClock = Arc::new(clock.clone());
    let breaker = Breaker::new("check", BreakerSettings::default(), Arc::clone(&shared));
    let breaker = Arc::new(breaker.unwrap());
    let recovery = Recovery::new(shared);
    let plan = RecoveryPlan::circuit_break("check", breaker.clone());
    assert!(recovery.register(plan).unwrap().is_none());
    let calls = Cell::new(0);
    let answer = |answer: Result<i32, Fault>| {
        let call = async || {
            calls.set(calls.get() + 1);
            answer.clone()
        };
        drive(&clock, recovery.run("check", call)).is_recovered()
    };
    let opens_after = BreakerSettings::default().consecutive.unwrap();
    // Neither what the caller did wrong nor a success in between opens it.
    for _ in 0..opens_after {
        assert!(!answer(Err(lasting("nonsense"))));
    }
    for _ in 1..opens_after {
        assert!(!answer(Err(passing("no"))));
    }
    assert!(answer(Ok(1)));
    for _ in 0..opens_after {
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(!answer(Err(passing("no"))));
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    calls.set(0);
    assert!(!answer(Ok(1)));
    assert_eq!(calls.get(), 0);
    let status = recovery.history(1)[0].status;
    assert_eq!(status, RecoveryStatus::CircuitOpen);
}

#[test]
fn a_call_that_is_given_up_reports_nothing_and_leaves_no_event() {
    let door = Arc::new(Door::default());
    let (_, recovery) = recovery(RecoveryPlan::circuit_break("check", door.clone()));
    {
        let mut call = pin!(recovery.run::<(), Fault, _, _>("check", future::pending));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
    }
    assert!(door.reports.lock().unwrap().is_empty());
    assert!(recovery.history(10).is_empty());
    assert_eq!(Arc::strong_count(&door.reports), 1);
}

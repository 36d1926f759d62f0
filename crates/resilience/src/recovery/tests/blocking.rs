//! The plans for operations that block.

use super::*;
use crate::breaker::{Breaker, BreakerSettings};
use std::sync::atomic::AtomicBool;
use std::thread;
use tokio_util::sync::CancellationToken;

fn refused() -> Result<u32, Fault> {
    Err(passing("no"))
}

#[test]
fn each_plan_does_for_an_operation_that_blocks_what_it_does_for_one_that_does_not() {
    let token = CancellationToken::new();
    let (clock, recovery) = recovery(RecoveryPlan::retry("fetch").attempts(3));
    let is_over = AtomicBool::new(false);
    let mut calls = 0;
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                clock.advance(Duration::from_secs(1));
                thread::yield_now();
            }
        });
        let third = || {
            calls += 1;
            if calls < 3 { refused() } else { Ok(calls) }
        };
        let outcome = recovery.run_blocking("fetch", third, &token);
        is_over.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!(outcome, Outcome::Recovered(3));
    assert_eq!(only(&recovery), ("success", 3, None));

    let (_, recovery) = super::recovery(RecoveryPlan::fallback("fetch"));
    let outcome = recovery.run_or_blocking("fetch", refused, || Ok(7), &token);
    assert_eq!(outcome, Outcome::Recovered(7));
    assert_eq!(
        only(&recovery),
        (
            "fallback_success",
            1,
            Some("the call failed: no".to_owned())
        )
    );

    let (_, recovery) = super::recovery(RecoveryPlan::fallback("fetch"));
    let outcome = recovery.run_blocking("fetch", refused, &token);
    assert_eq!(outcome, Outcome::Failed(Error::Failed(passing("no"))));
    assert_eq!(only(&recovery).0, "no_fallback");

    let (_, recovery) = super::recovery(RecoveryPlan::graceful_degrade("fetch"));
    assert!(
        recovery
            .run_blocking("fetch", refused, &token)
            .is_degraded()
    );
    assert_eq!(only(&recovery).0, "degraded");

    let one = BreakerSettings {
        consecutive: Some(1),
        ..BreakerSettings::default()
    };
    let breaker = Breaker::new("fetch", one, mainstay_clock::system()).unwrap();
    let plan = RecoveryPlan::circuit_break("fetch", Arc::new(breaker));
    let (_, recovery) = super::recovery(plan);
    assert!(
        !recovery
            .run_blocking("fetch", refused, &token)
            .is_recovered()
    );
    let never = || -> Result<u32, Fault> { panic!("it is not to be called") };
    let outcome = recovery.run_blocking("fetch", never, &token);
    assert!(
        matches!(outcome, Outcome::Failed(Error::Rejected(_))),
        "{outcome:?}"
    );
    assert_eq!(recovery.history(1)[0].status.name(), "circuit_open");

    // Without a plan it is called once, and nothing is noted.
    let outcome = recovery.run_blocking("other", refused, &token);
    assert_eq!(outcome, Outcome::Failed(Error::Failed(passing("no"))));
    assert_eq!(recovery.history(10).len(), 2);
}

#[test]
fn the_pause_of_an_operation_that_blocks_is_cancelled() {
    // The clock stands still: only cancelling ends the pause.
    let (_, recovery) = recovery(RecoveryPlan::retry("fetch").attempts(3));
    let token = CancellationToken::new();
    let cancels = || {
        token.cancel();
        refused()
    };
    let outcome = recovery.run_blocking("fetch", cancels, &token);
    assert_eq!(outcome, Outcome::Failed(Error::Failed(passing("no"))));
    assert_eq!(
        only(&recovery),
        ("failed", 1, Some("the call failed: no".to_owned()))
    );
}

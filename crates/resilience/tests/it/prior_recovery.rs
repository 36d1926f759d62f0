//! What the layer before was tested for, of errors, their log, and recovery plans. Where this one does otherwise on purpose, the
//! test says so.

use mainstay_clock::ManualClock;
use mainstay_resilience::{
    Category, Class, Classify, Error, ErrorContext, ErrorLog, Outcome, Recovery, RecoveryPlan,
    Severity,
};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// An error that goes away by itself.
#[derive(Debug, PartialEq, Eq)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection refused")
    }
}

impl std::error::Error for Refused {}

impl Classify for Refused {
    fn class(&self) -> Class {
        Class::retryable(Category::Network, Severity::High)
    }
}

fn error(operation: &str) -> ErrorContext {
    ErrorContext::of(operation, &Refused, &ManualClock::new())
}

fn recovery(plan: RecoveryPlan) -> Recovery {
    let recovery = Recovery::new(Arc::new(ManualClock::new()));
    recovery
        .register(plan.pause(Duration::ZERO))
        .expect("the plan can work");
    recovery
}

/// An operation that fails so many times, and counts its calls.
fn fails(
    times: u32,
    calls: &Cell<u32>,
) -> impl FnMut() -> std::future::Ready<Result<&'static str, Refused>> + '_ {
    move || {
        calls.set(calls.get() + 1);
        std::future::ready(if calls.get() <= times {
            Err(Refused)
        } else {
            Ok("success")
        })
    }
}

/// Nothing here waits.
fn now<T>(call: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(call).expect("nothing waits")
}

// === the log ===

#[test]
fn an_error_that_is_logged_is_kept_with_its_kind_and_operation() {
    let log = ErrorLog::new();
    log.record(error("fetch"));
    let kept = log.recent(100);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].category(), Category::Network);
    assert_eq!(kept[0].operation(), "fetch");
}

#[test]
fn the_text_of_an_error_is_kept() {
    let log = ErrorLog::new();
    log.record(error("fetch"));
    assert_eq!(log.recent(1)[0].message(), "connection refused");
}

/// The layer before answered all of them where it was asked for 0.
#[test]
fn of_10_errors_5_are_told_where_5_are_asked_for_and_none_where_0_are() {
    let log = ErrorLog::new();
    for _ in 0..10 {
        log.record(error("fetch"));
    }
    assert_eq!(log.recent(5).len(), 5);
    assert!(log.recent(0).is_empty());
}

// === the handler ===

#[test]
fn the_category_severity_and_message_are_kept() {
    let class = Class::permanent(Category::Validation, Severity::Low);
    let told: Box<dyn std::error::Error> = "invalid input".into();
    let log = ErrorLog::new();
    let kept = log.record(ErrorContext::classed(
        "parse",
        &*told,
        class,
        &ManualClock::new(),
    ));
    assert_eq!(kept.category(), Category::Validation);
    assert_eq!(kept.severity(), Severity::Low);
    assert_eq!(kept.message(), "invalid input");
}

/// The layer before counted only all of them, and asked its operators to sort them by hand.
#[test]
fn errors_are_counted_by_kind() {
    let log = ErrorLog::new();
    log.record(error("fetch"));
    assert_eq!(log.counts().total(), 1);
    assert_eq!(log.counts().of(Category::Network, Severity::High), 1);
}

// === recovery ===

#[test]
fn a_retry_recovers_from_one_failure() {
    let recovery = recovery(RecoveryPlan::retry("fetch"));
    let calls = Cell::new(0);
    let outcome = now(recovery.run("fetch", fails(1, &calls)));
    assert_eq!(outcome, Outcome::Recovered("success"));
}

#[test]
fn a_fallback_answers_for_what_fails() {
    let recovery = recovery(RecoveryPlan::fallback("fetch"));
    let calls = Cell::new(0);
    let outcome = now(recovery.run_or("fetch", fails(9, &calls), async || Ok("fallback_result")));
    assert_eq!(outcome, Outcome::Recovered("fallback_result"));
}

#[test]
fn a_failed_retry_stands_in_the_history() {
    let recovery = recovery(RecoveryPlan::retry("fetch").attempts(1));
    let calls = Cell::new(0);
    let outcome = now(recovery.run("fetch", fails(9, &calls)));
    assert_eq!(outcome, Outcome::Failed(Error::Failed(Refused)));
    let history = recovery.history(100);
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].status.name(), "failed");
}

#[test]
fn a_retry_of_3_attempts_succeeds_with_the_third() {
    let recovery = recovery(RecoveryPlan::retry("fetch").attempts(3));
    let calls = Cell::new(0);
    let outcome = now(recovery.run("fetch", fails(2, &calls)));
    assert_eq!(outcome, Outcome::Recovered("success"));
    assert_eq!(calls.get(), 3);
    assert_eq!(recovery.history(1)[0].attempt, 3);
}

/// The layer before tried every error again; here it has to be one that trying again may help.
#[test]
fn a_retry_of_2_attempts_makes_2_calls_and_answers_the_error() {
    let recovery = recovery(RecoveryPlan::retry("fetch").attempts(2));
    let calls = Cell::new(0);
    let outcome = now(recovery.run("fetch", fails(9, &calls)));
    let error = outcome.into_result().expect_err("it always fails");
    assert_eq!(error.inner(), Some(&Refused));
    assert_eq!(calls.get(), 2);
}

#[test]
fn a_fallback_is_called_once() {
    let recovery = recovery(RecoveryPlan::fallback("fetch"));
    let (calls, fallbacks) = (Cell::new(0), Cell::new(0));
    let outcome = now(recovery.run_or("fetch", fails(9, &calls), async || {
        fallbacks.set(fallbacks.get() + 1);
        Ok("fallback_result")
    }));
    assert_eq!(outcome, Outcome::Recovered("fallback_result"));
    assert_eq!((calls.get(), fallbacks.get()), (1, 1));
}

#[test]
fn what_fails_under_a_plan_to_degrade_is_degraded() {
    let recovery = recovery(RecoveryPlan::graceful_degrade("complete"));
    let calls = Cell::new(0);
    let outcome = now(recovery.run("complete", fails(9, &calls)));
    assert_eq!(
        outcome,
        Outcome::Degraded {
            error: Error::Failed(Refused)
        }
    );
}

/// A flow through both, as the integration had it: a retry that works, and a log that can be read.
#[test]
fn a_plan_and_a_log_work_side_by_side() {
    let recovery = recovery(RecoveryPlan::retry("fetch"));
    let log = ErrorLog::new();
    let calls = Cell::new(0);
    let mut call = fails(1, &calls);
    let outcome = now(recovery.run("fetch", || {
        let answer = call();
        if calls.get() == 1 {
            log.record(error("fetch"));
        }
        answer
    }));
    assert!(outcome.is_recovered());
    assert_eq!(log.recent(100).len(), 1);
}

/// The layer before answered nothing at all, and its caller stumbled over that.
#[test]
fn a_retry_without_an_attempt_is_refused() {
    let recovery = Recovery::new(Arc::new(ManualClock::new()));
    let plan = RecoveryPlan::retry("fetch").attempts(0);
    assert!(recovery.register(plan).is_err());
}

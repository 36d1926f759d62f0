//! What the layer before was tested for, of retries, breakers and limiters, and the same faults done better.

use mainstay_clock::ManualClock;
use mainstay_resilience::{
    Backoff, Breaker, BreakerSettings, BreakerState, Category, Change, Class, Classify, Error,
    Jitter, Part, Random, RateLimit, RateLimiter, Registry, Retry, RetrySettings, Severity, Shape,
};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Connection,
    Value,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a fault of the test")
    }
}

impl std::error::Error for Fault {}

impl Classify for Fault {
    fn class(&self) -> Class {
        match self {
            Self::Connection => Class::retryable(Category::Network, Severity::High),
            Self::Value => Class::permanent(Category::Validation, Severity::Medium),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Makes calls without pauses, and answers how many there were.
fn tried(
    attempts: u32,
    results: impl Fn(u32) -> Result<u32, Fault>,
) -> (Result<u32, Error<Fault>>, u32) {
    let none = Backoff {
        shape: Shape::Fixed,
        initial: Duration::ZERO,
        max: Duration::ZERO,
        jitter: Jitter::None,
    };
    let settings = RetrySettings {
        attempts,
        backoff: none,
        ..RetrySettings::generic()
    };
    let retry = Retry::new("fetch", settings, Arc::new(ManualClock::new())).unwrap();
    let calls = AtomicU32::new(0);
    let running = retry.run(|attempt| {
        calls.fetch_add(1, Ordering::Relaxed);
        ready(results(attempt.number))
    });
    let result = futures_util::FutureExt::now_or_never(running).expect("nothing waits");
    (result, calls.load(Ordering::Relaxed))
}

fn breaker(threshold: u32, clock: &ManualClock) -> Breaker {
    let settings = BreakerSettings {
        consecutive: Some(threshold),
        open_jitter: 0.0,
        ..BreakerSettings::default()
    };
    Breaker::new("registry_fetch", settings, Arc::new(clock.clone())).unwrap()
}

fn limiter(permits: u32, clock: &ManualClock) -> RateLimiter {
    let limit = RateLimit {
        permits,
        per: SECOND,
        burst: permits,
    };
    RateLimiter::new("registry_query", limit, Arc::new(clock.clone())).unwrap()
}

fn fail(breaker: &Breaker) -> Result<(), Error<Fault>> {
    breaker.run_blocking(|| Err(Fault::Connection))
}

// === retry ===

#[test]
fn what_succeeds_at_once_is_called_once() {
    assert_eq!(tried(3, Ok), (Ok(1), 1));
}

#[test]
fn what_fails_twice_succeeds_with_the_third_call() {
    let third = |number| {
        if number < 3 {
            Err(Fault::Connection)
        } else {
            Ok(number)
        }
    };
    assert_eq!(tried(3, third), (Ok(3), 3));
}

#[test]
fn what_always_fails_is_given_up_with_the_number_of_attempts() {
    let (result, calls) = tried(3, |_| Err(Fault::Connection));
    assert!(matches!(result, Err(Error::Exhausted { attempts: 3, .. })));
    assert_eq!(calls, 3);
    assert_eq!(tried(2, |_| Err(Fault::Connection)).1, 2);
}

/// The layer before wrapped it; and with no attempt at all it raised an error about nothing.
#[test]
fn a_single_failure_is_the_error_itself_and_no_attempt_at_all_is_refused() {
    assert_eq!(
        tried(1, |_| Err(Fault::Connection)),
        (Err(Error::Failed(Fault::Connection)), 1)
    );
    let settings = RetrySettings {
        attempts: 0,
        ..RetrySettings::generic()
    };
    assert!(Retry::new("fetch", settings, mainstay_clock::system()).is_err());
}

#[test]
fn a_wrong_value_is_called_once_and_keeps_its_type() {
    assert_eq!(
        tried(3, |_| Err(Fault::Value)),
        (Err(Error::Failed(Fault::Value)), 1)
    );
}

/// With jitter the layer before waited 36 s under a cap of 30 s, and at attempt 1,100 its arithmetic ended the program.
#[test]
fn waits_double_to_their_cap_and_no_jitter_and_no_attempt_leads_beyond_it() {
    let generic = RetrySettings::generic().backoff;
    let random = Random::from_seed(1);
    let exact = generic.with_jitter(Jitter::None);
    let waits: Vec<u128> = (1..=4)
        .map(|failures| exact.wait(failures, Duration::ZERO, &random).as_millis())
        .collect();
    assert_eq!(waits, [100, 200, 400, 800]);
    for _ in 0..10_000 {
        assert!(generic.wait(1_100, Duration::ZERO, &random) <= 30 * SECOND);
    }
}

// === circuit breaker ===

#[test]
fn a_breaker_begins_closed_and_hands_a_value_on() {
    let breaker = breaker(5, &ManualClock::new());
    assert_eq!(breaker.run_blocking(|| Ok::<_, Fault>(7)), Ok(7));
    let status = breaker.status();
    assert_eq!(
        (status.name.as_str(), status.state.name()),
        ("registry_fetch", "closed")
    );
    assert_eq!((status.failure_count, status.last_failure_ms), (0, None));
}

#[test]
fn after_3_failures_it_is_open_and_its_rejection_is_known_by_its_type_and_names_it() {
    let breaker = breaker(3, &ManualClock::new());
    for _ in 0..3 {
        fail(&breaker).unwrap_err();
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    let Err(Error::Rejected(rejection)) = fail(&breaker) else {
        panic!("the call was made");
    };
    assert!(
        rejection.to_string().contains("registry_fetch"),
        "{rejection}"
    );
    assert_eq!(breaker.status().rejected, 1);
}

/// The layer before closed after a success, two failures and another success.
#[test]
fn after_its_time_it_is_half_open_and_a_failure_opens_it_again_at_once() {
    let clock = ManualClock::new();
    let breaker = breaker(1, &clock);
    fail(&breaker).unwrap_err();
    clock.advance(60 * SECOND);
    assert!(breaker.run_blocking(|| Ok::<_, Fault>(())).is_ok());
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    fail(&breaker).unwrap_err();
    assert_eq!(breaker.state(), BreakerState::Open);
}

/// Errors that were not expected were not accounted for at all, and whoever called wrongly could close a breaker.
#[test]
fn a_callers_own_mistake_neither_opens_nor_closes() {
    let clock = ManualClock::new();
    let breaker = breaker(1, &clock);
    let wrong = || breaker.run_blocking(|| Err::<(), _>(Fault::Value));
    assert_eq!(wrong(), Err(Error::Failed(Fault::Value)));
    assert_eq!(breaker.state(), BreakerState::Closed);
    fail(&breaker).unwrap_err();
    clock.advance(60 * SECOND);
    for _ in 0..3 {
        wrong().unwrap_err();
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

// === rate limiter ===

#[test]
fn ten_a_second_let_five_pass_and_three_a_second_let_three_pass() {
    let clock = ManualClock::new();
    let ten = limiter(10, &clock);
    assert!((0..5).all(|_| ten.try_acquire(1).is_ok()));
    let status = ten.status();
    assert_eq!((status.burst, status.admitted), (10, 5));
    let three = limiter(3, &clock);
    let passed = (0..4).filter(|_| three.try_acquire(1).is_ok()).count();
    assert_eq!(passed, 3);
}

/// The layer before never tried where the wait was 0, and waited in full for what could never be.
#[tokio::test]
async fn a_wait_of_nothing_tries_once_and_what_can_never_pass_is_refused_at_once() {
    let one = limiter(1, &ManualClock::new());
    assert!(one.acquire(1, Duration::ZERO).await.is_ok());
    assert!(one.acquire(1, Duration::from_millis(50)).await.is_err());
    let never = one.acquire(2, 3_600 * SECOND).await.unwrap_err();
    assert_eq!(never.retry_after, None);
}

// === all together ===

#[test]
fn a_breaker_around_what_is_tried_again_lets_it_succeed() {
    let breaker = breaker(5, &ManualClock::new());
    let third = |number| {
        if number < 3 {
            Err(Fault::Connection)
        } else {
            Ok(number)
        }
    };
    let result = breaker.run_blocking(|| {
        let (result, _) = tried(3, third);
        result
    });
    assert_eq!(result, Ok(3));
    assert_eq!(breaker.status().failure_count, 0);
}

/// The layer before replaced in silence what was registered under a name, and consulted none of it.
#[test]
fn what_is_registered_is_the_same_object_is_consulted_and_shows_in_the_statistics() {
    let clock = ManualClock::new();
    let registry = Registry::new();
    let breaker = Arc::new(breaker(1, &clock));
    let limiter = Arc::new(limiter(2, &clock));
    registry
        .add("registry_fetch", Part::Breaker(Arc::clone(&breaker)))
        .unwrap();
    registry
        .add("registry_query", Part::Limiter(Arc::clone(&limiter)))
        .unwrap();
    assert!(
        registry
            .add("registry_fetch", Part::Breaker(breaker))
            .is_err()
    );

    let Some(Part::Limiter(found)) = registry.get("registry_query") else {
        panic!("it was registered");
    };
    assert!(Arc::ptr_eq(&found, &limiter));
    let passed: Vec<bool> = (0..3).map(|_| found.try_acquire(1).is_ok()).collect();
    assert_eq!(passed, [true, true, false]);
    let Some(Part::Breaker(found)) = registry.get("registry_fetch") else {
        panic!("it was registered");
    };
    fail(&found).unwrap_err();
    let told = serde_json::to_value(registry.status()).unwrap();
    assert_eq!(told["registry_fetch"]["state"], "open");
    assert_eq!(told["registry_query"]["rejected"], 1);

    let wider = RateLimit {
        permits: 100,
        per: SECOND,
        burst: 100,
    };
    registry
        .set("registry_query", Change::Limiter(wider))
        .unwrap();
    clock.advance(SECOND);
    assert!(limiter.try_acquire(50).is_ok());
}

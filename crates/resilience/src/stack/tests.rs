mod around;
mod blocking;

use super::*;
use crate::adaptive::AdaptiveSettings;
use crate::backoff::{Backoff, Jitter};
use crate::breaker::{BreakerSettings, BreakerState, Rate, Slow};
use crate::bulkhead::BulkheadSettings;
use crate::class::{Category, Class, Severity};
use crate::error::RejectedBy;
use crate::limiter::RateLimit;
use crate::retry::RetrySettings;
use mainstay_clock::{Clock, ManualClock};
use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::pin::pin;
use std::task::Poll;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hiccup;

impl Classify for Hiccup {
    fn class(&self) -> Class {
        Class::retryable(Category::Network, Severity::Medium)
    }
}

const SECOND: Duration = Duration::from_secs(1);

struct Parts {
    clock: ManualClock,
    shared: SharedClock,
    breaker: Arc<Breaker>,
    limiter: Arc<RateLimiter>,
    bulkhead: Arc<Bulkhead>,
}

fn parts(burst: u32, places: u32) -> Parts {
    let clock = ManualClock::new();
    let shared: SharedClock = Arc::new(clock.clone());
    let limit = RateLimit {
        permits: 1,
        per: SECOND,
        burst,
    };
    let settings = BulkheadSettings {
        max_concurrent: places,
        ..BulkheadSettings::default()
    };
    let breaker = Breaker::new("hub", BreakerSettings::default(), shared.clone());
    Parts {
        breaker: Arc::new(breaker.unwrap()),
        limiter: Arc::new(RateLimiter::new("hub", limit, shared.clone()).unwrap()),
        bulkhead: Arc::new(Bulkhead::new("hub", settings, shared.clone()).unwrap()),
        clock,
        shared,
    }
}

fn retry(attempts: u32) -> RetrySettings {
    RetrySettings {
        attempts,
        backoff: Backoff::doubling(SECOND, 10 * SECOND).with_jitter(Jitter::None),
        ..RetrySettings::default()
    }
}

impl Parts {
    fn builder(&self) -> StackBuilder {
        Stack::builder("hub", self.shared.clone())
            .breaker(Arc::clone(&self.breaker))
            .limiter(Arc::clone(&self.limiter), Duration::ZERO)
            .bulkhead(Arc::clone(&self.bulkhead))
    }

    /// Runs it to its end while the clock goes on by itself.
    async fn played<T>(&self, future: impl Future<Output = T>) -> T {
        let mut running = pin!(future);
        poll_fn(|context| {
            loop {
                if let Poll::Ready(output) = running.as_mut().poll(context) {
                    return Poll::Ready(output);
                }
                self.clock.advance(SECOND);
            }
        })
        .await
    }
}

#[tokio::test]
async fn each_attempt_counts_for_the_breaker_and_the_limiter_and_holds_its_place_only_while_it_lasts()
 {
    let parts = parts(10, 1);
    let stack = parts.builder().retry(retry(3)).build().unwrap();
    let result = parts
        .played(stack.run(|_| {
            // The place of the attempt before was given back; this one holds the only one.
            assert!(parts.bulkhead.try_enter().is_err());
            ready(Err::<(), _>(Hiccup))
        }))
        .await;
    assert!(matches!(result, Err(Error::Exhausted { attempts: 3, .. })));
    assert_eq!(parts.breaker.status().failure_count, 3);
    assert_eq!(parts.limiter.status().admitted, 3);
    assert!(parts.bulkhead.try_enter().is_ok());
}

#[tokio::test]
async fn what_is_turned_away_says_by_whom_and_costs_nothing_further_in() {
    let parts = parts(1, 1);
    let stack = parts.builder().retry(retry(3)).build().unwrap();
    let by = |result: Result<(), Error<Hiccup>>| result.unwrap_err().rejection().unwrap().by;

    let held = parts.bulkhead.try_enter().unwrap();
    let turned_away = parts.played(stack.run(|_| ready(Ok(())))).await;
    assert_eq!(by(turned_away), RejectedBy::Bulkhead);
    drop(held);
    let turned_away = parts.played(stack.run(|_| ready(Ok(())))).await;
    assert_eq!(by(turned_away), RejectedBy::Limiter, "the permit was taken");

    parts.clock.advance(10 * SECOND);
    parts.breaker.force_open();
    let turned_away = parts.played(stack.run(|_| ready(Ok(())))).await;
    assert_eq!(by(turned_away), RejectedBy::Breaker);
    assert_eq!(parts.limiter.status().admitted, 1, "no permit was taken");
    assert_eq!(
        parts.breaker.status().failure_count,
        0,
        "none of it was a failure"
    );
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_a_failure_and_the_deadline_covers_all() {
    let parts = parts(100, 1);
    let stack = parts
        .builder()
        .retry(retry(10))
        .deadline(10 * SECOND)
        .attempt_limit(3 * SECOND)
        .build()
        .unwrap();
    let begun = parts.clock.now();
    let result = parts
        .played(stack.run(|_| pending::<Result<(), Hiccup>>()))
        .await;
    // 3 s, a pause of 1 s, 3 s, a pause of 2 s, and 1 s is left.
    assert_eq!(parts.clock.now().since(begun), 10 * SECOND);
    assert!(
        matches!(result, Err(Error::Exhausted { attempts: 3, .. })),
        "{result:?}"
    );
    assert_eq!(
        parts.breaker.status().failure_count,
        2,
        "the third was given up by us"
    );
}

#[tokio::test]
async fn without_a_retry_the_deadline_covers_the_call() {
    let parts = parts(100, 1);
    let stack = parts.builder().deadline(5 * SECOND).build().unwrap();
    let result = parts
        .played(stack.run(|_| pending::<Result<(), Hiccup>>()))
        .await;
    assert_eq!(result, Err(Error::TimedOut(5 * SECOND)));
    let value = parts.played(stack.run(|_| ready(Ok::<_, Hiccup>(7)))).await;
    assert_eq!(value, Ok(7));
}

#[tokio::test]
async fn each_call_of_one_stack_may_have_its_own_time_and_none_has_more_than_the_stack() {
    for attempts in [None, Some(10)] {
        for deadline in [None, Some(8 * SECOND)] {
            let parts = parts(100, 1);
            let mut builder = parts.builder();
            if let Some(attempts) = attempts {
                builder = builder.retry(retry(attempts));
            }
            if let Some(deadline) = deadline {
                builder = builder.deadline(deadline);
            }
            let stack = builder.build().unwrap();
            for left in [5, 2, 20].map(|seconds| seconds * SECOND) {
                let expected = deadline.unwrap_or(left).min(left);
                let begun = parts.clock.now();
                let hangs = stack.run_within(left, |_| pending::<Result<(), Hiccup>>());
                let result = parts.played(hangs).await;
                assert_eq!(result, Err(Error::TimedOut(expected)), "{attempts:?}");
                assert_eq!(parts.clock.now().since(begun), expected);
            }
            let value = stack.run_within(SECOND, |_| ready(Ok::<_, Hiccup>(7)));
            assert_eq!(parts.played(value).await, Ok(7));
            // Pauses are of that time, too: 0, 1 and 3 s, and the next would be at 7.
            if attempts.is_some() {
                let begun = parts.clock.now();
                let fails = stack.run_within(6 * SECOND, |_| ready(Err::<(), _>(Hiccup)));
                let result = parts.played(fails).await;
                let is_exhausted = matches!(result, Err(Error::Exhausted { attempts: 3, .. }));
                assert!(is_exhausted, "{result:?}");
                assert_eq!(parts.clock.now().since(begun), 3 * SECOND);
            }
        }
    }
}

#[tokio::test]
async fn a_call_that_the_deadline_ends_is_a_failure_of_the_other_side() {
    for attempts in [None, Some(3)] {
        let parts = parts(100, 1);
        let adaptive = AdaptiveLimit::new("hub", AdaptiveSettings::default(), parts.shared.clone());
        let adaptive = Arc::new(adaptive.unwrap());
        let builder = parts.builder().adaptive(Arc::clone(&adaptive));
        let builder = match attempts {
            None => builder,
            Some(attempts) => builder.retry(retry(attempts)),
        };
        let stack = builder.deadline(5 * SECOND).build().unwrap();
        let before = adaptive.status().limit;
        for _ in 0..5 {
            let hangs = stack.run(|_| pending::<Result<(), Hiccup>>());
            let result = parts.played(hangs).await;
            assert_eq!(result, Err(Error::TimedOut(5 * SECOND)), "{attempts:?}");
        }
        assert_eq!(parts.breaker.state(), BreakerState::Open, "{attempts:?}");
        assert!(adaptive.status().limit < before, "{attempts:?}");
    }
}

#[tokio::test]
async fn a_call_that_our_own_limits_left_no_time_says_nothing_of_the_other_side() {
    let parts = parts(1, 1);
    let stack = parts
        .builder()
        .limiter(Arc::clone(&parts.limiter), 100 * SECOND)
        .deadline(5 * SECOND)
        .build()
        .unwrap();
    parts
        .limiter
        .set(RateLimit {
            permits: 1,
            per: 4 * SECOND,
            burst: 1,
        })
        .unwrap();
    parts.limiter.try_acquire(1).unwrap();
    let result = parts
        .played(stack.run(|_| pending::<Result<(), Hiccup>>()))
        .await;
    assert_eq!(result, Err(Error::TimedOut(5 * SECOND)));
    assert_eq!(parts.limiter.status().admitted, 2, "the call was made");
    assert_eq!(parts.breaker.status().failure_count, 0);
}

#[tokio::test]
async fn a_wait_for_our_own_limits_is_no_slowness_of_the_other_side() {
    let parts = parts(1, 1);
    let rate = Rate {
        slow: Some(Slow {
            longer_than: 2 * SECOND,
            share: 0.5,
        }),
        ..Rate::default()
    };
    let settings = BreakerSettings {
        rate: Some(rate),
        ..BreakerSettings::default()
    };
    parts.breaker.set(settings).unwrap();
    let stack = parts
        .builder()
        .limiter(Arc::clone(&parts.limiter), 100 * SECOND)
        .build()
        .unwrap();
    parts
        .limiter
        .set(RateLimit {
            permits: 1,
            per: 10 * SECOND,
            burst: 1,
        })
        .unwrap();
    parts.limiter.try_acquire(1).unwrap();
    let value = parts.played(stack.run(|_| ready(Ok::<_, Hiccup>(7)))).await;
    assert_eq!(value, Ok(7));
    assert_eq!(parts.breaker.status().slow_rate, Some(0.0));
}

/// The others found out while it waited; before, as many calls reached a server that was known to be down as waited for a turn.
#[tokio::test]
async fn who_waited_for_the_limiter_while_the_breaker_opened_is_turned_away() {
    let parts = parts(1, 1);
    let stack = parts
        .builder()
        .limiter(Arc::clone(&parts.limiter), 100 * SECOND)
        .build()
        .unwrap();
    parts.limiter.try_acquire(1).unwrap();
    let reached = Cell::new(false);
    let mut waiting = pin!(stack.run(|_| {
        reached.set(true);
        ready(Ok::<_, Hiccup>(7))
    }));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    for _ in 0..5 {
        parts.breaker.enter().unwrap().failure();
    }
    assert_eq!(parts.breaker.state(), BreakerState::Open);
    parts.clock.advance(SECOND);
    let Err(Error::Rejected(rejection)) = waiting.await else {
        panic!("it was not turned away");
    };
    assert!(!reached.get());
    assert_eq!(rejection.by, RejectedBy::Breaker);
    assert!(rejection.retry_after > Some(30 * SECOND), "{rejection}");
    assert_eq!(parts.bulkhead.status().in_use, 0);
    assert_eq!(parts.breaker.status().late, 0);
}

#[tokio::test]
async fn a_fallback_sees_the_error_after_all_attempts() {
    let parts = parts(100, 1);
    let stack = parts.builder().retry(retry(2)).build().unwrap();
    let value = parts
        .played(stack.run_or(
            |_| ready(Err(Hiccup)),
            |error| {
                assert!(matches!(error, Error::Exhausted { attempts: 2, .. }));
                ready(Ok("from the cache"))
            },
        ))
        .await;
    assert_eq!(value, Ok("from the cache"));
}

#[tokio::test]
async fn a_stack_that_is_dropped_anywhere_gives_everything_back() {
    for polls in 0..40 {
        let parts = parts(1, 1);
        let adaptive = AdaptiveLimit::new("hub", AdaptiveSettings::default(), parts.shared.clone());
        let adaptive = Arc::new(adaptive.unwrap());
        let stack = parts
            .builder()
            .limiter(Arc::clone(&parts.limiter), 100 * SECOND)
            .adaptive(Arc::clone(&adaptive))
            .retry(retry(4))
            .attempt_limit(2 * SECOND)
            .build()
            .unwrap();
        {
            let mut running = pin!(stack.run(|_| pending::<Result<(), Hiccup>>()));
            for _ in 0..polls {
                let polled = poll_fn(|context| Poll::Ready(running.as_mut().poll(context))).await;
                if polled.is_ready() {
                    break;
                }
                parts.clock.advance(SECOND / 2);
            }
        }
        assert!(parts.bulkhead.try_enter().is_ok(), "after {polls} polls");
        assert_eq!(adaptive.status().in_flight, 0, "after {polls} polls");
        assert_eq!(parts.limiter.status().waiting, 0, "after {polls} polls");
        parts.clock.advance(100 * SECOND);
        assert!(stack.run(|_| ready(Ok::<_, Hiccup>(()))).await.is_ok());
        assert_eq!(parts.breaker.state(), BreakerState::Closed);
    }
}

#[test]
fn the_order_is_that_of_the_table_or_the_one_that_was_named_if_it_makes_sense() {
    let parts = parts(1, 1);
    let builder = || {
        parts
            .builder()
            .attempt_limit(SECOND)
            .retry(retry(2))
            .deadline(SECOND)
    };
    let usual = [
        Layer::Deadline,
        Layer::Retry,
        Layer::Breaker,
        Layer::Limiter,
        Layer::Bulkhead,
        Layer::AttemptLimit,
    ];
    assert_eq!(builder().build().unwrap().order(), usual);
    let mut named = usual;
    named.swap(2, 4);
    assert_eq!(builder().order(&named).build().unwrap().order(), named);
    named.swap(1, 2);
    let refused = builder().order(&named).build().unwrap_err().to_string();
    assert!(
        refused.contains("the retry must stand outside of the bulkhead"),
        "{refused}"
    );
    let refused = builder()
        .order(&usual[1..])
        .build()
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("does not say where the deadline stands"),
        "{refused}"
    );
    let refused = parts
        .builder()
        .order(&usual)
        .build()
        .unwrap_err()
        .to_string();
    assert!(refused.contains("which is not there"), "{refused}");
}

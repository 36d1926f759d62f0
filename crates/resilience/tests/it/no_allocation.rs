//! A call that goes well, or is turned away, asks for no memory.

use mainstay_resilience::{
    Breaker, BreakerSettings, Bulkhead, BulkheadSettings, Category, Class, Classify, Error, Rate,
    RateLimit, RateLimiter, RetryBudget, RetrySettings, Severity, Stack,
};
use mainstay_testkit::allocation::{Counting, largest};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Debug)]
struct Fault;

impl Classify for Fault {
    fn class(&self) -> Class {
        Class::permanent(Category::Network, Severity::Medium)
    }
}

/// What a future comes to that waits for nothing, and the most bytes that it asked for at once.
fn weighed<T>(future: impl Future<Output = T>) -> (T, usize) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let (polled, bytes) = largest(|| future.as_mut().poll(&mut context));
    let Poll::Ready(output) = polled else {
        panic!("nothing here waits");
    };
    (output, bytes)
}

#[test]
fn a_call_through_all_protections_asks_for_no_memory() {
    let ((), bytes) = largest(|| drop(std::hint::black_box(Box::new([0_u8; 100]))));
    assert_eq!(bytes, 100, "what is asked for is seen");

    let clock = mainstay_clock::system();
    let watching = BreakerSettings {
        rate: Some(Rate::default()),
        ..BreakerSettings::default()
    };
    let wide = RateLimit {
        permits: 1_000_000,
        per: Duration::from_secs(1),
        burst: 1_000_000,
    };
    let breaker = Arc::new(Breaker::new("x", watching, clock.clone()).unwrap());
    let budget = RetryBudget::new(
        mainstay_resilience::BudgetSettings::default(),
        clock.clone(),
    );
    let bulkhead = Bulkhead::new("x", BulkheadSettings::default(), clock.clone());
    let limiter = RateLimiter::new("x", wide, clock.clone());
    let stack = Stack::builder("x", clock)
        .retry(RetrySettings::client())
        .budget(Arc::new(budget.unwrap()))
        .breaker(Arc::clone(&breaker))
        .limiter(Arc::new(limiter.unwrap()), Duration::ZERO)
        .bulkhead(Arc::new(bulkhead.unwrap()))
        .attempt_limit(Duration::from_secs(1))
        .deadline(Duration::from_secs(10))
        .build()
        .unwrap();
    let (value, bytes) = weighed(stack.run(|_| async { Ok::<_, Fault>(7) }));
    assert_eq!((value.unwrap(), bytes), (7, 0));
    let (failed, bytes) = weighed(stack.run(|_| async { Err::<(), _>(Fault) }));
    assert!(matches!(failed, Err(Error::Failed(Fault))));
    assert_eq!(bytes, 0, "a failure that is not tried again");
    breaker.force_open();
    let (rejected, bytes) = weighed(stack.run(|_| async { Ok::<_, Fault>(7) }));
    assert!(matches!(rejected, Err(Error::Rejected(_))));
    assert_eq!(bytes, 0, "a call that is turned away");
}

//! What a protection costs where eight threads use one at once: nanoseconds from one call to the next, of all of them together.

use anyhow::Result;
use mainstay_clock::SharedClock;
use mainstay_resilience::{
    Breaker, BreakerSettings, Bulkhead, BulkheadSettings, Rate, RateLimit, RateLimiter,
    RetrySettings, Stack,
};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::calls::{ready, works};

const THREADS: u32 = 8;
const CALLS_EACH: u32 = 200_000;

/// Names, and nanoseconds of a call; the controls are what any word or lock costs that all of them want.
pub(crate) fn measure(clock: &SharedClock) -> Result<Vec<(String, f64)>> {
    let mut figures = Vec::new();
    let mut time = |name: &str, call: &(dyn Fn() + Sync)| {
        figures.push((format!("8 threads: {name}"), contended(call)));
    };
    let word = AtomicU64::new(0);
    time("control: adding to one word", &|| {
        black_box(word.fetch_add(1, Ordering::Relaxed));
    });
    let lock = Mutex::new(0_u64);
    time("control: a mutex", &|| {
        *lock.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    });
    time("control: reading the clock", &|| {
        black_box(clock.now());
    });
    let breaker = |settings| Breaker::new("bench", settings, clock.clone());
    let closed = breaker(BreakerSettings::default())?;
    time("breaker, closed", &|| {
        drop(black_box(closed.run_blocking(works)));
    });
    let windowed = breaker(BreakerSettings {
        rate: Some(Rate::default()),
        ..BreakerSettings::default()
    })?;
    time("breaker, closed, with a window of 30 s", &|| {
        drop(black_box(windowed.run_blocking(works)));
    });
    let limiter = |permits| {
        let limit = RateLimit {
            permits,
            per: Duration::from_secs(1),
            burst: permits,
        };
        RateLimiter::new("bench", limit, clock.clone())
    };
    // More than anybody can ask for.
    let wide = Arc::new(limiter(1_000_000_000)?);
    time("limiter, allowed", &|| {
        drop(black_box(wide.try_acquire(1)));
    });
    let narrow = limiter(1)?;
    time("limiter, refused", &|| {
        drop(black_box(narrow.try_acquire(1)));
    });
    let stack = stack(clock, wide)?;
    time("stack of five", &|| {
        drop(black_box(ready(stack.run(|_| async { works() }))));
    });
    Ok(figures)
}

fn stack(clock: &SharedClock, limiter: Arc<RateLimiter>) -> Result<Stack> {
    let breaker = Breaker::new("bench", BreakerSettings::default(), clock.clone())?;
    // Room for all of them: what is measured is the call, and not the refusal.
    let settings = BulkheadSettings {
        max_concurrent: THREADS,
        ..BulkheadSettings::default()
    };
    let bulkhead = Bulkhead::new("bench", settings, clock.clone())?;
    Ok(Stack::builder("bench", clock.clone())
        .retry(RetrySettings::generic())
        .breaker(Arc::new(breaker))
        .limiter(limiter, Duration::ZERO)
        .bulkhead(Arc::new(bulkhead))
        .attempt_limit(Duration::from_secs(10))
        .build()?)
}

/// From when all threads stand ready until the last has made its calls.
fn contended(call: &(dyn Fn() + Sync)) -> f64 {
    let start = Barrier::new(THREADS as usize + 1);
    let took = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..CALLS_EACH {
                        call();
                    }
                })
            })
            .collect();
        start.wait();
        let begun = Instant::now();
        for thread in threads {
            drop(thread.join());
        }
        begun.elapsed()
    });
    took.as_nanos() as f64 / f64::from(THREADS * CALLS_EACH)
}

//! Calls that block, on real threads.

use super::*;
use crate::backoff::Shape;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tokio_util::sync::CancellationToken;

impl Parts {
    /// Each call waits for its turn.
    fn builder_with_waits(&self) -> StackBuilder {
        self.builder()
            .limiter(Arc::clone(&self.limiter), 1_000 * SECOND)
    }
}

/// Moves the clock on until the work is done.
fn while_time_goes_on<T>(clock: &ManualClock, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                clock.advance(SECOND);
                thread::yield_now();
            }
        });
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        done
    })
}

#[test]
fn a_call_that_blocks_is_tried_again_behind_all_protections_and_gives_everything_back() {
    let parts = parts(1, 1);
    let stack = parts
        .builder_with_waits()
        .retry(RetrySettings {
            // The clock runs ahead as quickly as it can.
            deadline: None,
            ..retry(3)
        })
        .build()
        .unwrap();
    let made = Mutex::new(Vec::new());
    let answer = while_time_goes_on(&parts.clock, || {
        let call = |attempt: Attempt| {
            assert_eq!(parts.bulkhead.status().in_use, 1);
            made.lock()
                .unwrap()
                .push((attempt.number, thread::current().id()));
            if attempt.number < 3 {
                Err(Hiccup)
            } else {
                Ok(attempt.number)
            }
        };
        stack.run_blocking(call, &CancellationToken::new())
    });
    assert_eq!(answer, Ok(3));
    // On this thread, however long it waited between.
    let here = thread::current().id();
    assert_eq!(*made.lock().unwrap(), [(1, here), (2, here), (3, here)]);
    assert_eq!(parts.bulkhead.status().in_use, 0);
    assert_eq!(parts.limiter.status().admitted, 3);
    let breaker = parts.breaker.status();
    assert_eq!(
        (breaker.failure_count, breaker.state),
        (0, BreakerState::Closed)
    );
}

#[test]
fn threads_that_block_are_never_more_at_once_than_there_are_places() {
    let parts = parts(1_000, 2);
    let places = BulkheadSettings {
        max_concurrent: 2,
        max_waiting: 100,
        max_wait: 1_000_000 * SECOND,
    };
    parts.bulkhead.set(places).unwrap();
    let stack = parts.builder().build().unwrap();
    let (inside, most) = (Mutex::new(0), Mutex::new(0));
    let token = CancellationToken::new();
    let call = |_| {
        let now = {
            let mut inside = inside.lock().unwrap();
            *inside += 1;
            *inside
        };
        let mut most = most.lock().unwrap();
        *most = now.max(*most);
        drop(most);
        thread::yield_now();
        *inside.lock().unwrap() -= 1;
        Ok::<_, Hiccup>(())
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    stack.run_blocking(call, &token).unwrap();
                }
            });
        }
    });
    assert!(*most.lock().unwrap() <= 2);
    let status = parts.bulkhead.status();
    assert_eq!(
        (status.admitted, status.in_use, status.waiting),
        (160, 0, 0)
    );
}

#[test]
fn a_call_that_blocks_is_turned_away_by_name_and_a_cancellation_ends_its_wait() {
    let parts = parts(1, 1);
    let stack = parts.builder_with_waits().retry(retry(3)).build().unwrap();
    let token = CancellationToken::new();
    let well = |_| Ok::<_, Hiccup>(());
    stack.run_blocking(well, &token).unwrap();
    // The clock stands still: there is no second permit.
    let rejected = thread::scope(|scope| {
        let waits = scope.spawn(|| stack.run_blocking(well, &token));
        while parts.limiter.status().waiting == 0 {
            thread::yield_now();
        }
        token.cancel();
        waits.join().unwrap().unwrap_err()
    });
    assert!(
        matches!(&rejected, Error::Rejected(rejection) if rejection.by == RejectedBy::Limiter),
        "{rejected:?}"
    );
    parts.breaker.force_open();
    let rejected = stack.run_blocking(well, &token).unwrap_err();
    assert!(
        matches!(&rejected, Error::Rejected(rejection) if rejection.by == RejectedBy::Breaker),
        "{rejected:?}"
    );
}

#[test]
fn what_is_left_of_every_limit_is_told_to_a_call_that_blocks_and_no_attempt_begins_after_it() {
    let parts = parts(10, 1);
    let at_once = Backoff {
        shape: Shape::Fixed,
        initial: Duration::ZERO,
        max: Duration::ZERO,
        jitter: Jitter::None,
    };
    let stack = parts
        .builder()
        .retry(RetrySettings {
            backoff: at_once,
            ..retry(5)
        })
        .deadline(4 * SECOND)
        .attempt_limit(2 * SECOND)
        .build()
        .unwrap();
    let mut lefts = Vec::new();
    let call = |attempt: Attempt| {
        lefts.push(attempt.left.unwrap());
        // Nobody can end it.
        parts.clock.advance(SECOND * 5 / 2);
        Err::<(), _>(Hiccup)
    };
    let answer = stack.run_blocking(call, &CancellationToken::new());
    // An attempt may take two seconds, all of them four.
    assert_eq!(lefts, [2 * SECOND, SECOND * 3 / 2]);
    assert!(
        matches!(answer, Err(Error::Exhausted { attempts: 2, .. })),
        "{answer:?}"
    );
}

//! Breaker and budget under schedules that are chosen: who goes on at each lock and atomic follows from a seed.
//!
//! Built with `--cfg shuttle` only; `cargo xtask faults concurrency` does that.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends; how many schedules it runs is said by who started it"
)]

mod waits;

use crate::{
    Breaker, BreakerSettings, BreakerState, BudgetSettings, Bulkhead, BulkheadSettings, Permit,
    RateLimit, RateLimiter, RetryBudget, Verdict,
};
use mainstay_clock::ManualClock;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread;
use std::sync::Arc;
use std::time::Duration;

/// How often PCT takes the turn away from whoever is most urgent.
const DEPTH: usize = 4;

const MINUTE: Duration = Duration::from_mins(1);

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().unwrap())
}

/// Runs it under as many schedules of each kind as `MAINSTAY_SCHEDULES` says, from the seed `MAINSTAY_SEED`.
fn under_all_schedules(work: fn()) {
    fn run(scheduler: impl Scheduler + 'static, work: fn()) -> usize {
        let mut config = shuttle::Config::new();
        config.stack_size = 512 * 1024;
        config.silence_warnings = true;
        shuttle::Runner::new(scheduler, config).run(work)
    }
    let count = number("MAINSTAY_SCHEDULES", 100) as usize;
    let seed = number("MAINSTAY_SEED", 1);
    let random = run(RandomScheduler::new_from_seed(seed, count), work);
    let urgent = run(PctScheduler::new_from_seed(seed, DEPTH, count), work);
    assert_eq!((random, urgent), (count, count), "all of them were run");
}

fn breaker(settings: BreakerSettings) -> (Arc<Breaker>, ManualClock) {
    let clock = ManualClock::new();
    let shared = Arc::new(clock.clone());
    (
        Arc::new(Breaker::new("x", settings, shared).unwrap()),
        clock,
    )
}

fn settings(half_open_permits: u32) -> BreakerSettings {
    BreakerSettings {
        consecutive: Some(2),
        open_jitter: 0.0,
        half_open_permits,
        ..BreakerSettings::default()
    }
}

/// Two failures, and its time is over.
fn about_to_be_half_open(breaker: &Breaker, clock: &ManualClock) {
    for _ in 0..2 {
        breaker.enter().unwrap().failure();
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    clock.advance(MINUTE);
}

fn end(permit: Permit<'_>, verdict: Option<Verdict>) {
    match verdict {
        Some(verdict) => permit.record(verdict),
        None => drop(permit),
    }
}

/// Whatever happened, after its time it lets a call in and closes again.
fn is_not_stuck(breaker: &Breaker, clock: &ManualClock) {
    clock.advance(MINUTE);
    clock.advance(MINUTE);
    for _ in 0..2 {
        breaker.enter().unwrap().success();
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn no_schedule_lets_more_probes_in_than_permitted() {
    under_all_schedules(|| {
        let (breaker, clock) = breaker(settings(1));
        about_to_be_half_open(&breaker, &clock);
        let inside = Arc::new(AtomicU32::new(0));
        let verdicts = [None, Some(Verdict::Failure), Some(Verdict::Success)];
        let threads = verdicts.map(|verdict| {
            let (breaker, inside) = (Arc::clone(&breaker), Arc::clone(&inside));
            thread::spawn(move || {
                for _ in 0..2 {
                    let Ok(permit) = breaker.enter() else {
                        continue;
                    };
                    // Closed again, any number may be inside.
                    if breaker.state() == BreakerState::HalfOpen {
                        let others = inside.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(others, 0, "two probes at once");
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                    end(permit, verdict);
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        is_not_stuck(&breaker, &clock);
    });
}

#[test]
fn no_schedule_of_late_answers_opens_or_closes_it_wrongly() {
    under_all_schedules(|| {
        let (breaker, clock) = breaker(settings(1));
        let threads = [Verdict::Failure, Verdict::Failure, Verdict::Ignored].map(|verdict| {
            let breaker = Arc::clone(&breaker);
            thread::spawn(move || {
                if let Ok(permit) = breaker.enter() {
                    permit.record(verdict);
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(
            breaker.state(),
            BreakerState::Open,
            "two failed, none succeeded"
        );
        assert_eq!(breaker.status().opened, 1);
        is_not_stuck(&breaker, &clock);
    });
}

#[test]
fn no_schedule_takes_more_retries_than_the_budget_holds() {
    under_all_schedules(|| {
        let settings = BudgetSettings {
            share: 1.0,
            least: 0,
            ..BudgetSettings::default()
        };
        let clock = Arc::new(ManualClock::new());
        let budget = Arc::new(RetryBudget::new(settings, clock).unwrap());
        budget.call();
        budget.call();
        let taken = Arc::new(AtomicU32::new(0));
        let threads = [(); 3].map(|()| {
            let (budget, taken) = (Arc::clone(&budget), Arc::clone(&taken));
            thread::spawn(move || {
                if budget.try_retry() {
                    taken.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(taken.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn no_schedule_admits_more_than_the_burst() {
    under_all_schedules(|| {
        let limit = RateLimit {
            permits: 1,
            per: MINUTE,
            burst: 2,
        };
        let limiter = RateLimiter::new("x", limit, Arc::new(ManualClock::new())).unwrap();
        let limiter = Arc::new(limiter);
        let threads = [(); 3].map(|()| {
            let limiter = Arc::clone(&limiter);
            thread::spawn(move || limiter.try_acquire(1).is_ok())
        });
        let passed = threads.map(|thread| thread.join().unwrap());
        assert_eq!(passed.iter().filter(|has_passed| **has_passed).count(), 2);
    });
}

/// However a change of its size meets places that are given back: in the end there are exactly as many as it says.
#[test]
fn no_schedule_of_changes_loses_or_makes_a_place() {
    under_all_schedules(|| {
        let of_size = |max_concurrent| BulkheadSettings {
            max_concurrent,
            ..BulkheadSettings::default()
        };
        let bulkhead = Bulkhead::new("x", of_size(2), Arc::new(ManualClock::new())).unwrap();
        let bulkhead = Arc::new(bulkhead);
        let mut threads = Vec::new();
        for _ in 0..2 {
            let bulkhead = Arc::clone(&bulkhead);
            threads.push(thread::spawn(move || drop(bulkhead.try_enter())));
        }
        let resized = Arc::clone(&bulkhead);
        threads.push(thread::spawn(move || {
            for size in [1, 3, 2] {
                resized.set(of_size(size)).unwrap();
            }
        }));
        for thread in threads {
            thread.join().unwrap();
        }
        let places: Vec<_> = std::iter::from_fn(|| bulkhead.try_enter().ok())
            .take(9)
            .collect();
        assert_eq!(places.len(), 2);
    });
}

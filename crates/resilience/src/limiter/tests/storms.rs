//! Many threads, and days of random events.

use super::*;
use proptest::prelude::*;
use std::sync::atomic::AtomicU32;

#[test]
fn sixty_four_threads_take_exactly_the_burst() {
    let limit = RateLimit {
        burst: 10_000,
        ..RateLimit::default()
    };
    let (limiter, _clock) = limiter(limit);
    let taken = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    if limiter.try_acquire(1).is_ok() {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(taken.into_inner(), 10_000);
    let status = limiter.status();
    assert_eq!((status.admitted, status.rejected), (10_000, 54_000));
}

/// A thread that read half of the settings before a change and half after it must not go by them.
#[test]
fn a_change_in_the_middle_of_a_storm_mixes_no_settings() {
    // Mixed, these would be a burst of 1,000,000 with room for a thousandth of it, or the reverse.
    let many = RateLimit {
        permits: 1,
        per: Duration::from_micros(1),
        burst: 1_000_000,
    };
    let (limiter, _clock) = limiter(each_second(1_000));
    let taken = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    if limiter.try_acquire(7).is_ok() {
                        taken.fetch_add(7, Ordering::Relaxed);
                    }
                }
            });
        }
        for round in 0..5_000 {
            let limit = if round % 2 == 0 {
                many
            } else {
                each_second(1_000)
            };
            limiter.set(limit).unwrap();
        }
    });
    limiter.set(many).unwrap();
    let left = u64::from(limiter.status().available);
    assert_eq!(taken.into_inner() + left, 1_000_000);
}

/// One step of a random day.
#[derive(Debug, Clone)]
enum Step {
    Try(u32),
    Wait(u32, u64),
    Drop(usize),
    Pass(u64),
    Set(u32, u64, u32),
    Hold(u64),
}

fn step(changes: bool) -> impl Strategy<Value = Step> {
    let plain = prop_oneof![
        4 => (1..6_u32).prop_map(Step::Try),
        4 => (1..6_u32, 0..5_000_u64).prop_map(|(n, wait)| Step::Wait(n, wait)),
        1 => (0..8_usize).prop_map(Step::Drop),
        4 => (0..2_000_u64).prop_map(Step::Pass),
    ];
    let change = prop_oneof![
        (1..4_u32, 1..2_000_u64, 1..7_u32).prop_map(|(n, per, burst)| Step::Set(n, per, burst)),
        (0..3_000_u64).prop_map(Step::Hold),
    ];
    prop_oneof![9 => plain, u32::from(changes) => change]
}

/// What passed, at which millisecond, and the settings it was done by.
struct Day {
    passed: Vec<(u64, u64)>,
    limits: Vec<RateLimit>,
}

fn live(first: RateLimit, steps: &[Step]) -> Day {
    let (limiter, clock) = limiter(first);
    let mut waiters: Vec<(u32, Waiter<'_>)> = Vec::new();
    let (mut passed, mut limits) = (Vec::new(), vec![first]);
    for step in steps {
        let held = limiter.status().held_for;
        match *step {
            Step::Try(n) => {
                let now = clock.now().since_origin().as_millis() as u64;
                if limiter.try_acquire(n).is_ok() {
                    assert_eq!(held, Duration::ZERO);
                    passed.push((now, u64::from(n)));
                }
            }
            Step::Wait(n, wait) => {
                let wait = Duration::from_millis(wait);
                waiters.push((n, Box::pin(limiter.acquire(n, wait))));
            }
            Step::Drop(which) if which < waiters.len() => drop(waiters.swap_remove(which)),
            Step::Drop(_) => {}
            Step::Pass(time) => clock.advance(Duration::from_millis(time)),
            Step::Set(permits, per, burst) => {
                let per = Duration::from_millis(per);
                limits.push(RateLimit {
                    permits,
                    per,
                    burst,
                });
                limiter.set(limits[limits.len() - 1]).unwrap();
            }
            Step::Hold(time) => limiter.hold_until(clock.now() + Duration::from_millis(time)),
        }
        let now = clock.now().since_origin().as_millis() as u64;
        waiters.retain_mut(|(n, waiter)| match poll(waiter) {
            Poll::Ready(Ok(())) => {
                passed.push((now, u64::from(*n)));
                false
            }
            poll => poll.is_pending(),
        });
    }
    drop(waiters);
    assert_eq!(limiter.status().waiting, 0);
    let admitted: u64 = passed.iter().map(|(_, n)| n).sum();
    assert_eq!(limiter.status().admitted, admitted);
    // Nothing leaked: after a long pause exactly the burst passes.
    clock.advance(Duration::from_hours(1));
    assert_eq!(passing(&limiter), limiter.status().burst);
    Day { passed, limits }
}

fn assert_within_the_limit(day: &Day) {
    let burst = day.limits.iter().map(|limit| limit.burst).max().unwrap();
    let rate = day
        .limits
        .iter()
        .map(|limit| f64::from(limit.permits) / limit.per.as_secs_f64())
        .fold(0.0, f64::max);
    for (index, (start, _)) in day.passed.iter().enumerate() {
        let mut sum = 0;
        for (end, n) in &day.passed[index..] {
            sum += n;
            let time = (end - start) as f64 / 1_000.0;
            let most = f64::from(burst) + rate * time;
            assert!(
                sum as f64 <= most + 1e-6,
                "{sum} in {time} s: {:?}",
                day.passed
            );
        }
    }
}

proptest! {
    #[test]
    fn in_any_stretch_of_time_no_more_passes_than_burst_and_rate_allow(
        (permits, per, burst) in (1..4_u32, 1..2_000_u64, 1..7_u32),
        steps in prop::collection::vec(step(false), 1..120),
    ) {
        let limit = RateLimit { permits, per: Duration::from_millis(per), burst };
        assert_within_the_limit(&live(limit, &steps));
    }

    #[test]
    fn over_changes_and_holds_no_more_passes_than_the_largest_settings_allow(
        steps in prop::collection::vec(step(true), 1..120),
    ) {
        assert_within_the_limit(&live(each_second(3), &steps));
    }
}

/// Waits that are dropped after any number of polls, on several threads.
#[test]
fn a_storm_of_cancelled_waits_leaks_nothing_and_blocks_nobody() {
    let limit = RateLimit {
        permits: 1_000,
        per: SECOND,
        burst: 50,
    };
    let (limiter, clock) = limiter(limit);
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (limiter, clock) = (&limiter, &clock);
            scope.spawn(move || {
                let random = crate::Random::from_seed(thread);
                let mut waiters: Vec<Waiter<'_>> = Vec::new();
                for _ in 0..2_000 {
                    let n = 1 + (random.fraction() * 50.0) as u32;
                    waiters.push(Box::pin(limiter.acquire(n, Duration::MAX)));
                    for waiter in &mut waiters {
                        if random.fraction() < 0.5 && poll(waiter).is_ready() {
                            *waiter = Box::pin(limiter.acquire(n, Duration::MAX));
                        }
                    }
                    clock.advance(Duration::from_micros(100));
                    if random.fraction() < 0.5 || waiters.len() > 20 {
                        drop(
                            waiters
                                .swap_remove((random.fraction() * waiters.len() as f64) as usize),
                        );
                    }
                }
            });
        }
    });
    assert_eq!(limiter.status().waiting, 0);
    clock.advance(SECOND);
    assert_eq!(passing(&limiter), 50);
    let mut next = waiter(&limiter, 1, Duration::MAX);
    clock.advance(Duration::from_millis(1));
    assert_eq!(poll(&mut next), Poll::Ready(Ok(())));
}

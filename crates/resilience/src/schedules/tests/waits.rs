//! Who waits for a permit or a place, under schedules that are chosen: in turn, not forgotten, not for ever.
//!
//! A wake-up that is lost shows as threads that all wait for one another, which ends a schedule as a failure.

use super::under_all_schedules;
use crate::error::Rejection;
use crate::{Bulkhead, BulkheadPermit, BulkheadSettings, RateLimit, RateLimiter};
use mainstay_clock::{Clock, ManualClock, Moment, Sleep};
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use shuttle::sync::mpsc::{Sender, channel};
use shuttle::thread::{self, JoinHandle};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

type Waiter<T> = Pin<Box<dyn Future<Output = Result<T, Rejection>> + Send>>;

/// Polls it once, so that it has its place in the line before anybody else goes on.
fn in_line<T>(future: impl Future<Output = Result<T, Rejection>> + Send + 'static) -> Waiter<T> {
    let mut waiter: Waiter<T> = Box::pin(future);
    let polled = waiter
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "it waits");
    waiter
}

/// Waits on a thread of its own, and tells its number when it has passed.
fn passes(waiter: Waiter<()>, number: u32, passed: &Sender<u32>) -> JoinHandle<()> {
    let passed = passed.clone();
    thread::spawn(move || {
        block_on(waiter).unwrap();
        passed.send(number).unwrap();
    })
}

// --- the limiter ---

/// A clock that knows how many sleep for less than half an hour: the head of a line does, and nobody else.
#[derive(Debug, Clone, Default)]
struct Watched {
    clock: ManualClock,
    heads: Arc<AtomicU32>,
}

/// One head that sleeps.
struct Head(Arc<AtomicU32>);

impl Drop for Head {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Clock for Watched {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn wall(&self) -> u64 {
        self.clock.wall()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let sleep = self.clock.sleep(duration);
        if HOUR / 2 <= duration {
            return sleep;
        }
        self.heads.fetch_add(1, Ordering::SeqCst);
        let head = Head(Arc::clone(&self.heads));
        Box::pin(async move {
            let _head = head;
            sleep.await;
        })
    }
}

/// Lets time pass by a second at each turn, so that nobody's sleep is missed; long before an hour is over it stops.
struct Ticking {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Ticking {
    fn new(clock: &Watched) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (clock, ends) = (clock.clock.clone(), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            for _ in 0..600 {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                clock.advance(SECOND);
                thread::yield_now();
            }
        });
        Self { is_over, thread }
    }

    fn end(self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
    }
}

fn one_in(per: Duration) -> RateLimit {
    RateLimit {
        permits: 1,
        per,
        burst: 1,
    }
}

/// One permit in that time, and none is there.
fn limiter(per: Duration) -> (Arc<RateLimiter>, Watched) {
    let clock = Watched::default();
    let limiter = RateLimiter::new("x", one_in(per), Arc::new(clock.clone())).unwrap();
    limiter.try_acquire(1).unwrap();
    (Arc::new(limiter), clock)
}

fn acquires(limiter: &Arc<RateLimiter>, max_wait: Duration) -> Waiter<()> {
    let limiter = Arc::clone(limiter);
    in_line(async move { limiter.acquire(1, max_wait).await })
}

#[test]
fn under_every_schedule_the_limiter_lets_pass_in_the_order_of_arrival() {
    under_all_schedules(|| {
        let (limiter, clock) = limiter(SECOND);
        let (sender, passed) = channel();
        let waiters = [0, 1, 2].map(|number| (number, acquires(&limiter, HOUR)));
        let mut threads = Vec::new();
        // Who asks again first is not who came first.
        for (number, waiter) in waiters.into_iter().rev() {
            threads.push(passes(waiter, number, &sender));
        }
        let comes_last = Arc::clone(&limiter);
        threads.push(thread::spawn(move || {
            assert!(comes_last.try_acquire(1).is_err());
        }));
        for expected in 0..3 {
            while clock.heads.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            clock.clock.advance(SECOND);
            assert_eq!(passed.recv().unwrap(), expected);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(limiter.status().waiting, 0);
        assert_eq!(limiter.status().admitted, 4);
    });
}

#[test]
fn under_every_schedule_one_who_gives_up_leaves_the_turn_to_the_next() {
    under_all_schedules(|| {
        // The head of the line, or one to whom the turn may be given at that moment.
        for who in 0..2 {
            let (limiter, clock) = limiter(SECOND);
            let (sender, passed) = channel();
            let mut waiters: Vec<_> = (0..3).map(|_| acquires(&limiter, HOUR)).collect();
            let given_up = waiters.remove(who);
            let threads: Vec<_> = waiters
                .into_iter()
                .map(|waiter| passes(waiter, 0, &sender))
                .collect();
            let gives_up = thread::spawn(move || drop(given_up));
            let ticking = Ticking::new(&clock);
            for _ in &threads {
                passed.recv().unwrap();
            }
            ticking.end();
            for thread in threads {
                thread.join().unwrap();
            }
            gives_up.join().unwrap();
            assert_eq!(limiter.status().waiting, 0);
            assert_eq!(limiter.status().admitted, 3, "who gave up took none");
            clock.clock.advance(SECOND);
            assert!(limiter.try_acquire(1).is_ok(), "there is no line any more");
        }
    });
}

/// Nothing but the change can wake it: by the rules of before its wait lasts longer than the clock goes on.
#[test]
fn under_every_schedule_who_waits_hears_of_a_change() {
    under_all_schedules(|| {
        for is_held in [true, false] {
            let (limiter, clock) = limiter(if is_held { SECOND } else { HOUR / 3 });
            if is_held {
                limiter.hold_until(clock.now() + HOUR / 3);
            }
            let (sender, passed) = channel();
            let waits = passes(acquires(&limiter, HOUR), 0, &sender);
            let changed = Arc::clone(&limiter);
            let changes = thread::spawn(move || {
                if is_held {
                    changed.release();
                } else {
                    changed.set(one_in(SECOND)).unwrap();
                }
            });
            let ticking = Ticking::new(&clock);
            assert_eq!(passed.recv().unwrap(), 0);
            ticking.end();
            waits.join().unwrap();
            changes.join().unwrap();
            assert_eq!(limiter.status().waiting, 0);
        }
    });
}

#[test]
fn under_every_schedule_a_wait_in_line_ends_with_its_time() {
    under_all_schedules(|| {
        let (limiter, clock) = limiter(SECOND);
        let (hurried, patient) = (acquires(&limiter, 2 * SECOND), acquires(&limiter, HOUR));
        let slowed = Arc::clone(&limiter);
        let slows = thread::spawn(move || slowed.set(one_in(HOUR / 3)).unwrap());
        let hurried = thread::spawn(move || block_on(hurried).is_ok());
        let patient = thread::spawn(move || block_on(patient).is_ok());
        let ticking = Ticking::new(&clock);
        // Whether it passed before the change or not: it does not wait on.
        let has_passed = hurried.join().unwrap();
        slows.join().unwrap();
        ticking.end();
        let ticking = Ticking::new(&clock);
        limiter.set(one_in(SECOND)).unwrap();
        assert!(patient.join().unwrap());
        ticking.end();
        let admitted = 1 + 1 + u64::from(has_passed);
        assert_eq!(limiter.status().admitted, admitted);
        assert_eq!(limiter.status().waiting, 0);
    });
}

// --- the bulkhead ---

fn of_size(max_concurrent: u32, max_wait: Duration) -> BulkheadSettings {
    BulkheadSettings {
        max_concurrent,
        max_waiting: 9,
        max_wait,
    }
}

fn bulkhead(max_wait: Duration) -> (Bulkhead, BulkheadPermit, ManualClock) {
    let clock = ManualClock::new();
    let bulkhead = Bulkhead::new("x", of_size(1, max_wait), Arc::new(clock.clone())).unwrap();
    let held = bulkhead.try_enter().unwrap();
    (bulkhead, held, clock)
}

fn enters(bulkhead: &Bulkhead) -> Waiter<BulkheadPermit> {
    let bulkhead = bulkhead.clone();
    in_line(async move { bulkhead.enter().await })
}

/// Waits on a thread of its own, and tells its number while it has the place.
fn enters_and_leaves(
    waiter: Waiter<BulkheadPermit>,
    number: u32,
    entered: &Sender<u32>,
) -> JoinHandle<()> {
    let entered = entered.clone();
    thread::spawn(move || {
        let place = block_on(waiter).unwrap();
        entered.send(number).unwrap();
        drop(place);
    })
}

fn is_empty_again(bulkhead: &Bulkhead, places: usize) {
    assert_eq!(bulkhead.status().waiting, 0);
    let free: Vec<_> = std::iter::from_fn(|| bulkhead.try_enter().ok())
        .take(9)
        .collect();
    assert_eq!(free.len(), places);
}

#[test]
fn under_every_schedule_the_bulkhead_lets_in_in_the_order_of_arrival() {
    under_all_schedules(|| {
        let (bulkhead, held, _clock) = bulkhead(HOUR);
        let (sender, entered) = channel();
        let waiters = [0, 1, 2].map(|number| (number, enters(&bulkhead)));
        let mut threads = Vec::new();
        for (number, waiter) in waiters.into_iter().rev() {
            threads.push(enters_and_leaves(waiter, number, &sender));
        }
        threads.push(thread::spawn(move || drop(held)));
        let order = [(); 3].map(|()| entered.recv().unwrap());
        assert_eq!(order, [0, 1, 2]);
        for thread in threads {
            thread.join().unwrap();
        }
        is_empty_again(&bulkhead, 1);
    });
}

#[test]
fn under_every_schedule_one_who_gives_up_leaves_the_place_to_the_next() {
    under_all_schedules(|| {
        let (bulkhead, held, _clock) = bulkhead(HOUR);
        let (sender, entered) = channel();
        let given_up = enters(&bulkhead);
        let next = enters_and_leaves(enters(&bulkhead), 1, &sender);
        let gives_up = thread::spawn(move || drop(given_up));
        let leaves = thread::spawn(move || drop(held));
        assert_eq!(entered.recv().unwrap(), 1);
        for thread in [next, gives_up, leaves] {
            thread.join().unwrap();
        }
        is_empty_again(&bulkhead, 1);
    });
}

/// The place that is held stays so: only the new ones let them in.
#[test]
fn under_every_schedule_who_waits_gets_a_place_that_is_added() {
    under_all_schedules(|| {
        let (bulkhead, held, _clock) = bulkhead(HOUR);
        let (sender, entered) = channel();
        let threads = [0, 1].map(|n| enters_and_leaves(enters(&bulkhead), n, &sender));
        let resized = bulkhead.clone();
        let changes = thread::spawn(move || {
            for size in [3, 1, 2] {
                resized.set(of_size(size, HOUR)).unwrap();
            }
        });
        for _ in &threads {
            entered.recv().unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        changes.join().unwrap();
        drop(held);
        is_empty_again(&bulkhead, 2);
    });
}

#[test]
fn under_every_schedule_a_wait_for_a_place_ends_with_its_time_or_with_the_place() {
    under_all_schedules(|| {
        let (bulkhead, held, clock) = bulkhead(SECOND);
        let waiters = [enters(&bulkhead), enters(&bulkhead)];
        let threads = waiters.map(|waiter| {
            let bulkhead = bulkhead.clone();
            thread::spawn(move || {
                if let Ok(place) = block_on(waiter) {
                    assert!(bulkhead.try_enter().is_err(), "there is one place");
                    drop(place);
                }
            })
        });
        let leaves = thread::spawn(move || drop(held));
        clock.advance(SECOND);
        for thread in threads {
            thread.join().unwrap();
        }
        leaves.join().unwrap();
        is_empty_again(&bulkhead, 1);
    });
}

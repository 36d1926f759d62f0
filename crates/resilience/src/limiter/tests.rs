mod storms;

use super::*;
use mainstay_clock::{Clock, ManualClock};
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::thread;

type Waiter<'a> = Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send + 'a>>;

const SECOND: Duration = Duration::from_secs(1);

/// One permit a second, `burst` at once.
fn each_second(burst: u32) -> RateLimit {
    RateLimit {
        permits: 1,
        per: SECOND,
        burst,
    }
}

fn limiter(limit: RateLimit) -> (RateLimiter, ManualClock) {
    let clock = ManualClock::new();
    let limiter = RateLimiter::new("registry", limit, Arc::new(clock.clone())).unwrap();
    (limiter, clock)
}

fn empty(limit: RateLimit) -> (RateLimiter, ManualClock) {
    let (limiter, clock) = limiter(limit);
    limiter.try_acquire(limit.burst).unwrap();
    (limiter, clock)
}

fn poll(waiter: &mut Waiter<'_>) -> Poll<Result<(), Rejection>> {
    waiter
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

fn waiter(limiter: &RateLimiter, n: u32, max_wait: Duration) -> Waiter<'_> {
    let mut waiter: Waiter<'_> = Box::pin(limiter.acquire(n, max_wait));
    assert_eq!(poll(&mut waiter), Poll::Pending);
    waiter
}

/// How many single permits pass at once.
fn passing(limiter: &RateLimiter) -> u32 {
    (0..10_000)
        .take_while(|_| limiter.try_acquire(1).is_ok())
        .count() as u32
}

fn retry_after(result: Result<(), Rejection>) -> Option<Duration> {
    let rejection = result.unwrap_err();
    assert_eq!(rejection.by, RejectedBy::Limiter);
    assert_eq!(&*rejection.name, "registry");
    rejection.retry_after
}

#[test]
fn the_defaults_are_those_of_the_layer_before_with_a_burst_that_counts() {
    let (limiter, clock) = limiter(RateLimit::default());
    assert_eq!(passing(&limiter), 10);
    assert_eq!(
        retry_after(limiter.try_acquire(1)),
        Some(Duration::from_millis(600))
    );
    clock.advance(Duration::from_millis(599));
    assert_eq!(passing(&limiter), 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(passing(&limiter), 1);
    clock.advance(Duration::from_hours(1));
    assert_eq!(passing(&limiter), 10, "a pause saves up no more");
}

#[test]
fn a_rate_that_does_not_divide_lets_too_few_through_and_never_one_too_many() {
    let limit = RateLimit {
        permits: 3,
        per: SECOND,
        burst: 1,
    };
    let (limiter, clock) = empty(limit);
    clock.advance(Duration::from_nanos(333_333_333));
    assert!(limiter.try_acquire(1).is_err());
    clock.advance(Duration::from_nanos(1));
    limiter.try_acquire(1).unwrap();
}

#[test]
fn a_rejection_says_when_the_call_would_pass_and_then_it_does() {
    let (limiter, clock) = empty(each_second(5));
    let wait = retry_after(limiter.try_acquire(3)).unwrap();
    assert_eq!(wait, 3 * SECOND);
    clock.advance(Duration::from_nanos(2_999_999_999));
    assert!(limiter.try_acquire(3).is_err());
    clock.advance(Duration::from_nanos(1));
    limiter.try_acquire(3).unwrap();
}

#[test]
fn asking_when_a_call_would_pass_takes_nothing() {
    let (limiter, clock) = limiter(each_second(5));
    for _ in 0..3 {
        assert_eq!(limiter.ready_in(5), Duration::ZERO);
        assert_eq!(limiter.ready_in(6), Duration::MAX);
    }
    limiter.try_acquire(5).unwrap();
    assert_eq!(limiter.ready_in(2), 2 * SECOND);
    clock.advance(2 * SECOND);
    assert_eq!(limiter.ready_in(2), Duration::ZERO);
    limiter.try_acquire(2).unwrap();
    assert_eq!(limiter.status().admitted, 7);
}

/// The layer before polled for the whole wait, and then said no.
#[test]
fn more_than_the_burst_is_refused_at_once_and_for_ever() {
    let (limiter, _clock) = limiter(each_second(5));
    assert_eq!(retry_after(limiter.try_acquire(6)), None);
    let mut waits: Waiter<'_> = Box::pin(limiter.acquire(6, Duration::MAX));
    let Poll::Ready(result) = poll(&mut waits) else {
        panic!("waits for what can never be");
    };
    assert_eq!(retry_after(result), None);
    limiter.try_acquire(5).unwrap();
}

/// The layer before never tried at all where it was not to wait.
#[test]
fn a_wait_of_zero_takes_what_is_there() {
    let (limiter, _clock) = limiter(each_second(1));
    let mut first: Waiter<'_> = Box::pin(limiter.acquire(1, Duration::ZERO));
    assert_eq!(poll(&mut first), Poll::Ready(Ok(())));
    let mut second: Waiter<'_> = Box::pin(limiter.acquire(1, Duration::ZERO));
    assert!(matches!(poll(&mut second), Poll::Ready(Err(_))));
    assert_eq!(limiter.status().waiting, 0);
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let clock = mainstay_clock::system();
    let per = SECOND;
    let refused = |permits, per, burst| {
        let limit = RateLimit {
            permits,
            per,
            burst,
        };
        let refused = RateLimiter::new("registry", limit, clock.clone());
        refused.unwrap_err().to_string()
    };
    assert!(refused(0, per, 1).contains("no permits"));
    assert!(refused(1, per, 0).contains("burst of 0"));
    assert!(refused(1, Duration::ZERO, 1).contains("nanosecond"));
    assert!(refused(2, Duration::from_nanos(1), 1).contains("nanosecond"));
    assert!(refused(1, Duration::from_hours(24), 4_000).contains("ten years"));
    assert!(refused(1, Duration::MAX, u32::MAX).contains("ten years"));
}

#[test]
fn who_waits_passes_in_the_order_of_arrival_whatever_they_ask_for() {
    let (limiter, clock) = empty(each_second(3));
    let order = Mutex::new(Vec::new());
    let wants = [3, 1, 2, 1];
    let mut waiters: Vec<Waiter<'_>> = Vec::new();
    for (number, n) in wants.into_iter().enumerate() {
        let (limiter, order, clock) = (&limiter, &order, &clock);
        let mut waiter: Waiter<'_> = Box::pin(async move {
            limiter.acquire(n, Duration::MAX).await?;
            let second = clock.now().since_origin().as_secs();
            order.lock().unwrap().push((number, second));
            Ok(())
        });
        assert_eq!(poll(&mut waiter), Poll::Pending);
        waiters.push(waiter);
    }
    assert_eq!(limiter.status().waiting, 4);
    for _ in 0..7 {
        clock.advance(SECOND);
        // The last first: the order in which they are polled must not matter.
        for _ in 0..waiters.len() {
            waiters.reverse();
            waiters.retain_mut(|waiter| poll(waiter).is_pending());
        }
    }
    assert_eq!(*order.lock().unwrap(), [(0, 3), (1, 4), (2, 6), (3, 7)]);
    assert_eq!(limiter.status().waiting, 0);
}

#[test]
fn nobody_passes_one_who_waits() {
    let (limiter, clock) = empty(each_second(3));
    let mut first = waiter(&limiter, 3, Duration::MAX);
    clock.advance(2 * SECOND);
    // Two permits are there, and belong to who came first.
    assert_eq!(retry_after(limiter.try_acquire(1)), Some(2 * SECOND));
    let mut second = waiter(&limiter, 1, Duration::MAX);
    let mut third: Waiter<'_> = Box::pin(limiter.acquire(1, Duration::ZERO));
    assert!(matches!(poll(&mut third), Poll::Ready(Err(_))));
    clock.advance(SECOND);
    assert_eq!(poll(&mut second), Poll::Pending);
    assert_eq!(poll(&mut first), Poll::Ready(Ok(())));
    clock.advance(SECOND);
    assert_eq!(poll(&mut second), Poll::Ready(Ok(())));
    assert_eq!(passing(&limiter), 0);
}

#[test]
fn nobody_passes_who_still_waits_when_another_gives_up() {
    let (limiter, clock) = empty(each_second(3));
    let mut first = waiter(&limiter, 3, Duration::MAX);
    let second = waiter(&limiter, 1, Duration::MAX);
    clock.advance(SECOND);
    drop(second);
    assert_eq!(passing(&limiter), 0);
    clock.advance(2 * SECOND);
    assert_eq!(poll(&mut first), Poll::Ready(Ok(())));
}

#[test]
fn who_waits_gives_up_at_once_when_a_change_makes_the_wait_too_long() {
    let (limiter, clock) = empty(each_second(1));
    let mut first = waiter(&limiter, 1, SECOND);
    let mut second = waiter(&limiter, 1, 3 * SECOND);
    limiter.hold_until(clock.now() + 60 * SECOND);
    assert!(matches!(poll(&mut first), Poll::Ready(Err(_))));
    assert!(matches!(poll(&mut second), Poll::Ready(Err(_))));
    assert_eq!(limiter.status().waiting, 0);
}

#[test]
fn a_wait_that_would_be_too_long_is_not_begun() {
    let (limiter, _clock) = empty(each_second(2));
    let _first = waiter(&limiter, 2, Duration::MAX);
    let mut second: Waiter<'_> = Box::pin(limiter.acquire(1, 2 * SECOND));
    let Poll::Ready(result) = poll(&mut second) else {
        panic!("waits in vain");
    };
    assert_eq!(retry_after(result), Some(3 * SECOND));
    let _third = waiter(&limiter, 1, 3 * SECOND);
}

#[test]
fn a_wait_ends_when_it_is_over_even_in_the_middle_of_the_line() {
    let (limiter, clock) = empty(each_second(2));
    let mut head = waiter(&limiter, 2, Duration::MAX);
    let mut middle = waiter(&limiter, 1, 3 * SECOND);
    let mut last = waiter(&limiter, 1, Duration::MAX);
    limiter.hold_until(clock.now() + 60 * SECOND);
    assert_eq!(poll(&mut head), Poll::Pending);
    clock.advance(3 * SECOND);
    // At the end of the hold the bucket is full: 2 for the head, 1 for the last, and this one behind them.
    let Poll::Ready(result) = poll(&mut middle) else {
        panic!("waits longer than it may");
    };
    assert_eq!(retry_after(result), Some(59 * SECOND));
    clock.advance(57 * SECOND);
    assert_eq!(poll(&mut head), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut last), Poll::Pending);
    clock.advance(SECOND);
    assert_eq!(poll(&mut last), Poll::Ready(Ok(())));
}

#[test]
fn a_change_reaches_who_waits_and_what_is_taken_stays_taken() {
    let (limiter, clock) = empty(each_second(2));
    let mut head = waiter(&limiter, 2, Duration::MAX);
    let mut other = waiter(&limiter, 1, Duration::MAX);
    let faster = RateLimit {
        permits: 100,
        per: SECOND,
        burst: 2,
    };
    limiter.set(faster).unwrap();
    assert_eq!(poll(&mut head), Poll::Pending);
    clock.advance(Duration::from_millis(20));
    assert_eq!(poll(&mut head), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut other), Poll::Pending);

    // More than the burst of now can never pass, so nobody waits for it.
    drop(other);
    let mut head = waiter(&limiter, 2, Duration::MAX);
    limiter.set(each_second(1)).unwrap();
    assert!(matches!(
        poll(&mut head),
        Poll::Ready(Err(Rejection {
            retry_after: None,
            ..
        }))
    ));
    assert_eq!(
        retry_after(limiter.try_acquire(1)),
        Some(2 * SECOND),
        "two were taken, and the burst is one now"
    );
    assert!(limiter.set(each_second(0)).is_err());
    assert_eq!(limiter.status().burst, 1);
}

#[test]
fn nothing_passes_before_the_end_of_a_hold_and_then_the_burst_does() {
    let (limiter, clock) = limiter(each_second(2));
    limiter.hold_until(clock.now() + 30 * SECOND);
    limiter.hold_until(clock.now() + 10 * SECOND);
    assert_eq!(retry_after(limiter.try_acquire(1)), Some(30 * SECOND));
    let mut waits = waiter(&limiter, 1, 30 * SECOND);
    clock.advance(29 * SECOND);
    assert_eq!(poll(&mut waits), Poll::Pending);
    let status = limiter.status();
    assert_eq!((status.available, status.held_for), (0, SECOND));
    clock.advance(SECOND);
    assert_eq!(poll(&mut waits), Poll::Ready(Ok(())));
    assert_eq!(passing(&limiter), 1);

    limiter.hold_until(clock.now() + 30 * SECOND);
    let mut waits = waiter(&limiter, 1, Duration::MAX);
    limiter.release();
    clock.advance(SECOND);
    assert_eq!(poll(&mut waits), Poll::Ready(Ok(())));
}

#[test]
fn what_a_server_says_of_its_limit_is_kept_to() {
    let (limiter, clock) = limiter(each_second(10));
    limiter.observe(Some(20), Some(9 * SECOND), None);
    assert_eq!(limiter.status().available, 10);
    limiter.observe(Some(3), Some(9 * SECOND), None);
    assert_eq!(limiter.status().available, 3);
    limiter.observe(Some(0), Some(9 * SECOND), None);
    assert_eq!(retry_after(limiter.try_acquire(1)), Some(9 * SECOND));
    limiter.observe(None, None, Some(12 * SECOND));
    assert_eq!(retry_after(limiter.try_acquire(1)), Some(12 * SECOND));
    clock.advance(12 * SECOND);
    assert_eq!(passing(&limiter), 10);
    clock.advance(10 * SECOND);
    limiter.observe(Some(0), None, None);
    assert_eq!(passing(&limiter), 0);
    limiter.observe(None, Some(SECOND), Some(Duration::MAX));
    assert_eq!(limiter.status().held_for, RateLimiter::OBSERVED_HOLD_MAX);
}

#[test]
fn at_the_far_end_of_time_nothing_passes_and_nothing_breaks() {
    let (limiter, clock) = limiter(each_second(2));
    clock.advance(Duration::MAX);
    assert!(limiter.try_acquire(1).is_err());
    limiter.set(each_second(9)).unwrap();
    limiter.observe(Some(1), None, None);
    assert!(limiter.try_acquire(1).is_err());
    let mut waits: Waiter<'_> = Box::pin(limiter.acquire(1, SECOND));
    assert!(matches!(poll(&mut waits), Poll::Ready(Err(_))));
}

#[test]
fn a_status_names_what_the_layer_before_did() {
    let (limiter, clock) = limiter(RateLimit::default());
    limiter.try_acquire(3).unwrap();
    limiter.hold_until(clock.now() + Duration::from_millis(1_500));
    assert!(limiter.try_acquire(1).is_err());
    let status = serde_json::to_value(limiter.status()).unwrap();
    let mut rate = status["permits_per_second"].as_f64().unwrap();
    rate = (rate * 1_000.0).round() / 1_000.0;
    assert!((rate - 1.667).abs() < f64::EPSILON);
    assert_eq!(status["available"], 0);
    assert_eq!(status["burst"], 10);
    assert_eq!(status["waiting"], 0);
    assert_eq!(status["admitted"], 3);
    assert_eq!(status["rejected"], 1);
    assert_eq!(status["held_for"], 1.5);
}

#[test]
fn a_thread_waits_for_its_turn_and_a_cancellation_wakes_it() {
    let (limiter, clock) = empty(each_second(1));
    let token = CancellationToken::new();
    let wait = |max_wait| limiter.acquire_blocking(1, max_wait, &token);
    let somebody_waits = || {
        while limiter.status().waiting == 0 {
            thread::yield_now();
        }
    };
    assert!(wait(Duration::ZERO).is_err());
    thread::scope(|scope| {
        let waits = scope.spawn(|| wait(SECOND));
        somebody_waits();
        clock.advance(SECOND);
        waits.join().unwrap().unwrap();

        let waits = scope.spawn(|| wait(Duration::MAX));
        somebody_waits();
        token.cancel();
        assert_eq!(retry_after(waits.join().unwrap()), Some(SECOND));
    });
    let status = limiter.status();
    assert_eq!(
        (status.waiting, status.admitted, status.rejected),
        (0, 2, 2)
    );
}

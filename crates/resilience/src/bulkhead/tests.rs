use super::*;
use mainstay_clock::ManualClock;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;

type Waiter<'a> = Pin<Box<dyn Future<Output = Result<BulkheadPermit, Rejection>> + Send + 'a>>;

const SECOND: Duration = Duration::from_secs(1);

fn settings(max_concurrent: u32) -> BulkheadSettings {
    BulkheadSettings {
        max_concurrent,
        max_waiting: 3,
        max_wait: SECOND,
    }
}

fn bulkhead(settings: BulkheadSettings) -> (Bulkhead, ManualClock) {
    let clock = ManualClock::new();
    let bulkhead = Bulkhead::new("printer", settings, Arc::new(clock.clone())).unwrap();
    (bulkhead, clock)
}

fn poll(waiter: &mut Waiter<'_>) -> Poll<Result<BulkheadPermit, Rejection>> {
    waiter
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

fn waiter(bulkhead: &Bulkhead) -> Waiter<'_> {
    let mut waiter: Waiter<'_> = Box::pin(bulkhead.enter());
    assert!(poll(&mut waiter).is_pending());
    waiter
}

fn entered(waiter: &mut Waiter<'_>) -> BulkheadPermit {
    match poll(waiter) {
        Poll::Ready(Ok(permit)) => permit,
        other => panic!("{other:?}"),
    }
}

/// How many places are free, by taking them all.
fn free(bulkhead: &Bulkhead) -> usize {
    std::iter::from_fn(|| bulkhead.try_enter().ok())
        .take(1_000)
        .collect::<Vec<_>>()
        .len()
}

#[test]
fn by_default_25_calls_are_under_way_and_the_next_is_turned_away_at_once() {
    let (bulkhead, _clock) = bulkhead(BulkheadSettings::default());
    let permits: Vec<_> = (0..25).map(|_| bulkhead.try_enter().unwrap()).collect();
    let rejection = bulkhead.try_enter().unwrap_err();
    assert_eq!(rejection.by, RejectedBy::Bulkhead);
    let mut waits: Waiter<'_> = Box::pin(bulkhead.enter());
    assert!(matches!(poll(&mut waits), Poll::Ready(Err(_))));
    drop(permits);
    assert_eq!(free(&bulkhead), 25);
    let status = bulkhead.status();
    assert_eq!((status.in_use, status.admitted), (0, 50));
}

#[test]
fn who_waits_enters_in_the_order_of_arrival_and_nobody_passes() {
    let (bulkhead, _clock) = bulkhead(settings(1));
    let first = bulkhead.try_enter().unwrap();
    let mut second = waiter(&bulkhead);
    let mut third = waiter(&bulkhead);
    drop(first);
    assert!(bulkhead.try_enter().is_err());
    assert!(poll(&mut third).is_pending());
    let permit = entered(&mut second);
    assert!(poll(&mut third).is_pending());
    drop(permit);
    drop(entered(&mut third));
    assert_eq!(free(&bulkhead), 1);
}

#[test]
fn only_so_many_wait_and_only_so_long() {
    let (bulkhead, clock) = bulkhead(settings(1));
    let _permit = bulkhead.try_enter().unwrap();
    let mut waiters: Vec<_> = (0..3).map(|_| waiter(&bulkhead)).collect();
    let mut fourth: Waiter<'_> = Box::pin(bulkhead.enter());
    assert!(matches!(poll(&mut fourth), Poll::Ready(Err(_))));
    clock.advance(SECOND);
    for waiter in &mut waiters {
        assert!(matches!(poll(waiter), Poll::Ready(Err(_))));
    }
    drop(waiters);
    assert_eq!(bulkhead.status().waiting, 0);
    assert_eq!(bulkhead.status().rejected, 4);
}

#[test]
fn a_wait_that_is_dropped_gives_its_place_to_the_next() {
    let (bulkhead, _clock) = bulkhead(settings(1));
    let permit = bulkhead.try_enter().unwrap();
    let second = waiter(&bulkhead);
    let mut third = waiter(&bulkhead);
    // The place was handed to the second already, who never learns of it.
    drop(permit);
    drop(second);
    drop(entered(&mut third));
    drop(third);
    assert_eq!((free(&bulkhead), bulkhead.status().waiting), (1, 0));
}

#[test]
fn it_grows_for_who_waits_and_shrinks_as_calls_end() {
    let (bulkhead, _clock) = bulkhead(settings(1));
    let first = bulkhead.try_enter().unwrap();
    let mut second = waiter(&bulkhead);
    bulkhead.set(settings(3)).unwrap();
    let second = entered(&mut second);
    let third = bulkhead.try_enter().unwrap();
    bulkhead.set(settings(1)).unwrap();
    assert_eq!(bulkhead.status().in_use, 3);
    drop((first, second));
    assert!(bulkhead.try_enter().is_err());
    drop(third);
    assert_eq!(free(&bulkhead), 1);

    // Grown again before the surplus was given back.
    let permit = bulkhead.try_enter().unwrap();
    bulkhead.set(settings(5)).unwrap();
    let rest: Vec<_> = (0..4).map(|_| bulkhead.try_enter().unwrap()).collect();
    bulkhead.set(settings(2)).unwrap();
    bulkhead.set(settings(4)).unwrap();
    assert!(bulkhead.try_enter().is_err());
    drop((permit, rest));
    assert_eq!(free(&bulkhead), 4);
    assert!(bulkhead.set(settings(0)).is_err());
    assert_eq!(bulkhead.status().max_concurrent, 4);
}

#[test]
fn a_storm_of_calls_and_changes_leaves_exactly_its_size() {
    let (bulkhead, _clock) = bulkhead(settings(8));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut held = Vec::new();
                for round in 0..5_000 {
                    held.extend(bulkhead.try_enter());
                    let mut waits: Waiter<'_> = Box::pin(bulkhead.enter());
                    drop(poll(&mut waits));
                    if round % 3 == 0 {
                        held.clear();
                    }
                }
            });
        }
        for round in 0..5_000 {
            bulkhead.set(settings(1 + round % 16)).unwrap();
        }
    });
    bulkhead.set(settings(8)).unwrap();
    assert_eq!(free(&bulkhead), 8);
    assert_eq!(
        (bulkhead.status().in_use, bulkhead.status().waiting),
        (0, 0)
    );
}

#[test]
fn no_place_at_all_is_refused() {
    let clock = mainstay_clock::system();
    let refused = Bulkhead::new("printer", settings(0), clock).unwrap_err();
    assert!(refused.to_string().contains("max_concurrent"));
}

#[test]
fn a_thread_waits_for_a_place_and_a_cancellation_wakes_it() {
    let (bulkhead, clock) = bulkhead(settings(1));
    let token = CancellationToken::new();
    let enter = || bulkhead.enter_blocking(&token);
    let somebody_waits = || {
        while bulkhead.status().waiting == 0 {
            thread::yield_now();
        }
    };
    let place = enter().unwrap();
    thread::scope(|scope| {
        // One that becomes free is taken,
        let waits = scope.spawn(enter);
        somebody_waits();
        drop(place);
        let place = waits.join().unwrap().unwrap();
        // a wait that is over is no longer,
        let waits = scope.spawn(enter);
        while !waits.is_finished() {
            clock.advance(SECOND);
            thread::yield_now();
        }
        assert_eq!(waits.join().unwrap().unwrap_err().by, RejectedBy::Bulkhead);
        // and one that is cancelled neither.
        let waits = scope.spawn(enter);
        somebody_waits();
        token.cancel();
        waits.join().unwrap().unwrap_err();
        drop(place);
    });
    let status = bulkhead.status();
    assert_eq!((status.in_use, status.waiting), (0, 0));
    assert_eq!((status.admitted, status.rejected), (2, 2));
}

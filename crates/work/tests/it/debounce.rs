//! W7: told after a pause, at the latest at the longest wait, and never lost.

use crate::held::{block_on, poll};
use mainstay_clock::ManualClock;
use mainstay_work::{DebounceSettings, Debounced, ErrorKind, Trigger, debounce};
use proptest::prelude::*;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn debounced() -> (Trigger<u32>, Debounced<u32>, ManualClock) {
    let clock = ManualClock::new();
    let settings = DebounceSettings::default();
    let (trigger, debounced) = debounce(settings, Arc::new(clock.clone())).unwrap();
    (trigger, debounced, clock)
}

/// What is told by now, and whether there will ever be anything.
fn told(debounced: &mut Debounced<u32>) -> Poll<Option<u32>> {
    poll(&mut Box::pin(debounced.next())).map_or(Poll::Pending, Poll::Ready)
}

/// What the model expects.
fn as_told(value: Option<u32>) -> Poll<Option<u32>> {
    value.map_or(Poll::Pending, |value| Poll::Ready(Some(value)))
}

#[test]
fn the_last_change_is_told_once_after_the_pause() {
    let (trigger, mut debounced, clock) = debounced();
    for value in 1..=3 {
        trigger.trigger(value);
        clock.advance(299 * MS);
        assert_eq!(told(&mut debounced), Poll::Pending);
    }
    clock.advance(MS);
    assert_eq!(told(&mut debounced), Poll::Ready(Some(3)));
    clock.advance(10_000 * MS);
    assert_eq!(told(&mut debounced), Poll::Pending);
}

#[test]
fn who_waits_hears_of_it_though_nothing_comes_after_it() {
    let (trigger, mut debounced, clock) = debounced();
    // One and the same wait, woken by the trigger, and then by nothing but the time.
    let mut waiting = Box::pin(debounced.next());
    assert!(poll(&mut waiting).is_none());
    trigger.trigger(1);
    assert!(poll(&mut waiting).is_none());
    clock.advance(300 * MS);
    assert_eq!(poll(&mut waiting), Some(Some(1)));
}

#[test]
fn whoever_goes_on_for_ever_is_told_at_the_longest_wait() {
    let (trigger, mut debounced, clock) = debounced();
    let mut times = Vec::new();
    for tick in 0..60_u32 {
        trigger.trigger(tick);
        if let Poll::Ready(Some(value)) = told(&mut debounced) {
            times.push((tick * 100, value));
        }
        clock.advance(100 * MS);
    }
    assert_eq!(times, [(2_000, 20), (4_100, 41)]);
}

#[test]
fn a_flush_tells_at_once_and_a_cancel_never() {
    let (trigger, mut debounced, clock) = debounced();
    trigger.trigger(1);
    trigger.flush();
    assert_eq!(told(&mut debounced), Poll::Ready(Some(1)));
    trigger.flush();
    assert_eq!(told(&mut debounced), Poll::Pending, "nothing is pending");
    trigger.trigger(2);
    assert_eq!(trigger.cancel(), Some(2));
    assert_eq!(trigger.cancel(), None);
    clock.advance(10_000 * MS);
    assert_eq!(told(&mut debounced), Poll::Pending);
    // The next one has its whole pause.
    trigger.trigger(3);
    clock.advance(299 * MS);
    assert_eq!(told(&mut debounced), Poll::Pending);
    clock.advance(MS);
    assert_eq!(told(&mut debounced), Poll::Ready(Some(3)));
}

#[test]
fn what_is_pending_when_the_last_trigger_goes_is_told_at_once() {
    let (trigger, mut debounced, _clock) = debounced();
    let clone = trigger.clone();
    trigger.trigger(7);
    drop(trigger);
    assert_eq!(told(&mut debounced), Poll::Pending);
    drop(clone);
    assert_eq!(told(&mut debounced), Poll::Ready(Some(7)));
    assert_eq!(told(&mut debounced), Poll::Ready(None));
}

#[test]
fn a_date_that_jumps_changes_nothing_and_a_long_sleep_tells_once() {
    let (trigger, mut debounced, clock) = debounced();
    trigger.trigger(1);
    for wall in [0, u64::MAX] {
        clock.set_wall(wall);
        assert_eq!(told(&mut debounced), Poll::Pending);
    }
    clock.advance(Duration::from_hours(24));
    assert_eq!(told(&mut debounced), Poll::Ready(Some(1)));
    assert_eq!(told(&mut debounced), Poll::Pending);
}

#[test]
fn one_who_waits_is_woken_by_another_thread() {
    let (trigger, debounced, _clock) = debounced();
    let waiter = thread::spawn(move || {
        let mut values = Vec::new();
        block_on(debounced.run(|value| values.push(value)));
        values
    });
    trigger.trigger(1);
    trigger.flush();
    trigger.trigger(2);
    drop(trigger);
    // The first may have been replaced before anybody looked; the last may not be lost.
    assert_eq!(waiter.join().unwrap().last(), Some(&2));
}

#[test]
fn a_wait_that_is_shorter_than_the_pause_is_refused() {
    let settings = DebounceSettings {
        quiet: 2 * MS,
        longest: MS,
    };
    let error = debounce::<()>(settings, mainstay_clock::system()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

proptest! {
    /// Against a model that looks every millisecond.
    #[test]
    fn every_value_is_told_when_the_rule_says(steps in prop::collection::vec((0..6_u8, 0..500_u32), 1..60)) {
        let (trigger, mut debounced, clock) = debounced();
        let mut pending: Option<(u32, u32, u32)> = None;
        let (mut now, mut value) = (0, 0);
        for (what, wait) in steps {
            match what {
                0..4 => {
                    value += 1;
                    let first = pending.map_or(now, |(_, first, _)| first);
                    pending = Some((value, first, now));
                    trigger.trigger(value);
                }
                4 => prop_assert_eq!(trigger.cancel(), pending.take().map(|(value, ..)| value)),
                _ => {
                    trigger.flush();
                    let expected = pending.take().map(|(value, ..)| value);
                    prop_assert_eq!(told(&mut debounced), as_told(expected));
                }
            }
            for _ in 0..wait {
                let is_due = |&mut (_, first, last): &mut (u32, u32, u32)| last + 300 <= now || first + 2_000 <= now;
                let expected = pending.take_if(is_due).map(|(value, ..)| value);
                prop_assert_eq!(told(&mut debounced), as_told(expected));
                now += 1;
                clock.advance(MS);
            }
        }
    }
}

//! W5: whoever watches hears of the first state at once, of changes no more often than asked for, and always of the last.

use crate::held::{Held, block_on, poll, pool, workers};
use mainstay_clock::ManualClock;
use mainstay_work::{ErrorKind, Failure, Progress, ProgressState, Snapshot, Unit, Updates, Work};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn progress() -> (Progress, ManualClock) {
    let clock = ManualClock::new();
    let progress = Progress::new("copy", Arc::new(clock.clone()));
    (progress, clock)
}

/// The next state, if it is there by now; whether there is one at all.
fn next(updates: &mut Updates) -> Poll<Option<Snapshot>> {
    poll(&mut Box::pin(updates.next())).map_or(Poll::Pending, Poll::Ready)
}

/// The next state, which is there by now.
fn told(updates: &mut Updates) -> Snapshot {
    match next(updates) {
        Poll::Ready(snapshot) => snapshot.unwrap(),
        Poll::Pending => panic!("nothing is told"),
    }
}

/// How much is done in the next state, if it is there by now.
fn done(updates: &mut Updates) -> Option<u64> {
    match next(updates) {
        Poll::Ready(snapshot) => Some(snapshot.unwrap().done),
        Poll::Pending => None,
    }
}

#[test]
fn the_first_state_comes_at_once_and_a_later_one_after_the_interval() {
    let (progress, clock) = progress();
    let mut updates = progress.updates(Updates::SCREEN);
    assert_eq!(done(&mut updates), Some(0));
    assert_eq!(done(&mut updates), None, "nothing is new");
    for reached in 1..=5 {
        progress.reach(reached);
        clock.advance(49 * MS);
        assert_eq!(done(&mut updates), None, "it is too early");
    }
    clock.advance(5 * MS);
    assert_eq!(
        done(&mut updates),
        Some(5),
        "the last of them, though nobody went on"
    );
    clock.advance(1_000 * MS);
    assert_eq!(done(&mut updates), None);
    progress.reach(6);
    assert_eq!(done(&mut updates), Some(6), "after a pause at once");
}

#[test]
fn who_waits_hears_of_the_last_change_though_nothing_comes_after_it() {
    let (progress, clock) = progress();
    let mut updates = progress.updates(Updates::SCREEN);
    assert_eq!(done(&mut updates), Some(0));
    progress.reach(5);
    // One and the same wait, which nothing but the time ends.
    let mut waiting = Box::pin(updates.next());
    assert!(poll(&mut waiting).is_none());
    clock.advance(250 * MS);
    assert_eq!(poll(&mut waiting).unwrap().unwrap().done, 5);
}

#[test]
fn each_who_watches_has_an_interval_of_its_own() {
    let (progress, clock) = progress();
    let mut screen = progress.updates(Updates::SCREEN);
    let mut log = progress.updates(Updates::LOG);
    let mut told = [0, 0];
    for reached in 0..100 {
        progress.reach(reached);
        told[0] += usize::from(done(&mut screen).is_some());
        told[1] += usize::from(done(&mut log).is_some());
        clock.advance(250 * MS);
    }
    assert_eq!(told, [100, 3]);
}

/// Each way to end, the state it is told by, and the number of what was counted just before.
#[test]
fn the_last_state_is_told_without_delay_however_it_ends() {
    type End = fn(Progress);
    let ends: [(End, ProgressState); 5] = [
        (Progress::finish, ProgressState::Done),
        (
            |progress| progress.fail("disk full"),
            ProgressState::Failed {
                why: "disk full".into(),
            },
        ),
        (Progress::cancel, ProgressState::Cancelled),
        (drop, ProgressState::Abandoned),
        (
            |progress| {
                let panic = catch_unwind(AssertUnwindSafe(move || {
                    progress.reach(9);
                    panic!("in the middle");
                }));
                assert!(panic.is_err());
            },
            ProgressState::Abandoned,
        ),
    ];
    for (end, state) in ends {
        let (progress, _clock) = progress();
        let mut updates = progress.updates(Updates::SCREEN);
        let mut late = progress.updates(Updates::SCREEN);
        assert_eq!(done(&mut updates), Some(0));
        progress.reach(9);
        assert_eq!(done(&mut updates), None, "it is too early");
        end(progress);
        for updates in [&mut updates, &mut late] {
            let last = told(updates);
            assert_eq!((last.done, &last.state), (9, &state));
            assert!(last.is_last());
            assert_eq!(next(updates), Poll::Ready(None), "and nothing after it");
        }
    }
}

/// The last state of a job that counts to nine, through the pool.
fn last_of(job: impl FnOnce() -> Result<(), Failure> + Send + 'static) -> Snapshot {
    let (pool, _clock) = pool(&workers(1, 1));
    let handle = pool.try_submit(Work::new("job"), |at| {
        at.progress().reach(9);
        job()
    });
    let mut updates = handle.unwrap().ticket().updates(Updates::SCREEN);
    loop {
        let snapshot = updates.next_blocking().unwrap();
        if snapshot.is_last() {
            return snapshot;
        }
    }
}

#[test]
fn the_last_state_of_a_job_is_told_when_it_ends_fails_panics_or_is_never_begun() {
    let ended = last_of(|| Ok(()));
    assert_eq!((ended.done, ended.state), (9, ProgressState::Done));
    let failed = last_of(|| Err("no room".into()));
    let why = "`job` failed: no room".into();
    assert_eq!(
        (failed.done, failed.state),
        (9, ProgressState::Failed { why })
    );
    let panicked = last_of(|| panic!("oh"));
    let why = "`job` panicked: oh".into();
    assert_eq!(
        (panicked.done, panicked.state),
        (9, ProgressState::Failed { why })
    );

    let (pool, _clock) = pool(&workers(1, 2));
    let held = Held::begin(&pool, Work::new("long"));
    let never = pool.try_submit(Work::new("never"), |_| Ok(())).unwrap();
    let mut updates = never.ticket().updates(Updates::SCREEN);
    assert_eq!(done(&mut updates), Some(0));
    never.cancel();
    let last = told(&mut updates);
    assert_eq!(last.state, ProgressState::Cancelled);

    let polite = pool.try_submit(Work::new("polite"), |job| {
        job.progress().reach(9);
        Ok(job.pause(Duration::MAX)?)
    });
    let polite = polite.unwrap();
    held.let_go().wait().unwrap();
    let mut updates = polite.ticket().updates(Duration::ZERO);
    while updates.next_blocking().unwrap().done < 9 {}
    polite.cancel();
    let last = updates.next_blocking().unwrap();
    assert_eq!((last.done, last.state), (9, ProgressState::Cancelled));
    assert_eq!(polite.wait().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_slow_display_and_many_who_count_lose_nothing_and_nothing_goes_back() {
    const EACH: u64 = 20_000;
    let (progress, _clock) = progress();
    let mut watchers = [(); 3].map(|()| progress.updates(Duration::ZERO));
    thread::scope(|scope| {
        for updates in &mut watchers {
            scope.spawn(move || {
                let mut before = 0;
                while let Some(snapshot) = updates.next_blocking() {
                    assert!(before <= snapshot.done);
                    before = snapshot.done;
                }
                assert_eq!(before, 4 * EACH);
            });
        }
        scope.spawn(move || {
            let counters = [(); 4].map(|()| progress.counter());
            thread::scope(|scope| {
                for counter in &counters {
                    scope.spawn(move || (0..EACH).for_each(|_| counter.add(1)));
                }
            });
            progress.finish();
            counters[0].add(1); // too late to be told
        });
    });
}

#[test]
fn who_waits_is_woken_by_a_single_change() {
    for _ in 0..200 {
        let (progress, _clock) = progress();
        let mut updates = progress.updates(Duration::ZERO);
        assert_eq!(done(&mut updates), Some(0));
        let waiter = thread::spawn(move || updates.next_blocking().unwrap().done);
        progress.add(1);
        assert_eq!(waiter.join().unwrap(), 1);
    }
}

#[test]
fn the_rate_is_that_of_the_last_while_and_the_estimate_follows_it() {
    let (mut progress, clock) = progress();
    progress.phase("reading", Unit::Items, Some(10_000));
    let watch = progress.watch();
    assert_eq!(watch.snapshot().rate, None, "nobody can tell yet");
    let go = |times: u32, each: u64| {
        for _ in 0..times {
            clock.advance(250 * MS);
            progress.add(each);
            watch.snapshot();
        }
        watch.snapshot()
    };
    let quick = go(80, 25);
    assert!((quick.rate.unwrap() - 100.0).abs() < 3.0, "{quick:?}");
    assert_eq!(quick.remaining.unwrap().as_secs() / 10, 8, "8,000 at 100/s");
    let slow = go(41, 5);
    assert!((slow.rate.unwrap() - 20.0).abs() < 1.0, "{slow:?}");
    let still = go(41, 0);
    assert_eq!(
        (still.rate, still.remaining),
        (Some(0.0), None),
        "nobody knows how long"
    );
    let ended = go(1, 10_000);
    assert_eq!(ended.remaining, Some(Duration::ZERO));
}

#[test]
fn a_clock_that_jumps_breaks_no_number_and_is_forgotten_soon() {
    let (mut progress, clock) = progress();
    progress.phase("reading", Unit::Bytes, Some(u64::MAX - 1));
    let mut updates = progress.updates(Updates::SCREEN);
    assert_eq!(done(&mut updates), Some(0));
    progress.reach(1);
    for wall in [0, u64::MAX] {
        clock.set_wall(wall);
        assert_eq!(done(&mut updates), None, "the date is no clock");
    }
    // Suspended for a day, and the count goes on where it was.
    clock.advance(Duration::from_hours(24));
    let after = told(&mut updates);
    assert!(after.rate.unwrap() < 1.0);
    for reached in 1..=50 {
        clock.advance(250 * MS);
        progress.reach(reached * 1_000);
        told(&mut updates);
    }
    let rate = progress.watch().snapshot().rate.unwrap();
    assert!((rate - 4_000.0).abs() < 200.0, "{rate}");
}

#[test]
fn phases_make_one_whole_and_a_counter_of_an_old_phase_shows_nowhere() {
    let (mut progress, _clock) = progress();
    progress.expect_phases(2);
    progress.phase("reading", Unit::Items, Some(10));
    let old = progress.counter();
    let watch = progress.watch();
    progress.reach(5);
    assert_eq!(watch.snapshot().fraction, Some(0.25));
    progress.phase("writing", Unit::Bytes, None);
    old.add(3);
    let writing = watch.snapshot();
    assert_eq!(
        (writing.number, writing.done, writing.fraction),
        (2, 0, None)
    );
    progress.set_total(100);
    progress.reach(50);
    assert_eq!(watch.snapshot().fraction, Some(0.75));
    // There was more to do than anybody thought: nothing goes back.
    progress.set_total(1_000);
    assert_eq!(watch.snapshot().fraction, Some(0.75));
    progress.reach(2_000);
    let more = watch.snapshot();
    assert_eq!((more.total, more.fraction), (Some(2_000), Some(1.0)));
}

#[test]
fn a_state_reads_as_a_line_and_as_an_event() {
    let (mut progress, clock) = progress();
    progress.expect_phases(2);
    progress.phase("reading", Unit::Bytes, Some(3 << 20));
    let watch = progress.watch();
    watch.snapshot();
    clock.advance(Duration::from_secs(3));
    progress.reach(3 << 19);
    progress.note("a.csv");
    let reading = watch.snapshot();
    assert_eq!(
        reading.to_string(),
        "copy, reading (1 of 2): 1.5 MiB of 3.0 MiB (25 %), 512.0 KiB/s, 3.0 s left, a.csv"
    );
    let event = serde_json::to_value(&reading).unwrap();
    let expected = serde_json::json!({
        "name": "copy", "phase": "reading", "number": 1, "phases": 2, "unit": "bytes",
        "done": 3 << 19, "total": 3 << 20, "fraction": 0.25, "rate": 524_288.0,
        "remaining_ms": 3_000, "elapsed_ms": 3_000, "note": "a.csv",
        "state": { "is": "running" },
    });
    assert_eq!(event, expected);
    progress.phase("writing", Unit::Items, Some(2));
    progress.reach(2);
    progress.finish();
    assert_eq!(
        watch.snapshot().to_string(),
        "copy, writing (2 of 2): 2 of 2 (100 %), done in 3.0 s"
    );
}

#[test]
fn what_shows_it_is_handed_in_and_sees_the_last_state() {
    let (progress, _clock) = progress();
    let updates = progress.updates(Updates::SCREEN);
    progress.reach(3);
    progress.finish();
    let mut lines = Vec::new();
    block_on(updates.show(|snapshot: &Snapshot| lines.push(snapshot.to_string())));
    assert_eq!(lines, ["copy: 3 (100 %), done in 0.0 s"]);
}

proptest! {
    /// Whatever is counted, in whatever phases, under whatever clock, and however often somebody looks.
    #[test]
    fn no_number_goes_back_and_none_makes_no_sense(
        steps in prop::collection::vec((0..8_u8, any::<u64>(), 0..70_u32), 1..200),
    ) {
        let (mut progress, clock) = progress();
        let watch = progress.watch();
        let mut before = watch.snapshot();
        for (what, number, bits) in steps {
            let number = number.checked_shr(bits).unwrap_or(0);
            match what {
                0 => progress.reach(number),
                1 => progress.add(number),
                2 => progress.set_total(number),
                3 => progress.phase("next", Unit::Items, (number % 2 == 0).then_some(number)),
                4 => progress.expect_phases(number as u32),
                5 => clock.set_wall(number),
                6 => clock.advance(Duration::from_nanos(number)),
                _ => progress.note("x"),
            }
            let now = watch.snapshot();
            prop_assert!((before.number, before.done) <= (now.number, now.done) || before.number < now.number);
            prop_assert!(now.number <= now.phases);
            prop_assert!(now.total.is_none_or(|total| now.done <= total));
            prop_assert!(before.elapsed <= now.elapsed);
            if let Some(fraction) = now.fraction {
                prop_assert!((0.0..=1.0).contains(&fraction));
                prop_assert!(before.fraction.is_none_or(|before| before <= fraction));
            }
            prop_assert!(now.rate.is_none_or(|rate| rate.is_finite() && 0.0 <= rate));
            before = now;
        }
    }
}

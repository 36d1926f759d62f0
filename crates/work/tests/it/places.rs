//! W1: no more run than there are workers, no more wait than there are places, in all and of each kind.

use crate::held::{DISK, Held, block_on, drain, poll, pool, wait, workers};
use mainstay_work::{Error, ErrorKind, Failure, Kind, Pool, PoolSettings, Priority, Work};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

/// How many are at it at once, of how many that may be.
struct Count {
    now: AtomicUsize,
    most: usize,
}

impl Count {
    fn with_most(most: usize) -> Arc<Self> {
        let now = AtomicUsize::new(0);
        Arc::new(Self { now, most })
    }

    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(now <= self.most, "{now} at once, of {}", self.most);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn nothing(job: &mut mainstay_work::Job) -> Result<(), Failure> {
    Ok(job.check()?)
}

#[test]
fn only_so_many_run_and_only_so_many_wait() {
    let (pool, _clock) = pool(&workers(2, 3));
    let running = [(); 2].map(|()| Held::begin(&pool, Work::new("long")));
    let waiting = [(); 3].map(|()| pool.try_submit(Work::new("short"), nothing).unwrap());
    let refused = pool.try_submit(Work::new("late"), nothing).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert_eq!(
        refused.to_string(),
        "`test` has no place for `late`, try again later"
    );
    let status = pool.status();
    assert_eq!((status.running.len(), status.waiting), (2, 3));
    assert_eq!(status.refused, 1);
    for held in running {
        assert!(!held.let_go().wait().unwrap());
    }
    for handle in waiting {
        handle.wait().unwrap();
    }
    let again = pool.try_submit(Work::new("late"), nothing).unwrap();
    again.wait().unwrap();
    drain(&pool);
    assert_eq!(pool.status().finished, 6);
}

#[test]
fn who_waits_for_a_place_gets_one_in_the_order_of_arrival() {
    let (pool, _clock) = pool(&workers(1, 1));
    let held = Held::begin(&pool, Work::new("long"));
    let first = pool.try_submit(Work::new("first"), nothing).unwrap();
    let mut second = Box::pin(pool.submit(Work::new("second"), nothing));
    let mut third = Box::pin(pool.submit(Work::new("third"), nothing));
    assert!(poll(&mut second).is_none());
    assert!(poll(&mut third).is_none());
    // What is cancelled while it waits gives its place to the next.
    first.cancel();
    assert!(poll(&mut third).is_none());
    let second = poll(&mut second).unwrap().unwrap();
    assert!(poll(&mut third).is_none());
    held.let_go().wait().unwrap();
    second.wait().unwrap();
    block_on(third).unwrap().wait().unwrap();
    assert_eq!(first.wait().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn whoever_hears_that_a_job_left_the_line_finds_its_place_free() {
    let (pool, _clock) = pool(&workers(1, 1));
    let held = Held::begin(&pool, Work::new("long"));
    let (sender, receiver) = sync_channel(1);
    let asked = pool.clone();
    let then = move |_: Result<(), Error>| {
        let next = asked.try_place(Work::new("next"));
        sender.send(next.is_ok()).unwrap();
    };
    let place = pool.try_place(Work::new("first")).unwrap();
    place.submit_then(nothing, then).cancel();
    assert!(wait(&receiver));
    held.let_go().wait().unwrap();
}

#[test]
fn a_place_that_is_not_used_is_given_back_and_one_that_is_used_is_never_refused() {
    let (pool, _clock) = pool(&workers(1, 1));
    let held = Held::begin(&pool, Work::new("long"));
    let place = pool.try_place(Work::new("first")).unwrap();
    assert!(pool.try_place(Work::new("second")).is_err());
    drop(place);
    let place = pool.try_place(Work::new("second")).unwrap();
    held.let_go().wait().unwrap();
    place.submit(nothing).wait().unwrap();
}

#[test]
fn who_waits_for_a_place_is_told_when_the_pool_is_closed_or_it_is_cancelled() {
    let (pool, _clock) = pool(&workers(1, 1));
    let held = Held::begin(&pool, Work::new("long"));
    let waiting = pool.try_submit(Work::new("waiting"), nothing).unwrap();
    let token = mainstay_work::CancellationToken::new();
    let work = Work::new("cancelled").cancelled_by(&token);
    let mut cancelled = Box::pin(pool.place(work));
    assert!(poll(&mut cancelled).is_none());
    token.cancel();
    let error = poll(&mut cancelled).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);

    let mut late = Box::pin(pool.place(Work::new("late")));
    assert!(poll(&mut late).is_none());
    let mut draining = Box::pin(pool.drain(crate::held::DEADLINE));
    assert!(poll(&mut draining).is_none());
    let error = poll(&mut late).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let error = pool.try_place(Work::new("later")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    held.let_go().wait().unwrap();
    waiting.wait().unwrap();
    assert!(block_on(draining).is_empty());
}

#[test]
fn only_so_many_of_a_kind_run_and_wait_and_others_are_not_held_up() {
    let (pool, _clock) = pool(&PoolSettings {
        kinds: vec![DISK],
        ..workers(3, 10)
    });
    let disk = || Work::new("scrub").kind("disk").priority(Priority::High);
    let held = Held::begin(&pool, disk());
    let waiting = [(); 2].map(|()| pool.try_submit(disk(), nothing).unwrap());
    let refused = pool.try_submit(disk(), nothing).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    // Later and less urgent, and done while the disk is in use.
    let other = Work::new("other").priority(Priority::Low);
    pool.try_submit(other, nothing).unwrap().wait().unwrap();
    assert_eq!(pool.status().waiting, 2);
    held.let_go().wait().unwrap();
    for handle in waiting {
        handle.wait().unwrap();
    }
}

#[test]
fn a_storm_of_jobs_stays_within_every_limit_and_each_is_answered() {
    let (pool, _clock) = pool(&PoolSettings {
        kinds: vec![Kind {
            waiting: 50,
            ..DISK
        }],
        ..workers(3, 8)
    });
    let (all, disk) = (Count::with_most(3), Count::with_most(1));
    let submit = |pool: &Pool, number: usize| {
        let is_disk = number.is_multiple_of(2);
        let mut counts = vec![Arc::clone(&all)];
        counts.extend(is_disk.then(|| Arc::clone(&disk)));
        let work = Work::new("storm").kind(if is_disk { "disk" } else { "" });
        let handle = pool.submit_blocking(work, move |_| {
            for count in &counts {
                count.enter();
            }
            thread::yield_now();
            for count in &counts {
                count.leave();
            }
            Ok(number)
        });
        let handle = handle.unwrap();
        if number.is_multiple_of(5) {
            handle.cancel();
        }
        match handle.wait() {
            Ok(result) => assert_eq!(result, number),
            Err(error) => assert_eq!((error.kind(), number % 5), (ErrorKind::Cancelled, 0)),
        }
    };
    thread::scope(|scope| {
        for thread in 0..6 {
            let (pool, submit) = (&pool, &submit);
            scope.spawn(move || (0..100).for_each(|number| submit(pool, thread * 100 + number)));
        }
    });
    drain(&pool);
    let status = pool.status();
    assert_eq!(status.finished + status.cancelled, 600);
    assert_eq!((status.panicked, status.failed), (0, 0));
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let refused = |settings: PoolSettings| {
        let error = Pool::new("test", &settings, mainstay_clock::system()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    };
    let kinds = |kinds: &[Kind]| PoolSettings {
        kinds: kinds.to_vec(),
        ..workers(1, 1)
    };
    assert_eq!(
        refused(workers(0, 1)),
        "a pool of 0 workers cannot be: choose 1 to 1024"
    );
    assert!(refused(workers(1, 0)).starts_with("a pool in which 0 jobs may wait cannot be"));
    assert!(refused(kinds(&[Kind { at_once: 0, ..DISK }])).contains("`disk` could never run"));
    assert!(refused(kinds(&[DISK, DISK])).contains("`disk` is given twice"));
}

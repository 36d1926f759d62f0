//! W4: cancelled by being asked, waited for so long and no longer, and named where it does not stop.

use crate::held::{DEADLINE, DISK, Held, block_on, poll, pool, wait, workers};
use mainstay_clock::Clock;
use mainstay_work::{CancellationToken, ErrorKind, Failure, Job, Pool, PoolSettings, Work};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

/// Works until it is asked to stop.
fn listens(job: &mut Job) -> Result<(), Failure> {
    loop {
        job.pause(Duration::from_secs(1))?;
    }
}

#[test]
fn what_does_not_stop_is_reported_by_name_after_a_bounded_wait() {
    let (pool, clock) = pool(&workers(2, 10));
    let held = Held::begin(&pool, Work::new("copying a disk"));
    let polite = pool.try_submit(Work::new("polite"), listens).unwrap();
    clock.advance(Duration::from_secs(3));
    let mut closing = Box::pin(pool.close(LIMIT));
    assert!(poll(&mut closing).is_none());
    let error = polite.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    clock.advance(LIMIT.saturating_sub(Duration::from_millis(1)));
    assert!(poll(&mut closing).is_none(), "its time is not over");
    clock.advance(Duration::from_millis(1));
    let leftover = poll(&mut closing).unwrap();
    drop(closing);
    let [stuck] = &leftover.running[..] else {
        panic!("{leftover:?}");
    };
    assert_eq!((&*stuck.name, stuck.is_cancelled), ("copying a disk", true));
    assert_eq!(stuck.since, Duration::from_secs(8));
    assert!(leftover.waiting.is_empty());

    // It was not ended by force, heard of it, and is waited for again.
    assert!(held.let_go().wait().unwrap());
    assert!(block_on(pool.close(DEADLINE)).is_empty());
}

#[test]
fn what_waits_behind_something_stuck_is_answered_at_the_end_of_the_wait() {
    let (pool, clock) = pool(&workers(1, 10));
    let held = Held::begin(&pool, Work::new("stuck"));
    let (sender, receiver) = sync_channel(1);
    let place = pool.try_place(Work::new("behind")).unwrap();
    place.submit_then(|_| Ok(()), move |result| sender.send(result).unwrap());
    let mut closing = Box::pin(pool.close(LIMIT));
    assert!(poll(&mut closing).is_none());
    clock.advance(LIMIT);
    let leftover = poll(&mut closing).unwrap();
    assert_eq!(&*leftover.waiting[0].name, "behind");
    let error = wait(&receiver).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    drop(held.let_go());
}

#[test]
fn what_waits_for_a_kind_that_is_stuck_does_not_wait_for_the_end() {
    let (pool, clock) = pool(&PoolSettings {
        kinds: vec![DISK],
        ..workers(2, 10)
    });
    let held = Held::begin(&pool, Work::new("stuck").kind("disk"));
    let (sender, receiver) = sync_channel(1);
    let place = pool.try_place(Work::new("behind").kind("disk")).unwrap();
    place.submit_then(|_| Ok(()), move |result| sender.send(result).unwrap());
    let mut closing = Box::pin(pool.close(LIMIT));
    assert!(poll(&mut closing).is_none());
    let error = wait(&receiver).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    clock.advance(LIMIT);
    let leftover = poll(&mut closing).unwrap();
    // Whoever answered may be on his way out, and comes after it.
    assert_eq!(&*leftover.running[0].name, "stuck");
    assert!(leftover.waiting.is_empty());
    drop(held.let_go());
}

#[test]
fn dropping_a_pool_waits_for_nobody_and_cancels_all() {
    let (pool, _clock) = pool(&workers(1, 10));
    let held = Held::begin(&pool, Work::new("stuck"));
    let behind = pool.try_submit(Work::new("behind"), |_| Ok(())).unwrap();
    let clone = pool.clone();
    drop(pool);
    assert!(clone.try_place(Work::new("still open")).is_ok());
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || {
        drop(clone);
        sender.send(()).unwrap();
    });
    wait(&receiver);
    // Nobody gets to it, and yet it is over.
    let error = behind.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(held.let_go().wait().unwrap(), "it was asked to stop");
}

#[test]
fn dropping_a_handle_lets_the_job_go_on() {
    let (pool, _clock) = pool(&workers(1, 1));
    let (sender, receiver) = sync_channel(1);
    let handle = pool.try_submit(Work::new("on its own"), move |_| Ok(sender.send(5)?));
    drop(handle.unwrap());
    assert_eq!(wait(&receiver), 5);
}

#[test]
fn what_waits_is_over_when_it_is_cancelled_though_all_workers_are_stuck() {
    let (pool, _clock) = pool(&workers(1, 1));
    let held = Held::begin(&pool, Work::new("stuck"));
    let first = pool.try_submit(Work::new("first"), |_| Ok(())).unwrap();
    first.cancel();
    assert_eq!(first.wait().unwrap_err().kind(), ErrorKind::Cancelled);

    // By a token that knows nothing of the pool, from another thread.
    let token = CancellationToken::new();
    let work = Work::new("second").cancelled_by(&token);
    let second = pool.try_submit(work, |_| Ok(())).unwrap();
    let canceller = thread::spawn(move || token.cancel());
    assert_eq!(second.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    canceller.join().unwrap();

    let third = pool.try_submit(Work::new("third"), |_| Ok(())).unwrap();
    pool.cancel_all();
    assert_eq!(third.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(held.let_go().wait().unwrap());
    // It goes on taking jobs.
    let after = pool.try_submit(Work::new("after"), |_| Ok(())).unwrap();
    after.wait().unwrap();
}

/// Lets a job go when it is cancelled, and waits until the one behind it has left the line.
struct LetsIn {
    pool: Pool,
    let_go: SyncSender<()>,
}

impl Wake for LetsIn {
    fn wake(self: Arc<Self>) {
        self.let_go.send(()).unwrap();
        while 0 < self.pool.status().waiting {
            thread::yield_now();
        }
    }
}

/// A job that came from the line to a worker between two looks was on neither list, and went on.
#[test]
fn what_begins_while_all_are_cancelled_is_cancelled_too() {
    let (pool, _clock) = pool(&workers(1, 1));
    let (tell, told) = sync_channel(1);
    let (let_go, gone) = sync_channel(1);
    let first = pool.try_submit(Work::new("first"), move |job| {
        tell.send(job.token().clone())?;
        wait(&gone);
        Ok(())
    });
    let token = wait(&told);
    let next = pool.try_submit(Work::new("next"), |_| Ok(())).unwrap();
    let waker = Waker::from(Arc::new(LetsIn {
        pool: pool.clone(),
        let_go,
    }));
    let mut cancelled = pin!(token.cancelled());
    let mut context = Context::from_waker(&waker);
    assert!(cancelled.as_mut().poll(&mut context).is_pending());
    pool.cancel_all();
    assert_eq!(next.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    first.unwrap().wait().unwrap();
}

#[test]
fn cancelling_a_job_ends_its_pause_and_not_the_token_it_came_from() {
    let (pool, _clock) = pool(&workers(2, 2));
    let token = CancellationToken::new();
    let one = Work::new("one").cancelled_by(&token);
    let one = pool.try_submit(one, listens).unwrap();
    one.cancel();
    assert_eq!(one.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(!token.is_cancelled());
}

#[test]
fn a_job_that_came_to_its_result_though_it_was_cancelled_has_it() {
    let (pool, _clock) = pool(&workers(1, 1));
    let held = Held::begin(&pool, Work::new("nearly done"));
    held.handle.cancel();
    assert!(held.let_go().wait().unwrap());
}

#[test]
fn stopping_one_job_waits_no_longer_than_it_may_and_may_be_repeated() {
    let (pool, clock) = pool(&workers(1, 1));
    let mut held = Held::begin(&pool, Work::new("stubborn"));
    {
        let mut stopping = Box::pin(held.handle.stop(LIMIT));
        assert!(poll(&mut stopping).is_none());
        clock.advance(LIMIT);
        let error = poll(&mut stopping).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StillRunning);
        assert!(error.to_string().contains("`stubborn`"));
    }
    assert!(held.let_go().wait().unwrap());
}

#[test]
fn draining_does_all_that_was_handed_in_and_takes_nothing_new() {
    let (pool, clock) = pool(&workers(1, 10));
    let held = Held::begin(&pool, Work::new("long"));
    let behind = pool.try_submit(Work::new("behind"), |_| Ok(7)).unwrap();
    let mut draining = Box::pin(pool.drain(LIMIT));
    assert!(poll(&mut draining).is_none());
    clock.advance(LIMIT);
    let leftover = poll(&mut draining).unwrap();
    assert_eq!((leftover.running.len(), leftover.waiting.len()), (1, 1));
    assert!(!held.let_go().wait().unwrap(), "nobody cancelled it");
    assert_eq!(behind.wait().unwrap(), 7);
    drop(draining);
    assert!(block_on(pool.drain(DEADLINE)).is_empty());
}

#[test]
fn a_date_that_jumps_ends_no_wait() {
    let (pool, clock) = pool(&workers(1, 10));
    let held = Held::begin(&pool, Work::new("stuck"));
    let mut closing = Box::pin(pool.close(LIMIT));
    for wall in [0, u64::MAX, clock.wall()] {
        clock.set_wall(wall);
        assert!(poll(&mut closing).is_none());
    }
    drop(held.let_go());
    assert!(block_on(closing).is_empty());
}

/// It made its sleep on the thread of the worker, which has no runtime that the machine's clock could sleep in.
#[test]
fn a_job_pauses_by_the_clock_of_the_machine_and_is_woken_when_it_is_cancelled() {
    let pool = Pool::new("real", &workers(1, 1), mainstay_clock::system()).unwrap();
    let moment = Work::new("a moment");
    let paused = pool.try_submit(moment, |job| Ok(job.pause(Duration::from_millis(1))?));
    paused.unwrap().wait().unwrap();
    let begun = sync_channel(1);
    let endless = pool.try_submit(Work::new("endless"), move |job| {
        begun.0.send(()).unwrap();
        Ok(job.pause(Duration::from_hours(1))?)
    });
    let endless = endless.unwrap();
    begun.1.recv().unwrap();
    endless.cancel();
    assert_eq!(endless.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(pool.close_blocking(DEADLINE).is_empty());
}

//! W3: a panic is an error, a worker lives, and every job is answered once.

use crate::held::{Held, block_on, drain, pool, wait, workers};
use mainstay_work::{Done, Error, ErrorKind, Failure, Job, Work};
use std::panic::panic_any;
use std::sync::mpsc::sync_channel;
use tokio::sync::mpsc;

/// Panics again when what it panicked with is thrown away.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "the bomb goes off");
    }
}

#[test]
fn a_job_that_panics_is_an_error_with_its_text_and_its_worker_goes_on() {
    type Run = fn(&mut Job) -> Result<(), Failure>;
    let (pool, _clock) = pool(&workers(1, 10));
    let jobs: [(Run, &str); 4] = [
        (|_| panic!("plain"), "`job` panicked: plain"),
        (|job| panic!("in {}", job.name()), "`job` panicked: in job"),
        (
            |_| panic_any(5),
            "`job` panicked: it said nothing that is text",
        ),
        (
            |_| panic_any(Bomb),
            "`job` panicked: it said nothing that is text",
        ),
    ];
    for (job, text) in jobs {
        let handle = pool.try_submit(Work::new("job"), job).unwrap();
        let error = handle.wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert_eq!(error.to_string(), text);
    }
    // The one worker is still there, and nothing that it holds is poisoned.
    let after = pool.try_submit(Work::new("after"), |_| Ok(7)).unwrap();
    assert_eq!(after.wait().unwrap(), 7);
    drain(&pool);
    assert_eq!((pool.status().panicked, pool.status().finished), (4, 1));
}

#[test]
fn a_result_or_a_callback_that_panics_costs_no_worker() {
    let (pool, _clock) = pool(&workers(1, 10));
    // Nobody takes it: when it is made its handle is gone, so that it goes off at the worker, where it is thrown away.
    let held = Held::begin(&pool, Work::new("long"));
    drop(pool.try_submit(Work::new("bomb"), |_| Ok(Bomb)).unwrap());
    held.let_go().wait().unwrap();
    let place = pool.try_place(Work::new("callback")).unwrap();
    place.submit_then(|_| Ok(1), |_| panic!("in the callback"));
    let after = pool.try_submit(Work::new("after"), |_| Ok(7)).unwrap();
    assert_eq!(after.wait().unwrap(), 7);
}

#[test]
fn a_job_that_fails_keeps_its_own_error() {
    let (pool, _clock) = pool(&workers(1, 10));
    let handle = pool.try_submit(Work::new("count"), |_| Ok("x".parse::<u32>()?));
    let error = handle.unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(error.to_string(), "`count` failed");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "invalid digit found in string");
    let failure = error.into_failure().unwrap();
    assert!(failure.downcast::<std::num::ParseIntError>().is_ok());
}

#[test]
fn a_result_comes_by_handle_callback_or_channel() {
    let (pool, _clock) = pool(&workers(1, 10));
    let handle = pool.try_submit(Work::new("a"), |_| Ok(1)).unwrap();
    assert_eq!(block_on(handle).unwrap(), 1);

    let (sender, receiver) = sync_channel(1);
    let place = pool.try_place(Work::new("b")).unwrap();
    place.submit_then(|_| Ok(2), move |result| sender.send(result).unwrap());
    assert_eq!(wait(&receiver).unwrap(), 2);

    let (sender, mut receiver) = mpsc::channel::<Done<u32>>(1);
    let slot = sender.try_reserve_owned().unwrap();
    let place = pool.try_place(Work::new("c")).unwrap();
    place.submit_to(|_| Ok(3), slot);
    let done = block_on(receiver.recv()).unwrap();
    assert_eq!((&*done.name, done.result.unwrap()), ("c", 3));
}

#[test]
fn a_job_that_is_never_begun_is_answered_too_each_way() {
    let (pool, _clock) = pool(&workers(1, 10));
    let held = Held::begin(&pool, Work::new("long"));
    let never = |_: &mut Job| -> Result<(), Failure> { panic!("it was cancelled before") };

    let handle = pool.try_submit(Work::new("a"), never).unwrap();
    handle.cancel();
    let (sender, by_callback) = sync_channel::<Result<(), Error>>(1);
    let place = pool.try_place(Work::new("b")).unwrap();
    let ticket = place.submit_then(never, move |result| sender.send(result).unwrap());
    ticket.cancel();
    let (sender, mut by_channel) = mpsc::channel(1);
    let slot = sender.try_reserve_owned().unwrap();
    let place = pool.try_place(Work::new("c")).unwrap();
    place.submit_to(never, slot).cancel();

    // While the one worker is still busy.
    for error in [
        handle.wait().unwrap_err(),
        wait(&by_callback).unwrap_err(),
        block_on(by_channel.recv()).unwrap().result.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
    held.let_go().wait().unwrap();
    drain(&pool);
    let status = pool.status();
    assert_eq!((status.cancelled, status.finished), (3, 1));
}

#[test]
fn a_result_that_was_taken_is_an_error_and_no_panic() {
    let (pool, _clock) = pool(&workers(1, 1));
    let mut handle = pool.try_submit(Work::new("once"), |_| Ok(())).unwrap();
    block_on(&mut handle).unwrap();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Closed);
}

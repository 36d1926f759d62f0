//! A pool under a clock that is moved by hand, and jobs that end when they are told to.

use mainstay_clock::ManualClock;
use mainstay_work::{Failure, Handle, Kind, Pool, PoolSettings, Work};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// No test waits longer for something that has to happen.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// A job that runs until it is let go, whatever anybody says to it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) handle: Handle<bool>,
    let_go: SyncSender<()>,
}

impl Held {
    /// Hands one in and waits until it runs. Its result is whether it was cancelled meanwhile.
    pub(crate) fn begin(pool: &Pool, work: Work) -> Self {
        let (has_begun, begun) = sync_channel(1);
        let (let_go, gone) = sync_channel(1);
        let handle = pool.try_submit(work, move |job| {
            has_begun.send(())?;
            wait(&gone);
            Ok::<_, Failure>(job.is_cancelled())
        });
        let handle = handle.unwrap();
        wait(&begun);
        Self { handle, let_go }
    }

    pub(crate) fn let_go(self) -> Handle<bool> {
        self.let_go.send(()).unwrap();
        self.handle
    }
}

pub(crate) fn wait<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(DEADLINE).unwrap()
}

pub(crate) fn pool(settings: &PoolSettings) -> (Pool, ManualClock) {
    let clock = ManualClock::new();
    let pool = Pool::new("test", settings, Arc::new(clock.clone())).unwrap();
    (pool, clock)
}

pub(crate) fn workers(workers: usize, waiting: usize) -> PoolSettings {
    PoolSettings {
        workers,
        waiting,
        kinds: Vec::new(),
    }
}

/// Of which one is done at once, and two wait.
pub(crate) const DISK: Kind = Kind {
    name: "disk",
    at_once: 1,
    waiting: 2,
};

/// What it has come to by now; nobody is woken.
pub(crate) fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Waits on this thread, without any clock but that of the test.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// Waits until all that was handed in is done, and its results are counted.
pub(crate) fn drain(pool: &Pool) {
    assert!(block_on(pool.drain(DEADLINE)).is_empty());
}

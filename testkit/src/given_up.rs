//! Futures that are dropped after so many polls.
//!
//! A future that works with threads is not polled at the same points in every life: an answer that comes a moment later is
//! one more poll, or one less. So there are three [`Pace`]s. With the first two it is polled only after all that it began has
//! ended, on a runtime with one thread for what blocks. Then it comes by the same points in each life, a poll more or less
//! where the system tells it of something (that a file has come), and is dropped at each of them. The third takes turns with
//! those threads as they come, and meets what it meets.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// The future that is to be dropped.
pub type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// More often than that nothing here has to come to rest before it ends.
const RESTS_MAX: usize = 400;

/// Longer than that nothing here takes on the slowest machine, however often it is woken meanwhile.
const PATIENCE: Duration = Duration::from_mins(1);

/// When a future is polled again, and what goes on when it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Polled when all that it began has ended; dropped while what its last poll began goes on.
    DroppedAtOnce,
    /// Polled and dropped when all that it began has ended; the answers lie there, and it has not seen them.
    DroppedAtRest,
    /// Polled whenever it was woken, and dropped at once.
    AsItComes,
}

impl Pace {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DroppedAtOnce, Self::DroppedAtRest, Self::AsItComes];
}

impl Pace {
    /// The runtime for it. Where it says when all has ended there is one thread for all that blocks, so that what is begun
    /// there ends in the order in which it was begun.
    ///
    /// # Panics
    /// Where the system gives no thread.
    pub fn runtime(self) -> Runtime {
        let mut runtime = match self {
            Self::DroppedAtOnce | Self::DroppedAtRest => Builder::new_current_thread(),
            Self::AsItComes => Builder::new_multi_thread(),
        };
        if self != Self::AsItComes {
            runtime.max_blocking_threads(1);
        }
        runtime
            .enable_all()
            .build()
            .expect("the system gives a thread")
    }
}

/// Waits until everything has ended that was begun on the one blocking thread of this [runtime](Pace::runtime).
///
/// # Panics
/// Where the runtime ends.
pub async fn blocking_is_done() {
    let last = tokio::task::spawn_blocking(|| ());
    last.await.expect("the runtime goes on");
}

/// Polls `work` so often, and drops it. Returns whether it came to its end before.
///
/// `rest` waits until all that was begun has ended. `beside` is what goes on around it: it is called whenever `work` waits and
/// was not woken, with the number of such calls before.
///
/// # Panics
/// Where `work` never ends: it is polled, or waits, without end.
pub async fn ends_within(
    polls: usize,
    pace: Pace,
    mut work: Work<'_>,
    mut rest: impl AsyncFnMut(),
    mut beside: impl FnMut(usize),
) -> bool {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let (started, mut rests, mut turns) = (Instant::now(), 0, 0);
    for poll in 1..=polls {
        woken.0.store(false, Ordering::SeqCst);
        if work.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(()) {
            return true;
        }
        if poll == polls {
            break;
        }
        loop {
            let is_in_time = match pace {
                Pace::AsItComes => {
                    give_way().await;
                    started.elapsed() < PATIENCE
                }
                Pace::DroppedAtOnce | Pace::DroppedAtRest => {
                    rest().await;
                    rests += 1;
                    rests < RESTS_MAX
                }
            };
            assert!(is_in_time, "it does not come to its end");
            if woken.0.load(Ordering::SeqCst) {
                break;
            }
            beside(turns);
            turns += 1;
        }
    }
    if pace == Pace::DroppedAtRest {
        rest().await;
    }
    false
}

/// A folder in memory, where the system has one: many lives are lived in such folders, and none of them loses its power.
///
/// # Panics
/// Where no folder can be made.
pub fn scratch() -> TempDir {
    let made = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
    made.expect("a temporary folder can be made")
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Lets everything else have a turn, other threads too.
async fn give_way() {
    std::thread::yield_now();
    tokio::task::yield_now().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for certain, which a thread that is quick does not let one do.
    async fn waits_once() {
        let mut has_waited = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut has_waited, true) {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
    }

    #[test]
    fn every_await_is_met_once_and_the_end_is_told() {
        for pace in Pace::ALL {
            let steps = Arc::new(AtomicBool::new(false));
            let mut ends = Vec::new();
            for polls in 0..=4 {
                let done = Arc::clone(&steps);
                let work: Work<'_> = Box::pin(async move {
                    done.store(false, Ordering::SeqCst);
                    waits_once().await;
                    waits_once().await;
                    done.store(true, Ordering::SeqCst);
                });
                let ended = pace.runtime().block_on(ends_within(
                    polls,
                    pace,
                    work,
                    async || blocking_is_done().await,
                    |_| {},
                ));
                assert_eq!(steps.load(Ordering::SeqCst), ended);
                ends.push(ended);
            }
            assert_eq!(ends, [false, false, false, true, true], "{pace:?}");
        }
    }
}

//! How a thread waits for what is asynchronous.

use std::future::Future;
use std::panic::resume_unwind;
use std::thread;
use tokio::runtime::{Builder, Handle};

/// Waits for `future` on this thread, which may be one of a runtime.
///
/// A runtime of its own drives the timers. A thread that is inside a runtime may not enter another, and may be the only one that
/// drives the timers of its own; there, the waiting is done by a helper thread. Either costs tens of microseconds, so whoever can
/// do without a wait asks first.
///
/// ```
/// use mainstay_clock::{block_on, system};
/// use std::time::Duration;
///
/// block_on(async { system().sleep(Duration::from_millis(1)).await });
/// ```
///
/// # Panics
///
/// Where `future` does, and where the system refuses a thread.
pub fn block_on<F>(future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    if Handle::try_current().is_err() {
        return run(future);
    }
    thread::scope(|scope| {
        let helper = scope.spawn(|| run(future));
        helper.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn run<F: Future>(future: F) -> F::Output {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime that does no I/O asks the system for nothing")
        .block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system;
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    async fn answer() -> u32 {
        system().sleep(Duration::from_millis(1)).await;
        42
    }

    #[test]
    fn a_plain_thread_waits_for_a_timer() {
        assert_eq!(block_on(answer()), 42);
    }

    #[test]
    fn a_thread_inside_any_runtime_waits_too() {
        let single = Builder::new_current_thread().build().unwrap();
        assert_eq!(single.block_on(async { block_on(answer()) }), 42);
        let several = Builder::new_multi_thread().build().unwrap();
        let task = several.spawn(async { block_on(answer()) });
        assert_eq!(several.block_on(task).unwrap(), 42);
        let blocking = several.spawn_blocking(|| block_on(answer()));
        assert_eq!(several.block_on(blocking).unwrap(), 42);
    }

    #[test]
    fn a_future_borrows_from_the_thread_that_waits() {
        let cell = Cell::new(1);
        let mut count = cell.get();
        block_on(async { count += 1 });
        assert_eq!(count, 2);
    }

    #[test]
    fn a_panic_reaches_the_one_who_waits() {
        let single = Builder::new_current_thread().build().unwrap();
        let broken = || single.block_on(async { block_on(async { panic!("broken") }) });
        let panic = catch_unwind(AssertUnwindSafe(broken)).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"broken"));
    }
}

//! What threads share, by the names of the standard library.
//!
//! Built with `--cfg shuttle`, as the tests of schedules are, the same names stand for those of a library that runs one
//! thread at a time and chooses at each lock, wait and atomic who goes on. What tokio brings never blocks, and each of
//! its calls is one step of a schedule.

#[cfg(shuttle)]
mod chosen;

#[cfg(shuttle)]
pub(crate) use chosen::{Condvar, Notify};
#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::{Mutex, MutexGuard, atomic},
    thread,
};
#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread,
};

#[cfg(not(shuttle))]
pub(crate) use tokio::sync::Notify;
use tokio::sync::oneshot::{Receiver, error::RecvError};

/// Holds the thread up until the answer comes, or nobody is left to give it.
pub(crate) fn wait<T>(answer: Receiver<T>) -> Result<T, RecvError> {
    #[cfg(shuttle)]
    return shuttle::future::block_on(answer);
    #[cfg(not(shuttle))]
    answer.blocking_recv()
}

//! What threads share, by the names of the standard library.
//!
//! Built with `--cfg shuttle`, as the tests of schedules are, the same names stand for those of a library that runs one
//! thread at a time and chooses at each lock and atomic who goes on.

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

/// A moment at which somebody else may go on, where two steps are nothing but calls of other libraries.
#[inline]
pub(crate) fn step() {
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
}

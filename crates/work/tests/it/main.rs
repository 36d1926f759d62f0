//! What long work promises, from the outside.

#![expect(clippy::unwrap_used, reason = "tests end where a helper fails")]

mod budgets;
mod debounce;
mod held;
#[cfg(unix)]
mod owner_thread;
mod panics;
mod places;
mod progress;
mod stopping;
mod turns;

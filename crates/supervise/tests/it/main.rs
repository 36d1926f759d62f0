//! What supervision promises, from the outside.

#![expect(clippy::unwrap_used, reason = "tests end where a helper fails")]

mod health;
mod heartbeats;
mod open_and_close;
#[cfg(unix)]
mod requests;
mod restarts;
mod stop_record;
mod stopping;
mod support;
mod tasks_seen;

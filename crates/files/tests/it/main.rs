//! What the crate promises, tried on the file systems of this machine; one module for each promise.

#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the tests make and look at files past the crate, to see what it did"
)]

mod another_user;
mod backups;
mod conflicts;
mod errors;
mod examples;
mod fallback;
mod full_disk;
mod layout;
mod locking;
mod many_at_once;
mod messages;
mod migration;
mod mode_and_owner;
mod moving;
mod names;
mod one_or_the_other;
mod room;
mod standing;
mod symlinks;
mod tmpfs;
mod transactions;
mod trash;
mod watching;
mod write_options;

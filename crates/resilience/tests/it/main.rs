//! What the resilience layer promises, from the outside.

#![expect(clippy::unwrap_used, reason = "tests end where a helper fails")]

mod chaos;

mod no_allocation;

mod prior_recovery;

mod prior_suite;

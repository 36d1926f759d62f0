//! What the crate promises, tried on real files; one module for each promise.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the tests damage files past the crate, and tell a child process what to do"
)]

mod at_hand;
mod bounds;
mod damage;
mod freshness;
mod invalidation;
mod isolation;
mod many_at_once;
mod one_goes;
mod power_cut;
mod stage;
mod stale;
mod statistics;
mod validation;

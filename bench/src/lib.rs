//! Dev-only: what a durable document costs, beside the raw disk and other logs that are given the same work.
//!
//! - [`Shape`]: how documents come: one by one, in batches, from many producers at once, acknowledged in groups.
//! - [`Engine`]: something that makes records durable a group at a time; [`drive`] gives it a shape of work.
//! - [`Measured`]: what one run came to: rate, waits, flushes and bytes that the disk was given.
//!
//! Rates of one machine do not carry over to another, and drift on a shared one: every round runs all candidates in turn,
//! and what counts are medians and their ratio to the raw disk of the same rounds.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark stands outside of what it measures: it takes real time and writes files of its own"
)]

mod device;
mod engine;
mod measured;
mod shape;

pub use device::Device;
pub use engine::{Engine, drive, side_by_side};
pub use measured::{Measured, Waits};
pub use shape::{BODY, GROUP, Shape};

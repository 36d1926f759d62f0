//! The queue's promises, each held against real files.

#![expect(
    clippy::disallowed_methods,
    reason = "tests damage, copy and remove the queue's files on purpose"
)]
#![expect(
    clippy::unwrap_used,
    clippy::large_stack_arrays,
    reason = "a test that cannot go on ends"
)]

mod batches;
mod bodies;
mod cancelled;
mod damage;
mod ends;
mod failing_disk;
mod golden;
mod hanging_disk;
mod house;
mod limits;
mod lines;
mod model;
mod museum;
mod scratch;
mod travel;

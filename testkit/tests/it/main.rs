//! That the tools which break things do break them, and that what is broken is seen.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests lay files out by hand and look at them from outside"
)]
#![expect(clippy::print_stdout, reason = "what cannot be measured here is said")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cuts;
mod recordings;
mod watched_calls;

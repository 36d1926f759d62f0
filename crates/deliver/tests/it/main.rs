//! The promises of `mainstay-deliver`, held against servers and folders that misbehave.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests make the files that the crate under test reads, end where a helper fails, and say what they counted"
)]

mod answers;
mod broken_connections;
mod cancelled;
mod checked;
mod every_byte;
mod http2;
mod network;
mod outage;
mod proxy;
mod requests;
mod run_again;
mod secrets;
mod station;
mod support;
mod tls;

//! The promises of `mainstay-deliver`, held against servers and folders that misbehave.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests make the files that the crate under test reads, and end where a helper fails"
)]

mod answers;
mod broken_connections;
mod http2;
mod outage;
mod proxy;
mod requests;
mod secrets;
mod station;
mod support;
mod tls;
mod tls_server;

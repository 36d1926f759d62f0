//! What the client promises, over real sockets.

#![expect(clippy::unwrap_used, reason = "tests end where what they need fails")]

mod breaker;
mod connectivity;
mod download;
mod limits;
mod redirects;
mod retry;
mod support;

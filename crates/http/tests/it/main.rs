//! What the client promises, over real sockets.

#![expect(clippy::unwrap_used, reason = "tests end where what they need fails")]

mod adaptive;
mod breaker;
mod classes;
mod connectivity;
mod download;
mod download_parts;
mod hedge;
mod http2;
mod kept;
mod kept_bounds;
mod kept_changes;
mod limits;
mod links;
mod proxy;
mod redirects;
mod retry;
mod secrets;
mod support;
mod tls;

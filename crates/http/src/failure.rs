//! What no answer at all means, and what a person is told of it.

use crate::error::{Error, ErrorKind};
use crate::resolver::Unresolved;
use mainstay_wire::{advice, causes, find, is_about_identity};
use rustls::Error as TlsError;
use std::error::Error as StdError;
use std::io;

/// What broke, of a request to `url`; `phase` is what it was doing.
pub(crate) fn sort(error: reqwest::Error, url: &str) -> Error {
    let error = error.without_url();
    let (kind, message) = told(&error, url);
    Error::new(kind, message).because(error)
}

/// What kind it is, and what a person is told of it.
pub(crate) fn told(error: &reqwest::Error, url: &str) -> (ErrorKind, String) {
    if find::<Unresolved>(error).is_some() {
        let advice = "check the name, the name server and the network";
        return (
            ErrorKind::Dns,
            format!("cannot find the host of `{url}`: {advice}"),
        );
    }
    match find::<TlsError>(error) {
        // In TLS 1.3 the client has finished its part before the server says what it thinks of our certificate.
        Some(tls) if error.is_connect() || is_about_identity(tls) => {
            let message = format!("no TLS with `{url}`: {}", advice(tls));
            return (ErrorKind::Tls, message);
        }
        _ => {}
    }
    // Nothing was sent, which says nothing of the server.
    if error.is_builder() {
        let message = format!("`{url}` cannot be sent: the address is too long, or none for HTTP");
        return (ErrorKind::Url, message);
    }
    if error.is_connect() {
        return unconnected(error, url);
    }
    if error.is_timeout() {
        return (
            ErrorKind::ReadTimeout,
            format!("`{url}` was silent for too long"),
        );
    }
    let message = format!("the connection to `{url}` broke, or what came is no HTTP");
    (ErrorKind::BrokenAnswer, message)
}

fn unconnected(error: &reqwest::Error, url: &str) -> (ErrorKind, String) {
    if error.is_timeout() {
        let advice = "check that the machine is on and the network leads there";
        let message = format!("cannot connect to `{url}` in time: {advice}");
        return (ErrorKind::ConnectTimeout, message);
    }
    let kind = find::<io::Error>(error).map(deepest_kind);
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => (
            ErrorKind::Refused,
            format!("`{url}` refuses connections: check that the server runs, and the port"),
        ),
        Some(
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable,
        ) => (
            ErrorKind::Unreachable,
            format!("no way leads to `{url}`: check the network of this machine"),
        ),
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => (
            ErrorKind::BrokenAnswer,
            format!("`{url}` hung up while the connection was made: check scheme and port"),
        ),
        Some(io::ErrorKind::TimedOut) => (
            ErrorKind::ConnectTimeout,
            format!("cannot connect to `{url}` in time: check that the machine is on"),
        ),
        _ => (
            ErrorKind::Unreachable,
            format!("cannot connect to `{url}`: check the address, and the proxy if there is one"),
        ),
    }
}

/// Whether the system says that this machine has no network, rather than that one host is away.
pub(crate) fn is_without_network(error: &(dyn StdError + 'static)) -> bool {
    find::<io::Error>(error).is_some_and(|error| {
        let kind = deepest_kind(error);
        kind == io::ErrorKind::NetworkUnreachable || kind == io::ErrorKind::NetworkDown
    })
}

fn deepest_kind(error: &io::Error) -> io::ErrorKind {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .last()
        .unwrap_or(error)
        .kind()
}

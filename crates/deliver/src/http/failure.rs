//! What no answer at all means.
//!
//! No connection could be made: the destination is held, because the next document would fare the same. A connection was made
//! and broke: whether the document arrived is unknown, and it is sent again under its key.

use super::connector::{RefusedByProxy, TooSlow};
use super::exchange::Broken;
use super::resolver::Unresolved;
use crate::{Cause, Outcome};
use mainstay_resilience::Category;
use mainstay_wire::{advice, causes, excerpt, find, is_about_identity};
use rustls::Error as TlsError;
use std::error::Error as StdError;
use std::io;

/// What to do when there was no whole answer.
///
/// `address` and `way` say where ("`https://h/in`", " through the proxy `http://p:3128`").
pub(super) fn sort(broken: &Broken, address: &str, way: &str) -> Outcome {
    match broken {
        Broken::TimedOut(waited) => Outcome::retry(
            Category::Timeout,
            format!(
                "`{address}`{way} gave no answer within {} s",
                waited.as_secs_f32().round()
            ),
        ),
        Broken::Answer(error) => Outcome::retry(
            Category::Network,
            format!(
                "the answer of `{address}`{way} broke off: {}",
                last_words(&**error)
            ),
        ),
        Broken::Request(error) if error.is_connect() => {
            let words = unconnected(error, address, way);
            if find::<RefusedByProxy>(error).is_some() {
                return Outcome::Hold {
                    reason: words,
                    after: None,
                    cause: Cause::Credentials,
                };
            }
            match find::<TlsError>(error) {
                Some(_) => Outcome::untrusted(words),
                None => Outcome::unreachable(words),
            }
        }
        Broken::Request(error) => match find::<TlsError>(error) {
            // In TLS 1.3 the client has finished its part before the server says what it thinks of our certificate.
            Some(error) if is_about_identity(error) => {
                Outcome::untrusted(untrusted(error, address, way))
            }
            _ => Outcome::retry(
                Category::Network,
                format!(
                    "the connection to `{address}`{way} broke before it answered: {}",
                    last_words(error)
                ),
            ),
        },
    }
}

fn unconnected(error: &(dyn StdError + 'static), address: &str, way: &str) -> String {
    if let Some(TooSlow(limit)) = find::<TooSlow>(error) {
        return format!(
            "cannot connect to `{address}`{way} within {limit:?}; check that the machine is on and the network leads there"
        );
    }
    if let Some(refused) = find::<RefusedByProxy>(error) {
        return format!(
            "cannot connect to `{address}`{way}: {refused}; check the user and the password of the proxy"
        );
    }
    if let Some(error) = find::<TlsError>(error) {
        return untrusted(error, address, way);
    }
    match find::<Unresolved>(error) {
        Some(Unresolved::Failed(error)) => {
            format!(
                "cannot find the host of `{address}`{way}: {}; check the name and the name server",
                last_words(error)
            )
        }
        Some(Unresolved::Forbidden(ip)) => {
            format!(
                "`{address}` leads to the link-local address {ip}, where no document may go; allow it by `allow_metadata_address` if it is meant"
            )
        }
        None => format!(
            "cannot connect to `{address}`{way}: {}{}",
            last_words(error),
            find::<io::Error>(error).map_or("", |error| what_to_do(error.kind()))
        ),
    }
}

fn what_to_do(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => {
            "; nobody listens there: check the port, and that the server runs"
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "; no way leads there: check this machine's network"
        }
        _ => "",
    }
}

fn untrusted(error: &TlsError, address: &str, way: &str) -> String {
    format!(
        "no TLS with `{address}`{way}: {}; {}",
        excerpt(&error.to_string(), 200),
        advice(error)
    )
}

/// What the deepest cause says; those above it only say that there is one.
fn last_words(error: &(dyn StdError + 'static)) -> String {
    let words = causes(error)
        .last()
        .map_or_else(String::new, ToString::to_string);
    excerpt(&words, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_cause_has_the_last_word() {
        let tls = std::io::Error::other(std::io::Error::other(TlsError::DecryptError));
        assert_eq!(last_words(&tls), TlsError::DecryptError.to_string());
    }

    #[test]
    fn a_failure_of_tls_says_where_and_what_to_do() {
        let message = untrusted(&TlsError::DecryptError, "https://h/", " through a proxy");
        let start = "no TLS with `https://h/` through a proxy: ";
        assert!(message.starts_with(start), "{message}");
        assert!(message.contains("check the TLS settings"), "{message}");
    }
}

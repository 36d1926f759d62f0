//! What an attempt says of the network.
//!
//! | what was met | fact |
//! |---|---|
//! | an answer, whatever it says, also one that breaks off | reached |
//! | 511, or without TLS a redirect to another place | a portal |
//! | no name, no way, no connection in time, silence | lost |
//! | a refused connection, one that breaks, TLS that is not to be trusted | refused |
//! | the system says that it has no network | no network |
//! | the document itself could not be read; a proxy's own troubles; no socket is left | nothing |
//!
//! Only a server that has the place's certificate can answer over TLS, so that a redirect there is its own.

use super::Http;
use super::address::Address;
use super::answer::Answer;
use super::check::{PATIENCE, nobodys};
use super::connector::TooSlow;
use super::exchange::Broken;
use super::resolver::Unresolved;
use http::Uri;
use http::header::LOCATION;
use mainstay_wire::{Connectivity, Fact, Witness, causes, find};
use rustls::Error as TlsError;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Whoever was given less time than a connection takes may be slow, and nothing else.
const SILENCE: Duration = Duration::from_secs(5);

/// Who tells what is met at this address.
pub(super) fn witness(connectivity: &Arc<Connectivity>, address: &Address) -> Witness {
    Witness::new(Arc::clone(connectivity), address.origin())
}

impl Http {
    /// Tells what an exchange met.
    pub(super) fn tell(&self, answered: &Result<Answer, Broken>) {
        if let Some(witness) = &self.witness
            && let Some(fact) = fact(answered, &self.address)
        {
            witness.note(fact);
        }
    }

    /// Finds out whether the network leads there, as a document would, and tells it.
    pub(super) async fn find_out(&self) {
        // An address that no document has says nothing of the network.
        if let Ok(uri) = self.address.of(&nobodys("")) {
            let answered = self.head(uri, self.timeout.min(PATIENCE)).await;
            self.tell(&answered);
        }
    }
}

fn fact(answered: &Result<Answer, Broken>, address: &Address) -> Option<Fact> {
    match answered {
        Ok(answer) if is_of_another(answer, address) => Some(Fact::Portal),
        Ok(_) | Err(Broken::Answer(_)) => Some(Fact::Reached),
        Err(Broken::TimedOut(waited)) => (SILENCE <= *waited).then_some(Fact::Lost),
        Err(Broken::Request(error)) if error.is_connect() => unconnected(error),
        Err(Broken::Request(error)) => broken(error).or(Some(Fact::Refused)),
    }
}

/// Whether something answered in the place of the host, as networks do in which a person has to log in first.
fn is_of_another(answer: &Answer, address: &Address) -> bool {
    match answer.status.as_u16() {
        // Network Authentication Required, by RFC 6585.
        511 => true,
        300..400 if !address.is_https() => {
            let location = answer.headers.get(LOCATION);
            let location = location.and_then(|to| to.to_str().ok());
            location.is_some_and(|to| leads_away(to, address.host()))
        }
        _ => false,
    }
}

/// Whether a redirect leads to another host, which is not a part of this one or the other way round: `www.h` is no stranger to `h`.
fn leads_away(location: &str, host: &str) -> bool {
    let whole = if location.starts_with("//") {
        format!("http:{location}")
    } else {
        location.to_owned()
    };
    let Some(to) = whole.parse::<Uri>().ok().and_then(|uri| {
        let to = uri.host()?;
        Some(to.to_ascii_lowercase())
    }) else {
        return false;
    };
    let host = host.to_ascii_lowercase();
    let is_part = |part: &str, of: &str| {
        part.strip_suffix(of)
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    !is_part(&to, &host) && !is_part(&host, &to)
}

fn unconnected(error: &(dyn StdError + 'static)) -> Option<Fact> {
    if find::<TooSlow>(error).is_some() {
        return Some(Fact::Lost);
    }
    if find::<TlsError>(error).is_some() {
        return Some(Fact::Refused);
    }
    match find::<Unresolved>(error) {
        Some(Unresolved::Failed(_)) => Some(Fact::Lost),
        // It was not even tried.
        Some(Unresolved::Forbidden(_)) => None,
        None => broken(error),
    }
}

/// What the system says of a connection; nothing, where it is about this process or about a proxy.
fn broken(error: &(dyn StdError + 'static)) -> Option<Fact> {
    let deepest = causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .last()?;
    match deepest.kind() {
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => Some(Fact::NoNetwork),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::TimedOut => Some(Fact::Lost),
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(Fact::Refused),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_away_only_to_a_stranger() {
        for (location, is_away) in [
            ("http://portal.example/login", true),
            ("//portal.example/login", true),
            ("http://notlab.example/", true),
            ("http://10.0.0.1:8080/", true),
            ("/elsewhere", false),
            ("https://lab.example/in", false),
            ("https://LAB.example:8443/in", false),
            ("https://www.lab.example/", false),
            ("", false),
        ] {
            assert_eq!(leads_away(location, "Lab.example"), is_away, "{location}");
        }
        assert!(!leads_away("http://lab.example/", "www.lab.example"));
    }

    #[test]
    fn what_is_about_this_process_says_nothing_of_the_network() {
        let of = |kind: io::ErrorKind| broken(&io::Error::from(kind));
        // EMFILE: too many files are open.
        assert_eq!(broken(&io::Error::from_raw_os_error(24)), None);
        assert_eq!(of(io::ErrorKind::PermissionDenied), None);
        assert_eq!(of(io::ErrorKind::NetworkUnreachable), Some(Fact::NoNetwork));
        assert_eq!(of(io::ErrorKind::HostUnreachable), Some(Fact::Lost));
        assert_eq!(of(io::ErrorKind::ConnectionRefused), Some(Fact::Refused));
    }
}

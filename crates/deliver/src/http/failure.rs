//! What no answer at all means.
//!
//! No connection could be made: the destination is held, because the next document would fare the same. A connection was made
//! and broke: whether the document arrived is unknown, and it is sent again under its key.

use super::connector::TooSlow;
use super::exchange::Broken;
use super::resolver::Unresolved;
use crate::Outcome;
use crate::shown::excerpt;
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use std::error::Error as StdError;
use std::io;

/// What to do when there was no whole answer.
///
/// `address` and `way` say where ("`https://h/in`", " through the proxy `http://p:3128`").
pub(super) fn sort(broken: &Broken, address: &str, way: &str) -> Outcome {
    match broken {
        Broken::TimedOut(waited) => Outcome::retry(format!(
            "`{address}`{way} gave no answer within {} s",
            waited.as_secs_f32().round()
        )),
        Broken::Answer(error) => Outcome::retry(format!(
            "the answer of `{address}`{way} broke off: {}",
            last_words(&**error)
        )),
        Broken::Request(error) if error.is_connect() => {
            Outcome::hold(unconnected(error, address, way))
        }
        Broken::Request(error) => match find::<TlsError>(error) {
            // In TLS 1.3 the client has finished its part before the server says what it thinks of our certificate.
            Some(TlsError::AlertReceived(alert)) if is_about_identity(*alert) => {
                Outcome::hold(untrusted(&TlsError::AlertReceived(*alert), address, way))
            }
            _ => Outcome::retry(format!(
                "the connection to `{address}`{way} broke before it answered: {}",
                last_words(error)
            )),
        },
    }
}

fn unconnected(error: &(dyn StdError + 'static), address: &str, way: &str) -> String {
    if let Some(TooSlow(limit)) = find::<TooSlow>(error) {
        return format!(
            "cannot connect to `{address}`{way} within {limit:?}; check that the machine is on and the network leads there"
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
        None => format!("cannot connect to `{address}`{way}: {}", last_words(error)),
    }
}

fn untrusted(error: &TlsError, address: &str, way: &str) -> String {
    let advice = match error {
        TlsError::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "the server's certificate is signed by an authority that is not trusted: name it in the TLS settings, if it is the right one"
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another name: check the address",
        TlsError::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => {
            "the server's certificate is not valid at this time: check the clock of this machine, then the certificate"
        }
        TlsError::AlertReceived(alert) if is_about_identity(*alert) => {
            "the server did not accept our client certificate, or wants one: check the TLS settings"
        }
        TlsError::InvalidMessage(_) => {
            "the other end does not speak TLS: check scheme and port of the address"
        }
        _ => "check the TLS settings of both sides",
    };
    format!(
        "no TLS with `{address}`{way}: {}; {advice}",
        excerpt(&error.to_string(), 200)
    )
}

/// Alerts by which a server says that it does not want us, rather than that the line is bad.
fn is_about_identity(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure
            | AlertDescription::DecryptError
    )
}

/// The first error of this type among `error` and its causes.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// What the deepest cause says; those above it only say that there is one.
fn last_words(error: &(dyn StdError + 'static)) -> String {
    let words = causes(error)
        .last()
        .map_or_else(String::new, ToString::to_string);
    excerpt(&words, 200)
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let error: &'a (dyn StdError + 'static) = *error;
        // An I/O error that wraps another one names that one's cause as its own, and so leaves the other one out.
        let inside = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        inside
            .map(|inside| inside as &(dyn StdError + 'static))
            .or_else(|| error.source())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_inside_an_io_error_is_found() {
        let tls = io::Error::other(io::Error::other(TlsError::InvalidCertificate(
            CertificateError::UnknownIssuer,
        )));
        assert!(find::<TlsError>(&tls).is_some());
        assert_eq!(last_words(&tls), "invalid peer certificate: UnknownIssuer");
        assert!(find::<TooSlow>(&tls).is_none());
    }

    #[test]
    fn every_common_tls_failure_comes_with_advice() {
        for (error, advice) in [
            (
                TlsError::InvalidCertificate(CertificateError::UnknownIssuer),
                "authority",
            ),
            (
                TlsError::InvalidCertificate(CertificateError::NotValidForName),
                "another name",
            ),
            (
                TlsError::InvalidCertificate(CertificateError::Expired),
                "clock",
            ),
            (
                TlsError::AlertReceived(AlertDescription::CertificateRequired),
                "client certificate",
            ),
            (
                TlsError::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                "does not speak TLS",
            ),
        ] {
            let message = untrusted(&error, "https://h/", "");
            assert!(
                message.starts_with("no TLS with `https://h/`: ") && message.contains(advice),
                "{message}"
            );
        }
    }
}

//! What no answer at all means, and what a person is told of it.

use crate::error::{Error, ErrorKind};
use crate::resolver::Unresolved;
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use std::error::Error as StdError;
use std::io;

/// What broke, of a request to `url`; `phase` is what it was doing.
pub(crate) fn sort(error: reqwest::Error, url: &str) -> Error {
    let error = error.without_url();
    let (kind, message) = told(&error, url);
    Error::new(kind, message).because(error)
}

fn told(error: &reqwest::Error, url: &str) -> (ErrorKind, String) {
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
            return (ErrorKind::Tls, untrusted(tls, url));
        }
        _ => {}
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

fn untrusted(error: &TlsError, url: &str) -> String {
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
        TlsError::InvalidCertificate(_) => {
            "the server's certificate cannot be trusted: tell who runs the server"
        }
        TlsError::PeerIncompatible(_)
        | TlsError::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server speaks no version of TLS that is safe: it needs 1.2 or later"
        }
        TlsError::AlertReceived(alert) if is_identity_alert(*alert) => {
            "the server did not accept our client certificate, or wants one: check the TLS settings"
        }
        TlsError::InvalidMessage(_) => {
            "the other end does not speak TLS: check scheme and port of the address"
        }
        _ => "check the TLS settings of both sides",
    };
    format!("no TLS with `{url}`: {advice}")
}

fn is_about_identity(error: &TlsError) -> bool {
    matches!(error, TlsError::AlertReceived(alert) if is_identity_alert(*alert))
}

/// Alerts by which a server says that it does not want us, rather than that the line is bad.
fn is_identity_alert(alert: AlertDescription) -> bool {
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
        assert!(find::<Unresolved>(&tls).is_none());
    }

    #[test]
    fn every_common_tls_failure_comes_with_its_reason() {
        for (error, reason) in [
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
                TlsError::AlertReceived(AlertDescription::ProtocolVersion),
                "1.2 or later",
            ),
            (
                TlsError::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                "does not speak TLS",
            ),
        ] {
            let message = untrusted(&error, "https://h:443/");
            assert!(
                message.starts_with("no TLS with `https://h:443/`: ") && message.contains(reason),
                "{message}"
            );
        }
    }
}

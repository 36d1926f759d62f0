//! Errors of a connection: what is inside of them, and what a person may do.

use rustls::{AlertDescription, CertificateError, Error as TlsError};
use std::error::Error as StdError;
use std::io;

/// What is wrong between two ends of TLS, and what to do about it.
pub fn advice(error: &TlsError) -> &'static str {
    match error {
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
    }
}

/// Whether the server does not want us, rather than that the line is bad. In TLS 1.3 that comes after our part of the handshake.
pub fn is_about_identity(error: &TlsError) -> bool {
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
pub fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// An error, and what caused it, from the outside in.
pub fn causes<'a>(
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
        assert!(find::<std::fmt::Error>(&tls).is_none());
        let last = causes(&tls).last().map(ToString::to_string);
        assert_eq!(
            last.as_deref(),
            Some("invalid peer certificate: UnknownIssuer")
        );
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
            let message = advice(&error);
            assert!(message.contains(reason), "{message}");
        }
    }
}

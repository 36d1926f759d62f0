//! Until when the certificates are valid that were met.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many are remembered; a client asks fewer servers.
const REMEMBERED_MAX: usize = 256;

/// From when until when a certificate is valid, seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second in which it is.
    pub from: i64,
    /// The last one.
    pub until: i64,
}

/// The certificates that were met: our own when it was read, a server's each time that it showed and proved one. Clones share what
/// they know.
///
/// A connection that resumes an earlier one shows none; what is known of it is of the first then.
///
/// # Limits
///
/// 256 are remembered; further ones are not.
#[derive(Debug, Clone, Default)]
pub struct Certificates(Arc<Mutex<BTreeMap<String, Validity>>>);

impl Certificates {
    /// Each that was met: whose it is, in words that follow "the certificate", and its validity.
    pub fn met(&self) -> BTreeMap<String, Validity> {
        self.known().clone()
    }

    /// What cannot be understood is not remembered: whether it is good is decided elsewhere.
    pub(crate) fn note(&self, whose: String, certificate: &CertificateDer<'_>) {
        let Some(validity) = validity(certificate) else {
            return;
        };
        let mut known = self.known();
        if known.contains_key(&whose) || known.len() < REMEMBERED_MAX {
            known.insert(whose, validity);
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Validity>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, read) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = read.validity();
    Some(Validity {
        from: validity.not_before.timestamp(),
        until: validity.not_after.timestamp(),
    })
}

/// Remembers each certificate that another verifier found good; that one decides alone.
#[derive(Debug)]
pub(crate) struct Noting {
    pub(crate) verifier: Arc<dyn ServerCertVerifier>,
    pub(crate) certificates: Certificates,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        let whose = format!("of `{}`", server_name.to_str());
        self.certificates.note(whose, end_entity);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.verifier.root_hint_subjects()
    }
}

//! Whom we trust, and who we are.

use crate::certificates::{Certificates, Noting};
use crate::error::Unusable;
use crate::shown;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use rustls_platform_verifier::Verifier;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whom to trust, and who we are. Certificates are always verified; there is no switch for that.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `system_authorities` | yes | what the machine's owner trusts is trusted |
/// | `authorities` | none | |
/// | `client` | none | |
/// | `certificates` | ones that nobody else sees | |
#[derive(Debug, Clone)]
pub struct Tls {
    /// Whether the authorities that the system trusts are trusted.
    pub system_authorities: bool,
    /// PEM files with further authorities.
    pub authorities: Vec<PathBuf>,
    /// Our own certificate, for servers that ask for one.
    pub client: Option<ClientCertificate>,
    /// Where it is noted which certificates were met, and until when they are valid.
    pub certificates: Certificates,
}

/// Our own certificate.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// A PEM file with the certificate and those that lead to its authority.
    pub certificate: PathBuf,
    /// A PEM file with its private key; nobody but its owner and group may read it.
    pub key: PathBuf,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            system_authorities: true,
            authorities: Vec::new(),
            client: None,
            certificates: Certificates::default(),
        }
    }
}

/// What rustls needs, with both versions of HTTP on offer. Blocks while it reads files.
///
/// # Errors
///
/// A file that cannot be read or holds something else, a private key that everybody may read, or nobody who is trusted.
#[expect(
    clippy::missing_panics_doc,
    reason = "the provider is built in, and supports both versions"
)]
pub fn client_config(tls: &Tls) -> Result<ClientConfig, Unusable> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions of TLS");
    let builder = trusting(builder, tls)?;
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some(ours) => identified(builder, ours, &tls.certificates)?,
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn trusting(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    tls: &Tls,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Unusable> {
    let noting = Noting {
        verifier: verifier(builder.crypto_provider(), tls)?,
        certificates: tls.certificates.clone(),
    };
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(noting)))
}

/// Who decides whether a certificate is good.
fn verifier(
    provider: &Arc<CryptoProvider>,
    tls: &Tls,
) -> Result<Arc<dyn ServerCertVerifier>, Unusable> {
    let mut authorities = Vec::new();
    for path in &tls.authorities {
        authorities.extend(certificates(path)?);
    }
    if tls.system_authorities {
        let verifier = Verifier::new_with_extra_roots(authorities, provider.clone()).map_err(|error| {
            Unusable::new("no trusted authority was found on this system; name a PEM file with the one that signed the server's certificate").because(error)
        })?;
        return Ok(Arc::new(verifier));
    }
    let mut store = RootCertStore::empty();
    for authority in authorities {
        store.add(authority).map_err(|error| {
            Unusable::new("an authority's certificate cannot be used").because(error)
        })?;
    }
    if store.is_empty() {
        return Err(Unusable::new(
            "nobody is trusted: neither the system's authorities nor others; name a PEM file with one",
        ));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone());
    let verifier = verifier.build().map_err(|error| {
        Unusable::new("an authority's certificate cannot be used").because(error)
    })?;
    Ok(verifier)
}

fn identified(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    ours: &ClientCertificate,
    met: &Certificates,
) -> Result<ClientConfig, Unusable> {
    let chain = certificates(&ours.certificate)?;
    // The first is ours; the others lead to its authority.
    let whose = format!("in `{}`", shown::path(&ours.certificate));
    met.note(whose, &chain[0]);
    refuse_open_to_all(&ours.key)?;
    let key = PrivateKeyDer::from_pem_file(&ours.key).map_err(|error| {
        Unusable::new(format!(
            "cannot read a private key from `{}`; it has to be a PEM file",
            shown::path(&ours.key)
        ))
        .because(error)
    })?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        let (certificate, key) = (shown::path(&ours.certificate), shown::path(&ours.key));
        Unusable::new(format!(
            "the certificate in `{certificate}` and the key in `{key}` do not belong together"
        ))
        .because(error)
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let unreadable = |error| {
        Unusable::new(format!(
            "cannot read certificates from `{}`; it has to be a PEM file",
            shown::path(path)
        ))
        .because(error)
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(Unusable::new(format!(
            "there is no certificate in `{}`",
            shown::path(path)
        )));
    }
    Ok(certificates)
}

/// A key that everybody on the machine can read is everybody's key. A group may have it: many systems keep keys so.
#[cfg(unix)]
fn refuse_open_to_all(path: &Path) -> Result<(), Unusable> {
    use std::os::unix::fs::MetadataExt;
    let open_to_all = std::fs::metadata(path).is_ok_and(|facts| facts.mode() & 0o007 != 0);
    if open_to_all {
        return Err(Unusable::new(format!(
            "the private key `{}` is open to everybody; run chmod 600 on it",
            shown::path(path)
        )));
    }
    Ok(())
}

/// Who may read a file is not a matter of mode bits here; the folder's access list decides.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same interface as on Unix")]
fn refuse_open_to_all(_path: &Path) -> Result<(), Unusable> {
    Ok(())
}

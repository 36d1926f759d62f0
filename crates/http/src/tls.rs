//! Whom we trust, and who we are.

use crate::error::Error;
use crate::settings::{ClientCertificate, Tls};
use crate::shown::excerpt;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, client::WantsClientCert};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use rustls_platform_verifier::Verifier;
use std::path::Path;
use std::sync::Arc;

/// What the TLS layer needs, with both versions of HTTP on offer.
pub(crate) fn client_config(tls: &Tls) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions of TLS");
    let builder = trusting(builder, tls)?;
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some(ours) => identified(builder, ours)?,
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn trusting(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    tls: &Tls,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
    let mut authorities = Vec::new();
    for path in &tls.authorities {
        authorities.extend(certificates(path)?);
    }
    if tls.system_authorities {
        let verifier = Verifier::new_with_extra_roots(authorities, builder.crypto_provider().clone()).map_err(|error| {
            Error::settings("no trusted authority was found on this system; name a PEM file with the one that signed the server's certificate").because(error)
        })?;
        return Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier)));
    }
    let mut store = RootCertStore::empty();
    for authority in authorities {
        store.add(authority).map_err(|error| {
            Error::settings("an authority's certificate cannot be used").because(error)
        })?;
    }
    if store.is_empty() {
        return Err(Error::settings(
            "nobody is trusted: neither the system's authorities nor others; name a PEM file with one",
        ));
    }
    Ok(builder.with_root_certificates(store))
}

fn identified(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    ours: &ClientCertificate,
) -> Result<ClientConfig, Error> {
    let chain = certificates(&ours.certificate)?;
    refuse_open_to_all(&ours.key)?;
    let key = PrivateKeyDer::from_pem_file(&ours.key).map_err(|error| {
        Error::settings(format!(
            "cannot read a private key from `{}`; it has to be a PEM file",
            shown_path(&ours.key)
        ))
        .because(error)
    })?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        let (certificate, key) = (shown_path(&ours.certificate), shown_path(&ours.key));
        Error::settings(format!(
            "the certificate in `{certificate}` and the key in `{key}` do not belong together"
        ))
        .because(error)
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |error| {
        Error::settings(format!(
            "cannot read certificates from `{}`; it has to be a PEM file",
            shown_path(path)
        ))
        .because(error)
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(Error::settings(format!(
            "there is no certificate in `{}`",
            shown_path(path)
        )));
    }
    Ok(certificates)
}

/// A key that everybody on the machine can read is everybody's key. A group may have it: many systems keep keys so.
#[cfg(unix)]
fn refuse_open_to_all(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let open_to_all = std::fs::metadata(path).is_ok_and(|facts| facts.mode() & 0o007 != 0);
    if open_to_all {
        return Err(Error::settings(format!(
            "the private key `{}` is open to everybody; run chmod 600 on it",
            shown_path(path)
        )));
    }
    Ok(())
}

/// Who may read a file is not a matter of mode bits here; the folder's access list decides.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same interface as on Unix")]
fn refuse_open_to_all(_path: &Path) -> Result<(), Error> {
    Ok(())
}

fn shown_path(path: &Path) -> String {
    excerpt(&path.to_string_lossy(), 4096)
}

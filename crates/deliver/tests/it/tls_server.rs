//! A server with a certificate, and the authority that signed it.

use mainstay_deliver::{HttpConfig, Tls};
use mainstay_queue::DocumentId;
use mainstay_testkit::faulty_server::{Conversation, Reaction};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate and its key.
pub(crate) type Signed = (rcgen::Certificate, KeyPair);

/// An authority made for one test.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two authorities of one name would be told apart only by their signatures.
        params.distinguished_name.push(
            DnType::CommonName,
            format!("authority {}", DocumentId::new()),
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    pub(crate) fn file(&self, folder: &TempDir, name: &str) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, self.issuer.pem()).unwrap();
        path
    }

    /// A certificate for these names, and its key.
    pub(crate) fn sign(&self, names: &[&str], use_for: ExtendedKeyUsagePurpose) -> Signed {
        self.sign_with(names, use_for, |_| ())
    }

    pub(crate) fn sign_with(
        &self,
        names: &[&str],
        use_for: ExtendedKeyUsagePurpose,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())
                .unwrap();
        params.extended_key_usages = vec![use_for];
        change(&mut params);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// It takes whatever it is sent.
pub(crate) struct TlsServer {
    port: u16,
    pub(crate) conversation: Conversation,
}

impl TlsServer {
    /// Asks clients for a certificate of `clients`, if there are any.
    pub(crate) async fn start(signed: &Signed, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).unwrap();
                builder.with_client_cert_verifier(
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .unwrap(),
                )
            }
        };
        let chain: Vec<CertificateDer<'static>> = vec![signed.0.der().clone()];
        let key = PrivateKeyDer::try_from(signed.1.serialize_der()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let conversation = Conversation::new(|_, _| Reaction::answer(200));
        let served = conversation.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, conversation) = (acceptor.clone(), served.clone());
                tokio::spawn(async move {
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        drop(conversation.serve(&mut stream).await);
                    }
                });
            }
        });
        Self { port, conversation }
    }

    /// A destination that trusts these authorities and no other.
    pub(crate) fn config(&self, authorities: Vec<PathBuf>) -> HttpConfig {
        let mut config = HttpConfig::new(format!("https://localhost:{}/in", self.port));
        config.tls = Tls {
            system_authorities: false,
            authorities,
            client: None,
        };
        config
    }
}

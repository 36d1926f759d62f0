//! A server with a certificate, and the authority that signed it.

use mainstay_http::{ClientSettings, Tls};
use mainstay_testkit::faulty_server::{Conversation, Reaction, Request};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
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
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two authorities of one name would be told apart only by their signatures.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("authority {number}");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    pub(crate) fn file(&self, folder: &TempDir, name: &str) -> PathBuf {
        file(folder, name, &self.issuer.pem())
    }

    /// A certificate for these names, and its key.
    pub(crate) fn sign(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Signed {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A certificate of a server on this machine.
    pub(crate) fn localhost(&self) -> Signed {
        self.sign(&["localhost"], |_| ())
    }

    /// Settings of a client that trusts it and nobody else.
    pub(crate) fn trusted(&self, folder: &TempDir) -> ClientSettings {
        let mut settings = crate::support::settings();
        settings.tls = Tls {
            system_authorities: false,
            authorities: vec![self.file(folder, "ca.pem")],
            client: None,
        };
        settings
    }
}

/// A file that nobody else may read.
pub(crate) fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    mainstay_files::replace_secret(&path, text.as_bytes()).unwrap();
    path
}

/// A server that speaks TLS, and does what its script says.
pub(crate) struct TlsServer {
    pub(crate) port: u16,
    pub(crate) conversation: Conversation,
}

impl TlsServer {
    /// Asks clients for a certificate of `clients`, if there are any.
    pub(crate) async fn start(
        signed: &Signed,
        clients: Option<&Authority>,
        script: impl Fn(&Request, usize) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config(signed, clients)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let conversation = Conversation::new(script);
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

    /// One that takes whatever it is asked.
    pub(crate) async fn willing(signed: &Signed, clients: Option<&Authority>) -> Self {
        Self::start(signed, clients, |_, _| Reaction::answer(200)).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }
}

pub(crate) fn config(signed: &Signed, clients: Option<&Authority>) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain: Vec<CertificateDer<'static>> = vec![signed.0.der().clone()];
    let key = PrivateKeyDer::try_from(signed.1.serialize_der()).unwrap();
    builder.with_single_cert(chain, key).unwrap()
}

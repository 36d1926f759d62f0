//! A server with a certificate, and the authority that signed it; both are made for one test.

use crate::faulty_server::{Conversation, Reaction, Request};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate and its key.
pub type Signed = (rcgen::Certificate, KeyPair);

/// What is said where a certificate cannot be made; all that is asked for here can.
const MADE: &str = "a certificate for a test can be made";

/// An authority that nobody else trusts.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// One with a name of its own: two of one name would be told apart only by their signatures.
    ///
    /// # Panics
    /// Never, as far as randomness can be had.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut params = CertificateParams::new(Vec::new()).expect(MADE);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("authority {number}");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect(MADE);
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect(MADE),
        }
    }

    /// Its certificate, in a file of this name.
    ///
    /// # Panics
    /// Where the file cannot be written.
    pub fn file(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, self.issuer.pem()).expect("the folder of a test can be written to");
        path
    }

    /// A certificate for these names, good for `purpose`, and its key.
    pub fn sign(&self, names: &[&str], purpose: ExtendedKeyUsagePurpose) -> Signed {
        self.sign_with(names, purpose, |_| ())
    }

    /// The same, with something changed in it.
    ///
    /// # Panics
    /// Where a name is none.
    pub fn sign_with(
        &self,
        names: &[&str],
        purpose: ExtendedKeyUsagePurpose,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Signed {
        let key = KeyPair::generate().expect(MADE);
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect(MADE);
        params.extended_key_usages = vec![purpose];
        change(&mut params);
        (params.signed_by(&key, &self.issuer).expect(MADE), key)
    }

    /// A certificate for this name, valid from then until then.
    ///
    /// # Panics
    /// Where the name is none.
    pub fn lasting(
        &self,
        name: &str,
        purpose: ExtendedKeyUsagePurpose,
        (from, until): (SystemTime, SystemTime),
    ) -> Signed {
        self.sign_with(&[name], purpose, |params| {
            params.not_before = from.into();
            params.not_after = until.into();
        })
    }

    /// A certificate of a server on this machine.
    pub fn localhost(&self) -> Signed {
        self.sign(&["localhost"], ExtendedKeyUsagePurpose::ServerAuth)
    }
}

/// A server that speaks TLS, and does what its script says.
#[derive(Debug)]
pub struct TlsServer {
    port: u16,
    conversation: Conversation,
    config: Arc<Mutex<Arc<rustls::ServerConfig>>>,
}

impl TlsServer {
    /// Asks clients for a certificate of `clients`, if there are any.
    ///
    /// # Panics
    /// Where the system has no port left.
    pub async fn start(
        signed: &Signed,
        clients: Option<&Authority>,
        script: impl Fn(&Request, usize) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::new(Mutex::new(Arc::new(server_config(signed, clients))));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("there is a free port");
        let port = listener.local_addr().expect("it listens").port();
        let conversation = Conversation::new(script);
        let (served, shown) = (conversation.clone(), Arc::clone(&config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let conversation = served.clone();
                let config = shown.lock().unwrap_or_else(PoisonError::into_inner);
                let acceptor = TlsAcceptor::from(Arc::clone(&config));
                drop(config);
                tokio::spawn(async move {
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        drop(conversation.serve(&mut stream).await);
                    }
                });
            }
        });
        Self {
            port,
            conversation,
            config,
        }
    }

    /// One that takes whatever it is asked.
    pub async fn willing(signed: &Signed, clients: Option<&Authority>) -> Self {
        Self::start(signed, clients, |_, _| Reaction::answer(200)).await
    }

    /// Shows another certificate to whoever connects from now on.
    pub fn renew(&self, signed: &Signed, clients: Option<&Authority>) {
        let config = Arc::new(server_config(signed, clients));
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of `path` on it.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// What was said so far.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }
}

/// Settings of a server with this certificate, which asks clients for one of `clients`, if there are any.
///
/// # Panics
/// Where the certificate does not fit its key.
pub fn server_config(signed: &Signed, clients: Option<&Authority>) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the usual versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).expect(MADE);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect(MADE))
        }
    };
    let chain: Vec<CertificateDer<'static>> = vec![signed.0.der().clone()];
    let key = PrivateKeyDer::try_from(signed.1.serialize_der()).expect(MADE);
    builder.with_single_cert(chain, key).expect(MADE)
}

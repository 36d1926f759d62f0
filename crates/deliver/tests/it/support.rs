//! What several of these tests need.

use bytes::Bytes;
use mainstay_clock::SharedClock;
use mainstay_deliver::{Content, Destination, Http, HttpConfig, Outcome, Outgoing, Tls};
use mainstay_queue::DocumentId;
use mainstay_testkit::tls_server::TlsServer;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Nothing here takes longer on the slowest machine; what does has gone wrong.
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) fn clock() -> SharedClock {
    mainstay_clock::system()
}

pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) fn document(body: &[u8]) -> Outgoing {
    Outgoing {
        id: DocumentId::new(),
        route: "lab".into(),
        source: b"report.json".to_vec(),
        content_type: "application/json".into(),
        headers: Vec::new(),
        hash: Some(hash(body)),
        body: Content::Bytes(Bytes::copy_from_slice(body)),
    }
}

/// The same document once more, as the next attempt would send it.
pub(crate) fn again(document: &Outgoing) -> Outgoing {
    let Content::Bytes(bytes) = &document.body else {
        panic!("only bodies in memory can be copied")
    };
    Outgoing {
        id: document.id,
        route: document.route.clone(),
        source: document.source.clone(),
        content_type: document.content_type.clone(),
        headers: document.headers.clone(),
        hash: document.hash,
        body: Content::Bytes(bytes.clone()),
    }
}

pub(crate) fn http(url: &str) -> Http {
    Http::new(&HttpConfig::new(url), clock()).unwrap()
}

/// A destination that trusts these authorities and no other.
pub(crate) fn trusting(server: &TlsServer, authorities: Vec<PathBuf>) -> HttpConfig {
    let mut config = HttpConfig::new(server.url("/in"));
    config.tls = Tls {
        system_authorities: false,
        authorities,
        ..Tls::default()
    };
    config
}

/// One document to a destination with these settings.
pub(crate) async fn send_with(config: &HttpConfig) -> Outcome {
    Http::new(config, clock())
        .unwrap()
        .send(document(b"{}"))
        .await
}

pub(crate) fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Retry { reason, .. }
        | Outcome::NotSent { reason, .. }
        | Outcome::Busy { reason, .. }
        | Outcome::Hold { reason, .. }
        | Outcome::Reject { reason }
        | Outcome::Unsendable { reason } => reason,
        Outcome::Delivered | Outcome::AlreadyThere => panic!("{outcome:?} has no reason"),
    }
}

/// Waits until `met` holds.
pub(crate) async fn until(what: &str, mut met: impl FnMut() -> bool) {
    let started = Instant::now();
    while !met() {
        assert!(started.elapsed() < DEADLINE, "waited in vain until {what}");
        clock().sleep(Duration::from_millis(2)).await;
    }
}

/// Waits for `future`, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A document whose body is a file with `bytes`, though its hash was taken of what was `stored`.
pub(crate) fn in_file(bytes: &[u8], stored: &[u8]) -> Outgoing {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let mut document = document(b"");
    document.hash = Some(hash(stored));
    document.body = Content::File(file, bytes.len() as u64);
    document
}

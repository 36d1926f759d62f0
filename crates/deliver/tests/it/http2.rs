//! The same promises where the server offers HTTP/2: many documents share one connection.

use crate::support::{again, clock, document, hash, in_file, soon};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_deliver::{Destination, Http, HttpConfig, Outcome, Tls};
use mainstay_testkit::tls_server::{Authority, server_config};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What arrived whole: the key, and the hash of the body.
type Arrived = Arc<Mutex<Vec<(String, [u8; 32])>>>;

struct Server {
    config: HttpConfig,
    arrived: Arrived,
    connections: Arc<AtomicUsize>,
    _folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
        let mut tls = server_config(&authority.localhost(), None);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut config = HttpConfig::new(format!(
            "https://localhost:{}/in",
            listener.local_addr().unwrap().port()
        ));
        config.tls = Tls {
            system_authorities: false,
            authorities: vec![authority.file(folder.path(), "ca.pem")],
            ..Tls::default()
        };
        let (arrived, connections) = (Arrived::default(), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(accept(
            listener,
            TlsAcceptor::from(Arc::new(tls)),
            Arc::clone(&arrived),
            Arc::clone(&connections),
        ));
        Self {
            config,
            arrived,
            connections,
            _folder: folder,
        }
    }

    fn destination(&self) -> Http {
        Http::new(&self.config, clock()).unwrap()
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    arrived: Arrived,
    connections: Arc<AtomicUsize>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::SeqCst);
        let (acceptor, arrived) = (acceptor.clone(), Arc::clone(&arrived));
        tokio::spawn(async move {
            let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
            let service = service_fn(move |request| take(request, Arc::clone(&arrived)));
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(stream, service).await);
        });
    }
}

/// Takes what arrives whole, and refuses to answer what does not.
async fn take(
    request: Request<Incoming>,
    arrived: Arrived,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let key = request.headers()["idempotency-key"]
        .to_str()
        .unwrap()
        .to_owned();
    let status = match request.into_body().collect().await {
        Ok(body) => {
            arrived.lock().unwrap().push((key, hash(&body.to_bytes())));
            200
        }
        Err(_) => 500,
    };
    Ok(Response::builder()
        .status(status)
        .body(Empty::new())
        .unwrap())
}

#[tokio::test]
async fn documents_share_one_connection() {
    let server = Server::start().await;
    let http = Arc::new(server.destination());
    assert_eq!(http.send(document(b"first")).await, Outcome::Delivered);
    let sending: Vec<_> = (0..20_u8)
        .map(|number| {
            let http = Arc::clone(&http);
            tokio::spawn(async move { http.send(document(&[number])).await })
        })
        .collect();
    for sending in sending {
        assert_eq!(
            soon("the outcome", sending).await.unwrap(),
            Outcome::Delivered
        );
    }
    assert_eq!(server.arrived.lock().unwrap().len(), 21);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_key_stays_and_a_large_file_arrives_byte_for_byte() {
    let server = Server::start().await;
    let http = server.destination();
    let small = document(b"{}");
    let id = small.id.to_string();
    for _ in 0..2 {
        assert_eq!(http.send(again(&small)).await, Outcome::Delivered);
    }
    let bytes: Vec<u8> = (0..5_000_003_u32)
        .map(|index| (index % 251) as u8)
        .collect();
    assert_eq!(http.send(in_file(&bytes, &bytes)).await, Outcome::Delivered);
    let arrived = server.arrived.lock().unwrap().clone();
    assert_eq!(arrived[..2], [(id.clone(), hash(b"{}")), (id, hash(b"{}"))]);
    assert_eq!(arrived[2].1, hash(&bytes));
}

#[tokio::test]
async fn a_damaged_file_does_not_arrive_and_spoils_no_other_document() {
    let server = Server::start().await;
    let http = server.destination();
    let bytes = vec![7; 1_000_000];
    let mut damaged = bytes.clone();
    damaged[999_999] ^= 1;
    let outcome = soon("the outcome", http.send(in_file(&damaged, &bytes))).await;
    assert!(matches!(outcome, Outcome::Unsendable { .. }), "{outcome:?}");
    assert_eq!(http.send(document(b"{}")).await, Outcome::Delivered);
    assert_eq!(server.arrived.lock().unwrap().len(), 1);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

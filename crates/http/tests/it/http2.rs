//! Where the server offers HTTP/2, many requests share one connection.

use crate::support::{client, soon, trusting};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_testkit::tls_server::{Authority, server_config};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.version(), Version::HTTP_2);
    Ok(Response::new(Full::new(Bytes::from("by version 2"))))
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let mut tls = server_config(&authority.localhost(), None);
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                drop(server.serve_connection(stream, service_fn(answer)).await);
            });
        }
    });
    let client = client(trusting(&authority, &folder));
    soon("the first", client.get(&url).send()).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        asking.spawn(client.get(&url).send());
    }
    for answer in soon("all answers", asking.join_all()).await {
        assert_eq!(answer.unwrap().text(), "by version 2");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

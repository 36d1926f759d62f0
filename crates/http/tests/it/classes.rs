//! The errors of a reqwest client of one's own, as they happen.

use crate::support::{SECOND, soon};
use mainstay_http::{ReqwestError, Tls};
use mainstay_resilience::{Backoff, Category, Classify, Error, Jitter, Retry, RetrySettings};
use mainstay_testkit::tls_server::{Authority, TlsServer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn web() -> reqwest::Client {
    let tls = mainstay_wire::client_config(&Tls::default()).unwrap();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(SECOND / 2)
        .build()
        .unwrap()
}

/// Answers each connection so, and hangs up, unless it has nothing to say.
async fn saying(said: &'static str) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut silent = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let read = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(read > 0);
            count.fetch_add(1, Ordering::SeqCst);
            if said.is_empty() {
                silent.push(stream);
            } else {
                stream.write_all(said.as_bytes()).await.unwrap();
            }
        }
    });
    (url, asked)
}

async fn fetch(web: &reqwest::Client, url: &str) -> Result<String, ReqwestError> {
    let answer = web.get(url).send().await?.error_for_status()?;
    Ok(answer.text().await?)
}

async fn class(url: &str) -> (Category, bool) {
    let error = soon("an error", fetch(&web(), url)).await.unwrap_err();
    let class = error.class();
    (class.category, class.is_retryable)
}

#[tokio::test]
async fn an_error_of_reqwest_has_the_class_of_what_really_happened() {
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let refused = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    assert_eq!(class(&refused).await, (Category::Network, true));
    let (silent, _) = saying("").await;
    assert_eq!(class(&silent).await, (Category::Timeout, true));
    let (cut, _) = saying("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of i").await;
    assert_eq!(class(&cut).await, (Category::Network, true));
    let (no_http, _) = saying("SSH-2.0-OpenSSH_9.9\r\n").await;
    assert_eq!(class(&no_http).await, (Category::Network, true));
    let (busy, _) = saying("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(class(&busy).await, (Category::Resource, true));
    let (gone, _) = saying("HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(class(&gone).await, (Category::Validation, false));
    let (round, _) = saying(
        "HTTP/1.1 302 Round\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(class(&round).await, (Category::Validation, false));
    assert_eq!(class("http://").await, (Category::Validation, false));
    let nobodys = TlsServer::willing(&Authority::new().localhost(), None).await;
    assert_eq!(class(&nobodys.url("/")).await, (Category::Network, false));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_the_network_s_or_too_late() {
    let (category, is_retryable) = class("http://nowhere.invalid/").await;
    // A name server that says nothing at all is waited for.
    assert!(
        matches!(category, Category::Network | Category::Timeout),
        "{category:?}"
    );
    assert!(is_retryable);
}

#[tokio::test]
async fn a_retry_around_reqwest_tries_again_what_helps_and_tells_how_often() {
    let settings = RetrySettings {
        attempts: 3,
        backoff: Backoff::doubling(Duration::from_millis(1), Duration::from_millis(2))
            .with_jitter(Jitter::None),
        ..RetrySettings::client()
    };
    let clock = mainstay_clock::system();
    let retry = Retry::new("hub", settings, clock).unwrap();
    let web = web();
    for (status, attempts) in [
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 3),
        ("HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n", 1),
    ] {
        let (url, asked) = saying(status).await;
        let error: Error<ReqwestError> = soon("an error", retry.run(|_| fetch(&web, &url)))
            .await
            .unwrap_err();
        assert_eq!(asked.load(Ordering::SeqCst), attempts);
        assert_eq!(error.retries(), attempts - 1);
    }
}

//! Through a proxy: tunnels, forwarding, who we are, and what is bypassed.

use crate::support::{clock, document, reason, soon, trusting};
use mainstay_deliver::{Cause, Destination, Http, HttpConfig, Outcome, Proxy, Secret, Tls};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use mainstay_testkit::tls_server::{Authority, TlsServer};
use mainstay_testkit::tunnels::{CREDENTIALS, Tunnels};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn manual(url: String, with_credentials: bool, bypass: &[&str]) -> Proxy {
    Proxy::Manual {
        url,
        credentials: with_credentials.then(|| ("ann".into(), Secret::new("s3cr3t"))),
        bypass: bypass.iter().map(ToString::to_string).collect(),
    }
}

async fn send_through(proxy: Proxy, url: &str) -> Outcome {
    let mut config = HttpConfig::new(url);
    config.proxy = proxy;
    soon(
        "the outcome",
        Http::new(&config, clock()).unwrap().send(document(b"{}")),
    )
    .await
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_is_asked_for_with_credentials() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let server = TlsServer::willing(&authority.localhost(), None).await;
    let proxy = Tunnels::start().await.unwrap();
    let mut config = trusting(&server, vec![authority.file(folder.path(), "ca.pem")]);
    config.proxy = manual(proxy.url().to_owned(), true, &[]);
    let outcome = soon(
        "the outcome",
        Http::new(&config, clock()).unwrap().send(document(b"{}")),
    )
    .await;
    assert_eq!(outcome, Outcome::Delivered);
    let asked = proxy.asked();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].starts_with("CONNECT localhost:") && !asked[0].contains("Idempotency"),
        "{asked:?}"
    );
    let request = server.conversation().requests().remove(0);
    assert_eq!(
        request.header("proxy-authorization"),
        None,
        "the password is for the proxy alone"
    );
}

#[tokio::test]
async fn a_proxy_that_does_not_know_us_holds_the_destination() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let server = TlsServer::willing(&authority.localhost(), None).await;
    let proxy = Tunnels::start().await.unwrap();
    let mut config = trusting(&server, vec![authority.file(folder.path(), "ca.pem")]);
    config.proxy = manual(proxy.url().to_owned(), false, &[]);
    let outcome = soon(
        "the outcome",
        Http::new(&config, clock()).unwrap().send(document(b"{}")),
    )
    .await;
    assert!(
        matches!(
            outcome,
            Outcome::Hold {
                cause: Cause::Credentials,
                ..
            }
        ),
        "{outcome:?}"
    );
    let words = format!(
        "through the proxy `{}`: the proxy refuses the credentials (407); check the user and the password of the proxy",
        proxy.url()
    );
    assert!(reason(&outcome).contains(&words), "{outcome:?}");
    assert!(server.conversation().requests().is_empty());
}

#[tokio::test]
async fn plain_http_is_forwarded_by_the_proxy() {
    let proxy = FaultyServer::start(|request, _| match request.header("proxy-authorization") {
        Some(CREDENTIALS) => Reaction::answer(200),
        _ => Reaction::answer(407),
    })
    .await
    .unwrap();
    let url = "http://server.invalid:8080/in";
    assert_eq!(
        send_through(manual(proxy.url(""), true, &[]), url).await,
        Outcome::Delivered
    );
    assert_eq!(proxy.conversation().requests()[0].target, url);
    assert_eq!(
        proxy.conversation().requests()[0].header("host"),
        Some("server.invalid:8080")
    );
    let outcome = send_through(manual(proxy.url(""), false, &[]), url).await;
    assert!(
        matches!(
            outcome,
            Outcome::Hold {
                cause: Cause::Credentials,
                ..
            }
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn what_is_to_be_bypassed_is_reached_directly() {
    let server = FaultyServer::start(|_, _| Reaction::answer(200))
        .await
        .unwrap();
    let proxy = FaultyServer::start(|_, _| Reaction::answer(500))
        .await
        .unwrap();
    let outcome = send_through(
        manual(proxy.url(""), true, &["127.0.0.0/8"]),
        &server.url("/in"),
    )
    .await;
    assert_eq!(outcome, Outcome::Delivered);
    assert!(proxy.conversation().requests().is_empty());
}

#[tokio::test]
async fn a_proxy_that_is_down_is_named() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let outcome = send_through(manual(url.clone(), true, &[]), "http://server.invalid/in").await;
    assert!(matches!(outcome, Outcome::Hold { .. }), "{outcome:?}");
    assert!(
        reason(&outcome).contains(&format!("through the proxy `{url}`")),
        "{outcome:?}"
    );
    assert!(!reason(&outcome).contains("s3cr3t"), "{outcome:?}");
}

/// RFC 1928 and 1929, as far as one connection needs them.
async fn socks(listener: TcpListener, onward_to: std::net::SocketAddr) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    stream
        .read_exact(&mut vec![0; usize::from(head[1])])
        .await
        .unwrap();
    stream.write_all(&[5, 2]).await.unwrap();
    let user = read_text(&mut stream, true).await;
    let password = read_text(&mut stream, false).await;
    assert_eq!((user.as_str(), password.as_str()), ("ann", "s3cr3t"));
    stream.write_all(&[1, 0]).await.unwrap();
    let mut request = [0; 4];
    stream.read_exact(&mut request).await.unwrap();
    assert_eq!(request, [5, 1, 0, 3], "connect, by name");
    let host = read_text(&mut stream, false).await;
    stream.read_exact(&mut [0; 2]).await.unwrap();
    stream
        .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    let mut onward = TcpStream::connect(onward_to).await.unwrap();
    drop(tokio::io::copy_bidirectional(&mut stream, &mut onward).await);
    host
}

async fn read_text(stream: &mut TcpStream, after_version: bool) -> String {
    let mut head = [0; 2];
    let head = &mut head[..if after_version { 2 } else { 1 }];
    stream.read_exact(head).await.unwrap();
    let mut text = vec![0; usize::from(*head.last().unwrap())];
    stream.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_socks_proxy_resolves_the_name_and_passes_the_bytes_on() {
    let server = FaultyServer::start(|_, _| Reaction::answer(200))
        .await
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("socks5://{}", listener.local_addr().unwrap());
    let proxy = tokio::spawn(socks(listener, server.address()));
    {
        let outcome = send_through(manual(url, true, &[]), "http://server.invalid/in").await;
        assert_eq!(outcome, Outcome::Delivered);
    }
    assert_eq!(
        server.conversation().requests()[0].header("host"),
        Some("server.invalid")
    );
    drop(server);
    assert_eq!(soon("the proxy", proxy).await.unwrap(), "server.invalid");
}

#[tokio::test]
async fn tls_settings_are_not_asked_of_a_plain_destination() {
    let mut config = HttpConfig::new("http://localhost/");
    config.tls = Tls {
        system_authorities: false,
        authorities: Vec::new(),
        ..Tls::default()
    };
    assert!(Http::new(&config, clock()).is_ok());
}

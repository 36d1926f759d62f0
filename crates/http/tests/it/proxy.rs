//! Through a proxy: forwarding, tunnels, who we are, and what is bypassed.

use crate::support::{asked, client, get, server, settings, soon, trusting};
use mainstay_http::{ClientSettings, ErrorKind, Proxy, Secret, SystemProxies};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use mainstay_testkit::tls_server::{Authority, TlsServer};
use mainstay_testkit::tunnels::{CREDENTIALS, Tunnels};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn through(proxy: Proxy) -> ClientSettings {
    ClientSettings {
        proxy,
        ..settings()
    }
}

fn manual(url: String, with_credentials: bool, bypass: &[&str]) -> Proxy {
    Proxy::Manual {
        url,
        credentials: with_credentials.then(|| ("ann".into(), Secret::new("s3cr3t"))),
        bypass: bypass.iter().map(ToString::to_string).collect(),
    }
}

/// A proxy for plain requests that wants to know who asks.
async fn forwarding() -> FaultyServer {
    server(|request, _| match request.header("proxy-authorization") {
        Some(CREDENTIALS) => Reaction::answer(200).body("by the proxy"),
        _ => Reaction::answer(407),
    })
    .await
}

#[tokio::test]
async fn plain_requests_are_forwarded_with_the_credentials_of_the_proxy() {
    let proxy = forwarding().await;
    let url = "http://server.invalid:8080/in";
    let known = client(through(manual(proxy.url(""), true, &[])));
    let answer = soon("it", known.get(url).send()).await.unwrap();
    assert_eq!(answer.text(), "by the proxy");
    let request = proxy.conversation().requests().remove(0);
    assert_eq!(request.target, url);
    assert_eq!(request.header("host"), Some("server.invalid:8080"));

    let unknown = client(through(manual(proxy.url(""), false, &[])));
    assert_eq!(get(&unknown, url).await, Ok(407));
}

#[tokio::test]
async fn requests_with_tls_go_through_a_tunnel_and_the_server_sees_no_password_of_it() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let server = TlsServer::willing(&authority.localhost(), None).await;
    let proxy = Tunnels::start().await.unwrap();
    let mut settings = trusting(&authority, &folder);
    settings.proxy = manual(proxy.url().to_owned(), true, &[]);
    let client = client(settings.clone());
    let request = client
        .get(&server.url("/in"))
        .secret_header("X-Ours", "s3cr3t");
    assert_eq!(
        soon("it", request.send()).await.unwrap().status.as_u16(),
        200
    );
    let asked = proxy.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("CONNECT localhost:"), "{asked:?}");
    assert!(!asked[0].contains("x-ours"), "{asked:?}");
    let heard = server.conversation().requests().remove(0);
    assert_eq!(heard.header("proxy-authorization"), None);
    assert_eq!(heard.header("x-ours"), Some("s3cr3t"));

    settings.proxy = manual(proxy.url().to_owned(), false, &[]);
    let unknown = crate::support::client(settings);
    let error = soon("it", unknown.get(&server.url("/in")).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    assert!(error.to_string().contains("the proxy"), "{error}");
    assert_eq!(server.conversation().requests().len(), 1);
}

#[tokio::test]
async fn what_is_to_be_bypassed_is_reached_directly() {
    let proxy = forwarding().await;
    let server = server(|_, _| Reaction::answer(204)).await;
    for bypass in [&["127.0.0.0/8"][..], &["example.com", "127.0.0.1"], &["*"]] {
        let client = client(through(manual(proxy.url(""), true, bypass)));
        assert_eq!(get(&client, &server.url("/")).await, Ok(204), "{bypass:?}");
    }
    let client = client(through(manual(proxy.url(""), true, &["10.0.0.0/8"])));
    assert_eq!(get(&client, &server.url("/")).await, Ok(200));
    assert_eq!((asked(&server), asked(&proxy)), (3, 1));
}

#[tokio::test]
async fn the_system_s_proxies_are_those_that_were_handed_in() {
    let proxy = forwarding().await;
    let server = server(|_, _| Reaction::answer(204)).await;
    let address = format!("http://ann:s3cr3t@{}", proxy.address());
    let mut system = SystemProxies {
        http: Some(Secret::new(address)),
        bypass: Some("localhost,.internal".into()),
        ..SystemProxies::default()
    };
    let by = |system: &SystemProxies| client(through(Proxy::System(system.clone())));
    assert_eq!(
        get(&by(&system), &server.url("/")).await,
        Ok(200),
        "by the proxy"
    );
    system.bypass = Some("localhost,127.0.0.1".into());
    assert_eq!(get(&by(&system), &server.url("/")).await, Ok(204));
    system.http = None;
    assert_eq!(get(&by(&system), &server.url("/")).await, Ok(204));
}

#[tokio::test]
async fn a_proxy_that_is_down_is_no_way_out_and_its_password_is_not_told() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = client(through(manual(url, true, &[])));
    let error = soon("it", client.get("http://server.invalid/").send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    assert!(!format!("{error:?} {error}").contains("s3cr3t"));
}

/// RFC 1928 and 1929, as far as one connection needs them; answers the name it was asked for.
async fn socks(listener: TcpListener, onward_to: std::net::SocketAddr) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    let mut methods = vec![0; usize::from(head[1])];
    stream.read_exact(&mut methods).await.unwrap();
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
    let opened = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    stream.write_all(&opened).await.unwrap();
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
async fn a_socks_proxy_resolves_the_name_and_is_told_who_asks() {
    let server = server(|_, _| Reaction::answer(204)).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("socks5h://{}", listener.local_addr().unwrap());
    let proxy = tokio::spawn(socks(listener, server.address()));
    {
        let client = client(through(manual(url, true, &[])));
        assert_eq!(get(&client, "http://server.invalid/").await, Ok(204));
    }
    drop(server);
    assert_eq!(soon("the proxy", proxy).await.unwrap(), "server.invalid");
}

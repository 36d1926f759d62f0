//! Whom we trust, who we are, and that nobody talks us out of it.

use crate::support::{asked, client, get, secret_file, server, settings, soon, trusting};
use mainstay_http::{ClientCertificate, ClientSettings, Error, ErrorKind};
use mainstay_testkit::faulty_server::Reaction;
use mainstay_testkit::tls_server::{Authority, TlsServer};
use rcgen::ExtendedKeyUsagePurpose;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A date in a year that is over.
fn long_ago() -> impl FnOnce(&mut rcgen::CertificateParams) {
    |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
}

/// Whatever it is told, it says this and goes.
async fn saying(said: Vec<u8>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let heard = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(heard > 0);
            stream.write_all(&said).await.unwrap();
        }
    });
    url
}

async fn refused(settings: ClientSettings, url: &str) -> Error {
    soon("the error", client(settings).get(url).send())
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_root_of_our_own_is_trusted_alone_and_beside_the_system_s() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let server = TlsServer::willing(&authority.localhost(), None).await;
    let mut settings = trusting(&authority, &folder);
    assert_eq!(
        get(&client(settings.clone()), &server.url("/")).await,
        Ok(200)
    );
    settings.tls.system_authorities = true;
    assert_eq!(get(&client(settings), &server.url("/")).await, Ok(200));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted_is_refused_once_with_the_reason() {
    let (authority, other, folder) = (Authority::new(), Authority::new(), TempDir::new().unwrap());
    let ours = || trusting(&authority, &folder);
    for (signed, settings, reason) in [
        (
            other.localhost(),
            ours(),
            "an authority that is not trusted",
        ),
        (
            authority.localhost(),
            settings(),
            "an authority that is not trusted",
        ),
        (
            authority.sign(&["elsewhere"], ExtendedKeyUsagePurpose::ServerAuth),
            ours(),
            "for another name",
        ),
        (
            authority.sign_with(
                &["localhost"],
                ExtendedKeyUsagePurpose::ServerAuth,
                long_ago(),
            ),
            ours(),
            "not valid at this time",
        ),
    ] {
        let server = TlsServer::willing(&signed, None).await;
        let error = refused(settings, &server.url("/?token=s3cr3t")).await;
        assert_eq!(
            (error.kind(), error.attempts()),
            (ErrorKind::Tls, 1),
            "{error:?}"
        );
        let message = error.to_string();
        assert!(message.contains(reason), "{message}");
        assert!(
            message.starts_with("no TLS with `https://localhost:"),
            "{message}"
        );
        assert!(!format!("{error:?}").contains("s3cr3t"));
        assert!(server.conversation().requests().is_empty());
    }
}

#[tokio::test]
async fn who_speaks_no_tls_or_only_an_old_one_is_told_from_that() {
    // An old server says this alert and goes; one without TLS answers as it is used to.
    let alert = [0x15, 3, 1, 0, 2, 2, 70];
    for (said, kind, reason) in [
        (&alert[..], ErrorKind::Tls, "1.2 or later"),
        (
            b"HTTP/1.1 400 X\r\n\r\n",
            ErrorKind::Tls,
            "does not speak TLS",
        ),
        (b"", ErrorKind::BrokenAnswer, "check scheme and port"),
    ] {
        let error = refused(settings(), &saying(said.to_vec()).await).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn our_certificate_is_shown_to_who_asks_for_it() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let ours = authority.sign(&["client"], ExtendedKeyUsagePurpose::ClientAuth);
    let server = TlsServer::willing(&authority.localhost(), Some(&authority)).await;
    let mut settings = trusting(&authority, &folder);
    let error = refused(settings.clone(), &server.url("/")).await;
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    assert!(error.to_string().contains("client certificate"), "{error}");

    settings.tls.client = Some(ClientCertificate {
        certificate: secret_file(&folder, "client.pem", &ours.0.pem()),
        key: secret_file(&folder, "client.key", &ours.1.serialize_pem()),
    });
    assert_eq!(get(&client(settings), &server.url("/")).await, Ok(200));
}

#[cfg(unix)]
#[test]
fn a_key_that_is_open_to_everybody_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let ours = authority.localhost();
    let key = secret_file(&folder, "client.key", &ours.1.serialize_pem());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut settings = settings();
    settings.tls.client = Some(ClientCertificate {
        certificate: secret_file(&folder, "client.pem", &ours.0.pem()),
        key,
    });
    let refused = mainstay_http::Client::new(settings, mainstay_clock::system()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Settings);
    assert!(
        refused.to_string().contains("open to everybody"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_redirect_out_of_tls_is_refused_and_one_into_it_is_followed() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let plain = server(|_, _| Reaction::answer(200)).await;
    let out = plain.url("/");
    let secure = TlsServer::start(
        &authority.localhost(),
        None,
        move |request, _| match request.target.as_str() {
            "/out" => Reaction::answer(302).header("Location", &out),
            _ => Reaction::answer(201),
        },
    )
    .await;
    let error = refused(trusting(&authority, &folder), &secure.url("/out")).await;
    assert_eq!(error.kind(), ErrorKind::Redirect);
    assert!(error.to_string().contains("from https to http"), "{error}");
    assert_eq!(asked(&plain), 0);

    let into = secure.url("/in");
    let plain = server(move |_, _| Reaction::answer(301).header("Location", &into)).await;
    let client = client(trusting(&authority, &folder));
    assert_eq!(get(&client, &plain.url("/")).await, Ok(201));
}

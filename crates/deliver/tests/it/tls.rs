//! K8: TLS is verified, always; what is wrong with it is said.

use crate::support::{reason, send_with, soon, trusting};
use mainstay_deliver::{
    Cause, ClientCertificate, ErrorKind, Http, HttpConfig, Outcome, Tls, Validity,
};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use mainstay_testkit::tls_server::{Authority, Signed, TlsServer};
use rcgen::ExtendedKeyUsagePurpose;
use std::path::PathBuf;
use tempfile::TempDir;

fn held_because(outcome: &Outcome, words: &str) {
    assert!(
        matches!(
            outcome,
            Outcome::Hold {
                cause: Cause::Untrusted,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert!(
        reason(outcome).contains("no TLS with `https://localhost:")
            && reason(outcome).contains(words),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_server_whose_authority_is_named_is_trusted() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let server = TlsServer::willing(&authority.localhost(), None).await;
    let config = trusting(&server, vec![authority.file(folder.path(), "ca.pem")]);
    assert_eq!(send_with(&config).await, Outcome::Delivered);
    assert_eq!(server.conversation().requests().len(), 1);
}

#[tokio::test]
async fn a_server_of_another_authority_gets_nothing_and_the_reason_is_told() {
    let (authority, other, folder) = (Authority::new(), Authority::new(), TempDir::new().unwrap());
    let server = TlsServer::willing(&authority.localhost(), None).await;
    let outcome = send_with(&trusting(
        &server,
        vec![other.file(folder.path(), "other.pem")],
    ))
    .await;
    held_because(&outcome, "signed by an authority that is not trusted");
    assert!(server.conversation().requests().is_empty());
}

#[tokio::test]
async fn the_system_s_authorities_are_no_blank_cheque() {
    let (authority, other, folder) = (Authority::new(), Authority::new(), TempDir::new().unwrap());
    let server = TlsServer::willing(&authority.localhost(), None).await;
    // With one further authority, so that this also runs where the system trusts nobody.
    let mut config = trusting(&server, vec![other.file(folder.path(), "other.pem")]);
    config.tls.system_authorities = true;
    held_because(
        &send_with(&config).await,
        "signed by an authority that is not trusted",
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_or_time_is_refused() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let ca = authority.file(folder.path(), "ca.pem");
    let server = TlsServer::willing(
        &authority.sign(&["example.com"], ExtendedKeyUsagePurpose::ServerAuth),
        None,
    )
    .await;
    held_because(
        &send_with(&trusting(&server, vec![ca.clone()])).await,
        "is for another name",
    );

    let expired = authority.sign_with(
        &["localhost"],
        ExtendedKeyUsagePurpose::ServerAuth,
        |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1),
    );
    let server = TlsServer::willing(&expired, None).await;
    held_because(
        &send_with(&trusting(&server, vec![ca])).await,
        "check the clock",
    );
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_holds_the_destination() {
    let plain = FaultyServer::start(|_, _| Reaction::answer(200))
        .await
        .unwrap();
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let mut config = HttpConfig::new(format!("https://localhost:{}/in", plain.address().port()));
    config.tls = Tls {
        system_authorities: false,
        authorities: vec![authority.file(folder.path(), "ca.pem")],
        ..Tls::default()
    };
    let outcome = soon("the outcome", send_with(&config)).await;
    assert!(matches!(outcome, Outcome::Hold { .. }), "{outcome:?}");
}

/// Our certificate and its key, in files that only their owner can read.
fn client_files(signed: &Signed, folder: &TempDir, name: &str) -> ClientCertificate {
    let files = ClientCertificate {
        certificate: folder.path().join(format!("{name}.pem")),
        key: folder.path().join(format!("{name}.key")),
    };
    std::fs::write(&files.certificate, signed.0.pem()).unwrap();
    std::fs::write(&files.key, signed.1.serialize_pem()).unwrap();
    set_mode(&files.key, 0o600);
    files
}

#[cfg(unix)]
fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_path: &std::path::Path, _mode: u32) {}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_told_by_certificate() {
    let (authority, clients, strangers, folder) = (
        Authority::new(),
        Authority::new(),
        Authority::new(),
        TempDir::new().unwrap(),
    );
    let server = TlsServer::willing(&authority.localhost(), Some(&clients)).await;
    let mut config = trusting(&server, vec![authority.file(folder.path(), "ca.pem")]);

    held_because(&send_with(&config).await, "client certificate");
    let stranger = strangers.sign(&["station-7"], ExtendedKeyUsagePurpose::ClientAuth);
    config.tls.client = Some(client_files(&stranger, &folder, "stranger"));
    held_because(&send_with(&config).await, "client certificate");
    assert!(server.conversation().requests().is_empty());

    let ours = clients.sign(&["station-7"], ExtendedKeyUsagePurpose::ClientAuth);
    config.tls.client = Some(client_files(&ours, &folder, "ours"));
    assert_eq!(send_with(&config).await, Outcome::Delivered);
}

#[tokio::test]
async fn until_when_each_certificate_is_valid_is_known_once_it_was_met_and_proved_good() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let until = |year| {
        move |params: &mut rcgen::CertificateParams| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
        }
    };
    let server = ExtendedKeyUsagePurpose::ServerAuth;
    let theirs = authority.sign_with(&["localhost"], server.clone(), until(2070));
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    let ours = authority.sign_with(&["station-7"], client, until(2080));
    let good = TlsServer::willing(&theirs, Some(&authority)).await;
    let ca = authority.file(folder.path(), "ca.pem");
    let mut config = trusting(&good, vec![ca.clone()]);
    config.tls.client = Some(client_files(&ours, &folder, "ours"));
    let met = config.tls.certificates.clone();
    assert!(met.met().is_empty());
    assert_eq!(send_with(&config).await, Outcome::Delivered);
    let file = folder.path().join("ours.pem");
    let validity = |year: i64| {
        let day = |days: i64| days * 86_400;
        let since_1970 = |year: i64| day((year - 1970) * 365 + (year - 1969) / 4);
        Validity {
            from: since_1970(2020),
            until: since_1970(year),
        }
    };
    let expected = [
        (format!("in `{}`", file.display()), validity(2080)),
        ("of `localhost`".to_owned(), validity(2070)),
    ];
    assert_eq!(met.met().into_iter().collect::<Vec<_>>(), expected);

    // What is not good is not noted: it says nothing of when the connection will fail.
    let expired = authority.sign_with(&["localhost"], server, until(2021));
    let bad = TlsServer::willing(&expired, None).await;
    let mut config = trusting(&bad, vec![ca]);
    let met = config.tls.certificates.clone();
    config.tls.client = None;
    held_because(&send_with(&config).await, "check the clock");
    assert!(met.met().is_empty(), "{met:?}");
}

#[tokio::test]
async fn a_certificate_file_that_is_none_is_refused_with_its_name() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let refusal = |authorities: Vec<PathBuf>, client: Option<ClientCertificate>| {
        let mut config = HttpConfig::new("https://localhost/in");
        config.tls = Tls {
            system_authorities: false,
            authorities,
            client,
            ..Tls::default()
        };
        let error = Http::new(&config, crate::support::clock()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Certificate);
        error.to_string()
    };
    let garbage = folder.path().join("garbage.pem");
    std::fs::write(&garbage, "this is no certificate").unwrap();
    assert!(refusal(vec![folder.path().join("missing.pem")], None).contains("missing.pem"));
    assert!(refusal(vec![garbage], None).contains("garbage.pem"));
    assert!(refusal(Vec::new(), None).contains("nobody is trusted"));

    let ca = authority.file(folder.path(), "ca.pem");
    let one = client_files(
        &authority.sign(&["a"], ExtendedKeyUsagePurpose::ClientAuth),
        &folder,
        "one",
    );
    let two = client_files(
        &authority.sign(&["b"], ExtendedKeyUsagePurpose::ClientAuth),
        &folder,
        "two",
    );
    let mixed = ClientCertificate {
        certificate: one.certificate.clone(),
        key: two.key,
    };
    assert!(refusal(vec![ca.clone()], Some(mixed)).contains("do not belong together"));
    set_mode(&one.key, 0o644);
    #[cfg(unix)]
    assert!(refusal(vec![ca], Some(one)).contains("chmod 600"));
}

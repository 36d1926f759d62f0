//! What a look at a destination finds out without a document, and what it leaves there: nothing.

use crate::support::{clock, soon, trusting};
use mainstay_clock::ManualClock;
use mainstay_deliver::{
    Auth, Checked, Destination, Folder, FolderConfig, Http, HttpConfig, Secret, Verdict,
};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use mainstay_testkit::tls_server::{Authority, TlsServer};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

async fn look(config: &HttpConfig) -> Checked {
    let http = Http::new(config, clock()).unwrap();
    soon("the look", http.check("lab")).await
}

/// What a server with this answer to everything is taken for, at this path.
async fn answered(reaction: Reaction, path: &str) -> (Checked, FaultyServer) {
    let server = FaultyServer::start(move |_, _| reaction.clone()).await;
    let server = server.unwrap();
    let mut config = HttpConfig::new(server.url(path));
    config.auth = Auth::Bearer(Secret::new("t0k3n"));
    (look(&config).await, server)
}

#[tokio::test]
async fn a_look_at_a_server_hands_over_no_document_and_shows_who_asks() {
    let (checked, server) = answered(Reaction::answer(204), "/in").await;
    assert_eq!(checked.verdict, Verdict::Ready, "{checked:?}");
    assert!(checked.said.contains("204"), "{checked:?}");
    let requests = server.conversation().requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("authorization"), Some("Bearer t0k3n"));
    assert_eq!(requests[0].header("idempotency-key"), None);
    assert!(requests[0].body.is_empty());
    assert_eq!(requests[0].method, "HEAD");
}

#[tokio::test]
async fn what_a_server_says_without_a_document_is_told_as_what_it_means() {
    for status in [401, 403, 407, 429, 500, 502, 503] {
        let (checked, _server) = answered(Reaction::answer(status), "/in").await;
        assert_eq!(checked.verdict, Verdict::Failing, "{status}: {checked:?}");
        assert!(checked.said.contains(&status.to_string()), "{checked:?}");
    }
    for status in [400, 404, 405, 411, 415, 422, 501] {
        let (checked, _server) = answered(Reaction::answer(status), "/in").await;
        assert_eq!(checked.verdict, Verdict::Answers, "{status}: {checked:?}");
        assert!(checked.said.contains(&status.to_string()), "{checked:?}");
    }
    let (checked, _server) = answered(Reaction::answer(404), "/in/{id}").await;
    assert!(checked.said.contains("not there yet"), "{checked:?}");
    // As S3 answers for a document that is not there to whoever may not list.
    let (checked, _server) = answered(Reaction::answer(403), "/in/{id}").await;
    assert_eq!(checked.verdict, Verdict::Answers, "{checked:?}");
    assert!(checked.said.contains("403"), "{checked:?}");
    let (checked, _server) = answered(Reaction::answer(401), "/in/{id}").await;
    assert_eq!(checked.verdict, Verdict::Failing, "{checked:?}");
    let moved = Reaction::answer(301).header("Location", "https://elsewhere.example/?token=s3cr3t");
    let (checked, _server) = answered(moved, "/in").await;
    assert_eq!(checked.verdict, Verdict::Failing);
    assert!(
        checked.said.contains("elsewhere.example") && !checked.said.contains("s3cr3t"),
        "{checked:?}"
    );
}

#[tokio::test]
async fn who_cannot_be_reached_or_trusted_is_told_with_the_reason() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let checked = look(&HttpConfig::new(format!("http://{address}/in"))).await;
    assert_eq!(checked.verdict, Verdict::Failing);
    assert!(checked.said.contains("cannot connect to"), "{checked:?}");

    let checked = look(&HttpConfig::new("http://nobody.invalid/in")).await;
    assert_eq!(checked.verdict, Verdict::Failing);
    assert!(checked.said.contains("cannot find the host"), "{checked:?}");

    let (authority, other, folder) = (Authority::new(), Authority::new(), TempDir::new().unwrap());
    let server = TlsServer::willing(&authority.localhost(), None).await;
    let checked = look(&trusting(
        &server,
        vec![other.file(folder.path(), "ca.pem")],
    ))
    .await;
    assert_eq!(checked.verdict, Verdict::Failing);
    assert!(checked.said.contains("no TLS with"), "{checked:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_keeps_nobody_waiting_for_long() {
    let clock = ManualClock::new();
    let server = FaultyServer::start(|_, _| Reaction::Hang).await.unwrap();
    let http = Http::new(&HttpConfig::new(server.url("/in")), Arc::new(clock.clone())).unwrap();
    let looking = tokio::spawn(async move { http.check("lab").await });
    soon("the request", server.conversation().wait_for(1)).await;
    clock.advance(Duration::from_secs(10));
    let checked = soon("the look", looking).await.unwrap();
    assert_eq!(checked.verdict, Verdict::Failing);
    assert!(
        checked.said.contains("no answer within 10 s"),
        "{checked:?}"
    );
}

#[tokio::test]
async fn a_folder_is_ready_once_a_file_can_be_made_in_it_and_none_is_left() {
    let temp = TempDir::new().unwrap();
    let (out, file) = (temp.path().join("out"), temp.path().join("file"));
    let folder = |path| Folder::new(&FolderConfig::new(path), clock()).unwrap();
    let checked = folder(&out).check("lab").await;
    assert_eq!(checked.verdict, Verdict::Failing);
    assert!(checked.said.contains("is not there"), "{checked:?}");

    std::fs::write(&file, b"").unwrap();
    let checked = folder(&file).check("lab").await;
    assert!(checked.said.contains("is a file"), "{checked:?}");

    std::fs::create_dir(&out).unwrap();
    let checked = folder(&out).check("lab").await;
    assert_eq!(checked.verdict, Verdict::Ready, "{checked:?}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
}

//! A certificate that runs out is told while there is time to renew it.

use crate::support::{Running, Stage, say, until};
use mainstay_testkit::faulty_server::Reaction;
use mainstay_testkit::tls_server::{Authority, Signed, TlsServer};
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tokio::runtime::Runtime;

/// A runtime for the server, which the test is not.
fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// From a year ago until in so many days, and a little.
fn lasting(
    authority: &Authority,
    name: &str,
    purpose: ExtendedKeyUsagePurpose,
    days: u64,
) -> Signed {
    let (now, day) = (SystemTime::now(), Duration::from_hours(24));
    let until = now + day * u32::try_from(days).unwrap() + Duration::from_mins(30);
    authority.lasting(name, purpose, (now - day * 365, until))
}

/// An agent from `drop` to this server, which trusts this authority.
fn start(stage: &Stage, server: &TlsServer, authority: &Authority, more: &str) -> Running {
    let ca = authority.file(&stage.path(""), "ca.pem");
    let config = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{}\"\ntls = {{ ca = \"{}\"{more} }}\n",
        stage.text("drop"),
        server.url("/ingest"),
        ca.display(),
    );
    stage.start(&mut stage.configured(&config))
}

/// Null between two lives, when nobody answers.
fn check(stage: &Stage) -> Value {
    let said = say(stage.command(&["health"]).arg("--json"));
    let health: Value = serde_json::from_str(&said.out).unwrap_or_default();
    health["checks"]["certificates"].clone()
}

fn message(check: &Value) -> &str {
    check["last"]["message"].as_str().unwrap_or_default()
}

#[test]
fn a_server_s_certificate_that_runs_out_is_told_until_it_was_renewed() {
    let (stage, runtime, authority) = (Stage::new(), runtime(), Authority::new());
    let of_server = |days| {
        lasting(
            &authority,
            "localhost",
            ExtendedKeyUsagePurpose::ServerAuth,
            days,
        )
    };
    let server = runtime.block_on(TlsServer::start(&of_server(10), None, |_, _| {
        Reaction::answer(200).header("connection", "close")
    }));
    let agent = start(&stage, &server, &authority, "");
    assert_eq!(check(&stage)["state"], "healthy", "none was met yet");
    stage.drop_file("one.csv", b"1");
    until("it is told", || check(&stage)["state"] == "degraded");
    let told = check(&stage);
    let words = "the certificate of `localhost`, for `lab/server`, runs out in 10d: 20";
    assert!(message(&told).starts_with(words), "{told}");
    assert_eq!(told["runbook"], "certificate-expires");
    let book = say(&mut stage.command(&["runbook", "certificate-expires"])).out;
    assert!(
        book.contains("of lab/server, the first certificate runs out 20"),
        "{book}"
    );

    server.renew(&of_server(90), None);
    stage.drop_file("two.csv", b"2");
    until("it is well again", || check(&stage)["state"] == "healthy");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    assert_eq!(stage.ledger("delivered"), 2);
}

#[test]
fn our_own_certificate_that_runs_out_is_told_at_once_and_until_a_new_one_was_read() {
    let (stage, runtime, authority) = (Stage::new(), runtime(), Authority::new());
    let server = authority.localhost();
    let server = runtime.block_on(TlsServer::willing(&server, Some(&authority)));
    let ours = |name: &str, days| {
        let purpose = ExtendedKeyUsagePurpose::ClientAuth;
        let (certificate, key) = lasting(&authority, "station-7", purpose, days);
        let files: [PathBuf; 2] =
            [format!("{name}.pem"), format!("{name}.key")].map(|file| stage.path(&file));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&files[1], mode).unwrap();
        files.map(|file| file.display().to_string())
    };
    let [certificate, key] = ours("ours", 1);
    let more = format!(", cert = \"{certificate}\", key = \"{key}\"");
    let agent = start(&stage, &server, &authority, &more);
    until("it is told", || check(&stage)["state"] == "unhealthy");
    let told = check(&stage);
    let words = format!("the certificate in `{certificate}`, for `lab/server`, runs out in 1d: 20");
    assert!(message(&told).starts_with(&words), "{told}");

    ours("ours", 90);
    agent.signal("HUP");
    until("it is well again", || check(&stage)["state"] == "healthy");

    // The next one has another name: the old one is nobody's any more.
    ours("ours", 1);
    agent.signal("HUP");
    until("it is told", || check(&stage)["state"] == "unhealthy");
    ours("next", 90);
    let config = std::fs::read_to_string(stage.path("lab.toml")).unwrap();
    let config = config.replace("ours.", "next.");
    std::fs::write(stage.path("lab.toml"), config).unwrap();
    agent.signal("HUP");
    until("it is well again", || check(&stage)["state"] == "healthy");
    stage.drop_file("one.csv", b"1");
    until("it is delivered", || stage.ledger("delivered") == 1);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

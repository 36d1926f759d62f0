//! Lookups and alerts reach their servers as destinations do: with an authority, a certificate and a proxy of their own.

use crate::support::{Running, Stage, names, say, until};
use mainstay_testkit::faulty_server::Reaction;
use mainstay_testkit::tls_server::{Authority, Signed, TlsServer};
use mainstay_testkit::tunnels::Tunnels;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, SystemTime};
use tokio::runtime::Runtime;

/// A runtime for servers, which the test is not.
fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// What all of these need: an authority, a server that it vouches for and that asks for a certificate of it, and a proxy.
struct Cast {
    stage: Stage,
    authority: Authority,
    server: TlsServer,
    proxy: Tunnels,
    _runtime: Runtime,
}

impl Cast {
    /// The server knows of everything that `b` is 1, and shows its certificate on each connection anew.
    fn new() -> Self {
        let (stage, runtime, authority) = (Stage::new(), runtime(), Authority::new());
        std::fs::create_dir(stage.path("out")).unwrap();
        authority.file(&stage.path(""), "ca.pem");
        std::fs::write(stage.path("proxy.password"), "s3cr3t\n").unwrap();
        private(&stage, "proxy.password");
        let (server, proxy) = runtime.block_on(async {
            let signed = authority.sign(&["localhost"], ServerAuth);
            let server = TlsServer::start(&signed, Some(&authority), |_, _| {
                Reaction::answer(200)
                    .header("connection", "close")
                    .body(r#"{"b":1}"#)
            });
            (server.await, Tunnels::start().await.unwrap())
        });
        let cast = Self {
            stage,
            authority,
            server,
            proxy,
            _runtime: runtime,
        };
        cast.ours(90);
        cast
    }

    /// Our certificate and its key, which last for so many days from now, and did for a year before.
    fn ours(&self, days: u32) {
        let (now, day) = (SystemTime::now(), Duration::from_hours(24));
        let until = now + day * days + Duration::from_mins(30);
        let (certificate, key): Signed =
            self.authority
                .lasting("station-7", ClientAuth, (now - day * 365, until));
        std::fs::write(self.stage.path("ours.pem"), certificate.pem()).unwrap();
        std::fs::write(self.stage.path("ours.key"), key.serialize_pem()).unwrap();
        private(&self.stage, "ours.key");
    }

    /// All that a connection may have; files are beside the configuration.
    fn connection(&self) -> String {
        format!(
            "proxy = {{ url = \"{}\", user = \"ann\", password = \"file:proxy.password\" }}\ntls = {{ ca = \"ca.pem\", cert = \"ours.pem\", key = \"ours.key\" }}\n",
            self.proxy.url()
        )
    }

    /// From `drop` to `out`, with a lookup at the server that is reached so.
    fn config(&self, connection: &str) -> String {
        format!(
            "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\nsettle = \"0s\"\n[[route.lookup]]\nurl = \"{}\"\ntake = {{ a = \"b\" }}\n{connection}[route.to.out]\npath = \"{}\"\nname = \"{{id}}\"\n",
            self.stage.text("drop"),
            self.server.url("/parts/{n}"),
            self.stage.text("out"),
        )
    }

    fn configured(&self, config: &str) -> Command {
        self.stage.configured(config)
    }

    fn agent(&self, connection: &str) -> Running {
        let mut command = self.configured(&self.config(connection));
        self.stage.start(&mut command)
    }

    fn lookup(&self) -> serde_json::Value {
        self.stage.json(&["status"])["routes"][0]["lookups"][0].clone()
    }

    /// The check of certificates, as it was looked at last; null between two lives.
    fn certificates(&self) -> serde_json::Value {
        let said = say(self.stage.command(&["health"]).arg("--json"));
        let health: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_default();
        health["checks"]["certificates"].clone()
    }

    /// The one document that arrived.
    fn arrived(&self) -> String {
        until("it is delivered", || {
            // Between two lives nobody answers.
            let said = say(self.stage.command(&["status"]).arg("--json"));
            let status: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_default();
            status["ledger"]["delivered"] == 1
        });
        let out = self.stage.path("out");
        let files = names(&out);
        std::fs::read_to_string(out.join(&files[0])).unwrap()
    }
}

fn private(stage: &Stage, name: &str) {
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(stage.path(name), mode).unwrap();
}

#[test]
fn a_lookup_reaches_its_server_through_a_proxy_with_an_authority_and_a_certificate_of_its_own() {
    let cast = Cast::new();
    cast.ours(1);
    let agent = cast.agent(&cast.connection());
    // Ours is known before anything was asked.
    until("it is told", || cast.certificates()["state"] == "unhealthy");
    let told = cast.certificates();
    let words = format!(
        "the certificate in `{}`, for the lookup `lookup` of `lab`, runs out in 1d: 20",
        cast.stage.text("ours.pem")
    );
    let message = told["last"]["message"].as_str().unwrap();
    assert!(message.starts_with(&words), "{told}");
    let book = say(&mut cast.stage.command(&["runbook", "certificate-expires"])).out;
    let words = "of the lookup lookup of lab, the first certificate runs out 20";
    assert!(book.contains(words), "{book}");

    cast.ours(90);
    agent.signal("HUP");
    until("it is well again", || {
        cast.certificates()["state"] == "healthy"
    });
    cast.stage.drop_file("one.json", br#"{"n":7}"#);
    assert_eq!(cast.arrived(), r#"{"n":7,"a":1}"#);
    let asked = cast.proxy.asked();
    let port = cast.server.port();
    assert!(
        asked
            .iter()
            .all(|head| head.starts_with(&format!("CONNECT localhost:{port} ")))
            && !asked.is_empty(),
        "{asked:?}"
    );
    assert!(cast.lookup()["certificate_ends"].is_u64());
    // The secret is shown nowhere, and what is shown can be read again.
    let shown =
        say(&mut cast
            .stage
            .command(&["config", "show", "--config", &cast.stage.text("lab.toml")]));
    assert!(
        shown.out.contains(cast.proxy.url())
            && shown.out.contains("ours.key")
            && !shown.out.contains("s3cr3t"),
        "{shown:?}"
    );
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_lookup_that_is_not_trusted_says_why_until_the_configuration_is_read_again() {
    let cast = Cast::new();
    // Nobody of the system vouches for it.
    let agent = cast.agent("");
    cast.stage.drop_file("one.json", br#"{"n":7}"#);
    until("the document waits", || {
        let reason = cast.lookup()["reason"].clone();
        reason
            .as_str()
            .is_some_and(|reason| reason.contains("certificate"))
    });
    assert!(cast.proxy.asked().is_empty(), "nobody asked for a proxy");
    let config = cast.config(&cast.connection());
    std::fs::write(cast.stage.path("lab.toml"), config).unwrap();
    agent.signal("HUP");
    assert_eq!(cast.arrived(), r#"{"n":7,"a":1}"#);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn the_test_of_a_route_asks_as_its_lookup_does_and_names_the_certificates() {
    let cast = Cast::new();
    let config = cast.config(&cast.connection());
    std::fs::write(cast.stage.path("lab.toml"), config).unwrap();
    std::fs::write(cast.stage.path("one.json"), br#"{"n":7}"#).unwrap();
    let test = |more: &[&str]| {
        let (file, config) = (cast.stage.text("one.json"), cast.stage.text("lab.toml"));
        let mut command = cast
            .stage
            .command(&["route", "test", "lab", "--send", &file]);
        say(command.args(["--config", &config]).args(more))
    };
    let said = test(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for words in [
        "1 field set, 0 unknown",
        "the certificate of `localhost`, for the lookup `lookup`, is valid until ",
        "ours.pem`, for the lookup `lookup`, is valid until ",
    ] {
        assert!(said.out.contains(words), "{words}: {said:?}");
    }
    let files = names(&cast.stage.path("out"));
    let stored = std::fs::read_to_string(cast.stage.path("out").join(&files[0])).unwrap();
    assert_eq!(stored, r#"{"n":7,"a":1}"#);
    // Without ours the server hangs up, and the document does not go without.
    let without = cast.config("tls = { ca = \"ca.pem\" }\n");
    std::fs::write(cast.stage.path("lab.toml"), without).unwrap();
    let said = test(&[]);
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("not delivered: a lookup has to wait: "),
        "{said:?}"
    );
}

#[test]
fn an_alert_reaches_its_server_through_a_proxy_with_an_authority_and_a_certificate_of_its_own() {
    let cast = Cast::new();
    cast.ours(1);
    // That its certificate runs out is the first thing that it tells.
    let config = format!(
        "{}[[alert]]\nurl = \"{}\"\nchecks = [\"certificates\"]\n{}",
        cast.config("")
            .replace("[[route.lookup]]", "# [[route.lookup]]")
            .replace("url = ", "# url = ")
            .replace("take = ", "# take = "),
        cast.server.url("/told"),
        cast.connection()
    );
    let agent = cast.stage.start(&mut cast.configured(&config));
    let told = cast.server.conversation();
    until("it is told", || !told.requests().is_empty());
    let request = told.requests()[0].clone();
    let body = String::from_utf8(request.body).unwrap();
    let port = cast.server.port();
    let words = format!("for the alert to https://localhost:{port}/(hidden), runs out in 1d");
    assert!(body.contains(&words), "{body}");
    assert!(cast.proxy.asked()[0].starts_with(&format!("CONNECT localhost:{port} ")));
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_connection_of_a_lookup_or_an_alert_that_cannot_work_is_refused_with_its_place() {
    let cast = Cast::new();
    let refused = |config: &str, words: &str| {
        std::fs::write(cast.stage.path("lab.toml"), config).unwrap();
        let config = cast.stage.text("lab.toml");
        let said = say(&mut cast
            .stage
            .command(&["config", "check", "--config", &config]));
        assert_ne!(said.code, Some(0), "{words}: {said:?}");
        assert!(
            said.err.contains(words) && said.err.contains("lab.toml:"),
            "{words}: {said:?}"
        );
        assert!(!said.err.contains("s3cr3t"), "{said:?}");
    };
    let alert = |connection: &str| {
        format!(
            "{}[[alert]]\nurl = \"https://h/x\"\n{connection}",
            cast.config("")
        )
    };
    for (connection, words) in [
        (
            "tls = { cert = \"ours.pem\" }\n",
            "a client certificate needs its key",
        ),
        (
            "tls = { ca = \"nowhere.pem\" }\n",
            "cannot read certificates from",
        ),
        ("proxy = \"gopher://p\"\n", "gopher"),
        (
            "proxy = { url = \"http://p\", user = \"u\", password = \"env:NOWHERE_AT_ALL\" }\n",
            "the secret is missing",
        ),
        (
            "proxy = { url = \"system\", user = \"u\" }\n",
            "a `system` proxy with settings of its own",
        ),
    ] {
        refused(&cast.config(connection), words);
        refused(&alert(connection), words);
    }
    let command = format!(
        "{}[[alert]]\ncommand = [\"tell\"]\nproxy = \"system\"\n",
        cast.config("")
    );
    refused(&command, "`proxy` belongs to a `url`");
    // What is answered to whom it is shown is kept by nobody.
    let kept = cast.config(&format!("cache = true\n{}", cast.connection()));
    std::fs::write(cast.stage.path("lab.toml"), kept).unwrap();
    let config = cast.stage.text("lab.toml");
    let said = say(&mut cast
        .stage
        .command(&["config", "check", "--config", &config]));
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = format!("{}{}", said.out, said.err);
    assert!(
        said.contains("no answer is kept of what is asked with credentials"),
        "{said}"
    );
}

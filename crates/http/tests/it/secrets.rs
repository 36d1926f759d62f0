//! No secret is seen: not in a log, not in an error, not in what a server sends back.

use crate::support::{server, settings, soon};
use mainstay_http::{Client, ClientSettings, Download, Expect, Probe, Proxy, Secret};
use mainstay_testkit::faulty_server::Reaction;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn told(client: &Client, url: &str) -> mainstay_http::RequestBuilder {
    client
        .get(&format!("{url}?token=s3cr3t#s3cr3t"))
        .header("Authorization", "Bearer s3cr3t")
        .header("Cookie", "id=s3cr3t")
        .header("X-Api-Key", "s3cr3t")
        .secret_header("X-Ours", "s3cr3t")
}

#[tokio::test]
async fn no_secret_is_in_any_line_of_the_log_or_in_any_error() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    let server = server(|request, _| match request.target.split('?').next() {
        Some("/reset") => Reaction::Reset,
        Some("/away") => Reaction::answer(302).header("Location", "http://u:s3cr3t@h/?s3cr3t"),
        Some("/404") => Reaction::answer(404).body("s3cr3t"),
        Some("/json") => Reaction::answer(200).body("\"s3cr3t\""),
        _ => Reaction::answer(500).body(format!("{:?}", request.headers)),
    })
    .await;
    let through = ClientSettings {
        proxy: Proxy::Manual {
            url: server.url(""),
            credentials: Some(("ann".into(), Secret::new("s3cr3t"))),
            bypass: Vec::new(),
        },
        ..settings()
    };
    let mut said: Vec<String> = Vec::new();
    // With a single subscriber, whoever comes first on a thread without one would switch a line off for all.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    // The only thread of this test, so all of it is logged here.
    let logging = tracing::subscriber::set_default(subscriber);
    for mut settings in [settings(), through] {
        // Every path is to be asked.
        settings.breaker.consecutive = Some(1_000);
        said.push(format!("{settings:?}"));
        let client = Client::new(settings, mainstay_clock::system()).unwrap();
        for path in ["/500", "/reset", "/away", "/404", "/json"] {
            let request = told(&client, &server.url(path));
            said.push(format!("{request:?}"));
            match soon("it", request.send()).await {
                Ok(answer) => {
                    said.push(format!("{answer:?}"));
                    let error = answer.json::<u32>().unwrap_err();
                    said.push(format!("{error} {error:?}"));
                }
                Err(error) => said.push(format!("{error} {error:?}")),
            }
        }
    }
    drop(logging);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for line in ["attempt failed", "/json?…", "pooling idle connection"] {
        assert!(log.contains(line), "{line} is missing in {log}");
    }
    // `ann:s3cr3t`, as basic authentication sends it.
    for secret in ["s3cr3t", "YW5uOnMzY3IzdA"] {
        for line in log.lines().chain(said.iter().map(String::as_str)) {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[tokio::test]
async fn a_secret_path_is_in_no_line_of_the_log_and_in_no_error() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_writer(log.clone())
        .finish();
    let server = server(|request, _| match request.target.rsplit('/').next() {
        Some("reset") => Reaction::Reset,
        Some("away") => Reaction::answer(307).header("Location", "/s3cr3t/404"),
        Some("404") => Reaction::answer(404),
        Some("json") => Reaction::answer(200).body("x"),
        Some("circle") => Reaction::answer(307).header("Location", "circle"),
        _ => Reaction::answer(500),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut said: Vec<String> = Vec::new();
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let logging = tracing::subscriber::set_default(subscriber);
    let mut settings = settings();
    settings.breaker.consecutive = Some(1_000);
    let client = Client::new(settings, mainstay_clock::system()).unwrap();
    for path in ["500", "reset", "away", "404", "json", "circle"] {
        // Longer than what is shown of an address.
        let url = server.url(&format!("/{}{path}", "s3cr3t/".repeat(60)));
        let request = client.get(&url).secret_path();
        said.push(format!("{request:?}"));
        match soon("it", request.send()).await {
            Ok(answer) => {
                said.push(format!("{answer:?}"));
                said.push(answer.json::<u32>().unwrap_err().to_string());
                if let Err(error) = answer.error_for_status() {
                    said.push(format!("{error} {error:?}"));
                }
            }
            Err(error) => said.push(format!("{error} {error:?}")),
        }
        let file = folder.path().join("file");
        let downloading = client.get(&url).secret_path();
        match soon("it", downloading.download(&file, Download::default())).await {
            Ok(downloaded) => said.push(format!("{downloaded:?}")),
            Err(error) => said.push(format!("{error} {error:?}")),
        }
    }
    let nobody = client.get("http://127.0.0.1:1/s3cr3t").secret_path();
    said.push(soon("it", nobody.send()).await.unwrap_err().to_string());
    let kept = client.get("http://127.0.0.1:1/s3cr3t").secret_path();
    said.push(kept.offline().send().await.unwrap_err().to_string());
    drop(logging);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("attempt failed"), "{log}");
    assert!(log.contains(&server.url("/…")), "{log}");
    for line in log.lines().chain(said.iter().map(String::as_str)) {
        assert!(!line.contains("s3cr3t"), "{line}");
    }
}

#[tokio::test]
async fn what_holds_an_address_is_shown_without_what_may_be_secret_in_it() {
    let server = server(|_, _| Reaction::answer(200).body("x")).await;
    let url = server.url("/file?token=s3cr3t");
    let folder = tempfile::tempdir().unwrap();
    let client = crate::support::client(settings());
    let path = folder.path().join("file");
    let downloading = client.download(&url, &path, Download::default());
    let done = soon("it", downloading).await.unwrap();
    let probe = |url: &str| Probe {
        url: url.into(),
        expect: Expect::Anything,
    };
    let proxy = |url: &str| Proxy::Manual {
        url: url.into(),
        credentials: Some(("ann".into(), Secret::new("s3cr3t"))),
        bypass: Vec::new(),
    };
    let shown = [
        format!("{done:?}"),
        format!("{:?}", probe(&url)),
        format!("{:?}", probe("http://ann:s3cr3t@h/?s3cr3t#s3cr3t")),
        format!("{:?}", probe("s3cr3t")),
        format!("{:?}", proxy("http://ann:s3cr3t@p:3128")),
        format!("{:?}", proxy("http://p:3128/?s3cr3t")),
        format!("{:?}", proxy("ann:s3/cr3t?s3cr3t@p")),
    ];
    for shown in &shown {
        assert!(!shown.contains("s3"), "{shown}");
    }
    assert!(shown[0].contains("/file?…"), "{}", shown[0]);
    assert!(shown[5].contains("http://p:3128"), "{}", shown[5]);
}

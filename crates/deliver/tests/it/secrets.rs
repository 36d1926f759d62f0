//! K4: no secret is seen: not in what is printed, not in what went wrong, not in what a server sends back.

use crate::support::{clock, document, reason};
use mainstay_deliver::{Auth, Destination, Http, HttpConfig, Proxy, Secret, SystemProxies};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};

const CANARY: &str = "canary-s3cr3t";
/// `ann:canary-s3cr3t` and `canary-s3cr3t` as basic authentication sends them.
const ENCODED: [&str; 2] = ["YW5uOmNhbmFyeS1zM2NyM3Q=", "Y2FuYXJ5LXMzY3IzdA"];

fn assert_no_canary(text: &str) {
    assert!(!text.contains("s3cr3t"), "{text}");
    assert!(
        ENCODED.iter().all(|encoded| !text.contains(encoded)),
        "{text}"
    );
}

fn configs(url: &str) -> Vec<HttpConfig> {
    let auths = [
        Auth::Bearer(Secret::new(CANARY)),
        Auth::Basic {
            user: "ann".into(),
            password: Secret::new(CANARY),
        },
        Auth::ApiKey {
            header: "X-API-Key".into(),
            key: Secret::new(CANARY),
        },
    ];
    let mut configs: Vec<_> = auths
        .into_iter()
        .map(|auth| {
            let mut config = HttpConfig::new(format!("{url}?token={CANARY}"));
            config.auth = auth;
            config.headers = vec![("X-Token".into(), Secret::new(CANARY))];
            config
        })
        .collect();
    let mut proxied = configs[0].clone();
    proxied.proxy = Proxy::System(SystemProxies {
        http: Some(Secret::new(format!(
            "http://ann:{CANARY}@{}",
            url.trim_start_matches("http://").trim_end_matches("/in")
        ))),
        ..SystemProxies::default()
    });
    configs.push(proxied);
    configs
}

#[tokio::test]
async fn a_server_that_sends_our_secrets_back_does_not_get_them_into_the_log() {
    let server = FaultyServer::start(|request, _| {
        Reaction::answer(400).body(format!("{} {:?}", request.target, request.headers))
    })
    .await
    .unwrap();
    for config in configs(&server.url("/in")) {
        let http = Http::new(&config, clock()).unwrap();
        let outcome = http.send(document(b"{}")).await;
        assert!(reason(&outcome).contains("[hidden]"), "{outcome:?}");
        assert_no_canary(&format!("{outcome:?}"));
    }
    let requests = server.conversation().requests();
    assert!(
        requests
            .iter()
            .all(|request| format!("{request:?}").contains("s3cr3t")),
        "the server itself got them"
    );
}

#[tokio::test]
async fn nothing_that_can_be_printed_holds_a_secret() {
    for config in configs("http://localhost:1/in") {
        let http = Http::new(&config, clock()).unwrap();
        let mut printed = config.clone();
        // The address is the one thing that a person writes in the open; what is made of it is not.
        printed.url = String::new();
        assert_no_canary(&format!(
            "{printed:?} {http:?} {http:#?} {}",
            http.address()
        ));
        let outcome = http.send(document(b"{}")).await;
        assert_no_canary(&format!("{outcome:?}"));
    }
}

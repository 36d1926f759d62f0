//! As many requests are under way to an origin as it bears, where that is wished for.

use crate::support::{client, get, get_all, server, settings};
use mainstay_http::{Client, ErrorKind};
use mainstay_resilience::{AdaptiveSettings, PartStatus};
use mainstay_testkit::faulty_server::Reaction;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn limit(client: &Client, origin: &str) -> u32 {
    let name = format!("{origin}/adaptive");
    match client.registry().status().remove(&name) {
        Some(PartStatus::Adaptive(status)) => status.limit,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_overloaded_gets_fewer_requests_at_once_and_more_when_it_is_not() {
    let overloaded = Arc::new(AtomicBool::new(true));
    let is_so = Arc::clone(&overloaded);
    let server = server(move |_, _| {
        let status = if is_so.load(Ordering::SeqCst) {
            503
        } else {
            200
        };
        Reaction::answer(status)
    })
    .await;
    let mut settings = settings();
    settings.adaptive = Some(AdaptiveSettings {
        initial: 8,
        min: 2,
        max: 8,
        ..AdaptiveSettings::default()
    });
    settings.retry.attempts = 1;
    settings.breaker.consecutive = Some(1_000);
    let client = client(settings);
    let (url, origin) = (server.url("/"), format!("http://{}", server.address()));
    for _ in 0..20 {
        let answer = get(&client, &url).await;
        assert_eq!(answer, Err(ErrorKind::Status(503)));
    }
    assert_eq!(limit(&client, &origin), 2);
    // More than that are turned away at once, and not sent.
    let answers = get_all(&client, &url, 8).await;
    let full = answers
        .iter()
        .filter(|answer| **answer == Err(ErrorKind::Full));
    assert_eq!(full.count(), 6, "{answers:?}");

    overloaded.store(false, Ordering::SeqCst);
    for _ in 0..100 {
        let at_once = limit(&client, &origin);
        let answers = get_all(&client, &url, at_once).await;
        assert!(
            answers.iter().all(|answer| *answer == Ok(200)),
            "{answers:?}"
        );
    }
    assert_eq!(limit(&client, &origin), 8);
}

//! A slow answer is overtaken by that to a copy, where two of them do no harm, and no more often than the budget pays for.

use crate::support::{Place, asked, client, get, get_all, server, settings, soon};
use mainstay_http::{Client, ClientSettings, Download, ErrorKind, Method};
use mainstay_resilience::{
    BudgetSettings, Change, HedgeDelay, HedgeSettings, HedgeStatus, PartStatus,
};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use std::time::Duration;

const SLOW: Duration = Duration::from_millis(20);

/// Another copy after 20 ms, no retries, and no patience.
fn hedged() -> ClientSettings {
    let mut settings = settings();
    settings.hedge = Some(HedgeSettings {
        delay: HedgeDelay::Fixed(SLOW),
        extra: 1,
    });
    settings.retry.attempts = 1;
    settings.limits.general.total = 25 * SLOW;
    settings.limits.download.total = 25 * SLOW;
    settings
}

/// One that never answers the first request.
async fn slow_at_first() -> FaultyServer {
    server(|_, number| match number {
        0 => Reaction::Hang,
        _ => Reaction::answer(200),
    })
    .await
}

fn status(client: &Client, server: &FaultyServer) -> HedgeStatus {
    let name = format!("http://{}/hedge", server.address());
    match client.registry().status().remove(&name) {
        Some(PartStatus::Hedge(status)) => status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_slow_first_answer_is_overtaken_by_that_to_its_copy() {
    let server = slow_at_first().await;
    let mut settings = hedged();
    // So long it would be waited for otherwise.
    settings.limits.general.total = Duration::from_mins(1);
    let client = client(settings);
    assert_eq!(get(&client, &server.url("/")).await, Ok(200));
    assert_eq!(asked(&server), 2);
    let told = status(&client, &server);
    assert_eq!((told.calls, told.extra, told.won), (1, 1, 1));
    // Who answers in time is asked once.
    assert_eq!(get(&client, &server.url("/")).await, Ok(200));
    assert_eq!(asked(&server), 3);
}

#[tokio::test]
async fn a_server_that_is_slow_for_all_sees_no_more_copies_than_the_budget_pays_for() {
    let server = server(|_, _| Reaction::Hang).await;
    let mut settings = hedged();
    settings.bulkhead.max_concurrent = 100;
    settings.breaker.consecutive = Some(1_000);
    let client = client(settings);
    let a_fifth = BudgetSettings {
        share: 0.2,
        least: 0,
        ..BudgetSettings::default()
    };
    let registry = client.registry();
    registry
        .set("http/retries", Change::Budget(a_fifth))
        .unwrap();
    let answers = get_all(&client, &server.url("/"), 50).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Err(ErrorKind::TotalTimeout))
    );
    let told = status(&client, &server);
    assert_eq!((told.calls, told.extra), (50, 10), "{told:?}");
    assert_eq!(told.denied, 40);
    assert!(asked(&server) <= 60, "{}", asked(&server));
}

#[tokio::test]
async fn what_may_not_happen_twice_or_late_and_a_download_are_never_copied() {
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let server = slow_at_first().await;
        let client = client(hedged());
        let sent = client.request(method.clone(), &server.url("/")).send();
        let error = soon("the error", sent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TotalTimeout, "{method}");
        assert_eq!(asked(&server), 1, "{method}");
    }
    // By its key the server knows both copies.
    let server = slow_at_first().await;
    let client = client(hedged());
    let keyed = client.request(Method::POST, &server.url("/"));
    let answer = soon("the answer", keyed.idempotency_key("k1").send()).await;
    assert_eq!(answer.unwrap().status, 200);
    let requests = server.conversation().requests();
    let keys = requests.iter().map(|copy| copy.header("idempotency-key"));
    assert_eq!(keys.collect::<Vec<_>>(), [Some("k1"); 2]);

    let server = slow_at_first().await;
    let place = Place::new();
    let url = server.url("/");
    let loading = client.download(&url, &place.path, Download::default());
    soon("the error", loading).await.unwrap_err();
    assert_eq!(asked(&server), 1);
}

#[tokio::test]
async fn a_hedge_that_cannot_work_is_refused_with_the_client() {
    let mut settings = hedged();
    settings.hedge = Some(HedgeSettings {
        delay: HedgeDelay::Fixed(SLOW),
        extra: 0,
    });
    let refused = Client::new(settings, mainstay_clock::system()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Settings);
    assert!(refused.to_string().contains("`extra`"), "{refused}");
}

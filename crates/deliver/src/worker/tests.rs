mod bench;
mod holding;
mod recording;
mod stopping;

use super::*;
use crate::{Cause, Outcome};
use bench::{Bench, Reply};
use mainstay_clock::Clock;
use mainstay_queue::DocumentId;
use mainstay_resilience::{Category, ErrorLog, Severity};
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

const MINUTE: Duration = Duration::from_mins(1);

fn deliver() -> Reply {
    Reply::Now(Outcome::Delivered)
}

fn reply(outcome: Outcome) -> Reply {
    Reply::Now(outcome)
}

fn refuse(reason: &str) -> Outcome {
    Outcome::Hold {
        reason: reason.into(),
        after: None,
        cause: Cause::Unclear,
    }
}

#[tokio::test]
async fn a_confirmed_document_is_acknowledged_and_never_sent_again() {
    let bench = Bench::start(|_, _| deliver());
    let ids = bench.queue.put(20);
    bench.rest().await;
    bench.pass(MINUTE).await;
    assert_eq!(bench.queue.state().acknowledged, ids);
    assert_eq!(*bench.destination.acknowledged.lock().unwrap(), ids);
    assert_eq!(bench.destination.sent(), 20);
    let status = bench.handle.status();
    assert_eq!(
        (status.delivered, status.in_flight, status.state),
        (20, 0, State::Idle)
    );
}

#[tokio::test]
async fn what_is_already_there_is_acknowledged_too() {
    let bench = Bench::start(|_, _| reply(Outcome::AlreadyThere));
    bench.queue.put(3);
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 3);
    assert_eq!(bench.handle.status().already_there, 3);
}

#[tokio::test]
async fn never_more_documents_are_under_way_than_allowed() {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let bench = Bench::start(move |_, _| Reply::When(Arc::clone(&released), Outcome::Delivered));
    bench.queue.put(20);
    bench.rest().await;
    assert_eq!(
        (bench.destination.sent(), bench.handle.status().in_flight),
        (5, 5)
    );
    assert_eq!(bench.handle.status().state, State::Delivering);
    for _ in 0..20 {
        release.notify_waiters();
        bench.rest().await;
    }
    assert_eq!(bench.acknowledged(), 20);
    assert_eq!(bench.destination.most_at_once(), 5);
}

#[tokio::test]
async fn no_more_attempts_begin_in_a_time_than_the_limit_allows_and_no_document_suffers_for_it() {
    let limit = mainstay_resilience::RateLimit {
        permits: 6,
        per: MINUTE,
        burst: 3,
    };
    let config = DeliverConfig {
        limit: Some(limit),
        seed: Some(1),
        ..DeliverConfig::default()
    };
    let bench = Bench::with(config, |_, _| deliver());
    bench.queue.put(10);
    bench.rest().await;
    let mut sent = vec![bench.destination.sent()];
    assert_eq!(
        bench.handle.status().limited_until,
        Some(bench.clock.wall() + 10_000)
    );
    for _ in 0..8 {
        bench.pass(Duration::from_secs(10)).await;
        sent.push(bench.destination.sent());
    }
    assert_eq!(sent, [3, 4, 5, 6, 7, 8, 9, 10, 10]);
    assert_eq!(bench.acknowledged(), 10);
    let status = bench.handle.status();
    assert_eq!((status.retried, status.rejected), (0, 0));
    // However long nothing was to be sent, no more than the burst goes at once.
    bench.pass(MINUTE).await;
    assert_eq!(bench.handle.status().limited_until, None);
    bench.queue.put(10);
    bench.rest().await;
    assert_eq!(bench.destination.sent(), 13);
}

#[tokio::test]
async fn documents_that_hang_hold_up_no_other() {
    let stuck: Arc<Mutex<HashSet<DocumentId>>> = Arc::default();
    let are_stuck = Arc::clone(&stuck);
    let bench = Bench::start(move |id, _| {
        if are_stuck.lock().unwrap().contains(&id) {
            Reply::Never
        } else {
            deliver()
        }
    });
    bench.handle.pause();
    let ids = bench.queue.put(40);
    stuck.lock().unwrap().extend(&ids[..4]);
    bench.handle.resume();
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 36);
    assert_eq!(bench.handle.status().in_flight, 4);
}

#[tokio::test]
async fn what_is_unknown_is_tried_again_without_limit_and_never_buried() {
    let bench = Bench::start(|_, before| {
        if before < 40 {
            reply(Outcome::retry(Category::Internal, "500"))
        } else {
            deliver()
        }
    });
    let id = bench.queue.put(1)[0];
    bench.rest().await;
    for _ in 0..40 {
        bench.pass(Duration::from_mins(5)).await;
    }
    assert_eq!(bench.queue.state().acknowledged, [id]);
    assert_eq!(bench.destination.attempts_of(id), 41);
    let state = bench.queue.state();
    let retry = DeliverConfig::default().retry;
    for (failures, (_, wait, _)) in (1..).zip(&state.retries) {
        assert!(
            *wait <= retry.bound(failures),
            "{wait:?} after {failures} failures"
        );
    }
    assert!(
        state
            .retries
            .iter()
            .any(|(_, wait, _)| *wait > Duration::from_mins(2)),
        "the waits grow"
    );
    assert!(state.buried.is_empty());
}

#[tokio::test]
async fn a_document_is_not_sent_again_before_the_time_its_destination_named() {
    let wait = Duration::from_secs(30);
    let bench = Bench::start(move |_, before| match before {
        0 => reply(Outcome::Retry {
            category: Category::Internal,
            reason: "500".into(),
            after: Some(wait),
        }),
        _ => deliver(),
    });
    let id = bench.queue.put(1)[0];
    bench.rest().await;
    let others = bench.queue.put(5);
    bench.pass(Duration::from_secs(29)).await;
    assert_eq!(bench.destination.attempts_of(id), 1);
    assert!(
        others
            .iter()
            .all(|other| bench.destination.attempts_of(*other) == 2
                || bench.destination.attempts_of(*other) == 1)
    );
    bench.pass(Duration::from_secs(3)).await;
    assert_eq!(bench.destination.attempts_of(id), 2);
}

#[tokio::test]
async fn a_destination_that_asks_for_quiet_gets_it_from_all_documents() {
    let asked = Arc::new(AtomicBool::new(false));
    let first = Arc::clone(&asked);
    let bench = Bench::start(move |_, _| {
        if first.swap(true, Ordering::SeqCst) {
            return deliver();
        }
        reply(Outcome::Busy {
            reason: "429".into(),
            after: Duration::from_secs(30),
        })
    });
    let id = bench.queue.put(1)[0];
    bench.rest().await;
    bench.queue.put(10);
    bench.pass(Duration::from_secs(29)).await;
    assert_eq!(bench.destination.sent(), 1);
    assert!(
        matches!(bench.handle.status().state, State::Waiting { reason, .. } if reason == "429")
    );
    bench.pass(Duration::from_secs(3)).await;
    assert_eq!(bench.acknowledged(), 11);
    assert_eq!(bench.destination.attempts_of(id), 2);
    assert_eq!(bench.handle.status().state, State::Idle);
}

#[tokio::test]
async fn a_rejected_document_is_buried_after_five_attempts_and_others_are_not_held_up() {
    let poison: Arc<Mutex<Option<DocumentId>>> = Arc::default();
    let is_poison = Arc::clone(&poison);
    let bench = Bench::start(move |id, _| {
        if *is_poison.lock().unwrap() == Some(id) {
            reply(Outcome::reject("422 bad field"))
        } else {
            deliver()
        }
    });
    bench.handle.pause();
    let ids = bench.queue.put(10);
    *poison.lock().unwrap() = Some(ids[0]);
    bench.handle.resume();
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 9);
    bench.pass(MINUTE).await;
    assert_eq!(bench.destination.attempts_of(ids[0]), 5);
    assert_eq!(
        bench.queue.state().buried,
        [(ids[0], "rejected 5 of 5 times: 422 bad field".to_owned())]
    );
    let status = bench.handle.status();
    assert_eq!(
        (status.rejected, status.buried, status.delivered),
        (5, 1, 9)
    );
    assert_eq!(status.last_error.unwrap().reason, "422 bad field");
}

#[tokio::test]
async fn only_rejections_in_a_row_bury_a_document() {
    let bench = Bench::start(|_, before| match before {
        4 | 9 | 14 => reply(Outcome::retry(Category::Internal, "500")),
        0..=18 => reply(Outcome::reject("422")),
        _ => deliver(),
    });
    let id = bench.queue.put(1)[0];
    bench.rest().await;
    for _ in 0..20 {
        bench.pass(Duration::from_mins(5)).await;
    }
    assert_eq!(bench.queue.state().acknowledged, [id]);
    assert_eq!(bench.queue.state().buried.len(), 0);
}

#[tokio::test]
async fn the_status_is_readable_by_programs() {
    let bench = Bench::start(|_, _| reply(Outcome::hold("refused")));
    bench.queue.put(1);
    bench.rest().await;
    let json = serde_json::to_value(bench.handle.status()).unwrap();
    assert_eq!(json["state"], "held");
    assert_eq!(json["reason"], "refused");
    assert_eq!(json["address"], "test://destination");
    assert!(
        json["since"].is_u64()
            && json["next_probe"].is_u64()
            && json["latency"]["mean_ms"].is_number()
    );
}

#[tokio::test]
async fn every_attempt_that_came_to_nothing_is_counted_by_what_it_was_and_a_delivery_is_not() {
    let errors = Arc::new(ErrorLog::new());
    let config = DeliverConfig {
        errors: Some(Arc::clone(&errors)),
        seed: Some(1),
        ..DeliverConfig::default()
    };
    let bench = Bench::with(config, |_, before| match before {
        0 => reply(Outcome::retry(Category::Timeout, "no answer within 60 s")),
        1 => reply(Outcome::reject("422")),
        2 => reply(Outcome::unreachable("refused")),
        _ => deliver(),
    });
    let id = bench.queue.put(1)[0];
    bench.rest().await;
    for _ in 0..4 {
        bench.pass(Duration::from_mins(5)).await;
    }
    assert_eq!(bench.acknowledged(), 1);
    let counts = errors.counts();
    assert_eq!(counts.total(), 3);
    for (category, severity) in [
        (Category::Timeout, Severity::Medium),
        (Category::Validation, Severity::Medium),
        (Category::Network, Severity::High),
    ] {
        assert_eq!(counts.of(category, severity), 1, "{category:?}");
    }
    let first = errors.recent(3).pop().unwrap();
    assert_eq!(first.message(), "no answer within 60 s");
    assert_eq!(first.fields()["destination"], "test://destination");
    assert_eq!(first.fields()["document"], id.to_string());
}

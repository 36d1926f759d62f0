//! Space comes back, and what lives long does not keep the rest.

use crate::scratch::{Scratch, body_of, document, drain, put};
use std::time::Duration;

fn log_bytes(scratch: &Scratch) -> u64 {
    scratch
        .segments()
        .iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|facts| facts.len())
        .sum()
}

#[tokio::test]
async fn space_comes_back_when_documents_are_delivered() {
    let scratch = Scratch::with(|config| config.retain_after_ack = Duration::ZERO);
    let (queue, lane) = scratch.open();
    for round in 0..20 {
        for number in 0..100u32 {
            put(&queue, lane, vec![number as u8; 4000]).await;
        }
        assert_eq!(drain(&queue, lane).await.len(), 100);
        assert!(
            log_bytes(&scratch) < 3_000_000,
            "round {round}: {} bytes",
            log_bytes(&scratch)
        );
    }
    assert_eq!(queue.ledger().delivered, 2000);
    assert_eq!(drain(&scratch.killed().open().0, lane).await.len(), 0);
}

#[tokio::test]
async fn a_document_that_lives_long_is_carried_forward_and_does_not_keep_the_rest() {
    let scratch = Scratch::with(|config| config.retain_after_ack = Duration::ZERO);
    let (queue, lane) = scratch.open();
    put(&queue, lane, "old").await;
    let old = queue.try_lease(lane).unwrap();
    let id = old.id();
    old.retry(Duration::from_hours(1), "not today")
        .await
        .unwrap();
    let dead = put(&queue, lane, "dead").await;
    queue.try_lease(lane).unwrap().bury("never").await.unwrap();
    for _ in 0..30 {
        for _ in 0..50 {
            put(&queue, lane, vec![9; 4000]).await;
        }
        drain(&queue, lane).await;
    }
    assert!(
        log_bytes(&scratch) < 3_000_000,
        "{} bytes",
        log_bytes(&scratch)
    );
    let killed = scratch.killed();
    let (after, lane) = killed.open();
    assert_eq!(after.ledger().queued, 1);
    assert_eq!(
        after.get(dead).unwrap().unwrap().summary.lanes[0]
            .error
            .as_deref(),
        Some("never")
    );
    assert!(after.try_lease(lane).is_none());
    scratch.clock.advance(Duration::from_hours(1));
    let old = after.try_lease(lane).unwrap();
    assert_eq!(
        (old.id(), old.attempts(), body_of(&old)),
        (id, 1, b"old".to_vec())
    );
}

#[tokio::test]
async fn what_was_delivered_is_kept_a_while_and_then_goes() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let id = put(&queue, lane, "kept").await;
    queue.try_lease(lane).unwrap().ack().await.unwrap();
    scratch.clock.advance(Duration::from_secs(599));
    put(&queue, lane, "next").await;
    assert!(queue.get(id).unwrap().is_some());
    let killed = scratch.killed();
    scratch.clock.advance(Duration::from_secs(1));
    put(&queue, lane, "next").await;
    assert!(queue.get(id).unwrap().is_none());
    let (after, lane) = killed.open();
    put(&after, lane, "next").await;
    assert!(
        after.get(id).unwrap().is_none(),
        "the time goes on while nothing runs"
    );
    assert_eq!(after.ledger().delivered, 1);
}

#[tokio::test]
async fn what_is_kept_after_it_was_sent_is_bounded() {
    let scratch = Scratch::with(|config| config.retain_documents = 10);
    let (queue, lane) = scratch.open();
    for number in 0..50u8 {
        put(&queue, lane, [number]).await;
        drain(&queue, lane).await;
    }
    assert_eq!(queue.status().kept_documents, 10);
    assert_eq!(queue.ledger().delivered, 50);
}

#[tokio::test]
async fn a_wait_and_its_count_survive_a_clean_stop() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let doomed = queue.enqueue(document(lane, "sent")).await.unwrap().id();
    drain(&queue, lane).await;
    put(&queue, lane, "waits").await;
    queue
        .try_lease(lane)
        .unwrap()
        .retry(Duration::from_secs(100), "busy")
        .await
        .unwrap();
    queue.close().await;
    scratch.clock.advance(Duration::from_secs(40));
    let (queue, recovery, lane) = scratch.open_with_report();
    assert!(recovery.clean);
    assert_eq!(queue.next_due(lane), Some(Duration::from_mins(1)));
    assert!(queue.get(doomed).unwrap().is_some());
    scratch.clock.advance(Duration::from_secs(560));
    assert_eq!(queue.try_lease(lane).unwrap().last_error(), Some("busy"));
    put(&queue, lane, "next").await;
    assert!(queue.get(doomed).unwrap().is_none());
}

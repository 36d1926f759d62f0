//! However a run ends, what was acknowledged is there, and what was settled stays settled.

use crate::scratch::{Scratch, body_of, document, drain, put};
use mainstay_queue::{ErrorKind, Ledger, Queue, Receipt};

#[tokio::test]
async fn what_was_acknowledged_is_offered_after_a_clean_stop() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in 0..100u32 {
        put(&queue, lane, number.to_le_bytes()).await;
    }
    queue.close().await;
    let (queue, recovery, lane) = scratch.open_with_report();
    assert!(recovery.clean, "{recovery:?}");
    assert_eq!(
        recovery.groups_read, 0,
        "a clean start reads the snapshot alone"
    );
    let expected: Vec<Vec<u8>> = (0..100u32)
        .map(|number| number.to_le_bytes().to_vec())
        .collect();
    assert_eq!(drain(&queue, lane).await, expected);
}

#[tokio::test]
async fn what_was_acknowledged_is_offered_after_a_kill_at_any_moment() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let mut acknowledged = Vec::new();
    for number in 0..60u32 {
        // Bodies of many sizes, so that groups end at many places in a segment and segments roll.
        let body = vec![number as u8; (number as usize * 1777) % 9000 + 1];
        put(&queue, lane, body.clone()).await;
        acknowledged.push(body);
        if number % 7 == 0 {
            let killed = scratch.killed();
            let (after, recovery, lane) = killed.open_with_report();
            assert!(!recovery.clean);
            assert_eq!(recovery.damage, [], "after {number}");
            assert_eq!(drain(&after, lane).await, acknowledged, "after {number}");
        }
    }
}

#[tokio::test]
async fn what_was_settled_is_not_offered_again_after_a_kill() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in 0..40u8 {
        put(&queue, lane, [number]).await;
    }
    for _ in 0..15 {
        queue.try_lease(lane).unwrap().ack().await.unwrap();
    }
    queue.try_lease(lane).unwrap().bury("no use").await.unwrap();
    let held = queue.try_lease(lane).unwrap();
    let killed = scratch.killed();
    let (after, lane) = killed.open();
    assert_eq!(
        after.ledger(),
        Ledger {
            accepted: 40,
            delivered: 15,
            queued: 24,
            dead: 1,
            discarded: 0,
            unreadable: 0
        }
    );
    let left = drain(&after, lane).await;
    assert_eq!(
        left,
        (16..40).map(|number| vec![number]).collect::<Vec<_>>()
    );
    drop(held);
}

#[tokio::test]
async fn many_kills_in_a_row_lose_and_double_nothing() {
    let mut scratch = Scratch::new();
    for round in 0..30u32 {
        let (queue, _, lane) = scratch.open_with_report();
        assert!(
            queue.ledger().is_balanced(),
            "round {round}: {:?}",
            queue.ledger()
        );
        assert_eq!(queue.ledger().accepted, u64::from(round) * 3);
        assert_eq!(queue.ledger().delivered, u64::from(round));
        for number in 0..3u32 {
            put(&queue, lane, (round * 3 + number).to_le_bytes()).await;
        }
        let lease = queue.try_lease(lane).unwrap();
        assert_eq!(body_of(&lease), round.to_le_bytes());
        lease.ack().await.unwrap();
        scratch = scratch.killed();
    }
    let (queue, lane) = scratch.open();
    assert_eq!(drain(&queue, lane).await.len(), 60);
    assert_eq!(queue.ledger().delivered, 90);
}

#[tokio::test]
async fn a_document_stored_twice_under_one_id_is_answered_not_doubled() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let first = document(lane, "once");
    let id = first.id;
    assert_eq!(queue.enqueue(first).await.unwrap(), Receipt::Accepted(id));
    let mut second = document(lane, "twice");
    second.id = id;
    assert_eq!(
        queue.enqueue(second).await.unwrap(),
        Receipt::AlreadyThere(id)
    );
    let killed = scratch.killed();
    let (after, lane) = killed.open();
    let mut third = document(lane, "thrice");
    third.id = id;
    assert_eq!(
        after.enqueue(third).await.unwrap(),
        Receipt::AlreadyThere(id)
    );
    assert_eq!(drain(&after, lane).await, [b"once".to_vec()]);
}

#[tokio::test]
async fn a_second_process_is_told_who_has_the_folder() {
    let scratch = Scratch::new();
    let (queue, _) = scratch.open();
    let error = Queue::open(scratch.path(), scratch.config.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(&std::process::id().to_string()), "{cause}");
    queue.close().await;
    scratch.open();
}

#[tokio::test]
async fn a_closed_queue_takes_nothing_and_wakes_who_waits() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.lease(lane).await.map(drop).unwrap_err().kind() }
    });
    tokio::task::yield_now().await;
    queue.clone().close().await;
    assert_eq!(waiting.await.unwrap(), ErrorKind::Closed);
    assert_eq!(
        queue
            .enqueue(document(lane, "late"))
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Closed
    );
}

#[tokio::test]
async fn dropping_the_last_handle_writes_what_was_handed_over() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    put(&queue, lane, "kept").await;
    drop(queue);
    // The writer lets go of the folder once it is done.
    let (queue, lane) = loop {
        match Queue::open(scratch.path(), scratch.config.clone()) {
            Ok((queue, _)) => break (queue.clone(), crate::scratch::declare(&queue, "main")),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Locked),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(drain(&queue, lane).await, [b"kept".to_vec()]);
}

//! The queue is bounded, and says so by the policy that was chosen.

use crate::failing_disk::{self, Bench};
use crate::scratch::{Scratch, document, drain, put};
use mainstay_queue::store::{Op, Store};
use mainstay_queue::{ErrorKind, INLINE_BODY_MAX, WhenFull};

#[tokio::test]
async fn a_full_queue_rejects_where_that_was_chosen() {
    let scratch = Scratch::with(|config| {
        config.max_documents = 3;
        config.when_full = WhenFull::Reject;
    });
    let (queue, lane) = scratch.open();
    for _ in 0..3 {
        put(&queue, lane, "in").await;
    }
    assert!(!queue.has_room());
    let error = queue.enqueue(document(lane, "out")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    queue.try_lease(lane).unwrap().ack().await.unwrap();
    put(&queue, lane, "in again").await;
}

#[tokio::test]
async fn a_full_queue_blocks_until_a_document_is_delivered() {
    let scratch = Scratch::with(|config| config.max_documents = 2);
    let (queue, lane) = scratch.open();
    put(&queue, lane, "1").await;
    put(&queue, lane, "2").await;
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.enqueue(document(lane, "3")).await.unwrap() }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    queue.try_lease(lane).unwrap().ack().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(queue.ledger().accepted, 3);
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_only_where_that_was_chosen_and_counts_it() {
    let scratch = Scratch::with(|config| {
        config.max_documents = 2;
        config.when_full = WhenFull::DropOldest;
    });
    let (queue, lane) = scratch.open();
    for name in ["1", "2", "3", "4"] {
        put(&queue, lane, name).await;
    }
    let ledger = queue.ledger();
    assert_eq!(
        (ledger.accepted, ledger.discarded, ledger.queued),
        (4, 2, 2)
    );
    assert_eq!(drain(&queue, lane).await, [b"3".to_vec(), b"4".to_vec()]);
}

#[tokio::test]
async fn the_limit_of_bytes_holds_too() {
    let scratch = Scratch::with(|config| {
        config.max_bytes = 100_000;
        config.when_full = WhenFull::Reject;
    });
    let (queue, lane) = scratch.open();
    let mut stored = 0;
    while queue.enqueue(document(lane, vec![0; 10_000])).await.is_ok() {
        stored += 1;
    }
    assert_eq!(stored, 9);
    assert!(queue.has_room_for(1) && !queue.has_room_for(10_000));
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_what_to_do() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    put(&queue, lane, vec![1; INLINE_BODY_MAX]).await;
    let error = queue
        .enqueue(document(lane, vec![1; INLINE_BODY_MAX + 1]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("body writer"), "{error}");
    let mut chatty = document(lane, "small");
    chatty.headers = vec![("x".to_owned(), "y".repeat(70_000))];
    assert_eq!(
        queue.enqueue(chatty).await.unwrap_err().kind(),
        ErrorKind::TooLarge
    );
}

#[test]
fn a_queue_has_so_many_lanes_and_refuses_one_more() {
    let bench = Bench::new();
    let (store, _) = bench.open();
    let declared: Vec<Op> = (1..=1024)
        .map(|number| Op::DeclareLane(format!("lane {number}")))
        .collect();
    let mut answers = store.commit(&declared).answers;
    let refused = answers.pop().unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert!(refused.to_string().contains("at most 1024"), "{refused}");
    assert!(answers.iter().all(Result::is_ok));
    drop(store);
    let (store, lane) = bench.open();
    assert_eq!(store.lanes().len(), 1024);
    failing_disk::put(&store, lane, 100).expect("its lanes go on");
}

//! Large bodies are on the disk before their document is, and go when nothing needs them.

use crate::scratch::{Scratch, body_file, body_of, document, put_file};
use mainstay_queue::{ErrorKind, NewBody, WhenFull};
use std::time::Duration;

fn count(scratch: &Scratch) -> usize {
    std::fs::read_dir(scratch.path().join("bodies"))
        .unwrap()
        .count()
}

async fn until(done: impl Fn() -> bool) {
    let patience = tokio::time::timeout(Duration::from_secs(20), async {
        while !done() {
            tokio::task::yield_now().await;
        }
    });
    patience.await.expect("it happens within 20 s");
}

#[tokio::test]
async fn a_large_body_survives_a_kill_byte_for_byte() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let bytes: Vec<u8> = (0..3_000_000u32)
        .map(|number| ((number * 31) >> 3) as u8)
        .collect();
    put_file(&queue, lane, &bytes).await;
    let killed = scratch.killed();
    let (after, lane) = killed.open();
    let lease = after.try_lease(lane).unwrap();
    assert_eq!(lease.body_len(), 3_000_000);
    assert!(body_of(&lease) == bytes);
}

#[tokio::test]
async fn bodies_of_one_content_share_a_file_that_goes_with_the_last() {
    let scratch = Scratch::with(|config| config.retain_after_ack = Duration::ZERO);
    let (queue, lane) = scratch.open();
    for _ in 0..2 {
        put_file(&queue, lane, &[7; 400_000]).await;
    }
    assert_eq!(count(&scratch), 1);
    queue.try_lease(lane).unwrap().ack().await.unwrap();
    let second = queue.try_lease(lane).unwrap();
    assert_eq!(body_of(&second), [7; 400_000]);
    second.ack().await.unwrap();
    until(|| count(&scratch) == 0).await;
}

#[tokio::test]
async fn a_body_whose_document_was_never_stored_is_gone_at_the_next_start() {
    let scratch = Scratch::new();
    let (queue, _) = scratch.open();
    let unused = body_file(&queue, &[1; 300_000]);
    let mut unfinished = queue.body_writer().unwrap();
    unfinished.write(&[2; 1000]).unwrap();
    let killed = scratch.killed();
    assert_eq!(count(&killed), 2);
    killed.open();
    assert_eq!(count(&killed), 0);
    drop(unfinished);
    assert_eq!(count(&scratch), 1, "an unfinished body goes at once");
    drop(unused);
}

/// A queue without room was given the bodies of all that it refused, once for every attempt, until its next start.
#[tokio::test]
async fn a_body_that_was_refused_goes_once_nobody_holds_it_and_one_that_is_needed_stays() {
    let scratch = Scratch::with(|config| {
        config.max_documents = 1;
        config.when_full = WhenFull::Reject;
    });
    let (queue, lane) = scratch.open();
    put_file(&queue, lane, &[1; 300_000]).await;
    for content in [1, 2] {
        let body = body_file(&queue, &[content; 300_000]);
        let mut refused = document(lane, "");
        refused.body = NewBody::File(body);
        let error = queue.enqueue(refused).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);
    }
    drop(body_file(&queue, &[3; 300_000]));
    until(|| count(&scratch) == 1).await;
    assert_eq!(body_of(&queue.try_lease(lane).unwrap()), [1; 300_000]);
}

#[tokio::test]
async fn a_document_whose_body_is_lost_is_reported_and_holds_up_no_other() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    put_file(&queue, lane, &[3; 300_000]).await;
    queue.enqueue(document(lane, "good")).await.unwrap();
    let file = std::fs::read_dir(scratch.path().join("bodies"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    std::fs::remove_file(file.path()).unwrap();
    let lost = queue.try_lease(lane).unwrap();
    assert_eq!(
        lost.body().unwrap_err().kind(),
        mainstay_queue::ErrorKind::Damaged
    );
    drop(lost);
    let good = queue.try_lease(lane).unwrap();
    assert_eq!(body_of(&good), b"good");
    assert_eq!(queue.ledger().unreadable, 1);
    assert!(queue.ledger().is_balanced());
    assert_eq!(queue.status().damage.len(), 1);
}

#[tokio::test]
async fn a_folder_that_is_away_costs_no_document() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let bytes = vec![9; 400_000];
    put_file(&queue, lane, &bytes).await;
    let away = scratch.path().with_extension("away");
    std::fs::rename(scratch.path(), &away).unwrap();
    let lease = queue.try_lease(lane).unwrap();
    let error = lease.body().unwrap_err();
    std::fs::rename(&away, scratch.path()).unwrap();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    drop(lease);
    let lease = queue.lease(lane).await.unwrap();
    assert!(body_of(&lease) == bytes);
    lease.ack().await.unwrap();
    let ledger = queue.ledger();
    assert_eq!((ledger.unreadable, ledger.delivered), (0, 1));
    assert!(ledger.is_balanced(), "{ledger:?}");
}

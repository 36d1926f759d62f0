//! A batch is stored as a whole or not at all, and a claim is remembered until it is closed.

use crate::scratch::{Scratch, declare, document, drain};
use mainstay_queue::{Batch, ClaimId, ErrorKind, Lease, NewDocument, Receipt};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

fn batch(documents: Vec<NewDocument>) -> Batch {
    Batch {
        documents,
        claims: Vec::new(),
    }
}

#[tokio::test]
async fn a_batch_with_one_impossible_document_stores_nothing() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let other = declare(&queue, "other");
    let stranger = Scratch::new();
    let (foreign, _) = stranger.open();
    let mut unknown = declare(&foreign, "a");
    for name in ["b", "c", "d"] {
        unknown = declare(&foreign, name);
    }
    let documents = vec![
        document(lane, "good"),
        document(other, "good"),
        document(unknown, "bad"),
    ];
    let error = queue.enqueue_batch(batch(documents)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownLane);
    assert_eq!(queue.ledger().accepted, 0);
}

#[tokio::test]
async fn a_batch_that_was_being_written_when_the_power_went_is_gone_as_a_whole() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    queue.enqueue(document(lane, "before")).await.unwrap();
    let before = scratch.killed();
    let documents = (0..30)
        .map(|number| document(lane, vec![number; 1000]))
        .collect();
    queue.enqueue_batch(batch(documents)).await.unwrap();
    let after = scratch.killed();
    // The power goes while the batch is written: one of its blocks never reached the disk, and the watermark is the old one.
    let segment = after.segments().into_iter().next().unwrap();
    let file = OpenOptions::new().write(true).open(segment).unwrap();
    let written = std::fs::read(&after.segments()[0]).unwrap();
    let old = std::fs::read(&before.segments()[0]).unwrap();
    let first_new = (0..written.len())
        .step_by(4096)
        .find(|at| written[*at..at + 4096] != old[*at..at + 4096])
        .unwrap();
    file.write_all_at(&[0; 4096], first_new as u64 + 3 * 4096)
        .unwrap();
    std::fs::copy(
        before.path().join("watermark"),
        after.path().join("watermark"),
    )
    .unwrap();

    let (queue, recovery, lane) = after.open_with_report();
    assert_eq!(recovery.damage, []);
    assert_eq!(recovery.torn_groups, 1);
    assert_eq!(drain(&queue, lane).await, [b"before".to_vec()]);
    assert!(queue.ledger().is_balanced());
}

#[tokio::test]
async fn a_batch_gets_a_receipt_for_each_document_in_its_order() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let known = queue.enqueue(document(lane, "known")).await.unwrap().id();
    let mut again = document(lane, "again");
    again.id = known;
    let (first, last) = (document(lane, "first"), document(lane, "last"));
    let ids = (first.id, last.id);
    let receipts = queue
        .enqueue_batch(batch(vec![first, again, last]))
        .await
        .unwrap();
    assert_eq!(
        receipts,
        [
            Receipt::Accepted(ids.0),
            Receipt::AlreadyThere(known),
            Receipt::Accepted(ids.1)
        ]
    );
}

#[tokio::test]
async fn a_claim_is_known_after_a_kill_until_it_is_closed() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let claim = ClaimId::new();
    assert!(!queue.is_claim_committed(claim));
    queue
        .enqueue_batch(Batch {
            documents: vec![document(lane, "file")],
            claims: vec![claim],
        })
        .await
        .unwrap();
    let killed = scratch.killed();
    let (after, lane) = killed.open();
    assert!(after.is_claim_committed(claim));
    // Delivered, and its segment long gone: the claim is still open, because its file may still lie there.
    drain(&after, lane).await;
    for number in 0..600u32 {
        after
            .enqueue(document(lane, vec![number as u8; 4000]))
            .await
            .unwrap();
    }
    drain(&after, lane).await;
    let killed = killed.killed();
    let (after, lane) = killed.open();
    assert_eq!(after.open_claims(), [claim]);
    after.close_claims(vec![claim]);
    after
        .enqueue(document(lane, "the closing rides with this"))
        .await
        .unwrap();
    let killed = killed.killed();
    assert_eq!(killed.open().0.open_claims(), []);
}

#[tokio::test]
async fn many_producers_share_flushes_and_none_is_answered_early() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let producers = (0..32u32).map(|producer| {
        let queue = queue.clone();
        tokio::spawn(async move {
            for number in 0..20u32 {
                let body = [producer.to_le_bytes(), number.to_le_bytes()].concat();
                queue.enqueue(document(lane, body)).await.unwrap();
            }
        })
    });
    for producer in producers.collect::<Vec<_>>() {
        producer.await.unwrap();
    }
    let killed = scratch.killed();
    let (after, recovery, lane) = killed.open_with_report();
    assert!(
        recovery.groups_read < 640,
        "{} groups for 640 documents",
        recovery.groups_read
    );
    let bodies = drain(&after, lane).await;
    assert_eq!(bodies.len(), 640);
    for producer in 0..32u32 {
        let mine: Vec<u8> = bodies
            .iter()
            .filter(|body| body[..4] == producer.to_le_bytes())
            .map(|body| body[4])
            .collect();
        assert_eq!(
            mine,
            (0..20).collect::<Vec<u8>>(),
            "the order within a producer is kept"
        );
    }
}

#[tokio::test]
async fn acknowledgements_that_come_together_share_a_flush_and_are_durable() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let documents = (0..64u8).map(|number| document(lane, [number])).collect();
    queue.enqueue_batch(batch(documents)).await.unwrap();
    let (_, before, _) = scratch.killed().open_with_report();
    let mut leases: Vec<_> = std::iter::from_fn(|| queue.try_lease(lane)).collect();
    assert_eq!(leases.len(), 64);
    // Somebody discards one of them meanwhile: only its own answer says so.
    let discarded = leases.pop().unwrap();
    queue
        .discard(discarded.id(), None, "not wanted")
        .await
        .unwrap();
    leases.insert(5, discarded);
    let answers = Lease::ack_all(leases).await;
    for (place, answer) in answers.iter().enumerate() {
        let kind = answer.as_ref().err().map(mainstay_queue::Error::kind);
        assert_eq!(kind, (place == 5).then_some(ErrorKind::NotFound));
    }
    let (after, recovery, lane) = scratch.killed().open_with_report();
    assert!(after.try_lease(lane).is_none(), "none is offered again");
    let groups = recovery.groups_read - before.groups_read;
    assert_eq!(
        groups, 2,
        "one for the discarded one, one for all the others"
    );
    queue.close().await;
    assert!(Lease::ack_all(Vec::new()).await.is_empty());
}

#[tokio::test]
async fn acknowledgements_of_a_closed_queue_say_so_each() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let documents = (0..3u8).map(|number| document(lane, [number])).collect();
    queue.enqueue_batch(batch(documents)).await.unwrap();
    let leases: Vec<_> = std::iter::from_fn(|| queue.try_lease(lane)).collect();
    queue.close().await;
    let answers = Lease::ack_all(leases).await;
    assert_eq!(answers.len(), 3);
    for answer in answers {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Closed);
    }
}

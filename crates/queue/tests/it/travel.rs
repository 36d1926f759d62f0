//! Documents can be carried to another queue by hand.

use crate::scratch::{Scratch, body_of, document, drain, put};
use mainstay_queue::{ErrorKind, Filter, Imported, NewBody, NewDocument, Queue, verify};

async fn export(queue: &Queue) -> Vec<u8> {
    let queue = queue.clone();
    let exported = tokio::task::spawn_blocking(move || {
        let mut archive = Vec::new();
        queue
            .export(
                &Filter {
                    limit: usize::MAX,
                    ..Filter::default()
                },
                &mut archive,
            )
            .unwrap();
        archive
    });
    exported.await.unwrap()
}

async fn import(queue: &Queue, archive: Vec<u8>) -> Result<Imported, mainstay_queue::Error> {
    let queue = queue.clone();
    tokio::task::spawn_blocking(move || queue.import(&archive[..]))
        .await
        .unwrap()
}

#[tokio::test]
async fn an_archive_brings_documents_to_another_queue_once() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let named = NewDocument {
        source: b"na\xefve.json".to_vec(),
        ..document(lane, "small")
    };
    let id = queue.enqueue(named).await.unwrap().id();
    let mut writer = queue.body_writer().unwrap();
    writer.write(&[5; 500_000]).unwrap();
    let body = NewBody::File(writer.finish().unwrap());
    queue
        .enqueue(NewDocument {
            body,
            ..document(lane, "")
        })
        .await
        .unwrap();
    let archive = export(&queue).await;

    let other = Scratch::new();
    let (target, lane) = other.open();
    assert_eq!(
        import(&target, archive.clone()).await.unwrap(),
        Imported {
            accepted: 2,
            already_there: 0
        }
    );
    assert_eq!(
        import(&target, archive).await.unwrap(),
        Imported {
            accepted: 0,
            already_there: 2
        }
    );
    let small = target.try_lease(lane).unwrap();
    assert_eq!(
        (small.id(), small.source(), body_of(&small)),
        (id, &b"na\xefve.json"[..], b"small".to_vec())
    );
    assert_eq!(body_of(&target.try_lease(lane).unwrap()), [5; 500_000]);
}

#[tokio::test]
async fn an_archive_that_is_cut_or_none_of_ours_is_refused() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    put(&queue, lane, vec![1; 5000]).await;
    let archive = export(&queue).await;
    let other = Scratch::new();
    let (target, lane) = other.open();
    for end in [700, 1100, 3000] {
        assert_eq!(
            import(&target, archive[..end].to_vec())
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Invalid,
            "{end}"
        );
    }
    assert_eq!(
        import(&target, vec![b'x'; 2048]).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(drain(&target, lane).await.len(), 0);
}

#[tokio::test]
async fn verifying_reads_everything_and_changes_nothing() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in 0..20u8 {
        put(&queue, lane, vec![number; 3000]).await;
    }
    queue.close().await;
    let before = scratch.killed();
    let found = verify(&scratch.path(), &scratch.config).unwrap();
    assert_eq!(
        (found.documents, found.damage.len(), found.clean),
        (20, 0, true)
    );
    for (path, old) in scratch.segments().iter().zip(before.segments()) {
        assert!(std::fs::read(path).unwrap() == std::fs::read(old).unwrap());
    }
    // One flipped bit in the middle of a body.
    let segment = &scratch.segments()[0];
    let mut bytes = std::fs::read(segment).unwrap();
    let place = bytes
        .windows(100)
        .position(|window| window == [10; 100])
        .unwrap();
    bytes[place] ^= 1;
    std::fs::write(segment, bytes).unwrap();
    let found = verify(&scratch.path(), &scratch.config).unwrap();
    assert_eq!(found.damage.len(), 1);
    let nothing = verify(&scratch.folder.path().join("nowhere"), &scratch.config).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out_of_an_archive_and_counted() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    put(&queue, lane, "whole").await;
    let mut writer = queue.body_writer().unwrap();
    writer.write(&[5; 500_000]).unwrap();
    let body = NewBody::File(writer.finish().unwrap());
    let large = NewDocument {
        body,
        ..document(lane, "")
    };
    queue.enqueue(large).await.unwrap();
    let bodies = std::fs::read_dir(scratch.path().join("bodies")).unwrap();
    for body in bodies {
        std::fs::write(body.unwrap().path(), vec![6; 500_000]).unwrap();
    }
    let queue = queue.clone();
    let exported = tokio::task::spawn_blocking(move || {
        let mut archive = Vec::new();
        queue.export(&Filter::default(), &mut archive).unwrap()
    });
    let exported = exported.await.unwrap();
    assert_eq!((exported.documents, exported.unreadable), (1, 1));
}

#[tokio::test]
async fn an_archive_that_was_changed_on_the_way_is_refused() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let body = vec![b'x'; 5000];
    let hash = <sha2::Sha256 as sha2::Digest>::digest(&body).into();
    let hashed = NewDocument {
        hash: Some(hash),
        ..document(lane, body)
    };
    queue.enqueue(hashed).await.unwrap();
    let mut archive = export(&queue).await;
    let place = archive
        .windows(100)
        .position(|window| window == [b'x'; 100])
        .unwrap();
    archive[place] ^= 1;
    let (target, lane) = Scratch::new().open();
    let refused = import(&target, archive).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("not what was exported"));
    assert_eq!(drain(&target, lane).await.len(), 0);
}

#[tokio::test]
async fn compacting_gives_back_what_is_settled_and_loses_nothing() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in 0..200u8 {
        put(&queue, lane, vec![number; 5000]).await;
    }
    for number in 0..200u8 {
        let lease = queue.try_lease(lane).unwrap();
        if number % 10 == 0 {
            let after = std::time::Duration::from_mins(5);
            lease.retry(after, "busy").await.unwrap();
        } else {
            lease.ack().await.unwrap();
        }
    }
    scratch.clock.advance(std::time::Duration::from_mins(20));
    let compacting = queue.clone();
    let compacted = tokio::task::spawn_blocking(move || compacting.compact());
    let compacted = compacted.await.unwrap();
    assert!(compacted.after < compacted.before, "{compacted:?}");
    let killed = scratch.killed();
    let (after, lane) = killed.open();
    let left: Vec<u8> = drain(&after, lane)
        .await
        .iter()
        .map(|body| body[0])
        .collect();
    assert_eq!(left, (0..200u8).step_by(10).collect::<Vec<_>>());
    assert!(after.ledger().is_balanced());
}

//! Documents can be carried to another queue by hand.

use crate::scratch::{Scratch, body_of, document, drain, put, put_file};
use mainstay_queue::{ErrorKind, Filter, Imported, NewDocument, Queue, verify};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    put_file(&queue, lane, &[5; 500_000]).await;
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
    put_file(&queue, lane, &[5; 500_000]).await;
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

/// Counts what is read, and keeps the largest piece that was asked for at once: that much memory was there for it.
struct Watched<R> {
    archive: R,
    read: Arc<AtomicUsize>,
    largest: Arc<AtomicUsize>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.largest.fetch_max(bytes.len(), Ordering::Relaxed);
        let read = self.archive.read(bytes)?;
        self.read.fetch_add(read, Ordering::Relaxed);
        Ok(read)
    }
}

/// Imports an archive; what came of it, the bytes that were read, and the most that were asked for at once.
async fn import_watched(
    queue: &Queue,
    archive: impl Read + Send + 'static,
) -> (Result<Imported, mainstay_queue::Error>, usize, usize) {
    let (read, largest) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let watched = Watched {
        archive,
        read: Arc::clone(&read),
        largest: Arc::clone(&largest),
    };
    let queue = queue.clone();
    let imported = tokio::task::spawn_blocking(move || queue.import(watched))
        .await
        .unwrap();
    (
        imported,
        read.load(Ordering::Relaxed),
        largest.load(Ordering::Relaxed),
    )
}

/// The head of an entry, padded content and all but the content itself.
fn head(name: &str, kind: tar::EntryType, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o600);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A document of zeros, as an archive has it.
fn archived(id: &str, size: u64) -> impl Read + use<> {
    let facts = format!(
        r#"{{"id":"{id}","route":"","source_hex":"","content_type":"","priority":5,"headers":[],"lanes":["main"],"sha256":null,"body_bytes":{size}}}"#
    );
    let mut begin = head(
        &format!("{id}/document.json"),
        tar::EntryType::Regular,
        facts.len() as u64,
    );
    begin.extend(facts.as_bytes());
    begin.resize(begin.len().next_multiple_of(512), 0);
    begin.extend(head(&format!("{id}/body"), tar::EntryType::Regular, size));
    let zeros = io::repeat(0).take(size.next_multiple_of(512));
    io::Cursor::new(begin).chain(zeros)
}

const SMALL: &str = "01890000-0000-7000-8000-000000000001";
const LARGE: &str = "01890000-0000-7000-8000-000000000002";

#[tokio::test]
async fn a_document_above_the_limit_is_refused_by_name_before_its_body_is_read() {
    let scratch = Scratch::new();
    let (target, lane) = scratch.open();
    let limit = 256 * 1024 * 1024;
    let archive = archived(SMALL, 5).chain(archived(LARGE, limit + 1));
    let (refused, read, _) = import_watched(&target, archive).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge, "{refused}");
    let said = refused.to_string();
    assert!(said.contains(&format!("{LARGE}/body")), "{said}");
    assert!(said.contains("at most 268435456"), "{said}");
    assert!(read < 64 * 1024, "{read} bytes were read");
    assert_eq!(
        drain(&target, lane).await,
        [[0; 5]],
        "what came before is stored"
    );
}

#[tokio::test]
async fn what_an_archive_says_about_its_entries_is_never_held_in_memory() {
    let scratch = Scratch::new();
    let (target, lane) = scratch.open();
    let size = 64 * 1024 * 1024;
    for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
        let about = io::Cursor::new(head("about", kind, size)).chain(io::repeat(b'x').take(size));
        let archive = about.chain(archived(SMALL, 5));
        let (imported, _, largest) = import_watched(&target, archive).await;
        let Imported {
            accepted,
            already_there,
        } = imported.unwrap();
        assert_eq!(accepted + already_there, 1, "{kind:?}");
        assert!(largest <= 1024 * 1024, "{kind:?}: {largest} bytes at once");
    }
    let large = archived(LARGE, 2 * 1024 * 1024);
    let (imported, _, largest) = import_watched(&target, large).await;
    assert_eq!(imported.unwrap().accepted, 1);
    assert!(largest <= 1024 * 1024, "{largest} bytes at once");
    assert_eq!(drain(&target, lane).await.len(), 2);
}

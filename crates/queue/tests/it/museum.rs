//! What went wrong elsewhere, tried here. Each test tells what happened there, to people who had trusted a queue.

use crate::failing_disk::{Bench, acknowledge, put as store};
use crate::scratch::{Scratch, copy_folder, document, drain, put};
use mainstay_queue::store::Store;
use mainstay_queue::{Batch, ErrorKind, LaneId, Mode};
use sha2::{Digest, Sha256};
use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The longest that a start of a small queue may take, loaded machines included: it takes milliseconds.
const START_MAX: Duration = Duration::from_secs(30);

/// Documents of 2000 bytes, each in a group of its own, as a kill leaves them.
async fn killed(documents: u8) -> Scratch {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in 0..documents {
        put(&queue, lane, [number; 2000]).await;
    }
    scratch.killed()
}

/// Vector #17644 (and #18336, #19759): a disk buffer with a corrupt record was read again and again, at full load and
/// for ever, until somebody deleted it by hand with everything in it.
#[tokio::test]
async fn vector_17644_a_corrupt_buffer_is_read_past_and_never_in_circles() {
    let scratch = killed(40).await;
    for path in scratch.segments() {
        let mut bytes = fs::read(&path).unwrap();
        for place in (9000..bytes.len()).step_by(16_384) {
            bytes[place..place + 300].fill(0x5a);
        }
        fs::write(&path, bytes).unwrap();
    }
    for start in 0..3 {
        let folder = Scratch {
            folder: tempfile::TempDir::new().unwrap(),
            clock: scratch.clock.clone(),
            config: scratch.config.clone(),
        };
        copy_folder(&scratch.path(), &folder.path());
        let opened = tokio::task::spawn_blocking(move || (folder.open(), folder));
        let ((queue, lane), _folder) = tokio::time::timeout(START_MAX, opened)
            .await
            .expect("a start comes to its end")
            .unwrap();
        let left = drain(&queue, lane).await.len();
        assert!(20 < left && left < 40, "start {start}: {left} left");
        assert!(queue.ledger().is_balanced());
        put(&queue, lane, "it goes on").await;
    }
}

/// Vector #25570 (and #24511): a data file was deleted before the ledger said so; a crash in between, or a file that
/// somebody deleted, made every start end with an error, again and again.
#[tokio::test]
async fn vector_25570_a_missing_file_never_keeps_the_queue_from_starting() {
    let count = killed(60).await.segments().len();
    for missing in 0..count {
        let scratch = killed(60).await;
        let segments = scratch.segments();
        // The kill may have come while the last one was being made.
        let Some(segment) = segments.get(missing) else {
            continue;
        };
        fs::remove_file(segment).unwrap();
        for start in 0..2 {
            let (queue, recovery, lane) = scratch.open_with_report();
            assert!(queue.ledger().is_balanced(), "segment {missing}");
            put(&queue, lane, "it goes on").await;
            let there = drain(&queue, lane).await.len() as u64 - 1;
            if start == 0 {
                assert!(0 < there, "segment {missing}: the others are there");
                assert_eq!(recovery.documents_unreadable, 60 - there, "{missing}");
            }
            if start == 1 {
                queue.close().await;
            } else {
                queue.close_blocking();
            }
        }
    }
}

/// Vector #8763 and #13044: with the disk full, the writer of the buffer panicked, or stopped for good and took the
/// sources with it.
#[test]
fn vector_13044_a_full_disk_is_an_answer_and_no_panic() {
    let bench = Bench::new();
    let (queue, lane) = bench.open();
    queue.maintain();
    bench.faults.free.store(0, Ordering::SeqCst);
    let mut stored = 0;
    let refused = loop {
        match store(&queue, lane, 9000) {
            Ok(_) => stored += 1,
            Err(kind) => break kind,
        }
    };
    assert_eq!(refused, ErrorKind::Full);
    for _ in 0..stored {
        acknowledge(&queue, lane).expect("what is there can be delivered");
        // As the thread that keeps house does it.
        queue.maintain();
    }
    bench.heal();
    queue.maintain();
    assert_eq!(queue.mode(), Mode::Writable);
    store(&queue, lane, 9000).expect("it takes documents again by itself");
}

/// redb 4.2.0: a crash while it recovered from an earlier crash rolled back, or corrupted, what had been committed.
#[test]
fn redb_a_crash_within_the_recovery_from_a_crash_loses_nothing() {
    let first = Bench::new();
    let (queue, lane) = first.open();
    for size in [100, 9_000, 30_000, 100] {
        store(&queue, lane, size).unwrap();
    }
    acknowledge(&queue, lane).unwrap();
    let expected = queue.ledger();
    drop(queue);
    fs::remove_file(first.folder.path().join("watermark")).unwrap();
    let mut interrupted = 0;
    for one in 1..12 {
        for two in 1..12 {
            let bench = Bench::new();
            copy_folder(first.folder.path(), bench.folder.path());
            for cut in [one, two] {
                bench.heal();
                bench.faults.stops_after.store(cut, Ordering::SeqCst);
                interrupted += u64::from(bench.try_open().is_err());
            }
            bench.heal();
            let (queue, _) = bench.open();
            assert_eq!(queue.ledger(), expected, "cut at {one}, then at {two}");
        }
    }
    assert!(20 < interrupted, "only {interrupted} starts were cut");
}

/// redb: a corrupt page number was taken for a length, and terabytes of memory were asked for.
#[tokio::test]
async fn redb_a_length_that_lies_asks_for_no_memory() {
    for lie in [0xffff_f000_u32, 0x7fff_f000, 0x0100_0000] {
        let scratch = killed(10).await;
        let path = &scratch.segments()[0];
        let mut bytes = fs::read(path).unwrap();
        let mut hasher = Sha256::new();
        hasher.update(&bytes[16..32]);
        hasher.update(1_u64.to_le_bytes());
        let hash = hasher.finalize();
        let seed = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]);
        // The length of the third group, under a checksum that holds.
        let group = 3 * 4096;
        bytes[group + 32..group + 36].copy_from_slice(&lie.to_le_bytes());
        let crc = crc32c::crc32c_append(seed, &bytes[group + 4..group + 104]);
        bytes[group..group + 4].copy_from_slice(&crc.to_le_bytes());
        fs::write(path, bytes).unwrap();
        let (queue, recovery, lane) = scratch.open_with_report();
        assert!(!recovery.damage.is_empty(), "{lie:#x}");
        assert_eq!(drain(&queue, lane).await.len(), 10, "{recovery:?}");
    }
}

/// NATS #7549: a single flipped bit lost up to hundreds of thousands of acknowledged records, all that came behind it.
#[tokio::test]
async fn nats_7549_one_flipped_bit_costs_one_document_at_most() {
    let original = killed(60).await;
    for place in (100..64 * 1024).step_by(2111) {
        let scratch = original.killed();
        let path = &scratch.segments()[0];
        let mut bytes = fs::read(path).unwrap();
        bytes[place] ^= 0x10;
        fs::write(path, bytes).unwrap();
        let (queue, recovery, lane) = scratch.open_with_report();
        let left = drain(&queue, lane).await.len() as u64;
        assert!(59 <= left, "byte {place}: {left} left, {recovery:?}");
        assert_eq!(recovery.documents_unreadable, 60 - left, "byte {place}");
    }
}

/// NATS #7564: a write was acknowledged before the disk had confirmed it; a power cut took it back.
#[test]
fn nats_7564_nothing_is_acknowledged_before_the_disk_confirms() {
    let bench = Bench::new();
    let (queue, lane) = bench.open();
    for failures in 1..6 {
        let before = queue.ledger().accepted;
        bench
            .faults
            .commits_that_fail
            .store(failures, Ordering::SeqCst);
        let answer = store(&queue, lane, 500);
        // What is left of the failures was not needed; fewer than none were left where a write came through.
        let came_through = bench.faults.commits_that_fail.load(Ordering::SeqCst) < 0;
        assert_eq!(answer.is_ok(), came_through, "{failures} failures");
        let after = queue.ledger().accepted;
        assert_eq!(after - before, u64::from(came_through));
        bench.heal();
    }
    let expected = queue.ledger();
    drop(queue);
    assert_eq!(bench.open().0.ledger(), expected);
}

/// NATS #6888: after a `kill -9` a whole stream was gone: its metadata had not been synced, and what it held was deleted.
#[tokio::test]
async fn nats_6888_a_kill_forgets_no_lane_and_nothing_in_it() {
    let scratch = Scratch::new();
    let (queue, _) = scratch.open();
    let lanes: Vec<LaneId> = (0..5)
        .map(|number| crate::scratch::declare(&queue, &format!("lane {number}")))
        .collect();
    for lane in &lanes {
        put(&queue, *lane, "kept").await;
    }
    let scratch = scratch.killed();
    // Neither of the files that only save time is there.
    for file in ["snapshot", "watermark", "FORMAT"] {
        fs::remove_file(scratch.path().join(file)).ok();
    }
    let (queue, _) = scratch.open();
    let names: Vec<String> = queue.lanes().into_iter().map(|lane| lane.name).collect();
    for (number, lane) in lanes.iter().enumerate() {
        assert!(names.contains(&format!("lane {number}")));
        assert_eq!(drain(&queue, *lane).await, [b"kept".to_vec()]);
    }
}

/// Fluent Bit: after a kill whole chunks were sent again, with all that had been delivered of them.
#[tokio::test]
async fn fluent_bit_after_a_kill_only_what_was_not_acknowledged_comes_again() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let documents = (0..50u8).map(|number| document(lane, [number; 300]));
    let batch = Batch {
        documents: documents.collect(),
        claims: Vec::new(),
    };
    queue.enqueue_batch(batch).await.unwrap();
    let mut delivered = Vec::new();
    for _ in 0..30 {
        let lease = queue.try_lease(lane).unwrap();
        delivered.push(lease.id());
        lease.ack().await.unwrap();
    }
    let scratch = scratch.killed();
    let (queue, lane) = scratch.open();
    let mut again = 0;
    while let Some(lease) = queue.try_lease(lane) {
        assert!(!delivered.contains(&lease.id()));
        lease.ack().await.unwrap();
        again += 1;
    }
    assert_eq!(again, 20);
}

//! A disk that says nothing holds up whoever waits for it, and nobody who only asks.

use crate::failing_disk::{Bench, acknowledge, put};
use mainstay_queue::store::{Op, Store};
use mainstay_queue::{ErrorKind, LaneId, LogStore, NewDocument, Status};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

/// The status while the disk hangs in each change that `work` makes in turn, in a store of its own.
fn asked_wherever_it_hangs(
    bench: impl Fn() -> Bench,
    work: impl Fn(&LogStore, LaneId) + Sync,
) -> Vec<Status> {
    let mut asked = Vec::new();
    loop {
        let bench = bench();
        let (store, lane) = bench.open();
        put(&store, lane, 10).unwrap();
        store.maintain();
        put(&store, lane, 10).unwrap();
        let faults = &bench.faults;
        let held = faults.gate.write().unwrap();
        faults.has_come.store(false, Ordering::SeqCst);
        faults
            .hangs_after
            .store(asked.len() as i64, Ordering::SeqCst);
        let status = std::thread::scope(|scope| {
            let working = scope.spawn(|| work(&store, lane));
            while !faults.has_come.load(Ordering::SeqCst) && !working.is_finished() {
                std::thread::yield_now();
            }
            if !faults.has_come.load(Ordering::SeqCst) {
                return None;
            }
            let (tell, told) = mpsc::sync_channel(1);
            let store = &store;
            scope.spawn(move || tell.send(store.status()).unwrap());
            let status = told.recv_timeout(Duration::from_mins(1));
            drop(held);
            Some(status.expect("it waits for no disk"))
        });
        let Some(status) = status else { return asked };
        assert_eq!(status.log_bytes, store.log_bytes());
        asked.push(status);
    }
}

#[test]
fn a_disk_that_hangs_keeps_nobody_who_only_asks_how_the_queue_is() {
    // The commit, and how far it is confirmed.
    let stored = asked_wherever_it_hangs(Bench::new, |store, lane| {
        put(store, lane, 10).unwrap();
    });
    let accepted: Vec<u64> = stored.iter().map(|status| status.ledger.accepted).collect();
    assert_eq!(accepted, [2, 2]);
    let settled = asked_wherever_it_hangs(Bench::new, |store, lane| {
        acknowledge(store, lane).unwrap();
    });
    assert_eq!(settled.len(), 2);
}

/// The index was held while its snapshot went to the disk.
#[test]
fn a_disk_that_hangs_in_a_snapshot_keeps_nobody_who_only_asks_how_the_queue_is() {
    let bench = || {
        let mut bench = Bench::new();
        bench.config.snapshot_bytes = 1;
        bench
    };
    let due = asked_wherever_it_hangs(bench, |store, _| {
        store.maintain();
    });
    let last = asked_wherever_it_hangs(Bench::new, |store, _| store.close());
    // The old one goes, the new one is made, written with its checksum, synced and renamed, and its name synced.
    assert_eq!((due.len(), last.len()), (7, 7));
    for status in due.iter().chain(&last) {
        assert_eq!(status.ledger.queued, 2);
    }
}

/// The head of the snapshot counts it, and the index has it no more.
#[test]
fn a_document_that_is_lost_while_a_snapshot_is_written_makes_no_snapshot_that_lies() {
    let mut bench = Bench::new();
    bench.config.snapshot_bytes = 1;
    bench.config.first_segment_bytes = 4 << 20;
    bench.config.segment_bytes = 4 << 20;
    let (store, lane) = bench.open();
    store.maintain();
    let document = |number: u32| NewDocument::new(vec![lane], format!("<{number}>").into_bytes());
    // More than are written at once.
    let documents: Vec<_> = (0..4_000).map(document).collect();
    let last = documents.last().unwrap().id;
    let op = Op::Enqueue {
        documents,
        claims: Vec::new(),
    };
    assert!(store.commit(&[op]).answers.iter().all(Result::is_ok));
    store.load(last).unwrap();
    let before = std::fs::read(bench.folder.path().join("snapshot")).unwrap();
    let faults = &bench.faults;
    let held = faults.gate.write().unwrap();
    faults.has_come.store(false, Ordering::SeqCst);
    // The old one is gone, the new one is made, and its first piece is about to be written.
    faults.hangs_after.store(2, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| store.maintain());
        while !faults.has_come.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        faults.hangs_after.store(i64::MAX, Ordering::SeqCst);
        damage(bench.folder.path(), b"<3999>");
        let lost = store.load(last).unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Damaged);
        drop(held);
    });
    let after = std::fs::read(bench.folder.path().join("snapshot")).unwrap();
    assert!(before == after, "the one before it stays");
    assert_eq!(store.ledger().unreadable, 1);
    drop(store);
    let ledger = bench.open().0.ledger();
    assert!(ledger.is_balanced(), "{ledger:?}");
    assert_eq!((ledger.queued, ledger.unreadable), (3_999, 1));
}

/// Flips a bit where this stands in the log.
fn damage(folder: &Path, what: &[u8]) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(what.len()).position(|here| here == what) {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("it stands nowhere");
}

/// It was 0 until somebody had asked while nothing was written.
#[test]
fn how_large_the_log_is_is_known_before_anybody_asked() {
    let bench = Bench::new();
    let (store, lane) = bench.open();
    let held = bench.faults.gate.write().unwrap();
    bench.faults.has_come.store(false, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| put(&store, lane, 10));
        while !bench.faults.has_come.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let status = store.status();
        drop(held);
        writer.join().unwrap().unwrap();
        assert_eq!(status.log_bytes, store.log_bytes());
    });
}

//! A disk that says nothing holds up whoever waits for it, and nobody who only asks.

use crate::failing_disk::{Bench, put};
use std::sync::atomic::Ordering;

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

//! Any bytes as an archive that is imported.

#![no_main]

use mainstay_queue::{Config, Queue, WhenFull};
use std::sync::OnceLock;
use tempfile::TempDir;

/// One queue for all inputs: opening one takes a thousand times as long as reading an archive.
fn queue() -> &'static Queue {
    static QUEUE: OnceLock<(Queue, TempDir)> = OnceLock::new();
    let (queue, _) = QUEUE.get_or_init(|| {
        let folder = TempDir::new().expect("a folder");
        let config = Config {
            segment_bytes: 1024 * 1024,
            max_documents: 64,
            when_full: WhenFull::Reject,
            ..Config::default()
        };
        let (queue, _) = Queue::open(folder.path(), config).expect("a queue");
        (queue, folder)
    });
    queue
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let queue = queue();
    drop(queue.import(bytes));
    assert!(queue.ledger().is_balanced());
});

//! A disk that refused, and is well again.

use super::refusing::open_refusing;
use super::*;
use mainstay_clock::block_on;

/// Longer than it may take on the slowest machine: it asks the disk every second.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whoever has documents looks first whether they would be taken, as pickup does. With nothing to be settled, nobody wrote any more:
/// the queue took no document until its process was started again.
#[test]
fn a_queue_that_nobody_hands_anything_finds_out_by_itself_that_its_disk_is_well_again() {
    let folder = tempfile::tempdir().unwrap();
    let refuses = Arc::new(AtomicBool::new(false));
    let queue = open_refusing(folder.path(), &refuses);
    let lane = queue.declare_lane("lab").unwrap();
    let document = || NewDocument::new(vec![lane], b"x".to_vec());
    refuses.store(true, Relaxed);
    let refused = block_on(queue.enqueue(document())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotDurable);
    assert!(!queue.has_room());
    refuses.store(false, Relaxed);
    until(|| queue.has_room());
    block_on(queue.enqueue(document())).unwrap();
    assert_eq!(queue.status().mode, Mode::Writable);
    // Asking leaves nothing behind, whether it is answered or not.
    for refused in [true, false] {
        refuses.store(refused, Relaxed);
        for _ in 0..100 {
            assert_eq!(queue.core().store.ask_disk_again(), !refused);
        }
        assert!(!folder.path().join("probe.new").exists());
    }
    queue.close_blocking();
    let (queue, recovery) = Queue::open(folder.path(), Config::default()).unwrap();
    assert_eq!(
        (queue.ledger().queued, recovery.documents_unreadable),
        (1, 0)
    );
    queue.close_blocking();
}

#[expect(
    clippy::disallowed_methods,
    reason = "the threads of the queue are waited for, which go by real time"
)]
fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

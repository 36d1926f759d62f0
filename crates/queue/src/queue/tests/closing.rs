//! What is told of the end.

use super::refusing::open_refusing;
use super::*;
use mainstay_clock::block_on;

/// Whoever stopped the program was told that all is well, and the documents were sent a second time.
#[test]
fn what_the_disk_refused_to_the_end_is_told_when_the_queue_is_closed() {
    for refuses_to_the_end in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let refuses = Arc::new(AtomicBool::new(false));
        let queue = open_refusing(folder.path(), &refuses);
        let lane = queue.declare_lane("lab").unwrap();
        let documents = |count| (0..count).map(|_| NewDocument::new(vec![lane], b"x".to_vec()));
        for document in documents(3) {
            block_on(queue.enqueue(document)).unwrap();
        }
        refuses.store(refuses_to_the_end, Relaxed);
        for _ in 0..2 {
            let lease = block_on(queue.lease(lane)).unwrap();
            assert_eq!(block_on(lease.ack()).is_err(), refuses_to_the_end);
        }
        let closed = block_on(queue.close());
        let unrecorded = if refuses_to_the_end { 2 } else { 0 };
        assert_eq!((closed.unrecorded, &closed.died), (unrecorded, &None));
        let complaint = closed.complaint();
        assert_eq!(
            complaint.as_deref().unwrap_or_default(),
            if refuses_to_the_end {
                "what became of 2 documents could not be recorded, as the disk refused it: what was delivered may be sent again, under the same ids"
            } else {
                ""
            }
        );
        let (queue, _) = Queue::open(folder.path(), Config::default()).unwrap();
        assert_eq!(queue.ledger().queued, 1 + unrecorded);
        queue.close_blocking();
    }
}

#[test]
fn a_thread_that_died_is_told_when_the_queue_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Slow {
        real: RealDisk::open(folder.path(), crate::Io::Auto).unwrap(),
        gate: Arc::default(),
        has_bug: true,
    };
    let held = Lock::acquire(&folder.path().join("LOCK")).unwrap();
    let (queue, _) = Queue::open_on(Arc::new(disk), Config::default(), held).unwrap();
    until_dead(&queue);
    let complaint = queue.close_blocking().complaint().unwrap();
    assert!(
        complaint.contains("keeps the queue's house has died"),
        "{complaint}"
    );
}

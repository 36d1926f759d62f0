mod closing;
mod healing;
mod refusing;

use super::*;
use crate::disk::{DiskFile, Entry, Folder};
use mainstay_clock::{Clock, ManualClock, Moment, Sleep};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// A real disk on which making a segment ahead takes until it is let go on.
#[derive(Debug)]
struct Slow {
    real: RealDisk,
    gate: Arc<(Mutex<Gate>, Condvar)>,
    /// It panics instead.
    has_bug: bool,
}

#[derive(Debug, Default)]
struct Gate {
    is_shut: bool,
    waiting: bool,
}

impl Disk for Slow {
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>> {
        self.real.list(folder)
    }

    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let by_house = std::thread::current().name() == Some("queue-house");
        if by_house && name.starts_with("seg-") {
            assert!(!self.has_bug, "a bug");
            let (gate, changed) = &*self.gate;
            let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
            gate.waiting = true;
            changed.notify_all();
            let open = changed.wait_while(gate, |gate| gate.is_shut);
            drop(open.unwrap_or_else(PoisonError::into_inner));
        }
        self.real.create(folder, name)
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.real.open(folder, name)
    }

    fn rename(&self, folder: Folder, from: &str, to: &str) -> io::Result<()> {
        self.real.rename(folder, from, to)
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        self.real.remove(folder, name)
    }

    fn sync_folder(&self, folder: Folder) -> io::Result<()> {
        self.real.sync_folder(folder)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.real.free_bytes()
    }
}

/// The folder was free as soon as the last group was written, while the other thread was still making a segment ahead. The
/// next process could have made one of the same name meanwhile and stored documents in it: it was taken for a leftover, and
/// removed.
#[expect(
    clippy::disallowed_methods,
    reason = "that nothing happens can only be seen by waiting a while"
)]
#[test]
fn the_folder_is_not_free_before_the_last_thread_has_left_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("LOCK");
    let gate = Arc::new((Mutex::new(Gate::default()), Condvar::new()));
    gate.0.lock().unwrap().is_shut = true;
    let disk = Slow {
        real: RealDisk::open(folder.path(), crate::Io::Auto).unwrap(),
        gate: Arc::clone(&gate),
        has_bug: false,
    };
    let held = Lock::acquire(&path).unwrap();
    let (queue, _) = Queue::open_on(Arc::new(disk), Config::default(), held).unwrap();
    let waiting = gate
        .1
        .wait_while(gate.0.lock().unwrap(), |gate| !gate.waiting);
    drop(waiting.unwrap());
    let closing = std::thread::spawn(move || queue.close_blocking());
    // The writer ends within milliseconds.
    let deadline = Instant::now() + Duration::from_millis(300);
    while Instant::now() < deadline {
        assert!(Lock::holder(&path).is_some(), "somebody still works in it");
        std::thread::sleep(Duration::from_millis(5));
    }
    gate.0.lock().unwrap().is_shut = false;
    gate.1.notify_all();
    closing.join().unwrap();
    assert!(Lock::acquire(&path).is_ok());
}

/// A clock at which one thread dies, once it is told to.
#[derive(Debug, Clone, Default)]
struct Deadly {
    real: ManualClock,
    has_bug: Arc<AtomicBool>,
}

impl Deadly {
    fn look(&self) {
        let by_writer = std::thread::current().name() == Some("queue-writer");
        assert!(!(by_writer && self.has_bug.load(Relaxed)), "a bug");
    }
}

impl Clock for Deadly {
    fn now(&self) -> Moment {
        self.look();
        self.real.now()
    }

    fn wall(&self) -> u64 {
        self.look();
        self.real.wall()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.real.sleep(duration)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread that does not die as it should ends the wait in real time"
)]
fn until_dead(queue: &Queue) -> String {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Mode::ReadOnly(why) = queue.status().mode {
            return why;
        }
        assert!(Instant::now() < deadline, "nobody tells of it");
        std::thread::yield_now();
    }
}

/// The queue was closed, and its status said that it takes documents in.
#[test]
fn a_queue_whose_writer_has_died_says_so_and_has_room_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Deadly::default();
    let config = Config {
        clock: Arc::new(clock.clone()),
        ..Config::default()
    };
    let (queue, _) = Queue::open(folder.path(), config).unwrap();
    let lane = queue.declare_lane("lab").unwrap();
    assert!(queue.has_room());
    clock.has_bug.store(true, Relaxed);
    let document = NewDocument::new(vec![lane], b"body".to_vec());
    let error = mainstay_clock::block_on(queue.enqueue(document)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(until_dead(&queue).contains("the thread that writes the queue has died"));
    assert!(!queue.has_room());
}

#[test]
fn a_queue_that_nobody_keeps_house_for_says_so_and_has_room_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Slow {
        real: RealDisk::open(folder.path(), crate::Io::Auto).unwrap(),
        gate: Arc::default(),
        has_bug: true,
    };
    let held = Lock::acquire(&folder.path().join("LOCK")).unwrap();
    let (queue, _) = Queue::open_on(Arc::new(disk), Config::default(), held).unwrap();
    assert!(until_dead(&queue).contains("keeps the queue's house has died"));
    assert!(!queue.has_room());
}

/// Nobody heard of it but who asked for the status: whatever stood on the queue was started again on a queue that was dead.
#[test]
fn whichever_thread_dies_is_told_to_who_waits_for_it_and_the_queue_opens_again_with_all_that_was_confirmed()
 {
    for (writes, what) in [
        (true, "writes the queue"),
        (false, "keeps the queue's house"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (queue, _) = Queue::open(folder.path(), Config::default()).unwrap();
        let lane = queue.declare_lane("lab").unwrap();
        let document = NewDocument::new(vec![lane], b"body".to_vec());
        mainstay_clock::block_on(queue.enqueue(document)).unwrap();
        assert_eq!(queue.why_dead(), None);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let waits = queue.clone();
        let waiter = std::thread::spawn(move || {
            tell.send(mainstay_clock::block_on(waits.died())).unwrap();
        });
        queue.kill_thread(writes);
        let why = told.recv_timeout(Duration::from_mins(1)).unwrap();
        assert!(why.contains(what), "{why}");
        assert_eq!(queue.why_dead(), Some(why.clone()));
        assert_eq!(mainstay_clock::block_on(queue.died()), why);
        waiter.join().unwrap();
        assert_eq!(queue.close_blocking().complaint(), Some(why));

        let (queue, recovery) = Queue::open(folder.path(), Config::default()).unwrap();
        assert_eq!(recovery.documents_unreadable, 0);
        assert_eq!(queue.ledger().queued, 1);
        assert_eq!(queue.why_dead(), None);
        queue.close_blocking();
    }
}

//! What is told of the end.

use super::*;
use mainstay_clock::block_on;

/// The real disk, until it takes nothing any more.
#[derive(Debug)]
struct Refusing {
    real: RealDisk,
    refuses: Arc<AtomicBool>,
}

#[derive(Debug)]
struct File {
    real: Box<dyn DiskFile>,
    refuses: Arc<AtomicBool>,
}

impl Refusing {
    fn wrap(&self, real: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(File {
            real,
            refuses: Arc::clone(&self.refuses),
        })
    }
}

impl File {
    fn refuse(&self) -> io::Result<()> {
        if self.refuses.load(Relaxed) {
            return Err(io::Error::other("the disk says no"));
        }
        Ok(())
    }
}

impl Disk for Refusing {
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>> {
        self.real.list(folder)
    }

    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.wrap(self.real.create(folder, name)?))
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.wrap(self.real.open(folder, name)?))
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

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        self.real.len()
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.real.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.refuse()?;
        self.real.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.refuse()?;
        self.real.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.real.set_len(len)
    }
}

/// Whoever stopped the program was told that all is well, and the documents were sent a second time.
#[test]
fn what_the_disk_refused_to_the_end_is_told_when_the_queue_is_closed() {
    for refuses_to_the_end in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let refuses = Arc::new(AtomicBool::new(false));
        let disk = Refusing {
            real: RealDisk::open(folder.path(), crate::Io::Buffered).unwrap(),
            refuses: Arc::clone(&refuses),
        };
        let held = Lock::acquire(&folder.path().join("LOCK")).unwrap();
        let (queue, _) = Queue::open_on(Arc::new(disk), Config::default(), held).unwrap();
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

//! A disk that refuses while it is told to.

use super::*;
use std::path::Path;

/// A queue on such a disk.
pub(super) fn open_refusing(folder: &Path, refuses: &Arc<AtomicBool>) -> Queue {
    let disk = Refusing {
        real: RealDisk::open(folder, crate::Io::Buffered).unwrap(),
        refuses: Arc::clone(refuses),
    };
    let held = Lock::acquire(&folder.join("LOCK")).unwrap();
    Queue::open_on(Arc::new(disk), Config::default(), held)
        .unwrap()
        .0
}

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

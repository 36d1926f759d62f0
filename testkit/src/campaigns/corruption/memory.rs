//! A queue's folder in memory: taken as an image, damaged, opened, and looked at afterwards.

use mainstay_queue::disk::{Disk, DiskFile, Entry, Folder};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A start of the small queues here takes fewer than a hundred calls. One that takes so many goes round in circles.
const CALLS_MAX: u64 = 20_000;

/// A reader may ask for twice what a file has, and for so many bytes more.
const ALLOWANCE: usize = 64 * 1024;

/// What the disk says that it has left; no part of this campaign fills it.
const FREE: u64 = 1 << 40;

/// A file by its folder and name.
type Name = (Folder, Arc<str>);

/// The files of a queue's folder as they lie on a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    files: BTreeMap<Name, Arc<Vec<u8>>>,
}

impl Image {
    /// The content of a file.
    pub(super) fn get(&self, folder: Folder, name: &str) -> Option<&Arc<Vec<u8>>> {
        self.files.get(&(folder, Arc::from(name)))
    }

    /// The same files with one more, or another content for one.
    pub(super) fn with(&self, folder: Folder, name: &str, bytes: Vec<u8>) -> Self {
        let mut image = self.clone();
        image
            .files
            .insert((folder, Arc::from(name)), Arc::new(bytes));
        image
    }

    /// The same files without one.
    pub(super) fn without(&self, folder: Folder, name: &str) -> Self {
        let mut image = self.clone();
        image.files.remove(&(folder, Arc::from(name)));
        image
    }

    /// The names in a folder.
    pub(super) fn names(&self, folder: Folder) -> impl Iterator<Item = &str> {
        self.files
            .keys()
            .filter(move |(of, _)| *of == folder)
            .map(|(_, name)| &**name)
    }
}

#[derive(Debug)]
struct MemoryFile {
    bytes: Mutex<Arc<Vec<u8>>>,
    calls: Arc<AtomicU64>,
}

/// A disk of which nothing is ever lost, and that can be damaged between two starts.
#[derive(Debug)]
pub(super) struct MemoryDisk {
    files: Mutex<BTreeMap<Name, Arc<MemoryFile>>>,
    calls: Arc<AtomicU64>,
}

impl MemoryDisk {
    /// A disk with these files on it; they share their bytes until one is written to.
    pub(super) fn holding(image: &Image) -> Arc<Self> {
        let calls = Arc::new(AtomicU64::new(0));
        let file = |bytes: &Arc<Vec<u8>>| MemoryFile {
            bytes: Mutex::new(Arc::clone(bytes)),
            calls: Arc::clone(&calls),
        };
        let files = image
            .files
            .iter()
            .map(|(name, bytes)| (name.clone(), Arc::new(file(bytes))))
            .collect();
        Arc::new(Self {
            files: Mutex::new(files),
            calls,
        })
    }

    /// What lies on it now: what a process that is killed at this moment leaves.
    pub(super) fn image(&self) -> Image {
        let files = lock(&self.files);
        let files = files
            .iter()
            .map(|(name, file)| (name.clone(), Arc::clone(&lock(&file.bytes))))
            .collect();
        Image { files }
    }

    fn find(&self, folder: Folder, name: &str) -> io::Result<Arc<MemoryFile>> {
        count(&self.calls)?;
        let files = lock(&self.files);
        let found = files.get(&(folder, Arc::from(name)));
        found
            .map(Arc::clone)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(calls: &AtomicU64) -> io::Result<()> {
    if calls.fetch_add(1, Ordering::Relaxed) < CALLS_MAX {
        Ok(())
    } else {
        Err(io::Error::other(
            "the queue goes round in circles: too many calls of the disk",
        ))
    }
}

impl Disk for MemoryDisk {
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>> {
        count(&self.calls)?;
        let files = lock(&self.files);
        let here = files.iter().filter(|((of, _), _)| *of == folder);
        let entries = here.map(|((_, name), file)| Entry {
            name: name.to_string(),
            len: lock(&file.bytes).len() as u64,
        });
        Ok(entries.collect())
    }

    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        count(&self.calls)?;
        let mut files = lock(&self.files);
        let key = (folder, Arc::from(name));
        if files.contains_key(&key) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::new(MemoryFile {
            bytes: Mutex::default(),
            calls: Arc::clone(&self.calls),
        });
        files.insert(key, Arc::clone(&file));
        Ok(Box::new(Handle(file)))
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(Handle(self.find(folder, name)?)))
    }

    fn rename(&self, folder: Folder, from: &str, to: &str) -> io::Result<()> {
        let file = self.find(folder, from)?;
        let mut files = lock(&self.files);
        files.remove(&(folder, Arc::from(from)));
        files.insert((folder, Arc::from(to)), file);
        Ok(())
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        self.find(folder, name)?;
        lock(&self.files).remove(&(folder, Arc::from(name)));
        Ok(())
    }

    fn sync_folder(&self, _: Folder) -> io::Result<()> {
        count(&self.calls)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(FREE)
    }
}

#[derive(Debug)]
struct Handle(Arc<MemoryFile>);

impl DiskFile for Handle {
    fn len(&self) -> io::Result<u64> {
        count(&self.0.calls)?;
        Ok(lock(&self.0.bytes).len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        count(&self.0.calls)?;
        let all = lock(&self.0.bytes);
        if 2 * all.len() + ALLOWANCE < bytes.len() {
            return Err(io::Error::other(format!(
                "{} bytes of memory for a file of {}",
                bytes.len(),
                all.len()
            )));
        }
        let here = all.get(offset as usize..).unwrap_or_default();
        let read = here.len().min(bytes.len());
        bytes[..read].copy_from_slice(&here[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        count(&self.0.calls)?;
        let mut all = lock(&self.0.bytes);
        let all = Arc::make_mut(&mut all);
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if all.len() < end {
            all.resize(end, 0);
        }
        all[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        count(&self.0.calls)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        count(&self.0.calls)?;
        Arc::make_mut(&mut lock(&self.0.bytes)).resize(len as usize, 0);
        Ok(())
    }
}

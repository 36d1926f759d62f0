//! A disk in memory of which some changes fail. What was written is there after a kill, synced or not.

use mainstay_queue::disk::{Disk, DiskFile, Entry, Folder};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

type Content = Arc<Mutex<Vec<u8>>>;

#[derive(Debug, Default)]
struct Faults {
    /// So many changes succeed before the next one fails.
    after: u8,
    /// So many fail then.
    count: u8,
}

impl Faults {
    fn change(&mut self) -> io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        if self.after > 0 {
            self.after -= 1;
            return Ok(());
        }
        self.count -= 1;
        Err(io::Error::other("the disk says no"))
    }
}

/// The disk.
#[derive(Debug, Default)]
pub struct FailingDisk {
    files: Mutex<BTreeMap<(Folder, String), Content>>,
    faults: Arc<Mutex<Faults>>,
}

impl FailingDisk {
    /// After so many changes, so many fail.
    pub fn fail(&self, after: u8, count: u8) {
        *self.faults.lock().expect("unpoisoned") = Faults { after, count };
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.fail(0, 0);
    }

    fn change(&self) -> io::Result<()> {
        self.faults.lock().expect("unpoisoned").change()
    }

    fn file(&self, content: &Content) -> Box<dyn DiskFile> {
        let (content, faults) = (Arc::clone(content), Arc::clone(&self.faults));
        Box::new(File { content, faults })
    }
}

impl Disk for FailingDisk {
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>> {
        let files = self.files.lock().expect("unpoisoned");
        let here = files.iter().filter(|((of, _), _)| *of == folder);
        let entries = here.map(|((_, name), content)| Entry {
            name: name.clone(),
            len: content.lock().expect("unpoisoned").len() as u64,
        });
        Ok(entries.collect())
    }

    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.change()?;
        let mut files = self.files.lock().expect("unpoisoned");
        let key = (folder, name.to_owned());
        if files.contains_key(&key) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(self.file(files.entry(key).or_default()))
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let files = self.files.lock().expect("unpoisoned");
        let content = files.get(&(folder, name.to_owned()));
        content
            .map(|content| self.file(content))
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, folder: Folder, from: &str, to: &str) -> io::Result<()> {
        self.change()?;
        let mut files = self.files.lock().expect("unpoisoned");
        let content = files.remove(&(folder, from.to_owned()));
        files.insert(
            (folder, to.to_owned()),
            content.ok_or(io::ErrorKind::NotFound)?,
        );
        Ok(())
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        self.change()?;
        let mut files = self.files.lock().expect("unpoisoned");
        let removed = files.remove(&(folder, name.to_owned()));
        removed
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, _: Folder) -> io::Result<()> {
        self.change()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(1 << 40)
    }
}

#[derive(Debug)]
struct File {
    content: Content,
    faults: Arc<Mutex<Faults>>,
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().expect("unpoisoned").len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content.lock().expect("unpoisoned");
        let here = content.get(offset as usize..).unwrap_or_default();
        let read = here.len().min(bytes.len());
        bytes[..read].copy_from_slice(&here[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.faults.lock().expect("unpoisoned").change()?;
        let mut content = self.content.lock().expect("unpoisoned");
        let end = offset as usize + bytes.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.lock().expect("unpoisoned").change()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.lock().expect("unpoisoned").change()?;
        self.content
            .lock()
            .expect("unpoisoned")
            .resize(len as usize, 0);
        Ok(())
    }
}

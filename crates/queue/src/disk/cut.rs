//! A disk whose power can be cut, for tests of what is durable when it is said to be.

#![expect(
    clippy::disallowed_methods,
    reason = "what a power cut leaves is put there past the queue"
)]

use super::{Disk, DiskFile, Entry, Folder, RealDisk};
use crate::config::Io;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use tempfile::TempDir;

/// A folder of a name, and the number of the file that has it.
type Names = BTreeMap<(Folder, String), usize>;

/// The real disk, and what of it would be left.
#[derive(Debug)]
pub(crate) struct CutDisk {
    folder: TempDir,
    real: RealDisk,
    left: Arc<Mutex<Left>>,
}

#[derive(Debug, Default)]
struct Left {
    /// The names as everybody sees them, and as they were when their folder was synced.
    shown: Names,
    names: Names,
    /// What each file had in it when it was synced.
    contents: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct CutFile {
    real: Box<dyn DiskFile>,
    number: usize,
    left: Arc<Mutex<Left>>,
}

impl CutDisk {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let real = RealDisk::open(folder.path(), Io::Buffered).unwrap();
        Self {
            folder,
            real,
            left: Arc::default(),
        }
    }

    /// The power goes: what was not synced is gone, content and name each for itself.
    pub(crate) fn cut(&self) {
        let mut left = self.left();
        for (folder, name) in left.shown.keys() {
            fs::remove_file(self.path(*folder, name)).unwrap();
        }
        for ((folder, name), number) in &left.names {
            fs::write(self.path(*folder, name), &left.contents[*number]).unwrap();
        }
        left.shown = left.names.clone();
    }

    pub(crate) fn path(&self, folder: Folder, name: &str) -> PathBuf {
        let below = match folder {
            Folder::Root => "",
            Folder::Bodies => "bodies",
            Folder::Damaged => "damaged",
        };
        self.folder.path().join(below).join(name)
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap()
    }

    fn file(&self, real: Box<dyn DiskFile>, number: usize) -> Box<dyn DiskFile> {
        let left = Arc::clone(&self.left);
        Box::new(CutFile { real, number, left })
    }
}

impl Disk for CutDisk {
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>> {
        self.real.list(folder)
    }

    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let real = self.real.create(folder, name)?;
        let mut left = self.left();
        let number = left.contents.len();
        left.contents.push(Vec::new());
        left.shown.insert((folder, name.to_owned()), number);
        drop(left);
        Ok(self.file(real, number))
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let real = self.real.open(folder, name)?;
        let number = self.left().shown[&(folder, name.to_owned())];
        Ok(self.file(real, number))
    }

    fn rename(&self, folder: Folder, from: &str, to: &str) -> io::Result<()> {
        self.real.rename(folder, from, to)?;
        let mut left = self.left();
        if let Some(number) = left.shown.remove(&(folder, from.to_owned())) {
            left.shown.insert((folder, to.to_owned()), number);
        }
        Ok(())
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        self.real.remove(folder, name)?;
        self.left().shown.remove(&(folder, name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: Folder) -> io::Result<()> {
        self.real.sync_folder(folder)?;
        let mut left = self.left();
        let here = left.shown.iter().filter(|((of, _), _)| *of == folder);
        let here: Names = here.map(|(key, number)| (key.clone(), *number)).collect();
        left.names.retain(|(of, _), _| *of != folder);
        left.names.extend(here);
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.real.free_bytes()
    }
}

impl DiskFile for CutFile {
    fn len(&self) -> io::Result<u64> {
        self.real.len()
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.real.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.real.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.real.sync()?;
        let mut content = vec![0; self.real.len()? as usize];
        self.real.read_at(&mut content, 0)?;
        self.left.lock().unwrap().contents[self.number] = content;
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.real.set_len(len)
    }
}

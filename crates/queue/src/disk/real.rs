//! The disk of this machine.

#![expect(
    clippy::disallowed_methods,
    reason = "the queue owns its segments; this file is where it touches them"
)]

use super::{Disk, DiskFile, Entry, Folder};
use crate::config::Io;
use rustix::fs::{Mode, OFlags, StatVfs};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A queue's folder on the file system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    bodies: PathBuf,
    damaged: PathBuf,
    io: Io,
}

impl RealDisk {
    /// The folder at `root`, with `bodies/` and `damaged/` in it; made with mode 0700 where missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(root: &Path, io: Io) -> io::Result<Self> {
        let disk = Self {
            root: root.to_owned(),
            bodies: root.join("bodies"),
            damaged: root.join("damaged"),
            io,
        };
        let mut made = false;
        for folder in [&disk.bodies, &disk.damaged] {
            match fs::DirBuilder::new().mode(0o700).create(folder) {
                Ok(()) => made = true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        if made {
            disk.sync_folder(Folder::Root)?;
        }
        Ok(disk)
    }

    fn folder(&self, folder: Folder) -> &Path {
        match folder {
            Folder::Root => &self.root,
            Folder::Bodies => &self.bodies,
            Folder::Damaged => &self.damaged,
        }
    }

    fn path(&self, folder: Folder, name: &str) -> PathBuf {
        self.folder(folder).join(name)
    }

    fn buffered(&self, file: File, path: PathBuf) -> Buffered {
        Buffered {
            file,
            path: path.into(),
            io: self.io,
        }
    }
}

fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
    let descriptor = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?;
    Ok(File::from(descriptor))
}

impl Disk for RealDisk {
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.folder(folder))? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // It went away while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                entries.push(Entry {
                    name,
                    len: metadata.len(),
                });
            }
        }
        Ok(entries)
    }

    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path(folder, name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Box::new(self.buffered(file, path)))
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path(folder, name);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        Ok(Box::new(self.buffered(file, path)))
    }

    fn open_for_commits(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        if self.io == Io::Auto {
            let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::DSYNC;
            // A file system that does not take direct writes says so here.
            if let Ok(file) = open_with(&self.path(folder, name), flags) {
                return Ok(Box::new(Direct { file }));
            }
        }
        self.open(folder, name)
    }

    fn rename(&self, folder: Folder, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(folder, from), self.path(folder, to))
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(folder, name))
    }

    fn sync_folder(&self, folder: Folder) -> io::Result<()> {
        File::open(self.folder(folder))?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(room(&rustix::fs::statvfs(&self.root)?))
    }
}

/// With fewer names than this left for files, a disk counts as full: a segment, a snapshot and a few large bodies need one
/// each.
const LEAST_FILES: u64 = 8;

/// Room for bytes is none where there are no names left to put them under. A file system without a fixed number of files
/// (btrfs) says that it has 0 in all.
fn room(facts: &StatVfs) -> u64 {
    if facts.f_files != 0 && facts.f_favail < LEAST_FILES {
        return 0;
    }
    facts.f_bavail.saturating_mul(facts.f_frsize)
}

/// Written through the page cache.
#[derive(Debug)]
struct Buffered {
    file: File,
    path: Arc<Path>,
    io: Io,
}

impl DiskFile for Buffered {
    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        read_full(&self.file, bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn system_file(&self) -> Option<io::Result<File>> {
        Some(File::open(&self.path))
    }

    fn fill_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.io == Io::Auto
            && let Ok(direct) = open_with(&self.path, OFlags::WRONLY | OFlags::DIRECT)
        {
            match direct.write_all_at(bytes, offset) {
                // It takes them in larger blocks alone.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                written => return written,
            }
        }
        self.file.write_all_at(bytes, offset)
    }
}

/// Written past the page cache; every write is durable when it returns.
#[derive(Debug)]
struct Direct {
    file: File,
}

impl DiskFile for Direct {
    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        read_full(&self.file, bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn commit_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}

fn read_full(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_no_more_files_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let mut facts = rustix::fs::statvfs(folder.path()).unwrap();
        (facts.f_bavail, facts.f_frsize) = (1000, 4096);
        for (all, left, expected) in [
            (100, 50, 4_096_000),
            (100, LEAST_FILES, 4_096_000),
            (100, LEAST_FILES - 1, 0),
            (0, 0, 4_096_000),
        ] {
            (facts.f_files, facts.f_favail) = (all, left);
            assert_eq!(room(&facts), expected, "{left} of {all}");
        }
    }
}

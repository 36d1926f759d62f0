//! Large bodies: files named by their SHA-256, durable before the log speaks of them, shared by documents of one content.

use crate::disk::{Disk, DiskFile, Folder};
use crate::document::{DocumentId, INLINE_BODY_MAX};
use crate::error::{Error, ErrorKind};
use crate::sync::{Mutex, MutexGuard};
use crate::writer::Bell;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, PoisonError};

/// Where large bodies are kept.
#[derive(Debug)]
pub(crate) struct Bodies {
    disk: Arc<dyn Disk>,
    held: Mutex<Held>,
    /// Wakes whoever removes what was left.
    bell: Arc<Bell>,
}

/// What is said of bodies that no document needs yet; and the lock under which files come and go.
#[derive(Debug, Default)]
struct Held {
    /// Bodies that were written and whose documents are not stored yet.
    pinned: HashMap<[u8; 32], u32>,
    /// Bodies that nobody holds any more. Of most of them the documents are stored.
    left: Vec<[u8; 32]>,
    /// Bodies that the log may speak of though the disk did not confirm it: only the next start knows whether they are needed.
    doubted: HashSet<[u8; 32]>,
}

impl Bodies {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Arc<Self> {
        Arc::new(Self {
            disk,
            held: Mutex::default(),
            bell: Arc::default(),
        })
    }

    /// Rung when a body was left, by whoever held it last.
    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Bodies that nobody holds any more, since this was asked last; some are needed by their documents.
    pub(crate) fn take_left(&self) -> Vec<[u8; 32]> {
        std::mem::take(&mut self.held().left)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(self: &Arc<Self>) -> Result<BodyWriter, Error> {
        let name = format!(".new-{}", DocumentId::from_bytes(self.disk.fresh_bytes()));
        let file = self.disk.create(Folder::Bodies, &name).map_err(|error| {
            Error::io(
                "cannot begin a file for a large body; nothing was stored",
                error,
            )
        })?;
        Ok(BodyWriter {
            bodies: Arc::clone(self),
            file: Some(file),
            name,
            hasher: Sha256::new(),
            len: 0,
        })
    }

    /// Opens the body with this hash.
    pub(crate) fn open(&self, hash: &[u8; 32]) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(Folder::Bodies, &hex(hash))
    }

    /// Removes bodies that nothing refers to, as `is_needed` says under the lock.
    pub(crate) fn remove(&self, hashes: &[[u8; 32]], is_needed: impl Fn(&[u8; 32]) -> bool) {
        for hash in hashes {
            let held = self.held();
            if held.pinned.contains_key(hash) || held.doubted.contains(hash) || is_needed(hash) {
                continue;
            }
            if let Err(error) = self.disk.remove(Folder::Bodies, &hex(hash))
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(body = hex(hash), %error, "cannot remove a body that is no longer needed; the next start tries again");
            }
        }
    }

    /// The bodies that are there.
    pub(crate) fn hashes(&self) -> io::Result<HashSet<[u8; 32]>> {
        let entries = self.disk.list(Folder::Bodies)?;
        Ok(entries
            .iter()
            .filter_map(|entry| hash_of(&entry.name))
            .collect())
    }

    /// Removes, at start, what no document refers to: bodies whose documents were never stored or are gone.
    pub(crate) fn sweep(&self, is_needed: impl Fn(&[u8; 32]) -> bool) -> io::Result<usize> {
        let mut removed = 0;
        for entry in self.disk.list(Folder::Bodies)? {
            if !hash_of(&entry.name).is_some_and(|hash| is_needed(&hash)) {
                self.disk.remove(Folder::Bodies, &entry.name)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn unpin(&self, hash: &[u8; 32]) {
        let mut held = self.held();
        let Some(count) = held.pinned.get_mut(hash) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            held.pinned.remove(hash);
            held.left.push(*hash);
            drop(held);
            self.bell.ring();
        }
    }
}

/// Takes a large body piece by piece, in constant memory; every call may block. Dropped without
/// [`finish`](BodyWriter::finish), it leaves nothing behind.
#[derive(Debug)]
pub struct BodyWriter {
    bodies: Arc<Bodies>,
    file: Option<Box<dyn DiskFile>>,
    name: String,
    hasher: Sha256,
    len: u64,
}

impl BodyWriter {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`Full`](ErrorKind::Full) or [`Io`](ErrorKind::Io); nothing was stored, drop the writer.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let file = self.file.as_ref().ok_or_else(Error::closed)?;
        file.write_at(bytes, self.len)
            .map_err(|error| Error::io("cannot write a large body; nothing was stored", error))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// How many bytes were written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes the body durable, under its hash.
    ///
    /// # Errors
    /// [`Full`](ErrorKind::Full) or [`NotDurable`](ErrorKind::NotDurable); nothing was stored.
    pub fn finish(mut self) -> Result<BodyFile, Error> {
        let hash: [u8; 32] = std::mem::take(&mut self.hasher).finalize().into();
        let file = self.file.take().ok_or_else(Error::closed)?;
        let failed = |error: io::Error| {
            let kind = if crate::error::is_disk_full(&error) {
                ErrorKind::Full
            } else {
                ErrorKind::NotDurable
            };
            Error::with_source(
                kind,
                "cannot make a large body durable; nothing was stored",
                error,
            )
        };
        if let Err(error) = file.sync() {
            self.file = Some(file);
            return Err(failed(error));
        }
        drop(file);
        let bodies = Arc::clone(&self.bodies);
        let mut held = bodies.held();
        let renamed = bodies.disk.rename(Folder::Bodies, &self.name, &hex(&hash));
        if let Err(error) = renamed.and_then(|()| bodies.disk.sync_folder(Folder::Bodies)) {
            drop(held);
            self.abandon();
            return Err(failed(error));
        }
        *held.pinned.entry(hash).or_insert(0) += 1;
        drop(held);
        Ok(BodyFile {
            pin: Arc::new(Pin {
                bodies: Arc::clone(&self.bodies),
                hash,
            }),
            len: self.len,
        })
    }

    fn abandon(&self) {
        if let Err(error) = self.bodies.disk.remove(Folder::Bodies, &self.name)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(name = self.name, %error, "an unfinished body stays until the next start");
        }
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            self.abandon();
        }
    }
}

/// A large body that is on the disk; it stays as long as this is held, and then as long as a document needs it. Where none
/// does, its file goes soon after; after a write that the disk did not confirm, at the next start.
#[derive(Clone, Debug)]
pub struct BodyFile {
    pin: Arc<Pin>,
    len: u64,
}

impl BodyFile {
    /// Its SHA-256.
    pub fn hash(&self) -> [u8; 32] {
        self.pin.hash
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The log may speak of it, though the disk did not confirm that: only the next start knows whether it is needed.
    pub(crate) fn doubt(&self) {
        self.pin.bodies.held().doubted.insert(self.pin.hash);
    }
}

#[derive(Debug)]
struct Pin {
    bodies: Arc<Bodies>,
    hash: [u8; 32],
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.bodies.unpin(&self.hash);
    }
}

/// Whether a body of this length belongs into a file.
pub(crate) fn belongs_in_file(len: u64) -> bool {
    INLINE_BODY_MAX as u64 <= len.saturating_sub(1)
}

pub(crate) fn hex(hash: &[u8; 32]) -> String {
    let mut text = String::with_capacity(64);
    for byte in hash {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    text
}

fn hash_of(name: &str) -> Option<[u8; 32]> {
    if name.len() != 64 || !name.is_ascii() {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(name.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_found_again_in_its_name() {
        let hash: [u8; 32] = std::array::from_fn(|place| place as u8 * 7);
        assert_eq!(hash_of(&hex(&hash)), Some(hash));
        assert_eq!(hash_of(".new-1"), None);
    }

    #[test]
    fn only_what_is_larger_than_the_limit_goes_to_a_file() {
        assert!(!belongs_in_file(0));
        assert!(!belongs_in_file(INLINE_BODY_MAX as u64));
        assert!(belongs_in_file(INLINE_BODY_MAX as u64 + 1));
    }
}

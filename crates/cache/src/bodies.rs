//! Bodies: one file for each content, named by its hash.

use crate::entry::{Hash, hash};
use bytes::Bytes;
use mainstay_files::{Durability, Error, ErrorKind, Symlinks, WriteOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The folder of bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    folder: PathBuf,
    options: WriteOptions,
}

/// What reading a body came to.
#[derive(Debug)]
pub(crate) enum Found {
    /// The bytes that were stored.
    Whole(Bytes),
    /// Other bytes, or none.
    Damaged,
    /// The system did not let us look; it may be there.
    Unreadable,
}

impl Bodies {
    /// Opens the folder, which is made where it is missing, and removes what killed processes left half-written.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, Error> {
        mainstay_files::create_dir_all(&folder, 0o700)?;
        mainstay_files::sweep(&folder)?;
        let options = WriteOptions::new()
            .secret()
            .durability(Durability::Atomic)
            .symlinks(Symlinks::Replace);
        Ok(Self { folder, options })
    }

    /// Removes what killed processes left half-written.
    pub(crate) fn sweep(&self) -> Result<usize, Error> {
        mainstay_files::sweep(&self.folder)
    }

    /// Whether a file of that name and length is there; whether its bytes are right is seen when it is read.
    pub(crate) fn has(&self, body: &Hash, len: u64) -> bool {
        let facts = mainstay_files::facts(&self.path(body));
        facts.is_ok_and(|facts| facts.is_regular() && facts.len == len)
    }

    /// Puts a body in its file, where it is not there yet, all of it.
    pub(crate) fn keep(&self, body: &Hash, bytes: &[u8]) -> Result<(), Error> {
        match self.read(body, bytes.len() as u64) {
            Found::Whole(_) => Ok(()),
            Found::Damaged | Found::Unreadable => self.options.write(&self.path(body), bytes),
        }
    }

    /// Puts a body that was kept just now in its file again, where that went.
    pub(crate) fn keep_still(&self, body: &Hash, bytes: &[u8]) -> Result<(), Error> {
        if self.has(body, bytes.len() as u64) {
            return Ok(());
        }
        self.options.write(&self.path(body), bytes)
    }

    pub(crate) fn read(&self, body: &Hash, len: u64) -> Found {
        let opened = mainstay_files::open_regular(&self.path(body));
        let (file, facts) = match opened {
            Ok(opened) => opened,
            Err(error) => return from_error(&error),
        };
        if facts.len != len {
            return Found::Damaged;
        }
        let mut bytes = Vec::with_capacity(len as usize);
        if file.take(len).read_to_end(&mut bytes).is_err() {
            return Found::Unreadable;
        }
        if hash(&bytes) == *body {
            Found::Whole(bytes.into())
        } else {
            Found::Damaged
        }
    }

    /// Removes a body; call it only inside a transaction that knows that no entry needs it.
    pub(crate) fn remove(&self, body: &Hash) {
        let path = self.path(body);
        if let Err(error) = mainstay_files::remove(&path) {
            tracing::warn!(path = %path.display(), %error, "a body that nothing needs stays for now");
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// All bodies that are there.
    pub(crate) fn all(&self) -> Vec<Hash> {
        let Ok(files) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let names = files.filter_map(|file| parse(file.ok()?.file_name().to_str()?));
        names.collect()
    }

    /// Whether a body was put here longer than `age` ago, by the file system's clock and the machine's.
    pub(crate) fn is_older_than(&self, body: &Hash, age: Duration) -> bool {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(mainstay_clock::system().wall());
        mainstay_files::facts(&self.path(body)).is_ok_and(|facts| {
            now.duration_since(facts.modified)
                .is_ok_and(|since| since >= age)
        })
    }

    fn path(&self, body: &Hash) -> PathBuf {
        self.folder.join(hex(body))
    }
}

fn from_error(error: &Error) -> Found {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotRegular | ErrorKind::IsSymlink => Found::Damaged,
        _ => Found::Unreadable,
    }
}

fn hex(hash: &Hash) -> String {
    use std::fmt::Write;
    hash.iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string never fails");
            text
        })
}

fn parse(name: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if name.len() != 2 * hash.len() || !name.is_ascii() {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(name.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_bodies_are_taken_for_bodies() {
        let body = hash(b"x");
        assert_eq!(parse(&hex(&body)), Some(body));
        for name in ["", "index.sqlite", &hex(&body)[1..], &"é".repeat(32)] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}

//! What came of a download already, for the next process: blocks in a folder beside its place, each with a checksum.
//!
//! ```text
//! file.bin.parts/  LOCK       held by whoever downloads
//!                  head       of what they are: the address (its hash), what names the version, the length
//!                  000000 …   SHA-256 of head, number and bytes; the bytes
//! ```
//!
//! Nothing of it is synced: what a power cut left of a block has another checksum, and is not taken.

use http::{HeaderName, HeaderValue};
use mainstay_files::{Algorithm, Checksum, Durability, Error, Hasher, Lock, WriteOptions};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A block: what a kill costs at most, and few files for a large download.
const BLOCK: usize = 1 << 20;

/// A head is a few lines; a longer one is none of ours.
const HEAD_MAX: u64 = 64 << 10;

/// The length of a checksum before a block, in hexadecimal digits.
const SUM: usize = 64;

/// Of what the blocks are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    format: u32,
    address: String,
    version: Option<(String, String)>,
    pub(super) total: Option<u64>,
}

/// The blocks of one download; dropped, they stay for the next one.
#[derive(Debug)]
pub(super) struct Parts {
    folder: PathBuf,
    _lock: Lock,
    address: String,
    /// The bytes of the head; none while there is none.
    head: Option<Vec<u8>>,
    next: u32,
    waiting: Vec<u8>,
}

impl Head {
    /// What the server knows the version by.
    pub(super) fn version(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = self.version.as_ref()?;
        Some((name.parse().ok()?, value.parse().ok()?))
    }
}

impl Parts {
    /// Those beside `path`, of this address, and of what they are; none where there are none, or others.
    ///
    /// # Errors
    ///
    /// Somebody else downloads to that place, or the folder cannot be made.
    pub(super) fn open(path: &Path, address: &str) -> Result<(Self, Option<Head>), Error> {
        let mut folder = OsString::from(path);
        folder.push(".parts");
        let folder = PathBuf::from(folder);
        mainstay_files::create_dir_all(&folder, 0o700)?;
        let lock = Lock::acquire(&folder.join("LOCK"))?;
        // What a killed process was writing; it is in nobody's way, but for the folder's end.
        drop(mainstay_files::sweep(&folder));
        let mut parts = Self {
            _lock: lock,
            folder,
            address: Checksum::of(Algorithm::Sha256, address.as_bytes()).to_string(),
            head: None,
            next: 0,
            waiting: Vec::new(),
        };
        let bytes = read(&parts.folder.join("head"), HEAD_MAX).unwrap_or_default();
        let head = serde_json::from_slice(&bytes).ok();
        let ours = |head: &Head| head.format == 1 && head.address == parts.address;
        let head: Option<Head> = head.filter(ours);
        parts.head = head.as_ref().map(|_| bytes);
        Ok((parts, head))
    }

    /// The next block that is there and whole; what comes from now on follows the last that was answered.
    pub(super) fn next_block(&mut self) -> Option<Vec<u8>> {
        let head = self.head.as_ref()?;
        let mut bytes = read(&self.place(self.next), (SUM + BLOCK) as u64)?;
        if bytes.len() != SUM + BLOCK {
            return None;
        }
        let block = bytes.split_off(SUM);
        if sum(head, self.next, &block).as_bytes() != bytes {
            return None;
        }
        self.next += 1;
        Some(block)
    }

    /// Takes the last block that was answered back: it is asked for again.
    pub(super) fn put_back(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    /// From the first byte on, of this version.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(super) fn begin(
        &mut self,
        version: Option<&(HeaderName, HeaderValue)>,
        total: Option<u64>,
    ) -> Result<(), Error> {
        self.clear()?;
        let text = |(name, value): &(HeaderName, HeaderValue)| {
            let value = value.to_str().ok()?.to_owned();
            Some((name.as_str().to_owned(), value))
        };
        let head = Head {
            format: 1,
            address: self.address.clone(),
            version: version.and_then(text),
            total,
        };
        let bytes = serde_json::to_vec(&head).unwrap_or_default();
        write(&self.folder.join("head"), &bytes)?;
        self.head = Some(bytes);
        Ok(())
    }

    /// Keeps what follows, block by block.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(head) = &self.head else {
            return Ok(());
        };
        self.waiting.extend_from_slice(bytes);
        while self.waiting.len() >= BLOCK {
            let rest = self.waiting.split_off(BLOCK);
            let block = std::mem::replace(&mut self.waiting, rest);
            let mut whole = sum(head, self.next, &block).into_bytes();
            whole.extend(block);
            write(&self.folder.join(name(self.next)), &whole)?;
            self.next += 1;
        }
        Ok(())
    }

    /// Nothing of it is of use any more.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        self.head = None;
        self.waiting.clear();
        // Without it no block counts.
        mainstay_files::remove(&self.folder.join("head"))?;
        self.next = 0;
        while self.place(self.next).exists() {
            mainstay_files::remove(&self.place(self.next))?;
            self.next += 1;
        }
        self.next = 0;
        Ok(())
    }

    /// The file is there: the folder goes. What cannot be removed is of no use to anybody, and is left.
    pub(super) fn end(mut self) {
        if self.clear().is_ok() {
            drop(mainstay_files::remove(&self.folder.join("LOCK")));
            drop(mainstay_files::remove_empty_dir(&self.folder));
        }
    }

    fn place(&self, number: u32) -> PathBuf {
        self.folder.join(name(number))
    }
}

fn name(number: u32) -> String {
    format!("{number:06}")
}

/// A block of another download, of another version or from another place has another one.
fn sum(head: &[u8], number: u32, block: &[u8]) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(head);
    hasher.update(&number.to_be_bytes());
    hasher.update(block);
    hasher.end().to_string()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let options = WriteOptions::new().durability(Durability::Atomic);
    options.write(path, bytes)
}

/// A file that is no longer than that; none where it cannot be read.
fn read(path: &Path, max: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?.take(max + 1);
    { file }.read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= max).then_some(bytes)
}

//! What is remembered of a file as it was last saved, so that a later look can tell who changed it:
//!
//! ```text
//! mainstay-saved 1
//! path /srv/app/settings.json
//! length 1234
//! sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
//! modified 1795270900.000000000
//! file 64769:131072
//! saved 1795270900123
//! after 20261121T142139.000Z-0000
//! verified 1795270900123
//! checksum 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
//! ```
//!
//! Moments without a point are milliseconds since 1970. `after` is the newest backup that there was then, or `-`: what was deleted
//! after it was saved is told apart by it, whatever the clock said.

use super::BackupId;
use super::manifest::{since_1970, time};
use crate::facts::Facts;
use crate::integrity::{Algorithm, Checksum};
use crate::sealed::{self, escaped, path_from, unescaped};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::SystemTime;

const FIRST_LINE: &str = "mainstay-saved 1";

const NONE: &str = "-";

/// A file as it was last saved, or backed up by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) path: PathBuf,
    pub(super) len: u64,
    pub(super) hash: Checksum,
    pub(super) modified: SystemTime,
    pub(super) dev: u64,
    pub(super) ino: u64,
    /// When it was saved, in milliseconds since 1970.
    pub(super) at: u64,
    /// The newest backup that there was then.
    pub(super) since: Option<BackupId>,
    /// When its bytes were last read and compared.
    pub(super) verified: u64,
}

impl Saved {
    pub(super) fn new(
        path: PathBuf,
        facts: &Facts,
        hash: Checksum,
        at: u64,
        since: Option<BackupId>,
    ) -> Self {
        Self {
            path,
            len: facts.len,
            hash,
            modified: facts.modified,
            dev: facts.dev,
            ino: facts.ino,
            at,
            since,
            verified: at,
        }
    }

    /// Whether the system says that nobody wrote to the file since.
    pub(super) fn is_untouched(&self, now: &Facts) -> bool {
        (self.len, self.modified, self.dev, self.ino) == (now.len, now.modified, now.dev, now.ino)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        let mut line = |words: std::fmt::Arguments<'_>| {
            text.write_fmt(words)
                .expect("a string takes everything that is written to it");
            text.push('\n');
        };
        let path = escaped(self.path.as_os_str().as_encoded_bytes());
        let (seconds, nanoseconds) = since_1970(self.modified);
        line(format_args!("{FIRST_LINE}"));
        line(format_args!("path {path}"));
        line(format_args!("length {}", self.len));
        line(format_args!("sha256 {}", self.hash));
        line(format_args!("modified {seconds}.{nanoseconds:09}"));
        line(format_args!("file {}:{}", self.dev, self.ino));
        line(format_args!("saved {}", self.at));
        match self.since {
            Some(since) => line(format_args!("after {since}")),
            None => line(format_args!("after {NONE}")),
        }
        line(format_args!("verified {}", self.verified));
        sealed::seal(text)
    }

    /// Reads one; `None` where a single bit of it is not as it was written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut lines = sealed::open(bytes)?.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
        let path = path_from(unescaped(value("path")?)?)?;
        let len = value("length")?.parse().ok()?;
        let hash = Checksum::from_hex(Algorithm::Sha256, value("sha256")?).ok()?;
        let (seconds, nanoseconds) = value("modified")?.split_once('.')?;
        let (dev, ino) = value("file")?.split_once(':')?;
        Some(Self {
            path,
            len,
            hash,
            modified: time(seconds.parse().ok()?, nanoseconds.parse().ok()?)?,
            dev: dev.parse().ok()?,
            ino: ino.parse().ok()?,
            at: value("saved")?.parse().ok()?,
            since: match value("after")? {
                NONE => None,
                id => Some(id.parse().ok()?),
            },
            verified: value("verified")?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    fn example() -> Saved {
        Saved {
            path: Path::new("/srv/app/sett%ings ü.json").to_owned(),
            len: 1_234,
            hash: Checksum::of(Algorithm::Sha256, b"abc"),
            modified: SystemTime::UNIX_EPOCH + Duration::new(1_795_270_900, 7),
            dev: 64_769,
            ino: 131_072,
            at: 1_795_270_900_123,
            since: "20261121T142139.000Z-0000".parse().ok(),
            verified: 1_795_270_901_000,
        }
    }

    #[test]
    fn what_is_remembered_is_read_back() {
        let first = Saved {
            since: None,
            ..example()
        };
        for saved in [example(), first] {
            assert_eq!(Saved::decode(&saved.encode()), Some(saved));
        }
    }

    #[test]
    fn no_flipped_bit_is_believed() {
        let whole = example().encode();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            assert_eq!(Saved::decode(&bytes), None, "bit {bit}");
        }
    }
}

//! What a transaction is to do, as text with a checksum:
//!
//! ```text
//! mainstay-transaction 1
//! replace OLD NEW /etc/app/users
//! remove OLD /etc/app/groups
//! checksum …
//! ```
//!
//! OLD and NEW are SHA-256, or `-` where there is no file. The new content of the first line lies in `0`, of the second in `1`.

use crate::integrity::{Algorithm, Checksum};
use crate::sealed::{self, escaped, path_from, unescaped};
use std::fmt::Write;
use std::path::PathBuf;

const FIRST_LINE: &str = "mainstay-transaction 1";

/// What becomes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) path: PathBuf,
    /// What was there; none where there was no file.
    pub(super) old: Option<Checksum>,
    /// What is to be there; none where there is to be no file.
    pub(super) new: Option<Checksum>,
}

/// What becomes of all files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) changes: Vec<Change>,
}

impl Journal {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = format!("{FIRST_LINE}\n");
        for change in &self.changes {
            let old = sum_text(change.old);
            let path = escaped(change.path.as_os_str().as_encoded_bytes());
            let written = match change.new {
                Some(new) => writeln!(text, "replace {old} {new} {path}"),
                None => writeln!(text, "remove {old} {path}"),
            };
            written.expect("a string takes everything that is written to it");
        }
        sealed::seal(text)
    }

    /// Reads one; `None` where a single bit of it is not as it was written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut lines = sealed::open(bytes)?.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let changes = lines.map(change).collect::<Option<Vec<Change>>>()?;
        Some(Self { changes })
    }
}

fn change(line: &str) -> Option<Change> {
    let (verb, rest) = line.split_once(' ')?;
    let (old, rest) = rest.split_once(' ')?;
    let (new, path) = match verb {
        "replace" => {
            let (new, path) = rest.split_once(' ')?;
            (Some(sum(new)?), path)
        }
        "remove" => (None, rest),
        _ => return None,
    };
    Some(Change {
        path: path_from(unescaped(path)?)?,
        old: if old == "-" { None } else { Some(sum(old)?) },
        new,
    })
}

fn sum_text(sum: Option<Checksum>) -> String {
    sum.map_or_else(|| "-".to_owned(), |sum| sum.to_string())
}

fn sum(text: &str) -> Option<Checksum> {
    Checksum::from_hex(Algorithm::Sha256, text).ok()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests know what they made")]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_read_back_and_every_flipped_bit_of_it_is_seen() {
        let sum = |text: &[u8]| Some(Checksum::of(Algorithm::Sha256, text));
        let change = |path: &str, old, new| Change {
            path: path.into(),
            old,
            new,
        };
        let journal = Journal {
            changes: vec![
                change("/etc/a b\n%.json", None, sum(b"new")),
                change("/etc/c", sum(b"old"), sum(b"")),
                change("/etc/remove me", sum(b"old"), None),
                change("/etc/never there", None, None),
            ],
        };
        let bytes = journal.encode();
        assert_eq!(Journal::decode(&bytes), Some(journal));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Journal::decode(&flipped), None, "bit {bit}");
        }
    }
}

//! Knows what was offered, and holds it against what arrived.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

type Hash = [u8; 32];

/// What the receiver's store holds, by content.
pub type Stored = BTreeMap<Hash, u64>;

/// What was offered. It lives in the memory of the campaign, outside of everything that is killed or cut.
#[derive(Debug, Default)]
pub struct Oracle {
    offered: BTreeMap<Hash, (String, u64)>,
}

/// What the comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many documents were offered.
    pub offered: u64,
    /// How many of them the receiver has.
    pub stored: u64,
    /// Offered, and nowhere at the receiver.
    pub lost: Vec<String>,
    /// At the receiver under more ids than they were offered times.
    pub doubled: Vec<String>,
    /// At the receiver, and never offered: bytes that nobody wrote.
    pub foreign: u64,
}

impl Tally {
    /// Whether every document arrived once, as it was.
    pub fn is_exact(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.foreign == 0
    }
}

impl Oracle {
    /// Notes that this content is offered (once more).
    pub fn offer(&mut self, name: &str, content: &[u8]) {
        let hash = Sha256::digest(content).into();
        self.offered
            .entry(hash)
            .or_insert_with(|| (name.to_owned(), 0))
            .1 += 1;
    }

    /// How many documents were offered.
    pub fn count(&self) -> u64 {
        self.offered.values().map(|(_, count)| count).sum()
    }

    /// Reads a store folder.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(store: &Path) -> Result<Stored> {
        let mut stored = Stored::new();
        for entry in fs::read_dir(store).with_context(|| format!("no store {}", store.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            let is_document =
                entry.file_type()?.is_file() && !name.as_encoded_bytes().starts_with(b".");
            if is_document && name != "LOCK" {
                let hash = Sha256::digest(fs::read(entry.path())?).into();
                *stored.entry(hash).or_insert(0) += 1;
            }
        }
        Ok(stored)
    }

    /// Compares what was offered with what arrived.
    pub fn compare(&self, stored: &Stored) -> Tally {
        let mut tally = Tally {
            offered: self.count(),
            ..Tally::default()
        };
        for (hash, (name, times)) in &self.offered {
            let arrived = stored.get(hash).copied().unwrap_or(0);
            tally.stored += arrived.min(*times);
            if arrived < *times {
                tally.lost.push(name.clone());
            } else if *times < arrived {
                tally.doubled.push(format!("{name} ({arrived} times)"));
            }
        }
        tally.foreign = stored
            .iter()
            .filter(|(hash, _)| !self.offered.contains_key(*hash))
            .map(|(_, count)| count)
            .sum();
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_or_foreign_is_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, content: &str| {
            fs::write(folder.path().join(name), content).expect("a file");
        };
        let mut oracle = Oracle::default();
        for name in ["a", "b", "c"] {
            oracle.offer(name, name.as_bytes());
        }
        put("1", "a");
        put("2", "b");
        put("3", "b");
        put("4", "nobody's");
        let tally = oracle.compare(&Oracle::read(folder.path()).expect("a store"));
        assert_eq!(tally.lost, ["c"]);
        assert_eq!(tally.doubled, ["b (2 times)"]);
        assert_eq!((tally.foreign, tally.stored), (1, 2));
        assert!(!tally.is_exact());
    }

    #[test]
    fn the_same_content_offered_twice_has_to_arrive_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut oracle = Oracle::default();
        oracle.offer("a", b"same");
        oracle.offer("b", b"same");
        fs::write(folder.path().join("1"), "same").expect("a file");
        let once = Oracle::read(folder.path()).expect("a store");
        assert_eq!(oracle.compare(&once).lost, ["a"]);
        fs::write(folder.path().join("2"), "same").expect("a file");
        assert!(
            oracle
                .compare(&Oracle::read(folder.path()).expect("a store"))
                .is_exact()
        );
    }
}

//! Which documents a receiver was sent that it had already, and whether each of them may have been.
//!
//! At least once is the promise: what was in flight when a life ended early is sent again, once, as soon as somebody is there. What
//! was stored before a clean stop was acknowledged, and never comes again.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How the receiver's log tells of a document that it had.
const TOLD: &str = "already there";

/// What the receiver has, and what it was sent again.
#[derive(Debug)]
pub(super) struct Repeats {
    store: PathBuf,
    log: PathBuf,
    /// How much of the log was read.
    read: usize,
    /// What was stored when the queue was last known to have recorded all of it.
    settled: BTreeSet<String>,
    /// What was sent again since.
    again: BTreeSet<String>,
}

impl Repeats {
    pub(super) fn new(store: PathBuf, log: PathBuf) -> Self {
        Self {
            store,
            log,
            read: 0,
            settled: BTreeSet::new(),
            again: BTreeSet::new(),
        }
    }

    /// What is wrong with what was sent again since this was last asked; all of it where the life before was clean.
    pub(super) fn judge(&mut self, is_clean: bool) -> Result<Option<String>> {
        let log = fs::read_to_string(&self.log)?;
        let new = log.get(self.read..).context("the log was cut")?;
        let whole = new.rfind('\n').map_or(0, |end| end + 1);
        let ids = told(&new[..whole]);
        self.read += whole;
        Ok(self.look(ids?, is_clean))
    }

    /// All that is stored was recorded by the queue.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.settled = keys(&self.store)?;
        self.again.clear();
        Ok(())
    }

    fn look(&mut self, ids: Vec<String>, is_clean: bool) -> Option<String> {
        for id in ids {
            if is_clean {
                return Some(format!("{id} was sent twice by a life that ended cleanly"));
            }
            if self.settled.contains(&id) {
                return Some(format!(
                    "{id} was sent again, and was delivered before a clean stop"
                ));
            }
            if !self.again.insert(id.clone()) {
                return Some(format!("{id} was in flight once, and sent again twice"));
            }
        }
        None
    }
}

/// The ids that a piece of the log tells of.
fn told(log: &str) -> Result<Vec<String>> {
    let lines = log.lines().filter(|line| line.contains(TOLD));
    let ids = lines.map(|line| {
        let (_, id) = line.split_once("id=")?;
        Some(id.split_whitespace().next()?.to_owned())
    });
    let ids: Option<Vec<String>> = ids.collect();
    ids.context("the log of the receiver does not say which document it had")
}

/// The keys of a store.
fn keys(store: &Path) -> Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    for entry in fs::read_dir(store)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if let Some((key, _)) = name.split_once("--") {
            keys.insert(key.to_owned());
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats(settled: &[&str]) -> Repeats {
        Repeats {
            settled: settled.iter().map(|id| (*id).to_owned()).collect(),
            ..Repeats::new(PathBuf::new(), PathBuf::new())
        }
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn what_was_in_flight_may_come_once_more_and_what_was_settled_never_again() {
        let mut seen = repeats(&["a"]);
        assert_eq!(seen.look(ids(&["b", "c"]), false), None);
        assert!(seen.look(ids(&["b"]), false).unwrap().contains("twice"));
        let settled = repeats(&["a"]).look(ids(&["b", "a"]), false).unwrap();
        assert!(settled.contains("before a clean stop"), "{settled}");
        assert!(repeats(&[]).look(ids(&["b"]), true).is_some());
    }

    #[test]
    fn the_log_of_a_receiver_names_what_it_had() {
        let log = "2026-11-22T20:00:00Z  INFO already there id=0192f0c1-2b3c\n2026 INFO other\n";
        assert_eq!(told(log).unwrap(), ["0192f0c1-2b3c"]);
        assert!(told("INFO already there\n").is_err());
    }
}

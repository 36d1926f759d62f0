//! What became of each mutant, a line for each time that one was tried: runs of several hours can be done in parts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::list::Mutant;
use crate::process;
use crate::workspace::Workspace;

/// Where the lines stand, from the root of the project.
pub(crate) const FILE: &str = "testkit/mutants.jsonl";

/// The newest outcome of one mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    /// Who saw it; nobody is an open defect.
    pub(super) seen: Option<String>,
    /// The commit that it was taken out of, and its date.
    pub(super) commit: String,
}

/// The outcomes, by what was taken out of which file: one that is written otherwise is another one.
pub(super) struct Record(BTreeMap<String, Recorded>);

impl Record {
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let text = match std::fs::read_to_string(workspace.root.join(FILE)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.context(FILE)?,
        };
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut newest = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{FILE}:{}", number + 1);
            let line: Value = serde_json::from_str(line).with_context(place)?;
            let text = |name: &str| line[name].as_str().map(str::to_owned);
            let mutant = text("mutant").with_context(place)?;
            let recorded = Recorded {
                seen: text("seen"),
                commit: text("commit").with_context(place)?,
            };
            newest.insert(mutant, recorded);
        }
        Ok(Self(newest))
    }

    pub(super) fn of(&self, mutant: &Mutant) -> Option<&Recorded> {
        self.0.get(&mutant.mark())
    }
}

/// How the newest outcomes of all mutants stand.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) seen: u64,
    pub(crate) unseen: u64,
    /// The commit of the last that was tried, and its date.
    pub(crate) newest: String,
}

impl Tally {
    /// Counts the lines of the record.
    pub(crate) fn of(text: &str) -> Result<Self> {
        let outcomes = Record::parse(text)?.0;
        let seen = outcomes.values().filter(|known| known.seen.is_some());
        let seen = seen.count() as u64;
        let last = text.lines().last().unwrap_or("{}");
        let last: Value = serde_json::from_str(last).context(FILE)?;
        Ok(Self {
            seen,
            unseen: outcomes.len() as u64 - seen,
            newest: last["commit"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

/// Adds the outcome of a mutant that was just tried.
pub(super) fn add(workspace: &Workspace, mutant: &Mutant, seen: Option<&str>) -> Result<()> {
    let commit = process::read(process::program("git", &workspace.root).args([
        "log",
        "-1",
        "--format=%h, %cs",
    ]))?;
    let line = json!({ "mutant": mutant.mark(), "seen": seen, "commit": commit.trim() });
    let path = workspace.root.join(FILE);
    let mut file = File::options().create(true).append(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_outcome_of_a_mutant_counts() {
        let lines = "{\"mutant\":\"a\",\"seen\":null,\"commit\":\"1, 2026-11-20\"}\n\
             {\"mutant\":\"b\",\"seen\":\"powercut\",\"commit\":\"1, 2026-11-20\"}\n\
             {\"mutant\":\"a\",\"seen\":\"a_test\",\"commit\":\"2, 2026-11-21\"}\n";
        let record = Record::parse(lines).unwrap();
        assert_eq!(record.0["a"].seen.as_deref(), Some("a_test"));
        assert_eq!(record.0["b"].commit, "1, 2026-11-20");
        let tally = Tally::of(lines).unwrap();
        assert_eq!((tally.seen, tally.unseen), (2, 0));
        assert_eq!(tally.newest, "2, 2026-11-21");
        assert_eq!(Tally::of("").unwrap(), Tally::default());
        assert!(Record::parse("{\"mutant\":1}").is_err());
    }
}

//! What became of each mutant, a line for each time that one was tried: runs of several hours can be done in parts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::list::{List, Mutant};
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

    pub(super) fn parse(text: &str) -> Result<Self> {
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

/// How the newest outcomes of the mutants stand that are listed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) seen: u64,
    pub(crate) unseen: u64,
    /// Those that are listed, and were not taken out yet as they stand there now.
    pub(crate) untried: u64,
    /// The commit of the last that was tried, and its date.
    pub(crate) newest: String,
}

impl Tally {
    /// Looks each mutant of `list` up in the lines of the record, which has those, too, that are listed no longer.
    pub(crate) fn of(lines: &str, list: &str) -> Result<Self> {
        let (record, list) = (Record::parse(lines)?, List::parse(list)?);
        let mut tally = Self::default();
        for mutant in &list.mutants {
            match record.of(mutant) {
                None => tally.untried += 1,
                Some(Recorded { seen: None, .. }) => tally.unseen += 1,
                Some(_) => tally.seen += 1,
            }
        }
        let last = lines.lines().last().unwrap_or("{}");
        let last: Value = serde_json::from_str(last).context(FILE)?;
        last["commit"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut tally.newest);
        Ok(tally)
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
        assert!(Record::parse("{\"mutant\":1}").is_err());
    }

    /// One that was changed, or is listed no longer, would go on being counted, and a new one would not be missed.
    #[test]
    fn those_that_are_listed_as_they_stand_there_now_are_counted() {
        let mutants = ["a", "b", "c"].map(|name| {
            format!("[[mutant]]\nname = \"{name}\"\npromise = \"Q1\"\nfile = \"f\"\ntakes = \"12\"\nputs = \"\"\n")
        });
        let list = "[killers]\n".to_owned() + &mutants.concat();
        let lines = [
            ("f: a [2]", "\"a_test\""),
            ("f: b [2]", "null"),
            ("f: c [7]", "\"a_test\""),
            ("f: d [2]", "\"a_test\""),
        ];
        let lines = lines.map(|(mark, seen)| {
            format!("{{\"mutant\":\"{mark}\",\"seen\":{seen},\"commit\":\"2, 2026-11-21\"}}\n")
        });
        let tally = Tally::of(&lines.concat(), &list).unwrap();
        assert_eq!((tally.seen, tally.unseen, tally.untried), (1, 1, 1));
        assert_eq!(tally.newest, "2, 2026-11-21");
        let nothing = Tally::of("", "killers = {}\nmutant = []\n").unwrap();
        assert_eq!(nothing, Tally::default());
    }
}

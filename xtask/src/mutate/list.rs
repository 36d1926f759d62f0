//! `testkit/mutants.toml`: what is taken out, and who has to see it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::killer::Killer;
use crate::workspace::Workspace;

/// Where the list lies.
pub(crate) const FILE: &str = "testkit/mutants.toml";

/// All mutants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// Who looks, for the files below a folder.
    killers: BTreeMap<String, Vec<String>>,
    #[serde(rename = "mutant")]
    pub(super) mutants: Vec<Mutant>,
}

/// One thing that is taken out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// What the code does then, in words.
    pub(crate) name: String,
    /// The promise that it breaks.
    pub(crate) promise: String,
    pub(crate) file: String,
    takes: String,
    puts: String,
    killers: Option<Vec<String>>,
}

impl List {
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let text = std::fs::read_to_string(workspace.root.join(FILE))
            .with_context(|| format!("cannot read {FILE}"))?;
        Self::parse(&text)
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).with_context(|| format!("{FILE} is not what it has to be"))
    }

    /// Who looks at a mutant, in turn.
    pub(super) fn killers(&self, mutant: &Mutant) -> Result<Vec<Killer>> {
        let folder = self
            .killers
            .iter()
            .find(|(folder, _)| mutant.file.starts_with(*folder));
        let words = mutant.killers.as_ref().or(folder.map(|(_, words)| words));
        let words = words.with_context(|| format!("nobody looks at `{}`", mutant.name))?;
        words.iter().map(|word| Killer::parse(word)).collect()
    }
}

impl Mutant {
    /// What tells it from every other: what it takes out of where.
    pub(super) fn mark(&self) -> String {
        format!(
            "{}: {} [{}]",
            self.file,
            self.name,
            self.takes.len() + self.puts.len()
        )
    }

    /// The file without what is taken out.
    pub(super) fn applied(&self, whole: &str) -> Result<String> {
        let found = whole.matches(&self.takes).count();
        if found != 1 {
            bail!(
                "`{}`: what it takes stands {found} times in {}, once is meant",
                self.name,
                self.file
            );
        }
        Ok(whole.replacen(&self.takes, &self.puts, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_takes_what_stands_there_once_and_somebody_looks() {
        let workspace = Workspace::load().unwrap();
        let list = List::read(&workspace).unwrap();
        assert!(
            40 <= list.mutants.len(),
            "{} mutants, 40 at least",
            list.mutants.len()
        );
        for mutant in &list.mutants {
            let whole = std::fs::read_to_string(workspace.root.join(&mutant.file)).unwrap();
            let applied = mutant.applied(&whole).unwrap();
            assert_ne!(applied, whole, "{}", mutant.name);
            assert!(!list.killers(mutant).unwrap().is_empty());
        }
    }

    #[test]
    fn a_mutant_that_fits_nowhere_or_twice_is_refused() {
        let mutant = |takes: &str| Mutant {
            name: "x".to_owned(),
            promise: "Q1".to_owned(),
            file: "f".to_owned(),
            takes: takes.to_owned(),
            puts: String::new(),
            killers: None,
        };
        assert!(mutant("c").applied("ab").is_err());
        assert!(mutant("a").applied("aa").is_err());
        assert_eq!(mutant("a").applied("ab").unwrap(), "b");
    }
}

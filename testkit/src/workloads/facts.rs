//! What a workload told: what it was about to do, and what was confirmed to it.

use anyhow::{Context, Result, bail};
use mainstay_queue::{ClaimId, DocumentId, State};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A document as its producer knows it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The SHA-256 of its content.
    pub(super) hash: String,
    /// Where it may stand now; `None` is for a document that is not there.
    pub(super) may_be: BTreeSet<Option<&'static str>>,
}

/// Documents that were stored together.
#[derive(Debug)]
pub(super) struct Together {
    pub(super) claim: ClaimId,
    pub(super) documents: Vec<DocumentId>,
    /// Whether the claim may be closed.
    pub(super) may_be_closed: bool,
}

/// A file as its writer knows it: the last version that was confirmed, and the last that was begun.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Versions {
    pub(super) confirmed: Option<u64>,
    pub(super) begun: Option<u64>,
}

/// How far the deletion of a file came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    Deleting,
    Deleted,
    Undoing,
    Undone,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) documents: BTreeMap<DocumentId, Known>,
    pub(super) together: Vec<Together>,
    pub(super) files: BTreeMap<String, Versions>,
    /// From where to where, and whether it is confirmed.
    pub(super) moves: BTreeMap<String, (String, bool)>,
    /// Versions of files that were kept before a newer one took their place.
    pub(super) kept: Vec<(String, u64)>,
    pub(super) deletions: BTreeMap<String, Deletion>,
    /// Folders that get another place, and whether they have confirmed it.
    pub(super) migrations: BTreeMap<String, bool>,
    /// Archives, how many documents each has, and whether it is confirmed.
    pub(super) archives: BTreeMap<String, (u64, bool)>,
}

/// A state in the words of the facts; a document that waits may be due by now.
pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Ready | State::Leased | State::Waiting => "pending",
        State::Sent => "sent",
        State::Dead => "dead",
        State::Discarded => "discarded",
    }
}

/// The same word, to be kept.
fn kept(state: &str) -> Result<&'static str> {
    let states = [State::Ready, State::Sent, State::Dead, State::Discarded];
    states
        .map(word)
        .into_iter()
        .find(|word| *word == state)
        .with_context(|| format!("there is no state {state}"))
}

impl Facts {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        let mut facts = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            facts
                .take_in(&words)
                .with_context(|| format!("the fact `{line}` cannot be read"))?;
        }
        Ok(facts)
    }

    fn take_in(&mut self, words: &[&str]) -> Result<()> {
        match words {
            ["offer", id, hash] => {
                let known = Known {
                    hash: (*hash).to_owned(),
                    may_be: [None, Some("pending")].into(),
                };
                self.documents.insert(id.parse()?, known);
            }
            ["stored", id] => self.is(id, [Some("pending")].into())?,
            ["settling", id, state] => {
                let may_be = &mut self.known(id)?.may_be;
                may_be.extend(standings(kept(state)?));
            }
            ["settled", id, state] => self.is(id, standings(kept(state)?))?,
            ["batch", claim, ids @ ..] => self.together.push(Together {
                claim: claim.parse()?,
                documents: ids
                    .iter()
                    .map(|id| Ok(id.parse()?))
                    .collect::<Result<_>>()?,
                may_be_closed: false,
            }),
            ["closing", claim] => {
                let claim: ClaimId = claim.parse()?;
                for together in &mut self.together {
                    together.may_be_closed |= together.claim == claim;
                }
            }
            ["writing", file, version] => {
                self.files.entry((*file).to_owned()).or_default().begun = Some(version.parse()?);
            }
            ["wrote", file, version] => {
                let versions = self.files.entry((*file).to_owned()).or_default();
                versions.confirmed = Some(version.parse()?);
            }
            ["moving", from, to] => {
                self.moves
                    .insert((*from).to_owned(), ((*to).to_owned(), false));
            }
            ["moved", from, to] => {
                self.moves
                    .insert((*from).to_owned(), ((*to).to_owned(), true));
            }
            ["kept", file, version] => self.kept.push(((*file).to_owned(), version.parse()?)),
            ["deleting", file] => self.comes_to(file, Deletion::Deleting),
            ["deleted", file] => self.comes_to(file, Deletion::Deleted),
            ["undoing", file] => self.comes_to(file, Deletion::Undoing),
            ["undone", file] => self.comes_to(file, Deletion::Undone),
            ["migrating", old, _] => {
                self.migrations.insert((*old).to_owned(), false);
            }
            ["migrated", old, _] => {
                self.migrations.insert((*old).to_owned(), true);
            }
            ["exporting", file, count] => {
                self.archives
                    .insert((*file).to_owned(), (count.parse()?, false));
            }
            ["exported", file, count] => {
                self.archives
                    .insert((*file).to_owned(), (count.parse()?, true));
            }
            ["refused" | "missed" | "stuck", ..] | ["done"] => {}
            _ => bail!("nobody knows it"),
        }
        Ok(())
    }

    fn comes_to(&mut self, file: &str, deletion: Deletion) {
        self.deletions.insert(file.to_owned(), deletion);
    }

    fn known(&mut self, id: &str) -> Result<&mut Known> {
        self.documents
            .get_mut(&id.parse()?)
            .context("it was never offered")
    }

    fn is(&mut self, id: &str, standings: BTreeSet<Option<&'static str>>) -> Result<()> {
        self.known(id)?.may_be = standings;
        Ok(())
    }
}

/// What is sent need not be kept.
fn standings(state: &'static str) -> BTreeSet<Option<&'static str>> {
    match state {
        "sent" => [None, Some("sent")].into(),
        _ => [Some(state)].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_may_be_and_what_was_confirmed_has_to_be() {
        let id = DocumentId::new().to_string();
        let mut facts = Facts::default();
        let mut tell = |words: &[&str]| {
            facts.take_in(words).expect("a fact");
            facts.documents.values().next().expect("it").may_be.clone()
        };
        assert_eq!(tell(&["offer", &id, "00"]), [None, Some("pending")].into());
        assert_eq!(tell(&["stored", &id]), [Some("pending")].into());
        assert_eq!(
            tell(&["settling", &id, "dead"]),
            [Some("dead"), Some("pending")].into()
        );
        assert_eq!(tell(&["settled", &id, "dead"]), [Some("dead")].into());
    }
}

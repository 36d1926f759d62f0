//! What the agent looks after beside its documents: what of it came to nothing last is known to its health, not to its log alone.

use crate::data::DataDir;
use crate::scrubbing::{self, LastScrub};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that is looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chore {
    /// What is kept by backups is read again and again.
    Scrub,
    /// What was deleted long ago goes for good.
    Trash,
    /// Answers to lookups are kept.
    Cache,
    /// The system tells of changes of the network.
    Changes,
}

/// What came of all of it last.
#[derive(Debug, Default)]
pub(crate) struct Upkeep(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    last_scrub: Option<LastScrub>,
    /// What went wrong and has not been well since, in words.
    failed: BTreeMap<Chore, String>,
}

impl Chore {
    /// All but the scrub, which the check of the backups tells of.
    const OTHERS: [Self; 3] = [Self::Trash, Self::Cache, Self::Changes];

    /// What it comes to that it fails.
    fn failed(self) -> &'static str {
        match self {
            Self::Scrub => "the backups are not scrubbed",
            Self::Trash => "the trash is not emptied",
            Self::Cache => "answers to lookups are not kept",
            Self::Changes => {
                "changes of the network are not heard of any more, and what cannot be reached is asked after its wait"
            }
        }
    }
}

impl Upkeep {
    /// Nothing has failed yet; of the last scrub it is known what stands in the data folder. Blocks.
    pub(super) fn of(data: &DataDir) -> Self {
        Self(Mutex::new(Known {
            last_scrub: LastScrub::read(&data.path().join(scrubbing::FOLDER)),
            failed: BTreeMap::new(),
        }))
    }

    /// What the last scrub of the backups came to, as it was last read.
    pub(crate) fn last_scrub(&self) -> Option<LastScrub> {
        self.known().last_scrub
    }

    pub(super) fn set_last_scrub(&self, last: Option<LastScrub>) {
        self.known().last_scrub = last;
    }

    /// It was done.
    pub(super) fn well(&self, chore: Chore) {
        if self.known().failed.remove(&chore).is_some() {
            tracing::info!("it is over that {}", chore.failed());
        }
    }

    /// It came to nothing: logged where it is news, and told until it is done again.
    pub(super) fn failed(&self, chore: Chore, error: impl fmt::Display) {
        let words = format!("{}: {error}", chore.failed());
        let before = self.known().failed.insert(chore, words.clone());
        if before.as_ref() != Some(&words) {
            tracing::warn!("{words}");
        }
    }

    /// Why the backups are not scrubbed; none where they are.
    pub(crate) fn unscrubbed(&self) -> Option<String> {
        self.known().failed.get(&Chore::Scrub).cloned()
    }

    /// What else went wrong last, in words.
    pub(crate) fn others(&self) -> Vec<String> {
        let known = self.known();
        let others = Chore::OTHERS.iter();
        others
            .filter_map(|chore| known.failed.get(chore).cloned())
            .collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_last_is_told_until_it_is_well_and_the_scrub_apart() {
        let upkeep = Upkeep::default();
        upkeep.failed(Chore::Trash, "no folder");
        upkeep.failed(Chore::Trash, "no disk");
        upkeep.failed(Chore::Scrub, "no disk");
        assert_eq!(upkeep.others(), ["the trash is not emptied: no disk"]);
        let unscrubbed = upkeep.unscrubbed();
        assert_eq!(
            unscrubbed.as_deref(),
            Some("the backups are not scrubbed: no disk")
        );
        upkeep.well(Chore::Trash);
        assert_eq!(upkeep.others(), [""; 0]);
        assert!(upkeep.unscrubbed().is_some());
        upkeep.well(Chore::Scrub);
        assert_eq!(upkeep.unscrubbed(), None);
    }
}

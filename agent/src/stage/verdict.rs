//! What arrived, compared with what was dropped: by content, from the receiver's own files.

use super::samples::Sample;
use crate::exit::{Exit, Failure};
use crate::hash::sha256;
use crate::receive::Key;
use crate::status::Ledger;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What arrived and what did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// Files that were dropped.
    pub(crate) offered: u64,
    /// The agent's own books.
    pub(crate) ledger: Ledger,
    /// Files in the receiver's store.
    pub(crate) stored: u64,
    /// Dropped files whose content is not in the store.
    pub(crate) lost: u64,
    /// Files in the store whose content is there already.
    pub(crate) duplicated: u64,
    /// Files in the store that nobody dropped.
    pub(crate) foreign: u64,
}

impl Verdict {
    /// Reads the whole store and compares.
    ///
    /// # Errors
    /// A file of the store cannot be read.
    pub(crate) fn reach(samples: &[Sample], store: &Path, ledger: Ledger) -> Result<Self, Failure> {
        let stored = stored_hashes(store).map_err(|error| {
            Failure::new(
                Exit::NoInput,
                format!("cannot read the receiver's store `{}`", store.display()),
            )
            .because(error)
        })?;
        let offered: HashSet<_> = samples.iter().map(|sample| sample.sha256).collect();
        let known = stored.keys().filter(|hash| offered.contains(*hash)).count() as u64;
        let total: u64 = stored.values().sum();
        Ok(Self {
            offered: samples.len() as u64,
            stored: total,
            lost: offered.len() as u64 - known,
            duplicated: total - stored.len() as u64,
            foreign: stored.len() as u64 - known,
            ledger,
        })
    }

    /// Whether every file arrived exactly once, and the books say the same.
    pub(crate) fn holds(&self) -> bool {
        let arrived = self.lost == 0
            && self.duplicated == 0
            && self.foreign == 0
            && self.stored == self.offered;
        let Ledger {
            accepted,
            delivered,
            queued,
            dead,
            discarded,
            unreadable,
            balanced,
        } = self.ledger;
        let booked = accepted == self.offered && delivered == self.offered;
        arrived && booked && balanced && queued + dead + discarded + unreadable == 0
    }

    /// The line that all of this is about.
    pub(crate) fn line(&self) -> String {
        let Ledger {
            accepted,
            delivered,
            ..
        } = self.ledger;
        let sign = if accepted == delivered { "=" } else { "≠" };
        format!(
            "{accepted} accepted {sign} {delivered} delivered, {} lost, {} duplicated at the receiver",
            self.lost, self.duplicated
        )
    }
}

fn stored_hashes(store: &Path) -> std::io::Result<HashMap<[u8; 32], u64>> {
    let mut hashes = HashMap::new();
    for file in stored_files(store)? {
        *hashes
            .entry(sha256(std::fs::File::open(&file)?)?)
            .or_default() += 1;
    }
    Ok(hashes)
}

/// The documents in a receiver's store.
pub(super) fn stored_files(store: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(store)? {
        let entry = entry?;
        if entry.file_name().to_str().and_then(Key::of_file).is_some() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay files out by hand")]
mod tests {
    use super::*;
    use crate::stage::samples;

    fn ledger(number: u64) -> Ledger {
        Ledger {
            accepted: number,
            delivered: number,
            balanced: true,
            ..Ledger::default()
        }
    }

    fn store(samples: &[Sample]) -> tempfile::TempDir {
        let store = tempfile::tempdir().unwrap();
        for (number, sample) in samples.iter().enumerate() {
            std::fs::write(
                store.path().join(format!("{number:08}--{}", sample.name)),
                &sample.content,
            )
            .unwrap();
        }
        store
    }

    #[test]
    fn all_that_was_dropped_and_nothing_else_is_a_success() {
        let samples = samples(60);
        let store = store(&samples);
        let verdict = Verdict::reach(&samples, store.path(), ledger(60)).unwrap();
        assert!(verdict.holds(), "{verdict:?}");
        assert_eq!(
            verdict.line(),
            "60 accepted = 60 delivered, 0 lost, 0 duplicated at the receiver"
        );
    }

    #[test]
    fn a_missing_a_doubled_a_changed_and_a_foreign_file_are_each_seen() {
        let samples = samples(60);
        let lost = store(&samples[1..]);
        let verdict = Verdict::reach(&samples, lost.path(), ledger(60)).unwrap();
        assert_eq!((verdict.lost, verdict.holds()), (1, false));

        let doubled = store(&samples);
        std::fs::write(doubled.path().join("again"), &samples[0].content).unwrap();
        let verdict = Verdict::reach(&samples, doubled.path(), ledger(60)).unwrap();
        assert_eq!(
            (verdict.lost, verdict.duplicated, verdict.holds()),
            (0, 1, false)
        );

        let changed = store(&samples[1..]);
        std::fs::write(changed.path().join("changed"), b"one bit").unwrap();
        let verdict = Verdict::reach(&samples, changed.path(), ledger(60)).unwrap();
        assert_eq!(
            (verdict.lost, verdict.foreign, verdict.holds()),
            (1, 1, false)
        );
    }

    #[test]
    fn books_that_say_otherwise_are_no_success() {
        let samples = samples(60);
        let store = store(&samples);
        for books in [
            ledger(59),
            ledger(61),
            Ledger {
                balanced: false,
                ..ledger(60)
            },
            Ledger {
                dead: 1,
                ..ledger(60)
            },
        ] {
            assert!(
                !Verdict::reach(&samples, store.path(), books)
                    .unwrap()
                    .holds(),
                "{books:?}"
            );
        }
    }
}

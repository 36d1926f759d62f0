//! Files that were seen and not yet taken: those that are ready, oldest first, and those that have to settle.

use mainstay_clock::Moment;
use mainstay_files::Facts;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// How many files are remembered as ready, and how many as settling.
///
/// Some 130 bytes each, so 4 MiB together with names of 20 bytes. Of more files in the folder the oldest are kept; the folder
/// is looked through again for the next ones when these are taken, which costs one look at each file per 32,768 taken.
pub(crate) const CANDIDATES_MAX: usize = 32_768;

/// A file that may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its path below the drop folder.
    pub(crate) relative: Arc<Path>,
    pub(crate) seen: Seen,
    pub(crate) proof: Proof,
}

/// What it looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) modified: SystemTime,
    pub(crate) len: u64,
    pub(crate) ino: u64,
}

/// What speaks for its being complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Somebody closed it after writing, or moved it in.
    Closed,
    /// Its time of modification lies long enough in the past.
    Aged,
    /// It was watched, and did not change.
    Unchanged,
    /// Its marker is there.
    Marked,
    /// Nothing does.
    Nothing,
}

impl Seen {
    pub(crate) fn of(facts: &Facts) -> Self {
        Self {
            modified: facts.modified,
            len: facts.len,
            ino: facts.ino,
        }
    }

    /// Like no file at all, so that whatever is found counts as changed.
    pub(crate) const fn unknown() -> Self {
        Self {
            modified: SystemTime::UNIX_EPOCH,
            len: 0,
            ino: 0,
        }
    }
}

type Key = (SystemTime, Arc<Path>);

/// All candidates.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    ready: BTreeMap<Key, (Seen, Proof)>,
    /// The files that settle, each with the moment at which it will have.
    settling: HashMap<Arc<Path>, (Seen, Moment)>,
    /// The same in the order of those moments; an entry whose moment differs is out of date.
    order: VecDeque<(Moment, Arc<Path>)>,
    /// There are more files in the folder than are remembered.
    has_more: bool,
    /// The current look through the folder wants only files behind this one: those before were offered already.
    floor: Option<Key>,
}

impl Candidates {
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn settling(&self) -> usize {
        self.settling.len()
    }

    /// Whether the folder holds files that there was no room to remember.
    pub(crate) fn has_more(&self) -> bool {
        self.has_more
    }

    pub(crate) fn is_settling(&self, relative: &Path) -> bool {
        self.settling.contains_key(relative)
    }

    /// Remembers a file as ready; of too many the newest is forgotten.
    pub(crate) fn add(&mut self, candidate: Candidate) {
        let key = (candidate.seen.modified, candidate.relative);
        self.ready.insert(key, (candidate.seen, candidate.proof));
        if self.ready.len() > CANDIDATES_MAX {
            self.ready.pop_last();
            self.has_more = true;
        }
    }

    /// Remembers a file that is found by looking through the folder, unless an earlier look has offered it.
    pub(crate) fn add_found(&mut self, candidate: Candidate) {
        let is_offered = self.floor.as_ref().is_some_and(|(modified, relative)| {
            (candidate.seen.modified, &candidate.relative) <= (*modified, relative)
        });
        if !is_offered {
            self.add(candidate);
        }
    }

    /// Remembers a file that has to stay as it was `seen` until `due`.
    pub(crate) fn settle(&mut self, relative: Arc<Path>, seen: Seen, due: Moment) {
        if self.settling.len() >= CANDIDATES_MAX && !self.settling.contains_key(&relative) {
            self.has_more = true;
            return;
        }
        self.settling.insert(Arc::clone(&relative), (seen, due));
        // Almost always the latest; settling for a time of its own may put it before others.
        let place = self.order.partition_point(|(other, _)| *other <= due);
        self.order.insert(place, (due, relative));
    }

    /// Makes those ready that have settled by now; whether they did not change is seen when they are taken.
    pub(crate) fn let_settle(&mut self, now: Moment) {
        while let Some((due, relative)) = self.order.pop_front_if(|(due, _)| *due <= now) {
            let is_current = self
                .settling
                .get(&relative)
                .is_some_and(|(_, current)| *current == due);
            if is_current && let Some((seen, _)) = self.settling.remove(&relative) {
                self.add(Candidate {
                    relative,
                    seen,
                    proof: Proof::Unchanged,
                });
            }
        }
    }

    /// When the next file will have settled.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.order.front().map(|(due, _)| *due)
    }

    /// The oldest file that is ready.
    pub(crate) fn pop(&mut self) -> Option<Candidate> {
        let ((_, relative), (seen, proof)) = self.ready.pop_first()?;
        Some(Candidate {
            relative,
            seen,
            proof,
        })
    }

    /// A look through the folder begins.
    pub(crate) fn begin_scan(&mut self) {
        self.has_more = false;
    }

    /// It has ended; if there were too many files, the next one goes on behind the newest that is remembered.
    pub(crate) fn end_scan(&mut self) {
        self.floor = if self.has_more {
            self.ready.last_key_value().map(|(key, _)| key.clone())
        } else {
            None
        };
    }

    /// Forgets all: the folder is gone.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn no_more_files_settle_than_are_remembered_and_the_others_are_looked_for_again() {
        let mut candidates = Candidates::default();
        let due = Moment::ORIGIN + Duration::from_secs(1);
        for number in 0..=CANDIDATES_MAX {
            assert!(!candidates.has_more);
            let path = Path::new(&number.to_string()).into();
            candidates.settle(path, Seen::unknown(), due);
        }
        assert_eq!(candidates.settling(), CANDIDATES_MAX);
        assert!(candidates.has_more);
    }

    fn candidate(age: u64, name: &str) -> Candidate {
        Candidate {
            relative: Path::new(name).into(),
            seen: seen(age),
            proof: Proof::Aged,
        }
    }

    fn seen(age: u64) -> Seen {
        Seen {
            modified: SystemTime::UNIX_EPOCH + Duration::from_hours(1_000_000 - age),
            len: 1,
            ino: 1,
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment::after_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn the_oldest_comes_first_and_a_tie_is_broken_by_name() {
        let mut candidates = Candidates::default();
        for (age, name) in [(1, "new"), (9, "old b"), (9, "old a"), (5, "middle")] {
            candidates.add(candidate(age, name));
        }
        let order: Vec<_> = std::iter::from_fn(|| candidates.pop())
            .map(|next| next.relative)
            .collect();
        assert_eq!(
            order,
            ["old a", "old b", "middle", "new"].map(|name| Arc::from(Path::new(name)))
        );
    }

    #[test]
    fn only_so_many_are_remembered_and_the_next_look_goes_on_behind_them() {
        let mut candidates = Candidates::default();
        let files = 2 * CANDIDATES_MAX as u64 + 100;
        let mut taken = 0;
        for look in 0..3 {
            candidates.begin_scan();
            // None is removed from the folder: as if all were unreadable.
            for age in 0..files {
                candidates.add_found(candidate(age, &format!("{age}")));
                assert!(candidates.ready() <= CANDIDATES_MAX);
            }
            candidates.end_scan();
            assert_eq!(candidates.has_more(), look < 2);
            while let Some(next) = candidates.pop() {
                taken += 1;
                assert_eq!(next.seen, seen(files - taken), "oldest first");
            }
        }
        assert_eq!(
            taken, files,
            "every file was offered once, none of the many before held it up"
        );
    }

    #[test]
    fn a_file_settles_at_its_moment_and_a_change_starts_it_anew() {
        let mut candidates = Candidates::default();
        let name: Arc<Path> = Path::new("x").into();
        candidates.settle(Arc::clone(&name), seen(1), at(2));
        candidates.settle(Arc::clone(&name), seen(0), at(3));
        candidates.let_settle(at(2));
        assert_eq!((candidates.ready(), candidates.settling()), (0, 1));
        assert_eq!(candidates.next_due(), Some(at(3)));
        candidates.let_settle(at(3));
        let next = candidates.pop().expect("it has settled");
        assert_eq!((next.seen, next.proof), (seen(0), Proof::Unchanged));
        assert_eq!(candidates.settling(), 0);
        assert_eq!(candidates.next_due(), None);
    }
}

//! Which changes of a watched file are our own.

use crate::integrity::{Algorithm, Checksum};
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How many contents of one file are remembered; a program that saves more often between two looks is told of its own saves.
///
/// A look follows a save within 2 s.
const EXPECTED_MAX: usize = 64;

/// Tells a [`Watch`](super::Watch) beforehand what this program is about to write, from any thread.
///
/// A change that was told here is not told by the watch. It is the content that counts: where somebody else wrote meanwhile, that
/// is told. A save that failed leaves nothing worse behind than this: were somebody else to write that very content, it would not
/// be told.
#[derive(Debug, Clone)]
pub struct Ours {
    files: Arc<Mutex<Expected>>,
}

/// The contents that are expected, oldest first; none stands for a removal. Only watched files have an entry.
type Expected = HashMap<PathBuf, VecDeque<Option<Checksum>>>;

impl Ours {
    pub(super) fn new(paths: impl Iterator<Item = PathBuf>) -> Self {
        let files = paths.map(|path| (path, VecDeque::new())).collect();
        Self {
            files: Arc::new(Mutex::new(files)),
        }
    }

    /// The file at `path` is about to have this content. A path that is not watched is no matter.
    pub fn will_write(&self, path: &Path, bytes: &[u8]) {
        self.expect(path, Some(Checksum::of(Algorithm::Sha256, bytes)));
    }

    /// The file at `path` is about to be removed.
    pub fn will_remove(&self, path: &Path) {
        self.expect(path, None);
    }

    fn expect(&self, path: &Path, content: Option<Checksum>) {
        let Ok(path) = std::path::absolute(path) else {
            return;
        };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(expected) = files.get_mut(&path) {
            if expected.len() == EXPECTED_MAX {
                expected.pop_front();
            }
            expected.push_back(content);
        }
    }

    /// Whether this was expected of the file; what was expected before it is so no more.
    pub(super) fn take(&self, path: &Path, content: Option<Checksum>) -> bool {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(expected) = files.get_mut(path) else {
            return false;
        };
        let Some(place) = expected.iter().rposition(|one| *one == content) else {
            return false;
        };
        expected.drain(..=place);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_expected_is_ours_once_and_with_it_all_before() {
        let path = Path::new("/x");
        let ours = Ours::new(std::iter::once(path.to_owned()));
        let content = |bytes: &[u8]| Some(Checksum::of(Algorithm::Sha256, bytes));
        for bytes in [b"1", b"2", b"3"] {
            ours.will_write(path, bytes);
        }
        ours.will_remove(path);
        assert!(ours.take(path, content(b"2")));
        assert!(!ours.take(path, content(b"1")) && !ours.take(path, content(b"2")));
        assert!(ours.take(path, None) && !ours.take(path, content(b"3")));
    }

    #[test]
    fn what_never_comes_is_forgotten_and_what_is_not_watched_never_kept() {
        let path = Path::new("/x");
        let ours = Ours::new(std::iter::once(path.to_owned()));
        for number in 0..1_000_u32 {
            ours.will_write(path, &number.to_le_bytes());
            ours.will_write(&path.join(number.to_string()), b"");
        }
        let files = ours.files.lock().unwrap();
        let kept = files.get(path).map(VecDeque::len);
        assert_eq!((files.len(), kept), (1, Some(EXPECTED_MAX)));
    }
}

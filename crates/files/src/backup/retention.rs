//! How many backups are kept, and for how long.

use super::{Backup, BackupId};
use std::num::NonZeroUsize;
use std::time::Duration;

/// What is kept of the backups of one file.
///
/// The newest is kept whatever the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So many are kept.
    pub keep: NonZeroUsize,
    /// None that is older, by the date in its id.
    pub max_age: Option<Duration>,
    /// No older ones once the newer ones hold so many bytes together.
    pub max_bytes: Option<u64>,
    /// All but so many of the newest are compressed.
    pub compress_after: Option<usize>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            keep: NonZeroUsize::new(5).expect("five is not zero"),
            max_age: None,
            max_bytes: None,
            compress_after: None,
        }
    }
}

impl Retention {
    /// Those that go, oldest last as in `newest_first`; `pinned` stays whatever the rules say.
    pub(super) fn excess<'b>(
        &self,
        newest_first: &'b [Backup],
        now: u64,
        pinned: Option<BackupId>,
    ) -> Vec<&'b Backup> {
        let oldest = self.max_age.map_or(0, |age| {
            now.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
        });
        let mut bytes = 0u64;
        let mut excess = Vec::new();
        for (number, backup) in newest_first.iter().enumerate() {
            bytes = bytes.saturating_add(backup.len);
            let is_too_much = number >= self.keep.get()
                || backup.id.wall() < oldest
                || self.max_bytes.is_some_and(|most| bytes > most);
            if number > 0 && is_too_much && pinned != Some(backup.id) {
                excess.push(backup);
            }
        }
        excess
    }
}

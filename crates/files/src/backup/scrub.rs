//! A walk through all that is kept, to find what the disk lost before anybody needs it.

use super::state::FileState;
use super::{Backup, Backups};
use crate::check::Check;
use crate::error::Error;
use crate::integrity::Integrity;
use std::path::PathBuf;

/// What a scrub found, one thing at a time.
#[derive(Debug)]
#[non_exhaustive]
pub enum Scrubbed {
    /// A file, and how it stands.
    File {
        /// Which.
        path: PathBuf,
        /// How it stands.
        state: FileState,
        /// The backup that took its place, where it was repaired.
        repaired: Option<Box<Backup>>,
    },
    /// A backup, and whether it is what it was.
    Backup {
        /// Which.
        backup: Box<Backup>,
        /// What it is.
        integrity: Integrity,
    },
    /// What should say what a backup is, and cannot be understood.
    Unreadable(PathBuf),
    /// Something could not be looked at, or not be repaired.
    Failed(Error),
}

/// How much a scrub looked at, and what it found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScrubSummary {
    /// Files that were looked at.
    pub files: u64,
    /// Backups that were read.
    pub backups: u64,
    /// Files and backups that are damaged.
    pub damaged: u64,
    /// Files that a backup took the place of.
    pub repaired: u64,
    /// What could not be looked at.
    pub failed: u64,
}

impl Backups {
    /// Reads every file that was saved here and every backup to its end, and tells `found` of each.
    ///
    /// `pace` is called with the number of bytes that were just read, 256 KiB at most, and may wait: so the disk is left to
    /// others. A file that is well is remembered as verified now. With `repairs`, a damaged or missing file is repaired by
    /// [`repair`](Self::repair), and `check` says what is of use. Memory is bounded by the backups of one file, and one file where
    /// it is repaired.
    ///
    /// # Errors
    ///
    /// Only where the folder of the backups cannot be read; all else is told, and the walk goes on.
    pub fn scrub(
        &self,
        repairs: Option<&dyn Check>,
        pace: &mut dyn FnMut(u64),
        found: &mut dyn FnMut(&Scrubbed),
    ) -> Result<ScrubSummary, Error> {
        let mut summary = ScrubSummary::default();
        let mut tell = |scrubbed: Scrubbed| {
            summary.count(&scrubbed);
            found(&scrubbed);
        };
        for shelf in self.shelves()? {
            match shelf.saved() {
                Ok(Some(saved)) => {
                    let state = self.look_again(&shelf, &saved, pace);
                    let told = state.and_then(|state| self.mended(saved.path, state, repairs));
                    tell(told.unwrap_or_else(Scrubbed::Failed));
                }
                Ok(None) => {}
                Err(error) => tell(Scrubbed::Failed(error)),
            }
            let listed = match shelf.list() {
                Ok(listed) => listed,
                Err(error) => {
                    tell(Scrubbed::Failed(error));
                    continue;
                }
            };
            for backup in listed.backups {
                tell(match shelf.verify_paced(&backup, pace) {
                    Ok(integrity) => Scrubbed::Backup {
                        backup: Box::new(backup),
                        integrity,
                    },
                    Err(error) => Scrubbed::Failed(error),
                });
            }
            for path in listed.unreadable {
                tell(Scrubbed::Unreadable(path));
            }
        }
        Ok(summary)
    }

    fn mended(
        &self,
        path: PathBuf,
        state: FileState,
        repairs: Option<&dyn Check>,
    ) -> Result<Scrubbed, Error> {
        let is_deleted = || -> Result<bool, Error> {
            let newest = self.list(&path)?.backups.into_iter().next();
            Ok(newest.is_some_and(|newest| newest.reason == super::Reason::BeforeDelete))
        };
        let needs = match state {
            FileState::Damaged(_) => true,
            FileState::Missing => !is_deleted()?,
            _ => false,
        };
        let repaired = match repairs.filter(|_| needs) {
            Some(check) => self.repair(&path, check)?.map(Box::new),
            None => None,
        };
        Ok(Scrubbed::File {
            path,
            state,
            repaired,
        })
    }
}

impl ScrubSummary {
    fn count(&mut self, scrubbed: &Scrubbed) {
        match scrubbed {
            Scrubbed::File {
                state, repaired, ..
            } => {
                self.files += 1;
                self.damaged += u64::from(matches!(state, FileState::Damaged(_)));
                self.repaired += u64::from(repaired.is_some());
            }
            Scrubbed::Backup { integrity, .. } => {
                self.backups += 1;
                self.damaged += u64::from(!matches!(integrity, Integrity::Verified(_)));
            }
            Scrubbed::Unreadable(_) => self.damaged += 1,
            Scrubbed::Failed(_) => self.failed += 1,
        }
    }
}

//! A walk through all that is kept, to find what the disk lost before anybody needs it.

use super::shelf::Shelf;
use super::state::FileState;
use super::{Backup, Backups};
use crate::check::Check;
use crate::error::Error;
use crate::integrity::Integrity;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Hears of each thing, and whether more is wanted.
type Tell<'a> = dyn FnMut(Scrubbed) -> ControlFlow<()> + 'a;

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
    /// Files and backups that are damaged, also where they were repaired.
    pub damaged: u64,
    /// Files that are not there, and were not deleted here.
    pub missing: u64,
    /// Damaged files that a backup took the place of.
    pub repaired: u64,
    /// What could not be looked at.
    pub failed: u64,
    /// Whether it was ended before it had looked at everything.
    pub was_ended: bool,
}

impl Backups {
    /// Reads every file that was saved here and every backup to its end, and tells `found` of each.
    ///
    /// `pace` is called with the number of bytes that were just read, 256 KiB at most, and may wait: so the disk is left to
    /// others. A file that is well is remembered as verified now. With `repairs`, a damaged file is repaired by
    /// [`repair`](Self::repair), and that check says what is of use; one that is missing is only told, for somebody may have removed
    /// it. Memory is bounded by the backups of one file, and one file where
    /// it is repaired.
    ///
    /// When `found` answers [`Break`](ControlFlow::Break) nothing more is looked at.
    ///
    /// # Errors
    ///
    /// Only where the folder of the backups cannot be read; all else is told, and the walk goes on.
    pub fn scrub(
        &self,
        repairs: Option<&dyn Check>,
        pace: &mut dyn FnMut(u64),
        found: &mut dyn FnMut(&Scrubbed) -> ControlFlow<()>,
    ) -> Result<ScrubSummary, Error> {
        let mut summary = ScrubSummary::default();
        let mut tell = |scrubbed: Scrubbed| {
            summary.count(&scrubbed);
            found(&scrubbed)
        };
        let mut shelves = self.shelves()?.into_iter();
        let ended = shelves.try_for_each(|shelf| {
            self.scrub_file(&shelf, repairs, pace, &mut tell)?;
            scrub_backups(&shelf, pace, &mut tell)
        });
        summary.was_ended = ended.is_break();
        Ok(summary)
    }

    fn scrub_file(
        &self,
        shelf: &Shelf,
        repairs: Option<&dyn Check>,
        pace: &mut dyn FnMut(u64),
        tell: &mut Tell<'_>,
    ) -> ControlFlow<()> {
        let looked = shelf.saved().and_then(|saved| match saved {
            Some(saved) => {
                let state = self.look_again(shelf, &saved, pace)?;
                Ok(Some((saved.path, state)))
            }
            None => Ok(None),
        });
        let (path, state) = match looked {
            Ok(Some(seen)) => seen,
            Ok(None) => return ControlFlow::Continue(()),
            Err(error) => return tell(Scrubbed::Failed(error)),
        };
        let repaired = match (&state, repairs) {
            (FileState::Damaged(_), Some(check)) => self.repair(&path, check),
            _ => Ok(None),
        };
        let (repaired, failure) = match repaired {
            Ok(repaired) => (repaired.map(Box::new), None),
            Err(error) => (None, Some(error)),
        };
        tell(Scrubbed::File {
            path,
            state,
            repaired,
        })?;
        match failure {
            Some(error) => tell(Scrubbed::Failed(error)),
            None => ControlFlow::Continue(()),
        }
    }
}

fn scrub_backups(shelf: &Shelf, pace: &mut dyn FnMut(u64), tell: &mut Tell<'_>) -> ControlFlow<()> {
    let listed = match shelf.list() {
        Ok(listed) => listed,
        Err(error) => return tell(Scrubbed::Failed(error)),
    };
    for backup in listed.backups {
        tell(match shelf.verify_paced(&backup, pace) {
            Ok(integrity) => Scrubbed::Backup {
                backup: Box::new(backup),
                integrity,
            },
            Err(error) => Scrubbed::Failed(error),
        })?;
    }
    let mut unreadable = listed.unreadable.into_iter();
    unreadable.try_for_each(|path| tell(Scrubbed::Unreadable(path)))
}

impl ScrubSummary {
    fn count(&mut self, scrubbed: &Scrubbed) {
        match scrubbed {
            Scrubbed::File {
                state, repaired, ..
            } => {
                self.files += 1;
                self.damaged += u64::from(matches!(state, FileState::Damaged(_)));
                self.missing += u64::from(*state == FileState::Missing);
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

//! Markers that were taken though their files were not: they have to go back, or those files are never taken.

use crate::claim::Claim;
use crate::collector::{Claimed, Collector, Place};
use crate::entry::{Entry, Role};
use crate::folder::{Folder, why};
use crate::look::{name, parent};
use crate::round::sync_foreign;
use mainstay_files::{self as files, ErrorKind};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A marker without its file, wherever that is.
#[derive(Debug)]
pub(crate) struct Stray {
    pub(crate) claim: Claim,
    /// Where it lies.
    pub(crate) place: Place,
    /// Its name there.
    pub(crate) held: OsString,
    /// Its path below the drop folder.
    pub(crate) relative: PathBuf,
    /// Whether its name is cut, and an entry with the whole path of its file stands in the work folder.
    pub(crate) is_cut: bool,
    /// Its file was taken with a later marker: put back, this one would mark the next file of that name too early.
    pub(crate) is_late: bool,
}

impl Collector {
    /// Puts a marker back; where that cannot be done now, it is tried again at every scan.
    pub(crate) fn return_stray(&mut self, stray: Stray) {
        if !self.put_stray_back(&stray) {
            self.strays.push(stray);
        }
    }

    /// Tries once more to put back what could not be before.
    pub(crate) fn return_strays(&mut self) {
        for stray in std::mem::take(&mut self.strays) {
            self.return_stray(stray);
        }
    }

    /// The marker of a file that was not claimed, which may have been moved before.
    pub(crate) fn stray_of(&self, claimed: &Claimed) -> Option<Stray> {
        Some(Stray {
            claim: claimed.claim,
            place: claimed.place,
            held: claimed.marker.clone()?,
            relative: self.filter.marker_of(&claimed.relative)?,
            is_cut: claimed.is_cut,
            is_late: false,
        })
    }

    /// A file was taken with the marker that it has now: earlier ones of it are of no use any more.
    pub(crate) fn outdate_strays_of(&mut self, claimed: &Claimed) {
        if self.strays.is_empty() {
            return;
        }
        let marker = self.filter.marker_of(&claimed.relative);
        for stray in &mut self.strays {
            stray.is_late |= Some(&stray.relative) == marker.as_ref();
        }
    }

    /// Whether nothing is left to do.
    fn put_stray_back(&self, stray: &Stray) -> bool {
        let Some(is_confirmed) = self.rename_stray(stray) else {
            return false;
        };
        // A power cut may bring the marker back, which would need its whole path again: then the next start removes that.
        if is_confirmed && stray.is_cut {
            let (origin, _) = Entry::name(stray.claim, Role::Origin, Path::new(""));
            drop(files::remove(&self.work_path(&origin)));
        }
        true
    }

    /// Whether it is certain that it has left; `None` where it has not.
    fn rename_stray(&self, stray: &Stray) -> Option<bool> {
        let root = Folder::open(&self.config.drop).ok()?;
        let folder = root.below(parent(&stray.relative)).ok()?;
        let claimed_folder;
        let from = if stray.place == Place::Claimed {
            claimed_folder = root.below(Path::new(&self.claimed_name)).ok()?;
            &claimed_folder
        } else {
            &self.work
        };
        if let Err(error) = from.facts(&stray.held) {
            return (error.kind() == ErrorKind::NotFound).then_some(true);
        }
        let remove = || from.remove(&stray.held).is_ok().then_some(false);
        if stray.is_late {
            return remove();
        }
        match from.rename(&stray.held, &folder, name(&stray.relative)) {
            // The same file has a new marker already.
            Err(error) if error.kind() == ErrorKind::Exists => remove(),
            Err(error) => {
                self.fail_file("put back the marker", &stray.relative, &why(&error));
                None
            }
            Ok(()) => Some(sync_foreign(&folder).is_ok()),
        }
    }
}

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
        let is_back = self.rename_stray(stray);
        if is_back && stray.is_cut {
            let (origin, _) = Entry::name(stray.claim, Role::Origin, Path::new(""));
            // It says nothing without its file, and goes at the next start at the latest.
            drop(files::remove(&self.work_path(&origin)));
        }
        is_back
    }

    fn rename_stray(&self, stray: &Stray) -> bool {
        let Ok(root) = Folder::open(&self.config.drop) else {
            return false;
        };
        let Ok(folder) = root.below(parent(&stray.relative)) else {
            return false;
        };
        let claimed_folder;
        let from = if stray.place == Place::Claimed {
            match root.below(Path::new(&self.claimed_name)) {
                Ok(opened) => claimed_folder = opened,
                Err(_) => return false,
            }
            &claimed_folder
        } else {
            &self.work
        };
        if let Err(error) = from.facts(&stray.held) {
            return error.kind() == ErrorKind::NotFound;
        }
        if stray.is_late {
            return from.remove(&stray.held).is_ok();
        }
        match from.rename(&stray.held, &folder, name(&stray.relative)) {
            // The same file has a new marker already.
            Err(error) if error.kind() == ErrorKind::Exists => from.remove(&stray.held).is_ok(),
            Err(error) => {
                self.fail_file("put back the marker", &stray.relative, &why(&error));
                false
            }
            // Before the entry with its whole path goes, which a marker that comes back would need again.
            Ok(()) => {
                drop(sync_foreign(&folder));
                true
            }
        }
    }
}

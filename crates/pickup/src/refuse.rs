//! What is not taken goes to quarantine, wherever it is found out.

use crate::collector::{Claimed, Collector, Place, backoff};
use crate::folder::{Folder, why};
use crate::look::{name, parent};
use crate::quarantine::Refused;
use crate::round::{Round, sync_foreign};
use mainstay_files::{self as files, ErrorKind, Shown};
use std::ffi::OsString;
use std::path::Path;

impl Collector {
    /// Moves an entry from the drop folder to quarantine, by its name alone.
    pub(crate) fn refuse(
        &mut self,
        round: &mut Round,
        folder: &Folder,
        relative: &Path,
        reason: &str,
    ) {
        let original = self.config.drop.join(relative);
        let refused = Refused {
            folder,
            name: name(relative),
            original: &original,
            reason,
            may_copy: false,
        };
        match self.quarantine.put(&refused, self.clock.wall()) {
            Ok(_) => {
                round.touch(parent(relative));
                round.is_quarantine_used = true;
                if let Some(marker) = self.filter.marker_of(relative) {
                    // Left behind, it would mark the next file of that name too early.
                    drop(folder.remove(name(&marker)));
                }
                self.note_quarantined(relative, reason);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.shared.lock().content(relative);
            }
            Err(error) if error.kind() == ErrorKind::CrossDevice => {
                let help =
                    "quarantine is on another file system, so it was left; move or remove it";
                self.complain(relative, &format!("{reason}; {help}"));
            }
            Err(error) => {
                self.complain(
                    relative,
                    &format!(
                        "{reason}; it cannot be moved to quarantine: {}",
                        why(&error)
                    ),
                );
            }
        }
    }

    /// Moves a file that was taken to quarantine.
    pub(crate) fn refuse_claimed(&mut self, mut claimed: Claimed, reason: &str) {
        match self.try_refuse(&claimed, reason) {
            Ok(is_marker_gone) => {
                if let Some(mut stray) = self.stray_of(&claimed).filter(|_| !is_marker_gone) {
                    // The next start would put it back, and it would mark the next file of its name.
                    stray.is_late = true;
                    self.return_stray(stray);
                }
                self.forget_origin(&claimed);
                if claimed.place == Place::Claimed {
                    self.leftovers.push(Self::committed_name(&claimed));
                    self.remove_leftovers();
                }
                // Should a power cut undo it, the file is found in the work folder and refused again.
                drop(self.quarantine.sync().and_then(|()| self.work.sync()));
                self.note_quarantined(&claimed.relative, reason);
            }
            Err(error) => {
                let told = format!("{reason}; it cannot be moved to quarantine: {error}");
                self.complain(&claimed.relative, &told);
                if claimed.place != Place::Drop {
                    claimed.failures += 1;
                    claimed.due = self.now() + backoff(claimed.failures);
                    self.pending.push(claimed);
                }
            }
        }
    }

    /// Removes the copies of what is in quarantine; where that cannot be done now, it is tried again at every scan.
    pub(crate) fn remove_leftovers(&mut self) {
        let mut leftovers = std::mem::take(&mut self.leftovers);
        leftovers.retain(|copy| files::remove(&self.work_path(copy)).is_err());
        self.leftovers = leftovers;
    }

    /// Whether its marker is gone as well.
    fn try_refuse(&self, claimed: &Claimed, reason: &str) -> Result<bool, String> {
        let held = self.held(claimed)?;
        let original = self.config.drop.join(&claimed.relative);
        let folder = held.folder.as_ref().unwrap_or(&self.work);
        let refused = Refused {
            folder,
            name: &held.name,
            original: &original,
            reason,
            may_copy: true,
        };
        let put = match self.quarantine.put(&refused, self.clock.wall()) {
            // An earlier life moved it there and was killed, or somebody took it away: what is left of it is the copy.
            Err(error)
                if error.kind() == ErrorKind::NotFound && claimed.place == Place::Claimed =>
            {
                let copy = Self::committed_name(claimed);
                let refused = Refused {
                    folder: &self.work,
                    name: &copy,
                    ..refused
                };
                self.quarantine.put(&refused, self.clock.wall())
            }
            put => put,
        };
        put.map_err(|error| why(&error))?;
        let Some(marker) = &claimed.marker else {
            return Ok(true);
        };
        let removed = folder.remove(marker);
        // One that a power cut brought back would be put back, and mark the next file of its name.
        drop(sync_foreign(folder));
        Ok(removed.is_ok())
    }

    /// Where a claimed file lies.
    pub(crate) fn held(&self, claimed: &Claimed) -> Result<Held, String> {
        let below = match claimed.place {
            Place::Work => {
                return Ok(Held {
                    folder: None,
                    name: claimed.name.clone(),
                });
            }
            Place::Claimed => Path::new(&self.claimed_name),
            Place::Drop => parent(&claimed.relative),
        };
        let root = self.open_root().ok_or("the drop folder is not there")?;
        let folder = root.below(below).map_err(|error| error.to_string())?;
        let name = match claimed.place {
            Place::Drop => name(&claimed.relative).to_owned(),
            Place::Work | Place::Claimed => claimed.name.clone(),
        };
        Ok(Held {
            folder: Some(folder),
            name,
        })
    }

    pub(crate) fn note_quarantined(&mut self, relative: &Path, reason: &str) {
        self.scan.is_quiet = false;
        tracing::warn!(path = %Shown(relative), reason, "moved to quarantine");
        let mut board = self.shared.lock();
        board.status.quarantined += 1;
        board.content(relative);
    }
}

/// Where a claimed file lies.
#[derive(Debug)]
pub(crate) struct Held {
    /// `None` is the work folder, which is always open.
    pub(crate) folder: Option<Folder>,
    pub(crate) name: OsString,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::Seen;
    use crate::config::Config;
    use crate::folder::syncs;
    use crate::status::Shared;
    use std::sync::Arc;

    #[test]
    fn a_taken_file_that_is_refused_is_on_the_disk_in_quarantine() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let config = Config::new(at("drop"), at("work"), at("archive"), at("quarantine"));
        let shared = Arc::new(Shared::new());
        let mut collector = Collector::open(config, mainstay_clock::system(), shared).unwrap();
        let claim = collector.maker.make(0);
        let report = Path::new("report");
        let claimed = Collector::claimed_as(claim, report, Place::Work, Seen::unknown());
        files::create_new(&collector.work_path(&claimed.name), b"report").unwrap();
        syncs::asked();
        collector.refuse_claimed(claimed, "it is of no use");
        assert!(at("quarantine").join("report").exists());
        assert_eq!(syncs::asked(), [collector.work_id]);
    }
}

//! Making a file ours: one rename out of the drop folder, which one of all who try wins.

use crate::candidates::Seen;
use crate::claim::Claim;
use crate::collector::{Claimed, Collector, Place};
use crate::config::After;
use crate::entry::{Entry, Role};
use crate::look::{name, parent};
use crate::round::Round;
use mainstay_clock::Moment;
use mainstay_files::{self as files, ErrorKind, Shown};
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Why a file was not claimed.
#[derive(Debug)]
pub(crate) enum Unclaimed {
    /// Somebody else was faster.
    Gone,
    /// It lies on another file system.
    Across,
    /// It cannot be moved; the reason is for people.
    Stuck(String),
    /// No file can be moved; the reason is for people.
    Trouble(String),
}

impl Collector {
    /// Claims a file that was found complete.
    pub(crate) fn claim(
        &mut self,
        round: &mut Round,
        relative: &Path,
        seen: Seen,
    ) -> Result<Claimed, Unclaimed> {
        if self.kept.is_some() {
            return Ok(self.claimed(relative, Place::Drop, seen));
        }
        if self.attached.is_some_and(|id| id.dev == self.work_id.dev) {
            match self.claim_into(round, relative, Place::Work, seen) {
                Err(Unclaimed::Across) => {}
                answer => return answer,
            }
        }
        self.claim_into(round, relative, Place::Claimed, seen)
    }

    fn claimed(&self, relative: &Path, place: Place, seen: Seen) -> Claimed {
        let claim = self.maker.make(self.clock.wall());
        Self::claimed_as(claim, relative, place, seen)
    }

    pub(crate) fn claimed_as(claim: Claim, relative: &Path, place: Place, seen: Seen) -> Claimed {
        let (name, is_cut) = Entry::name(claim, Role::File, relative);
        Claimed {
            claim,
            relative: relative.to_owned(),
            place,
            name,
            marker: None,
            is_cut,
            seen: Some(seen),
            is_durable: true,
            is_in_doubt: false,
            due: Moment::ORIGIN,
            failures: 0,
            unreadable: 0,
        }
    }

    fn claim_into(
        &mut self,
        round: &mut Round,
        relative: &Path,
        place: Place,
        seen: Seen,
    ) -> Result<Claimed, Unclaimed> {
        let mut claimed = self.claimed(relative, place, seen);
        if let Some(marker) = self.filter.marker_of(relative) {
            let (name, is_cut) = Entry::name(claimed.claim, Role::Marker, &marker);
            claimed.marker = Some(name);
            claimed.is_cut |= is_cut;
        }
        self.remember_origin(&claimed)
            .map_err(|error| unclaimed(error.kind(), &error))?;
        if let Err(why) = self.move_out(round, &claimed) {
            match self.stray_of(&claimed) {
                Some(stray) => self.return_stray(stray),
                None => self.forget_origin(&claimed),
            }
            return Err(why);
        }
        self.outdate_strays_of(&claimed);
        round.touch(parent(relative));
        round.note(place);
        Ok(claimed)
    }

    /// Moves a file, and before it its marker: where only the marker was moved, it goes back, and the file is taken then.
    fn move_out(&self, round: &mut Round, claimed: &Claimed) -> Result<(), Unclaimed> {
        let from = round
            .folder(parent(&claimed.relative))
            .map_err(|_| Unclaimed::Gone)?;
        let claimed_folder;
        let to = if claimed.place == Place::Claimed {
            claimed_folder = round
                .claimed_folder(&self.claimed_name)
                .map_err(|error| unclaimed(ErrorKind::of(&error), &error))?;
            &*claimed_folder
        } else {
            &self.work
        };
        let failed = |error: files::Error| unclaimed(error.kind(), &crate::folder::why(&error));
        let marker = self
            .filter
            .marker_of(&claimed.relative)
            .zip(claimed.marker.as_ref());
        if let Some((marker, held)) = &marker {
            from.rename(name(marker), to, held).map_err(failed)?;
        }
        from.rename(name(&claimed.relative), to, &claimed.name)
            .map_err(failed)
    }

    /// Writes down the whole path of a file whose name in the work folder is cut; durable when it returns `Ok`.
    fn remember_origin(&self, claimed: &Claimed) -> Result<(), files::Error> {
        if !claimed.is_cut {
            return Ok(());
        }
        files::create_new(
            &self.work_path(&origin_name(claimed)),
            claimed.relative.as_os_str().as_bytes(),
        )
    }

    pub(crate) fn forget_origin(&self, claimed: &Claimed) {
        if claimed.is_cut {
            // It says nothing without its file, and goes at the next start at the latest.
            drop(files::remove(&self.work_path(&origin_name(claimed))));
        }
    }

    /// Puts the moves of a round on the disk, whatever the number of files: with one sync for each folder, or for all.
    pub(crate) fn sync(&self, round: &Round, claimed: &mut [Claimed]) -> bool {
        // What is archived has to be whole whatever happens after the commit; what is removed need not be on the disk at all.
        let has_content = self.config.after != After::Delete;
        let synced = round.sync(&self.work, &self.quarantine, has_content);
        if let Err(error) = &synced {
            let drop = Shown(&self.config.drop);
            self.fail(format!(
                "cannot confirm that files were moved out of `{drop}`: {}",
                crate::folder::why(error)
            ));
            for claimed in claimed {
                claimed.is_durable = false;
            }
        }
        synced.is_ok()
    }

    /// Claims a file in the work folder once more, because the disk did not confirm the first move.
    ///
    /// To sync the same move again would prove nothing: the second time the system answers Ok, whatever became of it.
    pub(crate) fn claim_anew(&self, claimed: &mut Claimed) -> Result<(), files::Error> {
        let mut anew = self.claimed(&claimed.relative, claimed.place, Seen::unknown());
        anew.is_cut = claimed.is_cut;
        self.remember_origin(&anew)?;
        self.work.rename(&claimed.name, &self.work, &anew.name)?;
        // It has that name now, whatever the disk says next.
        let before = claimed.clone();
        (claimed.claim, claimed.name) = (anew.claim, anew.name);
        self.work.sync()?;
        self.forget_origin(&before);
        claimed.is_durable = true;
        Ok(())
    }
}

fn origin_name(claimed: &Claimed) -> OsString {
    Entry::name(claimed.claim, Role::Origin, Path::new("")).0
}

/// What a failed move means for the file, and for all others.
fn unclaimed(kind: ErrorKind, why: &dyn fmt::Display) -> Unclaimed {
    match kind {
        ErrorKind::NotFound => Unclaimed::Gone,
        ErrorKind::CrossDevice => Unclaimed::Across,
        ErrorKind::Permission => Unclaimed::Stuck(format!(
            "it may not be moved out of its folder: give us the right to write to the folder (chmod, chown or an ACL) ({why})"
        )),
        ErrorKind::DiskFull | ErrorKind::Quota => Unclaimed::Trouble(format!(
            "disk full: make room on the file system of the work folder ({why})"
        )),
        ErrorKind::ReadOnly => Unclaimed::Trouble(format!(
            "the file system is read-only: see the kernel log ({why})"
        )),
        _ => Unclaimed::Stuck(format!("it cannot be moved out of its folder: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::folder::syncs;
    use crate::status::Shared;
    use std::sync::Arc;

    /// It was looked for under its old name ever after, and stayed in the work folder until the next start.
    #[test]
    fn a_file_that_was_claimed_anew_is_not_lost_sight_of_though_the_disk_did_not_confirm_it() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let config = Config::new(at("drop"), at("work"), at("archive"), at("quarantine"));
        let shared = Arc::new(Shared::new());
        let collector = Collector::open(config, mainstay_clock::system(), shared).unwrap();
        let mut claimed = collector.claimed(Path::new("report"), Place::Work, Seen::unknown());
        claimed.is_durable = false;
        files::create_new(&collector.work_path(&claimed.name), b"report").unwrap();
        syncs::refuse(Some(collector.work_id));
        for _ in 0..2 {
            let before = claimed.claim;
            collector.claim_anew(&mut claimed).unwrap_err();
            assert_ne!(claimed.claim, before);
            assert!(!claimed.is_durable);
            collector.work.facts(&claimed.name).unwrap();
        }
        syncs::refuse(None);
        collector.claim_anew(&mut claimed).unwrap();
        assert!(claimed.is_durable);
        collector.work.facts(&claimed.name).unwrap();
    }
}

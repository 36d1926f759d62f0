//! Reading what was claimed, and giving back what was claimed too early.

use crate::batch::{Batch, Trouble};
use crate::candidates::Seen;
use crate::collector::{Claimed, Collector, Place, backoff};
use crate::entry::{Entry, Role};
use crate::folder::{raw_code, why};
use crate::intake::INLINE_MAX;
use crate::lease::{Writers, writers};
use crate::look::{name, parent};
use crate::read::{Limits, Reading, is_seen, opened, read};
use crate::round::sync_foreign;
use mainstay_files::{self as files, ErrorKind, Facts, Shown};
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

/// How often in a row a file that the disk cannot read is tried before it goes to quarantine.
const READS_MAX: u32 = 5;

/// Left on the disk of the work folder by every copy, in bytes, for claims and the memory of kept files; less than the queue
/// leaves when it makes its files ahead, so that the two do not keep each other waiting.
const LEFT_FREE: u64 = 256 * 1024;

impl Claimed {
    /// Counts that the disk did not give its content; says whether that was often enough. What else went wrong with it, as the
    /// intake that could not store it or a copy that found no descriptor, says nothing of its content.
    fn is_given_up(&mut self) -> bool {
        self.unreadable += 1;
        READS_MAX <= self.unreadable
    }
}

impl Collector {
    /// Reads a claimed file into the batch; where that cannot be, what has to be done with it is done.
    pub(crate) fn load(&mut self, mut claimed: Claimed, batch: &mut Batch) {
        let reading = self.read(&claimed);
        match reading {
            Reading::Whole(taken) => {
                claimed.unreadable = 0;
                batch.files.push(*taken);
                batch.claimed.push(claimed);
            }
            Reading::Changed => self.put_back(claimed),
            Reading::Refused(reason) => self.refuse_claimed(claimed, &reason),
            Reading::Damaged(reason) if claimed.is_given_up() => {
                self.refuse_claimed(
                    claimed,
                    &format!("its content cannot be read from the disk: {reason}"),
                );
            }
            Reading::Damaged(reason) | Reading::Failed(reason) => {
                self.fail_file("read", &claimed.relative, &reason);
                self.complain(&claimed.relative, &format!("it cannot be read: {reason}"));
                if claimed.place != Place::Drop {
                    claimed.failures += 1;
                    claimed.due = self.now() + backoff(claimed.failures);
                    self.pending.push(claimed);
                }
            }
            Reading::DiskFull(reason) => {
                let told = "disk full: make room on the file system of the work folder";
                batch.trouble = Some(Trouble::full(format!("{told} ({reason})")));
                claimed.is_in_doubt = true;
                // Those that have their copies already are not kept waiting by it.
                claimed.due = self.now() + backoff(1);
                self.pending.push(claimed);
            }
            Reading::Gone if claimed.place == Place::Drop => {
                self.shared.lock().content(&claimed.relative);
            }
            Reading::Gone => {
                self.forget_origin(&claimed);
                let told = "somebody removed it after it was taken, before it could be read; nothing of it was stored";
                self.fail_file("read", &claimed.relative, told);
            }
            // Whatever was moved is found by the next start.
            Reading::Stopped => {}
        }
    }

    fn read(&self, claimed: &Claimed) -> Reading {
        let is_private = claimed.place == Place::Work;
        let limits = Limits {
            max_file: self.config.max_file,
            seen: claimed.seen,
            is_private,
            stop: &self.stop,
        };
        match claimed.place {
            Place::Work => read(
                &self.work,
                &claimed.name,
                claimed.claim,
                &claimed.relative,
                &limits,
            ),
            Place::Claimed => {
                let copy = Self::committed_name(claimed);
                let copied = if self.work.facts(&copy).is_err() {
                    self.copy(claimed, &copy, &limits)
                } else {
                    self.confirm_copy(claimed)
                };
                if let Err(reading) = copied {
                    return reading;
                }
                let private = Limits {
                    seen: None,
                    is_private: true,
                    ..limits
                };
                read(
                    &self.work,
                    &copy,
                    claimed.claim,
                    &claimed.relative,
                    &private,
                )
            }
            Place::Drop => self.read_in_place(claimed, &limits),
        }
    }

    /// Reads a file that stays in the drop folder; a large one through a private copy, which has no name when this returns.
    fn read_in_place(&self, claimed: &Claimed, limits: &Limits<'_>) -> Reading {
        if claimed.seen.is_some_and(|seen| seen.len > INLINE_MAX) {
            let copy = Entry::name(claimed.claim, Role::Scratch, Path::new("")).0;
            if let Err(reading) = self.copy(claimed, &copy, limits) {
                return reading;
            }
            let private = Limits {
                seen: None,
                is_private: true,
                ..*limits
            };
            let reading = read(
                &self.work,
                &copy,
                claimed.claim,
                &claimed.relative,
                &private,
            );
            // Where this fails, the next start removes it.
            drop(self.work.remove(&copy));
            return reading;
        }
        match self.held(claimed) {
            Ok(held) => {
                let folder = held.folder.as_ref().unwrap_or(&self.work);
                read(folder, &held.name, claimed.claim, &claimed.relative, limits)
            }
            Err(reason) => Reading::Failed(reason),
        }
    }

    /// Copies a file into the work folder, whole and durable, unless somebody writes to it meanwhile.
    fn copy(&self, claimed: &Claimed, to: &OsStr, limits: &Limits<'_>) -> Result<(), Reading> {
        let held = self.held(claimed).map_err(Reading::Failed)?;
        let folder = held.folder.as_ref().unwrap_or(&self.work);
        let (file, facts) = opened(folder, &held.name, limits)?;
        if !is_seen(&file, &facts, limits) {
            return Err(Reading::Changed);
        }
        // Asked first: a disk that is filled to the brim with copies has no room to store what they say.
        let needed = facts.len.saturating_add(LEFT_FREE);
        if files::free_space(&self.config.work).is_ok_and(|space| space.bytes < needed) {
            return Err(Reading::DiskFull("no space left for a copy".to_owned()));
        }
        match files::copy_new(&folder.path(&held.name), &self.work_path(to)) {
            Ok(()) => {}
            // An error that the system gave no number is one that `copy_new` found out: the file changed.
            Err(error) if error.kind() == ErrorKind::Io && raw_code(&error).is_none() => {
                return Err(Reading::Changed);
            }
            Err(error) if matches!(error.kind(), ErrorKind::DiskFull | ErrorKind::Quota) => {
                return Err(Reading::DiskFull(why(&error)));
            }
            Err(error) => return Err(Reading::Failed(why(&error))),
        }
        if is_left_alone(&file, &facts) {
            return Ok(());
        }
        Err(self
            .remove_copy(to)
            .map_or_else(Reading::Failed, |()| Reading::Changed))
    }

    /// A copy that is there may be one whose name the disk did not confirm: it is not committed before that is done.
    fn confirm_copy(&self, claimed: &Claimed) -> Result<(), Reading> {
        // What an earlier life left was confirmed at the start.
        let is_in_doubt = claimed.is_in_doubt && claimed.seen.is_some();
        if claimed.unreadable == 0 && claimed.failures == 0 && !is_in_doubt {
            return Ok(());
        }
        let confirmed = self.work.stir().and_then(|()| self.work.sync());
        confirmed.map_err(|error| Reading::Failed(why(&error)))
    }

    /// Removes a copy, where there is one, for good before its file goes back: one that the next start finds is offered under its
    /// claim, and would be a second document. Where there is none, an earlier try may have removed it without the disk's word for it.
    fn remove_copy(&self, copy: &OsStr) -> Result<(), String> {
        let removed = self.work.remove(copy).and_then(|()| self.work.sync());
        removed.map_err(|error| why(&error))
    }

    /// A file that was taken goes back to where it was dropped, under its own name; where that name is taken again, it stays,
    /// and is offered under its own claim.
    pub(crate) fn put_back(&mut self, mut claimed: Claimed) {
        self.scan.is_quiet = false;
        if claimed.place == Place::Drop {
            self.take_back(vec![claimed]);
            return;
        }
        match self.try_put_back(&claimed) {
            Ok(is_confirmed) => {
                if is_confirmed {
                    self.forget_origin(&claimed);
                }
                self.shared.lock().status.returned += 1;
                // Seen again by the event of its own return, or by a look through the folder.
                self.scan.is_forced |= self.watch.is_none();
            }
            Err(reason) => {
                tracing::info!(path = %Shown(&claimed.relative), reason, "it stays in the work folder for now");
                if !claimed.is_durable && claimed.place == Place::Work {
                    drop(self.claim_anew(&mut claimed));
                }
                claimed.due = self.now() + self.settle_time();
                claimed.seen = None;
                self.pending.push(claimed);
            }
        }
    }

    /// Whether it is certain that no power cut brings it back, without its whole path.
    fn try_put_back(&self, claimed: &Claimed) -> Result<bool, String> {
        let root = self.open_root().ok_or("the drop folder is not there")?;
        let to = root
            .below(parent(&claimed.relative))
            .map_err(|error| error.to_string())?;
        let held = self.held(claimed)?;
        let from = held.folder.as_ref().unwrap_or(&self.work);
        if claimed.place == Place::Claimed {
            self.remove_copy(&Self::committed_name(claimed))?;
        }
        from.rename(&claimed.name, &to, name(&claimed.relative))
            .map_err(|error| why(&error))?;
        if let Some((held, marker)) = claimed
            .marker
            .as_ref()
            .zip(self.filter.marker_of(&claimed.relative))
        {
            drop(from.rename(held, &to, name(&marker)));
        }
        Ok(!claimed.is_cut || sync_foreign(&to).is_ok())
    }

    /// Files that stay in the drop folder were not committed: they are candidates again.
    pub(crate) fn take_back(&mut self, claimed: Vec<Claimed>) {
        let due = self.now() + self.settle_time();
        for claimed in claimed {
            let seen = claimed.seen.unwrap_or(Seen::unknown());
            self.candidates.settle(claimed.relative.into(), seen, due);
        }
    }
}

/// Whether a file is what it was before it was copied, and nobody can change it any more.
fn is_left_alone(file: &File, before: &Facts) -> bool {
    let is_same = files::facts_of(file).is_ok_and(|after| after == *before);
    is_same && writers(file) != Writers::Some
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::ClaimMaker;
    use crate::config::Config;
    use crate::folder::Folder;
    use crate::status::Shared;
    use std::sync::Arc;

    /// Both were counted as one: a file that the intake could not store four times went to quarantine at the first read that failed.
    #[test]
    fn a_file_that_could_not_be_stored_is_still_read_as_often_as_any() {
        let seen = Seen::unknown();
        let mut claimed = Collector::claimed_as(
            ClaimMaker::new().make(0),
            Path::new("report.csv"),
            Place::Work,
            seen,
        );
        claimed.failures = READS_MAX;
        for _ in 1..READS_MAX {
            assert!(!claimed.is_given_up());
        }
        assert!(claimed.is_given_up());
    }

    /// Where the disk had not confirmed that a copy was removed, the second try found nothing left to remove, and the file went back:
    /// after a power cut the copy was there again, and was a second document.
    #[test]
    fn a_copy_is_gone_for_good_only_when_its_folder_is_on_the_disk_and_not_when_its_name_is_missing()
     {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let config = Config::new(at("drop"), at("work"), at("archive"), at("quarantine"));
        let shared = Arc::new(Shared::new());
        let mut collector = Collector::open(config, mainstay_clock::system(), shared).unwrap();
        let copy = OsStr::new("copy");
        files::create_new(&collector.work_path(copy), b"copy").unwrap();
        collector.remove_copy(copy).unwrap();
        assert!(!collector.work_path(copy).exists());
        collector.remove_copy(copy).unwrap();
        // A folder that nobody can put on a disk.
        collector.work = Folder::open(Path::new("/proc/self")).unwrap();
        collector.remove_copy(copy).unwrap_err();
    }

    #[test]
    fn a_file_that_somebody_writes_to_while_it_is_copied_is_not_taken() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        files::create_new(&path, b"half").unwrap();
        let (file, facts) = files::open_regular(&path).unwrap();
        assert!(is_left_alone(&file, &facts));
        // He has not written anything yet.
        let writer = File::options().append(true).open(&path).unwrap();
        assert!(!is_left_alone(&file, &facts));
        // He has, and is gone.
        std::io::Write::write_all(&mut &writer, b" and half").unwrap();
        drop(writer);
        assert!(!is_left_alone(&file, &facts));
    }
}

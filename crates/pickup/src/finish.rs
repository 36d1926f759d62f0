//! What becomes of a file once it is committed.

use crate::calendar::Date;
use crate::collector::{Book, Claimed, Collector, Place};
use crate::config::After;
use crate::entry::NAME_MAX;
use crate::folder::{Folder, why};
use crate::free_name::put_freely;
use crate::look::{name, parent};
use crate::round::sync_foreign;
use crate::targets::{TARGETS, with_those_above};
use mainstay_files::{self as files, ErrorKind, Shown};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

impl Collector {
    /// Archives, moves or removes committed files, puts that on the disk, and only then closes their claims.
    ///
    /// What fails is tried again at the next rescan; the files are safe with the intake meanwhile.
    pub(crate) fn finish(&mut self, committed: Vec<Claimed>, book: &dyn Book) {
        if committed.is_empty() {
            return;
        }
        let Some(sourceless) = self.remove_sources(committed) else {
            return;
        };
        let base = self.base();
        let Some(targeted) = self.write_targets(sourceless, base.as_deref()) else {
            return;
        };
        let mut done = Vec::new();
        let mut used = Used::default();
        for (claimed, target) in targeted {
            match self.dispose(&claimed, target.as_deref(), &mut used) {
                Ok(()) => {
                    self.forget_origin(&claimed);
                    self.shared.lock().content(&claimed.relative);
                    done.push(claimed.claim);
                }
                Err(error) => {
                    if error.kind() == ErrorKind::Unconfirmed {
                        self.targets.doubt();
                    }
                    let verb = if self.config.after == After::Delete {
                        "remove"
                    } else {
                        "archive"
                    };
                    self.fail_file(
                        verb,
                        &claimed.relative,
                        &format!("{}; it is committed, and this is tried again", why(&error)),
                    );
                    self.postpone(claimed);
                }
            }
        }
        match self.sync_disposed(&used) {
            Ok(()) => book.closed(done),
            // Unclosed, a claim stays known to the intake: should a power cut undo the move, the file is not committed again.
            Err(error) => {
                self.targets.doubt();
                self.fail(format!(
                    "cannot confirm that committed files left the work folder: {}",
                    why(&error)
                ));
            }
        }
        self.count();
    }

    fn postpone(&mut self, mut claimed: Claimed) {
        claimed.is_in_doubt = true;
        self.unfinished.push(claimed);
        self.unfinished_due = self.now() + self.config.rescan;
    }

    // === the source of a copy ===

    /// Removes the originals of copies from the claimed folder. Only when that is on the disk may the copy leave the work
    /// folder, because the copy is what says, after a crash, that the original is committed.
    fn remove_sources(&mut self, committed: Vec<Claimed>) -> Option<Vec<Claimed>> {
        if !committed
            .iter()
            .any(|claimed| claimed.place == Place::Claimed)
        {
            return Some(committed);
        }
        let mut sourceless = Vec::new();
        let mut sources = None;
        for claimed in committed {
            if claimed.place != Place::Claimed {
                sourceless.push(claimed);
                continue;
            }
            match self.remove_source(&claimed) {
                Ok(folder) => {
                    sources = Some(folder);
                    sourceless.push(claimed);
                }
                Err(reason) => {
                    let told = format!("{reason}; it is committed, and this is tried again");
                    self.fail_file("remove the claimed file of", &claimed.relative, &told);
                    self.postpone(claimed);
                }
            }
        }
        let is_in_doubt = sourceless.iter().any(|claimed| claimed.is_in_doubt);
        if let Some(folder) = sources
            && let Err(error) = confirm_removed(&folder, is_in_doubt)
        {
            self.fail(format!(
                "cannot confirm that committed files left the drop folder: {}",
                why(&error)
            ));
            for claimed in sourceless {
                self.postpone(claimed);
            }
            return None;
        }
        Some(sourceless)
    }

    /// That the claimed folder is there says that it is the right file system, and not an empty mount point: a file that is
    /// missing in it is gone.
    fn remove_source(&self, claimed: &Claimed) -> Result<Folder, String> {
        let root = self.open_root().ok_or("the drop folder is not there")?;
        let folder = root
            .below(Path::new(&self.claimed_name))
            .map_err(|error| error.to_string())?;
        for name in std::iter::once(&claimed.name).chain(&claimed.marker) {
            folder.remove(name).map_err(|error| why(&error))?;
        }
        Ok(folder)
    }

    // === the file in the work folder ===

    /// Below which folder committed files are kept now, if they are.
    fn base(&self) -> Option<PathBuf> {
        match &self.config.after {
            After::Delete => None,
            // Files in the work folder are from a time with another setting: they cannot be kept where they no longer are.
            After::Archive | After::Keep => {
                let day = Date::of(self.clock.wall()).day();
                Some(self.config.archive.join(day))
            }
            After::Move(folder) => Some(folder.clone()),
        }
    }

    /// Where each file goes, which is written down before.
    fn write_targets(
        &mut self,
        committed: Vec<Claimed>,
        base: Option<&Path>,
    ) -> Option<Vec<(Claimed, Option<PathBuf>)>> {
        let top = match &self.config.after {
            After::Move(folder) => folder,
            After::Delete | After::Archive | After::Keep => &self.config.archive,
        };
        let mut folders = BTreeSet::new();
        let mut targeted = Vec::with_capacity(committed.len());
        for claimed in committed {
            let base = base.filter(|_| claimed.place != Place::Drop);
            let target = base.map(|base| base.join(parent(&claimed.relative)));
            if let Some(target) = target.as_deref().filter(|path| !folders.contains(*path)) {
                folders.extend(with_those_above(target, top));
            }
            targeted.push((claimed, target));
        }
        let written = self.targets.write(folders);
        let written = written.map_err(|error| (self.work_path(OsStr::new(TARGETS)), error));
        let Err((path, error)) = written.and_then(|()| self.targets.confirm()) else {
            return Some(targeted);
        };
        self.fail(format!(
            "cannot archive committed files, this is tried again: `{}`: {}",
            Shown(&path),
            why(&error)
        ));
        for (claimed, _) in targeted {
            self.postpone(claimed);
        }
        self.count();
        None
    }

    fn dispose(
        &self,
        claimed: &Claimed,
        target: Option<&Path>,
        used: &mut Used,
    ) -> Result<(), files::Error> {
        if claimed.place == Place::Drop {
            return Ok(());
        }
        let from = Self::committed_name(claimed);
        match target {
            Some(folder) => self.move_away(&from, folder, name(&claimed.relative), used)?,
            None => self.work.remove(&from)?,
        }
        if let (Place::Work, Some(marker)) = (claimed.place, &claimed.marker) {
            self.work.remove(marker)?;
        }
        Ok(())
    }

    /// Moves a file to the folder, under its own name, or with a number where that is taken.
    fn move_away(
        &self,
        from: &OsStr,
        folder: &Path,
        name: &OsStr,
        used: &mut Used,
    ) -> Result<(), files::Error> {
        let beside = match &self.config.after {
            After::Move(base) => base,
            After::Delete | After::Archive | After::Keep => &self.config.work,
        };
        let put_once = |used: &mut Used| {
            let target = used.open(folder, beside)?;
            let is_taken = |name: &OsStr| target.facts(name).is_ok();
            let put = |name: &OsStr| match self.work.rename(from, target, name) {
                Err(error) if error.kind() == ErrorKind::CrossDevice => {
                    files::move_file(&self.work_path(from), &folder.join(name))
                }
                moved => moved,
            };
            put_freely(name, NAME_MAX, is_taken, put).map(drop)
        };
        match put_once(used) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            // Somebody removed the folder since it was made.
            Err(_) if self.work.facts(from).is_ok() => {
                used.last = None;
                put_once(used)
            }
            // Moved; or a power cut brought the source back, which was archived before and has no copy any more.
            _ => Ok(()),
        }
    }

    /// One sync for each folder that files went to, and one for the work folder that they left.
    fn sync_disposed(&self, used: &Used) -> Result<(), files::Error> {
        for folder in &used.folders {
            files::sync_dir(folder)?;
        }
        self.work.sync()
    }
}

/// What was removed before, and could not be confirmed, is confirmed only together with another change.
fn confirm_removed(folder: &Folder, is_in_doubt: bool) -> Result<(), files::Error> {
    if is_in_doubt {
        folder.stir()?;
    }
    sync_foreign(folder)
}

/// The folders that committed files of one batch go to.
#[derive(Debug, Default)]
struct Used {
    folders: BTreeSet<PathBuf>,
    /// The one that was used last, open: most often all go to one.
    last: Option<(PathBuf, Folder)>,
}

impl Used {
    /// Opens a folder, and makes it where it is missing. What it lies `beside` is there since the start: where that is not there
    /// any more, its file system was taken away, and no other folder is made in its place.
    fn open(&mut self, path: &Path, beside: &Path) -> Result<&Folder, files::Error> {
        let folder = match self.last.take() {
            Some((last, folder)) if last == path => folder,
            _ => {
                files::facts(beside)?;
                files::create_dir_all(path, 0o700)?;
                self.folders.insert(path.to_owned());
                Folder::new(files::Folder::open(path)?)
            }
        };
        Ok(&self.last.insert((path.to_owned(), folder)).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidates::Seen;
    use crate::claim::Claim;
    use crate::config::Config;
    use crate::folder::syncs;
    use crate::status::Shared;
    use std::sync::{Arc, Mutex};

    #[derive(Default)]
    struct Closed(Mutex<Vec<Claim>>);

    impl Book for Closed {
        fn is_committed(&self, _: Claim) -> bool {
            true
        }

        fn closed(&self, claims: Vec<Claim>) {
            self.0.lock().unwrap().extend(claims);
        }
    }

    impl Closed {
        fn taken(&self) -> Vec<Claim> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    fn collector(root: &tempfile::TempDir) -> Collector {
        let at = |name: &str| root.path().join(name);
        let config = Config::new(at("drop"), at("work"), at("archive"), at("quarantine"));
        let shared = Arc::new(Shared::new());
        let mut collector = Collector::open(config, mainstay_clock::system(), shared).unwrap();
        files::create_dir_all(&at("drop"), 0o700).unwrap();
        let drop = Folder::open(&at("drop")).unwrap();
        collector.attached = Some(drop.id().unwrap());
        collector
    }

    /// A file that was committed, where `place` says, with its copy.
    fn committed(collector: &Collector, place: Place) -> Claimed {
        let claim = collector.maker.make(0);
        let claimed = Collector::claimed_as(claim, Path::new("report"), place, Seen::unknown());
        let committed = Collector::committed_name(&claimed);
        files::create_new(&collector.work_path(&committed), b"report").unwrap();
        if place == Place::Claimed {
            let folder = collector.config.drop.join(&collector.claimed_name);
            files::create_dir_all(&folder, 0o700).unwrap();
            files::create_new(&folder.join(&claimed.name), b"report").unwrap();
        }
        claimed
    }

    #[test]
    fn a_claim_is_closed_only_when_the_disk_knows_that_its_file_left_the_work_folder() {
        let root = tempfile::tempdir().unwrap();
        let mut collector = collector(&root);
        let book = Closed::default();
        syncs::refuse(Some(collector.work_id));
        let claimed = committed(&collector, Place::Work);
        collector.finish(vec![claimed], &book);
        assert_eq!(book.taken(), []);
        syncs::refuse(None);
        let claimed = committed(&collector, Place::Work);
        let claim = claimed.claim;
        collector.finish(vec![claimed], &book);
        assert_eq!(book.taken(), [claim]);
    }

    #[test]
    fn nothing_more_is_taken_while_too_many_committed_files_wait_for_their_end() {
        let root = tempfile::tempdir().unwrap();
        let mut collector = collector(&root);
        let claimed = committed(&collector, Place::Work);
        collector.unfinished = vec![claimed; 1_023];
        assert!(collector.may_take());
        collector.unfinished.extend_from_within(..1);
        assert!(!collector.may_take());
    }

    #[test]
    fn a_claim_is_closed_only_when_the_disk_knows_where_its_file_went() {
        let root = tempfile::tempdir().unwrap();
        let collector = collector(&root);
        let mut used = Used::default();
        collector.sync_disposed(&used).unwrap();
        used.folders.insert(root.path().to_owned());
        collector.sync_disposed(&used).unwrap();
        // A folder that nobody can put on a disk.
        used.folders.insert("/proc/self".into());
        collector.sync_disposed(&used).unwrap_err();
    }

    /// After a crash the copy says that the original was committed.
    #[test]
    fn a_copy_stays_until_the_disk_knows_that_its_original_left_the_drop_folder() {
        let root = tempfile::tempdir().unwrap();
        let mut collector = collector(&root);
        let book = Closed::default();
        let claimed = committed(&collector, Place::Claimed);
        let (claim, copy) = (claimed.claim, Collector::committed_name(&claimed));
        let folder = Folder::open(&collector.config.drop.join(&collector.claimed_name)).unwrap();
        syncs::refuse(Some(folder.id().unwrap()));
        collector.finish(vec![claimed], &book);
        assert_eq!(book.taken(), []);
        collector.work.facts(&copy).unwrap();
        syncs::refuse(None);
        let again = std::mem::take(&mut collector.unfinished);
        collector.finish(again, &book);
        assert_eq!(book.taken(), [claim]);
        collector.work.facts(&copy).unwrap_err();
    }
}

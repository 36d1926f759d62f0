//! A migration is cut, or meets a failure, at each of its calls, and somebody writes meanwhile.

use super::EIO;
use crate::system::faults::{Fault, meanwhile};
use crate::{Error, ErrorKind, Migrated, Migration, Space, Way};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// More calls than any migration of these few files makes.
const CALLS_MAX: usize = 1000;

struct Place {
    root: TempDir,
    way: Way,
    is_new_there: bool,
}

impl Place {
    fn new(way: Way, is_new_there: bool) -> Self {
        let root = TempDir::new().unwrap();
        let old = root.path().join("a/old");
        fs::create_dir_all(old.join("queue/empty")).unwrap();
        for (name, content) in [("LOCK", ""), ("state", "1"), ("queue/seg", "22"), ("z", "")] {
            fs::write(old.join(name), content).unwrap();
        }
        symlink("queue/seg", old.join("link")).unwrap();
        fs::create_dir(root.path().join("b")).unwrap();
        if is_new_there {
            fs::create_dir(root.path().join("b/new")).unwrap();
        }
        Self {
            root,
            way,
            is_new_there,
        }
    }

    fn old(&self) -> PathBuf {
        self.root.path().join("a/old")
    }

    fn new_place(&self) -> PathBuf {
        self.root.path().join("b/new")
    }

    fn migrate(&self) -> Result<Migrated, Error> {
        let nothing = Space {
            bytes: 0,
            inodes: 0,
        };
        let migration = Migration::new(&self.old(), &self.new_place())?.reserving(nothing);
        match self.way {
            Way::Rename => migration.run(&mut |_| ()),
            Way::Copy => migration.copying().run(&mut |_| ()),
        }
    }

    /// The names beside the old or the new place that are neither; what a dead process had in hand is swept, and we are alive.
    fn others(&self) -> Vec<PathBuf> {
        let mut others = Vec::new();
        for folder in ["a", "b"] {
            for entry in fs::read_dir(self.root.path().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let is_swept = path.to_string_lossy().contains(".mainstay-tmp-");
                if path != self.old() && path != self.new_place() && !is_swept {
                    others.push(path);
                }
            }
        }
        others
    }

    /// What a power cut may not leave: neither of both whole, or a part of one where people look.
    fn must_be_whole(&self, when: &str) {
        let (old, new) = (self.old(), self.new_place());
        let is_empty =
            |path: &Path| fs::read_dir(path).is_ok_and(|mut names| names.next().is_none());
        assert!(is_whole(&old) || is_whole(&new), "{when}: neither is whole");
        assert!(!old.exists() || is_whole(&old), "{when}: a part of the old");
        let is_new_fine = !new.exists() || is_whole(&new) || (self.is_new_there && is_empty(&new));
        assert!(is_new_fine, "{when}: a part of the new one");
    }

    fn must_be_done(&self, migrated: &Migrated, when: &str) {
        assert!(is_whole(&self.new_place()), "{when}");
        assert!(!self.old().exists(), "{when}");
        let kept: Vec<PathBuf> = migrated.kept.iter().cloned().collect();
        assert_eq!(kept.len(), usize::from(migrated.way == Way::Copy), "{when}");
        let others: Vec<_> = self
            .others()
            .iter()
            .map(|path| path.canonicalize().unwrap())
            .collect();
        assert_eq!(others, kept, "{when}");
        assert!(kept.iter().all(|kept| is_whole(kept)), "{when}");
    }
}

fn is_whole(folder: &Path) -> bool {
    let content = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or("?".to_owned());
    let names = fs::read_dir(folder).map_or(0, Iterator::count);
    ["state", "queue/seg", "link", "z"].map(content) == ["1", "22", "22", ""]
        && folder.join("queue/empty").is_dir()
        && folder.join("link").is_symlink()
        && names == 5
}

const ALL: [(Way, bool); 4] = [
    (Way::Rename, false),
    (Way::Rename, true),
    (Way::Copy, false),
    (Way::Copy, true),
];

/// Has each call fail, once or from there on; answers how many there were, by way.
fn fail_each(times: usize) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for (way, is_new_there) in ALL {
        for at in 0..CALLS_MAX {
            let place = Place::new(way, is_new_there);
            let when = format!("{way}, call {at} of {times}");
            let planned = Fault {
                call: None,
                at,
                times,
                code: EIO,
            }
            .begin();
            let migrated = place.migrate();
            let is_met = planned.failed() > 0;
            drop(planned);
            place.must_be_whole(&when);
            let again = migrated.or_else(|_| place.migrate());
            place.must_be_done(
                &again.unwrap_or_else(|error| panic!("{when}: {error}")),
                &when,
            );
            if !is_met {
                calls.insert(format!("{way} {is_new_there}"), at);
                break;
            }
        }
    }
    assert_eq!(calls.len(), ALL.len(), "each came to its end");
    calls
}

#[test]
fn whichever_call_of_a_migration_fails_one_folder_is_whole_and_another_run_finishes() {
    let calls = fail_each(1);
    let is_plausible = calls.values().all(|calls| *calls > 50);
    assert!(is_plausible, "{calls:?}");
}

#[test]
fn a_migration_that_is_cut_at_any_call_is_finished_or_begun_anew_by_the_next() {
    // From some call on nothing works any more, not even taking back what was done.
    fail_each(CALLS_MAX);
}

#[test]
fn each_folder_of_a_copy_is_on_the_disk_before_it_gets_its_name() {
    // File systems with one log for all put them there with whatever is synced next, so no power cut shows that one is missing.
    let mut refused = 0;
    for at in 0..20 {
        let place = Place::new(Way::Copy, false);
        let planned = Fault {
            call: Some("sync folder"),
            at,
            times: 1,
            code: EIO,
        }
        .begin();
        let migrated = place.migrate();
        drop(planned);
        if migrated.is_err_and(|error| error.kind() == ErrorKind::NotDurable) {
            assert!(is_whole(&place.old()) && !place.new_place().exists());
            refused += 1;
        }
    }
    assert_eq!(refused, 3, "the folder and the two in it");
}

#[test]
fn folders_that_lie_in_each_other_without_an_end_stop_a_migration_before_it_begins() {
    for (deep, is_migrated) in [(100, true), (101, false)] {
        let place = Place::new(Way::Rename, false);
        let inner: PathBuf = std::iter::repeat_n("d", deep).collect();
        fs::create_dir_all(place.old().join(inner)).unwrap();
        let migrated = place.migrate();
        assert_eq!(migrated.is_ok(), is_migrated, "{migrated:?}");
        assert_eq!(place.old().exists(), !is_migrated);
        assert_eq!(place.others(), [] as [PathBuf; 0]);
    }
}

/// Without its journal nobody would ask again for what a power cut may undo.
#[test]
fn the_journal_of_a_renamed_folder_stays_until_the_disk_knows_both_places() {
    let mut kept = 0;
    for at in 0..20 {
        let place = Place::new(Way::Rename, false);
        let planned = Fault {
            call: Some("sync folder"),
            at,
            times: 1,
            code: EIO,
        }
        .begin();
        let migrated = place.migrate();
        drop(planned);
        if migrated.is_err_and(|error| error.kind() == ErrorKind::Unconfirmed)
            && is_whole(&place.new_place())
        {
            let journal = place.root.path().join("b/new.migration");
            kept += usize::from(journal.exists());
        }
    }
    assert_eq!(
        kept, 2,
        "the folder that it left, and the one that it is in"
    );
}

#[test]
fn a_copy_is_compared_with_what_was_read_before_it_gets_its_name() {
    let place = Place::new(Way::Copy, false);
    let folder = place.root.path().join("b");
    // Of the copy, after it was written and before it is compared.
    meanwhile("mkdir", move || {
        meanwhile("rename", move || {
            for entry in fs::read_dir(folder).unwrap() {
                let staged = entry.unwrap().path();
                let written = fs::read_dir(&staged).into_iter().flatten();
                for file in written.map(|entry| entry.unwrap().path()) {
                    if file.is_file() {
                        fs::write(file, "rotten").unwrap();
                    }
                }
            }
        });
    });
    let error = place.migrate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert!(is_whole(&place.old()));
    assert_eq!(place.others(), [] as [PathBuf; 0]);
}

#[test]
fn a_file_that_is_written_to_while_the_folder_is_copied_stops_the_migration() {
    for name in ["z", "state", "queue/new", "link2"] {
        let place = Place::new(Way::Copy, false);
        let path = place.old().join(name);
        meanwhile("sync folder", || {
            meanwhile("sync folder", move || fs::write(path, "more").unwrap());
        });
        let error = place.migrate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed, "{name}: {error}");
        assert!(
            place.old().exists() && !place.new_place().exists(),
            "{name}"
        );
        assert_eq!(place.others(), [] as [PathBuf; 0], "{name}");
    }
}

/// A migration whose last step, the other name for the old folder, was cut off.
fn cut_after_the_switch(place: &Place) {
    let renames = if cfg!(target_os = "linux") { 5 } else { 0 };
    let cut = Fault {
        call: Some("rename"),
        at: renames + 2,
        times: CALLS_MAX,
        code: EIO,
    }
    .begin();
    let error = place.migrate().unwrap_err();
    drop(cut);
    assert!(
        error.to_string().contains("the new folder is complete"),
        "{error}"
    );
    assert!(is_whole(&place.old()) && is_whole(&place.new_place()));
}

#[test]
fn what_a_program_wrote_to_the_old_folder_after_a_cut_is_not_forgotten() {
    let place = Place::new(Way::Copy, false);
    cut_after_the_switch(&place);
    fs::write(place.old().join("queue/seg"), "newer").unwrap();
    let error = place.migrate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
    assert_eq!(fs::read(place.old().join("queue/seg")).unwrap(), b"newer");
    // As the message says.
    fs::rename(place.new_place(), place.root.path().join("a/stale")).unwrap();
    let migrated = place.migrate().unwrap();
    assert_eq!(fs::read(migrated.new.join("queue/seg")).unwrap(), b"newer");
}

#[test]
fn the_note_of_the_next_holder_is_no_change_of_the_old_folder() {
    let place = Place::new(Way::Copy, false);
    cut_after_the_switch(&place);
    // Another file, so that it shows whatever the clock says.
    fs::write(place.old().join("LOCK2"), "pid 1\n").unwrap();
    fs::rename(place.old().join("LOCK2"), place.old().join("LOCK")).unwrap();
    let migrated = place.migrate().unwrap();
    assert!(migrated.was_unfinished);
    place.must_be_done(&migrated, "after the cut");
}

#[test]
fn a_folder_that_the_system_does_not_rename_is_copied() {
    const EXDEV: i32 = 18;
    let place = Place::new(Way::Rename, false);
    let planned = Fault {
        call: Some("rename"),
        at: 1,
        times: 1,
        code: EXDEV,
    }
    .begin();
    let migrated = place.migrate().unwrap();
    assert_eq!(planned.failed(), 1);
    assert_eq!(migrated.way, Way::Copy);
    place.must_be_done(&migrated, "copied");
}

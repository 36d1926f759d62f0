//! What a cut may leave, and what it may not.

use super::*;
use crate::sim_disk::Outcome;
use mainstay_files as files;
use std::collections::BTreeSet;
use std::rc::Rc;
use tempfile::TempDir;

/// Two sectors and a bit.
const OLD: [u8; 1_200] = [b'o'; 1_200];
const NEW: [u8; 1_200] = [b'n'; 1_200];

const CUTS: [Outcome; 5] = [
    Outcome::AllLost,
    Outcome::AllKept,
    Outcome::NamesKept,
    Outcome::Torn,
    Outcome::Any,
];

struct Bed {
    tree: Rc<SimTree>,
    _started: Started,
    _folder: TempDir,
}

/// Folders `a` and `b`, and `far` on another file system.
fn bed(seed: u64) -> Bed {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.unwrap();
    let tree = Rc::new(SimTree::new(folder.path(), seed).unwrap());
    for (path, volume) in [("a", 0), ("b", 0), ("far", 1)] {
        tree.lay_folder(path, volume).unwrap();
    }
    Bed {
        _started: start(Rc::clone(&tree) as Rc<dyn Machine>),
        tree,
        _folder: folder,
    }
}

impl Bed {
    fn drop_file(&self, path: &str, content: &[u8]) {
        drop(self.tree.drop_file(path, content, at(0), Some(1)).unwrap());
    }

    /// The names, with their folders.
    fn names(&self) -> Vec<String> {
        let below = |folder: &str| {
            let names = self.tree.names(folder);
            let folder = folder.to_owned();
            names
                .into_iter()
                .map(move |name| format!("{folder}/{name}"))
        };
        ["a", "b", "far"].into_iter().flat_map(below).collect()
    }

    fn contents(&self, folder: &str) -> Vec<Vec<u8>> {
        let contents = self.tree.contents(folder).unwrap();
        contents.into_iter().map(|(_, content)| content).collect()
    }

    fn fail_next_sync(&self) {
        const EIO: i32 = 5;
        self.tree.refuse(Some(Fault {
            on: Some(On::Syncs),
            after: 0,
            count: 1,
            code: EIO,
        }));
    }

    fn path(&self, path: &str) -> PathBuf {
        self.tree.path(path)
    }
}

#[test]
fn what_was_synced_stays_whatever_the_cut() {
    for seed in 0..20 {
        for cut in CUTS {
            let bed = bed(seed);
            files::replace(&bed.path("a/x"), &NEW).unwrap();
            bed.tree.restart(cut).unwrap();
            assert_eq!(bed.names(), ["a/x"], "{cut:?}, seed {seed}");
            assert_eq!(std::fs::read(bed.path("a/x")).unwrap(), NEW);
        }
    }
}

#[test]
fn what_was_not_synced_may_be_old_new_torn_or_gone() {
    let (mut names, mut contents) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..200 {
        let bed = bed(seed);
        bed.drop_file("a/x", &OLD);
        bed.tree.sync("a/x").unwrap();
        let open = bed.tree.open_to_write("a/x").unwrap();
        bed.tree.write(&open, &NEW, at(1)).unwrap();
        bed.drop_file("b/y", &NEW);
        bed.tree.restart(Outcome::Any).unwrap();
        names.insert(bed.names());
        let now = bed.contents("a").remove(0);
        let longer = [OLD, NEW].concat();
        contents.insert(match now {
            _ if now == OLD => "old",
            _ if now == longer => "new",
            _ => "torn",
        });
    }
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(contents, BTreeSet::from(["new", "old", "torn"]));
}

#[test]
fn a_rename_between_two_folders_is_done_or_not_and_certain_once_its_end_is_synced() {
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        for synced in [None, Some("a"), Some("b")] {
            let bed = bed(seed);
            bed.drop_file("a/x", &OLD);
            bed.tree.sync("a/x").unwrap();
            files::rename_noreplace(&bed.path("a/x"), &bed.path("b/y")).unwrap();
            if let Some(folder) = synced {
                files::sync_dir(&bed.path(folder)).unwrap();
            }
            bed.tree.restart(Outcome::Any).unwrap();
            assert_eq!(bed.names().len(), 1, "never both, never none");
            seen.insert((synced, bed.names().remove(0)));
        }
    }
    let is_seen = |synced, name: &str| seen.contains(&(synced, name.to_owned()));
    assert!(is_seen(None, "a/x") && is_seen(None, "b/y"));
    assert!(is_seen(Some("b"), "b/y") && !is_seen(Some("b"), "a/x"));
}

#[test]
fn what_follows_from_what_is_lost_is_lost() {
    for seed in 0..60 {
        let bed = bed(seed);
        bed.drop_file("a/x", &OLD);
        bed.tree.sync("a/x").unwrap();
        files::rename_noreplace(&bed.path("a/x"), &bed.path("b/x")).unwrap();
        files::rename_noreplace(&bed.path("b/x"), &bed.path("a/y")).unwrap();
        files::remove(&bed.path("a/y")).unwrap();
        bed.tree.restart(Outcome::Any).unwrap();
        assert!(bed.names().len() <= 1, "{:?}", bed.names());
        // It has one place in any case, and is the same file in it.
        let found = bed.contents("a").into_iter().chain(bed.contents("b"));
        assert!(found.into_iter().all(|content| content == OLD));
    }
}

#[test]
fn what_was_removed_and_not_synced_comes_back_as_the_same_file() {
    use std::os::unix::fs::MetadataExt;
    let bed = bed(1);
    bed.drop_file("a/x", &OLD);
    bed.tree.sync("a/x").unwrap();
    let number = bed.path("a/x").metadata().unwrap().ino();
    files::remove(&bed.path("a/x")).unwrap();
    assert!(bed.names().is_empty());
    bed.tree.restart(Outcome::AllLost).unwrap();
    assert_eq!(bed.path("a/x").metadata().unwrap().ino(), number);
    assert_eq!(bed.contents("a"), [OLD]);
    // Where the folder was synced it stays away.
    files::remove(&bed.path("a/x")).unwrap();
    files::sync_dir(&bed.path("a")).unwrap();
    bed.tree.restart(Outcome::AllLost).unwrap();
    assert!(bed.names().is_empty());
}

#[test]
fn a_new_folder_goes_with_all_that_is_in_it_unless_it_was_synced() {
    for is_synced in [false, true] {
        let bed = bed(1);
        bed.drop_file("a/x", &OLD);
        bed.tree.sync("a/x").unwrap();
        bed.fail_next_sync();
        files::create_dir_all(&bed.path("b/day"), 0o700).unwrap_err();
        files::rename_noreplace(&bed.path("a/x"), &bed.path("b/day/x")).unwrap();
        if is_synced {
            files::sync_dir(&bed.path("b/day")).unwrap();
        }
        bed.tree.restart(Outcome::AllLost).unwrap();
        let expected = if is_synced { "b/day/x" } else { "a/x" };
        assert!(bed.path(expected).exists(), "{is_synced}");
        assert_eq!([bed.contents("a"), bed.contents("b")].concat(), [OLD]);
    }
}

#[test]
fn a_sync_that_failed_says_ok_the_next_time_and_has_done_nothing() {
    let mut is_lost = false;
    for seed in 0..20 {
        let bed = bed(seed);
        bed.drop_file("a/x", &NEW);
        let (file, _) = files::open_regular(&bed.path("a/x")).unwrap();
        bed.fail_next_sync();
        files::sync_file(&file).unwrap_err();
        files::sync_file(&file).unwrap();
        bed.fail_next_sync();
        files::sync_dir(&bed.path("a")).unwrap_err();
        files::sync_dir(&bed.path("a")).unwrap();
        bed.tree.restart(Outcome::AllKept).unwrap();
        is_lost |= bed.contents("a") != [NEW];
        let other = super::tests::bed(seed);
        other.drop_file("a/x", &NEW);
        other.fail_next_sync();
        files::sync_dir(&other.path("a")).unwrap_err();
        files::sync_dir(&other.path("a")).unwrap();
        other.tree.restart(Outcome::AllLost).unwrap();
        assert!(other.names().is_empty());
    }
    assert!(is_lost);
}

#[test]
fn a_kill_leaves_all_that_was_done_and_puts_none_of_it_on_the_platter() {
    let bed = bed(1);
    bed.drop_file("a/x", &NEW);
    bed.tree.restart(Outcome::Killed).unwrap();
    assert_eq!(bed.contents("a"), [NEW]);
    bed.tree.restart(Outcome::AllLost).unwrap();
    assert!(bed.names().is_empty());
}

#[test]
fn the_call_in_which_the_process_ends_is_not_done_and_no_other_is() {
    for call in 1..=5 {
        let bed = bed(call);
        bed.tree.end_in(Some(call));
        let replace = || files::replace(&bed.path("a/x"), &NEW);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(replace));
        // Create, write, sync, rename and sync.
        assert!(ended.unwrap_err().is::<Gone>(), "call {call}");
        assert!(bed.tree.is_gone());
        bed.tree.restart(Outcome::Killed).unwrap();
        assert_eq!(bed.path("a/x").exists(), call == 5, "call {call}");
    }
}

#[test]
fn no_name_leads_from_one_file_system_to_another() {
    let bed = bed(1);
    bed.drop_file("a/x", &OLD);
    let across = files::rename_noreplace(&bed.path("a/x"), &bed.path("far/x"));
    assert_eq!(across.unwrap_err().kind(), files::ErrorKind::CrossDevice);
    files::move_file(&bed.path("a/x"), &bed.path("far/x")).unwrap();
    assert_eq!(bed.names(), ["far/x"]);
}

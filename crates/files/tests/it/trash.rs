//! What was deleted is there until somebody empties the trash.

use mainstay_clock::{Clock, ManualClock};
use mainstay_files::{Backups, ErrorKind, Trash};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

fn place() -> (TempDir, ManualClock, Trash, PathBuf) {
    let root = TempDir::new().unwrap();
    let clock = ManualClock::new();
    let store = Backups::open(&root.path().join("trash")).unwrap();
    let trash = Trash::of(store.clocked_by(Arc::new(clock.clone())));
    let path = fs::canonicalize(root.path()).unwrap().join("report.csv");
    (root, clock, trash, path)
}

#[test]
fn a_deleted_file_is_listed_and_comes_back_once() {
    let (_root, _clock, trash, path) = place();
    fs::write(&path, "precious").unwrap();
    let deleted = trash.put(&path).unwrap();
    assert!(!path.exists());
    assert_eq!(trash.list().unwrap(), std::slice::from_ref(&deleted));
    trash.restore(&deleted, &path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert_eq!(trash.list().unwrap(), []);
    assert!(
        trash
            .restore(&deleted, &path.with_extension("again"))
            .is_err()
    );
}

#[test]
fn all_files_that_one_path_ever_had_are_kept_however_many() {
    let (_root, _clock, trash, path) = place();
    for number in 0..20 {
        fs::write(&path, number.to_string()).unwrap();
        trash.put(&path).unwrap();
    }
    assert_eq!(trash.list().unwrap().len(), 20);
}

#[test]
fn what_has_its_place_by_now_is_never_overwritten_and_the_deleted_file_stays_deleted() {
    let (_root, _clock, trash, path) = place();
    fs::write(&path, "old").unwrap();
    let deleted = trash.put(&path).unwrap();
    fs::write(&path, "new").unwrap();
    let error = trash.restore(&deleted, &path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert_eq!(fs::read(&path).unwrap(), b"new");
    let other = path.with_extension("old");
    trash.restore(&deleted, &other).unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"old");
}

#[test]
fn only_what_was_deleted_long_enough_ago_goes_for_good() {
    let (_root, clock, trash, path) = place();
    let start = clock.wall();
    for content in ["first", "second"] {
        fs::write(&path, content).unwrap();
        trash.put(&path).unwrap();
        clock.set_wall(start + 3_600_000);
    }
    let old = trash.older_than(Duration::from_mins(30)).unwrap();
    assert_eq!(old.len(), 1);
    trash.empty(&old).unwrap();
    let left = trash.list().unwrap();
    assert_eq!(left.len(), 1);
    trash.restore(&left[0], &path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
}

#[test]
fn of_several_that_restore_to_one_place_one_succeeds() {
    let (_root, _clock, trash, path) = place();
    let deleted: Vec<_> = (0..8)
        .map(|number| {
            fs::write(&path, number.to_string()).unwrap();
            trash.put(&path).unwrap()
        })
        .collect();
    let start = std::sync::Barrier::new(deleted.len());
    let restored: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = deleted
            .iter()
            .map(|deleted| {
                scope.spawn(|| {
                    start.wait();
                    trash.restore(deleted, &path).is_ok()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(restored.iter().filter(|is_back| **is_back).count(), 1);
    let winner = restored.iter().position(|is_back| *is_back).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), winner.to_string());
    assert_eq!(trash.list().unwrap().len(), deleted.len() - 1);
}

#[test]
fn what_a_deleted_file_takes_the_place_of_is_deleted_and_comes_back_the_same_way() {
    let (_root, _clock, trash, path) = place();
    fs::write(&path, "old").unwrap();
    let old = trash.put(&path).unwrap();
    fs::write(&path, "new").unwrap();
    let new = trash.restore_over(&old, &path).unwrap().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(trash.list().unwrap(), std::slice::from_ref(&new));
    let mut content = Vec::new();
    trash.read(&new, &mut content).unwrap();
    assert_eq!(content, b"new");
    trash.restore_over(&new, &path).unwrap().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    // Where the same content is there, nothing is left to go back to.
    let again = trash.put(&path).unwrap();
    fs::write(&path, "new").unwrap();
    assert_eq!(trash.restore_over(&again, &path).unwrap(), None);
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

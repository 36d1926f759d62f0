//! Watching where the system does not help, and others come in between.

use super::EIO;
use crate::system::faults::{Fault, meanwhile};
use crate::{ChangeKind, ErrorKind, Watch, WatchOptions};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_mins(1);

const QUICKLY: WatchOptions = WatchOptions {
    quiet: Duration::from_millis(20),
    patience: Duration::from_millis(200),
    look_every: Duration::from_millis(20),
    rescan_every: Duration::from_hours(1),
};

fn file() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, "one").unwrap();
    (folder, path)
}

#[test]
fn without_events_changes_are_found_by_looking() {
    // From the first call on there is no descriptor, from the second on no folder is listened to.
    for at in [0, 1] {
        let (_folder, path) = file();
        let faults = Fault {
            call: Some("watch"),
            at,
            times: usize::MAX,
            code: EIO,
        }
        .begin();
        let mut watch = Watch::start(&[&path], QUICKLY).unwrap();
        assert!(faults.failed() > 0);
        fs::write(&path, "two").unwrap();
        assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Changed);
        fs::remove_file(&path).unwrap();
        assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Deleted);
    }
}

#[test]
fn a_change_while_the_first_look_goes_on_is_told() {
    let (folder, path) = file();
    let other = folder.path().join("y");
    fs::write(&other, "").unwrap();
    let changed = path.clone();
    // The first file has been read when the second is opened.
    meanwhile("open", move || {
        meanwhile("open", move || fs::write(changed, "two").unwrap());
    });
    let mut watch = Watch::start(&[&path, &other], QUICKLY).unwrap();
    let change = watch.next(PATIENCE).unwrap();
    assert_eq!((change.path, change.kind), (path, ChangeKind::Changed));
}

#[test]
fn a_file_that_is_replaced_while_it_is_reloaded_is_not_given_out() {
    let (folder, path) = file();
    let mut watch = Watch::start(&[&path], QUICKLY).unwrap();
    let (new, old) = (folder.path().join("new"), path.clone());
    fs::write(&new, "two").unwrap();
    // After it was read and compared, before its name is looked up again.
    meanwhile("open", move || {
        meanwhile("stat", move || {
            meanwhile("stat", move || fs::rename(new, old).unwrap());
        });
    });
    let error = watch.reload(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Replaced);
}

//! Somebody else changes things between two of our calls.

use super::{Act, Deed, EXDEV, NEW, OLD, Place, written};
use crate::system::faults::{Fault, meanwhile};
use crate::{ErrorKind, WriteOptions, copy_new, create_new, move_file, replace};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder with a source, as for a deed that moves it.
fn place_with_source() -> Place {
    Place::new(&Deed {
        name: "",
        is_old_there: false,
        is_source_kept: false,
        act: |_| Ok(()),
    })
}

#[test]
fn a_file_that_grows_while_it_is_copied_is_not_copied() {
    let place = place_with_source();
    let source = place.source.clone();
    meanwhile("utime", move || {
        let mut file = fs::OpenOptions::new().append(true).open(source).unwrap();
        file.write_all(b" and more").unwrap();
    });
    let error = copy_new(&place.source, &place.target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(!place.target.exists());
    assert_eq!(place.leftovers(), [] as [PathBuf; 0]);
}

#[test]
fn a_file_that_grows_before_a_move_removes_it_stays_and_the_copy_goes() {
    let place = place_with_source();
    let source = place.source.clone();
    let _across = Fault {
        call: Some("rename"),
        at: 0,
        times: 1,
        code: EXDEV,
    }
    .begin();
    meanwhile("sync folder", move || {
        let mut file = fs::OpenOptions::new().append(true).open(source).unwrap();
        file.write_all(b" and more").unwrap();
    });
    assert_eq!(
        move_file(&place.source, &place.target).unwrap_err().kind(),
        ErrorKind::Io
    );
    assert_eq!(
        fs::read(&place.source).unwrap(),
        [NEW, b" and more"].concat()
    );
    assert!(!place.target.exists());
}

#[test]
fn a_file_that_took_the_name_meanwhile_is_not_removed_by_a_move() {
    let place = place_with_source();
    let source = place.source.clone();
    let _across = Fault {
        call: Some("rename"),
        at: 0,
        times: 1,
        code: EXDEV,
    }
    .begin();
    meanwhile("sync folder", move || {
        let other = source.with_file_name("other");
        fs::write(&other, OLD).unwrap();
        fs::rename(other, source).unwrap();
    });
    move_file(&place.source, &place.target).unwrap();
    assert_eq!(fs::read(&place.source).unwrap(), OLD);
    assert_eq!(fs::read(&place.target).unwrap(), NEW);
}

#[test]
fn a_name_that_is_taken_while_a_new_file_is_written_is_not_replaced() {
    let place = place_with_source();
    let deeds: [Act; 4] = [
        |place| create_new(&place.target, NEW),
        |place| written(&place.target)?.commit_new(),
        |place| copy_new(&place.source, &place.target),
        |place| move_file(&place.source, &place.target),
    ];
    for deed in deeds {
        let target = place.target.clone();
        meanwhile("rename", move || fs::write(target, OLD).unwrap());
        assert_eq!(deed(&place).unwrap_err().kind(), ErrorKind::Exists);
        assert_eq!(fs::read(&place.target).unwrap(), OLD);
        assert_eq!(place.leftovers(), [] as [PathBuf; 0]);
        fs::remove_file(&place.target).unwrap();
    }
}

#[test]
fn a_folder_that_is_exchanged_for_another_while_we_write_does_not_get_the_file() {
    let folder = TempDir::new().unwrap();
    let (inner, moved) = (folder.path().join("inner"), folder.path().join("moved"));
    fs::create_dir(&inner).unwrap();
    let (from, to) = (inner.clone(), moved.clone());
    meanwhile("rename", move || {
        fs::rename(&from, to).unwrap();
        fs::create_dir(from).unwrap();
    });
    replace(&inner.join("state"), NEW).unwrap();
    assert_eq!(fs::read(moved.join("state")).unwrap(), NEW);
    assert_eq!(fs::read_dir(inner).unwrap().count(), 0);
}

#[test]
fn a_link_that_replaces_the_target_while_we_write_is_not_followed() {
    let place = place_with_source();
    fs::write(&place.target, OLD).unwrap();
    let (source, target) = (place.source.clone(), place.target.clone());
    meanwhile("rename", move || {
        fs::remove_file(&target).unwrap();
        std::os::unix::fs::symlink(source, target).unwrap();
    });
    replace(&place.target, b"mine").unwrap();
    assert!(!place.target.is_symlink());
    assert_eq!(fs::read(&place.source).unwrap(), NEW);
}

#[test]
fn what_comes_back_otherwise_than_it_was_written_never_takes_the_place_of_the_old() {
    let place = Place::new(&Deed {
        name: "",
        is_old_there: true,
        is_source_kept: true,
        act: |_| Ok(()),
    });
    let options = WriteOptions::new().reading_back();
    let folder = place.folder.path().to_owned();
    // Whoever opens it next is the one who reads it back.
    meanwhile("sync file", move || {
        let written = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let mut written = written.filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().contains("mainstay-tmp")
        });
        fs::write(written.next().unwrap().path(), "something else").unwrap();
    });
    let error = options.write(&place.target, NEW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotDurable);
    assert_eq!(fs::read(&place.target).unwrap(), OLD);
    assert_eq!(place.leftovers(), [] as [PathBuf; 0]);
    options.write(&place.target, NEW).unwrap();
    assert_eq!(fs::read(&place.target).unwrap(), NEW);
}

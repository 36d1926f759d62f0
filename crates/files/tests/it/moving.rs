//! A move never replaces, never loses, and works across file systems.

use crate::tmpfs::Tmpfs;
use mainstay_files::{ErrorKind, copy_new, facts, move_file, rename_noreplace};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

#[test]
fn a_rename_never_replaces() {
    let folder = TempDir::new().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    fs::write(&one, "1").unwrap();
    fs::write(&two, "2").unwrap();
    assert_eq!(
        rename_noreplace(&one, &two).unwrap_err().kind(),
        ErrorKind::Exists
    );
    assert_eq!(move_file(&one, &two).unwrap_err().kind(), ErrorKind::Exists);
    assert_eq!(copy_new(&one, &two).unwrap_err().kind(), ErrorKind::Exists);
    assert_eq!(
        (fs::read(&one).unwrap(), fs::read(&two).unwrap()),
        (b"1".to_vec(), b"2".to_vec())
    );
}

#[test]
fn a_rename_goes_from_folder_to_folder() {
    let folder = TempDir::new().unwrap();
    let (inner, one) = (folder.path().join("inner"), folder.path().join("one"));
    fs::create_dir(&inner).unwrap();
    fs::write(&one, "1").unwrap();
    rename_noreplace(&one, &inner.join("one")).unwrap();
    assert_eq!(fs::read(inner.join("one")).unwrap(), b"1");
    rename_noreplace(&inner, &folder.path().join("outer")).unwrap();
    assert_eq!(fs::read(folder.path().join("outer/one")).unwrap(), b"1");
}

#[test]
fn what_is_missing_is_told_as_missing() {
    let folder = TempDir::new().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    assert_eq!(
        rename_noreplace(&one, &two).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        move_file(&one, &two).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        copy_new(&one, &two).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    fs::write(&one, "1").unwrap();
    let elsewhere = folder.path().join("no/such/folder");
    assert_eq!(
        move_file(&one, &elsewhere).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(fs::read(&one).unwrap(), b"1");
}

#[test]
fn only_regular_files_are_moved_and_copied() {
    let folder = TempDir::new().unwrap();
    let (inner, to) = (folder.path().join("inner"), folder.path().join("to"));
    fs::create_dir(&inner).unwrap();
    assert_eq!(
        move_file(&inner, &to).unwrap_err().kind(),
        ErrorKind::NotRegular
    );
    assert_eq!(
        copy_new(&inner, &to).unwrap_err().kind(),
        ErrorKind::NotRegular
    );
    assert!(inner.is_dir() && !to.exists());
}

fn make(path: &Path) {
    fs::write(path, "bytes").expect("there is room");
    fs::set_permissions(path, Permissions::from_mode(0o640)).expect("it is ours");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("it is ours");
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    file.set_modified(time).expect("it is ours");
}

#[test]
fn a_move_across_file_systems_keeps_bytes_mode_and_time_and_removes_the_original() {
    let Some(other) = Tmpfs::mount("size=64k") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from"), other.path().join("to"));
    make(&from);
    let before = facts(&from).unwrap();
    assert_eq!(
        rename_noreplace(&from, &to).unwrap_err().kind(),
        ErrorKind::CrossDevice
    );
    move_file(&from, &to).unwrap();
    let after = facts(&to).unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"bytes");
    assert_eq!((after.mode, after.modified), (before.mode, before.modified));
    assert!(!from.exists());
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
    move_file(&to, &from).unwrap();
    assert_eq!(fs::read(&from).unwrap(), b"bytes");
}

#[test]
fn a_move_across_file_systems_never_replaces() {
    let Some(other) = Tmpfs::mount("size=64k") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from"), other.path().join("to"));
    make(&from);
    fs::write(&to, "there").unwrap();
    assert_eq!(move_file(&from, &to).unwrap_err().kind(), ErrorKind::Exists);
    assert_eq!(
        (fs::read(&from).unwrap(), fs::read(&to).unwrap()),
        (b"bytes".to_vec(), b"there".to_vec())
    );
}

#[test]
fn a_move_to_a_full_file_system_leaves_the_original_and_nothing_else() {
    let Some(other) = Tmpfs::mount("size=64k") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from"), other.path().join("to"));
    fs::write(&from, vec![b'x'; 100 * 1024]).unwrap();
    assert_eq!(
        move_file(&from, &to).unwrap_err().kind(),
        ErrorKind::DiskFull
    );
    assert_eq!(fs::metadata(&from).unwrap().len(), 100 * 1024);
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
}

#[test]
fn a_move_whose_original_cannot_be_removed_has_not_happened() {
    let Some(from_system) = Tmpfs::mount("size=64k") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (from, to) = (from_system.path().join("from"), folder.path().join("to"));
    make(&from);
    from_system.remount("ro");
    assert_eq!(
        move_file(&from, &to).unwrap_err().kind(),
        ErrorKind::ReadOnly
    );
    assert_eq!(fs::read(&from).unwrap(), b"bytes");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

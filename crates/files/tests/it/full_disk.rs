//! A disk that is full, or read-only, fails the write and nothing else.

use crate::tmpfs::Tmpfs;
use mainstay_files::{ErrorKind, Writer, create_dir_all, create_new, replace, sweep};
use std::fs;
use std::io::Write;

const OLD: &[u8] = b"old";

#[test]
fn a_full_disk_keeps_the_old_content_and_leaves_nothing() {
    let Some(small) = Tmpfs::mount("size=64k") else {
        return;
    };
    let path = small.path().join("state");
    replace(&path, OLD).unwrap();
    let much = vec![b'x'; 100 * 1024];
    for _ in 0..3 {
        assert_eq!(
            replace(&path, &much).unwrap_err().kind(),
            ErrorKind::DiskFull
        );
        assert_eq!(
            create_new(&small.path().join("other"), &much)
                .unwrap_err()
                .kind(),
            ErrorKind::DiskFull
        );
    }
    assert_eq!(fs::read(&path).unwrap(), OLD);
    assert_eq!(fs::read_dir(small.path()).unwrap().count(), 1);
    small.remount("size=256k");
    replace(&path, &much).unwrap();
    assert_eq!(fs::read(&path).unwrap(), much);
}

#[test]
fn a_disk_without_inodes_counts_as_full() {
    let Some(small) = Tmpfs::mount("size=64k,nr_inodes=3") else {
        return;
    };
    replace(&small.path().join("1"), OLD).unwrap();
    replace(&small.path().join("2"), OLD).unwrap();
    assert_eq!(
        replace(&small.path().join("1"), b"new").unwrap_err().kind(),
        ErrorKind::DiskFull
    );
    assert_eq!(
        create_dir_all(&small.path().join("3"), 0o700)
            .unwrap_err()
            .kind(),
        ErrorKind::DiskFull
    );
    assert_eq!(fs::read(small.path().join("1")).unwrap(), OLD);
}

#[test]
fn a_writer_that_met_a_full_disk_cannot_be_committed_even_when_there_is_room_again() {
    let Some(small) = Tmpfs::mount("size=64k") else {
        return;
    };
    let path = small.path().join("state");
    replace(&path, OLD).unwrap();
    let mut writer = Writer::create(&path).unwrap();
    let error = writer.write_all(&vec![b'x'; 100 * 1024]).unwrap_err();
    assert_eq!(ErrorKind::of(&error), ErrorKind::DiskFull);
    let message = format!(
        "cannot write `{}`: disk full; previous version kept",
        path.display()
    );
    assert_eq!(error.to_string(), message);
    small.remount("size=256k");
    writer.write_all(b"the end").unwrap();
    assert_eq!(writer.commit().unwrap_err().kind(), ErrorKind::DiskFull);
    assert_eq!(fs::read(&path).unwrap(), OLD);
    assert_eq!(fs::read_dir(small.path()).unwrap().count(), 1);
}

#[test]
fn a_read_only_file_system_is_told_as_such() {
    let Some(small) = Tmpfs::mount("size=64k") else {
        return;
    };
    let path = small.path().join("state");
    replace(&path, OLD).unwrap();
    small.remount("ro");
    assert_eq!(
        replace(&path, b"new").unwrap_err().kind(),
        ErrorKind::ReadOnly
    );
    assert_eq!(
        mainstay_files::remove(&path).unwrap_err().kind(),
        ErrorKind::ReadOnly
    );
    assert_eq!(
        create_dir_all(&small.path().join("a/b"), 0o700)
            .unwrap_err()
            .kind(),
        ErrorKind::ReadOnly
    );
    assert_eq!(sweep(small.path()).unwrap(), 0);
    assert_eq!(fs::read(&path).unwrap(), OLD);
}

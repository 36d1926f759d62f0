//! How much room there is, and where.

use crate::tmpfs::Tmpfs;
use mainstay_files::{ErrorKind, file_system, free_space};
use std::path::Path;

#[test]
fn a_small_file_system_says_how_little_is_left() {
    let Some(small) = Tmpfs::mount("size=64k,nr_inodes=20") else {
        return;
    };
    let before = free_space(small.path()).unwrap();
    assert_eq!((before.bytes, before.inodes), (64 * 1024, 19));
    mainstay_files::replace(&small.path().join("file"), &[0; 10_000]).unwrap();
    let after = free_space(small.path()).unwrap();
    assert_eq!((after.bytes, after.inodes), (64 * 1024 - 12 * 1024, 18));
}

#[test]
fn a_tmpfs_is_called_tmpfs_and_no_network() {
    let Some(small) = Tmpfs::mount("size=64k") else {
        return;
    };
    let found = file_system(small.path()).unwrap();
    assert_eq!((found.kind.as_ref(), found.network), ("tmpfs", false));
}

#[test]
fn a_file_system_that_is_not_in_the_table_has_its_number_for_a_name() {
    let found = file_system(Path::new("/proc")).unwrap();
    assert_eq!((found.kind.as_ref(), found.network), ("0x00009fa0", false));
}

#[test]
fn what_is_not_there_has_no_room() {
    let path = Path::new("/no/such/folder");
    assert_eq!(free_space(path).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(file_system(path).unwrap_err().kind(), ErrorKind::NotFound);
}

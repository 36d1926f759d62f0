//! Every name that the file system takes will do.

use mainstay_files::{
    ErrorKind, Writer, copy_new, create_dir_all, create_new, move_file, remove, replace,
};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tempfile::TempDir;

#[test]
fn names_that_are_not_text_or_look_like_something_else_are_names() {
    let folder = TempDir::new().unwrap();
    let names: &[&[u8]] = &[
        b"m\xfcll",
        b"\xff\xfe",
        b"new\nline",
        b"-rf",
        b"[2024]*?",
        b" ",
        b"...",
        b".hidden",
        b"a'b\"c`d",
    ];
    for name in names {
        let path = folder.path().join(OsStr::from_bytes(name));
        create_new(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two", "{}", path.display());
        let (copy, moved) = (folder.path().join("copy"), folder.path().join("moved"));
        copy_new(&path, &copy).unwrap();
        move_file(&path, &moved).unwrap();
        remove(&copy).unwrap();
        remove(&moved).unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_name_of_full_length_can_be_replaced() {
    let folder = TempDir::new().unwrap();
    for name in [
        vec![b'n'; 255],
        vec![0xff; 255],
        "ß".repeat(127).into_bytes(),
    ] {
        let path = folder.path().join(OsStr::from_bytes(&name));
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }
}

#[test]
fn a_name_that_is_too_long_is_told_as_such() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("n".repeat(256));
    assert_eq!(replace(&path, b"").unwrap_err().kind(), ErrorKind::TooLong);
    assert_eq!(
        Writer::create(&path).unwrap_err().kind(),
        ErrorKind::TooLong
    );
    assert_eq!(
        create_dir_all(&path, 0o700).unwrap_err().kind(),
        ErrorKind::TooLong
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_path_without_a_name_is_refused() {
    for path in ["", "/", "..", "a/.."] {
        let error = replace(Path::new(path), b"").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NameInvalid, "{path:?}: {error}");
    }
    let folder = TempDir::new().unwrap();
    let error = replace(&folder.path().join("nul\0byte"), b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NameInvalid);
}

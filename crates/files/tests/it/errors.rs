//! Everything that is not a file where one was wanted, and folders.

use mainstay_files::{
    ErrorKind, Writer, create_dir_all, create_new, facts, open_regular, open_regular_at, remove,
    remove_empty_dir, replace, sweep, sync_dir, sync_file, sync_filesystem,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use tempfile::TempDir;

#[test]
fn a_missing_folder_is_not_found() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("no/such/file");
    assert_eq!(replace(&path, b"").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        create_new(&path, b"").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        Writer::create(&path).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(sync_dir(&path).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        sync_filesystem(&path).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(sweep(&path).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(facts(&path).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_path_that_leads_through_a_file_is_invalid() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(
        replace(&file.join("x"), b"").unwrap_err().kind(),
        ErrorKind::NameInvalid
    );
    assert_eq!(sync_dir(&file).unwrap_err().kind(), ErrorKind::NameInvalid);
    assert_eq!(
        create_dir_all(&file.join("x"), 0o700).unwrap_err().kind(),
        ErrorKind::Exists
    );
    assert_eq!(
        create_dir_all(&file, 0o700).unwrap_err().kind(),
        ErrorKind::Exists
    );
}

#[test]
fn a_folder_is_not_replaced_by_a_file() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    assert_eq!(
        replace(&inner, b"").unwrap_err().kind(),
        ErrorKind::NotRegular
    );
    assert_eq!(
        Writer::create(&inner).unwrap_err().kind(),
        ErrorKind::NotRegular
    );
    assert_eq!(
        create_new(&inner, b"").unwrap_err().kind(),
        ErrorKind::Exists
    );
    assert_eq!(remove(&inner).unwrap_err().kind(), ErrorKind::NotRegular);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn only_a_regular_file_is_opened_and_no_pipe_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let (pipe, socket, file) = (
        folder.path().join("pipe"),
        folder.path().join("socket"),
        folder.path().join("file"),
    );
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::write(&file, "12345").unwrap();
    for path in [&pipe, &socket, folder.path(), Path::new("/dev/null")] {
        assert_eq!(
            open_regular(path).unwrap_err().kind(),
            ErrorKind::NotRegular,
            "{}",
            path.display()
        );
    }
    let (opened, found) = open_regular(&file).unwrap();
    assert_eq!((found.len, found.nlink, found.is_regular()), (5, 1, true));
    assert_eq!(
        mainstay_files::facts_of(&opened).unwrap(),
        facts(&file).unwrap()
    );
    let dir = fs::File::open(folder.path()).unwrap();
    assert_eq!(open_regular_at(&dir, Path::new("file")).unwrap().1, found);
    assert_eq!(
        open_regular_at(&dir, Path::new("pipe")).unwrap_err().kind(),
        ErrorKind::NotRegular
    );
}

#[test]
fn the_facts_tell_a_changed_file_even_when_its_time_was_set_back() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "12345").unwrap();
    let before = facts(&path).unwrap();
    assert_eq!(facts(&path).unwrap(), before);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    // The kernel's file clock ticks every few milliseconds: write until it has.
    let deadline = 100_000;
    for _ in 0..deadline {
        std::os::unix::fs::FileExt::write_all_at(&file, b"54321", 0).unwrap();
        file.set_modified(before.modified).unwrap();
        if facts(&path).unwrap().changed != before.changed {
            break;
        }
    }
    let after = facts(&path).unwrap();
    assert_eq!((after.len, after.modified), (before.len, before.modified));
    assert_ne!(after, before);
    assert!(after.is_same_file(&before));
}

#[test]
fn folders_are_made_with_those_above_them_and_a_folder_that_is_there_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let deep = folder.path().join("a/b/c");
    create_dir_all(&deep, 0o700).unwrap();
    for made in [&deep, &folder.path().join("a/b"), &folder.path().join("a")] {
        assert_eq!(
            fs::metadata(made).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
    create_dir_all(&deep, 0o755).unwrap();
    assert_eq!(
        fs::metadata(&deep).unwrap().permissions().mode() & 0o777,
        0o700
    );
    create_dir_all(Path::new("."), 0o700).unwrap();
    create_dir_all(Path::new("/"), 0o700).unwrap();
}

#[test]
fn many_may_make_the_same_folders_at_once() {
    let folder = TempDir::new().unwrap();
    let deep = folder.path().join("a/b/c/d/e/f");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| create_dir_all(&deep, 0o700).unwrap());
        }
    });
    assert!(deep.is_dir());
}

#[test]
fn removing_what_is_not_there_is_fine() {
    let folder = TempDir::new().unwrap();
    remove(&folder.path().join("nothing")).unwrap();
    remove(&folder.path().join("no/such/folder/file")).unwrap();
    remove_empty_dir(&folder.path().join("nothing")).unwrap();
}

#[test]
fn only_an_empty_folder_is_removed() {
    let folder = TempDir::new().unwrap();
    let (inner, file) = (
        folder.path().join("inner"),
        folder.path().join("inner/file"),
    );
    fs::create_dir(&inner).unwrap();
    fs::write(&file, "").unwrap();
    assert_eq!(
        remove_empty_dir(&inner).unwrap_err().kind(),
        ErrorKind::Exists
    );
    remove(&file).unwrap();
    remove_empty_dir(&inner).unwrap();
    assert!(!inner.exists());
}

#[test]
fn files_folders_and_file_systems_can_be_synced() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "bytes").unwrap();
    sync_file(&fs::File::open(&path).unwrap()).unwrap();
    sync_dir(folder.path()).unwrap();
    sync_filesystem(folder.path()).unwrap();
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    use std::io::Write;
    let folder = TempDir::new().unwrap();
    let mut writer = Writer::create(&folder.path().join("file")).unwrap();
    writer.write_all(b"never wanted").unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

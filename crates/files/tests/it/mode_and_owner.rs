//! A file keeps its mode and owner; a secret is private from its first byte on.

use mainstay_files::{Writer, copy_new, create_new, facts, facts_of, replace, replace_secret};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

const NOBODY: u32 = 65534;

fn mode(path: &Path) -> u32 {
    facts(path).expect("the file is there").mode & 0o7777
}

#[test]
fn a_file_keeps_its_mode() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    for kept in [0o600, 0o640, 0o644, 0o755, 0o400] {
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(kept)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(mode(&path), kept);
        let mut writer = Writer::create(&path).unwrap();
        writer.write_all(b"newer").unwrap();
        writer.commit().unwrap();
        assert_eq!(mode(&path), kept);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn new_content_never_runs_as_the_owner_of_the_old() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tool");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o6755)).unwrap();
    replace(&path, b"new").unwrap();
    assert_eq!(mode(&path), 0o755);
}

#[test]
fn a_new_file_is_readable_by_all_less_the_umask() {
    let folder = TempDir::new().unwrap();
    let usual = folder.path().join("usual");
    fs::write(&usual, "").unwrap();
    let expected = mode(&usual) & 0o644;
    let (replaced, created) = (
        folder.path().join("replaced"),
        folder.path().join("created"),
    );
    replace(&replaced, b"").unwrap();
    create_new(&created, b"").unwrap();
    assert_eq!((mode(&replaced), mode(&created)), (expected, expected));
}

#[test]
fn a_secret_is_private_whatever_was_there() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("token");
    replace_secret(&path, b"one").unwrap();
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    replace_secret(&path, b"two").unwrap();
    assert_eq!(
        (mode(&path), fs::read(&path).unwrap()),
        (0o600, b"two".to_vec())
    );
}

#[test]
fn a_file_that_will_be_private_is_private_while_it_is_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let mut writer = Writer::create(&path).unwrap();
    writer.write_all(b"new").unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn root_leaves_a_file_to_its_owner() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    replace(&path, b"old").unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).is_err() {
        println!("NOT MEASURED: only root can give a file away");
        return;
    }
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    replace(&path, b"new").unwrap();
    let found = facts(&path).unwrap();
    assert_eq!(
        (found.uid, found.gid, found.mode & 0o777),
        (NOBODY, NOBODY, 0o640)
    );
    replace_secret(&path, b"newer").unwrap();
    assert_eq!(facts(&path).unwrap().uid, NOBODY);
}

#[test]
fn a_copy_keeps_mode_and_time_but_is_ours() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::write(&from, "bytes").unwrap();
    fs::set_permissions(&from, Permissions::from_mode(0o640)).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&from).unwrap();
    for seconds in [1_000_000_000, -86_400] {
        let whole = std::time::Duration::from_secs(i64::unsigned_abs(seconds));
        let epoch = std::time::SystemTime::UNIX_EPOCH;
        let fraction = std::time::Duration::from_nanos(123_456_789);
        let time = if seconds > 0 {
            epoch + whole
        } else {
            epoch - whole
        } + fraction;
        file.set_modified(time).unwrap();
        copy_new(&from, &to).unwrap();
        let copy = facts(&to).unwrap();
        assert_eq!((copy.modified, copy.mode & 0o777), (time, 0o640));
        assert_eq!(facts_of(&file).unwrap(), facts(&from).unwrap());
        fs::remove_file(&to).unwrap();
    }
}

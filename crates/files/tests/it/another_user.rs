//! What belongs to somebody else is neither written through nor swept.

use mainstay_files::{
    Error, ErrorKind, Lock, create_dir_all, facts, open_regular, remove, replace, sweep,
};
use rustix::process::Uid;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::thread;
use tempfile::TempDir;

const NOBODY: u32 = 65534;

type Act = fn(&Path) -> Result<(), Error>;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `act` in a thread of its own that is the user nobody; `None`, and a line that says so, where that needs root.
fn as_nobody<T: Send>(act: impl FnOnce() -> T + Send) -> Option<T> {
    if !is_root() {
        return not_measured();
    }
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let uid = Uid::from_raw(NOBODY);
            rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may become anybody");
            act()
        });
        Some(other.join().expect("the thread asserts nothing"))
    })
}

#[expect(
    clippy::print_stdout,
    reason = "whoever reads the test's output has to know what was not measured"
)]
fn not_measured<T>() -> Option<T> {
    println!("NOT MEASURED: only root can act as another user");
    None
}

fn set_mode(folder: &Path, mode: u32) {
    fs::set_permissions(folder, Permissions::from_mode(mode)).expect("our own folder");
}

#[test]
fn a_folder_that_we_may_not_write_to_is_told_as_permission_and_nothing_changes() {
    let folder = TempDir::new().unwrap();
    set_mode(folder.path(), 0o755);
    let path = folder.path().join("state");
    fs::write(&path, "old").unwrap();
    let acts: [Act; 4] = [
        |path| replace(path, b"new"),
        |path| remove(path),
        |path| create_dir_all(&path.with_file_name("a/b"), 0o700),
        |path| Lock::acquire(&path.with_file_name("LOCK")).map(drop),
    ];
    for act in acts {
        let Some(result) = as_nobody(|| act(&path)) else {
            return;
        };
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Permission);
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_we_may_not_enter_is_told_as_permission() {
    let folder = TempDir::new().unwrap();
    set_mode(folder.path(), 0o700);
    let path = folder.path().join("state");
    fs::write(&path, "old").unwrap();
    let Some((open, look)) = as_nobody(|| (open_regular(&path).map(drop), facts(&path).map(drop)))
    else {
        return;
    };
    assert_eq!(open.unwrap_err().kind(), ErrorKind::Permission);
    assert_eq!(look.unwrap_err().kind(), ErrorKind::Permission);
}

#[test]
fn the_group_that_cannot_be_kept_gets_no_more_than_everybody() {
    let folder = TempDir::new().unwrap();
    set_mode(folder.path(), 0o777);
    let path = folder.path().join("state");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
    let Some(result) = as_nobody(|| replace(&path, b"new")) else {
        return;
    };
    result.unwrap();
    let found = facts(&path).unwrap();
    assert_eq!((found.uid, found.mode & 0o777), (NOBODY, 0o600));
}

#[test]
fn a_link_in_a_folder_of_another_user_is_refused() {
    let folder = TempDir::new().unwrap();
    let theirs = folder.path().join("theirs");
    let secret = folder.path().join("passwd");
    fs::write(&secret, "old").unwrap();
    fs::create_dir(&theirs).unwrap();
    symlink(&secret, theirs.join("state")).unwrap();
    if !is_root() || chown(&theirs, Some(NOBODY), None).is_err() {
        println!("NOT MEASURED: only root can give a folder away");
        return;
    }
    let error = replace(&theirs.join("state"), b"new").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsSymlink);
    assert_eq!(fs::read(&secret).unwrap(), b"old");
}

#[test]
fn a_temporary_file_of_another_user_is_not_swept() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(".state.mainstay-tmp-0123456789abcdef");
    fs::write(&path, "theirs").unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    if !is_root() || chown(&path, Some(NOBODY), None).is_err() {
        println!("NOT MEASURED: only root can give a file away");
        return;
    }
    assert_eq!(sweep(folder.path()).unwrap(), 0);
    assert!(path.exists());
    chown(&path, Some(rustix::process::geteuid().as_raw()), None).unwrap();
    assert_eq!(sweep(folder.path()).unwrap(), 1);
}

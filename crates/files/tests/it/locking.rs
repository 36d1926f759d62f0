//! One holder at a time, and the next is told who it is.

use mainstay_files::{ErrorKind, Lock};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tempfile::TempDir;

#[test]
fn the_second_is_told_the_process_that_holds_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("LOCK");
    let _held = Lock::acquire(&path).unwrap();
    let error = Lock::acquire(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    let message = format!(
        "`{}` is held by process {}: wait for it, stop it, or use another folder",
        path.display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), message);
    assert_eq!(Lock::holder(&path), Some(std::process::id()));
}

#[test]
fn who_looks_is_told_the_holder_and_since_when() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("LOCK");
    assert_eq!(Lock::held(&path), None);
    let before = mainstay_clock::system().wall();
    let lock = Lock::acquire(&path).unwrap();
    let held = Lock::held(&path).unwrap();
    assert_eq!(held.pid, Some(std::process::id()));
    let now = mainstay_clock::system().wall();
    assert!((before..=now).contains(&held.since.unwrap()), "{held:?}");
    drop(lock);
    assert_eq!(Lock::held(&path), None);
}

#[test]
fn a_lock_that_is_dropped_is_free_and_its_file_stays() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("LOCK");
    assert_eq!(Lock::holder(&path), None);
    drop(Lock::acquire(&path).unwrap());
    assert_eq!(Lock::holder(&path), None);
    assert!(path.exists());
    drop(Lock::acquire(&path).unwrap());
}

#[test]
fn what_a_dead_process_left_locks_nobody_out_and_its_note_is_replaced() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("LOCK");
    fs::write(&path, format!("pid 1\nboot {}\n", "x".repeat(500))).unwrap();
    assert_eq!(Lock::holder(&path), None);
    let _held = Lock::acquire(&path).unwrap();
    let note = fs::read_to_string(&path).unwrap();
    let keys: Vec<&str> = note
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(keys, ["pid", "boot", "locked_ms"]);
    assert!(note.starts_with(&format!("pid {}\n", std::process::id())));
}

#[test]
fn a_holder_without_a_note_is_another_process() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("LOCK");
    let other = fs::File::create(&path).unwrap();
    other.lock().unwrap();
    let error = Lock::acquire(&path).unwrap_err();
    let message = format!(
        "`{}` is held by another process: wait for it, stop it, or use another folder",
        path.display()
    );
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Locked, message)
    );
    assert_eq!(Lock::holder(&path), Some(0));
}

#[test]
fn somebody_who_only_looks_never_keeps_anybody_out() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("LOCK");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    Lock::holder(&path);
                }
            });
        }
        let taken: Vec<_> = (0..2000).map(|_| Lock::acquire(&path).map(drop)).collect();
        is_done.store(true, Ordering::Relaxed);
        assert!(
            taken.iter().all(Result::is_ok),
            "{:?}",
            taken.iter().find(|taken| taken.is_err())
        );
    });
}

#[test]
fn of_many_who_try_at_once_one_has_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("LOCK");
    let start = std::sync::Barrier::new(8);
    let locks: Vec<_> = thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    Lock::acquire(&path)
                })
            })
            .collect();
        tries
            .into_iter()
            .map(|tried| tried.join().unwrap())
            .collect()
    });
    assert_eq!(locks.iter().filter(|lock| lock.is_ok()).count(), 1);
}

#[test]
fn a_lock_file_that_is_a_link_is_refused() {
    let folder = TempDir::new().unwrap();
    let (path, elsewhere) = (folder.path().join("LOCK"), folder.path().join("elsewhere"));
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert_eq!(
        Lock::acquire(&path).unwrap_err().kind(),
        ErrorKind::IsSymlink
    );
    assert!(!elsewhere.exists());
}

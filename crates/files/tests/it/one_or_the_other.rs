//! A reader sees the whole old or the whole new content, whoever else writes.

use mainstay_files::{ErrorKind, create_new, replace, sweep};
use std::fs;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tempfile::TempDir;

const WRITERS: u8 = 64;
const WRITES: usize = 200;

/// Content that shows who wrote it, and whether it is whole: one letter, of a length that belongs to the letter.
fn content(writer: u8) -> Vec<u8> {
    vec![b'A' + writer; 1000 + usize::from(writer) * 77]
}

fn is_whole(bytes: &[u8]) -> bool {
    bytes
        .first()
        .is_some_and(|first| bytes == content(first - b'A'))
}

#[test]
fn sixty_four_writers_of_one_file_never_fail_and_never_mix() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    replace(&path, &content(0)).unwrap();
    let (is_done, start) = (AtomicBool::new(false), Barrier::new(WRITERS.into()));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !is_done.load(Ordering::Relaxed) {
                assert!(is_whole(&fs::read(&path).unwrap()), "read {reads} was torn");
                reads += 1;
            }
            reads
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    start.wait();
                    for _ in 0..WRITES {
                        replace(path, &content(writer)).unwrap();
                    }
                })
            })
            .collect();
        let results: Vec<_> = writers
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        is_done.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok), "a write failed");
        assert!(reader.join().unwrap() > 0, "nobody looked");
    });
    assert!(is_whole(&fs::read(&path).unwrap()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_sweep_meanwhile_disturbs_no_writer() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let path = &path;
                scope.spawn(move || {
                    (0..WRITES).for_each(|_| replace(path, &content(writer)).unwrap());
                })
            })
            .collect();
        while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
            assert_eq!(sweep(folder.path()).unwrap(), 0);
        }
    });
    assert!(is_whole(&fs::read(&path).unwrap()));
}

#[test]
fn of_sixty_four_who_create_one_file_one_succeeds_and_the_others_are_told_that_it_exists() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("once");
    let start = Barrier::new(WRITERS.into());
    let results: Vec<_> = thread::scope(|scope| {
        let creators: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    start.wait();
                    create_new(path, &content(writer)).map(|()| writer)
                })
            })
            .collect();
        creators
            .into_iter()
            .map(|creator| creator.join().unwrap())
            .collect()
    });
    let winners: Vec<u8> = results
        .iter()
        .filter_map(|result| result.as_ref().ok().copied())
        .collect();
    assert_eq!(winners.len(), 1);
    assert!(
        results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .all(|error| error.kind() == ErrorKind::Exists)
    );
    assert_eq!(fs::read(&path).unwrap(), content(*winners.first().unwrap()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_reader_who_has_the_old_file_open_keeps_reading_the_old_content() {
    use std::io::Read;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    replace(&path, b"old").unwrap();
    let mut reader = fs::File::open(&path).unwrap();
    replace(&path, b"new").unwrap();
    let mut seen = String::new();
    reader.read_to_string(&mut seen).unwrap();
    assert_eq!(
        (seen.as_str(), fs::read(&path).unwrap()),
        ("old", b"new".to_vec())
    );
}

#[test]
fn nothing_is_a_content_like_any_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("empty");
    create_new(&path, b"").unwrap();
    replace(&path, b"full").unwrap();
    replace(&path, b"").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_file_that_is_called_like_a_temporary_one_of_other_programs_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("state.tmp");
    fs::write(&other, "a person's").unwrap();
    replace(&folder.path().join("state"), b"ours").unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"a person's");
}

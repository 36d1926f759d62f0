//! Several threads and processes share one cache, and each may be killed at any instant.

use crate::stage::{Stage, disk_bytes, files, get, said};
use mainstay_cache::{Cache, CacheSettings, Lookup, Stored};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The folder that a child process works in.
const FOLDER: &str = "MAINSTAY_TEST_CACHE";

const LIMIT: u64 = 300_000;

fn settings() -> CacheSettings {
    CacheSettings {
        limit_bytes: LIMIT,
        ..CacheSettings::default()
    }
}

fn open(folder: &Path) -> Cache {
    Cache::open(folder, settings(), mainstay_clock::system()).unwrap()
}

fn url(number: usize) -> String {
    format!("https://example.org/{number}")
}

/// What every process stores for a number: sometimes the same as for another one, so that bodies are shared.
fn content(number: usize) -> Vec<u8> {
    let number = number % 150;
    format!("{number}-").repeat(number * 10 + 1).into_bytes()
}

fn judge(cache: &Cache) -> usize {
    let numbers = 0..200;
    let served = numbers.filter(|number| match cache.lookup(&get(&url(*number))) {
        Lookup::Fresh(answer) => {
            assert_eq!(&answer.body[..], content(*number), "{number}");
            true
        }
        _ => false,
    });
    served.count()
}

/// Stores, looks and removes; answers how often it was stored.
fn work(cache: &Cache, rounds: usize, seed: usize) -> usize {
    let mut stored = 0;
    for round in 0..rounds {
        let number = (round * 31 + seed * 17) % 200;
        let response = said(200, &[("cache-control", "max-age=3600")]);
        let kept = cache
            .store(&get(&url(number)), &response, &content(number))
            .unwrap();
        stored += usize::from(matches!(kept, Stored::Kept { .. }));
        let other = (number * 7) % 200;
        if let Lookup::Fresh(answer) = cache.lookup(&get(&url(other))) {
            assert_eq!(&answer.body[..], content(other));
        }
        if round % 20 == 19 {
            cache.invalidate_url(&url(other).parse().unwrap()).unwrap();
        }
        if round % 100 == 99 {
            cache.prune().unwrap();
        }
    }
    stored
}

fn start(test: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn told_folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

#[test]
fn threads_and_processes_share_one_folder() {
    if let Some(folder) = told_folder() {
        work(&open(&folder), 150, std::process::id() as usize);
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("http");
    let test = "many_at_once::threads_and_processes_share_one_folder";
    let children: Vec<Child> = (0..2).map(|_| start(test, &folder)).collect();
    let caches = [open(&folder), open(&folder)];
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let cache = &caches[seed % 2];
            scope.spawn(move || assert!(work(cache, 100, seed) > 0));
        }
    });
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let stats = caches[0].stats().unwrap();
    assert!(judge(&caches[1]) > 0);
    assert!(stats.bytes <= LIMIT, "{}", stats.bytes);
    // Whoever came between whom, nothing was taken for damage, and no body is left alone or missing.
    assert_eq!((stats.damaged, stats.rebuilt), (0, 0));
    let [one, other] = caches;
    drop(other);
    let left = one.stats().unwrap().entries;
    assert_eq!(judge(&one) as u64, left);
    one.clear().unwrap();
    assert!(files(&folder.join("bodies")).is_empty());
}

#[test]
fn what_one_handle_stores_or_removes_the_other_sees_at_once() {
    let stage = Stage::with(settings());
    let other = Cache::open(
        &stage.folder(),
        settings(),
        std::sync::Arc::new(stage.clock.clone()),
    )
    .unwrap();
    stage.put(&url(1), &[], b"x");
    assert!(matches!(other.lookup(&get(&url(1))), Lookup::Fresh(_)));
    other.invalidate_url(&url(1).parse().unwrap()).unwrap();
    assert!(!stage.has(&url(1)));
}

#[test]
fn a_body_that_another_process_takes_for_an_orphan_is_written_again() {
    let stage = Stage::with(settings());
    // Another process has the index for itself.
    let other = rusqlite::Connection::open(stage.folder().join("index.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let storing = scope.spawn(|| stage.put(&url(1), &[], b"the body"));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let bodies = stage.folder().join("bodies");
        while !files(&bodies).iter().any(|path| path.extension().is_none()) {
            assert!(std::time::Instant::now() < deadline, "no body came");
            std::thread::yield_now();
        }
        std::fs::remove_file(stage.body_file()).unwrap();
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(storing.join().unwrap(), Stored::Kept { evicted: 0 });
    });
    assert_eq!(&stage.fresh(&url(1)).unwrap().body[..], b"the body");
}

#[test]
fn killed_at_any_moment_it_serves_nothing_wrong_and_stays_within_its_limit() {
    if let Some(folder) = told_folder() {
        let cache = open(&folder);
        println!("ready");
        loop {
            work(&cache, 1_000, 3);
        }
    }
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("http");
    let test =
        "many_at_once::killed_at_any_moment_it_serves_nothing_wrong_and_stays_within_its_limit";
    let mut served = 0;
    for life in 0..8 {
        let mut child = start(test, &folder);
        wait_until_ready(&mut child);
        // Each life is as long as it takes to find so many changes on the disk: no two are killed in the same place.
        wait_for_changes(&folder, 3 + life * 11);
        child.kill().unwrap();
        child.wait().unwrap();
        let cache = open(&folder);
        let stats = cache.stats().unwrap();
        assert!(stats.bytes <= LIMIT, "life {life}: {}", stats.bytes);
        served += judge(&cache);
        let stats = cache.stats().unwrap();
        assert_eq!((stats.damaged, stats.rebuilt), (0, 0), "life {life}");
    }
    assert!(served > 0);
    let cache = open(&folder);
    cache.clear().unwrap();
    drop(cache);
    assert!(disk_bytes(&folder) < 100_000);
}

fn wait_until_ready(child: &mut Child) {
    let mut said = Vec::new();
    let stdout = child.stdout.as_mut().unwrap();
    while !said.ends_with(b"ready\n") {
        let mut byte = [0];
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "the child ended early");
        said.push(byte[0]);
    }
}

fn wait_for_changes(folder: &Path, changes: usize) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let names = || {
        let listed = std::fs::read_dir(folder.join("bodies")).unwrap();
        let names = listed.map(|entry| entry.unwrap().file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let (mut before, mut seen) = (names(), 0);
    while seen < changes {
        assert!(std::time::Instant::now() < deadline, "nothing happens");
        let now = names();
        seen += usize::from(now != before);
        before = now;
        std::thread::yield_now();
    }
}

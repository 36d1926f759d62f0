//! F1 and F2 under SIGKILL: a process that takes files is killed at random moments while files come, and the books balance.

use crate::bench::{Folders, Mount};
use crate::route::{Random, Route, assert_success, is_child, wait};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

const TEST: &str = "killed::killed_at_random_moments_it_loses_and_doubles_nothing";

/// After so many kills it is left in peace to finish.
const KILLS_MAX: usize = 80;

fn kill_until_drained(folders: &Folders) {
    let seed = mainstay_clock::system().wall();
    let route = Route {
        folder: folders.root.path().to_owned(),
        books: folders.path("books"),
        files: 1_000,
    };
    std::fs::create_dir_all(&route.books).unwrap();
    std::fs::create_dir_all(folders.drop_path("sub")).unwrap();
    let kills = std::thread::scope(|scope| {
        scope.spawn(|| produce(&route));
        kill(&route, seed)
    });
    println!("killed {kills} times, seed {seed}");
    assert!(kills > 5, "hardly killed");
    route.judge(seed);
}

/// Kills until all is taken; answers how often.
fn kill(route: &Route, seed: u64) -> usize {
    let mut random = Random(seed);
    for kills in 0.. {
        let mut child = route.start(TEST);
        let is_last = kills >= KILLS_MAX;
        let patience = Duration::from_millis(if is_last {
            120_000
        } else {
            3 + random.below(50)
        });
        if let Some(status) = wait(&mut child, patience) {
            assert_success(&mut child, status, seed);
            return kills;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_last, "not drained in time, seed {seed}");
    }
    unreachable!("the loop has no end")
}

/// Drops files: few names for many where they are taken away, so that they collide; a name is used again when it is free.
fn produce(route: &Route) {
    let keeps = route.books.join("keep").exists();
    for number in 0..route.files {
        let folder = if number % 3 == 0 { "drop/sub" } else { "drop" };
        let path = route
            .folder
            .join(folder)
            .join((if keeps { number } else { number % 40 }).to_string());
        let draft = route.folder.join("draft");
        std::fs::write(&draft, Route::content(number)).unwrap();
        let deadline = Instant::now() + Duration::from_mins(2);
        while !moved_in(&draft, &path) {
            assert!(
                Instant::now() < deadline,
                "`{}` is not taken",
                path.display()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    mainstay_files::create_new(&route.books.join("produced"), b"").unwrap();
}

fn moved_in(draft: &Path, path: &Path) -> bool {
    let dev = |path: &Path| path.metadata().unwrap().dev();
    if dev(draft) == dev(path.parent().unwrap()) {
        return renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE).is_ok();
    }
    if path.exists() {
        return false;
    }
    // Onto another file system a producer copies, under a name that is not taken yet.
    let there = path.with_extension("tmp");
    std::fs::copy(draft, &there).unwrap();
    std::fs::rename(there, path).unwrap();
    true
}

#[test]
fn killed_at_random_moments_it_loses_and_doubles_nothing() {
    if !is_child() {
        kill_until_drained(&Folders::new());
    }
}

#[test]
fn killed_at_random_moments_across_file_systems_it_loses_and_doubles_nothing() {
    let folders = Folders::new();
    let Some(_mount) = Mount::new("tmpfs", "size=64m", folders.path("drop")) else {
        return;
    };
    kill_until_drained(&folders);
}

#[test]
fn killed_at_random_moments_where_files_stay_it_loses_and_doubles_nothing() {
    let folders = Folders::new();
    std::fs::create_dir(folders.path("books")).unwrap();
    std::fs::write(folders.path("books/keep"), "").unwrap();
    kill_until_drained(&folders);
}

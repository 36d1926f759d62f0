//! F1, F2 and F5 under power cuts: the file system under the route stops dead at random moments, and comes back with what had
//! reached the disk. The books are on another disk, as the queue may be: nothing but our own syncs holds the two together.

use crate::bench::{Folders, Mount};
use crate::route::{Random, Route, assert_success, is_child, wait};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const TEST: &str = "power_cut::power_cuts_at_random_moments_lose_and_double_nothing";

const CUTS: usize = 60;

/// `_IOR('X', 125, u32)`: the file system goes down.
const GOING_DOWN: libc::c_ulong = 0x8004_587d;

/// Nothing that is in memory reaches the disk any more, the journal included.
const NOLOGFLUSH: u32 = 2;

/// The journal is written, and the data is not: a file may be there, and empty.
const LOGFLUSH: u32 = 1;

fn cut(folder: &Path, mode: u32) {
    let folder = File::open(folder).unwrap();
    #[expect(unsafe_code, reason = "there is no safe call for it")]
    // SAFETY: the descriptor is open, and the kernel reads one u32 from the pointer, which lives until after the call.
    let answer = unsafe { libc::ioctl(folder.as_raw_fd(), GOING_DOWN, &raw const mode) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

/// An ext4 file system in a file, mounted; `None`, and a word about it, where that is refused.
fn image(folders: &Folders) -> Option<Mount> {
    let image = folders.path("image");
    File::create(&image)
        .unwrap()
        .set_len(96 * 1024 * 1024)
        .unwrap();
    let made = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("NOT MEASURED: there is no mkfs.ext4");
        return None;
    }
    Mount::of(&image, "ext4", "loop", folders.path("disk"))
}

fn route(folders: &Folders, files: usize) -> Route {
    let route = Route {
        folder: folders.path("disk"),
        books: folders.path("books"),
        files,
    };
    std::fs::create_dir(&route.books).unwrap();
    std::fs::create_dir_all(route.folder.join("drop/sub")).unwrap();
    route
}

fn drop_file(route: &Route, number: usize) {
    let folder = if number.is_multiple_of(3) {
        "drop/sub"
    } else {
        "drop"
    };
    let draft = route.folder.join("draft");
    std::fs::write(&draft, Route::content(number)).unwrap();
    std::fs::rename(draft, route.folder.join(folder).join(number.to_string())).unwrap();
}

fn cut_until_drained(mode: u32, keeps: bool) {
    let folders = Folders::new();
    let Some(mut mount) = image(&folders) else {
        return;
    };
    let seed = mainstay_clock::system().wall();
    let mut random = Random(seed);
    let route = route(&folders, 300);
    if keeps {
        std::fs::write(route.books.join("keep"), "").unwrap();
    }
    for number in 0..route.files {
        drop_file(&route, number);
    }
    mainstay_files::sync_filesystem(&route.folder).unwrap();
    std::fs::write(route.books.join("produced"), "").unwrap();
    let mut cuts = 0;
    while cuts < CUTS && !route.books.join("drained").exists() {
        let mut child = route.start(TEST);
        wait(&mut child, Duration::from_millis(5 + random.below(60)));
        cut(&route.folder, mode);
        drop(child.kill());
        child.wait().unwrap();
        mount.again();
        cuts += 1;
    }
    finish(&route, seed);
    println!("cut {cuts} times, mode {mode}, seed {seed}");
    assert!(cuts > 5, "hardly cut");
    route.judge(seed);
}

/// The last process is left in peace.
fn finish(route: &Route, seed: u64) {
    let mut child = route.start(TEST);
    let status =
        wait(&mut child, Duration::from_mins(2)).expect("it finishes when it is left in peace");
    assert_success(&mut child, status, seed);
}

/// The producer never syncs, as most do: what was committed has a whole original all the same.
#[test]
fn power_cuts_leave_no_document_without_its_whole_original() {
    let folders = Folders::new();
    let Some(mut mount) = image(&folders) else {
        return;
    };
    let seed = mainstay_clock::system().wall();
    let mut random = Random(seed);
    let route = route(&folders, 0);
    let mut number = 0;
    for _ in 0..CUTS / 2 {
        let mut child = route.start(TEST);
        for _ in 0..30 {
            drop_file(&route, number);
            number += 1;
            std::thread::sleep(Duration::from_millis(random.below(3)));
        }
        cut(&route.folder, LOGFLUSH);
        drop(child.kill());
        child.wait().unwrap();
        mount.again();
    }
    std::fs::write(route.books.join("produced"), "").unwrap();
    finish(&route, seed);
    route.judge_documents(seed);
}

#[test]
fn power_cuts_at_random_moments_lose_and_double_nothing() {
    if !is_child() {
        cut_until_drained(NOLOGFLUSH, false);
    }
}

#[test]
fn power_cuts_that_leave_names_without_content_lose_and_double_nothing() {
    cut_until_drained(LOGFLUSH, false);
}

#[test]
fn power_cuts_where_files_stay_lose_and_double_nothing() {
    cut_until_drained(NOLOGFLUSH, true);
}

//! Whatever happens to its files, the cache serves what a server sent, or nothing.

use crate::stage::{PAGE, Stage, asked, body, files, get};
use http::Method;
use mainstay_cache::{Cache, CacheSettings};
use mainstay_clock::ManualClock;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

fn flip(path: &Path, at: u64) {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
}

fn index(folder: &Path) -> PathBuf {
    folder.join("index.sqlite")
}

fn set_aside(folder: &Path) -> usize {
    let all = files(folder).into_iter();
    let aside = all.filter(|path| path.to_str().unwrap().contains("damaged-"));
    aside.count()
}

#[test]
fn a_body_that_is_not_what_was_stored_is_dropped_and_missed() {
    let damages: [fn(&Path); 5] = [
        |path| flip(path, 3),
        |path| fs::write(path, "cut").unwrap(),
        |path| fs::write(path, "longer than it was").unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    for damage in damages {
        let stage = Stage::new();
        stage.put(PAGE, &[], b"the body");
        let path = stage.body_file();
        damage(&path);
        assert!(!stage.has(PAGE));
        assert!(!path.exists());
        let stats = stage.stats();
        assert_eq!((stats.damaged, stats.entries, stats.misses), (1, 0, 1));
        // Asked for again, it is stored again.
        stage.put(PAGE, &[], b"the body");
        assert_eq!(&stage.fresh(PAGE).unwrap().body[..], b"the body");
    }
}

/// Its length alone was looked at, so that what had rotted once was stored, and missed, again and again.
#[test]
fn a_body_that_rotted_is_written_anew_when_it_is_stored_again() {
    let stage = Stage::new();
    stage.put("https://example.org/other", &[], b"the body");
    flip(&stage.body_file(), 3);
    stage.put(PAGE, &[], b"the body");
    assert_eq!(&stage.fresh(PAGE).unwrap().body[..], b"the body");
    assert!(stage.has("https://example.org/other"));
}

#[cfg(unix)]
#[test]
fn a_link_or_a_folder_in_the_place_of_a_body_is_not_followed() {
    let stage = Stage::new();
    stage.put(PAGE, &[], b"the body");
    let path = stage.body_file();
    let outside = stage.folder().join("outside");
    fs::write(&outside, "the body").unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&outside, &path).unwrap();
    assert!(!stage.has(PAGE));
    assert!(outside.exists());
    stage.put(PAGE, &[], b"the body");
    assert!(stage.fresh(PAGE).is_some());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(!stage.has(PAGE));
}

#[test]
fn a_row_that_rotted_is_dropped_alone() {
    let stage = Stage::new();
    stage.put(PAGE, &[("x-mark", "TRUE-VALUE")], b"x");
    stage.put("https://example.org/other", &[], b"y");
    let rot = |folder: &Path| {
        let bytes = fs::read(index(folder)).unwrap();
        let at = bytes.windows(10).position(|window| window == b"TRUE-VALUE");
        flip(&index(folder), at.unwrap() as u64);
    };
    let stage = stage.reopened(CacheSettings::default(), rot);
    assert!(!stage.has(PAGE));
    assert!(stage.has("https://example.org/other"));
    let stats = stage.stats();
    assert_eq!((stats.damaged, stats.rebuilt, stats.entries), (1, 0, 1));
    let left = files(&stage.folder().join("bodies"));
    assert_eq!(left.len(), 1, "its body goes with it");
}

#[test]
fn putting_in_order_finds_rows_that_rotted_before_anybody_asks() {
    let stage = Stage::new();
    stage.put(PAGE, &[("x-mark", "TRUE-VALUE")], b"x");
    let rot = |folder: &Path| {
        let bytes = fs::read(index(folder)).unwrap();
        let at = bytes.windows(10).position(|window| window == b"TRUE-VALUE");
        flip(&index(folder), at.unwrap() as u64);
    };
    let stage = stage.reopened(CacheSettings::default(), rot);
    assert_eq!(stage.cache.prune().unwrap().damaged, 1);
    assert_eq!(stage.stats().entries, 0);
    assert!(files(&stage.folder().join("bodies")).is_empty());
}

#[test]
fn a_damaged_index_is_set_aside_once_and_begun_anew() {
    let damages: [fn(&Path); 5] = [
        |path| {
            // Sound, but nothing is counted any more.
            let other = rusqlite::Connection::open(path).unwrap();
            other.execute_batch("DROP TRIGGER totals_added").unwrap();
        },
        |path| fs::write(path, "no index at all, and long enough to be looked at").unwrap(),
        |path| flip(path, 0),
        |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(5_000).unwrap();
        },
        |path| {
            // Sound, but another's.
            fs::remove_file(path).unwrap();
            let other = rusqlite::Connection::open(path).unwrap();
            other.execute_batch("CREATE TABLE entries (a)").unwrap();
        },
    ];
    let mut stage = Stage::new();
    for (round, damage) in (1..).zip(damages) {
        stage.put(PAGE, &[], b"x");
        stage = stage.reopened(CacheSettings::default(), |folder| damage(&index(folder)));
        assert!(!stage.has(PAGE));
        assert_eq!(set_aside(&stage.folder()), 1, "{round}");
        assert!(files(&stage.folder().join("bodies")).is_empty());
        assert_eq!(stage.stats().rebuilt, 1, "{round}");
    }
    stage.put(PAGE, &[], b"x");
    assert!(stage.has(PAGE));
    stage.cache.clear().unwrap();
    assert_eq!(set_aside(&stage.folder()), 0);
}

#[test]
fn an_index_that_is_damaged_while_it_is_open_is_begun_anew_without_an_error() {
    let stage = Stage::new();
    for number in 0..50 {
        stage.put(
            &format!("https://example.org/{number}"),
            &[],
            &body(number, 10),
        );
    }
    // The log is empty from here on: what is read is the file itself. Somebody else's change makes the cache read it anew.
    stage.cache.prune().unwrap();
    let side = rusqlite::Connection::open(index(&stage.folder())).unwrap();
    side.execute_batch("INSERT INTO counters VALUES ('another', 1)")
        .unwrap();
    let len = index(&stage.folder()).metadata().unwrap().len();
    let file = fs::File::options()
        .write(true)
        .open(index(&stage.folder()))
        .unwrap();
    file.write_all_at(&vec![0xA5; len as usize - 100], 100)
        .unwrap();
    assert!(!stage.has("https://example.org/7"));
    stage.put(PAGE, &[], b"x");
    assert!(stage.has(PAGE));
    assert_eq!(set_aside(&stage.folder()), 1);
    assert_eq!(stage.stats().rebuilt, 1);
    drop((side, file));
}

#[test]
fn an_index_that_another_process_began_anew_is_found_again() {
    let stage = Stage::new();
    stage.put(PAGE, &[], b"x");
    fs::rename(
        index(&stage.folder()),
        stage.folder().join("index.sqlite.damaged-1"),
    )
    .unwrap();
    let other = Cache::open(
        &stage.folder(),
        CacheSettings::default(),
        Arc::new(stage.clock.clone()),
    )
    .unwrap();
    assert!(!stage.has(PAGE));
    other
        .store(&get(PAGE), &crate::stage::said(200, &[]), b"y")
        .unwrap();
    assert_eq!(&stage.fresh(PAGE).unwrap().body[..], b"y");
}

#[test]
fn what_rotted_away_about_use_lifts_no_limit() {
    let stage = Stage::new();
    for number in 0..5 {
        stage.put(
            &format!("https://example.org/{number}"),
            &[],
            &body(number, 10),
        );
    }
    let rot = |folder: &Path| {
        let other = rusqlite::Connection::open(index(folder)).unwrap();
        other.execute_batch("DELETE FROM uses").unwrap();
    };
    let stage = stage.reopened(CacheSettings::default(), rot);
    assert_eq!(stage.cache.prune_to(0).unwrap(), 5);
    assert_eq!(stage.stats().bytes, 0);
}

#[test]
fn an_index_that_somebody_removes_is_made_anew() {
    let stage = Stage::new();
    stage.put(PAGE, &[], b"x");
    fs::remove_file(index(&stage.folder())).unwrap();
    assert!(!stage.has(PAGE));
    let bodies = stage.folder().join("bodies");
    assert!(files(&bodies).is_empty(), "no entry leads to it any more");
    stage.put(PAGE, &[], b"y");
    assert_eq!(&stage.fresh(PAGE).unwrap().body[..], b"y");
    assert_eq!(stage.stats().rebuilt, 1);
    let stage = stage.reopened(CacheSettings::default(), |folder| {
        fs::remove_file(index(folder)).unwrap();
    });
    assert!(files(&bodies).is_empty());
    assert_eq!(stage.stats().rebuilt, 1);
    // One that was never there was not lost.
    assert_eq!(Stage::new().stats().rebuilt, 0);
}

const NUMBERS: usize = 6;

const KINDS: [&str; 3] = ["a", "b", "c"];

/// A cache that was filled: as a kill leaves it, and as it is closed.
static WHOLE: LazyLock<[TempDir; 2]> = LazyLock::new(|| {
    let [killed, closed] = [(); 2].map(|()| TempDir::new().unwrap());
    let cache = open(closed.path());
    fill(&cache);
    assert_eq!(judge(&cache), NUMBERS * KINDS.len());
    copy(closed.path(), killed.path());
    drop(cache);
    [killed, closed]
});

fn open(folder: &Path) -> Cache {
    Cache::open(
        folder,
        CacheSettings::default(),
        Arc::new(ManualClock::new()),
    )
    .unwrap()
}

/// What is served for `number` and `kind`, whoever asks and whenever.
fn content(number: usize, kind: &str) -> Vec<u8> {
    format!("{number} {kind} ")
        .repeat(number * 40 + 1)
        .into_bytes()
}

fn request(number: usize, kind: &str) -> http::request::Parts {
    let url = format!("https://example.org/{number}");
    asked(Method::GET, &url, &[("x-kind", kind)])
}

fn fill(cache: &Cache) {
    for number in 0..NUMBERS {
        for kind in KINDS {
            let mark = format!("{number} {kind}");
            let response = crate::stage::said(
                200,
                &[
                    ("vary", "x-kind"),
                    ("cache-control", "max-age=60"),
                    ("x-mark", &mark),
                ],
            );
            cache
                .store(&request(number, kind), &response, &content(number, kind))
                .unwrap();
        }
    }
}

/// All that is served is right; answers how much of it there is.
fn judge(cache: &Cache) -> usize {
    let mut served = 0;
    for number in 0..NUMBERS {
        for kind in KINDS {
            if let Some(answer) = cache.offline(&request(number, kind)) {
                assert_eq!(&answer.body[..], content(number, kind));
                assert_eq!(answer.headers["x-mark"], format!("{number} {kind}"));
                assert_eq!(answer.headers["cache-control"], "max-age=60");
                assert_eq!(answer.status, 200);
                served += 1;
            }
        }
    }
    served
}

/// One thing that happens to a file.
#[derive(Debug, Clone)]
enum Harm {
    Flip(f64),
    Zero(f64, u16),
    Garbage(f64, Vec<u8>),
    Cut(f64),
    Swap(usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (0.0..1.0).prop_map(Harm::Flip),
        (0.0..1.0, 1..9_000_u16).prop_map(|(at, len)| Harm::Zero(at, len)),
        (0.0..1.0, prop::collection::vec(any::<u8>(), 1..64))
            .prop_map(|(at, bytes)| Harm::Garbage(at, bytes)),
        (0.0..1.0).prop_map(Harm::Cut),
        any::<usize>().prop_map(Harm::Swap),
    ]
}

fn inflict(harm: &Harm, path: &Path, all: &[PathBuf]) {
    let mut bytes = fs::read(path).unwrap();
    let place = |part: f64| (part * bytes.len() as f64) as usize;
    match harm {
        Harm::Swap(other) => {
            bytes = fs::read(&all[other % all.len()]).unwrap();
        }
        _ if bytes.is_empty() => return,
        Harm::Flip(at) => {
            let at = place(*at);
            bytes[at] ^= 1 << (at % 8);
        }
        Harm::Zero(at, len) => {
            let (at, end) = (place(*at), bytes.len());
            bytes[at..(at + usize::from(*len)).min(end)].fill(0);
        }
        Harm::Garbage(at, garbage) => {
            let at = place(*at);
            for (byte, new) in bytes[at..].iter_mut().zip(garbage) {
                *byte = *new;
            }
        }
        Harm::Cut(at) => bytes.truncate(place(*at)),
    }
    fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_whichever_file_nothing_wrong_is_served(
        harms in prop::collection::vec((any::<prop::sample::Index>(), harm()), 1..6),
        is_with_log in any::<bool>(),
    ) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("harmed");
        // Copied while it was open, its log is there, too; as after a kill.
        let [killed, closed] = &*WHOLE;
        copy(if is_with_log { killed.path() } else { closed.path() }, &folder);
        // The index and its log are as likely as all bodies together.
        let all = files(&folder);
        let (bodies, others): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|path| path.to_str().unwrap().contains("bodies"));
        for (which, harm) in &harms {
            let place = which.index(2 * bodies.len());
            let path = bodies.get(place).unwrap_or_else(|| &others[place % others.len()]);
            inflict(harm, path, &all);
        }
        let cache = open(&folder);
        judge(&cache);
        fill(&cache);
        judge(&cache);
        cache.prune().unwrap();
        judge(&cache);
        cache.invalidate_host("example.org").unwrap();
        cache.clear().unwrap();
        prop_assert_eq!(judge(&cache), 0);
        fill(&cache);
        prop_assert_eq!(judge(&cache), NUMBERS * KINDS.len());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("bodies")).unwrap();
    for path in files(from) {
        fs::copy(&path, to.join(path.strip_prefix(from).unwrap())).unwrap();
    }
}

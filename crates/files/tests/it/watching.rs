//! What others do to a watched file is told, and nothing else is.

use mainstay_files::{
    Backups, Change, ChangeKind, ErrorKind, Resolution, Save, Saved, Watch, WatchOptions, replace,
};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Looks quickly, and only where it was told to.
const BY_EVENTS: WatchOptions = WatchOptions {
    quiet: Duration::from_millis(20),
    patience: Duration::from_millis(200),
    look_every: Duration::from_millis(20),
    rescan_every: Duration::from_hours(1),
};

/// Looks quickly, without having been told.
const BY_LOOKING: WatchOptions = WatchOptions {
    rescan_every: Duration::from_millis(20),
    ..BY_EVENTS
};

struct Place {
    root: TempDir,
    path: PathBuf,
    /// Another watched file: once its change is told, nothing was told of what was done before.
    end: PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let (path, end) = (root.path().join("report.csv"), root.path().join("end"));
        fs::write(&path, "a\n").unwrap();
        fs::write(&end, "0").unwrap();
        Self { root, path, end }
    }

    fn watch(&self, options: WatchOptions) -> Watch {
        Watch::start(&[&self.path, &self.end], options).unwrap()
    }

    /// What is told of what was done so far; each file is told of once at most.
    fn told(&self, watch: &mut Watch) -> Vec<Change> {
        let mut number: u32 = text(&self.end).parse().unwrap();
        number += 1;
        fs::write(&self.end, number.to_string()).unwrap();
        let mut told = Vec::new();
        loop {
            let change = watch.next(PATIENCE).expect("the last change is told");
            if change.path == self.end {
                return told;
            }
            told.push(change);
        }
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn rename_over(path: &Path, content: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, content).unwrap();
    fs::rename(beside, path).unwrap();
}

fn lens(change: &Change) -> [Option<u64>; 2] {
    [change.before, change.stamp].map(|stamp| stamp.map(|stamp| stamp.facts().len))
}

#[test]
fn every_way_in_which_programs_save_is_told_once_as_what_it_is() {
    type Deed = fn(&Path);
    let deeds: [(&str, Deed, &[ChangeKind], Option<u64>); 7] = [
        (
            "truncate and write",
            |path| fs::write(path, "abc\n").unwrap(),
            &[ChangeKind::Changed],
            Some(4),
        ),
        (
            "append",
            |path| {
                let mut file = fs::File::options().append(true).open(path).unwrap();
                file.write_all(b"b\n").unwrap();
            },
            &[ChangeKind::Changed],
            Some(4),
        ),
        (
            "write in place, as long as before",
            |path| {
                let mut file = fs::File::options().write(true).open(path).unwrap();
                file.write_all(b"A").unwrap();
            },
            &[ChangeKind::Changed],
            Some(2),
        ),
        (
            "rename over",
            |path| rename_over(path, "new\n"),
            &[ChangeKind::Replaced],
            Some(4),
        ),
        (
            "move aside and write anew",
            |path| {
                fs::rename(path, path.with_extension("csv~")).unwrap();
                fs::write(path, "new\n").unwrap();
            },
            &[ChangeKind::Replaced],
            Some(4),
        ),
        (
            "delete",
            |path| fs::remove_file(path).unwrap(),
            &[ChangeKind::Deleted],
            None,
        ),
        (
            // The system may give the new file the old one's number.
            "delete and write anew",
            |path| {
                fs::remove_file(path).unwrap();
                fs::write(path, "new\n").unwrap();
            },
            &[ChangeKind::Changed, ChangeKind::Replaced],
            Some(4),
        ),
    ];
    for (name, deed, kinds, len) in deeds {
        for options in [BY_EVENTS, BY_LOOKING] {
            let place = Place::new();
            let mut watch = place.watch(options);
            deed(&place.path);
            let change = watch.next(PATIENCE).expect(name);
            assert_eq!(change.path, place.path);
            assert!(kinds.contains(&change.kind), "{name}: {change:?}");
            assert_eq!(lens(&change), [Some(2), len], "{name}");
            assert_eq!(place.told(&mut watch), [], "{name}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_yet_is_told_when_it_comes() {
    let place = Place::new();
    fs::remove_file(&place.path).unwrap();
    let mut watch = place.watch(BY_EVENTS);
    assert_eq!(place.told(&mut watch), []);
    rename_over(&place.path, "there\n");
    let change = watch.next(PATIENCE).unwrap();
    assert_eq!(
        (change.kind, lens(&change)),
        (ChangeKind::Created, [None, Some(6)])
    );
}

#[test]
fn what_leaves_the_content_alike_is_not_told() {
    let place = Place::new();
    let mut watch = place.watch(BY_EVENTS);
    fs::write(&place.path, "a\n").unwrap();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o600)).unwrap();
    rename_over(&place.path, "a\n");
    fs::write(&place.path, "changed").unwrap();
    fs::write(&place.path, "a\n").unwrap();
    fs::write(place.root.path().join("another"), "").unwrap();
    assert_eq!(place.told(&mut watch), []);
    let mut watch = place.watch(BY_LOOKING);
    let file = fs::File::options().write(true).open(&place.path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(place.told(&mut watch), []);
}

#[test]
fn our_own_saves_are_not_told_and_somebody_elses_in_between_are() {
    let place = Place::new();
    let mut watch = place.watch(BY_EVENTS);
    let ours = watch.ours();
    let backups = Backups::open(&place.root.path().join("backups")).unwrap();
    for number in 0..5 {
        let content = format!("ours {number}");
        ours.will_write(&place.path, content.as_bytes());
        if number % 2 == 0 {
            replace(&place.path, content.as_bytes()).unwrap();
        } else {
            backups.replace(&place.path, content.as_bytes()).unwrap();
        }
        if number < 3 {
            assert_eq!(place.told(&mut watch), []);
        }
    }
    ours.will_remove(&place.path);
    fs::remove_file(&place.path).unwrap();
    assert_eq!(place.told(&mut watch), []);

    ours.will_write(&place.path, b"ours");
    replace(&place.path, b"ours").unwrap();
    fs::write(&place.path, "theirs").unwrap();
    let change = watch.next(PATIENCE).unwrap();
    assert_eq!(change.kind, ChangeKind::Created);
    assert_eq!(text(&place.path), "theirs");
}

#[test]
fn what_was_reloaded_is_known_and_is_what_a_save_is_compared_with() {
    let place = Place::new();
    let mut watch = place.watch(BY_EVENTS);
    fs::write(&place.path, "theirs").unwrap();
    let (stamp, content) = watch.reload(&place.path).unwrap();
    assert_eq!(content, b"theirs");
    assert_eq!(place.told(&mut watch), []);

    rename_over(&place.path, "theirs again");
    let save = Save::new(&place.path, b"mine").since(&stamp);
    assert_eq!(save.resolve(&Resolution::Skip).unwrap(), Saved::Skipped);
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Replaced);
    let error = watch.reload(&place.root.path().join("other")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_folder_that_vanishes_and_returns_is_watched_again() {
    let place = Place::new();
    let (folder, away) = (place.root.path().join("in"), place.root.path().join("away"));
    fs::create_dir(&folder).unwrap();
    let path = folder.join("x");
    fs::write(&path, "one").unwrap();
    let mut watch = Watch::start(&[&path, &place.end], BY_EVENTS).unwrap();

    fs::rename(&folder, &away).unwrap();
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Deleted);
    fs::rename(&away, &folder).unwrap();
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Created);
    fs::write(&path, "two").unwrap();
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Changed);

    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Deleted);
    fs::create_dir(&folder).unwrap();
    fs::write(&path, "three").unwrap();
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Created);
    rename_over(&path, "four");
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Replaced);
}

#[test]
fn a_link_is_followed_wherever_it_leads_by_now() {
    let place = Place::new();
    let root = place.root.path();
    for version in ["v1", "v2"] {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("conf"), version).unwrap();
    }
    symlink("v1", root.join("now")).unwrap();
    symlink("now/conf", root.join("conf")).unwrap();
    let mut watch = Watch::start(&[root.join("conf")], BY_LOOKING).unwrap();
    fs::write(root.join("v1/conf"), "in place").unwrap();
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Changed);
    // All at once, as whoever hands out settings does it: nothing happens in a folder that the link or its file is in.
    symlink("v2", root.join("next")).unwrap();
    fs::rename(root.join("next"), root.join("now")).unwrap();
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Replaced);
    let (_, content) = watch.reload(&root.join("conf")).unwrap();
    assert_eq!(content, b"v2");
}

#[test]
fn an_overflow_of_events_hides_no_change() {
    let place = Place::new();
    let mut watch = place.watch(BY_EVENTS);
    let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
    let Some(most) = most.ok().and_then(|most| most.trim().parse::<u32>().ok()) else {
        println!("NOT MEASURED: how many events the system keeps is not told");
        return;
    };
    // Each makes two events at least, and none is like the one before.
    let other = place.root.path().join("other");
    for _ in 0..=most / 2 {
        fs::write(&other, "").unwrap();
        fs::remove_file(&other).unwrap();
    }
    fs::write(&place.path, "changed\n").unwrap();
    let change = watch.next(PATIENCE).unwrap();
    assert_eq!(
        (change.path, change.kind),
        (place.path, ChangeKind::Changed)
    );
}

#[test]
fn a_file_that_never_rests_is_told_of_all_the_same() {
    let place = Place::new();
    let mut watch = place.watch(BY_EVENTS);
    let is_told = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::options().append(true).open(&place.path).unwrap();
            while !is_told.load(Ordering::Relaxed) {
                file.write_all(b"more\n").unwrap();
                std::thread::yield_now();
            }
        });
        let change = watch.next(PATIENCE);
        is_told.store(true, Ordering::Relaxed);
        assert_eq!(change.unwrap().kind, ChangeKind::Changed);
    });
}

#[test]
fn what_cannot_be_read_is_told_with_the_reason_and_once() {
    let place = Place::new();
    let mut watch = place.watch(BY_LOOKING);
    fs::remove_file(&place.path).unwrap();
    fs::create_dir(&place.path).unwrap();
    let told: Vec<ChangeKind> = place
        .told(&mut watch)
        .iter()
        .map(|change| change.kind)
        .collect();
    let unreadable = ChangeKind::Unreadable(ErrorKind::NotRegular);
    assert!(
        told == [unreadable] || told == [ChangeKind::Deleted, unreadable],
        "{told:?}"
    );
    assert_eq!(place.told(&mut watch), []);
    fs::remove_dir(&place.path).unwrap();
    assert_eq!(watch.next(PATIENCE).unwrap().kind, ChangeKind::Deleted);
}

#[test]
fn what_cannot_be_watched_is_refused_at_the_start() {
    let place = Place::new();
    let kind = |path: &Path| {
        let refused = Watch::start(&[path], BY_EVENTS).unwrap_err();
        (refused.kind(), refused.to_string())
    };
    let missing = place.root.path().join("missing/x");
    let (refused, message) = kind(&missing);
    assert_eq!(refused, ErrorKind::NotFound);
    let folder = missing.parent().unwrap().display();
    assert_eq!(
        message,
        format!(
            "cannot watch `{}`: the folder `{folder}` does not exist",
            missing.display()
        )
    );
    assert_eq!(kind(place.root.path()).0, ErrorKind::NotRegular);
    assert_eq!(kind(Path::new("/")).0, ErrorKind::NameInvalid);
}

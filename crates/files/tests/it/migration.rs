//! A folder gets another place, whole, and nothing that is there is ever overwritten.

use crate::tmpfs::Tmpfs;
use mainstay_clock::ManualClock;
use mainstay_files::{Error, ErrorKind, Lock, Migrated, Migration, Space, Way};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const NO_RESERVE: Space = Space {
    bytes: 0,
    inodes: 0,
};

/// What one path is: mode, time, and content or target.
type Seen = BTreeMap<PathBuf, (u32, SystemTime, Vec<u8>)>;

fn lay_out(old: &Path) {
    fs::create_dir_all(old.join("queue/deep/deeper")).unwrap();
    fs::create_dir(old.join("empty")).unwrap();
    let odd = OsStr::from_bytes(b"m\xfcll\n.csv");
    let long = "x".repeat(255);
    for (name, len) in [
        (OsStr::new("state.json"), 10),
        (OsStr::new("queue/seg-1.log"), 700_000),
        (OsStr::new("queue/deep/deeper/nothing"), 0),
        (OsStr::new(&long), 1),
        (odd, 3),
    ] {
        fs::write(old.join(name), vec![7; len]).unwrap();
    }
    symlink("queue/seg-1.log", old.join("link")).unwrap();
    symlink("queue", old.join("link-to-folder")).unwrap();
    symlink("/nowhere/at/all", old.join("dangling")).unwrap();
    let set = |name: &str, mode| {
        fs::set_permissions(old.join(name), Permissions::from_mode(mode)).unwrap();
    };
    set("state.json", 0o600);
    set("queue/seg-1.log", 0o440);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_000);
    for name in ["queue/seg-1.log", "queue/deep"] {
        let file = fs::File::open(old.join(name)).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    set("queue/deep", 0o555);
    set("", 0o750);
}

fn look(folder: &Path) -> Seen {
    let mut seen = Seen::new();
    look_below(folder, Path::new(""), &mut seen);
    seen
}

fn look_below(folder: &Path, below: &Path, seen: &mut Seen) {
    let path = folder.join(below);
    let facts = fs::symlink_metadata(&path).unwrap();
    let content = if facts.is_symlink() {
        let target = fs::read_link(&path).unwrap();
        target.into_os_string().into_encoded_bytes()
    } else if facts.is_dir() {
        for entry in fs::read_dir(&path).unwrap() {
            look_below(folder, &below.join(entry.unwrap().file_name()), seen);
        }
        Vec::new()
    } else {
        fs::read(&path).unwrap()
    };
    let told = (
        facts.permissions().mode(),
        facts.modified().unwrap(),
        content,
    );
    seen.insert(below.to_owned(), told);
}

struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            root: TempDir::new().unwrap(),
        };
        lay_out(&place.old());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn old(&self) -> PathBuf {
        self.path("old")
    }

    fn migration(&self) -> Migration {
        let migration = Migration::new(&self.old(), &self.path("new")).unwrap();
        migration.reserving(NO_RESERVE)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn run(migration: &Migration) -> Result<Migrated, Error> {
    migration.run(&mut |_| ())
}

#[test]
fn on_one_file_system_the_folder_gets_its_new_name_and_all_in_it_is_as_it_was() {
    let place = Place::new();
    let before = look(&place.old());
    let migrated = run(&place.migration()).unwrap();
    assert_eq!((migrated.way, migrated.kept), (Way::Rename, None));
    assert_eq!(look(&place.path("new")), before);
    assert_eq!(place.names(), ["new"]);
}

#[test]
fn a_copy_is_the_old_folder_in_names_bytes_modes_times_and_links_and_the_old_one_stays() {
    let place = Place::new();
    let before = look(&place.old());
    let clock = ManualClock::new();
    clock.set_wall(1_795_279_297_000);
    let migration = place.migration().copying().clocked_by(Arc::new(clock));
    let mut told = Vec::new();
    let migrated = migration.run(&mut |progress| told.push(progress)).unwrap();
    assert_eq!(look(&place.path("new")), before);
    assert_eq!(look(&migrated.kept.unwrap()), before);
    assert_eq!(place.names(), ["new", "old.old-20261121T164137Z"]);
    let last = told.last().unwrap();
    assert_eq!(
        (last.files, last.bytes),
        (last.files_total, last.bytes_total)
    );
    assert_eq!((last.files, last.bytes), (5, 700_014));
    assert!(told.len() > 6, "a large file is told in pieces");
}

#[test]
fn a_folder_gets_to_another_file_system_by_a_copy() {
    let Some(disk) = Tmpfs::mount("size=4m") else {
        return;
    };
    let place = Place::new();
    let before = look(&place.old());
    let new = disk.path().join("a/b/new");
    let migration = Migration::new(&place.old(), &new)
        .unwrap()
        .reserving(NO_RESERVE);
    assert_eq!(migration.plan().unwrap().way, Way::Copy);
    let migrated = run(&migration).unwrap();
    assert_eq!(look(&new), before);
    assert_eq!(look(&migrated.kept.unwrap()), before);
}

#[test]
fn a_disk_without_room_is_refused_before_anything_is_written() {
    let Some(disk) = Tmpfs::mount("size=512k") else {
        return;
    };
    let place = Place::new();
    let migration = Migration::new(&place.old(), &disk.path().join("new")).unwrap();
    for migration in [migration.clone(), migration.reserving(NO_RESERVE)] {
        let error = run(&migration).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
    }
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
    assert_eq!(place.names(), ["old"]);
}

#[test]
fn nothing_at_the_new_place_is_overwritten_and_an_empty_folder_is_taken_over() {
    let place = Place::new();
    let before = look(&place.old());
    let new = place.path("new");
    let refused = |migration: &Migration| {
        let kind = run(migration).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Exists);
        assert_eq!(
            migration.plan().unwrap().obstacles.first().unwrap().kind,
            kind
        );
        assert_eq!(look(&place.old()), before);
    };
    for migration in [place.migration(), place.migration().copying()] {
        fs::write(&new, "a file").unwrap();
        refused(&migration);
        fs::remove_file(&new).unwrap();
        symlink("/nowhere", &new).unwrap();
        refused(&migration);
        fs::remove_file(&new).unwrap();
        fs::create_dir(&new).unwrap();
        fs::write(new.join("precious"), "newer").unwrap();
        refused(&migration);
        assert_eq!(fs::read(new.join("precious")).unwrap(), b"newer");
        fs::remove_dir_all(&new).unwrap();
    }
    assert_eq!(place.names(), ["old"]);
    for migration in [place.migration().copying(), place.migration()] {
        fs::create_dir(&new).unwrap();
        let migrated = run(&migration).unwrap();
        assert_eq!(look(&new), before);
        if migrated.way == Way::Copy {
            fs::remove_dir_all(&new).unwrap();
            fs::rename(migrated.kept.unwrap(), place.old()).unwrap();
        }
    }
}

#[test]
fn a_folder_is_never_moved_into_itself_or_to_what_holds_it() {
    let place = Place::new();
    symlink(place.old(), place.path("way")).unwrap();
    let kind = |old: &Path, new: &Path| Migration::new(old, new).unwrap_err().kind();
    let old = place.old();
    for new in [
        old.clone(),
        old.join("queue/new"),
        old.join("not/there/yet"),
        place.root.path().to_owned(),
        place.path("way/new"),
        place.path("old/../old"),
        PathBuf::from("/"),
    ] {
        assert_eq!(
            kind(&old, &new),
            ErrorKind::NameInvalid,
            "{}",
            new.display()
        );
    }
    assert_eq!(
        kind(&place.path("way"), &place.path("new")),
        ErrorKind::IsSymlink
    );
    assert_eq!(
        kind(&old.join("state.json"), &place.path("new")),
        ErrorKind::NotRegular
    );
    let long = place.path(&"x".repeat(240));
    assert_eq!(kind(&old, &long), ErrorKind::TooLong);
}

#[test]
fn a_folder_that_a_program_uses_stays_where_it_is_and_the_program_is_named() {
    let place = Place::new();
    let _held = Lock::acquire(&place.old().join("LOCK")).unwrap();
    let before = look(&place.old());
    for migration in [place.migration(), place.migration().copying()] {
        let error = run(&migration).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        let process = format!("process {}", std::process::id());
        assert!(error.to_string().contains(&process), "{error}");
        assert_eq!(
            (look(&place.old()), place.names()),
            (before.clone(), vec!["old".to_owned()])
        );
    }
}

#[test]
fn a_pipe_is_refused_by_its_name_and_what_is_left_out_is_not_looked_at() {
    let place = Place::new();
    let socket = place.old().join("control.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let migration = place.migration().copying();
    let error = run(&migration).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRegular);
    assert!(error.to_string().contains("control.sock"), "{error}");
    assert_eq!(place.names(), ["old"]);
    run(&migration.leaving_out(OsStr::new("control.sock"))).unwrap();
    assert!(!place.path("new/control.sock").exists());
    drop(listener);
}

#[test]
fn a_plan_tells_what_would_go_and_what_is_in_the_way_and_changes_nothing() {
    let place = Place::new();
    let before = look(place.root.path());
    let mut paths = Vec::new();
    let migration = place.migration().copying();
    let plan = migration
        .plan_telling(&mut |path, _| paths.push(path.to_owned()))
        .unwrap();
    assert_eq!((plan.way, plan.is_unfinished), (Way::Copy, false));
    assert_eq!((plan.files, plan.folders, plan.links), (5, 4, 3));
    assert_eq!(plan.bytes, 700_014);
    assert!(plan.needed.bytes > plan.bytes && plan.free.is_some());
    assert_eq!(plan.obstacles, []);
    assert_eq!(paths.len(), 12);
    assert!(paths.contains(&PathBuf::from("queue/deep/deeper/nothing")));
    assert_eq!(place.migration().plan().unwrap().way, Way::Rename);
    // Trying whether something can be written there changes the time of the folder, and nothing else.
    let without_times = |seen: Seen| -> Vec<_> {
        seen.into_iter()
            .map(|(path, (mode, _, content))| (path, mode, content))
            .collect()
    };
    assert_eq!(
        without_times(look(place.root.path())),
        without_times(before)
    );
}

#[test]
fn a_journal_that_is_damaged_or_of_another_migration_stops_it_and_is_left() {
    let place = Place::new();
    let journal = place.path("new.migration");
    fs::write(&journal, "mainstay-migration 1\n").unwrap();
    let error = run(&place.migration()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(journal.exists());
    assert_eq!(place.names(), ["new.migration", "old"]);
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let place = Place::new();
    let migration = Migration::new(&place.path("missing"), &place.path("new")).unwrap();
    assert_eq!(run(&migration).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(migration.plan().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(place.names(), ["old"]);
}

#[test]
fn of_two_that_migrate_one_folder_at_once_one_does_and_the_folder_is_whole() {
    let place = Place::new();
    let before = look(&place.old());
    let start = std::sync::Barrier::new(2);
    let done: Vec<_> = std::thread::scope(|scope| {
        let threads = ["new", "new"].map(|new| {
            let migration = Migration::new(&place.old(), &place.path(new)).unwrap();
            let migration = migration.reserving(NO_RESERVE).copying();
            let start = &start;
            scope.spawn(move || {
                start.wait();
                run(&migration)
            })
        });
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(
        done.iter().filter(|done| done.is_ok()).count(),
        1,
        "{done:?}"
    );
    assert_eq!(look(&place.path("new")), before);
    assert_eq!(place.names().len(), 2, "{:?}", place.names());
}

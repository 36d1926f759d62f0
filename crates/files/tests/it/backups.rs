//! Every earlier version that was promised is there, whole, and nothing else of anybody's goes.

use mainstay_clock::ManualClock;
use mainstay_files::{
    Backup, Backups, ErrorKind, FolderArchive, Integrity, Lock, Reason, Retention,
};
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

struct Place {
    root: TempDir,
    clock: ManualClock,
}

impl Place {
    fn new() -> Self {
        Self {
            root: TempDir::new().unwrap(),
            clock: ManualClock::new(),
        }
    }

    fn backups(&self) -> Backups {
        Backups::open(&self.root.path().join("backups"))
            .unwrap()
            .clocked_by(Arc::new(self.clock.clone()))
    }

    fn keeping(&self, keep: usize) -> Backups {
        self.backups().retaining(Retention {
            keep: NonZeroUsize::new(keep).unwrap(),
            ..Retention::default()
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.root.path()).unwrap().join(name)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }
}

fn text(backups: &Backups, backup: &Backup) -> String {
    let mut bytes = Vec::new();
    backups.read(backup, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn texts(backups: &Backups, path: &Path) -> Vec<String> {
    let listed = backups.list(path).unwrap();
    assert!(listed.unreadable.is_empty());
    listed
        .backups
        .iter()
        .map(|backup| text(backups, backup))
        .collect()
}

/// All files below the folder of backups that end in this.
fn ending(backups: &Backups, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for shelf in fs::read_dir(backups.folder()).unwrap() {
        for file in fs::read_dir(shelf.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.to_string_lossy().ends_with(end) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn before_every_overwrite_what_was_there_is_kept() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.path("settings.json"));
    assert_eq!(backups.replace(&path, b"one").unwrap(), None);
    for content in ["two", "three", ""] {
        let backup = backups.replace(&path, content.as_bytes()).unwrap().unwrap();
        assert_eq!(
            (backup.reason, &backup.path),
            (Reason::BeforeOverwrite, &path)
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    assert_eq!(texts(&backups, &path), ["three", "two", "one"]);
    backups.replace(&path, b"from empty").unwrap();
    assert_eq!(texts(&backups, &path), ["", "three", "two", "one"]);
}

#[test]
fn five_are_kept_and_the_oldest_go_first() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.path("x"));
    for number in 0..8 {
        backups
            .replace(&path, number.to_string().as_bytes())
            .unwrap();
    }
    assert_eq!(texts(&backups, &path), ["6", "5", "4", "3", "2"]);
    assert_eq!(ending(&backups, ".content").len(), 5);
    assert_eq!(backups.excess(&path).unwrap(), []);
}

#[test]
fn backups_of_one_instant_are_all_kept_and_so_is_their_order() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "0"));
    let mut ids = Vec::new();
    for number in 0..4 {
        fs::write(&path, number.to_string()).unwrap();
        ids.push(backups.create(&path).unwrap().id);
    }
    assert_eq!(texts(&backups, &path), ["3", "2", "1", "0"]);
    let walls: Vec<u64> = ids.iter().map(|id| id.wall()).collect();
    assert_eq!(walls, [place.clock_wall(); 4]);
}

impl Place {
    fn clock_wall(&self) -> u64 {
        use mainstay_clock::Clock;
        self.clock.wall()
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_make_the_newest_the_oldest() {
    let place = Place::new();
    let (backups, path) = (place.keeping(2), place.path("x"));
    place.clock.set_wall(2_000_000_000_000);
    backups.replace(&path, b"1").unwrap();
    backups.replace(&path, b"2").unwrap();
    place.clock.set_wall(1_000_000_000_000);
    backups.replace(&path, b"3").unwrap();
    backups.replace(&path, b"4").unwrap();
    assert_eq!(texts(&backups, &path), ["3", "2"]);
}

#[test]
fn files_whose_names_begin_alike_keep_their_own_backups() {
    let place = Place::new();
    let backups = place.keeping(1);
    let names = [
        "config.yaml",
        "config-user.yaml",
        "config.json",
        "config",
        "report [2024].csv",
        "report *.csv",
        "report ?.csv",
        "archive.tar.gz",
        "archive.tar",
    ];
    for name in names {
        let path = place.file(name, name);
        backups.create(&path).unwrap();
    }
    for _ in 0..3 {
        backups.create(&place.path("config")).unwrap();
        backups.create(&place.path("report *.csv")).unwrap();
    }
    for name in names {
        assert_eq!(texts(&backups, &place.path(name)), [name]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf_8_is_backed_up_like_any_other() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let backups = place.backups();
    let path = place
        .path("")
        .join(std::ffi::OsStr::from_bytes(b"m\xfcll %41\n.json"));
    backups.replace(&path, b"old").unwrap();
    backups.replace(&path, b"new").unwrap();
    let listed = backups.list_all().unwrap();
    assert_eq!(listed.backups[0].path, path);
    backups.restore(&listed.backups[0], &path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn a_file_with_an_old_date_does_not_lose_the_backup_just_made() {
    let place = Place::new();
    let (backups, path) = (place.keeping(2), place.file("x", "new"));
    backups.create(&path).unwrap();
    backups.create(&path).unwrap();
    fs::write(&path, "an old file came back").unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1))
        .unwrap();
    backups.create(&path).unwrap();
    assert_eq!(texts(&backups, &path), ["an old file came back", "new"]);
}

#[test]
fn restoring_the_oldest_costs_no_other_and_keeps_what_was_there() {
    let place = Place::new();
    let (backups, path) = (place.keeping(3), place.path("x"));
    for content in ["1", "2", "3", "4"] {
        backups.replace(&path, content.as_bytes()).unwrap();
    }
    assert_eq!(texts(&backups, &path), ["3", "2", "1"]);
    let oldest = backups.list(&path).unwrap().backups.pop().unwrap();
    let before = backups.restore(&oldest, &path).unwrap().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"1");
    assert_eq!(
        (before.reason, text(&backups, &before)),
        (Reason::BeforeRestore, "4".to_owned())
    );
    // The one restored is pinned beyond the three.
    assert_eq!(texts(&backups, &path), ["4", "3", "2", "1"]);
}

#[test]
fn with_one_kept_restoring_goes_back_and_forth() {
    let place = Place::new();
    let (backups, path) = (place.keeping(1), place.path("x"));
    backups.replace(&path, b"old").unwrap();
    backups.replace(&path, b"new").unwrap();
    for content in ["old", "new", "old"] {
        let newest = backups.list(&path).unwrap().backups.remove(0);
        backups.restore(&newest, &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn mode_and_owner_come_back_and_a_secret_stays_one_all_the_way() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("token", "secret"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let backup = backups.create(&path).unwrap();
    assert_eq!(backup.mode, 0o600);
    let folder = fs::metadata(backups.folder()).unwrap();
    assert_eq!(folder.mode() & 0o777, 0o700);
    fs::remove_file(&path).unwrap();
    backups.restore(&backup, &path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    backups.restore(&backup, &path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_backup_that_fails_keeps_the_file_from_being_touched() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "old"));
    fs::write(backups.folder(), "a file where the folder should be").unwrap();
    let error = backups.replace(&path, b"new").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    let error = backups.delete(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(place.root.path()).unwrap().count(), 2);
}

#[test]
fn a_content_that_cannot_be_made_leaves_file_and_backups_as_they_were() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "old"));
    let error = backups
        .write(&path, |_| {
            Err(std::io::Error::other("no idea what to write"))
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(backups.list(&path).unwrap().backups, []);
    assert_eq!(fs::read_dir(place.root.path()).unwrap().count(), 1);
}

#[test]
fn a_damaged_backup_is_never_restored_and_the_file_is_not_touched() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "old"));
    let backup = backups.create(&path).unwrap();
    fs::write(&path, "new").unwrap();
    for damage in ["", "olx", "older"] {
        fs::write(&ending(&backups, ".content")[0], damage).unwrap();
        let integrity = backups.verify(&backup).unwrap();
        assert!(
            matches!(integrity, Integrity::Mismatch { .. }),
            "{integrity:?}"
        );
        let error = backups.restore(&backup, &path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        let error = backups.read(&backup, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
    }
    fs::remove_file(&ending(&backups, ".content")[0]).unwrap();
    assert!(matches!(
        backups.verify(&backup).unwrap(),
        Integrity::Unknown(_)
    ));
    assert!(backups.restore(&backup, &path).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn a_backup_of_the_same_content_mends_one_that_is_damaged() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "content"));
    let first = backups.create(&path).unwrap();
    fs::write(&ending(&backups, ".content")[0], "rotten!").unwrap();
    backups.create(&path).unwrap();
    assert_eq!(text(&backups, &first), "content");
}

#[test]
fn what_cannot_be_understood_is_told_and_nothing_that_it_may_need_goes() {
    let place = Place::new();
    let (backups, path) = (place.keeping(1), place.file("x", "1"));
    backups.create(&path).unwrap();
    let remembered = ending(&backups, ".backup").remove(0);
    let mut bytes = fs::read(&remembered).unwrap();
    bytes[40] ^= 1;
    fs::write(&remembered, bytes).unwrap();
    for content in ["2", "3"] {
        fs::write(&path, content).unwrap();
        backups.create(&path).unwrap();
    }
    let listed = backups.list(&path).unwrap();
    assert_eq!(listed.unreadable, [remembered]);
    assert_eq!(listed.backups.len(), 1);
    assert_eq!(ending(&backups, ".content").len(), 3);
}

#[test]
fn an_edit_after_a_backup_by_hand_does_not_reach_the_backup() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "before"));
    let backup = backups.create(&path).unwrap();
    // In place, as many editors do.
    fs::write(&path, "after").unwrap();
    assert_eq!(text(&backups, &backup), "before");
}

#[test]
fn what_leaves_its_name_is_kept_without_copying_it() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "large"));
    let ino = fs::metadata(&path).unwrap().ino();
    backups.replace(&path, b"new").unwrap();
    let kept = ending(&backups, ".content").remove(0);
    assert_eq!(fs::metadata(kept).unwrap().ino(), ino);
}

#[test]
fn a_file_with_a_second_name_is_copied_because_somebody_may_write_through_it() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "before"));
    fs::hard_link(&path, place.path("second")).unwrap();
    let backup = backups.replace(&path, b"new").unwrap().unwrap();
    fs::write(place.path("second"), "after").unwrap();
    assert_eq!(text(&backups, &backup), "before");
}

#[test]
fn a_backup_that_is_kept_already_pushes_out_no_older_one() {
    let place = Place::new();
    let (backups, path) = (place.keeping(2), place.path("x"));
    backups.replace(&path, b"1").unwrap();
    backups.replace(&path, b"2").unwrap();
    let by_hand = backups.create(&path).unwrap();
    assert_eq!(backups.replace(&path, b"3").unwrap(), Some(by_hand));
    assert_eq!(texts(&backups, &path), ["2", "1"]);
}

#[test]
fn versions_that_are_alike_share_their_bytes() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.path("x"));
    for content in ["a", "b", "a", "b", "a"] {
        backups.replace(&path, content.as_bytes()).unwrap();
    }
    assert_eq!(texts(&backups, &path), ["b", "a", "b", "a"]);
    assert_eq!(ending(&backups, ".content").len(), 2);
    let usage = backups.usage().unwrap();
    assert_eq!((usage.files, usage.backups, usage.bytes), (1, 4, 2));
}

#[test]
fn age_and_room_are_limits_too_and_the_newest_stays_whatever_they_say() {
    let place = Place::new();
    let path = place.path("x");
    let backups = place.backups().retaining(Retention {
        max_age: Some(Duration::from_secs(10)),
        max_bytes: Some(5),
        ..Retention::default()
    });
    place.clock.set_wall(1_000_000_000_000);
    for content in ["11", "22", "33", "44"] {
        backups.replace(&path, content.as_bytes()).unwrap();
    }
    assert_eq!(texts(&backups, &path), ["33", "22"]);
    place.clock.set_wall(1_000_000_011_000);
    let gone = backups.prune(&path).unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(texts(&backups, &path), ["33"]);
    backups
        .replace(&path, b"much more than five bytes")
        .unwrap();
    backups.replace(&path, b"").unwrap();
    assert_eq!(texts(&backups, &path), ["much more than five bytes"]);
}

#[test]
fn older_ones_are_compressed_and_read_as_before() {
    let place = Place::new();
    let path = place.path("x");
    let backups = place.backups().retaining(Retention {
        compress_after: Some(1),
        ..Retention::default()
    });
    let long = |letter: &str| letter.repeat(100_000);
    for letter in ["a", "b", "c"] {
        backups.replace(&path, long(letter).as_bytes()).unwrap();
    }
    assert_eq!(texts(&backups, &path), [long("b"), long("a")]);
    assert_eq!(ending(&backups, ".content").len(), 1);
    assert_eq!(ending(&backups, ".zst").len(), 1);
    assert!(backups.usage().unwrap().bytes < 101_000);
    let oldest = backups.list(&path).unwrap().backups.remove(1);
    assert!(matches!(
        backups.verify(&oldest).unwrap(),
        Integrity::Verified(_)
    ));
    let small = ending(&backups, ".zst").remove(0);
    let mut bytes = fs::read(&small).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&small, bytes).unwrap();
    assert!(!matches!(
        backups.verify(&oldest).unwrap(),
        Integrity::Verified(_)
    ));
    assert!(backups.restore(&oldest, &path).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), long("c"));
}

#[test]
fn those_that_are_too_many_go_to_the_archive_before_they_go() {
    let place = Place::new();
    let path = place.path("x");
    let archive = place.path("archive");
    let backups = place
        .keeping(1)
        .archiving_to(Arc::new(FolderArchive::new(&archive)));
    for content in ["1", "2", "3"] {
        backups.replace(&path, content.as_bytes()).unwrap();
    }
    assert_eq!(texts(&backups, &path), ["2"]);
    let shelf = fs::read_dir(&archive).unwrap().next().unwrap().unwrap();
    let mut names: Vec<PathBuf> = fs::read_dir(shelf.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    assert_eq!(names.len(), 2);
    assert_eq!(fs::read(&names[1]).unwrap(), b"1");

    fs::remove_dir_all(&archive).unwrap();
    fs::write(&archive, "in the way").unwrap();
    backups.replace(&path, b"4").unwrap();
    assert!(backups.prune(&path).is_err());
    assert_eq!(texts(&backups, &path), ["3", "2"]);
}

#[test]
fn a_deleted_file_can_be_restored_where_it_was() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "precious"));
    let backup = backups.delete(&path).unwrap();
    assert!(!path.exists());
    assert_eq!(backup.reason, Reason::BeforeDelete);
    assert_eq!(
        backups.list(&path).unwrap().backups,
        std::slice::from_ref(&backup)
    );
    assert_eq!(backups.restore(&backup, &path).unwrap(), None);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    std::os::unix::fs::symlink(&path, place.path("link")).unwrap();
    let error = backups.delete(&place.path("link")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsSymlink);
    assert!(path.exists());
}

#[test]
fn a_link_and_the_file_it_leads_to_have_the_same_backups() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "1"));
    let link = place.path("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    backups.replace(&link, b"2").unwrap();
    assert_eq!(texts(&backups, &path), ["1"]);
    assert_eq!(texts(&backups, &link), ["1"]);
    assert!(link.is_symlink());
    assert_eq!(fs::read(&path).unwrap(), b"2");
}

#[test]
fn what_a_killed_process_left_goes_and_every_whole_backup_stays() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "1"));
    let kept = backups.create(&path).unwrap();
    let shelf = ending(&backups, ".backup")[0].parent().unwrap().to_owned();
    // A content came in, and its process died before the backup was there.
    fs::write(shelf.join(format!("{}.content", "0".repeat(64))), "x").unwrap();
    fs::write(shelf.join(format!("{}.fresh", kept.hash)), "x").unwrap();
    fs::write(shelf.join("somebody's note"), "x").unwrap();
    backups.prune(&path).unwrap();
    assert_eq!(texts(&backups, &path), ["1"]);
    assert_eq!(ending(&backups, ".content").len(), 1);
    assert_eq!(ending(&backups, "note").len(), 1);
}

#[test]
fn an_overwrite_that_was_cut_after_its_backup_does_not_tie_the_backup_to_the_file() {
    let place = Place::new();
    let (backups, path) = (place.backups(), place.file("x", "before"));
    backups.replace(&path, b"new").unwrap();
    let kept = ending(&backups, ".content").remove(0);
    // As if the power had gone between the backup's second name and the rename.
    fs::remove_file(&path).unwrap();
    fs::hard_link(&kept, &path).unwrap();
    let backup = backups.create(&path).unwrap();
    fs::write(&path, "edited in place").unwrap();
    assert_eq!(text(&backups, &backup), "before");
}

#[test]
fn who_waits_for_another_process_is_told_after_a_while_and_changes_nothing() {
    let place = Place::new();
    let path = place.file("x", "1");
    let backups = place.backups().patient_for(Duration::from_millis(20));
    backups.create(&path).unwrap();
    let shelf = ending(&backups, ".backup")[0].parent().unwrap().to_owned();
    let held = Lock::acquire(&shelf.join("lock")).unwrap();
    let error = backups.replace(&path, b"2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert_eq!(fs::read(&path).unwrap(), b"1");
    drop(held);
    backups.replace(&path, b"2").unwrap();
}

#[test]
fn many_writers_of_one_file_lose_no_version_and_meet_no_error() {
    let place = Place::new();
    let (backups, path) = (place.keeping(1000), place.path("x"));
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (backups, path) = (&backups, &path);
            scope.spawn(move || {
                for number in 0..10 {
                    let content = format!("{writer}-{number}");
                    backups.replace(path, content.as_bytes()).unwrap();
                }
            });
        }
    });
    let mut all = texts(&backups, &path);
    all.push(fs::read_to_string(&path).unwrap());
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 80);
}

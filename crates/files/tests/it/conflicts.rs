//! Nobody's change is overwritten without somebody having decided so.

use mainstay_files::{
    Backups, Conflict, ConflictKind, ErrorKind, Resolution, Resolver, Save, Saved, Stamp,
};
use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> (Self, PathBuf) {
        let root = TempDir::new().unwrap();
        let path = root.path().join("report.csv");
        fs::write(&path, "a\nb\nc\nd\n").unwrap();
        (Self { root }, path)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Notes what it was asked.
struct Noting(Resolution, RefCell<Vec<Conflict>>);

impl Resolver for Noting {
    fn resolve(&self, conflict: &Conflict) -> Resolution {
        self.1.borrow_mut().push(conflict.clone());
        self.0.clone()
    }
}

#[test]
fn what_nobody_touched_since_it_was_read_is_written_without_a_question() {
    let (_place, path) = Place::new();
    let stamp = Stamp::of(&path).unwrap();
    let nobody = Noting(Resolution::Cancel, RefCell::default());
    let saved = Save::new(&path, b"new").since(&stamp).resolve(&nobody);
    assert_eq!(saved.unwrap(), Saved::Written);
    let fresh = path.with_file_name("fresh");
    assert_eq!(
        Save::new(&fresh, b"new").resolve(&nobody).unwrap(),
        Saved::Written
    );
    assert!(nobody.1.borrow().is_empty());
}

#[test]
fn every_way_to_change_a_file_is_seen() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 5] = [
        ("longer", |path| fs::write(path, "a\nb\nc\nd\ne\n").unwrap()),
        ("as long", |path| fs::write(path, "A\nb\nc\nd\n").unwrap()),
        ("as long and as old", |path| {
            let modified = fs::metadata(path).unwrap().modified().unwrap();
            fs::write(path, "A\nb\nc\nd\n").unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(modified).unwrap();
        }),
        ("another of the same content", |path| {
            fs::write(path.with_extension("other"), "a\nb\nc\nd\n").unwrap();
            fs::rename(path.with_extension("other"), path).unwrap();
        }),
        ("gone", |path| fs::remove_file(path).unwrap()),
    ];
    for (name, change) in changes {
        let (_place, path) = Place::new();
        let stamp = Stamp::of(&path).unwrap();
        change(&path);
        let conflict = Save::new(&path, b"new").since(&stamp).conflict().unwrap();
        assert_eq!(conflict.unwrap().kind, ConflictKind::Changed, "{name}");
    }
}

#[test]
fn a_new_date_or_mode_alone_is_no_change() {
    let (_place, path) = Place::new();
    let stamp = Stamp::of(&path).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(
        Save::new(&path, b"new").since(&stamp).conflict().unwrap(),
        None
    );
}

#[test]
fn each_decision_does_what_it_says_and_loses_nothing() {
    let decide = |resolution: Resolution| {
        let (place, path) = Place::new();
        let saved = Save::new(&path, b"new").resolve(&resolution);
        (place, path, saved)
    };
    let (place, path, saved) = decide(Resolution::Overwrite);
    assert_eq!(
        (saved.unwrap(), text(&path)),
        (Saved::Written, "new".into())
    );
    assert_eq!(place.names(), ["report.csv"]);

    let (place, path, saved) = decide(Resolution::Skip);
    assert_eq!(saved.unwrap(), Saved::Skipped);
    assert_eq!(
        (text(&path), place.names().len()),
        ("a\nb\nc\nd\n".into(), 1)
    );

    let (_place, path, saved) = decide(Resolution::Rename);
    let beside = path.with_file_name("report (1).csv");
    assert_eq!(saved.unwrap(), Saved::Beside(beside.clone()));
    assert_eq!(
        (text(&path), text(&beside)),
        ("a\nb\nc\nd\n".into(), "new".into())
    );

    let (_place, path, saved) = decide(Resolution::KeepBoth);
    let beside = path.with_file_name("report (1).csv");
    assert_eq!(saved.unwrap(), Saved::KeptBoth(beside.clone()));
    assert_eq!(
        (text(&path), text(&beside)),
        ("new".into(), "a\nb\nc\nd\n".into())
    );

    let (_place, path, saved) = decide(Resolution::Cancel);
    let error = saved.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.to_string().contains("it was not touched"), "{error}");
    assert_eq!(text(&path), "a\nb\nc\nd\n");

    let folder = TempDir::new().unwrap();
    for expected in ["report.csv", "report (1).csv"] {
        let (_place, path, saved) = decide(Resolution::Park(folder.path().join("parked")));
        let parked = folder.path().join("parked").join(expected);
        assert_eq!(saved.unwrap(), Saved::Parked(parked.clone()));
        assert_eq!(
            (text(&path), text(&parked)),
            ("a\nb\nc\nd\n".into(), "new".into())
        );
    }
}

#[test]
fn names_beside_are_claimed_one_by_one_however_many_want_them() {
    let (place, path) = Place::new();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for number in 0..5 {
                    let content = format!("{writer}-{number}");
                    Save::new(path, content.as_bytes())
                        .resolve(&Resolution::Rename)
                        .unwrap();
                }
            });
        }
    });
    let mut contents: Vec<String> = (1..=40)
        .map(|number| text(&place.root.path().join(format!("report ({number}).csv"))))
        .collect();
    contents.sort();
    contents.dedup();
    assert_eq!(contents.len(), 40);
}

#[test]
fn changes_of_other_lines_are_put_together_and_of_the_same_refused() {
    let (place, path) = Place::new();
    let (stamp, base) = Stamp::and_content(&path).unwrap();
    fs::write(&path, "a\nb\nc\nTHEIRS\n").unwrap();
    let save = Save::new(&path, b"OURS\nb\nc\nd\n").since(&stamp);
    let saved = save.changing(&base).resolve(&Resolution::Merge).unwrap();
    assert_eq!(saved, Saved::Merged);
    assert_eq!(text(&path), "OURS\nb\nc\nTHEIRS\n");

    let save = Save::new(&path, b"a\nb\nc\nMINE\n").since(&stamp);
    for save in [save, save.changing(&base)] {
        let error = save.resolve(&Resolution::Merge).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed);
        assert_eq!(text(&path), "OURS\nb\nc\nTHEIRS\n");
    }
    assert_eq!(place.names(), ["report.csv"]);
}

#[test]
fn a_file_that_nobody_may_write_to_is_asked_about() {
    let (_place, path) = Place::new();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let stamp = Stamp::of(&path).unwrap();
    let asked = Noting(Resolution::Overwrite, RefCell::default());
    let saved = Save::new(&path, b"new").since(&stamp).resolve(&asked);
    assert_eq!(saved.unwrap(), Saved::Written);
    assert_eq!(asked.1.borrow()[0].kind, ConflictKind::ReadOnly);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!((text(&path), mode & 0o777), ("new".into(), 0o444));
}

#[cfg(target_os = "linux")]
#[test]
fn whoever_holds_a_lock_on_it_is_named() {
    let (_place, path) = Place::new();
    let stamp = Stamp::of(&path).unwrap();
    // It says when it has the lock, and keeps it until its input ends.
    let mut other = Command::new("flock")
        .arg(&path)
        .args(["sh", "-c", "echo locked; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut out = std::io::BufReader::new(other.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut said).unwrap();
    assert_eq!(said, "locked\n");
    let conflict = Save::new(&path, b"new")
        .since(&stamp)
        .conflict()
        .unwrap()
        .unwrap();
    assert_eq!(conflict.kind, ConflictKind::Locked);
    let holder = conflict.holder.clone().unwrap();
    assert_eq!((holder.pid, holder.name.as_str()), (other.id(), "flock"));
    let there = Save::new(&path, b"new").conflict().unwrap().unwrap();
    assert_eq!(
        (there.kind, there.holder),
        (ConflictKind::Exists, conflict.holder.clone())
    );
    let at = Conflict::at(&path, ConflictKind::Changed, 3)
        .unwrap()
        .unwrap();
    assert_eq!((at.new_len, at.holder), (3, conflict.holder.clone()));
    let message = format!("`flock` (process {}) holds a lock on it", other.id());
    assert_eq!(conflict.to_string(), message);
    drop(other.stdin.take());
    other.wait().unwrap();
    assert_eq!(
        Save::new(&path, b"new").since(&stamp).conflict().unwrap(),
        None
    );
}

#[test]
fn what_is_overwritten_all_the_same_is_in_the_backups() {
    let (place, path) = Place::new();
    let backups = Backups::open(&place.root.path().join("backups")).unwrap();
    Save::new(&path, b"new")
        .keeping(&backups)
        .resolve(&Resolution::Overwrite)
        .unwrap();
    let listed = backups.list(&path).unwrap().backups;
    let mut kept = Vec::new();
    backups.read(&listed[0], &mut kept).unwrap();
    assert_eq!(kept, b"a\nb\nc\nd\n");
}

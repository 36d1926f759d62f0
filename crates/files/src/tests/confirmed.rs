//! What the disk has to confirm before the next step is taken.

use super::{EIO, NEW, OLD};
use crate::system::faults::{Fault, Planned, meanwhile};
use crate::{Backups, Error, ErrorKind, Folder, Retention, Transactions};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const MIDDLE: &[u8] = b"what was there in between";

/// Has one call fail, counted from 0.
fn failing(call: &'static str, at: usize) -> Planned {
    failing_from(call, at, 1)
}

fn failing_from(call: &'static str, at: usize, times: usize) -> Planned {
    let call = Some(call);
    let code = EIO;
    Fault {
        call,
        at,
        times,
        code,
    }
    .begin()
}

fn kind<T>(result: &Result<T, Error>) -> Option<ErrorKind> {
    result.as_ref().err().map(Error::kind)
}

fn ending_in(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(ending_in(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found
}

/// A transaction replaces one file and removes another.
struct Both {
    folder: TempDir,
    transactions: Transactions,
}

/// The first file is new, the second is gone, and the journal is there.
type Stand = (bool, bool, bool);

impl Both {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let transactions = Transactions::open(&folder.path().join("transactions")).unwrap();
        let both = Self {
            folder,
            transactions,
        };
        fs::write(both.path("replaced"), OLD).unwrap();
        fs::write(both.path("removed"), OLD).unwrap();
        both
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it comes to where the disk does not confirm these of its folders.
    fn commit(&self, at: usize, times: usize) -> Option<ErrorKind> {
        let mut transaction = self.transactions.begin().unwrap();
        transaction.replace(&self.path("replaced"), NEW).unwrap();
        transaction.remove(&self.path("removed")).unwrap();
        let _planned = failing_from("sync folder", at, times);
        kind(&transaction.commit())
    }

    fn recover(&self, at: usize) -> Option<ErrorKind> {
        let _planned = failing("sync folder", at);
        kind(&self.transactions.recover())
    }

    fn stand(&self) -> Stand {
        (
            fs::read(self.path("replaced")).unwrap() == NEW,
            !self.path("removed").exists(),
            !ending_in(self.folder.path(), "journal").is_empty(),
        )
    }
}

#[test]
fn each_step_of_a_transaction_is_on_the_disk_before_the_next_is_taken() {
    let unconfirmed = Some(ErrorKind::Unconfirmed);
    let expected = [
        // It is taken back: nothing has happened.
        (Some(ErrorKind::NotDurable), (false, false, false)),
        (unconfirmed, (true, false, true)),
        (unconfirmed, (true, true, true)),
        (unconfirmed, (true, true, false)),
        (None, (true, true, false)),
    ];
    for (at, expected) in expected.into_iter().enumerate() {
        let both = Both::new();
        let told = both.commit(at, 1);
        assert_eq!((told, both.stand()), expected, "folder {at}");
        both.transactions.recover().unwrap();
        let is_done = at > 0;
        assert_eq!(both.stand(), (is_done, is_done, false), "folder {at}");
    }
}

#[test]
fn a_journal_whose_taking_back_is_not_confirmed_either_is_no_failure_without_effect() {
    let both = Both::new();
    assert_eq!(both.commit(0, 2), Some(ErrorKind::Unconfirmed));
    assert_eq!(both.stand(), (false, false, false));
}

/// Were its contents removed before its journal is gone for good, a power cut could leave a journal that nobody can follow.
#[test]
fn what_a_transaction_wrote_stays_until_its_journal_is_gone_for_good() {
    let both = Both::new();
    assert_eq!(both.commit(3, 2), Some(ErrorKind::Unconfirmed));
    assert_eq!(both.stand(), (true, true, false));
    let staged = ending_in(&both.path("transactions"), "/0").into_iter();
    assert!(staged.map(|path| fs::read(path).unwrap()).eq([NEW]));
}

/// They were written before the crash, and nobody knows whether their folders were synced.
#[test]
fn what_a_recovery_finds_written_is_on_the_disk_before_the_journal_goes() {
    for (at, is_journal_left) in [(0, true), (1, true), (2, false)] {
        let both = Both::new();
        both.commit(2, 1);
        assert_eq!(both.stand(), (true, true, true));
        assert_eq!(both.recover(at), Some(ErrorKind::Unconfirmed), "{at}");
        assert_eq!(both.stand(), (true, true, is_journal_left), "{at}");
    }
}

#[test]
fn what_somebody_wrote_between_a_crash_and_its_recovery_is_kept_aside() {
    let both = Both::new();
    both.commit(1, 1);
    assert_eq!(both.stand(), (true, false, true));
    fs::write(both.path("removed"), MIDDLE).unwrap();
    let recovered = both.transactions.recover().unwrap();
    assert_eq!(both.stand(), (true, true, false));
    assert_eq!(recovered.kept_aside, [both.path("removed.changed-1")]);
    assert_eq!(fs::read(both.path("removed.changed-1")).unwrap(), MIDDLE);
}

/// A file with a backup of what was there before it.
struct Kept {
    folder: TempDir,
    backups: Backups,
    file: PathBuf,
}

impl Kept {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let backups = Backups::open(&folder.path().join("backups")).unwrap();
        let file = folder.path().join("file");
        fs::write(&file, OLD).unwrap();
        backups.replace(&file, MIDDLE).unwrap();
        Self {
            folder,
            backups,
            file,
        }
    }

    fn count(&self, end: &str) -> usize {
        ending_in(self.folder.path(), end).len()
    }

    /// Whether a content is a second name of the file with this number.
    fn is_linked(&self, file: u64) -> bool {
        let contents = ending_in(self.folder.path(), ".content");
        let mut numbers = contents
            .iter()
            .map(|path| fs::metadata(path).unwrap().ino());
        numbers.any(|number| number == file)
    }

    fn number(&self) -> u64 {
        fs::metadata(&self.file).unwrap().ino()
    }
}

#[test]
fn a_backup_is_told_of_only_when_its_content_has_its_name_on_the_disk() {
    let kept = Kept::new();
    let planned = failing("sync folder", 0);
    let told = kind(&kept.backups.replace(&kept.file, NEW));
    drop(planned);
    assert_eq!(told, Some(ErrorKind::Unconfirmed));
    assert_eq!(fs::read(&kept.file).unwrap(), MIDDLE, "it is not touched");
    assert_eq!((kept.count(".content"), kept.count(".backup")), (2, 1));
}

#[test]
fn a_content_that_is_mended_counts_only_when_that_is_on_the_disk() {
    for (at, backups) in [(0, 2), (1, 2), (2, 3)] {
        let kept = Kept::new();
        kept.backups.create(&kept.file).unwrap();
        let contents = ending_in(kept.folder.path(), ".content");
        for content in contents {
            fs::write(content, "rotten").unwrap();
        }
        let planned = failing("sync folder", at);
        let told = kind(&kept.backups.create(&kept.file));
        drop(planned);
        assert_eq!(told, Some(ErrorKind::Unconfirmed), "folder {at}");
        assert_eq!(kept.count(".backup"), backups, "folder {at}");
    }
}

#[test]
fn contents_stay_until_it_is_on_the_disk_that_no_backup_names_them() {
    let kept = Kept::new();
    let backups = kept.backups.list(&kept.file).unwrap().backups;
    let planned = failing("sync folder", 0);
    let told = kind(&kept.backups.remove(&backups));
    drop(planned);
    assert_eq!(told, Some(ErrorKind::Unconfirmed));
    assert_eq!((kept.count(".content"), kept.count(".backup")), (1, 0));
    kept.backups.sweep().unwrap();
    assert_eq!(kept.count(".content"), 0);
}

/// A second sync of the same file would lie.
#[test]
fn a_file_that_the_disk_does_not_confirm_is_copied_and_not_linked_to_its_backup() {
    for (at, is_linked) in [(1, false), (2, true)] {
        let kept = Kept::new();
        let number = kept.number();
        let planned = failing("sync file", at);
        kept.backups.replace(&kept.file, NEW).unwrap();
        assert_eq!(planned.failed(), 1);
        assert_eq!(kept.is_linked(number), is_linked, "file {at}");
    }
}

#[test]
fn a_content_that_an_earlier_backup_linked_is_confirmed_by_the_next_one() {
    let kept = Kept::new();
    let number = kept.number();
    let planned = failing("sync folder", 0);
    kept.backups.replace(&kept.file, NEW).unwrap_err();
    drop(planned);
    assert!(kept.is_linked(number), "it was begun");
    let planned = failing("sync file", 1);
    kept.backups.replace(&kept.file, NEW).unwrap();
    assert_eq!(planned.failed(), 1);
    assert!(!kept.is_linked(number));
}

#[test]
fn whoever_asks_the_disk_is_told_what_it_does_not_confirm() {
    type Ask = fn(&Path) -> Result<(), Error>;
    let asks: [(&str, ErrorKind, Ask); 5] = [
        ("sync folder", ErrorKind::Unconfirmed, crate::sync_dir),
        ("sync folder", ErrorKind::Unconfirmed, |path| {
            Folder::open(path)?.sync()
        }),
        (
            "sync file system",
            ErrorKind::NotDurable,
            crate::sync_filesystem,
        ),
        ("sync file system", ErrorKind::NotDurable, |path| {
            Folder::open(path)?.sync_filesystem()
        }),
        ("sync file", ErrorKind::NotDurable, |path| {
            crate::sync_file(&fs::File::open(path.join("file")).unwrap())
        }),
    ];
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), NEW).unwrap();
    for (call, expected, ask) in asks {
        let planned = failing(call, 0);
        assert_eq!(kind(&ask(folder.path())), Some(expected), "{call}");
        drop(planned);
        ask(folder.path()).unwrap();
    }
}

#[test]
fn one_of_many_whose_sync_failed_is_written_anew() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    fs::write(&path, OLD).unwrap();
    for (failed, written) in [(0, 1), (1, 2)] {
        let planned = failing_from("sync file", 0, failed);
        crate::replace_all(&[(&path, NEW)]).unwrap();
        let calls = (planned.calls("create"), planned.calls("sync file"));
        assert_eq!(calls, (written, written));
        drop(planned);
        assert_eq!(fs::read(&path).unwrap(), NEW);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// It was kept already as it was read, and nobody has what took its place meanwhile.
#[test]
fn a_file_that_changes_while_it_is_read_for_its_backup_is_not_replaced() {
    let is_refused = |looks: u32| {
        let kept = Kept::new();
        kept.backups.create(&kept.file).unwrap();
        change_at_look(kept.file.clone(), looks);
        let told = kind(&kept.backups.replace(&kept.file, NEW));
        let is_there = fs::read(&kept.file).unwrap() == OLD;
        told == Some(ErrorKind::Changed) && is_there
    };
    assert!((0..20).any(is_refused));
}

/// Writes the old content to a file just before it is looked at for so many times more.
fn change_at_look(file: PathBuf, looks: u32) {
    meanwhile("stat", move || match looks {
        0 => fs::write(file, OLD).unwrap(),
        _ => change_at_look(file, looks - 1),
    });
}

/// Compressed, nobody could look at what is left of it.
#[test]
fn a_content_that_is_damaged_stays_as_it_is_and_is_not_compressed() {
    for (is_damaged, compressed) in [(false, 1), (true, 0)] {
        let kept = Kept::new();
        kept.backups.create(&kept.file).unwrap();
        let contents = ending_in(kept.folder.path(), ".content");
        for content in contents.iter().filter(|_| is_damaged) {
            fs::write(content, "rotten").unwrap();
        }
        let after = Retention {
            compress_after: Some(1),
            ..Retention::default()
        };
        kept.backups
            .clone()
            .retaining(after)
            .prune(&kept.file)
            .unwrap();
        let found = (kept.count(".zst"), kept.count(".content"));
        assert_eq!(found, (compressed, 2 - compressed));
    }
}

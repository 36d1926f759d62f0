//! What the disk has to confirm before the next step is taken.

use super::{EIO, NEW, OLD};
use crate::system::faults::{Fault, Planned};
use crate::{Backups, Error, ErrorKind};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const MIDDLE: &[u8] = b"what was there in between";

/// Has one call fail, counted from 0.
fn failing(call: &'static str, at: usize) -> Planned {
    Fault {
        call: Some(call),
        at,
        times: 1,
        code: EIO,
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

//! Several files change together, or not at all.

use mainstay_files::{ErrorKind, Transactions};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            root: TempDir::new().unwrap(),
        }
    }

    fn open(&self) -> Transactions {
        Transactions::open(&self.folder()).unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("transactions")
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.root.path()).unwrap().join(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    fn is_tidy(&self) -> bool {
        fs::read_dir(self.folder()).unwrap().count() == 2
    }
}

#[test]
fn all_files_change_with_the_commit_and_none_before() {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        fs::write(place.path(name), "old").unwrap();
    }
    let transactions = place.open();
    let mut transaction = transactions.begin().unwrap();
    transaction.replace(&place.path("a"), b"new").unwrap();
    transaction.remove(&place.path("b")).unwrap();
    transaction.replace(&place.path("d"), b"").unwrap();
    assert_eq!(place.text("a").unwrap(), "old");
    transaction.commit().unwrap();
    let now = ["a", "b", "c", "d"].map(|name| place.text(name));
    let now = now.each_ref().map(Option::as_deref);
    assert_eq!(now, [Some("new"), None, Some("old"), Some("")]);
    assert!(place.is_tidy());
}

#[test]
fn one_that_is_given_up_or_dropped_has_changed_nothing() {
    let place = Place::new();
    fs::write(place.path("a"), "old").unwrap();
    let transactions = place.open();
    for is_dropped in [true, false] {
        let mut transaction = transactions.begin().unwrap();
        transaction.replace(&place.path("a"), b"new").unwrap();
        transaction.remove(&place.path("b")).unwrap();
        if is_dropped {
            drop(transaction);
        } else {
            transaction.roll_back();
        }
        assert_eq!(place.text("a").unwrap(), "old");
        assert!(place.is_tidy());
    }
}

#[test]
fn what_a_dead_process_staged_goes_and_what_a_living_one_stages_stays() {
    let place = Place::new();
    let transactions = place.open();
    let mut alive = transactions.begin().unwrap();
    alive.replace(&place.path("a"), b"new").unwrap();
    let dead = place
        .folder()
        .join(".transaction.mainstay-tmp-0000010000000001");
    fs::create_dir(&dead).unwrap();
    fs::write(dead.join("0"), "half").unwrap();
    let recovered = transactions.recover().unwrap();
    assert_eq!((recovered.rolled_back, recovered.completed), (1, 0));
    assert!(!dead.exists());
    alive.commit().unwrap();
    assert_eq!(place.text("a").unwrap(), "new");
}

#[test]
fn a_file_that_cannot_be_there_is_refused_when_it_is_staged() {
    let place = Place::new();
    fs::create_dir(place.path("folder")).unwrap();
    let mut transaction = place.open().begin().unwrap();
    let mut kind = |name: &str| {
        transaction
            .replace(&place.path(name), b"x")
            .unwrap_err()
            .kind()
    };
    assert_eq!(kind("folder"), ErrorKind::NotRegular);
    assert_eq!(kind("missing/x"), ErrorKind::NotFound);
    transaction.replace(&place.path("a"), b"1").unwrap();
    let error = transaction.replace(&place.path("a"), b"2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    let failing = transaction.write(&place.path("b"), |_| Err(std::io::Error::other("no")));
    assert!(failing.is_err());
    transaction.replace(&place.path("b"), b"3").unwrap();
    transaction.commit().unwrap();
    assert_eq!(
        (place.text("a"), place.text("b")),
        (Some("1".into()), Some("3".into()))
    );
}

#[test]
fn a_damaged_journal_stops_recovery_and_changes_nothing() {
    let place = Place::new();
    fs::write(place.path("a"), "old").unwrap();
    let folder = place
        .folder()
        .join(".transaction.mainstay-tmp-0000010000000001");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("journal"), "mainstay-transaction 1\n").unwrap();
    let error = Transactions::open(&place.folder()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(folder.join("journal").exists());
    assert_eq!(place.text("a").unwrap(), "old");
}

#[test]
fn whoever_reads_through_it_sees_all_files_of_one_moment() {
    let place = Place::new();
    let transactions = place.open();
    let (a, b) = (place.path("a"), place.path("b"));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..30 {
                let mut both = transactions.begin().unwrap();
                both.replace(&a, number.to_string().as_bytes()).unwrap();
                both.replace(&b, number.to_string().as_bytes()).unwrap();
                both.commit().unwrap();
            }
        });
        let mut read = 0;
        while !writer.is_finished() {
            let contents = transactions.read(&[&a, &b]).unwrap();
            assert_eq!(contents[0], contents[1]);
            read += 1;
        }
        assert!(read > 0);
    });
    assert_eq!(place.text("a").unwrap(), "29");
}

#[test]
fn of_two_that_change_the_same_files_the_later_commit_stands_whole() {
    let place = Place::new();
    let transactions = place.open();
    let mut first = transactions.begin().unwrap();
    let mut second = transactions.begin().unwrap();
    for name in ["a", "b"] {
        first.replace(&place.path(name), b"first").unwrap();
        second.replace(&place.path(name), b"second").unwrap();
    }
    second.commit().unwrap();
    first.commit().unwrap();
    assert_eq!(
        (place.text("a"), place.text("b")),
        (Some("first".into()), Some("first".into()))
    );
}

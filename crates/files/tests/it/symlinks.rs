//! A symbolic link at the target is followed once, where nobody else could have put it; at a source it is never followed.

use mainstay_files::{
    Backups, ErrorKind, Transactions, Trash, Writer, copy_new, create_new, facts, move_file,
    open_regular, remove, replace,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder `links` with a link in it, and a folder `files` that it leads to.
struct House {
    _folder: TempDir,
    link: PathBuf,
    file: PathBuf,
}

impl House {
    fn new(leads_to: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let (links, files) = (folder.path().join("links"), folder.path().join("files"));
        fs::create_dir(&links).expect("a folder for links");
        fs::create_dir(&files).expect("a folder for files");
        // Whatever umask the tests run under.
        set_mode(&links, 0o755);
        set_mode(&files, 0o755);
        let link = links.join("state");
        symlink(leads_to, &link).expect("a link");
        Self {
            _folder: folder,
            link,
            file: files.join("state"),
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own folder");
}

#[test]
fn the_file_that_a_link_leads_to_is_replaced_and_the_link_stays() {
    let house = House::new("../files/state");
    fs::write(&house.file, "old").unwrap();
    replace(&house.link, b"new").unwrap();
    assert_eq!(fs::read(&house.file).unwrap(), b"new");
    assert!(house.link.is_symlink());
    let mut writer = Writer::create(&house.link).unwrap();
    std::io::Write::write_all(&mut writer, b"newer").unwrap();
    writer.commit().unwrap();
    assert_eq!(fs::read(&house.file).unwrap(), b"newer");
    assert!(house.link.is_symlink());
    assert_eq!(
        fs::read_dir(house.link.parent().unwrap()).unwrap().count(),
        1
    );
}

#[test]
fn a_link_to_nothing_makes_the_file_that_it_leads_to() {
    let house = House::new("../files/state");
    replace(&house.link, b"new").unwrap();
    assert_eq!(fs::read(&house.file).unwrap(), b"new");
    assert!(house.link.is_symlink());
}

#[test]
fn a_link_in_a_folder_that_others_can_write_to_is_refused_sticky_or_not() {
    let house = House::new("../files/state");
    fs::write(&house.file, "old").unwrap();
    for mode in [0o777, 0o1777, 0o770] {
        set_mode(house.link.parent().unwrap(), mode);
        let error = replace(&house.link, b"new").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsSymlink, "{mode:o}");
        assert_eq!(fs::read(&house.file).unwrap(), b"old");
    }
}

#[test]
fn backups_and_transactions_follow_a_link_only_where_nobody_else_could_put_it() {
    let house = House::new("../files/state");
    fs::write(&house.file, "old").unwrap();
    let store = house.link.with_file_name("store");
    let backups = Backups::open(&store).unwrap();
    backups.replace(&house.link, b"through it").unwrap();
    assert_eq!(fs::read(&house.file).unwrap(), b"through it");
    assert!(house.link.is_symlink());
    let listed = backups.list(&house.link).unwrap().backups;
    assert_eq!(listed[0].path, fs::canonicalize(&house.file).unwrap());

    set_mode(house.link.parent().unwrap(), 0o1777);
    let refused = |done: Result<(), mainstay_files::Error>| {
        assert_eq!(done.unwrap_err().kind(), ErrorKind::IsSymlink);
        assert_eq!(fs::read(&house.file).unwrap(), b"through it");
    };
    refused(backups.replace(&house.link, b"new").map(drop));
    refused(backups.create(&house.link).map(drop));
    refused(backups.restore(&listed[0], &house.link).map(drop));
    refused(backups.delete(&house.link).map(drop));
    refused(backups.status(&house.link).map(drop));
    let trash = Trash::open(&store.join("trash")).unwrap();
    refused(trash.put(&house.link).map(drop));
    let transactions = Transactions::open(&store.join("transactions")).unwrap();
    let mut all = transactions.begin().unwrap();
    refused(all.replace(&house.link, b"new"));
}

#[test]
fn a_link_into_a_folder_that_others_can_write_to_is_refused() {
    let house = House::new("../files/state");
    set_mode(house.file.parent().unwrap(), 0o1777);
    assert_eq!(
        replace(&house.link, b"new").unwrap_err().kind(),
        ErrorKind::IsSymlink
    );
    assert!(!house.file.exists());
}

#[test]
fn a_link_to_a_link_is_refused() {
    let house = House::new("../files/state");
    symlink("elsewhere", &house.file).unwrap();
    assert_eq!(
        replace(&house.link, b"new").unwrap_err().kind(),
        ErrorKind::IsSymlink
    );
    assert!(!house.file.with_file_name("elsewhere").exists());
}

#[test]
fn a_link_to_itself_ends() {
    let house = House::new("state");
    assert_eq!(
        replace(&house.link, b"new").unwrap_err().kind(),
        ErrorKind::IsSymlink
    );
}

#[test]
fn a_link_counts_as_something_that_is_there() {
    let house = House::new("../files/state");
    assert_eq!(
        create_new(&house.link, b"new").unwrap_err().kind(),
        ErrorKind::Exists
    );
    let writer = Writer::create(&house.link).unwrap();
    assert_eq!(writer.commit_new().unwrap_err().kind(), ErrorKind::Exists);
    let other = house.file.with_file_name("other");
    fs::write(&other, "other").unwrap();
    assert_eq!(
        move_file(&other, &house.link).unwrap_err().kind(),
        ErrorKind::Exists
    );
    assert!(!house.file.exists());
}

#[test]
fn a_link_is_never_read_through() {
    let house = House::new("../files/state");
    fs::write(&house.file, "secret").unwrap();
    let to = house.file.with_file_name("to");
    assert_eq!(
        open_regular(&house.link).unwrap_err().kind(),
        ErrorKind::IsSymlink
    );
    assert_eq!(
        copy_new(&house.link, &to).unwrap_err().kind(),
        ErrorKind::IsSymlink
    );
    assert_eq!(
        move_file(&house.link, &to).unwrap_err().kind(),
        ErrorKind::IsSymlink
    );
    assert!(facts(&house.link).unwrap().is_symlink());
    assert!(!to.exists());
}

#[test]
fn removing_a_link_leaves_what_it_leads_to() {
    let house = House::new("../files/state");
    fs::write(&house.file, "kept").unwrap();
    remove(&house.link).unwrap();
    assert!(!house.link.is_symlink());
    assert_eq!(fs::read(&house.file).unwrap(), b"kept");
}

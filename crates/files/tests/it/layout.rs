//! The folders of a program have the right mode when they are made, and nobody's choice is changed.

use mainstay_files::{ErrorKind, Layout};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_private_is_made_for_its_owner_alone_and_the_rest_for_all() {
    let root = TempDir::new().unwrap();
    let at = |name: &str| root.path().join(name);
    let layout = Layout::new()
        .private(&at("share/app"))
        .private(&at("cache/app/temp"))
        .shared(&at("Documents/App"));
    assert_eq!(layout.make().unwrap(), []);
    for private in ["share/app", "share", "cache/app/temp", "cache/app"] {
        assert_eq!(mode(&at(private)), 0o700, "{private}");
    }
    // The umask takes what it takes; the owner's bits are never among it.
    let shared = mode(&at("Documents/App"));
    assert_eq!((shared & 0o700, shared & !0o755), (0o700, 0));
    assert_eq!(layout.make().unwrap(), [], "and a second time");
}

#[test]
fn a_folder_that_is_there_keeps_its_mode_and_is_told_when_others_can_look_into_it() {
    let root = TempDir::new().unwrap();
    let (data, exports) = (root.path().join("data"), root.path().join("exports"));
    for path in [&data, &exports] {
        fs::create_dir(path).unwrap();
    }
    for (bits, told) in [
        (0o755, "can be looked into by others (mode 0755)"),
        (0o770, "can be changed by others (mode 0770)"),
    ] {
        fs::set_permissions(&data, Permissions::from_mode(bits)).unwrap();
        let layout = Layout::new().private(&data).shared(&exports);
        let exposures = layout.make().unwrap();
        let told = format!("`{}` {told}", data.display());
        assert_eq!(exposures.len(), 1);
        assert_eq!(exposures.first().unwrap().to_string(), told);
        assert_eq!(mode(&data), bits, "it is as somebody wanted it");
    }
}

#[test]
fn looking_for_exposed_folders_makes_none() {
    let root = TempDir::new().unwrap();
    let layout = Layout::new().private(&root.path().join("data"));
    assert_eq!(layout.exposures().unwrap(), []);
    assert!(!root.path().join("data").exists());
}

#[test]
fn a_private_folder_of_somebody_else_is_told() {
    let root = TempDir::new().unwrap();
    let data = root.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    if std::os::unix::fs::chown(&data, Some(65534), None).is_err() {
        println!("NOT MEASURED: only root can give a folder away");
        return;
    }
    let exposures = Layout::new().private(&data).make().unwrap();
    assert_eq!(exposures.first().unwrap().owner, Some(65534));
}

#[test]
fn a_file_where_a_folder_should_be_is_refused_and_stays() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("data");
    fs::write(&path, "a file").unwrap();
    let error = Layout::new().private(&path).make().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert_eq!(fs::read(&path).unwrap(), b"a file");
}

//! The ways to write that a caller may choose.

use mainstay_files::{
    Durability, Encoding, ErrorKind, Format, Symlinks, WriteOptions, replace, replace_secret,
};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use tempfile::TempDir;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_link_is_followed_refused_or_replaced_as_was_asked() {
    let folder = TempDir::new().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&file, "old").unwrap();
    symlink("file", &link).unwrap();

    let refusing = WriteOptions::new().symlinks(Symlinks::Refuse);
    let error = refusing.write(&link, b"new").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsSymlink);
    assert_eq!(fs::read(&file).unwrap(), b"old");
    let error = refusing.writer(&link).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsSymlink);

    WriteOptions::new().write(&link, b"through it").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&file).unwrap(), b"through it");

    let replacing = WriteOptions::new().symlinks(Symlinks::Replace);
    replacing.write(&link, b"in its place").unwrap();
    let made = fs::symlink_metadata(&link).unwrap();
    assert!(made.is_file());
    assert_ne!(
        made.permissions().mode() & 0o777,
        0o777,
        "the link's own mode"
    );
    assert_eq!(fs::read(&link).unwrap(), b"in its place");
    assert_eq!(fs::read(&file).unwrap(), b"through it");
    refusing.write(&link, b"a file by now").unwrap();
    assert_eq!(names(folder.path()), ["file", "link"]);
}

#[test]
fn a_link_that_leads_nowhere_is_replaced_and_nothing_appears_where_it_led() {
    let folder = TempDir::new().unwrap();
    let link = folder.path().join("link");
    symlink("nowhere", &link).unwrap();
    let replacing = WriteOptions::new().symlinks(Symlinks::Replace);
    let mut writer = replacing.writer(&link).unwrap();
    writer.write_all(b"whole").unwrap();
    writer.commit().unwrap();
    assert_eq!(fs::read(&link).unwrap(), b"whole");
    assert_eq!(names(folder.path()), ["link"]);
}

#[test]
fn missing_folders_are_made_only_where_that_was_asked_and_private_above_a_secret() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a/b/settings.json");
    let error = WriteOptions::new().write(&path, b"{}").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(names(folder.path()), [] as [&str; 0]);

    let making = WriteOptions::new().making_folders();
    making.write(&path, b"{}").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"{}");

    let secret = folder.path().join("keys/token");
    making.secret().write(&secret, b"s").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("keys")), 0o700);
    assert_eq!(mode(&secret), 0o600);
}

#[test]
fn a_content_that_a_check_refuses_never_comes_near_the_disk() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("settings.json");
    let whole = |content: &mut dyn Read| {
        let mut text = String::new();
        content
            .read_to_string(&mut text)
            .map_err(|error| error.to_string())?;
        if text.contains("volume") {
            Ok(())
        } else {
            Err("it has no `volume`".to_owned())
        }
    };
    let options = WriteOptions::new().checking(Format::Text).checking(whole);
    options.write(&path, b"volume 3").unwrap();
    for (broken, why) in [
        (&b"loudness 9"[..], "it has no `volume`"),
        (b"volume \xff", "it is no UTF-8 from byte 7 on"),
    ] {
        let error = options.write(&path, broken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(why), "{error}");

        let mut writer = options.writer(&path).unwrap();
        writer.write_all(broken).unwrap();
        let error = writer.commit().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error.to_string().ends_with("previous version kept"),
            "{error}"
        );
    }
    assert_eq!(fs::read(&path).unwrap(), b"volume 3");
    assert_eq!(names(folder.path()), ["settings.json"]);
}

#[test]
fn what_is_only_atomic_is_whole_and_keeps_its_mode_too() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cache");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let atomic = WriteOptions::new().durability(Durability::Atomic);
    atomic.write(&path, b"new").unwrap();
    let mut writer = atomic.reading_back().writer(&path).unwrap();
    writer.write_all(b"newer").unwrap();
    writer.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"newer");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
}

#[test]
fn a_text_is_written_in_its_encoding_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("report.txt");
    let options = WriteOptions::new().reading_back();
    options
        .write_text(&path, "Prüfung", Encoding::Latin1)
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"Pr\xfcfung");
    let error = options
        .write_text(&path, "検査", Encoding::Latin1)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(fs::read(&path).unwrap(), b"Pr\xfcfung");
}

#[cfg(feature = "formats")]
#[test]
fn values_are_written_in_a_form_that_can_be_read_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("settings");
    let value = std::collections::BTreeMap::from([("volume", 3), ("speed", 9)]);
    let options = WriteOptions::new();
    options.write_json(&path, &value).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\n  \"speed\": 9,\n  \"volume\": 3\n}\n"
    );
    options.write_toml(&path, &value).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "speed = 9\nvolume = 3\n"
    );
    let error = options.write_toml(&path, &3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "speed = 9\nvolume = 3\n"
    );
}

/// What programs write down with files, where this file system keeps it.
mod attributes {
    use super::*;
    use crate::tmpfs::not_measured;
    use rustix::fs::{XattrFlags, getxattr, setxattr};

    const NAME: &str = "user.mainstay.test";
    const ACCESS_LIST: &str = "system.posix_acl_access";
    const DEFAULT_LIST: &str = "system.posix_acl_default";

    /// The owner writes, user 1234 and the group read, others do nothing: as the kernel keeps it.
    fn list() -> Vec<u8> {
        const OWNER: u16 = 1;
        const USER: u16 = 2;
        const GROUP: u16 = 4;
        const MASK: u16 = 16;
        const OTHERS: u16 = 32;
        const NOBODY: u32 = u32::MAX;
        let entries = [
            (OWNER, 6, NOBODY),
            (USER, 4, 1_234),
            (GROUP, 4, NOBODY),
            (MASK, 4, NOBODY),
            (OTHERS, 0, NOBODY),
        ];
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, bits, id) in entries {
            bytes.extend(u16::to_le_bytes(tag));
            bytes.extend(u16::to_le_bytes(bits));
            bytes.extend(u32::to_le_bytes(id));
        }
        bytes
    }

    fn set(path: &Path, name: &str, value: &[u8]) -> bool {
        match setxattr(path, name, value, XattrFlags::empty()) {
            Ok(()) => true,
            Err(error) => not_measured(&format!("attributes of files: {error}")).unwrap_or(false),
        }
    }

    fn get(path: &Path, name: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; 1_000];
        let len = getxattr(path, name, &mut value[..]).ok()?;
        value.truncate(len);
        Some(value)
    }

    #[test]
    fn a_new_version_has_the_access_list_and_the_attributes_of_the_old_one() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("state.json");
        fs::write(&path, "old").unwrap();
        if !set(&path, NAME, b"kept") || !set(&path, ACCESS_LIST, &list()) {
            return;
        }
        let mode = fs::metadata(&path).unwrap().mode();
        replace(&path, b"new").unwrap();
        assert_eq!(get(&path, NAME).as_deref(), Some(&b"kept"[..]));
        assert_eq!(get(&path, ACCESS_LIST), Some(list()));
        assert_eq!(fs::metadata(&path).unwrap().mode(), mode);

        let mut writer = mainstay_files::Writer::create(&path).unwrap();
        writer.write_all(b"newer").unwrap();
        writer.commit().unwrap();
        assert_eq!(get(&path, ACCESS_LIST), Some(list()));

        let copy = folder.path().join("copy");
        mainstay_files::copy_new(&path, &copy).unwrap();
        assert_eq!(get(&copy, NAME).as_deref(), Some(&b"kept"[..]));
        assert_eq!(get(&copy, ACCESS_LIST), Some(list()));
    }

    #[test]
    fn nobody_is_let_in_by_a_replacement_who_was_not_before() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("state.json");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        // New files of this folder are given the list.
        if !set(folder.path(), DEFAULT_LIST, &list()) {
            return;
        }
        replace(&path, b"new").unwrap();
        assert_eq!(get(&path, ACCESS_LIST), None);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);

        let listed = folder.path().join("listed");
        fs::write(&listed, "old").unwrap();
        assert_eq!(get(&listed, ACCESS_LIST), Some(list()));
        replace_secret(&listed, b"secret").unwrap();
        let mode = fs::metadata(&listed).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "the mask lets nobody in");
    }
}

//! Names of any bytes and length arrive as they were, and the oldest file goes first.

use crate::bench::{Folders, Ledger, latin1, take_all};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

#[tokio::test]
async fn every_name_arrives_byte_for_byte_and_stays_so_in_the_archive() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let mut config = folders.config();
    config.recursive = true;
    let mut long = vec![b'n'; 250];
    long.extend(b".\xff\xfe\x01 ");
    let mut names: Vec<OsString> = [
        &b"plain.csv"[..],
        b"with space and \xc3\xbc",
        b"100%2F.csv",
        b"line\nbreak\x1b[2J",
        b"-rf",
        b"\"quoted\" 'twice'",
        b"\xe2\x80\xaecsv.exe",
        b"(2).csv",
        b"!@^=.",
        b"\xff",
    ]
    .map(|bytes| OsStr::from_bytes(bytes).to_owned())
    .into();
    names.push(latin1());
    names.push(OsString::from_vec(long));
    names.push(OsString::from("ü".repeat(127)));
    let folder = OsStr::from_bytes(b"folder \xff%");
    std::fs::create_dir(folders.drop_path(folder)).unwrap();
    let inside: Vec<OsString> = names
        .iter()
        .map(|name| Path::new(folder).join(name).into())
        .collect();
    names.extend(inside);
    for name in &names {
        folders.drop_aged(name, name.as_bytes(), Duration::from_hours(2));
    }
    let status = take_all(config, &ledger).await;
    assert_eq!(
        (status.taken, status.waiting_total, status.last_error),
        (names.len() as u64, 0, None)
    );
    for file in ledger.lock().files.values() {
        assert_eq!(
            file.relative.as_os_str().as_bytes(),
            file.content,
            "the content is the name"
        );
        assert_eq!(file.relative.file_name(), Some(&*file.name));
    }
    assert_eq!(ledger.count(), names.len());
    let day = std::fs::read_dir(folders.path("archive"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    for name in &names {
        assert_eq!(
            std::fs::read(day.join(name)).unwrap(),
            name.as_bytes(),
            "{name:?}"
        );
    }
    ledger.assert_closed();
}

#[tokio::test]
async fn the_oldest_goes_first_whatever_the_names_and_folders() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let mut config = folders.config();
    config.recursive = true;
    config.batch_files = 3;
    std::fs::create_dir(folders.drop_path("sub")).unwrap();
    let order = ["z", "sub/y", "m", "sub/a", "b", "a", "sub/z"];
    for (number, name) in order.iter().enumerate().rev() {
        folders.drop_aged(name, "x", Duration::from_secs(100_000 - number as u64));
    }
    take_all(config, &ledger).await;
    assert_eq!(ledger.names(), order);
}

#[tokio::test]
async fn the_archive_has_a_folder_for_each_day_and_numbers_what_has_one_name() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    for content in ["first", "second", "third"] {
        folders.drop_aged("x.csv", content, Duration::from_hours(2));
        take_all(folders.config(), &ledger).await;
    }
    let names = folders.names("archive");
    let (day, _) = names[0].split_once('/').unwrap();
    assert_eq!(day.len(), 10);
    assert!(
        day.bytes()
            .enumerate()
            .all(|(place, byte)| (byte == b'-') == (place == 4 || place == 7))
    );
    assert_eq!(
        names,
        ["x (2).csv", "x (3).csv", "x.csv"].map(|name| format!("{day}/{name}"))
    );
}

//! Names of any bytes and length arrive as they were, and the oldest file goes first.

use crate::bench::{Folders, Ledger, Running, latin1, take_all, until};
use mainstay_clock::{Clock, ManualClock};
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
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    let running = Running::start_by(folders.config(), &ledger, &clock);
    running.until("watching", |status| status.has_events).await;
    for (number, content) in ["first", "second", "third", "tomorrow"].iter().enumerate() {
        if *content == "tomorrow" {
            clock.set_wall(clock.wall() + 24 * 60 * 60 * 1_000);
        }
        folders.drop_file("x.csv", content);
        until("archived", || folders.names("archive").len() == number + 1).await;
    }
    running.stop().await;
    let expected = [
        "2020-01-01/x (2).csv",
        "2020-01-01/x (3).csv",
        "2020-01-01/x.csv",
        "2020-01-02/x.csv",
    ];
    assert_eq!(folders.names("archive"), expected);
}

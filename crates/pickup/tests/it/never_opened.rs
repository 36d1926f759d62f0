//! F4 and K7: what is not a file of its own goes to quarantine by its name, never opened or followed, and holds up nothing.

use crate::bench::{Folders, Ledger, Running, claim, take_all, until};
use mainstay_clock::ManualClock;
use rustix::fs::{CWD, FileType, Mode, RenameFlags, makedev, mknodat, renameat_with};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const CANARY: &[u8] = b"the canary: nobody may ever read this";

fn reason(folders: &Folders, name: &str) -> String {
    let text = std::fs::read_to_string(
        folders
            .path("quarantine")
            .join(format!("{name}.reason.json")),
    )
    .unwrap();
    let start = text.find("\"reason\":\"").unwrap() + 10;
    text[start..start + text[start..].find('"').unwrap()].to_owned()
}

#[tokio::test]
async fn links_pipes_sockets_and_devices_go_to_quarantine_as_what_they_are() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let canary = folders.path("canary");
    std::fs::write(&canary, CANARY).unwrap();
    symlink(&canary, folders.drop_path("link")).unwrap();
    symlink("nowhere", folders.drop_path("dangling")).unwrap();
    symlink(folders.root.path(), folders.drop_path("folder")).unwrap();
    mknodat(
        CWD,
        folders.drop_path("pipe"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    let _socket = UnixListener::bind(folders.drop_path("socket")).unwrap();
    let has_device = mknodat(
        CWD,
        folders.drop_path("device"),
        FileType::CharacterDevice,
        Mode::RUSR,
        makedev(1, 3),
    )
    .is_ok();
    if !has_device {
        println!("NOT MEASURED: devices cannot be made without privileges");
    }
    folders.drop_aged("good", "good", Duration::from_hours(2));

    let status = take_all(folders.config(), &ledger).await;
    assert_eq!(ledger.names(), ["good"]);
    assert_eq!(status.quarantined, 5 + u64::from(has_device));
    assert!(folders.names("drop").is_empty());
    let kind = |name: &str| {
        folders
            .path("quarantine")
            .join(name)
            .symlink_metadata()
            .unwrap()
            .file_type()
    };
    assert!(
        kind("link").is_symlink() && kind("dangling").is_symlink() && kind("folder").is_symlink()
    );
    assert!(kind("pipe").is_fifo() && kind("socket").is_socket());
    assert!(!has_device || kind("device").is_char_device());
    assert_eq!(
        std::fs::read_link(folders.path("quarantine/link")).unwrap(),
        canary
    );
    assert_eq!(
        reason(&folders, "link"),
        "it is a symbolic link, which is never followed"
    );
    assert_eq!(
        reason(&folders, "pipe"),
        "it is a named pipe, which is never opened"
    );
}

#[tokio::test]
async fn a_second_name_for_a_file_elsewhere_is_refused_but_one_that_goes_away_is_not() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    clock.set_wall(mainstay_clock::Clock::wall(&*mainstay_clock::system()));
    let mut config = folders.config();
    config.settle = Duration::from_secs(2);
    let canary = folders.path("canary");
    std::fs::write(&canary, CANARY).unwrap();
    std::fs::hard_link(&canary, folders.drop_path("stolen")).unwrap();
    // A producer that publishes by a link: for a moment the file has two names.
    folders.drop_aged("published", "published", Duration::from_hours(2));
    std::fs::hard_link(folders.drop_path("published"), folders.path("draft")).unwrap();
    let running = Running::start_by(config, &ledger, &clock);
    running
        .until("both are watched", |status| status.settling == 2)
        .await;
    std::fs::remove_file(folders.path("draft")).unwrap();
    until("both are decided", || {
        clock.advance(Duration::from_secs(1));
        ledger.count() == 1 && running.handle.status().quarantined == 1
    })
    .await;
    running.stop().await;
    assert_eq!(ledger.names(), ["published"]);
    assert!(reason(&folders, "stolen").starts_with("it has 2 names (hard links)"));
    assert!(!ledger.contents().contains(&CANARY.to_vec()));
}

#[tokio::test]
async fn programs_with_rights_and_files_that_are_too_large_are_refused() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    let mut config = folders.config();
    config.settle = Duration::from_secs(2);
    config.max_file = 1_000;
    std::fs::write(folders.drop_path("setuid"), "x").unwrap();
    std::fs::set_permissions(
        folders.drop_path("setuid"),
        PermissionsExt::from_mode(0o4755),
    )
    .unwrap();
    // A hole as large as a disk: it is not read to find out how large it is.
    std::fs::File::create(folders.drop_path("large"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    std::fs::write(folders.drop_path("fits"), [0; 1_000]).unwrap();
    let running = Running::start_by(config, &ledger, &clock);
    until("all are decided", || {
        clock.advance(Duration::from_secs(1));
        ledger.count() == 1 && running.handle.status().quarantined == 2
    })
    .await;
    running.stop().await;
    assert_eq!(ledger.names(), ["fits"]);
    assert_eq!(
        reason(&folders, "large"),
        "it has 1099511627776 bytes, and the limit (max_file) is 1000"
    );
    assert!(reason(&folders, "setuid").contains("setuid"));
}

#[tokio::test]
async fn files_of_others_are_refused_where_that_is_wished() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    folders.drop_aged("ours", "x", Duration::from_hours(2));
    folders.drop_aged("theirs", "x", Duration::from_hours(2));
    if std::os::unix::fs::chown(folders.drop_path("theirs"), Some(12_345), None).is_err() {
        println!("NOT MEASURED: a file cannot be given away without privileges");
        return;
    }
    let mut config = folders.config();
    config.own_files_only = true;
    take_all(config, &ledger).await;
    assert_eq!(ledger.names(), ["ours"]);
    assert!(reason(&folders, "theirs").starts_with("it belongs to user 12345"));
}

#[tokio::test]
async fn without_the_wish_files_of_others_are_taken() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    folders.drop_aged("theirs", "x", Duration::from_hours(2));
    drop(std::os::unix::fs::chown(
        folders.drop_path("theirs"),
        Some(12_345),
        None,
    ));
    take_all(folders.config(), &ledger).await;
    assert_eq!(ledger.names(), ["theirs"]);
}

#[tokio::test]
async fn what_was_swapped_for_a_link_after_it_was_claimed_is_not_followed() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    std::fs::write(folders.path("canary"), CANARY).unwrap();
    std::fs::create_dir(folders.path("work")).unwrap();
    std::fs::set_permissions(folders.path("work"), PermissionsExt::from_mode(0o700)).unwrap();
    let held = |number, name: &str| {
        folders
            .path("work")
            .join(format!("{}.{name}", claim(number)))
    };
    symlink(folders.path("canary"), held(1, "link")).unwrap();
    std::fs::hard_link(folders.path("canary"), held(2, "second name")).unwrap();
    mknodat(
        CWD,
        held(3, "pipe"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    let status = take_all(folders.config(), &ledger).await;
    assert_eq!(ledger.count(), 0);
    assert_eq!((status.quarantined, status.pending), (3, 0));
    let names = [
        "link",
        "link.reason.json",
        "pipe",
        "pipe.reason.json",
        "second name",
        "second name.reason.json",
    ];
    assert_eq!(folders.names("quarantine"), names);
}

/// The dropper exchanges a file for a link to the canary, over and over, while files are taken. Only what was dropped arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_flips_between_file_and_link_never_leads_outside() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    std::fs::write(folders.path("canary"), CANARY).unwrap();
    std::fs::create_dir(folders.path("secret")).unwrap();
    std::fs::write(folders.path("secret/report"), CANARY).unwrap();
    let mut config = folders.config();
    config.recursive = true;
    let running = Running::start(config, &ledger);
    running.until("watching", |status| status.has_events).await;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| flip(&folders, &is_over));
        scope.spawn(|| flip_folder(&folders, &is_over));
        scope.spawn(|| {
            let start = std::time::Instant::now();
            while ledger.count() < 300 && start.elapsed() < Duration::from_secs(20) {
                running.handle.wake();
                std::thread::sleep(Duration::from_millis(5));
            }
            is_over.store(true, Ordering::Release);
        });
    });
    running.stop().await;
    assert!(ledger.count() > 0, "the test took something");
    let strangers: Vec<_> = ledger
        .lock()
        .files
        .values()
        .filter(|file| file.content != b"dropped")
        .cloned()
        .collect();
    assert_eq!(strangers, []);
    assert_eq!(
        std::fs::read(folders.path("secret/report")).unwrap(),
        CANARY,
        "it was not even moved"
    );
    assert!(folders.path("canary").exists());
}

fn flip(folders: &Folders, is_over: &AtomicBool) {
    let (file, link) = (folders.drop_path("flip"), folders.drop_path("flip2"));
    while !is_over.load(Ordering::Acquire) {
        drop(std::fs::write(&file, "dropped"));
        drop(symlink(folders.path("canary"), &link));
        for _ in 0..20 {
            renameat_with(CWD, &file, CWD, &link, RenameFlags::EXCHANGE).ok();
        }
        remove_if_link(&file);
        remove_if_link(&link);
    }
}

fn remove_if_link(path: &Path) {
    if path
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.is_symlink())
    {
        drop(std::fs::remove_file(path));
    }
}

/// The same with a folder: `sub` is a folder with a report, or a link to one outside that has a report too.
fn flip_folder(folders: &Folders, is_over: &AtomicBool) {
    let (real, link) = (folders.drop_path("sub"), folders.path("link"));
    std::fs::create_dir_all(&real).unwrap();
    symlink(folders.path("secret"), &link).unwrap();
    while !is_over.load(Ordering::Acquire) {
        drop(std::fs::write(real.join("report"), "dropped"));
        for _ in 0..2 {
            renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE).ok();
        }
    }
}

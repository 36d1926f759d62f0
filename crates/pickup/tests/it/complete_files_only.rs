//! F3: a file that is still being written is not taken, and one that changes while it is read goes back.

use crate::bench::{Folders, Ledger, Mount, Running, claim, until};
use mainstay_clock::{Clock, ManualClock};
use mainstay_pickup::State;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const SETTLE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_file_is_taken_when_its_writer_closes_it_and_when_it_is_moved_in() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let running = Running::start(folders.config(), &ledger);
    running.until("watching", |status| status.has_events).await;
    let mut writer = File::create(folders.drop_path("written")).unwrap();
    writer.write_all(b"whole").unwrap();
    drop(writer);
    folders.drop_file("moved", "in");
    until("both taken", || ledger.count() == 2).await;
    assert_eq!(ledger.contents(), [b"in".to_vec(), b"whole".to_vec()]);
    running.stop().await;
}

#[tokio::test]
async fn a_slow_writer_is_waited_for_however_long_it_pauses() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    let mut config = folders.config();
    config.settle = SETTLE;
    let running = Running::start_by(config, &ledger, &clock);
    running.until("watching", |status| status.has_events).await;
    let mut writer = File::create(folders.drop_path("slow")).unwrap();
    for piece in 0..10 {
        write!(writer, "piece {piece};").unwrap();
        // Far longer than it takes to settle: time alone would say that it is complete.
        for _ in 0..3 {
            let scans = running.handle.status().scans;
            clock.advance(Duration::from_secs(11));
            running
                .until("another look", |status| status.scans > scans)
                .await;
        }
        assert_eq!(ledger.count(), 0, "taken half written");
    }
    let waiting = running.handle.status().waiting;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].reason, "a program still has it open for writing");
    drop(writer);
    until("taken", || ledger.count() == 1).await;
    let pieces: Vec<String> = (0..10).map(|piece| format!("piece {piece};")).collect();
    assert_eq!(ledger.contents(), [pieces.concat().into_bytes()]);
    assert_eq!(
        running.stop().await.returned,
        0,
        "it was never touched before it was complete"
    );
}

#[tokio::test]
async fn a_file_without_an_event_settles_by_the_monotonic_clock_whatever_its_time_and_the_date_say()
{
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    // The clock says 2020, so this file is from the future.
    folders.drop_file("future", "x");
    let mut config = folders.config();
    config.settle = SETTLE;
    let running = Running::start_by(config, &ledger, &clock);
    running
        .until("it settles", |status| status.settling == 1)
        .await;
    clock.set_wall(0);
    clock.set_wall(clock.wall() + 4_000_000_000_000);
    clock.advance(Duration::from_millis(1_900));
    running.handle.wake();
    running
        .until("it still settles", |status| status.settling == 1)
        .await;
    assert_eq!(ledger.count(), 0);
    clock.advance(Duration::from_millis(100));
    running.idle().await;
    assert_eq!(ledger.names(), ["future"]);
    running.stop().await;
}

#[tokio::test]
async fn a_file_that_was_changed_long_ago_is_taken_at_the_start_at_once() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    folders.drop_aged("old", "x", Duration::from_hours(2));
    let running = Running::start(folders.config(), &ledger);
    running.idle().await;
    assert_eq!(ledger.names(), ["old"]);
    running.stop().await;
}

/// Ramfs is not among the file systems whose leases are asked, as a network share is not.
#[tokio::test]
async fn without_leases_size_and_time_have_to_stay_as_they_are() {
    let root = TempDir::new().unwrap();
    let Some(mount) = Mount::new("ramfs", "mode=0700", root.path().join("ramfs")) else {
        return;
    };
    let folders = Folders::at(TempDir::new_in(mount.path()).unwrap());
    let (ledger, clock) = (Ledger::new(), ManualClock::new());
    let mut config = folders.config();
    config.settle = SETTLE;
    let running = Running::start_by(config, &ledger, &clock);
    running.until("watching", |status| status.has_events).await;
    // The writer keeps it open, so that no event tells of what it writes.
    let mut writer = File::create(folders.drop_path("x")).unwrap();
    writer.write_all(b"first").unwrap();
    let scans = running.handle.status().scans;
    clock.advance(Duration::from_secs(10));
    running
        .until("it is found", |status| {
            status.scans > scans && status.settling == 1
        })
        .await;
    for piece in 0..5 {
        clock.advance(Duration::from_millis(1_500));
        write!(writer, " {piece}").unwrap();
        // More than it takes to settle has passed since the first look at it, but not since it changed.
        clock.advance(Duration::from_secs(1));
        for _ in 0..3 {
            running.handle.wake();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running
            .until("it settles", |status| {
                status.settling == 1 && status.ready == 0
            })
            .await;
        assert_eq!(ledger.count(), 0, "taken while it was being written");
    }
    drop(writer);
    until("taken", || {
        clock.advance(SETTLE);
        ledger.count() == 1
    })
    .await;
    assert_eq!(ledger.contents(), [b"first 0 1 2 3 4".to_vec()]);
    running.stop().await;
}

/// A writer that had the file open when it was moved away goes on writing to it: only after it closes the file is complete.
#[tokio::test]
async fn a_file_that_is_written_to_after_it_was_claimed_goes_back_under_its_own_name() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let held = folders.path("work").join(format!("{}.x", claim(1)));
    std::fs::create_dir(folders.path("work")).unwrap();
    std::fs::set_permissions(
        folders.path("work"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let mut writer = File::create(&held).unwrap();
    writer.write_all(b"half").unwrap();
    let running = Running::start(folders.config(), &ledger);
    running
        .until("it went back", |status| status.returned == 1)
        .await;
    assert_eq!(folders.names("drop"), ["x"]);
    assert_eq!(ledger.count(), 0);
    writer.write_all(b" and half").unwrap();
    drop(writer);
    until("taken", || ledger.count() == 1).await;
    assert_eq!(ledger.contents(), [b"half and half".to_vec()]);
    running.stop().await;
    assert_eq!(folders.contents("archive"), [b"half and half".to_vec()]);
    assert!(folders.work_names().is_empty());
}

#[tokio::test]
async fn where_its_name_is_taken_again_it_stays_and_both_become_documents() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    let held = folders.path("work").join(format!("{}.x", claim(1)));
    std::fs::create_dir(folders.path("work")).unwrap();
    std::fs::set_permissions(
        folders.path("work"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let mut writer = File::create(&held).unwrap();
    writer.write_all(b"first").unwrap();
    folders.drop_file("x", "second");
    ledger.lock().is_full = true;
    let mut config = folders.config();
    config.settle = SETTLE;
    let running = Running::start_by(config, &ledger, &clock);
    running
        .until("full", |status| status.state == State::Full)
        .await;
    ledger.lock().is_full = false;
    running.handle.wake();
    running
        .until("it is pending", |status| {
            status.pending == 1 && status.settling == 1
        })
        .await;
    assert_eq!(ledger.count(), 0);
    drop(writer);
    clock.advance(SETTLE);
    running.idle().await;
    assert_eq!(ledger.contents(), [b"first".to_vec(), b"second".to_vec()]);
    assert!(
        ledger.lock().files.contains_key(&claim(1)),
        "the first keeps its claim"
    );
    running.stop().await;
    ledger.assert_closed();
}

#[tokio::test]
async fn a_copy_that_keeps_its_old_time_is_not_taken_before_it_is_closed() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let writer = File::create(folders.drop_path("copy")).unwrap();
    // As `cp -p` and archivers do.
    writer
        .set_modified(SystemTime::now() - Duration::from_hours(1_000))
        .unwrap();
    let running = Running::start(folders.config(), &ledger);
    running
        .until("it is seen", |status| status.waiting_total == 1)
        .await;
    assert_eq!(ledger.count(), 0);
    drop(writer);
    until("taken", || ledger.count() == 1).await;
    running.stop().await;
}

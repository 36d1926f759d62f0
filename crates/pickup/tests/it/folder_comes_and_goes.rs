//! A drop folder that is missing, vanishes, returns, or is exchanged for another: told, waited for, and served again.

use crate::bench::{Folders, Ledger, Running, until};
use mainstay_clock::ManualClock;
use mainstay_pickup::State;
use std::time::Duration;

#[tokio::test]
async fn a_missing_folder_is_told_with_what_to_do_and_served_when_it_comes() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    clock.set_wall(mainstay_clock::Clock::wall(&*mainstay_clock::system()));
    std::fs::remove_dir(folders.path("drop")).unwrap();
    let running = Running::start_by(folders.config(), &ledger, &clock);
    let status = running
        .until("missing", |status| status.state == State::Missing)
        .await;
    let expected = format!(
        "drop folder `{}` cannot be opened (No such file or directory (os error 2)): make it, mount it, or correct the \
         path; it is looked for every 10 s",
        folders.path("drop").display()
    );
    assert_eq!(status.reason, expected);
    running.idle().await;
    std::fs::create_dir(folders.path("drop")).unwrap();
    folders.drop_aged("x", "x", Duration::from_hours(2));
    until("taken", || {
        clock.advance(Duration::from_secs(10));
        ledger.count() == 1
    })
    .await;
    let status = running.handle.status();
    assert_eq!((status.state, status.has_events), (State::Watching, true));
    running.stop().await;
}

#[tokio::test]
async fn a_folder_that_vanishes_and_returns_is_watched_again() {
    // Time stands still but for the rescans below: what comes in between is noticed by events.
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    clock.set_wall(mainstay_clock::Clock::wall(&*mainstay_clock::system()));
    let running = Running::start_by(folders.config(), &ledger, &clock);
    running.until("watching", |status| status.has_events).await;
    for round in 0..5 {
        std::fs::remove_dir(folders.path("drop")).unwrap();
        running
            .until("missing", |status| {
                status.state == State::Missing && !status.has_events
            })
            .await;
        std::fs::create_dir(folders.path("drop")).unwrap();
        until("watching", || {
            clock.advance(Duration::from_secs(10));
            running.handle.status().has_events
        })
        .await;
        folders.drop_file("x", format!("{round}"));
        until("taken by its event", || ledger.count() == round + 1).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_folder_that_is_exchanged_for_another_is_noticed() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    clock.set_wall(mainstay_clock::Clock::wall(&*mainstay_clock::system()));
    let running = Running::start_by(folders.config(), &ledger, &clock);
    running.until("watching", |status| status.has_events).await;
    std::fs::create_dir(folders.path("other")).unwrap();
    std::fs::write(folders.path("other/before"), "before").unwrap();
    let old = std::time::SystemTime::now() - Duration::from_hours(2);
    std::fs::File::options()
        .append(true)
        .open(folders.path("other/before"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    std::fs::rename(folders.path("drop"), folders.path("away")).unwrap();
    std::fs::rename(folders.path("other"), folders.path("drop")).unwrap();
    until("what lay in it is taken", || ledger.count() == 1).await;
    folders.drop_file("after", "after");
    until("what comes is taken", || ledger.count() == 2).await;
    // The old one is nothing to us any more.
    std::fs::write(folders.path("away/stranger"), "stranger").unwrap();
    running.idle().await;
    running.stop().await;
    assert_eq!(ledger.names(), ["before", "after"]);
    assert!(folders.path("away/stranger").exists());
}

#[tokio::test]
async fn events_that_were_lost_are_made_good_by_the_rescan() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    clock.set_wall(mainstay_clock::Clock::wall(&*mainstay_clock::system()));
    let running = Running::start_by(folders.config(), &ledger, &clock);
    running.until("watching", |status| status.has_events).await;
    // A link makes no event that says that a file is complete.
    folders.drop_aged("elsewhere", "x", Duration::from_hours(2));
    until("taken", || ledger.count() == 1).await;
    std::fs::write(folders.path("draft"), "linked").unwrap();
    let old = std::time::SystemTime::now() - Duration::from_hours(2);
    std::fs::File::options()
        .append(true)
        .open(folders.path("draft"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    std::fs::hard_link(folders.path("draft"), folders.drop_path("linked")).unwrap();
    std::fs::remove_file(folders.path("draft")).unwrap();
    until("taken", || {
        clock.advance(Duration::from_secs(10));
        ledger.count() == 2
    })
    .await;
    running.stop().await;
}

/// More happens while nobody listens than the system remembers (`max_queued_events`, 16,384).
#[tokio::test]
async fn an_overflow_of_events_loses_no_file() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    // All that is dropped now has settled, as far as this clock knows, and no rescan comes.
    clock.set_wall(mainstay_clock::Clock::wall(&*mainstay_clock::system()) + 3_600_000);
    let mut config = folders.config();
    config.after = mainstay_pickup::After::Delete;
    config.settle = Duration::from_mins(1);
    let running = Running::start_by(config, &ledger, &clock);
    running.until("watching", |status| status.has_events).await;
    ledger.lock().is_full = true;
    folders.drop_file("first", "first");
    running
        .until("it waits for room, and hears nothing", |status| {
            status.state == State::Full
        })
        .await;
    let queued = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let files = queued.trim().parse::<usize>().unwrap().min(100_000) + 1_000;
    for number in 0..files {
        std::fs::write(folders.drop_path(format!("{number}")), "x").unwrap();
    }
    ledger.lock().is_full = false;
    running.handle.wake();
    until("all are taken", || ledger.count() == files + 1).await;
    running.stop().await;
    ledger.assert_closed();
}

#[tokio::test]
async fn folders_inside_are_watched_as_they_come_and_move() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    clock.set_wall(mainstay_clock::Clock::wall(&*mainstay_clock::system()));
    let mut config = folders.config();
    config.recursive = true;
    let running = Running::start_by(config, &ledger, &clock);
    running.until("watching", |status| status.has_events).await;
    // Made, and filled at once: the file may be there before the watch is.
    std::fs::create_dir_all(folders.drop_path("a/b/c")).unwrap();
    folders.drop_aged("a/b/c/1", "1", Duration::from_hours(2));
    until("taken", || ledger.count() == 1).await;
    folders.drop_file("a/b/c/2", "2");
    until("taken", || ledger.count() == 2).await;
    // A whole tree moves in.
    std::fs::create_dir_all(folders.path("tree/x")).unwrap();
    std::fs::write(folders.path("tree/x/3"), "3").unwrap();
    let old = std::time::SystemTime::now() - Duration::from_hours(2);
    std::fs::File::options()
        .append(true)
        .open(folders.path("tree/x/3"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    std::fs::rename(folders.path("tree"), folders.drop_path("tree")).unwrap();
    until("taken", || ledger.count() == 3).await;
    // A folder gets another name.
    std::fs::rename(folders.drop_path("tree"), folders.drop_path("wood")).unwrap();
    // Its event may come with the old path; the look that follows the move finds it.
    folders.drop_aged("wood/x/4", "4", Duration::from_hours(2));
    until("taken", || ledger.count() == 4).await;
    running.idle().await;
    running.stop().await;
    assert_eq!(
        ledger.names(),
        ["a/b/c/1", "a/b/c/2", "tree/x/3", "wood/x/4"]
    );
}

//! What people are told, and how it ends: at once, and with every file where it can be found again.

use crate::bench::{Folders, Ledger, PATIENCE, Running, take_all, until};
use mainstay_clock::ManualClock;
use mainstay_pickup::{Config, ErrorKind, Pickup, State};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

const OLD: Duration = Duration::from_hours(2);

#[tokio::test]
async fn idle_comes_when_nothing_is_left_that_can_be_taken_or_will_settle() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let mut config = folders.config();
    config.settle = Duration::from_millis(300);
    let running = Running::start(config, &ledger);
    running.idle().await;
    folders.drop_aged("old", "old", OLD);
    // Linked, so that no event tells of it, and fresh, so that it has to settle.
    std::fs::write(folders.path("draft"), "fresh").unwrap();
    std::fs::hard_link(folders.path("draft"), folders.drop_path("fresh")).unwrap();
    std::fs::remove_file(folders.path("draft")).unwrap();
    running.idle().await;
    assert_eq!(ledger.contents(), [b"fresh".to_vec(), b"old".to_vec()]);
    let waiters = (0..5).map(|_| running.handle.clone());
    for handle in waiters.collect::<Vec<_>>() {
        tokio::time::timeout(PATIENCE, handle.idle()).await.unwrap();
    }
    let handle = running.handle.clone();
    running.stop().await;
    tokio::time::timeout(PATIENCE, handle.idle())
        .await
        .expect("one that has stopped is idle");
    assert_eq!(handle.status().state, State::Stopped);
}

/// Root may read everything, so the pickup runs on threads that have given that up.
#[test]
fn an_unreadable_file_is_told_with_what_to_do_and_holds_up_nothing() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    folders.drop_aged("good", "good", OLD);
    folders.drop_aged("secret", "secret", Duration::from_hours(3));
    std::fs::set_permissions(
        folders.drop_path("secret"),
        PermissionsExt::from_mode(0o000),
    )
    .unwrap();
    std::fs::set_permissions(folders.root.path(), PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(folders.drop_path(""), PermissionsExt::from_mode(0o777)).unwrap();
    let mut config = folders.config();
    // Whether a file of somebody else is open for writing is not told to everybody, so it has to settle.
    config.settle = Duration::from_millis(100);
    let allow = || {
        std::fs::set_permissions(
            folders.drop_path("secret"),
            PermissionsExt::from_mode(0o444),
        )
        .unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let ledger = Arc::clone(&ledger);
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65_534);
                // This thread, and those that it starts.
                rustix::thread::set_thread_uid(nobody).unwrap();
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let running = Running::start(config, &ledger);
                running.idle().await;
                let status = running.handle.status();
                assert_eq!(ledger.names(), ["good"]);
                assert_eq!(status.waiting_total, 1);
                assert_eq!(status.waiting[0].path.to_str(), Some("secret"));
                let reason = "it may not be read; give us the right to (chmod, chown or an ACL)";
                assert_eq!(status.waiting[0].reason, reason);
                running.stop().await;
            });
        });
    });
    allow();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // The folders belong to the one who made them now.
        let mut config = folders.config();
        config.work = folders.path("work2");
        config.quarantine = folders.path("quarantine2");
        let status = take_all(config, &ledger).await;
        assert_eq!(status.waiting_total, 0);
    });
    assert_eq!(ledger.count(), 2);
}

#[tokio::test]
async fn it_stops_at_once_while_a_commit_hangs_and_the_next_start_goes_on() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    for number in 0..100 {
        folders.drop_aged(format!("{number}"), format!("{number}"), OLD);
    }
    ledger.lock().hangs = true;
    let running = Running::start(folders.config(), &ledger);
    until("it is offered", || ledger.lock().commits == 1).await;
    let begin = std::time::Instant::now();
    running.stop().await;
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(
        folders.names("drop").len() + folders.work_names().len(),
        100
    );
    ledger.lock().hangs = false;
    take_all(folders.config(), &ledger).await;
    assert_eq!(ledger.count(), 100);
    assert_eq!(folders.contents("archive"), ledger.contents());
    ledger.assert_closed();
}

#[tokio::test]
async fn stopped_at_any_moment_nothing_is_lost_or_doubled() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    for number in 0..600 {
        folders.drop_aged(
            format!("{number}"),
            format!("{number}"),
            Duration::from_secs(100_000 - number),
        );
    }
    let mut config = folders.config();
    config.batch_files = 3;
    let mut starts = 0;
    while ledger.count() < 600 {
        let running = Running::start(config.clone(), &ledger);
        let goal = ledger.count() + starts % 40;
        until("some are taken", || ledger.count() >= goal.min(600)).await;
        running.stop().await;
        starts += 1;
    }
    take_all(config, &ledger).await;
    assert!(starts > 10, "{starts}");
    assert_eq!(ledger.count(), 600);
    assert_eq!(folders.contents("archive"), ledger.contents());
    assert!(folders.work_names().is_empty());
    ledger.assert_closed();
}

#[tokio::test]
async fn an_archive_that_cannot_be_written_is_told_and_made_good_later() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    std::fs::create_dir(folders.path("archive")).unwrap();
    // A file stands where the folder of the day has to be.
    let day = folders.path("archive/2020-01-01");
    std::fs::write(&day, "in the way").unwrap();
    let running = Running::start_by(folders.config(), &ledger, &clock);
    running.until("watching", |status| status.has_events).await;
    folders.drop_file("x", "x");
    let status = running
        .until("it is told", |status| status.unfinished == 1)
        .await;
    assert_eq!(ledger.count(), 1, "it is safe with the intake");
    let told = status.last_error.unwrap();
    assert!(told.starts_with("cannot archive `"), "{told}");
    assert!(
        told.ends_with("; it is committed, and this is tried again"),
        "{told}"
    );
    assert!(ledger.lock().closed.is_empty());
    std::fs::remove_file(&day).unwrap();
    until("it is archived", || {
        clock.advance(Duration::from_secs(10));
        running.handle.status().unfinished == 0
    })
    .await;
    running.stop().await;
    assert_eq!(folders.contents("archive"), [b"x".to_vec()]);
    ledger.assert_closed();
}

#[test]
fn settings_that_make_no_sense_are_refused_with_their_name() {
    let folders = Folders::new();
    let refusal = |change: fn(&mut Config)| {
        let mut config = folders.config();
        change(&mut config);
        let error = Pickup::open(config, Ledger::new(), mainstay_clock::system()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        error
            .to_string()
            .replace(folders.root.path().to_str().unwrap(), "ROOT")
    };
    assert_eq!(
        refusal(|config| config.batch_files = 0),
        "cannot watch `ROOT/drop`: setting `batch_files`: it has to be 1 to 1024"
    );
    assert_eq!(
        refusal(|config| config.rescan = Duration::ZERO),
        "cannot watch `ROOT/drop`: setting `rescan`: it has to be longer than nothing"
    );
    assert_eq!(
        refusal(|config| config.marker = Some("/".into())),
        "cannot watch `ROOT/drop`: setting `marker`: it has to be the end of a file name, such as `.done`"
    );
}

//! F1 and F2: each file is in one place at a time, and becomes one document; the same name any number of times is as many
//! documents.

use crate::bench::{Folders, Ledger, PATIENCE, Running, take_all, until};
use mainstay_clock::ManualClock;
use mainstay_pickup::{After, ErrorKind, Pickup};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test]
async fn the_same_name_a_thousand_times_is_a_thousand_documents_in_the_archive_too() {
    // A clock that stands still, so that they are all of one day.
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let running = Running::start_by(folders.config(), &ledger, &ManualClock::new());
    running.until("watching", |status| status.has_events).await;
    for number in 0..1_000 {
        folders.drop_file("same.csv", format!("{number}"));
        until("it is taken away", || {
            !folders.drop_path("same.csv").exists()
        })
        .await;
    }
    running.idle().await;
    running.stop().await;
    let expected: BTreeSet<Vec<u8>> = (0..1_000)
        .map(|number| format!("{number}").into_bytes())
        .collect();
    assert_eq!(ledger.count(), 1_000);
    assert_eq!(
        ledger.contents().into_iter().collect::<BTreeSet<_>>(),
        expected
    );
    assert_eq!(
        folders
            .contents("archive")
            .into_iter()
            .collect::<BTreeSet<_>>(),
        expected
    );
    assert!(
        folders
            .names("archive")
            .iter()
            .any(|name| name.ends_with("/same (1000).csv"))
    );
    ledger.assert_closed();
}

#[tokio::test]
async fn a_hundred_thousand_files_at_once_are_taken_once_each_in_full_batches() {
    const FILES: usize = 100_000;
    let (folders, ledger) = (Folders::new(), Ledger::new());
    for number in 0..FILES {
        std::fs::write(
            folders.drop_path(format!("{number}.txt")),
            format!("{number}"),
        )
        .unwrap();
    }
    let mut config = folders.config();
    config.settle = Duration::ZERO;
    config.after = After::Delete;
    let begun = Instant::now();
    let running = Running::start(config, &ledger);
    let mut taken = 0;
    // However slow the disk is: it is enough that more and more of them are taken.
    while tokio::time::timeout(PATIENCE, running.handle.idle())
        .await
        .is_err()
    {
        let now = running.handle.status().taken;
        assert!(taken < now, "it is stuck: {:#?}", running.handle.status());
        taken = now;
    }
    let status = running.stop().await;
    assert_eq!(status.taken, FILES as u64);
    assert_eq!(ledger.count(), FILES);
    let expected: BTreeSet<Vec<u8>> = (0..FILES)
        .map(|number| format!("{number}").into_bytes())
        .collect();
    assert_eq!(
        ledger.contents().into_iter().collect::<BTreeSet<_>>(),
        expected
    );
    let commits = ledger.lock().batches.len();
    assert!(
        commits <= FILES / 512 + 10,
        "{commits} commits, each with its syncs, for 100,000 files"
    );
    assert!(folders.names("drop").is_empty() && folders.work_names().is_empty());
    // While files wait, the folder is looked through once a minute.
    let minutes = begun.elapsed().as_secs() / 60;
    assert!(
        status.scans <= 6 + minutes,
        "the folder was looked through {} times",
        status.scans
    );
    ledger.assert_closed();
}

#[tokio::test]
async fn more_files_than_are_remembered_are_all_taken_oldest_first() {
    const FILES: usize = 40_000;
    let (folders, ledger) = (Folders::new(), Ledger::new());
    // The names run against the ages, so that neither the listing nor the names give the order.
    for number in 0..FILES {
        let path = folders.drop_path(format!("{:06}", FILES - number));
        let file = std::fs::File::create(path).unwrap();
        let age = Duration::from_secs(10_000_000 - number as u64);
        file.set_modified(std::time::SystemTime::now() - age)
            .unwrap();
    }
    let mut config = folders.config();
    config.after = After::Delete;
    config.batch_files = 1_000;
    let status = take_all(config, &ledger).await;
    assert_eq!(status.taken, FILES as u64);
    let expected: Vec<String> = (0..FILES)
        .map(|number| format!("{:06}", FILES - number))
        .collect();
    assert_eq!(ledger.names(), expected);
    assert!(
        status.scans <= 6,
        "the folder was looked through {} times",
        status.scans
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_agents_on_one_folder_one_takes_each_file() {
    let folders = Folders::new();
    let ledgers = [Ledger::new(), Ledger::new()];
    let agents: Vec<Running> = ledgers
        .iter()
        .enumerate()
        .map(|(number, ledger)| {
            let mut config = folders.config();
            config.work = folders.path(format!("work{number}"));
            config.archive = folders.path(format!("archive{number}"));
            config.batch_files = 7;
            Running::start(config, ledger)
        })
        .collect();
    for agent in &agents {
        agent.until("watching", |status| status.has_events).await;
    }
    for number in 0..2_000 {
        folders.drop_file(format!("{number}"), format!("{number}"));
    }
    for agent in agents {
        agent.idle().await;
        let status = agent.stop().await;
        assert_eq!(
            (status.last_error, status.waiting_total),
            (None, 0),
            "the slower one goes on in peace"
        );
    }
    let [first, second] = &ledgers;
    println!("{} and {}", first.count(), second.count());
    assert_eq!(first.count() + second.count(), 2_000);
    let mut taken = first.contents();
    taken.extend(second.contents());
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), 2_000);
    assert_eq!(folders.contents("archive0"), first.contents());
    assert_eq!(folders.contents("archive1"), second.contents());
}

#[tokio::test]
async fn a_second_pickup_on_one_work_folder_is_refused() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let first = Pickup::open(
        folders.config(),
        Arc::clone(&ledger),
        mainstay_clock::system(),
    )
    .unwrap();
    let error = Pickup::open(
        folders.config(),
        Arc::clone(&ledger),
        mainstay_clock::system(),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    let expected = format!(
        "cannot lock `{}`: another process uses it; stop that one, or use another data folder",
        folders.path("work").display()
    );
    assert_eq!(error.to_string(), expected);
    drop(first);
    assert!(Pickup::open(folders.config(), ledger, mainstay_clock::system()).is_ok());
}

#[tokio::test]
async fn a_large_file_is_handed_over_open_and_not_in_memory() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let large = vec![7; 5 * 1024 * 1024];
    let edge = vec![8; 256 * 1024];
    folders.drop_aged("large", &large, Duration::from_hours(3));
    folders.drop_aged("edge", &edge, Duration::from_hours(2));
    folders.drop_aged("empty", "", Duration::from_hours(2));
    take_all(folders.config(), &ledger).await;
    let inner = ledger.lock();
    let file = |name: &str| inner.files.values().find(|file| file.name == name).unwrap();
    assert!(file("large").content == large && !file("large").is_inline);
    assert!(file("edge").content == edge && file("edge").is_inline);
    assert!(file("empty").content.is_empty() && file("empty").is_inline);
    assert_eq!(
        inner.batches,
        [1, 2],
        "what is larger than a batch goes alone"
    );
}

#[tokio::test]
async fn after_the_commit_a_file_is_archived_moved_or_removed() {
    for (after, remains) in [
        (After::Archive, &["archive"][..]),
        (After::Move("moved".into()), &["moved"]),
        (After::Delete, &[]),
    ] {
        let (folders, ledger) = (Folders::new(), Ledger::new());
        let mut config = folders.config();
        config.recursive = true;
        config.after = match after {
            After::Move(folder) => After::Move(folders.path(folder)),
            after => after,
        };
        std::fs::create_dir(folders.drop_path("sub")).unwrap();
        folders.drop_aged("sub/x.csv", "inside", Duration::from_hours(2));
        folders.drop_aged("x.csv", "above", Duration::from_hours(2));
        take_all(config, &ledger).await;
        assert_eq!(ledger.count(), 2);
        for folder in ["archive", "moved"] {
            let expected = if remains.contains(&folder) {
                vec![b"above".to_vec(), b"inside".to_vec()]
            } else {
                vec![]
            };
            assert_eq!(folders.contents(folder), expected);
        }
        assert!(folders.names("drop").is_empty() && folders.work_names().is_empty());
    }
}

#[tokio::test]
async fn what_an_earlier_life_took_is_offered_in_batches_of_bounded_bytes() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    for number in 0..20u8 {
        folders.drop_aged(
            format!("{number}"),
            vec![number; 20 * 1024],
            Duration::from_hours(2),
        );
    }
    ledger.lock().hangs = true;
    let running = Running::start(folders.config(), &ledger);
    until("all are offered", || ledger.lock().commits == 1).await;
    running.stop().await;
    assert_eq!(folders.work_names().len(), 20, "they were taken together");
    ledger.lock().hangs = false;
    let mut config = folders.config();
    config.batch_bytes = 100 * 1024;
    take_all(config, &ledger).await;
    assert_eq!(ledger.count(), 20);
    assert!(
        ledger.lock().batches.iter().all(|files| *files <= 5),
        "{:?}",
        ledger.lock().batches
    );
}

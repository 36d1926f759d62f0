//! F2 where files stay in the drop folder: each is one document, until it changes, whatever is restarted.

use crate::bench::{Folders, Ledger, Running, claim, take_all, until};
use mainstay_pickup::{After, Config};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

fn keeping(folders: &Folders) -> Config {
    let mut config = folders.config();
    config.after = After::Keep;
    config
}

#[tokio::test]
async fn a_file_stays_and_is_taken_once_across_restarts() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let mut config = keeping(&folders);
    config.recursive = true;
    std::fs::create_dir(folders.drop_path("sub")).unwrap();
    let large = vec![3; 700 * 1024];
    folders.drop_aged("a", "a", Duration::from_hours(4));
    folders.drop_aged(crate::bench::latin1(), "not UTF-8", Duration::from_hours(3));
    folders.drop_aged("sub/large", &large, Duration::from_hours(2));
    for _ in 0..3 {
        let status = take_all(config.clone(), &ledger).await;
        assert_eq!((status.last_error, status.waiting_total), (None, 0));
        assert_eq!(ledger.count(), 3);
        assert_eq!(folders.names("drop").len(), 3);
    }
    assert_eq!(folders.contents("drop"), ledger.contents());
    assert!(
        ledger
            .lock()
            .files
            .values()
            .any(|file| file.content == large && !file.is_inline)
    );
    ledger.assert_closed();
    assert!(folders.names("archive").is_empty());
    let remains = folders.work_names();
    let is_memory = |name: &String| {
        name.starts_with("kept/") && Path::new(name).extension().is_some_and(|end| end == "kept")
    };
    assert!(remains.iter().all(is_memory), "{remains:?}");
}

#[tokio::test]
async fn a_file_that_changes_is_a_new_document() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let running = Running::start(keeping(&folders), &ledger);
    running.until("watching", |status| status.has_events).await;
    for content in ["one", "two", "six"] {
        // The same name and the same length: time and inode tell.
        folders.drop_file("x", content);
        until("taken", || {
            ledger.contents().contains(&content.as_bytes().to_vec())
        })
        .await;
    }
    std::fs::write(folders.drop_path("x"), "in place").unwrap();
    until("taken", || ledger.count() == 4).await;
    running.handle.wake();
    running.idle().await;
    running.stop().await;
    assert_eq!(ledger.count(), 4);
    assert_eq!(folders.contents("drop"), [b"in place".to_vec()]);
    ledger.assert_closed();
}

#[tokio::test]
async fn a_crash_around_the_commit_makes_neither_two_documents_nor_none() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    folders.drop_aged("a", "a", Duration::from_hours(2));
    folders.drop_aged("b", "b", Duration::from_hours(2));
    ledger.lock().hangs = true;
    let mut config = keeping(&folders);
    config.batch_files = 1;
    let running = Running::start(config.clone(), &ledger);
    until("it is offered", || ledger.lock().commits == 1).await;
    running.stop().await;
    ledger.lock().hangs = false;
    let intents: Vec<String> = folders
        .work_names()
        .into_iter()
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|end| end == "intent")
        })
        .collect();
    assert_eq!(
        intents.len(),
        1,
        "it was written down before it was committed"
    );
    let text = std::fs::read_to_string(folders.path("work").join(&intents[0])).unwrap();
    let line = text.lines().nth(1).unwrap();
    assert!(line.ends_with(" a"));
    // The commit became durable, and nobody heard of it.
    ledger.commit_earlier(line[..36].parse().unwrap(), "a", b"a");
    take_all(config.clone(), &ledger).await;
    assert_eq!(ledger.contents(), [b"a".to_vec(), b"b".to_vec()]);
    ledger.assert_closed();

    // The same, and the commit did not become durable.
    folders.drop_aged("c", "c", Duration::from_hours(2));
    ledger.lock().hangs = true;
    let running = Running::start(config.clone(), &ledger);
    let commits = ledger.lock().commits;
    until("it is offered", || ledger.lock().commits == commits + 1).await;
    running.stop().await;
    ledger.lock().hangs = false;
    take_all(config, &ledger).await;
    assert_eq!(
        ledger.contents(),
        [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]
    );
    ledger.assert_closed();
}

#[tokio::test]
async fn while_the_intake_refuses_files_stay_and_come_later() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    for number in 0..10 {
        folders.drop_aged(
            format!("{number}"),
            format!("{number}"),
            Duration::from_hours(2),
        );
    }
    ledger.lock().poison = Some("3".into());
    let running = Running::start(keeping(&folders), &ledger);
    until("all others are taken", || ledger.count() == 9).await;
    ledger.lock().poison = None;
    running.handle.wake();
    running.idle().await;
    running.stop().await;
    assert_eq!(ledger.count(), 10);
    assert_eq!(folders.names("drop").len(), 10);
    ledger.assert_closed();
}

#[tokio::test]
async fn a_commit_that_became_durable_though_it_was_refused_is_remembered() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    folders.drop_aged("a", "a", Duration::from_hours(2));
    ledger.lock().lies = true;
    for _ in 0..2 {
        take_all(keeping(&folders), &ledger).await;
        assert_eq!(ledger.contents(), [b"a".to_vec()]);
    }
    ledger.assert_closed();
}

#[tokio::test]
async fn what_was_claimed_under_another_setting_is_finished_and_archived() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    std::fs::create_dir(folders.path("work")).unwrap();
    std::fs::set_permissions(folders.path("work"), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(folders.path("work").join(format!("{}.x", claim(1))), "x").unwrap();
    take_all(keeping(&folders), &ledger).await;
    assert_eq!(ledger.contents(), [b"x".to_vec()]);
    assert_eq!(folders.contents("archive"), [b"x".to_vec()]);
    ledger.assert_closed();
}

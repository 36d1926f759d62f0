//! When the intake refuses, files stay where they are, nothing is lost or doubled, and it goes on by itself.

use crate::bench::{Folders, Ledger, Running, until};
use mainstay_clock::ManualClock;
use mainstay_pickup::{Refusal, State};
use std::time::Duration;

/// A clock that knows what day it is, and stands still: nothing is tried again before a word comes.
fn standing_clock() -> ManualClock {
    let clock = ManualClock::new();
    clock.set_wall(mainstay_clock::Clock::wall(&*mainstay_clock::system()));
    clock
}

fn drop_some(folders: &Folders, count: usize) -> Vec<Vec<u8>> {
    let mut contents = Vec::new();
    for number in 0..count {
        let content = format!("{number:04}").into_bytes();
        folders.drop_aged(
            format!("{number:04}"),
            &content,
            Duration::from_secs(10_000 - number as u64),
        );
        contents.push(content);
    }
    contents
}

#[tokio::test]
async fn without_room_files_stay_in_the_drop_folder_until_there_is_some() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), standing_clock());
    let contents = drop_some(&folders, 200);
    ledger.lock().is_full = true;
    let running = Running::start_by(folders.config(), &ledger, &clock);
    let status = running
        .until("full", |status| status.state == State::Full)
        .await;
    assert_eq!(
        status.reason,
        "the intake has no room; files stay in the drop folder until it has"
    );
    assert_eq!(status.ready, 200);
    assert_eq!(folders.names("drop").len(), 200);
    assert_eq!(
        ledger.lock().commits,
        0,
        "it is asked before anything is moved"
    );
    // No word comes: it finds out by itself, within ten seconds however long it was full.
    for _ in 0..10 {
        clock.advance(Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
    ledger.lock().is_full = false;
    until("all taken", || {
        clock.advance(Duration::from_secs(1));
        ledger.count() == 200
    })
    .await;
    running.idle().await;
    assert_eq!(running.handle.status().state, State::Watching);
    running.stop().await;
    assert_eq!(ledger.contents(), contents);
    assert_eq!(folders.contents("archive"), contents);
    ledger.assert_closed();
}

#[tokio::test]
async fn a_word_ends_the_wait_at_once() {
    // The clock stands still, so nothing but the word can end it.
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), standing_clock());
    drop_some(&folders, 3);
    ledger.lock().is_full = true;
    let running = Running::start_by(folders.config(), &ledger, &clock);
    running
        .until("full", |status| status.state == State::Full)
        .await;
    ledger.lock().is_full = false;
    running.handle.wake();
    until("all taken", || ledger.count() == 3).await;
    running.stop().await;
}

#[tokio::test]
async fn what_was_claimed_when_it_became_full_is_offered_first_and_under_the_same_claim() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let mut config = folders.config();
    config.batch_files = 5;
    let contents = drop_some(&folders, 12);
    ledger.lock().refusals = vec![Refusal::Full("no room for these".into())];
    let running = Running::start_by(config, &ledger, &standing_clock());
    let status = running
        .until("full", |status| {
            status.state == State::Full && status.pending > 0
        })
        .await;
    assert_eq!((status.pending, &*status.reason), (5, "no room for these"));
    let claimed: Vec<String> = folders.work_names();
    assert_eq!(claimed.len(), 5);
    assert_eq!(folders.names("drop").len(), 7);
    running.idle().await;
    running.stop().await;
    assert_eq!(ledger.contents(), contents);
    let first: Vec<String> = ledger.lock().order[..5]
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected: Vec<String> = claimed.iter().map(|name| name[..36].to_owned()).collect();
    assert_eq!(first, expected);
    let names = ledger.names();
    assert!(names.is_sorted(), "oldest first, in spite of it: {names:?}");
}

#[tokio::test]
async fn one_file_that_cannot_be_stored_holds_up_no_other() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let mut config = folders.config();
    config.batch_files = 8;
    drop_some(&folders, 100);
    ledger.lock().poison = Some("0003".into());
    let running = Running::start(config, &ledger);
    until("all others are taken", || ledger.count() == 99).await;
    let status = running
        .until("it is told", |status| status.waiting_total == 1)
        .await;
    assert_eq!(status.waiting[0].path.to_str(), Some("0003"));
    assert_eq!(
        status.waiting[0].reason,
        "it could not be stored: something in there is poison; this is tried again"
    );
    assert_eq!(status.pending, 1);
    assert_eq!(folders.work_names().len(), 1);
    ledger.lock().poison = None;
    running.handle.wake();
    running.idle().await;
    assert_eq!(running.stop().await.waiting_total, 0);
    assert_eq!(ledger.count(), 100);
    ledger.assert_closed();
}

#[tokio::test]
async fn a_file_that_is_rejected_goes_to_quarantine_and_the_others_are_stored() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    drop_some(&folders, 10);
    ledger.lock().poison = Some("0003".into());
    ledger.lock().is_poison_named = true;
    let running = Running::start(folders.config(), &ledger);
    running.idle().await;
    let status = running.stop().await;
    assert_eq!(
        (status.taken, status.quarantined, status.pending),
        (9, 1, 0)
    );
    assert_eq!(folders.names("quarantine"), ["0003", "0003.reason.json"]);
    let reason = std::fs::read_to_string(folders.path("quarantine/0003.reason.json")).unwrap();
    assert!(reason.contains("\"it is poison\""), "{reason}");
    assert!(folders.work_names().is_empty());
}

#[tokio::test]
async fn an_intake_that_is_down_is_not_hammered_and_nothing_piles_up() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), standing_clock());
    let mut config = folders.config();
    config.batch_files = 4;
    let contents = drop_some(&folders, 50);
    ledger.lock().refusals = vec![Refusal::Failed("down".into()); 1_000];
    let running = Running::start_by(config, &ledger, &clock);
    running
        .until("failed", |status| status.state == State::Failed)
        .await;
    for _ in 0..60 {
        clock.advance(Duration::from_secs(1));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    running
        .until("waiting", |status| {
            status.state == State::Failed && status.pending > 0
        })
        .await;
    let commits = ledger.lock().commits;
    assert!(commits <= 60, "{commits} tries in a minute");
    assert!(
        folders.work_names().len() <= 8,
        "at most twice the batch is claimed"
    );
    ledger.lock().refusals.clear();
    until("all taken", || {
        clock.advance(Duration::from_secs(1));
        ledger.count() == 50
    })
    .await;
    running.idle().await;
    running.stop().await;
    assert_eq!(ledger.contents(), contents);
    ledger.assert_closed();
}

#[tokio::test]
async fn a_commit_that_became_durable_though_it_was_refused_is_not_repeated() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    drop_some(&folders, 1);
    ledger.lock().refusals = vec![Refusal::Full("too slow to say".into())];
    let running = Running::start_by(folders.config(), &ledger, &standing_clock());
    running
        .until("full", |status| {
            status.state == State::Full && status.pending == 1
        })
        .await;
    let claim = folders.work_names()[0][..36].parse().unwrap();
    ledger.commit_earlier(claim, "0000", b"0000");
    running.idle().await;
    running.stop().await;
    assert_eq!(ledger.count(), 1);
    assert_eq!(folders.contents("archive"), [b"0000".to_vec()]);
    ledger.assert_closed();
}

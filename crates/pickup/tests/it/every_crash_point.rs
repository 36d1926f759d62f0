//! F1, F2 and F5 after a crash: whatever step it came after, nothing is lost, and nothing becomes two documents.
//!
//! Each test lays the folders as a crash after that step leaves them, and starts again.

use crate::bench::{Folders, Ledger, claim, take_all};
use mainstay_pickup::{Claim, Config, Pickup, Recovered};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "0123456789abcdef";

/// Folders as an earlier life has left them.
fn left() -> (Folders, Arc<Ledger>) {
    let folders = Folders::new();
    for private in ["work", "archive", "quarantine"] {
        std::fs::create_dir(folders.path(private)).unwrap();
        std::fs::set_permissions(folders.path(private), PermissionsExt::from_mode(0o700)).unwrap();
    }
    std::fs::write(folders.path("work/NAME"), format!("{NAME}\n")).unwrap();
    (folders, Ledger::new())
}

fn work(folders: &Folders, claim: Claim, rest: &str) -> PathBuf {
    folders.path("work").join(format!("{claim}{rest}"))
}

fn claimed(folders: &Folders, claim: Claim, rest: &str) -> PathBuf {
    let folder = folders.drop_path(format!(".mainstay-claimed-{NAME}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{claim}{rest}"))
}

async fn recover(config: Config, ledger: &Arc<Ledger>) -> Recovered {
    let mut pickup = Pickup::open(config, Arc::clone(ledger), mainstay_clock::system()).unwrap();
    pickup.recover().await.unwrap()
}

/// Everything that was dropped is one document and one original, and nothing is left over.
fn assert_all_done(folders: &Folders, ledger: &Ledger, expected: &[&str]) {
    let mut expected: Vec<Vec<u8>> = expected
        .iter()
        .map(|content| content.as_bytes().to_vec())
        .collect();
    expected.sort();
    assert_eq!(ledger.contents(), expected, "documents");
    assert_eq!(folders.contents("archive"), expected, "originals");
    assert!(
        folders.work_names().is_empty(),
        "{:?}",
        folders.work_names()
    );
    assert!(
        folders.names("drop").is_empty(),
        "{:?}",
        folders.names("drop")
    );
    assert!(folders.names("quarantine").is_empty());
}

#[tokio::test]
async fn after_the_claim_a_file_is_committed_under_the_same_claim() {
    let (folders, ledger) = left();
    std::fs::write(work(&folders, claim(1), ".x.csv"), "first").unwrap();
    std::fs::write(work(&folders, claim(2), ".x.csv"), "second").unwrap();
    std::fs::write(work(&folders, claim(3), ".sub%2Fx%25.csv"), "third").unwrap();
    let recovered = recover(folders.config(), &ledger).await;
    assert_eq!((recovered.finished, recovered.pending), (0, 3));
    assert_eq!(recovered.open, [claim(1), claim(2), claim(3)]);
    take_all(folders.config(), &ledger).await;
    assert_all_done(&folders, &ledger, &["first", "second", "third"]);
    ledger.assert_closed();
    assert_eq!(
        ledger.lock().order,
        [claim(1), claim(2), claim(3)],
        "in the order of their claims"
    );
    assert_eq!(ledger.names(), ["x.csv", "x.csv", "sub/x%.csv"]);
}

#[tokio::test]
async fn after_the_commit_a_file_is_archived_and_not_committed_again() {
    let (folders, ledger) = left();
    std::fs::write(work(&folders, claim(1), ".x.csv"), "committed").unwrap();
    ledger.commit_earlier(claim(1), "x.csv", b"committed");
    std::fs::write(work(&folders, claim(2), ".x.csv"), "claimed").unwrap();
    let recovered = recover(folders.config(), &ledger).await;
    assert_eq!(
        (recovered.finished, recovered.pending, recovered.open),
        (1, 1, vec![claim(2)])
    );
    assert_eq!(folders.contents("archive"), [b"committed".to_vec()]);
    take_all(folders.config(), &ledger).await;
    assert_all_done(&folders, &ledger, &["claimed", "committed"]);
    ledger.assert_closed();
}

#[tokio::test]
async fn after_the_archive_a_claim_is_not_open_any_more() {
    let (folders, ledger) = left();
    std::fs::create_dir(folders.path("archive/2020-01-01")).unwrap();
    std::fs::write(folders.path("archive/2020-01-01/x.csv"), "archived").unwrap();
    ledger.commit_earlier(claim(1), "x.csv", b"archived");
    let recovered = recover(folders.config(), &ledger).await;
    // So whoever keeps the claims can close all others: this one left no trace.
    assert_eq!(recovered, Recovered::default());
    take_all(folders.config(), &ledger).await;
    assert_all_done(&folders, &ledger, &["archived"]);
}

#[tokio::test]
async fn any_number_of_crashes_while_recovering_come_to_the_same() {
    let (folders, ledger) = left();
    for number in 0..20 {
        let content = format!("{number}");
        std::fs::write(work(&folders, claim(number), ".x.csv"), &content).unwrap();
        if number % 2 == 0 {
            ledger.commit_earlier(claim(number), "x.csv", content.as_bytes());
        }
    }
    let first = recover(folders.config(), &ledger).await;
    assert_eq!((first.finished, first.pending), (10, 10));
    for _ in 0..3 {
        let again = recover(folders.config(), &ledger).await;
        assert_eq!((again.finished, again.pending), (0, 10));
    }
    take_all(folders.config(), &ledger).await;
    let contents: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_all_done(
        &folders,
        &ledger,
        &contents.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    ledger.assert_closed();
}

#[tokio::test]
async fn a_marker_goes_the_way_of_its_file_from_every_step() {
    let (folders, ledger) = left();
    let mut config = folders.config();
    config.marker = Some(".done".into());
    // Between the two renames: the marker was moved, its file was not.
    folders.drop_file("a", "a");
    std::fs::write(work(&folders, claim(1), "@a.done"), "").unwrap();
    // After both.
    std::fs::write(work(&folders, claim(2), ".b"), "b").unwrap();
    std::fs::write(work(&folders, claim(2), "@b.done"), "").unwrap();
    // After the commit.
    std::fs::write(work(&folders, claim(3), ".c"), "c").unwrap();
    std::fs::write(work(&folders, claim(3), "@c.done"), "").unwrap();
    ledger.commit_earlier(claim(3), "c", b"c");
    take_all(config, &ledger).await;
    assert_all_done(&folders, &ledger, &["a", "b", "c"]);
    ledger.assert_closed();
}

/// It was put back, and marked the next file of its name before that was written.
#[tokio::test]
async fn a_marker_whose_file_was_committed_and_has_left_is_not_put_back() {
    let (folders, ledger) = left();
    let mut config = folders.config();
    config.marker = Some(".done".into());
    std::fs::write(work(&folders, claim(1), "@x.done"), "").unwrap();
    ledger.commit_earlier(claim(1), "x", b"x");
    let recovered = recover(config.clone(), &ledger).await;
    assert_eq!((recovered.finished, recovered.open), (1, vec![]));
    assert!(folders.names("drop").is_empty(), "it marks nothing");
    assert!(folders.work_names().is_empty());
    ledger.assert_closed();
}

#[tokio::test]
async fn a_name_that_had_to_be_cut_is_whole_again() {
    let (folders, ledger) = left();
    let name = format!("{}.csv", "long".repeat(60));
    let cut = format!(".{}", &name[..255 - 37]);
    std::fs::write(work(&folders, claim(1), &cut), "x").unwrap();
    std::fs::write(work(&folders, claim(1), "!"), &name).unwrap();
    // Written before a claim that was never made.
    std::fs::write(work(&folders, claim(2), "!"), "other").unwrap();
    take_all(folders.config(), &ledger).await;
    assert_eq!(ledger.names(), std::slice::from_ref(&name));
    assert!(folders.names("archive")[0].ends_with(&name));
    assert_all_done(&folders, &ledger, &["x"]);
}

#[tokio::test]
async fn what_we_did_not_make_is_kept_in_quarantine_and_private_copies_go() {
    let (folders, ledger) = left();
    std::fs::write(folders.path("work/notes.txt"), "mine").unwrap();
    std::fs::create_dir(folders.path("work/folder")).unwrap();
    std::fs::write(folders.path("work/folder/x"), "inside").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folders.path("work/link")).unwrap();
    std::fs::write(work(&folders, claim(1), ".%2Fetc%2Fpasswd"), "absolute").unwrap();
    std::fs::write(work(&folders, claim(2), ".sub%2F..%2Fx"), "up").unwrap();
    std::fs::write(work(&folders, claim(3), "^"), "copy").unwrap();
    let recovered = recover(folders.config(), &ledger).await;
    assert_eq!(recovered.quarantined, 5);
    assert_eq!(recovered.pending, 0);
    assert!(
        folders.work_names().is_empty(),
        "{:?}",
        folders.work_names()
    );
    let kept = folders.names("quarantine");
    for name in [
        "notes.txt",
        "notes.txt.reason.json",
        "folder/x",
        "folder.reason.json",
        "link",
    ] {
        assert!(kept.iter().any(|kept| kept == name), "{name} in {kept:?}");
    }
    assert_eq!(
        std::fs::read_to_string(folders.path("quarantine/notes.txt")).unwrap(),
        "mine"
    );
}

// === across file systems: what lies in the claimed folder ===

#[tokio::test]
async fn across_after_the_claim_the_file_is_copied_and_committed_under_the_same_claim() {
    let (folders, ledger) = left();
    std::fs::write(claimed(&folders, claim(1), ".sub%2Fx"), "claimed").unwrap();
    let recovered = recover(folders.config(), &ledger).await;
    assert_eq!((recovered.pending, recovered.open), (1, vec![claim(1)]));
    take_all(folders.config(), &ledger).await;
    assert_all_done(&folders, &ledger, &["claimed"]);
    ledger.assert_closed();
    assert_eq!(ledger.lock().order, [claim(1)]);
    assert_eq!(ledger.names(), ["sub/x"]);
}

#[tokio::test]
async fn across_after_the_copy_it_is_committed_once() {
    let (folders, ledger) = left();
    std::fs::write(claimed(&folders, claim(1), ".x"), "copied").unwrap();
    std::fs::write(work(&folders, claim(1), "=x"), "copied").unwrap();
    take_all(folders.config(), &ledger).await;
    assert_all_done(&folders, &ledger, &["copied"]);
    ledger.assert_closed();
}

#[tokio::test]
async fn across_after_the_commit_the_source_goes_and_is_never_taken_again() {
    let (folders, ledger) = left();
    // After the commit; after its source was removed; and where a power cut brought the source back.
    std::fs::write(claimed(&folders, claim(1), ".a"), "a").unwrap();
    std::fs::write(work(&folders, claim(1), "=a"), "a").unwrap();
    std::fs::write(work(&folders, claim(2), "=b"), "b").unwrap();
    std::fs::write(claimed(&folders, claim(3), ".c"), "c").unwrap();
    for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
        ledger.commit_earlier(claim(number), name, name.as_bytes());
    }
    let status = take_all(folders.config(), &ledger).await;
    assert_eq!((status.taken, status.unfinished), (0, 0));
    assert_eq!(ledger.count(), 3);
    // The original of the third was archived before the cut, in that life.
    assert_eq!(folders.contents("archive"), [b"a".to_vec(), b"b".to_vec()]);
    assert!(folders.work_names().is_empty() && folders.names("drop").is_empty());
    ledger.assert_closed();
}

#[tokio::test]
async fn across_what_another_agent_took_is_left_and_told() {
    let (folders, ledger) = left();
    let theirs = folders.drop_path(".mainstay-claimed-fedcba9876543210");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::write(theirs.join(format!("{}.x", claim(1))), "theirs").unwrap();
    let old = std::time::SystemTime::now() - Duration::from_hours(2);
    std::fs::File::open(&theirs)
        .unwrap()
        .set_modified(old)
        .unwrap();
    let status = take_all(folders.config(), &ledger).await;
    assert_eq!(ledger.count(), 0);
    assert!(
        status.waiting[0]
            .reason
            .starts_with("another agent took these files"),
        "{status:#?}"
    );
    assert_eq!(folders.contents("drop"), [b"theirs".to_vec()]);
}

#[tokio::test]
async fn across_a_drop_folder_that_is_away_is_waited_for_before_the_copy_goes() {
    let (folders, ledger) = left();
    std::fs::remove_dir(folders.path("drop")).unwrap();
    std::fs::write(work(&folders, claim(1), "=x"), "x").unwrap();
    ledger.commit_earlier(claim(1), "x", b"x");
    let recovered = recover(folders.config(), &ledger).await;
    assert_eq!((recovered.finished, recovered.open), (0, vec![claim(1)]));
    assert!(ledger.lock().closed.is_empty());
    // An empty mount point: the folder is there, and what was in it is not.
    std::fs::create_dir(folders.path("drop")).unwrap();
    let recovered = recover(folders.config(), &ledger).await;
    assert_eq!((recovered.finished, recovered.open), (0, vec![claim(1)]));
    assert_eq!(folders.work_names().len(), 1);
    // It is mounted again.
    std::fs::write(claimed(&folders, claim(1), ".x"), "x").unwrap();
    take_all(folders.config(), &ledger).await;
    assert_all_done(&folders, &ledger, &["x"]);
    ledger.assert_closed();
}

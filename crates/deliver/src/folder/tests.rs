use super::placement::{STEPS, mark, own_folder};
use super::*;
use crate::{Cause, Content};
use bytes::Bytes;
use mainstay_clock::ManualClock;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

fn folder_at(path: &Path) -> Folder {
    Folder::new(&FolderConfig::new(path), mainstay_clock::system()).unwrap()
}

fn document(id: DocumentId, source: &str, body: &[u8]) -> Outgoing {
    Outgoing {
        id,
        route: "lab".into(),
        source: source.as_bytes().to_vec(),
        content_type: "text/plain".into(),
        headers: Vec::new(),
        hash: Some(Sha256::digest(body).into()),
        body: Content::Bytes(Bytes::copy_from_slice(body)),
    }
}

/// What a reader sees: names and contents, without what is hidden.
fn seen(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let visible = entries.filter(|entry| entry.file_type().unwrap().is_file());
    visible
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn files<const N: usize>(files: [(&str, &[u8]); N]) -> BTreeMap<String, Vec<u8>> {
    files
        .map(|(name, content)| (name.to_owned(), content.to_vec()))
        .into()
}

fn left_in_own_folder(path: &Path) -> usize {
    std::fs::read_dir(own_folder(path)).unwrap().count()
}

/// The steps of a placement up to `count`, as far as a process came that was killed then.
fn place_partly(folder: &Folder, document: Outgoing, count: usize) {
    let inner = &folder.inner;
    let name = name::first(&inner.name, &document);
    let mut placement = Placement::new(
        inner.path.clone(),
        document.id.to_string(),
        name,
        inner.mode,
        document.hash,
        document.body,
    );
    placement.prepare().unwrap();
    for step in &STEPS[..count] {
        step(&mut placement).unwrap();
    }
}

#[tokio::test]
async fn a_document_becomes_a_file_with_its_name_and_bytes() {
    let temp = TempDir::new().unwrap();
    let folder = folder_at(temp.path());
    let outcome = folder
        .send(document(DocumentId::new(), "a.txt", b"content"))
        .await;
    assert_eq!(outcome, Outcome::Delivered);
    assert_eq!(seen(temp.path()), files([("a.txt", b"content")]));
}

#[tokio::test]
async fn a_large_file_arrives_byte_for_byte_and_a_damaged_one_does_not() {
    let temp = TempDir::new().unwrap();
    let folder = folder_at(temp.path());
    let bytes: Vec<u8> = (0..1_000_003_u32)
        .map(|index| (index * 31 % 251) as u8)
        .collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let mut whole = document(DocumentId::new(), "big.bin", &bytes);
    whole.body = Content::File(file.try_clone().unwrap(), bytes.len() as u64);
    assert_eq!(folder.send(whole).await, Outcome::Delivered);
    assert_eq!(seen(temp.path())["big.bin"], bytes);

    let mut damaged = document(DocumentId::new(), "bad.bin", &bytes[..bytes.len() - 1]);
    damaged.body = Content::File(file, bytes.len() as u64);
    assert!(
        matches!(folder.send(damaged).await, Outcome::Unsendable { reason } if reason.contains("does not match"))
    );
    let mut damaged = document(DocumentId::new(), "bad.txt", b"one");
    damaged.body = Content::Bytes(Bytes::from_static(b"two"));
    assert!(matches!(
        folder.send(damaged).await,
        Outcome::Unsendable { .. }
    ));
    assert_eq!(seen(temp.path()).len(), 1);
}

#[tokio::test]
async fn documents_with_one_name_never_replace_each_other() {
    let temp = TempDir::new().unwrap();
    std::fs::write(temp.path().join("a.txt"), b"somebody else's").unwrap();
    let folder = folder_at(temp.path());
    for body in [b"1", b"2", b"2"] {
        assert_eq!(
            folder
                .send(document(DocumentId::new(), "a.txt", body))
                .await,
            Outcome::Delivered
        );
    }
    let expected = files([
        ("a.txt", b"somebody else's"),
        ("a (2).txt", b"1"),
        ("a (3).txt", b"2"),
        ("a (4).txt", b"2"),
    ]);
    assert_eq!(seen(temp.path()), expected);
}

#[tokio::test]
async fn the_same_name_hundreds_of_times_is_hundreds_of_files() {
    let temp = TempDir::new().unwrap();
    let folder = folder_at(temp.path());
    for number in 0..120 {
        let body = format!("{number}");
        assert_eq!(
            folder
                .send(document(DocumentId::new(), "a.txt", body.as_bytes()))
                .await,
            Outcome::Delivered
        );
    }
    let mut bodies: Vec<u32> = seen(temp.path())
        .values()
        .map(|body| std::str::from_utf8(body).unwrap().parse().unwrap())
        .collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..120).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_repeat_after_a_crash_at_any_step_makes_exactly_one_file() {
    for count in 0..=STEPS.len() {
        let temp = TempDir::new().unwrap();
        let id = DocumentId::new();
        place_partly(
            &folder_at(temp.path()),
            document(id, "a.txt", b"content"),
            count,
        );

        // Another document of the same name comes in between: it must be neither replaced nor taken for ours.
        let folder = folder_at(temp.path());
        assert_eq!(
            folder
                .send(document(DocumentId::new(), "a.txt", b"other"))
                .await,
            Outcome::Delivered
        );
        let visible_before = count >= 3;
        let expected = if visible_before {
            Outcome::AlreadyThere
        } else {
            Outcome::Delivered
        };
        assert_eq!(
            folder.send(document(id, "a.txt", b"content")).await,
            expected,
            "after {count} steps"
        );
        assert_eq!(
            folder.send(document(id, "a.txt", b"content")).await,
            Outcome::AlreadyThere
        );

        let mut bodies: Vec<Vec<u8>> = seen(temp.path()).into_values().collect();
        bodies.sort();
        assert_eq!(
            bodies,
            [b"content".to_vec(), b"other".to_vec()],
            "after {count} steps"
        );
    }
}

/// A worker that is stopped leaves its thread behind, and the next worker is offered the same document.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_threads_with_one_document_make_one_file() {
    for _ in 0..20 {
        let temp = TempDir::new().unwrap();
        let id = DocumentId::new();
        let sending = (0..4).map(|_| {
            let folder = folder_at(temp.path());
            tokio::spawn(async move { folder.send(document(id, "a.txt", b"content")).await })
        });
        let mut outcomes = Vec::new();
        for sending in sending.collect::<Vec<_>>() {
            outcomes.push(sending.await.unwrap());
        }
        assert_eq!(seen(temp.path()), files([("a.txt", b"content")]));
        assert_eq!(
            outcomes
                .iter()
                .filter(|outcome| **outcome == Outcome::Delivered)
                .count(),
            1,
            "{outcomes:?}"
        );
        assert_eq!(
            outcomes
                .iter()
                .filter(|outcome| **outcome == Outcome::AlreadyThere)
                .count(),
            3,
            "{outcomes:?}"
        );
    }
}

#[tokio::test]
async fn a_crash_while_the_staged_file_was_being_rewritten_changes_nothing() {
    let temp = TempDir::new().unwrap();
    let id = DocumentId::new();
    let folder = folder_at(temp.path());
    place_partly(&folder, document(id, "a.txt", b"content"), 2);
    place_partly(&folder, document(id, "a.txt", b"content"), 1);
    assert_eq!(
        folder.send(document(id, "a.txt", b"content")).await,
        Outcome::Delivered
    );
    assert_eq!(seen(temp.path()), files([("a.txt", b"content")]));
}

/// Where a file system cannot rename without replacing, the file gets its second name and then loses its first.
#[tokio::test]
async fn a_crash_between_the_two_halves_of_a_rename_makes_no_second_file() {
    let temp = TempDir::new().unwrap();
    let id = DocumentId::new();
    let folder = folder_at(temp.path());
    place_partly(&folder, document(id, "a.txt", b"content"), 2);
    std::fs::hard_link(
        own_folder(temp.path()).join(id.to_string()),
        temp.path().join("a.txt"),
    )
    .unwrap();
    assert_eq!(
        folder.send(document(id, "a.txt", b"content")).await,
        Outcome::AlreadyThere
    );
    assert_eq!(seen(temp.path()), files([("a.txt", b"content")]));
}

#[tokio::test]
async fn a_file_that_its_reader_took_away_before_the_acknowledgement_is_not_made_again() {
    let temp = TempDir::new().unwrap();
    let id = DocumentId::new();
    assert_eq!(
        folder_at(temp.path())
            .send(document(id, "a.txt", b"content"))
            .await,
        Outcome::Delivered
    );
    std::fs::remove_file(temp.path().join("a.txt")).unwrap();
    assert_eq!(
        folder_at(temp.path())
            .send(document(id, "a.txt", b"content"))
            .await,
        Outcome::AlreadyThere
    );
    assert_eq!(seen(temp.path()), files([]));
}

#[tokio::test]
async fn nothing_is_left_behind_once_the_delivery_is_recorded() {
    let temp = TempDir::new().unwrap();
    let folder = folder_at(temp.path());
    let id = DocumentId::new();
    folder.send(document(id, "a.txt", b"content")).await;
    assert_eq!(left_in_own_folder(temp.path()), 1);
    folder.acknowledged(id);
    for _ in 0..1000 {
        if left_in_own_folder(temp.path()) == 0 {
            return;
        }
        tokio::task::yield_now().await;
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
    panic!("the mark is still there");
}

#[tokio::test]
async fn a_missing_folder_holds_the_destination_and_is_not_created() {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("share");
    let folder = folder_at(&path);
    let outcome = folder
        .send(document(DocumentId::new(), "a.txt", b"content"))
        .await;
    let Outcome::Hold {
        reason,
        cause: Cause::Unreachable,
        ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert!(
        reason.contains("is not there; create the folder, or mount"),
        "{reason}"
    );
    assert!(!path.exists());
    std::fs::create_dir(&path).unwrap();
    assert_eq!(
        folder
            .send(document(DocumentId::new(), "a.txt", b"content"))
            .await,
        Outcome::Delivered
    );
}

#[tokio::test]
async fn a_file_in_the_place_of_the_folder_holds_the_destination() {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("file");
    std::fs::write(&path, b"").unwrap();
    let outcome = folder_at(&path)
        .send(document(DocumentId::new(), "a.txt", b"content"))
        .await;
    assert!(matches!(outcome, Outcome::Hold { reason, .. } if reason.contains("is a file")));

    std::fs::create_dir(temp.path().join("out")).unwrap();
    std::os::unix::fs::symlink("/nowhere", temp.path().join("out/.mainstay")).unwrap();
    let outcome = folder_at(&temp.path().join("out"))
        .send(document(DocumentId::new(), "a.txt", b"content"))
        .await;
    assert!(matches!(outcome, Outcome::Hold { reason, .. } if reason.contains("is in the way")));
}

/// `/proc` refuses every new file, for root too.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_takes_no_files_holds_the_destination() {
    let outcome = folder_at(Path::new("/proc"))
        .send(document(DocumentId::new(), "a.txt", b"content"))
        .await;
    assert!(matches!(outcome, Outcome::Hold { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_document_called_like_our_own_folder_gets_another_name() {
    let temp = TempDir::new().unwrap();
    let folder = folder_at(temp.path());
    assert_eq!(
        folder
            .send(document(DocumentId::new(), ".mainstay", b"content"))
            .await,
        Outcome::Delivered
    );
    assert_eq!(seen(temp.path()).len(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_delivered_file_has_the_mode_that_was_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let temp = TempDir::new().unwrap();
    let mut config = FolderConfig::new(temp.path());
    config.mode = 0o644;
    let folder = Folder::new(&config, mainstay_clock::system()).unwrap();
    folder
        .send(document(DocumentId::new(), "a.txt", b"content"))
        .await;
    let mode = std::fs::metadata(temp.path().join("a.txt"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o644);
}

#[tokio::test]
async fn what_is_a_week_old_is_forgotten_and_nothing_younger() {
    let temp = TempDir::new().unwrap();
    let now = mainstay_clock::system().wall();
    let clock = ManualClock::new();
    let folder_with = |clock: &ManualClock| {
        Folder::new(&FolderConfig::new(temp.path()), Arc::new(clock.clone())).unwrap()
    };
    let (placed, staged) = (DocumentId::new(), DocumentId::new());
    place_partly(&folder_at(temp.path()), document(placed, "a.txt", b"a"), 4);
    place_partly(&folder_at(temp.path()), document(staged, "b.txt", b"b"), 2);

    let day = Duration::from_hours(24).as_millis() as u64;
    clock.set_wall(now + 6 * day);
    let other = DocumentId::new();
    folder_with(&clock)
        .send(document(other, "c.txt", b"c"))
        .await;
    assert!(mark(temp.path(), &placed.to_string()).exists());

    clock.set_wall(now + 8 * day);
    folder_with(&clock)
        .send(document(other, "c.txt", b"c"))
        .await;
    assert_eq!(left_in_own_folder(temp.path()), 0);
    assert_eq!(
        folder_with(&clock)
            .send(document(staged, "b.txt", b"b"))
            .await,
        Outcome::Delivered
    );
    assert_eq!(
        seen(temp.path()),
        files([("a.txt", b"a"), ("b.txt", b"b"), ("c.txt", b"c")])
    );
}

#[test]
fn a_name_that_is_a_path_is_refused() {
    for name in ["", "{route}/{name}", "a\\b", "{serial}"] {
        let mut config = FolderConfig::new("/out");
        config.name = name.into();
        assert!(
            Folder::new(&config, mainstay_clock::system()).is_err(),
            "{name}"
        );
    }
}

/// A share whose server is gone hangs whoever looks at it, and `mainstay route test` hung with it.
#[tokio::test]
async fn a_folder_that_hangs_keeps_nobody_waiting_for_longer_than_ten_seconds() {
    let (clock, folder) = (ManualClock::new(), folder_at(Path::new("/out")));
    let shared = clock.clone();
    let looking = tokio::spawn(async move {
        let hanging = std::future::pending();
        folder.looked(hanging, &shared).await
    });
    tokio::task::yield_now().await;
    clock.advance(Duration::from_secs(10));
    tokio::task::yield_now().await;
    assert!(looking.is_finished());
    let checked = looking.await.unwrap();
    assert_eq!(checked.verdict, crate::Verdict::Failing);
    assert!(
        checked.said.contains("`/out` did not answer within 10 s"),
        "{checked:?}"
    );
}

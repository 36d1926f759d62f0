//! F1, F2 and F3 where the drop folder is on another file system than the work folder: claimed there, copied, committed.

use crate::bench::{Folders, Ledger, Mount, Running, take_all, until};
use mainstay_pickup::{After, Config, State};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// Folders whose drop folder is a tmpfs of its own.
fn across(options: &str) -> Option<(Folders, Mount, Config)> {
    let folders = Folders::new();
    // A temporary folder may itself be on a tmpfs; two mounts are two file systems all the same.
    let mount = Mount::new("tmpfs", options, folders.path("drop"))?;
    let config = folders.config();
    Some((folders, mount, config))
}

fn drop_old(folders: &Folders, name: &str, content: &[u8]) {
    std::fs::write(folders.drop_path(name), content).unwrap();
    let file = std::fs::OpenOptions::new()
        .append(true)
        .open(folders.drop_path(name))
        .unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_hours(2))
        .unwrap();
}

#[tokio::test]
async fn files_are_copied_committed_and_archived_once() {
    let Some((folders, _mount, mut config)) = across("size=64m") else {
        return;
    };
    let ledger = Ledger::new();
    config.recursive = true;
    std::fs::create_dir(folders.drop_path("sub")).unwrap();
    for number in 0..200 {
        drop_old(
            &folders,
            &format!("{number}"),
            format!("{number}").as_bytes(),
        );
    }
    drop_old(&folders, "sub/large", &vec![1; 3 * 1024 * 1024]);
    drop_old(&folders, &"n".repeat(255), b"long");
    let status = take_all(config, &ledger).await;
    assert_eq!(
        (status.taken, status.unfinished, &status.last_error),
        (202, 0, &None)
    );
    assert_eq!(ledger.count(), 202);
    assert_eq!(folders.contents("archive"), ledger.contents());
    let left = (folders.names("drop"), folders.work_names());
    assert_eq!(left, (Vec::new(), Vec::new()), "{status:#?}");
    assert!(
        ledger.names().contains(&"n".repeat(255))
            && ledger.names().contains(&"sub/large".to_owned())
    );
    ledger.assert_closed();
}

#[tokio::test]
async fn markers_and_other_ends_work_across_too() {
    for after in [After::Delete, After::Move("moved".into())] {
        let Some((folders, _mount, mut config)) = across("size=8m") else {
            return;
        };
        let ledger = Ledger::new();
        config.marker = Some(".done".into());
        config.after = match after {
            After::Move(_) => After::Move(folders.path("moved")),
            after => after,
        };
        for name in ["a", "b"] {
            drop_old(&folders, name, name.as_bytes());
        }
        std::fs::write(folders.drop_path("a.done"), "").unwrap();
        take_all(config, &ledger).await;
        assert_eq!(ledger.names(), ["a"]);
        assert_eq!(folders.names("drop"), ["b"]);
        assert!(folders.work_names().is_empty());
    }
}

#[tokio::test]
async fn a_slow_writer_is_waited_for_across_too() {
    let Some((folders, _mount, config)) = across("size=8m") else {
        return;
    };
    let ledger = Ledger::new();
    let mut writer = File::create(folders.drop_path("slow")).unwrap();
    writer
        .set_modified(std::time::SystemTime::now() - Duration::from_hours(2))
        .unwrap();
    let running = Running::start(config, &ledger);
    running
        .until("it is seen", |status| status.waiting_total == 1)
        .await;
    writer.write_all(b"whole").unwrap();
    drop(writer);
    until("taken", || ledger.count() == 1).await;
    assert_eq!(ledger.contents(), [b"whole".to_vec()]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_agents_one_takes_each_file_across_too() {
    let Some((folders, _mount, config)) = across("size=64m") else {
        return;
    };
    let ledgers = [Ledger::new(), Ledger::new()];
    for number in 0..500 {
        drop_old(
            &folders,
            &format!("{number}"),
            format!("{number}").as_bytes(),
        );
    }
    let agents: Vec<Running> = ledgers
        .iter()
        .enumerate()
        .map(|(number, ledger)| {
            let mut config = config.clone();
            config.work = folders.path(format!("work{number}"));
            config.batch_files = 7;
            Running::start(config, ledger)
        })
        .collect();
    for agent in agents {
        agent.idle().await;
        assert_eq!(agent.stop().await.last_error, None);
    }
    let mut taken = ledgers[0].contents();
    taken.extend(ledgers[1].contents());
    println!("{} and {}", ledgers[0].count(), ledgers[1].count());
    assert_eq!(taken.len(), 500);
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), 500);
    assert!(folders.names("drop").is_empty());
}

/// The work folder is full: files stay in the drop folder, nothing half-copied lies anywhere, and it goes on by itself.
#[tokio::test]
async fn a_full_disk_under_the_work_folder_loses_nothing() {
    let folders = Folders::new();
    let Some(mount) = Mount::new("tmpfs", "size=512k,mode=0700", folders.path("small")) else {
        return;
    };
    let ledger = Ledger::new();
    let mut config = folders.config();
    config.work = folders.path("small/work");
    config.after = After::Delete;
    config.batch_files = 4;
    let contents: Vec<Vec<u8>> = (0..6).map(|number| vec![number; 100 * 1024]).collect();
    for (number, content) in contents.iter().enumerate() {
        folders.drop_aged(format!("{number}"), content, Duration::from_hours(2));
    }
    std::fs::write(folders.path("small/filler"), vec![0; 200 * 1024]).unwrap();
    let running = Running::start(config, &ledger);
    let status = running
        .until("it says so", |status| status.state == State::Full)
        .await;
    assert!(
        status
            .reason
            .starts_with("disk full: make room on the file system of the work folder"),
        "{status:#?}"
    );
    assert_eq!(ledger.count(), 0);
    std::fs::remove_file(folders.path("small/filler")).unwrap();
    running.idle().await;
    running.stop().await;
    assert_eq!(ledger.contents(), contents);
    assert!(
        folders.names("drop").is_empty(),
        "{:?}",
        folders.names("drop")
    );
    assert_eq!(
        folders.names("small").len(),
        2,
        "{:?}",
        folders.names("small")
    );
    ledger.assert_closed();
    drop(mount);
}

/// There is no room for the copies of some, and what was copied goes one by one: neither keeps the other waiting.
#[tokio::test]
async fn copies_that_lie_ready_are_stored_while_there_is_no_room_for_more() {
    let folders = Folders::new();
    let Some(mount) = Mount::new("tmpfs", "size=1m,mode=0700", folders.path("small")) else {
        return;
    };
    let ledger = Ledger::new();
    ledger.lock().takes_at_most = 1;
    let mut config = folders.config();
    config.work = folders.path("small/work");
    config.after = After::Delete;
    let contents: Vec<Vec<u8>> = (0..20).map(|number| vec![number; 100 * 1024]).collect();
    for (number, content) in contents.iter().enumerate() {
        folders.drop_aged(format!("{number:02}"), content, Duration::from_hours(2));
    }
    let running = Running::start(config, &ledger);
    running.idle().await;
    running.stop().await;
    let mut taken = ledger.contents();
    taken.sort();
    assert_eq!(taken, contents);
    ledger.assert_closed();
    drop(mount);
}

#[tokio::test]
async fn a_share_that_goes_away_between_commit_and_end_is_waited_for() {
    let Some((folders, mount, config)) = across("size=8m") else {
        return;
    };
    let ledger = Ledger::new();
    ledger.lock().hangs = true;
    drop_old(&folders, "x", b"x");
    let running = Running::start(config.clone(), &ledger);
    until("it is offered", || ledger.lock().commits == 1).await;
    // The commit became durable, and we died before we heard of it.
    running.stop().await;
    let left = folders.work_names();
    assert_eq!(left.len(), 1);
    let claim = left[0][..36].parse().unwrap();
    ledger.commit_earlier(claim, "x", b"x");
    ledger.lock().hangs = false;
    drop(mount);
    let running = Running::start(config.clone(), &ledger);
    running
        .until("it is unfinished", |status| status.unfinished == 1)
        .await;
    assert_eq!(
        running.handle.status().state,
        State::Watching,
        "the mount point is an empty folder"
    );
    running.stop().await;
    assert!(ledger.lock().closed.is_empty());
    assert_eq!(
        folders.work_names().len(),
        1,
        "the copy says who the source is, so it stays"
    );
}

/// Somebody had the copy open when it was to be read, such as a child that this process had begun to start: the file went back, and
/// its copy stayed. The next start found that, and made a second document of it.
#[tokio::test]
async fn a_file_that_goes_back_leaves_no_copy_that_would_be_a_second_document() {
    let Some((folders, _mount, config)) = across("size=8m") else {
        return;
    };
    let ledger = Ledger::new();
    ledger.lock().hangs = true;
    drop_old(&folders, "x", b"x");
    let running = Running::start(config.clone(), &ledger);
    until("it is offered", || ledger.lock().commits == 1).await;
    running.stop().await;
    ledger.lock().hangs = false;
    let [copy] = &folders.work_names()[..] else {
        panic!("{:?}", folders.work_names());
    };
    let writer = std::fs::OpenOptions::new()
        .append(true)
        .open(folders.path("work").join(copy))
        .unwrap();
    let status = take_all(config.clone(), &ledger).await;
    assert_eq!((status.returned, status.taken), (1, 1));
    drop(writer);
    take_all(config, &ledger).await;
    assert_eq!(ledger.contents(), [b"x".to_vec()]);
    assert!(
        folders.work_names().is_empty(),
        "{:?}",
        folders.work_names()
    );
    ledger.assert_closed();
}

#[tokio::test]
async fn what_cannot_be_moved_to_quarantine_is_left_and_told() {
    let Some((folders, _mount, config)) = across("size=8m") else {
        return;
    };
    let ledger = Ledger::new();
    std::os::unix::fs::symlink("/etc/passwd", folders.drop_path("link")).unwrap();
    drop_old(&folders, "good", b"good");
    let status = take_all(config, &ledger).await;
    assert_eq!(ledger.names(), ["good"]);
    assert_eq!(status.waiting_total, 1);
    assert_eq!(
        status.waiting[0].reason,
        "it is a symbolic link, which is never followed; quarantine is on another file system, so it was left; \
         move or remove it"
    );
    assert!(folders.drop_path("link").is_symlink());
    assert!(
        folders.names("quarantine").is_empty(),
        "and no reason without an entry"
    );
    drop(Arc::clone(&ledger));
}

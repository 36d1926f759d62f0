//! Which files are taken: patterns, folders, markers, and what is never a document.

use crate::bench::{Folders, Ledger, Running, take_all, until};
use std::time::Duration;

const OLD: Duration = Duration::from_hours(2);

#[tokio::test]
async fn hidden_and_unfinished_files_are_left_and_taken_under_their_final_name() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let left = [
        ".hidden",
        "a.tmp",
        "b.part",
        "c.PARTIAL",
        "d.crdownload",
        "e~",
        ".x.mainstay-tmp-0123456789abcdef",
    ];
    for name in left {
        folders.drop_aged(name, name, OLD);
    }
    let running = Running::start(folders.config(), &ledger);
    running.idle().await;
    assert_eq!(ledger.count(), 0);
    assert_eq!(folders.names("drop").len(), left.len());
    assert_eq!(
        running.handle.status().waiting_total,
        0,
        "they are nobody's concern"
    );
    std::fs::rename(folders.drop_path("a.tmp"), folders.drop_path("a")).unwrap();
    until("taken", || ledger.count() == 1).await;
    running.stop().await;
    assert_eq!(ledger.names(), ["a"]);
}

#[tokio::test]
async fn patterns_choose_by_the_path_below_the_folder() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let mut config = folders.config();
    config.recursive = true;
    config.include = vec!["*.csv".into(), "logs/**".into()];
    config.exclude = vec!["**/draft-*".into(), "draft-*".into()];
    for folder in ["logs", "other", ".hidden"] {
        std::fs::create_dir(folders.drop_path(folder)).unwrap();
    }
    let (taken, left) = (
        ["REPORT.CSV", "logs/boot.log", "other/x.csv"],
        [
            "draft-1.csv",
            "logs/draft-2.log",
            "other/x.xml",
            ".hidden/x.csv",
        ],
    );
    for name in taken.iter().chain(&left) {
        folders.drop_aged(name, name, OLD);
    }
    take_all(config, &ledger).await;
    let mut names = ledger.names();
    names.sort();
    assert_eq!(names, taken);
    assert_eq!(folders.names("drop").len(), left.len());
}

#[tokio::test]
async fn folders_inside_are_left_unless_they_are_wanted() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    std::fs::create_dir(folders.drop_path("sub")).unwrap();
    folders.drop_aged("sub/x", "x", OLD);
    folders.drop_aged("y", "y", OLD);
    take_all(folders.config(), &ledger).await;
    assert_eq!(ledger.names(), ["y"]);
    assert_eq!(folders.names("drop"), ["sub/x"]);
}

#[tokio::test]
async fn folders_too_deep_are_told_and_left() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let mut config = folders.config();
    config.recursive = true;
    let deep = vec!["d"; 32].join("/");
    std::fs::create_dir_all(folders.drop_path(format!("{deep}/d"))).unwrap();
    folders.drop_aged(format!("{deep}/x"), "x", OLD);
    folders.drop_aged(format!("{deep}/d/y"), "y", OLD);
    let status = take_all(config, &ledger).await;
    assert_eq!(ledger.names(), [format!("{deep}/x")]);
    assert_eq!(status.waiting_total, 1);
    assert!(
        status.waiting[0].reason.contains("more than 32 deep"),
        "{status:#?}"
    );
}

#[tokio::test]
async fn with_markers_a_file_is_taken_when_its_marker_is_there_whichever_comes_first() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let mut config = folders.config();
    config.marker = Some(".done".into());
    folders.drop_aged("before", "before", OLD);
    folders.drop_aged("before.done", "", OLD);
    folders.drop_aged("unmarked", "unmarked", OLD);
    folders.drop_aged("orphan.done", "", OLD);
    let running = Running::start(config, &ledger);
    running.idle().await;
    assert_eq!(ledger.names(), ["before"]);
    folders.drop_file("after", "after");
    folders.drop_file("after.done", "");
    until("taken", || ledger.count() == 2).await;
    folders.drop_file("late.done", "");
    folders.drop_file("late", "late");
    until("taken", || ledger.count() == 3).await;
    // The next file of a name needs a marker of its own.
    folders.drop_file("after", "again");
    running.idle().await;
    assert_eq!(ledger.count(), 3);
    folders.drop_file("after.done", "");
    until("taken", || ledger.count() == 4).await;
    running.idle().await;
    running.stop().await;
    assert_eq!(folders.names("drop"), ["orphan.done", "unmarked"]);
    assert_eq!(folders.names("archive").len(), 4);
    assert!(
        folders.work_names().is_empty(),
        "markers go with their files"
    );
    ledger.assert_closed();
}

#[tokio::test]
async fn the_marker_of_what_is_refused_goes_too() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let mut config = folders.config();
    config.marker = Some(".done".into());
    std::os::unix::fs::symlink("/etc/passwd", folders.drop_path("x")).unwrap();
    folders.drop_aged("x.done", "", OLD);
    take_all(config, &ledger).await;
    assert!(folders.names("drop").is_empty());
    assert!(folders.path("quarantine/x").is_symlink());
}

//! A disk that does not confirm.

use super::{EDQUOT, EIO, ENOSPC, NEW, OLD, written};
use crate::system::faults::Fault;
use crate::{Durability, ErrorKind, WriteOptions, create_dir_all, replace};
use std::fs;
use tempfile::TempDir;

#[test]
fn a_failed_sync_is_answered_by_a_new_file_and_never_by_a_second_sync() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    replace(&path, OLD).unwrap();
    for (failures, written) in [(1, 2), (2, 3)] {
        let planned = Fault {
            call: Some("sync file"),
            at: 0,
            times: failures,
            code: EIO,
        }
        .begin();
        replace(&path, NEW).unwrap();
        assert_eq!(
            (planned.calls("create"), planned.calls("sync file")),
            (written, written)
        );
        drop(planned);
        assert_eq!(fs::read(&path).unwrap(), NEW);
        replace(&path, OLD).unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn three_failed_syncs_are_not_durable_and_keep_the_old_content() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    replace(&path, OLD).unwrap();
    let planned = Fault {
        call: Some("sync file"),
        at: 0,
        times: usize::MAX,
        code: EIO,
    }
    .begin();
    let error = replace(&path, NEW).unwrap_err();
    assert_eq!(
        (planned.calls("create"), planned.calls("sync file")),
        (3, 3)
    );
    assert_eq!(error.kind(), ErrorKind::NotDurable);
    assert_eq!(fs::read(&path).unwrap(), OLD);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_only_atomic_waits_for_no_disk() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cache");
    let planned = ["sync file", "sync folder"].map(|call| Fault {
        call: Some(call),
        at: 0,
        times: usize::MAX,
        code: EIO,
    });
    let planned = crate::system::faults::begin_all(&planned);
    let options = WriteOptions::new().durability(Durability::Atomic);
    options.write(&path, OLD).unwrap();
    let mut writer = options.writer(&path).unwrap();
    std::io::Write::write_all(&mut writer, NEW).unwrap();
    writer.commit().unwrap();
    let syncs = planned.calls("sync file") + planned.calls("sync folder");
    assert_eq!(syncs, 0);
    drop(planned);
    assert_eq!(fs::read(&path).unwrap(), NEW);
}

#[test]
fn a_stream_whose_sync_failed_is_not_durable_at_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    replace(&path, OLD).unwrap();
    let planned = Fault {
        call: Some("sync file"),
        at: 0,
        times: 1,
        code: EIO,
    }
    .begin();
    let error = written(&path).unwrap().commit().unwrap_err();
    assert_eq!(planned.calls("sync file"), 1);
    assert_eq!(error.kind(), ErrorKind::NotDurable);
    assert_eq!(fs::read(&path).unwrap(), OLD);
}

#[test]
fn a_disk_that_is_found_full_at_the_sync_is_told_as_full_and_not_tried_again() {
    let folder = TempDir::new().unwrap();
    for (code, kind) in [(ENOSPC, ErrorKind::DiskFull), (EDQUOT, ErrorKind::Quota)] {
        let planned = Fault {
            call: Some("sync file"),
            at: 0,
            times: usize::MAX,
            code,
        }
        .begin();
        let error = replace(&folder.path().join("state"), NEW).unwrap_err();
        assert_eq!((error.kind(), planned.calls("sync file")), (kind, 1));
    }
}

#[test]
fn a_folder_that_is_not_confirmed_says_that_the_new_content_is_visible() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    replace(&path, OLD).unwrap();
    let planned = Fault {
        call: Some("sync folder"),
        at: 0,
        times: usize::MAX,
        code: EIO,
    }
    .begin();
    let error = replace(&path, NEW).unwrap_err();
    drop(planned);
    assert_eq!(error.kind(), ErrorKind::Unconfirmed);
    assert_eq!(fs::read(&path).unwrap(), NEW);
    let message = format!(
        "cannot replace `{}`: the disk did not confirm the change; \
         the new content is in place, but a power cut may undo it, write it again",
        path.display()
    );
    assert_eq!(error.to_string(), message);
}

#[test]
fn a_new_folder_is_confirmed_by_each_folder_above_that_is_new_or_got_one() {
    let folder = TempDir::new().unwrap();
    let planned = Fault {
        call: Some("sync folder"),
        at: 1,
        times: 1,
        code: EIO,
    }
    .begin();
    let error = create_dir_all(&folder.path().join("a/b/c"), 0o700).unwrap_err();
    assert_eq!(
        (error.kind(), planned.calls("mkdir")),
        (ErrorKind::Unconfirmed, 2)
    );
    drop(planned);
    let planned = Fault {
        call: Some("none"),
        at: 0,
        times: 0,
        code: EIO,
    }
    .begin();
    create_dir_all(&folder.path().join("d/e/f"), 0o700).unwrap();
    assert_eq!(
        (planned.calls("mkdir"), planned.calls("sync folder")),
        (3, 3)
    );
}

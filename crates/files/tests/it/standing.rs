//! How files stand that are kept by backups, and what happens to those that are damaged.

use mainstay_files::{
    Backups, ErrorKind, FileState, Format, Integrity, Loaded, Origin, Reason, Scrubbed, Symlinks,
    WriteOptions,
};
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

struct Place {
    _folder: TempDir,
    file: PathBuf,
    store: PathBuf,
    backups: Backups,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (file, store) = (folder.path().join("settings"), folder.path().join("store"));
        Self {
            backups: Backups::open(&store).unwrap(),
            file,
            store,
            _folder: folder,
        }
    }

    /// One whose file was saved three times.
    fn saved() -> Self {
        let place = Self::new();
        for content in ["first", "second", "third"] {
            place
                .backups
                .replace(&place.file, content.as_bytes())
                .unwrap();
        }
        place
    }

    fn state(&self) -> FileState {
        self.backups.status(&self.file).unwrap().state
    }

    fn load(&self) -> Result<Loaded, mainstay_files::Error> {
        self.backups.load(&self.file, &Format::Text)
    }
}

/// Changes bytes as a disk does that forgets: no date, no length and no number changes.
fn rot(path: &Path) {
    let before = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_modified(before).unwrap();
}

/// The file in the store that holds this content.
fn content_in(store: &Path, content: &str) -> PathBuf {
    let mut folders = vec![store.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).unwrap() == content.as_bytes() {
                return path;
            }
        }
    }
    panic!("{content} is nowhere");
}

#[test]
fn what_was_saved_changed_damaged_or_removed_is_told_apart() {
    let place = Place::new();
    assert_eq!(place.state(), FileState::Unknown);
    fs::write(&place.file, "by hand").unwrap();
    assert_eq!(place.state(), FileState::Unknown);
    place.backups.create(&place.file).unwrap();
    assert_eq!(place.state(), FileState::Saved);
    place.backups.replace(&place.file, b"saved").unwrap();
    assert_eq!(place.state(), FileState::Saved);

    fs::write(&place.file, "other").unwrap();
    assert_eq!(place.state(), FileState::Modified);
    place.backups.replace(&place.file, b"saved again").unwrap();
    let status = place.backups.status(&place.file).unwrap();
    assert_eq!(status.state, FileState::Saved);
    assert_eq!(status.backups, 2, "by hand, and what somebody wrote");
    assert_eq!(status.last_backup.unwrap().reason, Reason::BeforeOverwrite);
    assert!(status.saved.is_some() && status.verified >= status.saved);
    assert_eq!(status.present.unwrap().len, 11);

    rot(&place.file);
    assert!(matches!(place.state(), FileState::Damaged(_)));
    rot(&place.file);
    assert_eq!(place.state(), FileState::Saved);
    fs::remove_file(&place.file).unwrap();
    assert_eq!(place.state(), FileState::Missing);
}

#[test]
fn a_restored_version_is_a_saved_one() {
    let place = Place::saved();
    let oldest = place.backups.list(&place.file).unwrap().backups.pop();
    place
        .backups
        .restore(&oldest.unwrap(), &place.file)
        .unwrap();
    assert_eq!(place.state(), FileState::Saved);
}

#[test]
fn a_file_of_no_use_is_loaded_from_its_newest_backup_of_use_and_it_is_told_why() {
    let place = Place::saved();
    let loaded = place.load().unwrap();
    assert_eq!(
        (loaded.bytes, loaded.origin),
        (b"third".to_vec(), Origin::File)
    );

    // Somebody's own change is taken if it makes sense.
    fs::write(&place.file, "by hand").unwrap();
    assert_eq!(place.load().unwrap().bytes, b"by hand");
    fs::write(&place.file, b"\xff\xff").unwrap();
    let loaded = place.load().unwrap();
    assert_eq!(loaded.bytes, b"second");
    let Origin::Backup { backup, reason } = loaded.origin else {
        panic!("the file is no text");
    };
    assert_eq!(backup.len, 6);
    assert_eq!(reason, "it is no UTF-8 from byte 0 on");
    assert_eq!(
        fs::read(&place.file).unwrap(),
        b"\xff\xff",
        "nothing is written"
    );

    fs::remove_file(&place.file).unwrap();
    let Origin::Backup { reason, .. } = place.load().unwrap().origin else {
        panic!("the file is gone");
    };
    assert_eq!(reason, "it is gone");
    assert!(!place.file.exists());
}

#[test]
fn a_backup_that_is_damaged_too_is_passed_over_and_without_any_there_is_an_error() {
    let place = Place::saved();
    rot(&content_in(&place.store, "second"));
    rot(&place.file);
    assert_eq!(place.load().unwrap().bytes, b"first");
    rot(&content_in(&place.store, "first"));
    let error = place.load().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(
        error.to_string().ends_with("no backup of it is of use"),
        "{error}"
    );
}

#[test]
fn what_was_deleted_or_never_there_is_not_loaded() {
    let place = Place::new();
    assert_eq!(place.load().unwrap_err().kind(), ErrorKind::NotFound);
    let place = Place::saved();
    place.backups.delete(&place.file).unwrap();
    assert_eq!(place.state(), FileState::Deleted);
    assert_eq!(place.load().unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn what_was_deleted_stays_deleted_though_its_newest_backup_held_the_same() {
    let place = Place::saved();
    place.backups.create(&place.file).unwrap();
    let made = place.backups.delete(&place.file).unwrap();
    assert_eq!(made.reason, Reason::BeforeDelete);
    assert_eq!(place.load().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        place.backups.repair(&place.file, &Format::Text).unwrap(),
        None
    );

    // It comes back, is deleted once more, and is still wanted gone.
    place.backups.restore(&made, &place.file).unwrap();
    assert_eq!(place.state(), FileState::Saved);
    place.backups.delete(&place.file).unwrap();
    assert_eq!(place.state(), FileState::Deleted);
}

#[test]
fn what_was_saved_after_a_deletion_is_missed_whatever_the_clock_says() {
    let manual = mainstay_clock::ManualClock::new();
    manual.set_wall(2_000_000_000_000);
    let place = Place::saved();
    let backups = place.backups.clone().clocked_by(Arc::new(manual.clone()));
    backups.delete(&place.file).unwrap();
    manual.set_wall(1_000_000_000_000);
    backups.replace(&place.file, b"again").unwrap();
    fs::remove_file(&place.file).unwrap();
    assert_eq!(place.state(), FileState::Missing);
    assert_eq!(place.load().unwrap().bytes, b"third");

    backups.replace(&place.file, b"and again").unwrap();
    manual.set_wall(500_000_000_000);
    backups.delete(&place.file).unwrap();
    assert_eq!(place.state(), FileState::Deleted);
}

#[test]
fn a_damaged_file_is_repaired_once_and_what_was_damaged_is_never_taken_for_a_version() {
    let place = Place::saved();
    let repair = || place.backups.repair(&place.file, &Format::Text).unwrap();
    assert_eq!(repair(), None, "it is well");
    rot(&place.file);
    let damaged = fs::read(&place.file).unwrap();
    assert_eq!(repair().unwrap().len, 6);
    assert_eq!(fs::read(&place.file).unwrap(), b"second");
    assert_eq!(place.state(), FileState::Saved);
    assert_eq!(repair(), None);

    let newest = place.backups.list(&place.file).unwrap().backups.remove(0);
    assert_eq!(newest.reason, Reason::Damaged);
    let mut kept = Vec::new();
    place.backups.read(&newest, &mut kept).unwrap();
    assert_eq!(kept, damaged);
    rot(&place.file);
    assert_eq!(place.load().unwrap().bytes, b"second");
    fs::remove_file(&place.file).unwrap();
    assert_eq!(repair().unwrap().len, 6, "a missing one is repaired, too");
}

#[test]
fn what_is_remembered_of_a_file_is_believed_whole_or_not_at_all() {
    let place = Place::saved();
    let folder = content_in(&place.store, "first");
    let saved = folder.parent().unwrap().join("saved");
    let whole = fs::read(&saved).unwrap();
    for broken in [
        &b""[..],
        b"mainstay-saved 1\n",
        &whole[1..],
        &vec![0xff; 70_000],
    ] {
        fs::write(&saved, broken).unwrap();
        assert_eq!(place.state(), FileState::Unknown);
        assert_eq!(place.load().unwrap().bytes, b"third");
    }
    fs::write(&saved, whole).unwrap();
    assert_eq!(place.state(), FileState::Saved);
}

/// Wants to hear of all.
fn all(mut hear: impl FnMut(&Scrubbed)) -> impl FnMut(&Scrubbed) -> ControlFlow<()> {
    move |scrubbed| {
        hear(scrubbed);
        ControlFlow::Continue(())
    }
}

#[test]
fn a_scrub_ends_when_nobody_wants_to_hear_more() {
    let place = Place::saved();
    let other = place.file.with_file_name("other");
    place.backups.replace(&other, b"alone").unwrap();
    for wanted in 1..4 {
        let mut left = wanted;
        let mut hear = |_: &Scrubbed| {
            left -= 1;
            if left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let summary = place.backups.scrub(None, &mut |_| {}, &mut hear).unwrap();
        assert!(summary.was_ended);
        assert_eq!(summary.files + summary.backups, wanted);
    }
    let whole = place.backups.scrub(None, &mut |_| {}, &mut all(|_| {}));
    assert!(!whole.unwrap().was_ended);
}

#[test]
fn a_scrub_reads_all_that_is_kept_and_tells_of_each() {
    let place = Place::saved();
    let other = place.file.with_file_name("other");
    place.backups.replace(&other, b"alone").unwrap();
    rot(&content_in(&place.store, "first"));
    let (mut read, mut told) = (0, Vec::new());
    let summary = place
        .backups
        .scrub(
            None,
            &mut |bytes| read += bytes,
            &mut all(|scrubbed| {
                told.push(match scrubbed {
                    Scrubbed::File { path, state, .. } => {
                        format!("{}: {state:?}", path.file_name().unwrap().display())
                    }
                    Scrubbed::Backup { backup, integrity } => {
                        let is_good = matches!(integrity, Integrity::Verified(_));
                        format!("{} bytes: {is_good}", backup.len)
                    }
                    other => format!("{other:?}"),
                });
            }),
        )
        .unwrap();
    told.sort();
    assert_eq!(
        told,
        [
            "5 bytes: false",
            "6 bytes: true",
            "other: Saved",
            "settings: Saved"
        ]
    );
    assert_eq!((summary.files, summary.backups), (2, 2));
    assert_eq!(
        (summary.damaged, summary.repaired, summary.failed),
        (1, 0, 0)
    );
    assert_eq!(read, 5 + 5 + 5 + 6);
}

#[test]
fn a_scrub_remembers_what_is_well_and_repairs_only_what_it_may() {
    let place = Place::saved();
    let clock = mainstay_clock::system();
    let backups = place.backups.clone().clocked_by(clock);
    let before = backups.status(&place.file).unwrap();
    rot(&place.file);
    let scrub = |check: Option<&dyn mainstay_files::Check>| {
        backups.scrub(check, &mut |_| {}, &mut all(|_| {})).unwrap()
    };
    let summary = scrub(None);
    assert_eq!((summary.damaged, summary.repaired), (1, 0));
    assert!(matches!(place.state(), FileState::Damaged(_)));
    let after = backups.status(&place.file).unwrap();
    assert_eq!(
        after.verified, before.saved,
        "what is damaged was not verified"
    );

    let summary = scrub(Some(&Format::Text));
    assert_eq!((summary.damaged, summary.repaired), (1, 1));
    assert_eq!(fs::read(&place.file).unwrap(), b"second");
    let summary = scrub(Some(&Format::Text));
    assert_eq!((summary.damaged, summary.repaired), (0, 0));
}

#[test]
fn a_scrub_brings_nothing_back_that_somebody_removed() {
    let place = Place::saved();
    let scrub = || {
        let mut told = Vec::new();
        let summary = place.backups.scrub(
            Some(&Format::Text),
            &mut |_| {},
            &mut all(|scrubbed| {
                if let Scrubbed::File {
                    state, repaired, ..
                } = scrubbed
                {
                    told.push((state.clone(), repaired.is_some()));
                }
            }),
        );
        (summary.unwrap(), told)
    };
    fs::remove_file(&place.file).unwrap();
    let (summary, told) = scrub();
    assert_eq!(
        (summary.damaged, summary.missing, summary.repaired),
        (0, 1, 0)
    );
    assert_eq!(told, [(FileState::Missing, false)]);
    assert!(!place.file.exists());

    place.backups.replace(&place.file, b"back").unwrap();
    place.backups.delete(&place.file).unwrap();
    let (summary, told) = scrub();
    assert_eq!(
        (summary.damaged, summary.missing, summary.repaired),
        (0, 0, 0)
    );
    assert_eq!(told, [(FileState::Deleted, false)]);
    assert!(!place.file.exists());
}

#[test]
fn damage_that_cannot_be_repaired_is_told_with_the_reason() {
    let place = Place::saved();
    for content in ["first", "second"] {
        rot(&content_in(&place.store, content));
    }
    rot(&place.file);
    let mut told = Vec::new();
    let summary = place.backups.scrub(
        Some(&Format::Text),
        &mut |_| {},
        &mut all(|scrubbed| match scrubbed {
            Scrubbed::File {
                state,
                repaired: None,
                ..
            } => told.push(format!("{state:?}")),
            Scrubbed::Failed(error) => told.push(error.to_string()),
            _ => {}
        }),
    );
    let summary = summary.unwrap();
    assert_eq!(
        (summary.damaged, summary.repaired, summary.failed),
        (3, 0, 1)
    );
    assert!(told[0].starts_with("Damaged("), "{told:?}");
    assert!(told[1].ends_with("no backup of it is of use"), "{told:?}");
}

#[test]
fn a_file_that_others_changed_is_never_repaired() {
    let place = Place::saved();
    fs::write(&place.file, b"\xff by hand").unwrap();
    let summary = place
        .backups
        .scrub(Some(&Format::Text), &mut |_| {}, &mut all(|_| {}))
        .unwrap();
    assert_eq!((summary.damaged, summary.repaired), (0, 0));
    assert_eq!(fs::read(&place.file).unwrap(), b"\xff by hand");
}

#[test]
fn a_content_that_is_refused_makes_no_backup() {
    let place = Place::saved();
    let checked = place
        .backups
        .clone()
        .writing(WriteOptions::new().checking(Format::Text));
    let error = checked.replace(&place.file, b"\xff").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(place.backups.list(&place.file).unwrap().backups.len(), 2);
    assert_eq!(place.state(), FileState::Saved);
}

#[test]
fn what_was_saved_last_is_loaded_before_what_is_only_newer() {
    let place = Place::saved();
    let oldest = place.backups.list(&place.file).unwrap().backups.pop();
    place
        .backups
        .restore(&oldest.unwrap(), &place.file)
        .unwrap();
    rot(&place.file);
    assert_eq!(place.load().unwrap().bytes, b"first", "and not the third");
}

#[test]
fn a_backup_that_makes_no_sense_is_not_loaded() {
    let place = Place::new();
    for content in [&b"sense"[..], b"\xff none", b"\xfe none either"] {
        place.backups.replace(&place.file, content).unwrap();
    }
    assert_eq!(place.load().unwrap().bytes, b"sense");
}

#[test]
fn a_file_that_is_too_large_to_be_loaded_is_told_before_a_byte_is_read() {
    let place = Place::new();
    let file = fs::File::create(&place.file).unwrap();
    file.set_len(256 * 1024 * 1024 + 1).unwrap();
    let error = place.load().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("256 MiB"), "{error}");
}

#[test]
fn what_was_damaged_is_passed_over_though_it_is_the_newest_and_whole() {
    let place = Place::saved();
    rot(&place.file);
    place.backups.repair(&place.file, &Format::Text).unwrap();
    let newest = place.backups.list(&place.file).unwrap().backups.remove(0);
    assert_eq!(newest.reason, Reason::Damaged);
    rot(&content_in(&place.store, "second"));
    rot(&place.file);
    assert_eq!(place.load().unwrap().bytes, b"first");
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed_where_the_options_say_so() {
    let place = Place::saved();
    let link = place.file.with_file_name("link");
    std::os::unix::fs::symlink(&place.file, &link).unwrap();
    let newest = place.backups.list(&place.file).unwrap().backups.remove(0);
    for symlinks in [Symlinks::Refuse, Symlinks::Replace] {
        let options = WriteOptions::new().symlinks(symlinks);
        let backups = place.backups.clone().writing(options);
        let refused = [
            backups.replace(&link, b"through it").map(drop),
            backups.restore(&newest, &link).map(drop),
            backups.restore_new(&newest, &link),
        ];
        for error in refused.map(Result::unwrap_err) {
            assert_eq!(error.kind(), ErrorKind::IsSymlink, "{error}");
        }
        assert_eq!(fs::read(&place.file).unwrap(), b"third");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
    place.backups.replace(&link, b"through it").unwrap();
    assert_eq!(fs::read(&place.file).unwrap(), b"through it");
}

//! What is left when any one system call fails, or all from one on.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests look at the disk past the crate, to see what it did"
)]

mod confirmed;
mod failed_sync;
mod meanwhile;
mod migrating;
mod watching;

use crate::system::faults::{Fault, begin_all};
use crate::{
    Error, ErrorKind, Writer, copy_new, create_new, move_file, replace, replace_secret, sweep,
};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const EIO: i32 = 5;
const EXDEV: i32 = 18;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;

const OLD: &[u8] = b"the old content";
const NEW: &[u8] = b"what is to be there afterwards, longer than the old content";

/// One thing that this crate does, to the files `target` and `source` of an otherwise empty folder.
struct Deed {
    name: &'static str,
    is_old_there: bool,
    is_source_kept: bool,
    act: Act,
}

type Act = fn(&Place) -> Result<(), Error>;

struct Place {
    folder: TempDir,
    target: PathBuf,
    source: PathBuf,
}

impl Place {
    fn new(deed: &Deed) -> Self {
        let folder = TempDir::new().unwrap();
        let (target, source) = (folder.path().join("target"), folder.path().join("source"));
        fs::write(&source, NEW).unwrap();
        if deed.is_old_there {
            fs::write(&target, OLD).unwrap();
        }
        Self {
            folder,
            target,
            source,
        }
    }

    fn leftovers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        entries
            .filter(|path| *path != self.target && *path != self.source)
            .collect()
    }
}

const DEEDS: &[Deed] = &[
    Deed {
        name: "replace",
        is_old_there: true,
        is_source_kept: true,
        act: |place| replace(&place.target, NEW),
    },
    Deed {
        name: "replace_secret",
        is_old_there: true,
        is_source_kept: true,
        act: |place| replace_secret(&place.target, NEW),
    },
    Deed {
        name: "replace what is not there",
        is_old_there: false,
        is_source_kept: true,
        act: |place| replace(&place.target, NEW),
    },
    Deed {
        name: "create_new",
        is_old_there: false,
        is_source_kept: true,
        act: |place| create_new(&place.target, NEW),
    },
    Deed {
        name: "Writer::commit",
        is_old_there: true,
        is_source_kept: true,
        act: |place| written(&place.target)?.commit(),
    },
    Deed {
        name: "Writer::commit_new",
        is_old_there: false,
        is_source_kept: true,
        act: |place| written(&place.target)?.commit_new(),
    },
    Deed {
        name: "copy_new",
        is_old_there: false,
        is_source_kept: true,
        act: |place| copy_new(&place.source, &place.target),
    },
    Deed {
        name: "move_file",
        is_old_there: false,
        is_source_kept: false,
        act: |place| move_file(&place.source, &place.target),
    },
];

/// A writer that goes on after a failed write, as a careless caller would.
fn written(target: &Path) -> Result<Writer, Error> {
    let mut writer = Writer::create(target)?;
    let (first, second) = NEW.split_at(20);
    drop(writer.write_all(first));
    drop(writer.write_all(second));
    Ok(writer)
}

/// Lets call after call of each deed fail, until a run meets no fault; answers how many runs met one.
fn fail_everywhere(times: usize, code: i32) -> usize {
    let mut faulted = 0;
    for deed in DEEDS {
        for at in 0.. {
            let place = Place::new(deed);
            let planned = Fault {
                call: None,
                at,
                times,
                code,
            }
            .begin();
            let result = (deed.act)(&place);
            let failed = planned.failed();
            drop(planned);
            let story = format!(
                "{}, call {at}, {times} times, code {code}: {result:?}",
                deed.name
            );
            check(deed, &place, &result, &story);
            if failed == 0 {
                assert!(result.is_ok(), "{story}");
                break;
            }
            faulted += 1;
            // One fault at a time never keeps the temporary file from being removed.
            if times > 1 {
                sweep_as_next_process(&place);
            }
            assert_eq!(place.leftovers(), [] as [PathBuf; 0], "{story}");
        }
    }
    faulted
}

fn check(deed: &Deed, place: &Place, result: &Result<(), Error>, story: &str) {
    let expected = match result {
        Ok(()) => Some(NEW),
        Err(error) if error.kind() == ErrorKind::Unconfirmed => Some(NEW),
        Err(_) => deed.is_old_there.then_some(OLD),
    };
    assert_eq!(fs::read(&place.target).ok().as_deref(), expected, "{story}");
    if deed.is_source_kept || result.is_err() {
        assert_eq!(fs::read(&place.source).unwrap(), NEW, "{story}");
    } else {
        assert!(!place.source.exists(), "{story}");
    }
}

/// Sweeps as a later process would: the files are older than an hour.
fn sweep_as_next_process(place: &Place) {
    for path in place.leftovers() {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
    }
    sweep(place.folder.path()).unwrap();
}

#[test]
fn whichever_call_fails_once_the_file_is_all_old_or_all_new_and_nothing_else_is_left() {
    for code in [EIO, ENOSPC] {
        let faulted = fail_everywhere(1, code);
        assert!(faulted > 40, "only {faulted} faults were met");
    }
}

#[test]
fn whichever_call_is_the_first_to_fail_for_good_the_next_start_finds_all_old_or_all_new() {
    for code in [EIO, ENOSPC] {
        let faulted = fail_everywhere(usize::MAX, code);
        assert!(faulted > 40, "only {faulted} faults were met");
    }
}

#[test]
fn a_file_system_without_rename_noreplace_still_never_replaces() {
    let folder = TempDir::new().unwrap();
    let (path, other) = (folder.path().join("a"), folder.path().join("b"));
    let planned = Fault {
        call: Some("rename"),
        at: 0,
        times: usize::MAX,
        code: EINVAL,
    }
    .begin();
    create_new(&path, OLD).unwrap();
    crate::rename_noreplace(&path, &other).unwrap();
    create_new(&path, NEW).unwrap();
    assert_eq!(
        crate::rename_noreplace(&path, &other).unwrap_err().kind(),
        ErrorKind::Exists
    );
    assert_eq!(
        written(&other).unwrap().commit_new().unwrap_err().kind(),
        ErrorKind::Exists
    );
    assert_eq!(planned.calls("link"), 4);
    drop(planned);
    assert_eq!(
        (fs::read(&path).unwrap(), fs::read(&other).unwrap()),
        (NEW.to_vec(), OLD.to_vec())
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn whichever_call_fails_in_a_move_across_file_systems_the_whole_file_is_in_one_place_at_least() {
    let deed = Deed {
        name: "across",
        is_old_there: false,
        is_source_kept: false,
        act: |_| Ok(()),
    };
    for call in [
        "open",
        "list attributes",
        "remove attribute",
        "create",
        "write",
        "chmod",
        "utime",
        "sync file",
        "rename",
        "sync folder",
        "unlink",
        "stat",
    ] {
        for at in 0.. {
            let place = Place::new(&deed);
            let (failed, result) = move_across_failing(&place, call, at);
            let story = format!("{call} {at}: {result:?}");
            check(&deed, &place, &result, &story);
            assert_eq!(place.leftovers(), [] as [PathBuf; 0], "{story}");
            if failed == 0 {
                assert!(result.is_ok(), "{story}");
                break;
            }
        }
    }
}

#[test]
fn whichever_call_fails_while_many_are_replaced_each_is_whole_and_those_before_it_are_new() {
    // What a sync answers in another thread is the campaigns' affair.
    for call in [
        "open folder",
        "stat",
        "create",
        "write",
        "list attributes",
        "chmod",
        "rename",
        "sync folder",
        "unlink",
    ] {
        for at in 0.. {
            let folder = TempDir::new().unwrap();
            let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
            for path in &paths {
                fs::write(path, OLD).unwrap();
            }
            let files = paths.each_ref().map(|path| (&**path, NEW));
            let planned = Fault {
                call: Some(call),
                at,
                times: 1,
                code: EIO,
            }
            .begin();
            let result = crate::replace_all(&files);
            let failed = planned.failed();
            drop(planned);
            let contents = paths.each_ref().map(|path| fs::read(path).unwrap());
            let new = contents
                .iter()
                .take_while(|content| *content == NEW)
                .count();
            let story = format!("{call} {at}: {result:?}, {new} are new");
            assert!(
                contents.iter().skip(new).all(|content| content == OLD),
                "{story}"
            );
            assert!(result.is_err() || new == 3, "{story}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "{story}");
            if failed == 0 {
                assert!(result.is_ok(), "{story}");
                break;
            }
        }
    }
}

#[test]
#[cfg(unix)]
fn of_many_each_is_confirmed_in_the_folder_that_it_is_in_behind_a_link_too() {
    let folder = TempDir::new().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    fs::create_dir(&here).unwrap();
    fs::create_dir(&there).unwrap();
    std::os::unix::fs::symlink("../there/file", here.join("link")).unwrap();
    let paths = [here.join("file"), here.join("link"), here.join("other")];
    let files = paths.each_ref().map(|path| (&**path, NEW));
    for (at, confirmed) in [(0, 1), (1, 1), (2, 2)] {
        let planned = Fault {
            call: Some("sync folder"),
            at,
            times: 1,
            code: EIO,
        }
        .begin();
        let result = crate::replace_all(&files);
        assert_eq!(planned.calls("sync folder"), 2, "both folders are asked");
        assert_eq!(2 - planned.failed(), confirmed);
        let kind = result.map_err(|error| error.kind());
        let expected = if at < 2 {
            Err(ErrorKind::Unconfirmed)
        } else {
            Ok(())
        };
        assert_eq!(kind, expected);
    }
    assert_eq!(fs::read(there.join("file")).unwrap(), NEW);
}

/// The first rename says that the file systems differ; then the `at`-th of `call` fails.
fn move_across_failing(place: &Place, call: &'static str, at: usize) -> (usize, Result<(), Error>) {
    let across = Fault {
        call: Some("rename"),
        at: 0,
        times: 1,
        code: EXDEV,
    };
    let planned = begin_all(&[
        across,
        Fault {
            call: Some(call),
            at,
            times: 1,
            code: EIO,
        },
    ]);
    let result = move_file(&place.source, &place.target);
    (planned.failed(), result)
}

#[test]
fn every_system_error_has_the_kind_that_says_what_to_do() {
    let codes = [
        (1, ErrorKind::Permission),
        (2, ErrorKind::NotFound),
        (EIO, ErrorKind::Io),
        (13, ErrorKind::Permission),
        (17, ErrorKind::Exists),
        (EXDEV, ErrorKind::CrossDevice),
        (20, ErrorKind::NameInvalid),
        (21, ErrorKind::NotRegular),
        (EINVAL, ErrorKind::NameInvalid),
        (24, ErrorKind::Io),
        (27, ErrorKind::Quota),
        (ENOSPC, ErrorKind::DiskFull),
        (30, ErrorKind::ReadOnly),
        (36, ErrorKind::TooLong),
        (39, ErrorKind::Exists),
        (40, ErrorKind::IsSymlink),
        (84, ErrorKind::NameInvalid),
        (EDQUOT, ErrorKind::Quota),
    ];
    for (code, kind) in codes {
        assert_eq!(
            ErrorKind::of(&std::io::Error::from_raw_os_error(code)),
            kind,
            "code {code}"
        );
    }
}

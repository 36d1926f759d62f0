//! One process per folder.

use crate::boot;
use crate::error::{Attempt, Error, ErrorKind};
use crate::shown::Shown;
use crate::system;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

/// How long a lock is tried again while only onlookers ([`Lock::holder`]) are in the way, each of whom leaves within microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a lock that somebody holds is asked for again: at first as soon as short work is done, then a hundred times a second, which
/// costs nothing that could be measured and lets nobody starve beside one who asks without a pause.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// The longest note that is read; ours has under 100 bytes.
const NOTE_MAX: u64 = 4096;

/// A lock on a file, held until it is dropped or the process dies, however it dies.
///
/// The file itself stays for ever: to unlink it would let two processes lock two files of one name.
#[derive(Debug)]
#[must_use = "dropping it gives the lock back"]
pub struct Lock {
    file: File,
}

/// Who holds a lock, by the note that they left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Held {
    /// The number of the process; none where it left no note.
    pub pid: Option<u32>,
    /// Since when, in milliseconds since 1970 by the clock of then; none where it left no note.
    pub since: Option<u64>,
}

impl Lock {
    /// Takes the lock on the file at `path`, which is made (mode 0600) where it is missing; does not wait for a
    /// holder, and for up to 2 s for those who only look.
    ///
    /// Process number, boot and time are written into the file for whoever finds it locked. They are a note only: what locks is
    /// the system's lock (`flock`), so a file that a dead process left locks nobody out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`], with the holder's process number in the message where it left a note. [`ErrorKind::IsSymlink`],
    /// [`ErrorKind::Permission`], [`ErrorKind::NotFound`] and others, where the file cannot be opened.
    pub fn acquire(path: &Path) -> Result<Self, Error> {
        let attempt = Attempt::new("lock", path, "");
        let mut file = system::open_lock(path).map_err(|error| attempt.failed(error))?;
        match try_lock(&file) {
            Ok(()) => {
                // A note that cannot be written, on a full disk for one, makes the lock no weaker.
                drop(write_note(&mut file));
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => Err(locked(path, read_note(&mut file).pid)),
            Err(TryLockError::Error(error)) => Err(attempt.failed(error)),
        }
    }

    /// Like [`acquire`](Self::acquire), and waits for a holder, but no longer than `patience`.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire); [`ErrorKind::Locked`] once the time is over.
    pub fn acquire_within(path: &Path, patience: Duration) -> Result<Self, Error> {
        let clock = mainstay_clock::system();
        let start = clock.now();
        let mut pause = PAUSE_MIN;
        loop {
            match Self::acquire(path) {
                Err(error) if error.kind() == ErrorKind::Locked => {
                    let waited = clock.now().since(start);
                    if waited >= patience {
                        return Err(error);
                    }
                    // Nothing tells us that a lock of files is free; a thread that is woken early asks once more.
                    std::thread::park_timeout(pause.min(patience.saturating_sub(waited)));
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                acquired => return acquired,
            }
        }
    }

    /// The process that holds the lock at `path` now; `None` where nobody does, or there is no such file.
    ///
    /// 0 stands for a holder who left no note. Looking does not keep anybody from taking the lock.
    pub fn holder(path: &Path) -> Option<u32> {
        Self::held(path).map(|held| held.pid.unwrap_or(0))
    }

    /// Who holds the lock at `path` now, and since when; `None` where nobody does, or there is no such file.
    ///
    /// Looking does not keep anybody from taking the lock.
    pub fn held(path: &Path) -> Option<Held> {
        let (mut file, _) = crate::facts::open_regular(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(read_note(&mut file)),
            Ok(()) => {
                drop(file.unlock());
                None
            }
            Err(TryLockError::Error(_)) => None,
        }
    }
}

impl Drop for Lock {
    /// Closing the file would not always do: a child process that is just being started still has it open for a moment.
    fn drop(&mut self) {
        drop(self.file.unlock());
    }
}

/// Takes the lock, past onlookers.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    let clock = mainstay_clock::system();
    let start = clock.now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {}
            tried => return tried,
        }
        // An onlooker's lock can be shared, a holder's cannot.
        file.try_lock_shared()?;
        file.unlock().map_err(TryLockError::Error)?;
        if clock.now().since(start) > PATIENCE {
            return Err(TryLockError::WouldBlock);
        }
        std::thread::yield_now();
    }
}

fn locked(path: &Path, pid: Option<u32>) -> Error {
    let holder = pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    );
    let message = format!(
        "`{}` is held by {holder}: wait for it, stop it, or use another folder",
        Shown(path)
    );
    Error::told(ErrorKind::Locked, path, message)
}

fn write_note(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    let (pid, boot, started) = (
        std::process::id(),
        boot::id(),
        mainstay_clock::system().wall(),
    );
    let note = format!("pid {pid}\nboot {boot}\nlocked_ms {started}\n");
    file.write_all(note.as_bytes())
}

/// What cannot be read was not left.
fn read_note(file: &mut File) -> Held {
    let mut note = String::new();
    if file.rewind().is_err() || file.take(NOTE_MAX).read_to_string(&mut note).is_err() {
        return Held::default();
    }
    let value = |key: &str| {
        let mut values = note.lines().filter_map(|line| line.strip_prefix(key));
        values.next().map(str::trim)
    };
    Held {
        pid: value("pid ").and_then(|pid| pid.parse().ok()),
        since: value("locked_ms ").and_then(|since| since.parse().ok()),
    }
}

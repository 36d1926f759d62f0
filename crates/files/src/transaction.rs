//! Several files, all of them or none.

mod journal;

mod recovery;

pub use recovery::Recovered;

use crate::directory::{create_dir_all, remove, remove_empty_dir, sync_dir};
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::{facts, open_regular};
use crate::integrity::{Algorithm, Checksum, checksum};
use crate::lock::Lock;
use crate::replace::create_new;
use crate::shown::Shown;
use crate::system::Dir;
use crate::target::Target;
use crate::temp_name::TempName;
use crate::writer::Writer;
use journal::{Change, Journal};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What belongs to transactions is their owner's alone: it holds contents of files.
const FOLDER_MODE: u32 = 0o700;

/// The file that decides a transaction, in its folder.
const JOURNAL: &str = "journal";

/// The file that tells that a transaction's process is still at work.
const ALIVE: &str = "alive";

/// A folder for transactions: changes of several files, of which a power cut leaves all or none.
///
/// Whoever reads with [`read`](Self::read) sees the files before or after any transaction, never in between. Other readers see
/// each single file whole.
///
/// ```text
/// FOLDER/
///   lock                 whoever commits, recovers or reads
///   turn                 whoever is the next to do so
///   4711-…/              one transaction
///     alive              locked while its process is at work
///     0, 1, …            new contents
///     journal            what is to become of which file; its making decides
/// ```
///
/// ```
/// # let folder = tempfile::TempDir::new()?;
/// # let (users, groups) = (folder.path().join("users"), folder.path().join("groups"));
/// let transactions = mainstay_files::Transactions::open(&folder.path().join("transactions"))?;
/// let mut both = transactions.begin()?;
/// both.replace(&users, b"ada:1")?;
/// both.replace(&groups, b"1:admins")?;
/// assert!(!users.exists());
/// both.commit()?;
/// assert_eq!(std::fs::read(&groups)?, b"1:admins");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Transactions {
    folder: PathBuf,
    patience: Duration,
}

/// Changes that nobody sees yet; dropped without a commit, nothing has changed.
#[derive(Debug)]
#[must_use = "without a commit nothing is changed"]
pub struct Transaction {
    transactions: Transactions,
    folder: PathBuf,
    changes: Vec<Change>,
    _alive: Lock,
}

impl Transactions {
    /// Uses the folder at `folder`, which is made (mode 0700) where it is missing, and finishes what a crash left.
    ///
    /// # Errors
    ///
    /// As [`recover`](Self::recover).
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let attempt = Attempt::new("use for transactions", folder, "");
        let folder = std::path::absolute(folder).map_err(|error| attempt.failed(error))?;
        create_dir_all(&folder, FOLDER_MODE)?;
        let transactions = Self {
            folder,
            patience: Duration::from_secs(10),
        };
        transactions.recover()?;
        Ok(transactions)
    }

    /// Waits so long for others who commit or read.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Begins one; several may be under way, and each commits for itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`]: another process commits for longer than we wait. [`ErrorKind::DiskFull`] and others, where its
    /// folder cannot be made.
    pub fn begin(&self) -> Result<Transaction, Error> {
        let name = TempName::new().beside(OsStr::new("transaction"));
        let folder = self.folder.join(name);
        // Between the making of the folder and of its lock, a recovery would take it for abandoned.
        let held = self.hold()?;
        create_dir_all(&folder, FOLDER_MODE)?;
        let alive = Lock::acquire(&folder.join(ALIVE))?;
        drop(held);
        Ok(Transaction {
            transactions: self.clone(),
            folder,
            changes: Vec::new(),
            _alive: alive,
        })
    }

    /// Completes every transaction that was decided, and removes what is left of the others.
    ///
    /// It may be cut at any point, and be done again. [`open`](Self::open), [`read`](Self::read) and every commit do it first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`]: another process commits for longer than we wait. [`ErrorKind::Damaged`]: a journal is not what
    /// it was, so nobody knows what is to become of its files; its folder is left as it is. Others, where a file cannot be
    /// written: the rest is completed the next time.
    pub fn recover(&self) -> Result<Recovered, Error> {
        let held = self.hold()?;
        recovery::recover(self, &held)
    }

    /// The contents of these files at one moment between transactions; none for one that is not there.
    ///
    /// # Errors
    ///
    /// As [`recover`](Self::recover), and where a file is there and cannot be read.
    pub fn read(&self, paths: &[&Path]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let held = self.hold()?;
        recovery::recover(self, &held)?;
        paths.iter().map(|path| read_if_any(path)).collect()
    }

    fn hold(&self) -> Result<Lock, Error> {
        // Whoever waits keeps the turn, so that one who asks without a pause cannot be first every time.
        let turn = Lock::acquire_within(&self.folder.join("turn"), self.patience)?;
        let lock = Lock::acquire_within(&self.folder.join("lock"), self.patience)?;
        drop(turn);
        Ok(lock)
    }
}

impl Transaction {
    /// Stages a new content for the file at `path`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`]: the path was staged already. [`ErrorKind::NotFound`], [`ErrorKind::IsSymlink`] and
    /// [`ErrorKind::NotRegular`], where no file can be there. [`ErrorKind::DiskFull`] and others. Nothing was staged.
    pub fn replace(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        self.write(path, |writer| writer.write_all(bytes))
    }

    /// Like [`replace`](Self::replace), for a content of any length that is written piece by piece.
    ///
    /// # Errors
    ///
    /// As [`replace`](Self::replace), and whatever `fill` answers.
    pub fn write(
        &mut self,
        path: &Path,
        fill: impl FnOnce(&mut Writer) -> io::Result<()>,
    ) -> Result<(), Error> {
        let attempt = Attempt::new("stage", path, "nothing was staged");
        let path = self.place(&attempt, path)?;
        let staged = self.folder.join(self.changes.len().to_string());
        // One that failed halfway may have left it.
        remove(&staged)?;
        let mut writer = Writer::create_secret(&staged)?;
        fill(&mut writer).map_err(|error| attempt.failed(error))?;
        writer.commit_new()?;
        let new = Some(checksum(&staged, Algorithm::Sha256)?);
        self.changes.push(Change {
            path,
            old: None,
            new,
        });
        Ok(())
    }

    /// Stages the removal of the file at `path`; that there is none is no error.
    ///
    /// # Errors
    ///
    /// As [`replace`](Self::replace).
    pub fn remove(&mut self, path: &Path) -> Result<(), Error> {
        let attempt = Attempt::new("stage the removal of", path, "nothing was staged");
        let path = self.place(&attempt, path)?;
        self.changes.push(Change {
            path,
            old: None,
            new: None,
        });
        Ok(())
    }

    /// Makes all changes; each is durable when it returns `Ok`, and none is undone by a power cut.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`], [`ErrorKind::DiskFull`] and others: nothing was changed, unless the message says that it is
    /// decided: then the rest is completed by [`Transactions::recover`], and it must not be done again.
    pub fn commit(mut self) -> Result<(), Error> {
        let attempt = Attempt::new("commit", &self.folder, "nothing was changed");
        let held = self.transactions.hold()?;
        recovery::recover(&self.transactions, &held)?;
        for change in &mut self.changes {
            change.old = checksum_if_any(&change.path)?;
        }
        let journal = Journal {
            changes: std::mem::take(&mut self.changes),
        };
        let path = self.folder.join(JOURNAL);
        match create_new(&path, &journal.encode()) {
            Err(error) if error.kind() == ErrorKind::Unconfirmed => {
                // A power cut would decide. So it is taken back, or left to be decided by the disk.
                remove(&path)?;
                sync_dir(&self.folder)?;
                return Err(attempt.refused(
                    ErrorKind::NotDurable,
                    "the disk did not confirm its journal",
                ));
            }
            decided => decided?,
        }
        recovery::complete(&self.folder, &journal)
            .map_err(|error| decided_but(&self.folder, &error))?;
        Ok(())
    }

    /// Gives up; dropping it does the same.
    pub fn roll_back(self) {}

    /// Where a staged path leads, without a link at its end.
    fn place(&self, attempt: &Attempt<'_>, path: &Path) -> Result<PathBuf, Error> {
        let whole = crate::target::whole(path)?;
        Target::find(attempt, &whole)?.refuse_other_types(attempt)?;
        if self.changes.iter().any(|change| change.path == whole) {
            return Err(attempt.refused(ErrorKind::Exists, "it was staged already"));
        }
        Ok(whole)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // What is decided is not ours to remove; what cannot be removed goes with the next recovery.
        if facts(&self.folder.join(JOURNAL)).is_err() {
            drop(discard(&self.folder));
        }
    }
}

fn decided_but(folder: &Path, error: &Error) -> Error {
    let message = format!(
        "the transaction `{}` is decided, but not all of its files are in place: {error}; recover() completes it",
        Shown(folder)
    );
    Error::told(error.kind(), error.path(), message)
}

/// Removes the folder of a transaction, its journal first.
fn discard(folder: &Path) -> Result<(), Error> {
    let attempt = Attempt::new(
        "remove the transaction",
        folder,
        "some of it is still there",
    );
    let failed = |error| attempt.failed(error);
    remove(&folder.join(JOURNAL))?;
    // Were it to come back, it would undo what happened to the files since.
    sync_dir(folder)?;
    for name in Dir::open(folder)
        .and_then(|dir| dir.names())
        .map_err(failed)?
    {
        remove(&folder.join(name))?;
    }
    remove_empty_dir(folder)
}

fn checksum_if_any(path: &Path) -> Result<Option<Checksum>, Error> {
    match checksum(path, Algorithm::Sha256) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        sum => sum.map(Some),
    }
}

fn read_if_any(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let mut file = match open_regular(path) {
        Ok((file, _)) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(|error| Attempt::new("read", path, "").failed(error))?;
    Ok(Some(bytes))
}

//! The index: which answers are stored, in SQLite. Damaged, it is set aside and begun anew.
//!
//! ```text
//! <folder>/                            0700
//!   index.sqlite, -wal, -shm           entries, counts of them, counters
//!   index.sqlite.damaged-<UTC ms>      the last one that could not be read, for whoever wants to know why
//!   index.lock                         held while the index is opened, checked or begun anew
//!   bodies/<SHA-256>                   0600; each content once
//! ```

use crate::error::Error;
use mainstay_files::{Durability, Lock, WriteOptions};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) mod eviction;
pub(crate) mod rows;
mod schema;

pub(crate) use schema::has_much_free;

const NAME: &str = "index.sqlite";
const DAMAGED: &str = "index.sqlite.damaged-";

/// How long another process's transaction is waited for: the longest, which removes 50,000 entries, takes about one second.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long another process that opens or checks the index is waited for; reading 100 MiB from a slow disk takes some seconds.
const PATIENCE_OPENING: Duration = Duration::from_secs(10);

/// An index that is open, and found again when somebody else began it anew.
#[derive(Debug)]
pub(crate) struct Index {
    folder: PathBuf,
    path: PathBuf,
    /// For those who look, so that none of them waits behind whoever waits for another process's transaction.
    reading: Mutex<Option<Open>>,
    writing: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// The very file that the connection is of: its path may lead to another one by now.
    file: Option<(u64, u64)>,
}

/// What opening came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It was there.
    Sound,
    /// There was none, so that it is empty.
    Made,
    /// It was damaged, or went away, and is empty now.
    Anew,
}

impl Opened {
    /// What both came to.
    fn or(self, other: Self) -> Self {
        if self == Self::Anew { self } else { other }
    }

    /// The same, where there was an index before.
    fn again(self) -> Self {
        if self == Self::Made { Self::Anew } else { self }
    }
}

impl Index {
    pub(crate) fn open(folder: &Path) -> Result<(Self, Opened), Error> {
        let index = Self {
            folder: folder.to_owned(),
            path: folder.join(NAME),
            reading: Mutex::new(None),
            writing: Mutex::new(None),
        };
        let (open, opened) = index.open_checked()?;
        *lock(&index.reading) = index.open_beside(&open);
        *lock(&index.writing) = Some(open);
        Ok((index, opened))
    }

    /// As [`with`](Self::with), to look at it: not behind those who change it, nor behind another process's transaction.
    pub(crate) fn read<T>(
        &self,
        work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<(T, Opened), Error> {
        self.with_one_of(&self.reading, work)
    }

    /// Does `work` with the index. Where the index turns out to be damaged it is begun anew, and `work` done once more.
    ///
    /// Says, too, whether the index was begun anew.
    pub(crate) fn with<T>(
        &self,
        work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<(T, Opened), Error> {
        self.with_one_of(&self.writing, work)
    }

    fn with_one_of<T>(
        &self,
        connections: &Mutex<Option<Open>>,
        mut work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<(T, Opened), Error> {
        let mut guard = lock(connections);
        let mut opened = self.find(&mut guard)?;
        for is_last in [false, true] {
            let Some(open) = guard.as_mut() else {
                break;
            };
            match work(&mut open.connection) {
                Ok(done) => return Ok((done, opened)),
                Err(error) if is_damage(&error) && !is_last => {
                    tracing::warn!(path = %self.path.display(), %error, "the index of the cache is damaged");
                    let damaged = guard.take().and_then(|open| open.file);
                    let (open, again) = self.replace(damaged)?;
                    *guard = Some(open);
                    opened = opened.or(again.again());
                }
                Err(error) => return Err(Error::of_index(&self.path, error)),
            }
        }
        Err(Error::invalid("the index of the cache is not open", None))
    }

    /// As [`with`](Self::with), in a transaction that no other process can come between. What a removal removed is gone for good
    /// when this returns, after a power cut too.
    pub(crate) fn change<T>(
        &self,
        is_removal: bool,
        mut work: impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<(T, Opened), Error> {
        self.with(|connection| {
            if !is_removal {
                return in_transaction(connection, &mut work);
            }
            connection.pragma_update(None, "synchronous", "FULL")?;
            let done = in_transaction(connection, &mut work);
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            done
        })
    }

    /// As [`change`](Self::change) where nobody is in the way, in this process or another; none where somebody is.
    pub(crate) fn change_at_once<T>(
        &self,
        mut work: impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<(T, Opened)>, Error> {
        let failed = |error| Error::of_index(&self.path, error);
        let Ok(mut guard) = self.writing.try_lock() else {
            return Ok(None);
        };
        let path = identity(&self.path);
        let found = guard.as_mut().filter(|open| open.file == path);
        let done = match found {
            None => None,
            Some(open) => {
                let connection = &mut open.connection;
                connection.busy_timeout(Duration::ZERO).map_err(failed)?;
                let done = in_transaction(connection, &mut work);
                connection.busy_timeout(PATIENCE).map_err(failed)?;
                Some(done)
            }
        };
        drop(guard);
        match done {
            Some(Ok(done)) => Ok(Some((done, Opened::Sound))),
            Some(Err(error)) if is_damage(&error) => self.change(false, work).map(Some),
            Some(Err(error)) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                Ok(None)
            }
            Some(Err(error)) => Err(failed(error)),
            // Somebody began it anew, which is found by whoever comes in turn.
            None => self.change(false, work).map(Some),
        }
    }

    /// Which file it is, and how often others than this process changed it; none where somebody is in the way, or it is to be found
    /// again.
    pub(crate) fn stand(&self) -> Option<((u64, u64), i64)> {
        let guard = self.writing.try_lock().ok()?;
        let open = guard.as_ref()?;
        let file = open
            .file
            .filter(|file| identity(&self.path) == Some(*file))?;
        // What this connection changes itself does not count, and this process changes everything by it.
        let mut statement = open.connection.prepare_cached("PRAGMA data_version").ok()?;
        let version = statement.query_row([], |row| row.get(0)).ok()?;
        Some((file, version))
    }

    /// Gives free pages back to the file system, and empties the log. Another process's reading may keep some of it for later.
    pub(crate) fn give_back(&self) -> Result<(), Error> {
        self.with(schema::give_back).map(|_| ())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes what was set aside.
    pub(crate) fn forget_damaged(&self) {
        for path in self.damaged() {
            if let Err(error) = mainstay_files::remove(&path) {
                tracing::warn!(path = %path.display(), %error, "a damaged index stays for now");
            }
        }
    }

    /// Opens the index once more where its path leads to another file by now: another process began it anew.
    fn find(&self, guard: &mut MutexGuard<'_, Option<Open>>) -> Result<Opened, Error> {
        let is_found = guard
            .as_ref()
            .is_some_and(|open| open.file == identity(&self.path));
        if is_found {
            return Ok(Opened::Sound);
        }
        guard.take();
        let (open, opened) = self.open_checked()?;
        **guard = Some(open);
        Ok(opened.again())
    }

    fn open_checked(&self) -> Result<(Open, Opened), Error> {
        let _lock = self.lock_opening()?;
        let opened = self.make_private()?;
        match self.connect() {
            Ok(open) => Ok((open, opened)),
            Err(error) if is_damage(&error) => {
                tracing::warn!(path = %self.path.display(), %error, "the index of the cache is damaged");
                self.begin_anew()
            }
            Err(error) => Err(Error::of_index(&self.path, error)),
        }
    }

    /// The same file once more, without checking it again; none where that fails, or another file is there by now.
    fn open_beside(&self, checked: &Open) -> Option<Open> {
        let (connection, file) = (self.connection().ok()?, identity(&self.path));
        (file.is_some() && file == checked.file).then_some(Open { connection, file })
    }

    /// Sets the `damaged` file aside, unless another process did.
    fn replace(&self, damaged: Option<(u64, u64)>) -> Result<(Open, Opened), Error> {
        let lock = self.lock_opening()?;
        if damaged.is_some() && identity(&self.path) == damaged {
            return self.begin_anew();
        }
        drop(lock);
        self.open_checked()
    }

    /// Only under the lock.
    fn begin_anew(&self) -> Result<(Open, Opened), Error> {
        self.set_aside();
        mainstay_files::remove(&self.path).map_err(|error| Error::of_files(&self.path, error))?;
        self.make_private()?;
        let open = self.connect();
        let open = open.map_err(|error| Error::of_index(&self.path, error))?;
        Ok((open, Opened::Anew))
    }

    /// What stands in the log of one index must never be read into another.
    fn remove_log(&self) -> Result<(), mainstay_files::Error> {
        ["-wal", "-shm", "-journal"].iter().try_for_each(|ending| {
            mainstay_files::remove(&self.folder.join(format!("{NAME}{ending}")))
        })
    }

    /// Gives the index another name; its log goes when the next one is made.
    fn set_aside(&self) {
        self.forget_damaged();
        let utc_ms = mainstay_clock::system().wall();
        let aside = self.folder.join(format!("{DAMAGED}{utc_ms}"));
        if let Err(error) = mainstay_files::rename_noreplace(&self.path, &aside) {
            tracing::warn!(path = %self.path.display(), %error, "the damaged index is not kept");
        }
    }

    fn damaged(&self) -> Vec<PathBuf> {
        let Ok(files) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let is_damaged = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(DAMAGED))
        };
        let paths = files.filter_map(|file| Some(file.ok()?.path()));
        paths.filter(is_damaged).collect()
    }

    fn lock_opening(&self) -> Result<Lock, Error> {
        let path = self.folder.join("index.lock");
        Lock::acquire_within(&path, PATIENCE_OPENING).map_err(|error| Error::of_files(&path, error))
    }

    /// SQLite gives its files the mode of the first one.
    fn make_private(&self) -> Result<Opened, Error> {
        if mainstay_files::facts(&self.path).is_ok() {
            return Ok(Opened::Sound);
        }
        let options = WriteOptions::new().secret().durability(Durability::Atomic);
        let made = self
            .remove_log()
            .and_then(|()| options.write(&self.path, b""));
        made.map_err(|error| Error::of_files(&self.path, error))?;
        Ok(Opened::Made)
    }

    fn connect(&self) -> rusqlite::Result<Open> {
        let mut connection = self.connection()?;
        schema::prepare(&mut connection)?;
        let file = identity(&self.path);
        Ok(Open { connection, file })
    }

    fn connection(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        schema::configure(&connection)?;
        Ok(connection)
    }
}

fn lock(connection: &Mutex<Option<Open>>) -> MutexGuard<'_, Option<Open>> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: &mut impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Whether the error can only come from bytes that SQLite did not write.
///
/// Our statements are all fixed and tried: one that a table does not fit, or that a constraint refuses, met another table than
/// the one that was made.
fn is_damage(error: &rusqlite::Error) -> bool {
    const SHORT_READ: i32 = rusqlite::ffi::SQLITE_IOERR_SHORT_READ;
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::QueryReturnedNoRows
                | rusqlite::Error::SqlInputError { .. }
        );
    };
    failure.extended_code == SHORT_READ
        || matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::Unknown
                | ErrorCode::SchemaChanged
        )
}

/// Which file a path leads to.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let facts = mainstay_files::facts(path).ok()?;
    Some((facts.dev, facts.ino))
}

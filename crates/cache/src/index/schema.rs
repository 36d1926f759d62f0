//! How the tables of the index are made, checked, and shrunk.

use rusqlite::Connection;

/// Another number means another layout: such an index is begun anew.
const FORMAT: i64 = 1;

/// The log is emptied into the index from this many pages of 4 KiB on, and is no longer on the disk afterwards: 1 MiB.
const LOG_PAGES: i64 = 256;

/// Free pages are given back once there are more than this: 256 KiB, which the next answers would fill anyway.
const FREE_PAGES: i64 = 64;

/// As SQLite remembers them, to the letter: an index whose schema reads otherwise is not ours.
const SCHEMA: &[&str] = &[
    "CREATE TABLE counters (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL)",
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, url TEXT NOT NULL, host TEXT NOT NULL, vary TEXT NOT NULL, \
     variant BLOB NOT NULL, status INTEGER NOT NULL, headers BLOB NOT NULL, body BLOB NOT NULL, \
     body_len INTEGER NOT NULL, stored_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, seal BLOB NOT NULL, \
     bytes INTEGER NOT NULL)",
    "CREATE INDEX entries_body ON entries (body)",
    "CREATE INDEX entries_ends_at ON entries (ends_at)",
    "CREATE INDEX entries_host ON entries (host)",
    "CREATE INDEX entries_stored_at ON entries (stored_at)",
    "CREATE UNIQUE INDEX entries_url ON entries (url, variant)",
    "CREATE TABLE totals (entries INTEGER NOT NULL, bytes INTEGER NOT NULL)",
    "CREATE TRIGGER totals_added AFTER INSERT ON entries BEGIN \
     UPDATE totals SET entries = entries + 1, bytes = bytes + NEW.bytes; END",
    "CREATE TRIGGER totals_removed AFTER DELETE ON entries BEGIN \
     UPDATE totals SET entries = entries - 1, bytes = bytes - OLD.bytes; \
     DELETE FROM uses WHERE id = OLD.id; END",
    // Apart from the entries: a hundred of these lie on one page, so that noting them writes some pages and not hundreds.
    "CREATE TABLE uses (id INTEGER PRIMARY KEY, last_used INTEGER NOT NULL)",
    "CREATE INDEX uses_last_used ON uses (last_used)",
];

/// How a connection goes about the index.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    // It has to stand before the first table is made.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "cell_size_check", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", LOG_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_PAGES * 4096, |_| Ok(()))
}

/// Makes a new index, or checks the one that is there.
///
/// What does not fit is an error that means damage.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    if schema(connection)?.is_empty() {
        make(connection)?;
    }
    check(connection)?;
    count_again(connection)
}

fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for statement in SCHEMA {
        transaction.execute_batch(statement)?;
    }
    transaction.execute_batch("INSERT INTO totals VALUES (0, 0)")?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

fn check(connection: &Connection) -> rusqlite::Result<()> {
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    let mut expected: Vec<&str> = SCHEMA.to_vec();
    expected.sort_unstable();
    if format == FORMAT && said == "ok" && schema(connection)? == expected {
        return Ok(());
    }
    // What any statement would say that met the damage.
    Err(rusqlite::Error::QueryReturnedNoRows)
}

/// What SQLite remembers of the statements that made it, without the indexes that it makes by itself.
fn schema(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let query = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY sql";
    let mut statement = connection.prepare(query)?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// The totals follow every change by themselves; counted anew, they forget what rotted in them.
pub(super) fn count_again(connection: &Connection) -> rusqlite::Result<()> {
    const TRUE: &str = "SELECT count(*), coalesce(sum(bytes), 0) FROM entries";
    let read = |query| {
        connection.query_row(query, [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
    };
    if read(TRUE)? == read("SELECT entries, bytes FROM totals")? {
        return Ok(());
    }
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; DELETE FROM totals; INSERT INTO totals {TRUE}; COMMIT"
    ))
}

/// Gives free pages back to the file system, and empties the log.
pub(super) fn give_back(connection: &mut Connection) -> rusqlite::Result<()> {
    let mut vacuum = connection.prepare("PRAGMA incremental_vacuum")?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    drop(rows);
    drop(vacuum);
    // A reader elsewhere keeps it from being emptied: the next time will do.
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    match emptied {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
            Ok(())
        }
        emptied => emptied,
    }
}

/// Whether so much is free that it is worth giving back.
pub(crate) fn has_much_free(connection: &Connection) -> rusqlite::Result<bool> {
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    Ok(free > FREE_PAGES)
}

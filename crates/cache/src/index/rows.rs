//! Entries in the index: found, added, removed, counted.

use crate::cache::Listed;
use crate::counters::{CacheStats, Counter, Tally};
use crate::entry::{Entry, Hash};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use std::collections::{BTreeSet, HashSet};

/// How many variants of one address are stored: browsers' languages and encodings are fewer, and each is looked at to find one.
pub(crate) const VARIANTS_MAX: usize = 16;

/// When the cache was last put in order, among the counters.
const LAST_PRUNE: &str = "last_prune";

/// No count grows beyond this; two of them can be added.
const COUNT_MAX: i64 = i64::MAX / 2;

const COLUMNS: &str = "id, url, host, vary, variant, status, headers, body, body_len, stored_at, ends_at, seal, bytes";

/// A row, as far as it can be trusted.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: i64,
    /// None where the row is not what was written.
    pub(crate) entry: Option<(Entry, Hash)>,
}

/// What went from the index: how many entries, and bodies that may not be needed any more.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    pub(crate) entries: usize,
    pub(crate) bodies: BTreeSet<Hash>,
}

/// The variants of an address, the newest first.
pub(crate) fn find(connection: &Connection, url: &str) -> rusqlite::Result<Vec<Found>> {
    let query = format!(
        "SELECT {COLUMNS} FROM entries WHERE url = ?1 ORDER BY stored_at DESC, id DESC LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&query)?;
    // One more than there should be: rows that rotted may be among them.
    let rows = statement.query_map(params![url, VARIANTS_MAX as i64 + 1], read)?;
    rows.collect()
}

/// Adds an entry; answers its number.
pub(crate) fn add(connection: &Connection, entry: &Entry, last_used: u64) -> rusqlite::Result<i64> {
    let query = format!(
        "INSERT INTO entries ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        COLUMNS.trim_start_matches("id, ")
    );
    connection.prepare_cached(&query)?.execute(params![
        entry.url,
        entry.host,
        entry.vary,
        entry.variant,
        entry.status,
        entry.headers,
        entry.body,
        entry.body_len as i64,
        entry.stored_at as i64,
        clamped(entry.ends_at),
        entry.seal(),
        entry.bytes() as i64,
    ])?;
    let id = connection.last_insert_rowid();
    let query = "INSERT OR REPLACE INTO uses VALUES (?1, ?2)";
    let mut statement = connection.prepare_cached(query)?;
    statement.execute(params![id, clamped(last_used)])?;
    Ok(id)
}

/// Removes the entries that `condition` holds for.
pub(crate) fn remove(
    connection: &Connection,
    condition: &str,
    values: impl Params,
) -> rusqlite::Result<Removed> {
    let query = format!("DELETE FROM entries WHERE {condition} RETURNING body");
    let mut statement = connection.prepare_cached(&query)?;
    let mut rows = statement.query(values)?;
    let mut removed = Removed::default();
    while let Some(row) = rows.next()? {
        removed.entries += 1;
        // A name that rotted leads to no body; the body itself is swept.
        removed.bodies.extend(row.get::<_, Hash>(0).ok());
    }
    Ok(removed)
}

/// Removes the row that was found, where it still is what it was: its number may be another's by now.
pub(crate) fn remove_same(connection: &Connection, found: &Found) -> rusqlite::Result<Removed> {
    if let Some((_, seal)) = &found.entry {
        return remove(connection, "id = ?1 AND seal = ?2", params![found.id, seal]);
    }
    let query = format!("SELECT {COLUMNS} FROM entries WHERE id = ?1");
    let mut statement = connection.prepare_cached(&query)?;
    let now = statement.query_row([found.id], read).optional()?;
    if now.is_some_and(|now| now.entry.is_none()) {
        remove(connection, "id = ?1", [found.id])
    } else {
        Ok(Removed::default())
    }
}

/// All addresses, each with the numbers of its entries.
pub(crate) fn urls(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare_cached("SELECT id, url FROM entries")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, lossy(row, 1)?)))?;
    rows.collect()
}

/// Whether any entry has this body.
pub(crate) fn needs(connection: &Connection, body: &Hash) -> rusqlite::Result<bool> {
    let query = "SELECT 1 FROM entries WHERE body = ?1 LIMIT 1";
    let mut statement = connection.prepare_cached(query)?;
    Ok(statement
        .query_row([body], |_| Ok(()))
        .optional()?
        .is_some())
}

/// All bodies that entries have; one whose name rotted is none.
pub(crate) fn bodies(connection: &Connection) -> rusqlite::Result<HashSet<Hash>> {
    let mut statement = connection.prepare_cached("SELECT body FROM entries")?;
    let rows = statement.query_map([], |row| Ok(row.get::<_, Hash>(0).ok()))?;
    rows.filter_map(Result::transpose).collect()
}

/// The numbers of the entries that are not what was written.
pub(crate) fn damaged(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM entries"))?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        let found = read(row)?;
        damaged.extend(found.entry.is_none().then_some(found.id));
    }
    Ok(damaged)
}

/// Entries, and the bytes that they count.
pub(crate) fn totals(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let mut statement = connection.prepare_cached("SELECT entries, bytes FROM totals")?;
    statement.query_row([], |row| Ok((number(row, 0)?, number(row, 1)?)))
}

/// Notes when entries were last used; one that is gone by now is passed over.
pub(crate) fn touch<'a>(
    connection: &Connection,
    touched: impl Iterator<Item = (&'a i64, &'a u64)>,
) -> rusqlite::Result<()> {
    let query = "UPDATE uses SET last_used = ?2 WHERE id = ?1 AND last_used < ?2";
    let mut statement = connection.prepare_cached(query)?;
    for (id, at) in touched {
        statement.execute(params![id, clamped(*at)])?;
    }
    Ok(())
}

/// What was used last in the future was so under another date; it counts as used now, so that it is evicted some day.
pub(crate) fn forget_future(connection: &Connection, now: u64) -> rusqlite::Result<()> {
    let query = "UPDATE uses SET last_used = ?1 WHERE last_used > ?1";
    connection.execute(query, [clamped(now)]).map(|_| ())
}

pub(crate) fn count(connection: &Connection, tally: &Tally) -> rusqlite::Result<()> {
    let query = format!(
        "INSERT INTO counters VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = min(value, {COUNT_MAX}) + excluded.value"
    );
    let mut statement = connection.prepare_cached(&query)?;
    for counter in Counter::ALL {
        let count = tally.of(counter);
        if count > 0 {
            statement.execute(params![counter.name(), clamped(count).min(COUNT_MAX)])?;
        }
    }
    Ok(())
}

pub(crate) fn note_prune(connection: &Connection, now: u64) -> rusqlite::Result<()> {
    let query = "INSERT OR REPLACE INTO counters VALUES (?1, ?2)";
    connection
        .execute(query, params![LAST_PRUNE, clamped(now)])
        .map(|_| ())
}

/// What the index knows of the statistics.
pub(crate) fn stats(connection: &Connection) -> rusqlite::Result<CacheStats> {
    let counter = |name: &str| {
        let query = "SELECT value FROM counters WHERE name = ?1";
        let mut statement = connection.prepare_cached(query)?;
        statement.query_row([name], |row| number(row, 0)).optional()
    };
    let of = |wanted: Counter| counter(wanted.name()).map(Option::unwrap_or_default);
    let ends = |query: &str| {
        let first = connection.query_row(query, [], |row| number(row, 0));
        first.optional()
    };
    let (entries, bytes) = totals(connection)?;
    Ok(CacheStats {
        entries,
        bytes,
        hits: of(Counter::Hits)?,
        misses: of(Counter::Misses)?,
        expired: of(Counter::Expired)?,
        revalidated: of(Counter::Revalidated)?,
        stale_served: of(Counter::StaleServed)?,
        stored: of(Counter::Stored)?,
        evictions: of(Counter::Evictions)?,
        bytes_saved: of(Counter::BytesSaved)?,
        damaged: of(Counter::Damaged)?,
        rebuilt: of(Counter::Rebuilt)?,
        oldest: ends("SELECT stored_at FROM entries ORDER BY stored_at LIMIT 1")?,
        newest: ends("SELECT stored_at FROM entries ORDER BY stored_at DESC LIMIT 1")?,
        last_prune: counter(LAST_PRUNE)?,
        ..CacheStats::default()
    })
}

/// The answers that are stored, by their addresses.
pub(crate) fn list(connection: &Connection, most: usize) -> rusqlite::Result<Vec<Listed>> {
    let query =
        "SELECT url, status, bytes, stored_at, ends_at FROM entries ORDER BY url, id LIMIT ?1";
    let mut statement = connection.prepare_cached(query)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map([most], |row| {
        Ok(Listed {
            url: lossy(row, 0)?,
            status: u16::try_from(number(row, 1)?).unwrap_or_default(),
            bytes: number(row, 2)?,
            stored_at: number(row, 3)?,
            fresh_until: number(row, 4)?,
        })
    })?;
    rows.collect()
}

/// A row; one that rotted is found by its number alone.
fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    let id = row.get(0)?;
    let entry = entry(row)
        .ok()
        .filter(|(entry, seal)| entry.seal() == *seal);
    Ok(Found { id, entry })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(Entry, Hash)> {
    let entry = Entry {
        url: row.get(1)?,
        host: row.get(2)?,
        vary: row.get(3)?,
        variant: row.get(4)?,
        status: row.get(5)?,
        headers: row.get(6)?,
        body: row.get(7)?,
        body_len: number(row, 8)?,
        stored_at: number(row, 9)?,
        ends_at: number(row, 10)?,
    };
    Ok((entry, row.get(11)?))
}

/// A number that is never below zero; one that rotted is as good as zero.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value = row.get_ref(column)?;
    Ok(i64::column_result(value).map_or(0, |number| number.max(0) as u64))
}

fn lossy(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    let value = row.get_ref(column)?;
    let bytes = value.as_bytes().unwrap_or_default();
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// SQLite's numbers have a sign.
pub(crate) fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

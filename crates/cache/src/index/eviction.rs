//! Room: what goes so that something else fits.

use super::rows::{self, Removed};
use rusqlite::{Connection, params};

/// How many entries are looked at at once; most of the time the first few are enough.
const BATCH: i64 = 64;

/// What may be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

/// In which order entries go: those whose time is over, the longest first; then the others, by when they were used last; then
/// those of which that rotted away.
const ORDER: [&str; 3] = [
    "SELECT id, bytes FROM entries WHERE ends_at <= ?1 AND id <> ?2 ORDER BY ends_at, id LIMIT ?3",
    "SELECT uses.id, entries.bytes FROM uses CROSS JOIN entries ON entries.id = uses.id WHERE uses.id <> ?2 \
     ORDER BY uses.last_used, uses.id LIMIT ?3",
    "SELECT id, bytes FROM entries WHERE id <> ?2 ORDER BY stored_at, id LIMIT ?3",
];

/// Removes entries until what is stored is within `bounds`, and not one more than it takes; `kept` stays.
pub(crate) fn make_room(
    connection: &Connection,
    bounds: Bounds,
    kept: i64,
    now: u64,
) -> rusqlite::Result<Removed> {
    let mut removed = Removed::default();
    for query in ORDER {
        while !fits(connection, bounds)? {
            let went = remove_some(connection, query, bounds, kept, now)?;
            if went.entries == 0 {
                break;
            }
            removed.entries += went.entries;
            removed.bodies.extend(went.bodies);
        }
    }
    Ok(removed)
}

fn fits(connection: &Connection, bounds: Bounds) -> rusqlite::Result<bool> {
    let (entries, bytes) = rows::totals(connection)?;
    Ok(bytes <= bounds.bytes && entries <= bounds.entries)
}

fn remove_some(
    connection: &Connection,
    query: &str,
    bounds: Bounds,
    kept: i64,
    now: u64,
) -> rusqlite::Result<Removed> {
    let mut statement = connection.prepare_cached(query)?;
    let candidates = statement.query_map(params![rows::clamped(now), kept, BATCH], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    })?;
    let candidates: Vec<(i64, i64)> = candidates.collect::<rusqlite::Result<_>>()?;
    let (mut entries, mut bytes) = rows::totals(connection)?;
    let mut removed = Removed::default();
    for (id, freed) in candidates {
        if bytes <= bounds.bytes && entries <= bounds.entries {
            break;
        }
        let went = rows::remove(connection, "id = ?1", [id])?;
        entries = entries.saturating_sub(1);
        bytes = bytes.saturating_sub(u64::try_from(freed).unwrap_or(0));
        removed.entries += went.entries;
        removed.bodies.extend(went.bodies);
    }
    Ok(removed)
}

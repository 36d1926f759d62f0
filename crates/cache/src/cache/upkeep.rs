//! What is removed on purpose, put in order, and told.

use super::Cache;
use crate::address::Address;
use crate::counters::{CacheStats, Counter};
use crate::error::Error;
use crate::index::eviction::{Bounds, make_room};
use crate::index::rows::{self, Removed};
use crate::settings::glob;
use http::Uri;
use rusqlite::Transaction;
use std::path::Path;
use std::time::Duration;

/// An answer that is stored, as a person may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its address.
    pub url: String,
    /// Its status.
    pub status: u16,
    /// What it counts, in bytes.
    pub bytes: u64,
    /// When it came or was confirmed, in milliseconds since 1970.
    pub stored_at: u64,
    /// Until when it is served without asking, in milliseconds since 1970; rules may say otherwise.
    pub fresh_until: u64,
}

/// What putting the cache in order came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Answers that went to come within the limit.
    pub evicted: usize,
    /// Answers that were damaged, and dropped.
    pub damaged: usize,
    /// Bodies that belonged to no answer.
    pub orphans: usize,
}

impl Cache {
    /// Removes all answers of an address, whatever they vary with; answers how many. They stay gone after a power cut.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy), [`ErrorKind::NoRoom`](crate::ErrorKind::NoRoom) and
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): they may still be there, and be served.
    pub fn invalidate_url(&self, url: &Uri) -> Result<usize, Error> {
        let Some(address) = Address::of(url) else {
            return Ok(0);
        };
        self.invalidate(|transaction| rows::remove(transaction, "url = ?1", [&address.url]))
    }

    /// Removes all answers of a host, whatever the port; answers how many. They stay gone after a power cut.
    ///
    /// # Errors
    ///
    /// As [`invalidate_url`](Self::invalidate_url).
    pub fn invalidate_host(&self, host: &str) -> Result<usize, Error> {
        let host = host.to_ascii_lowercase();
        self.invalidate(|transaction| rows::remove(transaction, "host = ?1", [&host]))
    }

    /// Removes all answers whose address fits a glob, in which `*` stands for anything; answers how many. They stay gone after
    /// a power cut.
    ///
    /// Scheme and host fit in either case, and a port that goes without saying may be there or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is no glob; others as [`invalidate_url`](Self::invalidate_url).
    pub fn invalidate_glob(&self, pattern: &str) -> Result<usize, Error> {
        let pattern = glob(pattern)?;
        self.invalidate_where(|url| pattern.is_match(url))
    }

    /// Removes all answers of whose address, as [`key_of`](Self::key_of) gives it, `is_void` says so; answers how many. They stay
    /// gone after a power cut.
    ///
    /// # Errors
    ///
    /// As [`invalidate_url`](Self::invalidate_url).
    pub fn invalidate_where(&self, is_void: impl Fn(&str) -> bool) -> Result<usize, Error> {
        self.invalidate(|transaction| {
            let urls = rows::urls(transaction)?;
            let void = urls.iter().filter(|(_, url)| is_void(url));
            remove_each(transaction, void.map(|(id, _)| *id))
        })
    }

    /// Removes all answers that came or were confirmed so long ago, or later than now; answers how many.
    ///
    /// # Errors
    ///
    /// As [`invalidate_url`](Self::invalidate_url).
    pub fn older_than(&self, age: Duration) -> Result<usize, Error> {
        let now = self.clock.wall();
        let since = now.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        self.invalidate(|transaction| {
            let is_old = "stored_at <= ?1 OR stored_at > ?2";
            rows::remove(
                transaction,
                is_old,
                [rows::clamped(since), rows::clamped(now)],
            )
        })
    }

    /// Removes all answers whose time is over; answers how many. Nothing is left of them to be confirmed, or served offline.
    ///
    /// # Errors
    ///
    /// As [`invalidate_url`](Self::invalidate_url).
    pub fn remove_expired(&self) -> Result<usize, Error> {
        let now = rows::clamped(self.clock.wall());
        self.invalidate(|transaction| rows::remove(transaction, "ends_at <= ?1", [now]))
    }

    /// Removes everything, gives the room back, and answers how many answers went. What was counted stays.
    ///
    /// # Errors
    ///
    /// As [`invalidate_url`](Self::invalidate_url).
    pub fn clear(&self) -> Result<usize, Error> {
        let went = self.invalidate(|transaction| rows::remove(transaction, "TRUE", []))?;
        if let Some(store) = &self.store {
            store.sweep_bodies(true)?;
            store.index.forget_damaged();
            store.index.give_back()?;
        }
        Ok(went)
    }

    /// Puts the cache in order: drops what is damaged in the index, comes within the limit, removes bodies that belong to nothing,
    /// and gives the room back. Once a day is often enough.
    ///
    /// # Errors
    ///
    /// As [`invalidate_url`](Self::invalidate_url); what was done until then stays done.
    pub fn prune(&self) -> Result<Pruned, Error> {
        let Some(store) = &self.store else {
            return Ok(Pruned::default());
        };
        let now = self.clock.wall();
        let damaged = self.invalidate(|transaction| {
            rows::note_prune(transaction, now)?;
            // Hits that were counted under a later date than this one.
            rows::forget_future(transaction, now.saturating_mul(1_000))?;
            let damaged = rows::damaged(transaction)?;
            remove_each(transaction, damaged.into_iter())
        })?;
        self.memory().tally.add(Counter::Damaged, damaged as u64);
        let evicted = self.prune_to(self.settings.limit_bytes)?;
        let failed = |error| Error::of_files(store.bodies.folder(), error);
        store.bodies.sweep().map_err(failed)?;
        let orphans = store.sweep_bodies(false)?;
        store.index.give_back()?;
        Ok(Pruned {
            evicted,
            damaged,
            orphans,
        })
    }

    /// Evicts answers until those that are left count no more than `bytes`; answers how many went.
    ///
    /// # Errors
    ///
    /// As [`invalidate_url`](Self::invalidate_url).
    pub fn prune_to(&self, bytes: u64) -> Result<usize, Error> {
        let Some(store) = &self.store else {
            return Ok(0);
        };
        let now = self.clock.wall();
        let bounds = Bounds {
            bytes,
            ..self.bounds()
        };
        // No entry has the number 0: none is kept.
        let evicted = self.change(false, |transaction| make_room(transaction, bounds, 0, now));
        self.recent.forget_all();
        let evicted = evicted?;
        self.memory()
            .tally
            .add(Counter::Evictions, evicted.entries as u64);
        if evicted.entries > 0 {
            store.let_go(&evicted.bodies.iter().collect::<Vec<_>>())?;
        }
        Ok(evicted.entries)
    }

    /// How the cache stands, and what it was good for. Reads the folder.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) and [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable).
    pub fn stats(&self) -> Result<CacheStats, Error> {
        let Some(store) = self.store.as_ref().filter(|_| self.settings.enabled) else {
            return Ok(CacheStats::default());
        };
        self.change(false, |_| Ok(()))?;
        let stats = self.read(|connection| rows::stats(connection))?;
        let limit_bytes = self.settings.limit_bytes;
        let usage_percent = if limit_bytes == 0 {
            0.0
        } else {
            stats.bytes as f64 * 100.0 / limit_bytes as f64
        };
        Ok(CacheStats {
            enabled: true,
            limit_bytes,
            usage_percent,
            disk_bytes: size(store.index.folder()) + size(store.bodies.folder()),
            ..stats
        })
    }

    /// The answers that are stored, in the order of their addresses, `most` of them. Reads the folder.
    ///
    /// # Errors
    ///
    /// As [`stats`](Self::stats).
    pub fn list(&self, most: usize) -> Result<Vec<Listed>, Error> {
        if self.store.is_none() {
            return Ok(Vec::new());
        }
        self.read(|connection| rows::list(connection, most))
    }

    /// Removes entries for good, and their bodies.
    pub(super) fn invalidate(
        &self,
        remove: impl Fn(&Transaction<'_>) -> rusqlite::Result<Removed>,
    ) -> Result<usize, Error> {
        let Some(store) = &self.store else {
            return Ok(0);
        };
        let removed = self.change(true, |transaction| remove(transaction));
        self.recent.forget_all();
        let removed = removed?;
        if removed.entries > 0 {
            store.let_go(&removed.bodies.iter().collect::<Vec<_>>())?;
        }
        Ok(removed.entries)
    }
}

fn remove_each(
    transaction: &Transaction<'_>,
    ids: impl Iterator<Item = i64>,
) -> rusqlite::Result<Removed> {
    let mut removed = Removed::default();
    for id in ids {
        let went = rows::remove(transaction, "id = ?1", [id])?;
        removed.entries += went.entries;
        removed.bodies.extend(went.bodies);
    }
    Ok(removed)
}

/// Bytes of the files directly in a folder.
fn size(folder: &Path) -> u64 {
    let Ok(files) = std::fs::read_dir(folder) else {
        return 0;
    };
    let sizes = files.filter_map(|file| file.ok()?.metadata().ok());
    sizes
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

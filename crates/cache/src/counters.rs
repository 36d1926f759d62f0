//! What is counted, and what of it is told.

use serde::Serialize;

/// How the cache stands, and what it was good for.
///
/// Counts are of all processes that share the folder, since it was made or its index rebuilt. Another process's last hundred
/// lookups may still be missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CacheStats {
    /// Whether it is switched on; if not, everything else is zero.
    pub enabled: bool,
    /// Answers that are stored.
    pub entries: u64,
    /// Bytes that they count: bodies, headers, addresses.
    pub bytes: u64,
    /// Bytes that they may count.
    pub limit_bytes: u64,
    /// `bytes` of `limit_bytes`, in percent.
    pub usage_percent: f64,
    /// Bytes of all files of the cache, the index and its log among them.
    pub disk_bytes: u64,
    /// Requests answered without asking anybody.
    pub hits: u64,
    /// Requests for which there was nothing.
    pub misses: u64,
    /// Requests for which the server had to be asked whether an answer still holds.
    pub expired: u64,
    /// Of these, how often it said that it does.
    pub revalidated: u64,
    /// Answers served although their time was over: while asking, because of an error, or offline.
    pub stale_served: u64,
    /// Answers stored.
    pub stored: u64,
    /// Answers that went to make room.
    pub evictions: u64,
    /// Bytes of bodies that did not have to travel again.
    pub bytes_saved: u64,
    /// Answers that were found damaged, and dropped.
    pub damaged: u64,
    /// How often the index was set aside and begun anew.
    pub rebuilt: u64,
    /// When the oldest answer came or was confirmed, in milliseconds since 1970.
    pub oldest: Option<u64>,
    /// When the newest did.
    pub newest: Option<u64>,
    /// When the cache was last put in order by [`Cache::prune`](crate::Cache::prune).
    pub last_prune: Option<u64>,
}

/// One thing that is counted; its place in a [`Tally`], and its name in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    Hits,
    Misses,
    Expired,
    Revalidated,
    StaleServed,
    Stored,
    Evictions,
    BytesSaved,
    Damaged,
    Rebuilt,
}

impl Counter {
    pub(crate) const ALL: [Self; 10] = [
        Self::Hits,
        Self::Misses,
        Self::Expired,
        Self::Revalidated,
        Self::StaleServed,
        Self::Stored,
        Self::Evictions,
        Self::BytesSaved,
        Self::Damaged,
        Self::Rebuilt,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hits => "hits",
            Self::Misses => "misses",
            Self::Expired => "expired",
            Self::Revalidated => "revalidated",
            Self::StaleServed => "stale_served",
            Self::Stored => "stored",
            Self::Evictions => "evictions",
            Self::BytesSaved => "bytes_saved",
            Self::Damaged => "damaged",
            Self::Rebuilt => "rebuilt",
        }
    }
}

/// What was counted and is not in the index yet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    counts: [u64; Counter::ALL.len()],
}

impl Tally {
    pub(crate) fn add(&mut self, counter: Counter, count: u64) {
        let place = &mut self.counts[counter as usize];
        *place = place.saturating_add(count);
    }

    pub(crate) fn of(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for counter in Counter::ALL {
            self.add(counter, other.of(counter));
        }
    }
}

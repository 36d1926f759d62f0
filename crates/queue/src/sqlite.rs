//! The same store on SQLite: the reference that the log is held against.
//!
//! Every commit is one transaction in WAL mode with `synchronous = FULL`. It keeps inline bodies only, tells when a
//! document is due by the date alone, and is several times slower; what it does is plain to see.

use crate::document::{ClaimId, DocumentId, LaneId, LaneInfo, State};
use crate::error::{Error, ErrorKind};
use crate::index::Retention;
use crate::ledger::Ledger;
use crate::record::{self, state_from_byte};
use crate::store::{Body, Committed, Document, Op, Outcome, Standing, Store, StoredBody};
use crate::{Config, frame};
use bytes::Bytes;
use mainstay_clock::SharedClock;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod change;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS documents (
        ord INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, created INTEGER NOT NULL,
        priority INTEGER NOT NULL, payload BLOB NOT NULL, sent_at INTEGER);
    CREATE TABLE IF NOT EXISTS deliveries (
        ord INTEGER NOT NULL, id BLOB NOT NULL, lane INTEGER NOT NULL, state INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, note TEXT, due INTEGER NOT NULL DEFAULT 0,
        sent_at INTEGER, PRIMARY KEY (id, lane));
    CREATE INDEX IF NOT EXISTS line ON deliveries (lane, state, ord);
    CREATE TABLE IF NOT EXISTS lanes (lane INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS claims (id BLOB PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS totals (accepted INTEGER NOT NULL, delivered INTEGER NOT NULL, discarded INTEGER NOT NULL);
    INSERT INTO totals SELECT 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM totals);
";

/// Documents in a SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    database: Mutex<Connection>,
    leased: Mutex<HashSet<(DocumentId, LaneId)>>,
    clock: SharedClock,
    retention: Retention,
    ageing: Duration,
}

type Answer = Result<Outcome, Error>;

fn sql(error: rusqlite::Error) -> Error {
    Error::with_source(ErrorKind::NotDurable, "the database did not confirm", error)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SqliteStore {
    /// Opens the database at `path`, made where it is missing.
    ///
    /// # Errors
    /// [`NotDurable`](ErrorKind::NotDurable) with what SQLite says.
    pub fn open(path: &Path, config: &Config) -> Result<Self, Error> {
        let database = Connection::open(path).map_err(sql)?;
        database
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(sql)?;
        database
            .pragma_update(None, "synchronous", "FULL")
            .map_err(sql)?;
        database.execute_batch(SCHEMA).map_err(sql)?;
        Ok(Self {
            database: Mutex::new(database),
            leased: Mutex::new(HashSet::new()),
            clock: config.clock.clone(),
            retention: Retention::of(config),
            ageing: config.ageing,
        })
    }

    fn one<T: rusqlite::types::FromSql>(
        &self,
        query: &str,
        values: impl rusqlite::Params,
    ) -> Option<T> {
        lock(&self.database)
            .query_row(query, values, |row| row.get(0))
            .optional()
            .unwrap_or(None)
    }
}

impl Store for SqliteStore {
    fn commit(&self, ops: &[Op]) -> Committed {
        let mut database = lock(&self.database);
        let committed = (|| {
            let transaction = database.transaction()?;
            let answers = ops
                .iter()
                .map(|op| self.run(&transaction, op))
                .collect::<Result<Vec<_>, _>>()?;
            self.expire(&transaction)?;
            transaction.commit()?;
            Ok(answers)
        })();
        drop(database);
        let answers = committed.unwrap_or_else(|error: rusqlite::Error| {
            let error = sql(error);
            ops.iter().map(|_| Err(error.clone())).collect()
        });
        let woken = self.lanes().into_iter().map(|lane| lane.id).collect();
        Committed {
            answers,
            woken,
            made_room: true,
        }
    }

    fn lease(&self, lane: LaneId) -> Option<DocumentId> {
        let now = self.clock.wall() as i64;
        let database = lock(&self.database);
        let mut leased = lock(&self.leased);
        let step = self.ageing.as_secs() as i64;
        let mut query = database
            .prepare_cached(
                "SELECT d.id, d.priority, d.created, d.ord FROM deliveries l JOIN documents d ON d.id = l.id
                 WHERE l.lane = ?1 AND (l.state = 0 OR l.state = 1 AND l.due <= ?2) ORDER BY d.ord",
            )
            .ok()?;
        let rows = query.query_map(params![lane.0, now], |row| {
            Ok((
                row.get::<_, [u8; 16]>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
            ))
        });
        let mut heads: [Option<(i64, i64, DocumentId)>; 11] = [None; 11];
        for (id, priority, created, ord) in rows.ok()?.flatten() {
            let id = DocumentId::from_bytes(id);
            let head = &mut heads[priority as usize];
            if head.is_none() && !leased.contains(&(id, lane)) {
                let level = priority - 1;
                let rank = if step == 0 {
                    level
                } else {
                    level * step - (now - created) / 1000
                };
                *head = Some((rank, ord, id));
            }
        }
        let (_, _, id) = heads
            .into_iter()
            .flatten()
            .min_by_key(|(rank, ord, _)| (*rank, *ord))?;
        leased.insert((id, lane));
        Some(id)
    }

    fn give_back(&self, id: DocumentId, lane: LaneId) {
        lock(&self.leased).remove(&(id, lane));
    }

    fn next_due(&self, lane: LaneId) -> Option<Duration> {
        let now = self.clock.wall() as i64;
        let query = "SELECT MIN(due) FROM deliveries WHERE lane = ?1 AND state = 1 AND due > ?2";
        let due: i64 = self.one::<Option<i64>>(query, params![lane.0, now])??;
        Some(Duration::from_millis((due - now) as u64))
    }

    fn load(&self, id: DocumentId) -> Result<Option<Document>, Error> {
        let Some(payload) = self.one::<Vec<u8>>(
            "SELECT payload FROM documents WHERE id = ?1",
            [id.to_bytes()],
        ) else {
            return Ok(None);
        };
        let payload = Bytes::from(payload);
        let malformed = |_| {
            Error::new(
                ErrorKind::Damaged,
                format!("document {id} says what cannot be"),
            )
        };
        let stored = record::decode_store(&payload).map_err(malformed)?;
        let headers = stored
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(Some(Document {
            id,
            created: stored.head.created,
            priority: stored.head.priority,
            route: stored.route.to_owned(),
            source: stored.source.to_vec(),
            content_type: stored.content_type.to_owned(),
            headers: headers.collect(),
            hash: stored.hash,
            body: StoredBody::Inline(payload.slice(stored.body.clone())),
        }))
    }

    fn body(&self, document: &Document) -> Result<Body, Error> {
        match &document.body {
            StoredBody::Inline(bytes) => Ok(Body::Bytes(bytes.clone())),
            StoredBody::File(..) => Err(Error::new(
                ErrorKind::Invalid,
                "the reference store keeps no large bodies",
            )),
        }
    }

    fn standing(&self, id: DocumentId) -> Option<Vec<Standing>> {
        let now = self.clock.wall();
        let database = lock(&self.database);
        let leased = lock(&self.leased);
        let mut query = database
            .prepare_cached("SELECT lane, state, attempts, note, due, sent_at FROM deliveries WHERE id = ?1 ORDER BY lane")
            .ok()?;
        let rows = query.query_map([id.to_bytes()], |row| {
            let lane = LaneId(row.get(0)?);
            let due = row.get::<_, i64>(4)? as u64;
            let mut state = state_from_byte(row.get(1)?).unwrap_or(State::Ready);
            if leased.contains(&(id, lane)) {
                state = State::Leased;
            } else if state == State::Waiting && due <= now {
                state = State::Ready;
            }
            let due_in =
                (state == State::Waiting).then(|| Duration::from_millis(due.saturating_sub(now)));
            Ok(Standing {
                lane,
                state,
                attempts: row.get(2)?,
                note: row.get(3)?,
                due_in,
                sent_at: row.get::<_, Option<i64>>(5)?.map(|at| at as u64),
            })
        });
        let standing: Vec<Standing> = rows.ok()?.flatten().collect();
        (!standing.is_empty()).then_some(standing)
    }

    fn select(
        &self,
        lane: Option<LaneId>,
        states: &[State],
        after: Option<DocumentId>,
    ) -> Vec<DocumentId> {
        let order = |id: DocumentId| {
            self.one::<i64>("SELECT ord FROM documents WHERE id = ?1", [id.to_bytes()])
        };
        let from = after.and_then(order).unwrap_or(0);
        let ids: Vec<[u8; 16]> = {
            let database = lock(&self.database);
            let query = database.prepare("SELECT id FROM documents WHERE ord > ?1 ORDER BY ord");
            let Ok(mut query) = query else {
                return Vec::new();
            };
            let rows = query.query_map([from], |row| row.get(0));
            rows.map(|rows| rows.flatten().collect())
                .unwrap_or_default()
        };
        let wanted = |standing: &Standing| {
            lane.is_none_or(|lane| lane == standing.lane)
                && (states.is_empty() || states.contains(&standing.state))
        };
        let ids = ids.into_iter().map(DocumentId::from_bytes);
        ids.filter(|id| {
            self.standing(*id)
                .is_some_and(|standing| standing.iter().any(wanted))
        })
        .collect()
    }

    fn lanes(&self) -> Vec<LaneInfo> {
        let database = lock(&self.database);
        let Ok(mut query) = database.prepare_cached("SELECT lane, name FROM lanes ORDER BY lane")
        else {
            return Vec::new();
        };
        let rows = query.query_map([], |row| {
            Ok(LaneInfo {
                id: LaneId(row.get(0)?),
                name: row.get(1)?,
            })
        });
        rows.map(|rows| rows.flatten().collect())
            .unwrap_or_default()
    }

    fn depth(&self, lane: LaneId, state: State) -> u64 {
        self.select(Some(lane), &[state], None).len() as u64
    }

    fn is_claim_open(&self, claim: ClaimId) -> bool {
        self.one::<i64>("SELECT 1 FROM claims WHERE id = ?1", [claim.to_bytes()])
            .is_some()
    }

    fn open_claims(&self) -> Vec<ClaimId> {
        let database = lock(&self.database);
        let Ok(mut query) = database.prepare_cached("SELECT id FROM claims ORDER BY id") else {
            return Vec::new();
        };
        let rows = query.query_map([], |row| row.get(0).map(ClaimId::from_bytes));
        rows.map(|rows| rows.flatten().collect())
            .unwrap_or_default()
    }

    fn ledger(&self) -> Ledger {
        let total = |name: &str| {
            self.one::<i64>(&format!("SELECT {name} FROM totals"), [])
                .unwrap_or(0) as u64
        };
        let pending = "SELECT COUNT(DISTINCT id) FROM deliveries WHERE state IN (0, 1)";
        let dead = "SELECT COUNT(DISTINCT id) FROM deliveries WHERE state = 3
                    AND id NOT IN (SELECT id FROM deliveries WHERE state IN (0, 1))";
        Ledger {
            accepted: total("accepted"),
            delivered: total("delivered"),
            queued: self.one::<i64>(pending, []).unwrap_or(0) as u64,
            dead: self.one::<i64>(dead, []).unwrap_or(0) as u64,
            discarded: total("discarded"),
            unreadable: 0,
        }
    }

    fn usage(&self) -> (u64, u64) {
        let database = lock(&self.database);
        let waiting = "SELECT LENGTH(payload) FROM documents WHERE sent_at IS NULL";
        let Ok(mut query) = database.prepare_cached(waiting) else {
            return (0, 0);
        };
        let rows = query.query_map([], |row| row.get::<_, i64>(0));
        let lens: Vec<i64> = rows
            .map(|rows| rows.flatten().collect())
            .unwrap_or_default();
        let bytes = lens
            .iter()
            .map(|len| frame::framed_len(*len as usize) as u64)
            .sum();
        (lens.len() as u64, bytes)
    }
}

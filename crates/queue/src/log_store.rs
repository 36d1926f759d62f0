//! The store that the queue runs on: a log of groups, and an index of it in memory.

mod asking;
mod commit;
mod maintain;
mod plan;
mod read;
#[cfg(test)]
mod tests;
mod told;
mod usage;

use crate::bodies::{Bodies, BodyWriter};
use crate::config::Config;
use crate::damage::Damage;
use crate::disk::Disk;
use crate::document::{ClaimId, DocumentId, LaneId, LaneInfo, State};
use crate::error::Error;
use crate::format::{self, FORMAT_FILE};
use crate::group::{Group, GroupFacts};
use crate::index::{Index, Leased, Location, Now, Retention};
use crate::lanes;
use crate::ledger::Ledger;
use crate::log::{Log, Purpose, Sizes, Tail};
use crate::making::Making;
use crate::recent::Recent;
use crate::record::{self, Kind};
use crate::recovery::{self, Loaded, Recovery};
use crate::spare::{self, Spare};
use crate::store::{Body, Committed, Document, Op, Standing, Store};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::writer::Bell;
use hashbrown::HashSet;
use mainstay_clock::SharedClock;
use read::Reader;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use usage::{IndexGuard, Usage};

/// Whether the queue can take documents in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "why")]
pub enum Mode {
    /// It can.
    Writable,
    /// The disk is full: intake stops until there is room, delivery and acknowledgements go on.
    Full(String),
    /// The disk does not confirm what is written: intake stops until it does, delivery goes on. Or a thread of the queue has died
    /// of a bug: then it stops until the program is started again.
    ReadOnly(String),
}

/// Documents in segments, as `docs/formats/queue.md` draws them.
#[derive(Debug)]
pub struct LogStore {
    disk: Arc<dyn Disk>,
    secret: [u8; 16],
    clock: SharedClock,
    retain: Duration,
    snapshot_every: u64,
    writer: Mutex<Writer>,
    index: Mutex<Index>,
    usage: Usage,
    recent: Mutex<Recent>,
    bodies: Arc<Bodies>,
    readers: Mutex<HashMap<u32, Reader>>,
    mode: Mutex<Mode>,
    /// The segment that is made ahead.
    making: Arc<Making>,
    /// Held by whoever keeps house: one at a time.
    house: Mutex<()>,
    /// How many bytes the disk had left when it was last found full.
    free_when_full: AtomicU64,
    /// The bytes of the log, as they were last known.
    log_bytes_known: AtomicU64,
    damage: Mutex<Vec<Damage>>,
}

/// What only the thread that commits touches.
#[derive(Debug)]
struct Writer {
    log: Log,
    group: Group,
    /// The documents that the group in the making stores; empty between commits.
    stored_here: HashSet<DocumentId>,
    /// Segments before this one are not needed, and the disk knows it: a group of this run says so. 0 before the first.
    cursor: u64,
    /// Segments that a crash left behind; the disk knows that they are not needed once `cursor` is not 0.
    leftover: Vec<Spare>,
    snapshot_due: u64,
    /// Whether the file of the lanes has those that are known.
    keeps_lanes: bool,
    unreferenced: Vec<[u8; 32]>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LogStore {
    /// Opens the queue on a disk, whatever state the last run left it in.
    ///
    /// # Errors
    /// [`NewerFormat`](crate::ErrorKind::NewerFormat), [`Damaged`](crate::ErrorKind::Damaged) where not even the format can be read,
    /// [`Full`](crate::ErrorKind::Full) or [`Io`](crate::ErrorKind::Io). Nothing is lost by any of them.
    pub fn open(disk: Arc<dyn Disk>, config: &Config) -> Result<(Self, Recovery), Error> {
        let mut index = Index::new(Retention::of(config), config.ageing);
        let clock = Arc::clone(&config.clock);
        let now = Now {
            moment: clock.now(),
            wall: clock.wall(),
        };
        let Loaded {
            secret,
            is_new,
            report,
            tail,
            unconfirmed,
            leftover,
        } = recovery::load(&*disk, &mut index, now, true)?;
        if is_new
            || report
                .damage
                .iter()
                .any(|damage| damage.file == FORMAT_FILE)
        {
            format::write(&*disk, &secret)
                .map_err(|error| Error::io("cannot write FORMAT of the queue", error))?;
        }
        let copied = unconfirmed
            .map(|part| recovery::read_unconfirmed(&*disk, &secret, part))
            .transpose()
            .map_err(|error| Error::io("cannot read the end of the log", error))?
            .unwrap_or_default();
        let resumes = report.clean && !is_new && tail.confirmed.segment != 0;
        let log = begin_log(&disk, secret, config, tail, resumes, now.wall)?;
        let damage = report.damage.clone();
        let (making, log_bytes) = (Arc::clone(log.making()), log.disk_bytes());
        let store = Self {
            making,
            bodies: Bodies::new(Arc::clone(&disk)),
            disk,
            secret,
            clock,
            retain: config.retain_after_ack,
            snapshot_every: config.snapshot_bytes,
            writer: Mutex::new(Writer {
                snapshot_due: log.written_bytes() + config.snapshot_bytes,
                log,
                group: Group::new(),
                stored_here: HashSet::new(),
                cursor: 0,
                keeps_lanes: false,
                leftover,
                unreferenced: Vec::new(),
            }),
            usage: Usage::default(),
            index: Mutex::new(index),
            recent: Mutex::new(Recent::default()),
            readers: Mutex::new(HashMap::new()),
            mode: Mutex::new(Mode::Writable),
            house: Mutex::new(()),
            free_when_full: AtomicU64::new(0),
            log_bytes_known: AtomicU64::new(log_bytes),
            damage: Mutex::new(damage),
        };
        // Publishes what the start found.
        drop(store.index());
        store.copy_unconfirmed(&copied)?;
        store.tidy_bodies();
        store.keep_lanes(&mut lock(&store.writer));
        Ok((store, report))
    }

    /// Keeps the names of the lanes a second time; where that fails, it is tried again with the next lane or start.
    fn keep_lanes(&self, writer: &mut Writer) {
        if writer.keeps_lanes {
            return;
        }
        writer.keeps_lanes = true;
        let lanes = lock(&self.index).named_lanes();
        if let Err(error) = lanes::keep(&*self.disk, &self.secret, &lanes) {
            tracing::warn!(%error, "the names of the lanes stand in the log alone");
        }
    }

    /// Holds the bodies that are there against those that documents need.
    fn tidy_bodies(&self) {
        let swept = self.bodies.hashes().and_then(|there| {
            let mut index = self.index();
            index.release_sent_without_body(|hash| there.contains(hash));
            let needed = index.body_references().clone();
            drop(index);
            self.bodies.sweep(|hash| needed.contains_key(hash))
        });
        if let Err(error) = swept {
            tracing::warn!(%error, "bodies that no document needs could not be removed; the next start tries again");
        }
    }

    /// Brings what was written and never confirmed into the fresh segment, before anybody is offered it.
    fn copy_unconfirmed(&self, records: &[(Kind, Vec<u8>)]) -> Result<(), Error> {
        let mut writer = lock(&self.writer);
        let mut records = records.iter().peekable();
        while records.peek().is_some() {
            writer.group.clear();
            let mut places = Vec::new();
            while let Some((kind, payload)) =
                records.next_if(|(_, payload)| writer.group.fits(payload.len()))
            {
                places.push((*kind, writer.group.push(*kind, payload), payload));
            }
            let facts = GroupFacts {
                copied: true,
                ..self.facts(&writer)
            };
            let placement = writer.append(&facts, Purpose::Settlement, &|| self.preamble()).map_err(|error| {
                commit::append_error(error, "cannot bring the end of the log to the disk; free some space or look after the disk")
            })?;
            let mut index = self.index();
            // The first belongs to the head of the group.
            let sequences = placement.first_sequence + 1..;
            for (sequence, (kind, offset, payload)) in sequences.zip(places) {
                if let (Kind::Store | Kind::Move, Ok(part)) =
                    (kind, record::store_part(kind, payload))
                    && let Ok(stored) = record::decode_store(part)
                {
                    let location = Location {
                        segment: placement.segment as u32,
                        offset: placement.offset as u32 + offset,
                        len: payload.len() as u32,
                    };
                    index.relocate(stored.head.id, location);
                    if kind == Kind::Store {
                        index.reorder(stored.head.id, sequence);
                    }
                }
            }
            let totals = index.totals();
            drop(index);
            writer.log.note_confirmed(totals);
        }
        Ok(())
    }

    fn index(&self) -> IndexGuard<'_> {
        IndexGuard {
            index: lock(&self.index),
            usage: &self.usage,
        }
    }

    fn now(&self) -> Now {
        Now {
            moment: self.clock.now(),
            wall: self.clock.wall(),
        }
    }

    fn facts(&self, writer: &Writer) -> GroupFacts {
        let index = self.index();
        let oldest = index
            .oldest_segment()
            .map_or(writer.log.active_id(), u64::from);
        GroupFacts {
            confirmed: 0,
            wall: self.clock.wall(),
            oldest: oldest.min(writer.log.active_id()),
            totals: index.totals(),
            copied: false,
        }
    }

    /// Takes the document that is next in line on a lane.
    pub(crate) fn take_next(&self, lane: LaneId) -> Option<Leased> {
        let now = self.now();
        self.index().lease(lane, now)
    }

    /// What a fresh segment begins with, so that the log can be read from it on: lanes and open claims.
    fn preamble(&self) -> Group {
        let index = self.index();
        let mut group = Group::new();
        for lane in index.named_lanes() {
            group.push(Kind::Lane, &record::encode_lane(lane.id, &lane.name));
        }
        group.push(
            Kind::Claims,
            &record::encode_all_claims(&index.open_claims()),
        );
        group
    }

    /// Whether documents can be taken in.
    pub fn mode(&self) -> Mode {
        lock(&self.mode).clone()
    }

    /// What could not be read so far.
    pub fn damage(&self) -> Vec<Damage> {
        lock(&self.damage).clone()
    }

    /// Wakes whoever calls [`maintain`](LogStore::maintain).
    pub(crate) fn bell(&self) -> Arc<Bell> {
        self.bodies.bell()
    }

    /// Begins a body in a file of its own.
    ///
    /// # Errors
    /// [`Full`](crate::ErrorKind::Full) or [`Io`](crate::ErrorKind::Io); nothing was stored.
    pub fn body_writer(&self) -> Result<BodyWriter, Error> {
        self.bodies.writer()
    }

    /// The bytes of all segments on the disk. Waits for what is being written.
    pub fn log_bytes(&self) -> u64 {
        let bytes = lock(&self.writer).log.disk_bytes();
        self.log_bytes_known.store(bytes, Ordering::Relaxed);
        bytes
    }

    /// The segment that is written to.
    pub(crate) fn active_segment(&self) -> u64 {
        lock(&self.writer).log.active_id()
    }

    /// The oldest segment that holds a document.
    pub(crate) fn oldest_segment(&self) -> Option<u64> {
        self.index().oldest_segment().map(u64::from)
    }

    /// The bytes of all documents in the log.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.index().live_log_bytes()
    }

    pub(crate) fn free_bytes(&self) -> std::io::Result<u64> {
        self.disk.free_bytes()
    }

    /// How many documents are kept after they were sent, and their bytes.
    pub fn sent(&self) -> (u64, u64) {
        self.index().sent()
    }
}

impl Writer {
    fn append(
        &mut self,
        facts: &GroupFacts,
        purpose: Purpose,
        preamble: &dyn Fn() -> Group,
    ) -> Result<crate::log::Placement, crate::log::AppendError> {
        let placement = self.log.append(&mut self.group, facts, purpose, preamble)?;
        self.cursor = self.cursor.max(facts.oldest);
        Ok(placement)
    }
}

/// Goes on where a clean stop ended, or begins a fresh segment.
fn begin_log(
    disk: &Arc<dyn Disk>,
    secret: [u8; 16],
    config: &Config,
    mut tail: Tail,
    resumes: bool,
    wall: u64,
) -> Result<Log, Error> {
    let cannot = |error| {
        Error::io(
            "cannot begin a segment of the queue; free some space",
            error,
        )
    };
    if let Err(error) = spare::remove_unfinished(&**disk) {
        tracing::warn!(%error, "a segment that was left half filled could not be removed; the next start tries again");
    }
    spare::rename_unused(&**disk, &mut tail.unused, &mut tail.last_id).map_err(cannot)?;
    let sizes = Sizes {
        first: u64::from(config.first_segment_bytes),
        full: u64::from(config.segment_bytes),
        reserve: u64::from(config.reserve_bytes),
    };
    let begun = if resumes {
        Log::resume(Arc::clone(disk), secret, sizes, tail)
    } else {
        Log::begin(Arc::clone(disk), secret, sizes, tail, wall)
    };
    begun.map_err(cannot)
}

impl Store for LogStore {
    fn commit(&self, ops: &[Op]) -> Committed {
        self.commit_ops(ops)
    }

    fn lease(&self, lane: LaneId) -> Option<DocumentId> {
        self.take_next(lane).map(|leased| leased.id)
    }

    fn give_back(&self, id: DocumentId, lane: LaneId) {
        self.index().give_back(id, lane);
    }

    fn next_due(&self, lane: LaneId) -> Option<Duration> {
        let now = self.now();
        self.index().next_due(lane, now)
    }

    fn load(&self, id: DocumentId) -> Result<Option<Document>, Error> {
        self.load_document(id)
    }

    fn body(&self, document: &Document) -> Result<Body, Error> {
        self.open_body(document)
    }

    fn standing(&self, id: DocumentId) -> Option<Vec<Standing>> {
        let now = self.now();
        let view = self.index().get(id)?;
        let standing = view.lanes.into_iter().map(|lane| {
            let waits = lane.state == State::Waiting;
            Standing {
                lane: lane.lane,
                state: lane.state,
                sent_at: lane.sent_at,
                attempts: lane.trouble.as_ref().map_or(0, |trouble| trouble.attempts),
                note: lane
                    .trouble
                    .as_ref()
                    .map(|trouble| trouble.note.to_string()),
                due_in: lane
                    .trouble
                    .as_ref()
                    .filter(|_| waits)
                    .map(|trouble| trouble.due.since(now.moment)),
            }
        });
        Some(standing.collect())
    }

    fn select(
        &self,
        lane: Option<LaneId>,
        states: &[State],
        after: Option<DocumentId>,
    ) -> Vec<DocumentId> {
        let index = self.index();
        let from = after
            .and_then(|id| index.get(id))
            .map_or(0, |view| view.order + 1);
        let wanted = |of: LaneId, state: State| {
            lane.is_none_or(|lane| lane == of) && (states.is_empty() || states.contains(&state))
        };
        let found = index.select(wanted);
        found
            .into_iter()
            .filter(|(order, _)| from <= *order)
            .map(|(_, id)| id)
            .collect()
    }

    fn lanes(&self) -> Vec<LaneInfo> {
        self.index().lanes()
    }

    fn depth(&self, lane: LaneId, state: State) -> u64 {
        self.index().depth(lane, state)
    }

    fn is_claim_open(&self, claim: ClaimId) -> bool {
        self.index().is_claim_open(claim)
    }

    fn open_claims(&self) -> Vec<ClaimId> {
        self.index().open_claims()
    }

    fn ledger(&self) -> Ledger {
        self.index().ledger()
    }

    fn usage(&self) -> (u64, u64) {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (load(&self.usage.documents), load(&self.usage.bytes))
    }
}

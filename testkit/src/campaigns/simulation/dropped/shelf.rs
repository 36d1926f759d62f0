//! The real queue as the intake, on a simulated disk of its own, with moods.

use crate::campaigns::simulation::scenario;
use crate::random::Random;
use crate::sim_disk::{Outcome, SimDisk};
use crate::sim_tree::{Diary, Gone};
use mainstay_clock::ManualClock;
use mainstay_pickup::{Claim, Content, Intake, Refusal, Taken};
use mainstay_queue::store::{Body, Op, Store};
use mainstay_queue::{ClaimId, Config, DocumentId, LaneId, LogStore, NewBody, NewDocument};
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longer bodies get a file of their own.
const INLINE_MAX: usize = 4_096;

/// Contents that begin so are rejected, whenever they come.
pub(super) const REJECTED: u8 = b'R';

/// The intake.
pub(super) struct Shelf {
    inner: Mutex<Inner>,
    disk: SimDisk,
}

struct Inner {
    store: Option<LogStore>,
    lane: Option<LaneId>,
    config: Config,
    random: Random,
    /// Claims that were closed, and that the log does not know of yet.
    closed: Vec<ClaimId>,
    /// What was said to be stored.
    confirmed: Vec<(DocumentId, Vec<u8>)>,
    mood: Mood,
    diary: Option<Diary>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    /// Has no room, and says so before anything is taken.
    Full,
    /// Has room until it is asked.
    FullTooLate,
    Fails,
    /// Stores, and says that it failed.
    Lies,
}

impl Shelf {
    pub(super) fn new(seed: u64, clock: &ManualClock, diary: Option<&Diary>) -> Self {
        let disk = SimDisk::new(seed);
        Self {
            inner: Mutex::new(Inner {
                store: None,
                lane: None,
                config: scenario::config(clock),
                random: Random::new(seed ^ 0x5e1f),
                closed: Vec::new(),
                confirmed: Vec::new(),
                mood: Mood::Well,
                diary: diary.cloned(),
            }),
            disk,
        }
    }

    pub(super) fn disk(&self) -> &SimDisk {
        &self.disk
    }

    pub(super) fn feel(&self, mood: u64) {
        self.lock().mood = match mood {
            0 => Mood::Full,
            1 => Mood::FullTooLate,
            2 => Mood::Fails,
            3 => Mood::Lies,
            _ => Mood::Well,
        };
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process ends, and the power with it or not.
    pub(super) fn end(&self, outcome: Outcome) {
        let mut inner = self.lock();
        inner.store = None;
        inner.closed.clear();
        self.disk.restart(outcome);
    }

    /// Opens the queue, and answers what it holds.
    pub(super) fn open(&self) -> Result<(), String> {
        let mut inner = self.lock();
        inner.mood = Mood::Well;
        let opened = LogStore::open(Arc::new(self.disk.clone()), &inner.config);
        let (store, _) = self.unless_gone(opened)?;
        let declared = store.commit(&[Op::DeclareLane("a".to_owned())]);
        for answer in declared.answers {
            self.unless_gone(answer)?;
        }
        inner.lane = store.lanes().first().map(|lane| lane.id);
        inner.store = Some(store);
        Ok(())
    }

    fn unless_gone<T>(&self, done: Result<T, mainstay_queue::Error>) -> Result<T, String> {
        match done {
            Err(_) if self.disk.is_stopped() => std::panic::resume_unwind(Box::new(Gone)),
            done => done.map_err(|error| format!("the queue: {error:?}")),
        }
    }

    /// Forgets all claims but these, as the agent does when it starts.
    pub(super) fn keep_open(&self, open: &[Claim]) {
        let mut inner = self.lock();
        let claims = inner.store().open_claims();
        let others = claims
            .into_iter()
            .filter(|claim| !open.iter().any(|open| claim_id(*open) == *claim));
        inner.closed = others.collect();
        self.tell_closed(&mut inner);
    }

    /// The log gets to know which claims are closed.
    pub(super) fn tell(&self) {
        self.tell_closed(&mut self.lock());
    }

    fn tell_closed(&self, inner: &mut Inner) {
        let closed = std::mem::take(&mut inner.closed);
        if closed.is_empty() {
            return;
        }
        inner.say(|| format!("the queue forgets {closed:?}"));
        drop(inner.store().commit(&[Op::CloseClaims(closed)]));
        if self.disk.is_stopped() {
            std::panic::resume_unwind(Box::new(Gone));
        }
    }

    /// The content of every document, and which of those that were confirmed are not there as they were.
    pub(super) fn documents(&self) -> Result<(Vec<Vec<u8>>, Vec<DocumentId>), String> {
        let inner = self.lock();
        let store = inner.store();
        let (mut documents, mut ids) = (Vec::new(), Vec::new());
        for id in store.select(None, &[], None) {
            let body = store
                .load(id)
                .and_then(|document| document.map(|document| store.body(&document)).transpose());
            let bytes = match body {
                Ok(Some(Body::Bytes(bytes))) => bytes.to_vec(),
                other => return Err(format!("{id} reads as {other:?}")),
            };
            documents.push(bytes);
            ids.push(id);
        }
        let is_missing = |(id, content): &&(DocumentId, Vec<u8>)| {
            let found = ids.iter().position(|known| known == id);
            found.is_none_or(|found| documents[found] != *content)
        };
        let missing = inner.confirmed.iter().filter(is_missing);
        let missing = missing.map(|(id, _)| *id).collect();
        Ok((documents, missing))
    }

    fn store_all(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        let mut inner = self.lock();
        let mood = inner.mood;
        inner.say(|| {
            let names = files.iter().map(|file| (file.claim, &file.relative));
            format!("to be stored, {mood:?}: {:?}", names.collect::<Vec<_>>())
        });
        // One that is bad for a while: the next try may find it better.
        if inner.random.below(3) == 0 {
            inner.mood = Mood::Well;
        }
        match mood {
            Mood::Full | Mood::FullTooLate => return Err(Refusal::Full("full".to_owned())),
            Mood::Fails => return Err(Refusal::Failed("failed".to_owned())),
            Mood::Well | Mood::Lies => {}
        }
        let (mut contents, mut claims) = (Vec::new(), Vec::new());
        for file in files {
            let claim = file.claim;
            let bytes = match file.content {
                Content::Bytes(bytes) => bytes,
                Content::File(mut open) => {
                    let mut bytes = Vec::new();
                    open.read_to_end(&mut bytes)
                        .map_err(|error| Refusal::Failed(error.to_string()))?;
                    bytes
                }
            };
            if bytes.first() == Some(&REJECTED) {
                let reason = "nobody wants it".to_owned();
                return Err(Refusal::Rejected { claim, reason });
            }
            claims.push(claim_id(claim));
            contents.push((inner.new_id(), bytes));
        }
        let documents = contents
            .iter()
            .map(|(id, bytes)| inner.document(*id, bytes));
        let documents: Result<Vec<_>, _> = documents.collect();
        let stored = documents.and_then(|documents| {
            let mut ops = vec![Op::Enqueue { documents, claims }];
            if !inner.closed.is_empty() {
                ops.push(Op::CloseClaims(inner.closed.clone()));
            }
            let mut answers = inner.store().commit(&ops).answers;
            answers.swap_remove(0).map(drop)
        });
        if self.disk.is_stopped() {
            drop(inner);
            std::panic::resume_unwind(Box::new(Gone));
        }
        inner.say(|| format!("stored: {stored:?}"));
        stored.map_err(|error| Refusal::Failed(error.to_string()))?;
        inner.closed.clear();
        if mood == Mood::Lies {
            return Err(Refusal::Failed("it took too long".to_owned()));
        }
        inner.confirmed.extend(contents);
        Ok(())
    }
}

impl Inner {
    fn store(&self) -> &LogStore {
        self.store.as_ref().expect("the queue is open")
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if let Some(diary) = &self.diary {
            let mut diary = diary.lock().unwrap_or_else(PoisonError::into_inner);
            diary.push(format!("  {}", what()));
        }
    }

    /// Another one each time: what is stored twice is two documents.
    fn new_id(&mut self) -> DocumentId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random.number().to_be_bytes());
        id[8..].copy_from_slice(&self.random.number().to_be_bytes());
        DocumentId::from_bytes(id)
    }

    fn document(&self, id: DocumentId, bytes: &[u8]) -> Result<NewDocument, mainstay_queue::Error> {
        let lanes = self.lane.into_iter().collect();
        let mut document = NewDocument::new(lanes, bytes.to_vec());
        document.id = id;
        if INLINE_MAX < bytes.len() {
            let mut writer = self.store().body_writer()?;
            writer.write(bytes)?;
            document.body = NewBody::File(writer.finish()?);
        }
        Ok(document)
    }
}

impl Intake for Shelf {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        self.store_all(files)
    }

    fn is_committed(&self, claim: Claim) -> bool {
        self.lock().store().is_claim_open(claim_id(claim))
    }

    fn closed(&self, claims: Vec<Claim>) {
        let mut inner = self.lock();
        inner.say(|| format!("closed: {claims:?}"));
        inner.closed.extend(claims.into_iter().map(claim_id));
        // Most often the log learns of it with what is stored next.
        if inner.random.below(4) == 0 {
            self.tell_closed(&mut inner);
        }
    }

    fn has_room(&self) -> bool {
        let mut inner = self.lock();
        let has_room = inner.mood != Mood::Full;
        if !has_room && inner.random.below(3) == 0 {
            inner.mood = Mood::Well;
        }
        has_room
    }
}

fn claim_id(claim: Claim) -> ClaimId {
    ClaimId::from_bytes(claim.to_bytes())
}

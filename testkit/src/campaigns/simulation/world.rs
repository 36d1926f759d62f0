//! One queue on one simulated disk, and beside it what it has to hold.

use super::model::{Act, Answer, Model, Observed};
use crate::random::Random;
use crate::sim_disk::{Outcome as Power, SimDisk};
use bytes::Bytes;
use mainstay_clock::ManualClock;
use mainstay_queue::disk::{Disk, Folder};
use mainstay_queue::store::{Body, Op, Store};
use mainstay_queue::{
    ClaimId, Config, Damage, DocumentId, ErrorKind, LaneId, LogStore, NewBody, NewDocument,
    Priority, Recovery, SqliteStore,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What was found to be wrong, in words.
pub(super) type Held = Result<(), String>;

/// Where the number of a segment stands in it: behind 8 bytes of magic, the version, flags and the queue's 16 bytes.
const SEGMENT_ID_AT: u64 = 32;

/// A document as it was offered.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) body: Bytes,
    pub(super) in_file: bool,
    pub(super) priority: u8,
    pub(super) lanes: Vec<LaneId>,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) disk: SimDisk,
    pub(super) clock: ManualClock,
    pub(super) config: Config,
    store: Option<LogStore>,
    pub(super) reference: Option<SqliteStore>,
    pub(super) model: Model,
    /// Acts that were refused without a word on whether they happened, one list for each commit.
    maybe: Vec<Vec<Act>>,
    pub(super) offers: BTreeMap<DocumentId, Offer>,
    pub(super) claims: Vec<ClaimId>,
    pub(super) leased: Vec<(DocumentId, LaneId)>,
    pub(super) lanes: Vec<LaneId>,
    /// Calls of the disk are refused at times: no answer is the last word before the next start.
    pub(super) is_refused: bool,
    pub(super) steps: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, config: Config, clock: ManualClock, traced: bool) -> Self {
        let disk = SimDisk::new(seed);
        if traced {
            disk.trace();
        }
        Self {
            random: Random::new(seed ^ 0x5eed),
            disk,
            config,
            clock,
            store: None,
            reference: None,
            model: Model::default(),
            maybe: Vec::new(),
            offers: BTreeMap::new(),
            claims: Vec::new(),
            leased: Vec::new(),
            lanes: Vec::new(),
            is_refused: false,
            steps: traced.then(Vec::new),
        }
    }

    /// The same acts are done on a store of SQLite, which has to answer the same.
    pub(super) fn with_reference(mut self) -> Result<Self, String> {
        let reference = SqliteStore::open(Path::new(":memory:"), &self.config)
            .map_err(|error| format!("no reference store: {error:?}"))?;
        self.reference = Some(reference);
        Ok(self)
    }

    pub(super) fn say(&mut self, what: impl FnOnce() -> String) {
        let calls = self.disk.take_trace();
        if let Some(steps) = &mut self.steps {
            steps.extend(calls.into_iter().map(|call| format!("    {call}")));
            steps.push(what());
        }
    }

    /// What happened, where that was wanted.
    pub(super) fn into_steps(mut self) -> Vec<String> {
        self.say(|| "the end".to_owned());
        self.steps.unwrap_or_default()
    }

    pub(super) fn store(&self) -> &LogStore {
        self.store.as_ref().expect("the queue is open")
    }

    pub(super) fn chance(&mut self, of: u64) -> bool {
        self.random.below(of) == 0
    }

    // === Acting ===

    /// Does what the acts say, in one commit, and holds the answers against the model's.
    pub(super) fn commit(&mut self, acts: &[Act]) -> Held {
        self.say(|| format!("{acts:?}"));
        let (acts, ops): (Vec<&Act>, Vec<Op>) = acts
            .iter()
            .filter_map(|act| Some((act, self.op(act)?)))
            .unzip();
        self.let_go();
        let answers = self.store().commit(&ops).answers;
        if let Some(reference) = &self.reference {
            let theirs = reference.commit(&ops).answers;
            let plain = |answer: &Result<_, mainstay_queue::Error>| {
                answer.clone().map_err(|error| error.kind())
            };
            let ours: Vec<_> = answers.iter().map(plain).collect();
            let theirs: Vec<_> = theirs.iter().map(plain).collect();
            if ours != theirs {
                return Err(format!("{acts:?}: {ours:?}, the reference {theirs:?}"));
            }
        }
        let mut unknown = Vec::new();
        for (act, answer) in acts.into_iter().zip(answers) {
            match answer {
                Ok(answer) => {
                    let expected = self.model.apply(act, |id| self.offers[&id].lanes.clone());
                    let answer = Answer::from(answer);
                    if answer != expected.answer {
                        return Err(format!(
                            "{act:?} is answered {answer:?}, not {:?}",
                            expected.answer
                        ));
                    }
                    if expected.changes {
                        // What is confirmed now lies behind what was refused before: that never happened.
                        self.maybe.clear();
                        unknown.clear();
                    }
                }
                Err(error) => {
                    let kind = error.kind();
                    let is_final = kind == ErrorKind::Full && !self.is_refused;
                    if !is_final && !matches!(kind, ErrorKind::NotDurable | ErrorKind::Full) {
                        return Err(format!("{act:?} is refused: {error:?}"));
                    }
                    let is_expected = self.is_refused || self.disk.is_stopped();
                    if kind == ErrorKind::NotDurable && !is_expected {
                        return Err(format!("{act:?} is refused on a sound disk: {error:?}"));
                    }
                    if !is_final {
                        unknown.push(act.clone());
                    }
                }
            }
        }
        if !unknown.is_empty() {
            self.maybe.push(unknown);
        }
        Ok(())
    }

    fn let_go(&mut self) {
        let store = self.store.as_ref().expect("the queue is open");
        self.model.let_go(|id| store.standing(id).is_some());
    }

    /// `None` where a body could not be written, so that there is nothing to store.
    fn op(&self, act: &Act) -> Option<Op> {
        Some(match act {
            Act::Store(ids, claims) => Op::Enqueue {
                documents: ids
                    .iter()
                    .map(|id| self.document(*id))
                    .collect::<Option<_>>()?,
                claims: claims.clone(),
            },
            Act::Settle(id, lane, verdict) => Op::Settle {
                id: *id,
                lane: *lane,
                verdict: *verdict,
                note: "why".to_owned(),
            },
            Act::Retry(id, lane) => Op::Retry {
                id: *id,
                lane: *lane,
                after: Duration::from_secs(20),
                note: "busy".to_owned(),
            },
            Act::Close(claims) => Op::CloseClaims(claims.clone()),
            Act::Declare(name) => Op::DeclareLane(name.clone()),
        })
    }

    fn document(&self, id: DocumentId) -> Option<NewDocument> {
        let offer = &self.offers[&id];
        let body = if offer.in_file {
            let mut writer = self.store().body_writer().ok()?;
            for piece in offer.body.chunks(3000) {
                writer.write(piece).ok()?;
            }
            NewBody::File(writer.finish().ok()?)
        } else {
            NewBody::Inline(offer.body.clone())
        };
        Some(NewDocument {
            id,
            priority: Priority::new(offer.priority).unwrap_or_default(),
            body,
            ..NewDocument::new(offer.lanes.clone(), Bytes::new())
        })
    }

    /// A new document, offered but not stored yet.
    pub(super) fn offer(
        &mut self,
        len: usize,
        in_file: bool,
        priority: u8,
        lanes: &[LaneId],
    ) -> DocumentId {
        let number = self.offers.len() as u64;
        let mut name = [0; 16];
        name[..8].copy_from_slice(&self.random.number().to_be_bytes());
        name[8..].copy_from_slice(&number.to_be_bytes());
        let id = DocumentId::from_bytes(name);
        let mut body = self.random.bytes(len.min(32));
        body.resize(len, number as u8);
        let offer = Offer {
            body: body.into(),
            in_file,
            priority,
            lanes: lanes.to_vec(),
        };
        self.offers.insert(id, offer);
        id
    }

    pub(super) fn lease(&mut self, lane: LaneId) -> Result<Option<DocumentId>, String> {
        let leased = self.store().lease(lane);
        self.say(|| format!("lease {lane:?}: {leased:?}"));
        if let Some(reference) = &self.reference {
            let theirs = reference.lease(lane);
            if leased != theirs {
                return Err(format!("leased {leased:?}, the reference {theirs:?}"));
            }
        }
        self.leased.extend(leased.map(|id| (id, lane)));
        Ok(leased)
    }

    // === Starting ===

    /// Opens the queue on the disk as it is.
    pub(super) fn open(&mut self) -> Result<Recovery, mainstay_queue::Error> {
        self.close();
        let opened = LogStore::open(Arc::new(self.disk.clone()), &self.config);
        self.say(|| match &opened {
            Ok((_, recovery)) => format!("open: {recovery:?}"),
            Err(error) => format!("open fails: {error:?}"),
        });
        let (store, recovery) = opened?;
        self.store = Some(store);
        Ok(recovery)
    }

    /// The process ends, however.
    pub(super) fn close(&mut self) {
        self.store = None;
        for (id, lane) in self.leased.drain(..) {
            if let Some(reference) = &self.reference {
                reference.give_back(id, lane);
            }
        }
    }

    /// The process is gone and starts again on a machine that went on: everything is as it was.
    pub(super) fn kill(&mut self) -> Held {
        self.say(|| "kill".to_owned());
        self.close();
        if self.is_refused && self.chance(2) {
            self.disk.drop_caches();
        }
        self.start()
    }

    /// Opens the queue, and holds what it found against what has to be there. A start that the disk refuses is tried
    /// again once it does not.
    pub(super) fn start(&mut self) -> Held {
        let recovery = match self.open() {
            Ok(recovery) => recovery,
            Err(_) if self.disk.is_stopped() => return Ok(()),
            Err(_) if self.disk.is_refusing() => {
                self.disk.refuse(None);
                return self.start();
            }
            // Without room for a segment, and with the reserve used up, somebody has to make some.
            Err(error) if error.kind() == ErrorKind::Full && self.disk.is_bounded() => {
                self.disk.set_capacity(None);
                return self.start();
            }
            Err(error) => return Err(format!("no start on a sound disk: {error:?}")),
        };
        if self.disk.is_stopped() {
            return Ok(());
        }
        self.hold(&recovery)
    }

    /// The power goes and comes back; often it goes again while the queue recovers, which has to change nothing.
    pub(super) fn cut(&mut self, power: Power) -> Held {
        self.say(|| format!("the power goes: {power:?}"));
        self.close();
        self.disk.restart(power);
        let mut cuts = 0;
        let mut twin = None;
        while cuts < 3 && self.chance(2) {
            // After a kill, what was under way may still be lost: it was never handed out.
            if twin.is_none() && power != Power::Killed {
                twin = Some(self.twin()?);
            }
            cuts += 1;
            let change = 1 + self.random.below(16);
            self.disk.cut_in(Some(change));
            self.open().ok();
            self.close();
            let again = [Power::Any, Power::Any, Power::AllLost, Power::Killed];
            let again = again[self.random.below(4) as usize];
            self.disk.restart(again);
            self.say(|| format!("the power went again: {again:?}"));
        }
        self.start()?;
        if let Some(twin) = twin {
            let same = Observed::of(self.store()).without_sent().same_as(&twin);
            same.map_err(|what| format!("with {cuts} cuts of recovery and without: {what}"))?;
        }
        Ok(())
    }

    /// The power goes and comes back, once.
    pub(super) fn recover_once(&mut self, power: Power) -> Held {
        self.say(|| format!("the power goes: {power:?}"));
        self.close();
        self.disk.restart(power);
        self.start()
    }

    /// What an undisturbed recovery leads to.
    fn twin(&self) -> Result<Observed, String> {
        let disk = self.disk.fork();
        disk.set_capacity(None);
        let (store, _) = LogStore::open(Arc::new(disk), &self.config)
            .map_err(|error| format!("no start on a sound disk: {error:?}"))?;
        Ok(Observed::of(&store).without_sent())
    }

    // === Holding it against the model ===

    /// Whether a power cut tore the head of a used segment so that one bit of its number is old: no start can tell that from one that
    /// rotted after its first write was acknowledged. It says damage, and all has to be there.
    fn is_like_rot(&self, damage: &Damage) -> bool {
        let digits = damage
            .file
            .trim_start_matches("seg-")
            .trim_end_matches(".log");
        let Ok(id) = digits.parse::<u64>() else {
            return false;
        };
        let mut written = [0; 8];
        let read = self
            .disk
            .fork()
            .open(Folder::Root, &damage.file)
            .and_then(|file| file.read_at(&mut written, SEGMENT_ID_AT));
        let written = u64::from_le_bytes(written);
        read.is_ok() && damage.start == 0 && written < id && (written ^ id).is_power_of_two()
    }

    /// What a start found has to be what was acknowledged, and perhaps what was under way.
    fn hold(&mut self, recovery: &Recovery) -> Held {
        if !recovery
            .damage
            .iter()
            .all(|damage| self.is_like_rot(damage))
            || recovery.unbalanced != 0
            || recovery.documents_unreadable != 0
        {
            return Err(format!("a start on a sound disk reports {recovery:?}"));
        }
        let observed = Observed::of(self.store());
        let mut held = self.model.agrees(&observed);
        let offers = &self.offers;
        'commits: for acts in std::mem::take(&mut self.maybe) {
            let mut model = self.model.clone();
            for act in acts {
                if held.is_ok() {
                    break 'commits;
                }
                model.apply(&act, |id| offers[&id].lanes.clone());
                if model.agrees(&observed).is_ok() {
                    self.model = model.clone();
                    held = Ok(());
                }
            }
        }
        held?;
        self.read_all(&observed)
    }

    /// While the queue runs, it holds exactly what was acknowledged.
    pub(super) fn compare(&mut self) -> Held {
        if let Some(reference) = &self.reference {
            // Both let go of what was kept long enough.
            self.store().commit(&[]);
            reference.commit(&[]);
        }
        let observed = Observed::of(self.store());
        self.model.agrees(&observed)?;
        if !self.is_refused {
            self.read_all(&observed)?;
        }
        if let Some(reference) = &self.reference {
            let same = observed.same_as(&Observed::of(reference));
            same.map_err(|what| format!("the queue and the reference: {what}"))?;
        }
        Ok(())
    }

    fn read_all(&self, observed: &Observed) -> Held {
        observed.docs.keys().try_for_each(|id| self.read(*id))
    }

    /// Reads a document, and holds every byte against what was offered.
    pub(super) fn read(&self, id: DocumentId) -> Held {
        let read = self.store().load(id).and_then(|document| {
            let body = document
                .as_ref()
                .map(|document| self.store().body(document));
            Ok(document.zip(body.transpose()?))
        });
        match read {
            Ok(Some((document, Body::Bytes(bytes)))) => {
                let offer = &self.offers[&id];
                if bytes == offer.body && document.priority.number() == offer.priority {
                    Ok(())
                } else {
                    Err(format!("{id} has other bytes than were stored"))
                }
            }
            Ok(other) => Err(format!("{id} is listed and reads as {other:?}")),
            Err(error) => Err(format!("{id} is listed and cannot be read: {error:?}")),
        }
    }
}

//! What the queue has to hold: a few maps, plain enough to be right by reading.

use mainstay_queue::store::{Outcome, Store, Verdict};
use mainstay_queue::{ClaimId, DocumentId, LaneId, Ledger, Receipt, State};
use std::collections::{BTreeMap, BTreeSet};

/// Something that changes the queue, by the names of what it is about.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Store(Vec<DocumentId>, Vec<ClaimId>),
    Settle(DocumentId, LaneId, Verdict),
    Retry(DocumentId, LaneId),
    Close(Vec<ClaimId>),
    Declare(String),
}

/// Where a document stands on a lane, as far as a crash keeps it: who holds it and how long it waits is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Pending,
    Sent,
    Dead,
    Discarded,
}

impl From<State> for At {
    fn from(state: State) -> Self {
        match state {
            State::Ready | State::Leased | State::Waiting => Self::Pending,
            State::Sent => Self::Sent,
            State::Dead => Self::Dead,
            State::Discarded => Self::Discarded,
        }
    }
}

/// A lane, where the document stands there, and how many attempts have failed.
pub(super) type Stand = (LaneId, At, u32);

#[derive(Clone, Debug)]
pub(super) struct Doc {
    pub(super) lanes: Vec<Stand>,
    /// Its place in line among all.
    pub(super) order: u64,
    /// It was settled, and the queue has let go of it.
    gone: bool,
}

impl Doc {
    /// Where it stands as a whole.
    pub(super) fn at(&self) -> At {
        let any = |at| self.lanes.iter().any(|lane| lane.1 == at);
        [At::Pending, At::Dead, At::Discarded]
            .into_iter()
            .find(|at| any(*at))
            .unwrap_or(At::Sent)
    }
}

/// What the queue has to hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) docs: BTreeMap<DocumentId, Doc>,
    claims: BTreeSet<ClaimId>,
    lanes: Vec<String>,
}

/// What an act comes to, and whether it changes anything.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) answer: Answer,
    pub(super) changes: bool,
}

/// An [`Outcome`], without the number of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Receipts(Vec<Receipt>),
    Done,
    NotFound,
    Lane,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Receipts(receipts) => Self::Receipts(receipts),
            Outcome::Done => Self::Done,
            Outcome::NotFound => Self::NotFound,
            Outcome::Lane(_) => Self::Lane,
        }
    }
}

impl Model {
    /// Does `act`; `lanes_of` says where each document is to go.
    pub(super) fn apply(
        &mut self,
        act: &Act,
        lanes_of: impl Fn(DocumentId) -> Vec<LaneId>,
    ) -> Expected {
        match act {
            Act::Store(ids, claims) => {
                let mut changes = false;
                let receipts = ids.iter().map(|id| {
                    let order = self.docs.len() as u64;
                    let known = self.docs.contains_key(id);
                    if known {
                        return Receipt::AlreadyThere(*id);
                    }
                    changes = true;
                    let lanes = lanes_of(*id)
                        .into_iter()
                        .map(|lane| (lane, At::Pending, 0))
                        .collect();
                    let doc = Doc {
                        lanes,
                        order,
                        gone: false,
                    };
                    self.docs.insert(*id, doc);
                    Receipt::Accepted(*id)
                });
                let answer = Answer::Receipts(receipts.collect());
                for claim in claims {
                    changes |= self.claims.insert(*claim);
                }
                Expected { answer, changes }
            }
            Act::Settle(id, lane, verdict) => self.settle(*id, *lane, *verdict),
            Act::Retry(id, lane) => self.restate(*id, *lane, |(_, at, attempts)| {
                (at == At::Pending).then_some((At::Pending, attempts + 1))
            }),
            Act::Close(claims) => {
                let before = self.claims.len();
                self.claims.retain(|claim| !claims.contains(claim));
                Expected {
                    answer: Answer::Done,
                    changes: before != self.claims.len(),
                }
            }
            Act::Declare(name) => {
                let changes = !self.lanes.contains(name);
                if changes {
                    self.lanes.push(name.clone());
                }
                Expected {
                    answer: Answer::Lane,
                    changes,
                }
            }
        }
    }

    fn settle(&mut self, id: DocumentId, lane: LaneId, verdict: Verdict) -> Expected {
        self.restate(id, lane, |(_, at, attempts)| match (verdict, at) {
            (Verdict::Acknowledged, At::Pending | At::Dead) => Some((At::Sent, 0)),
            (Verdict::Buried, At::Pending) => Some((At::Dead, attempts)),
            (Verdict::Discarded, At::Pending | At::Dead) => Some((At::Discarded, 0)),
            (Verdict::Revived, At::Dead | At::Sent) => Some((At::Pending, 0)),
            (Verdict::Revived, At::Pending) if attempts != 0 => Some((At::Pending, 0)),
            _ => None,
        })
    }

    fn restate(
        &mut self,
        id: DocumentId,
        lane: LaneId,
        next: impl Fn(Stand) -> Option<(At, u32)>,
    ) -> Expected {
        let found = self
            .docs
            .get_mut(&id)
            .filter(|doc| !doc.gone)
            .and_then(|doc| doc.lanes.iter_mut().find(|stand| stand.0 == lane));
        let changed = found.and_then(|stand| {
            let (at, attempts) = next(*stand)?;
            *stand = (lane, at, attempts);
            Some(())
        });
        Expected {
            answer: if changed.is_some() {
                Answer::Done
            } else {
                Answer::NotFound
            },
            changes: changed.is_some(),
        }
    }

    /// Takes over which of the settled documents the queue still keeps: it promises none of them for ever.
    pub(super) fn let_go(&mut self, is_kept: impl Fn(DocumentId) -> bool) {
        for (id, doc) in &mut self.docs {
            if matches!(doc.at(), At::Sent | At::Discarded) {
                doc.gone = !is_kept(*id);
            }
        }
    }

    pub(super) fn ledger(&self) -> Ledger {
        let count = |at| self.docs.values().filter(|doc| doc.at() == at).count() as u64;
        Ledger {
            accepted: self.docs.len() as u64,
            delivered: count(At::Sent),
            queued: count(At::Pending),
            dead: count(At::Dead),
            discarded: count(At::Discarded),
            unreadable: 0,
        }
    }

    /// The documents that have still to be delivered on a lane, first in line first.
    pub(super) fn line(
        &self,
        lane: LaneId,
        priority: impl Fn(DocumentId) -> u8,
    ) -> Vec<DocumentId> {
        let stands = |doc: &Doc| {
            doc.lanes
                .iter()
                .any(|stand| stand.0 == lane && stand.1 == At::Pending)
        };
        let mut line: Vec<_> = self
            .docs
            .iter()
            .filter(|(_, doc)| stands(doc))
            .map(|(id, doc)| (priority(*id), doc.order, *id))
            .collect();
        line.sort_unstable();
        line.into_iter().map(|(_, _, id)| id).collect()
    }

    /// Whether this is what was observed; if not, the first difference.
    pub(super) fn agrees(&self, observed: &Observed) -> Result<(), String> {
        for (id, doc) in &self.docs {
            match (observed.docs.get(id), doc.at()) {
                (None, At::Sent | At::Discarded) => {}
                (None, at) => return Err(format!("{id} is lost; it is {at:?}")),
                (Some(seen), At::Discarded) => {
                    return Err(format!("{id} was discarded and is back as {seen:?}"));
                }
                (Some(seen), _) if *seen != doc.lanes => {
                    return Err(format!("{id} stands at {seen:?}, not at {:?}", doc.lanes));
                }
                _ => {}
            }
        }
        let foreign = observed.docs.keys().find(|id| !self.docs.contains_key(id));
        if let Some(id) = foreign {
            return Err(format!("{id} is there and was not accepted"));
        }
        let ledger = self.ledger();
        if observed.ledger != ledger {
            return Err(format!("{:?}, not {ledger:?}", observed.ledger));
        }
        if observed.claims != self.claims {
            return Err(format!(
                "open claims {:?}, not {:?}",
                observed.claims, self.claims
            ));
        }
        if observed.lanes != self.lanes {
            return Err(format!("lanes {:?}, not {:?}", observed.lanes, self.lanes));
        }
        Ok(())
    }
}

/// What a store says that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) docs: BTreeMap<DocumentId, Vec<Stand>>,
    pub(super) ledger: Ledger,
    claims: BTreeSet<ClaimId>,
    lanes: Vec<String>,
}

impl Observed {
    /// Without what was sent and is kept a while: for how long is nobody's promise.
    pub(super) fn without_sent(mut self) -> Self {
        let is_sent = |lanes: &Vec<Stand>| lanes.iter().all(|stand| stand.1 == At::Sent);
        self.docs.retain(|_, lanes| !is_sent(lanes));
        self
    }

    /// The first difference to `other`.
    pub(super) fn same_as(&self, other: &Self) -> Result<(), String> {
        let ids = self.docs.keys().chain(other.docs.keys());
        for id in ids {
            let (ours, theirs) = (self.docs.get(id), other.docs.get(id));
            if ours != theirs {
                return Err(format!("{id} stands at {ours:?} and {theirs:?}"));
            }
        }
        if self == other {
            return Ok(());
        }
        Err(format!(
            "{:?} {:?} {:?} and {:?} {:?} {:?}",
            self.ledger, self.claims, self.lanes, other.ledger, other.claims, other.lanes
        ))
    }

    pub(super) fn of(store: &dyn Store) -> Self {
        let mut docs = BTreeMap::new();
        for id in store.select(None, &[], None) {
            let mut lanes: Vec<Stand> = store
                .standing(id)
                .unwrap_or_default()
                .into_iter()
                .map(|stand| (stand.lane, At::from(stand.state), stand.attempts))
                .collect();
            lanes.sort_by_key(|stand| stand.0);
            docs.insert(id, lanes);
        }
        Self {
            docs,
            ledger: store.ledger(),
            claims: store.open_claims().into_iter().collect(),
            lanes: store.lanes().into_iter().map(|lane| lane.name).collect(),
        }
    }
}

//! Many operations, one group, one flush.

use super::{LogStore, Mode, Writer, lock};
use crate::document::{ClaimId, DocumentId, LaneId, NewDocument, Receipt, State};
use crate::error::{Error, ErrorKind};
use crate::index::{Applied, Index, Location, Now};
use crate::limits::LANES_MAX;
use crate::log::{AppendError, Placement, Purpose};
use crate::record::{self, Kind};
use crate::store::{Committed, Op, Outcome};
use crate::sync::atomic::Ordering;
use bytes::Bytes;
use std::collections::HashSet;

/// A record that was put into the group, and the operation that it belongs to.
struct Planned {
    op: usize,
    kind: Kind,
    offset: u32,
    payload: Bytes,
    /// The document that it stores, if it stores one.
    stores: Option<DocumentId>,
}

/// What the group holds, and what could be answered without it.
#[derive(Default)]
struct Plan {
    records: Vec<Planned>,
    /// The answers that hold once the group is written.
    receipts: Vec<(usize, Vec<Receipt>)>,
    /// How many operations it covers, from the first.
    covers: usize,
    has_intake: bool,
}

type Answers<'a> = &'a mut [Option<Result<Outcome, Error>>];

impl LogStore {
    pub(super) fn commit_ops(&self, ops: &[Op]) -> Committed {
        let mut writer = lock(&self.writer);
        let mut answers: Vec<Option<Result<Outcome, Error>>> = ops.iter().map(|_| None).collect();
        let mut made_room = false;
        let mut from = 0;
        while from < ops.len() {
            from += self.commit_some(
                &mut writer,
                &ops[from..],
                &mut answers[from..],
                &mut made_room,
            );
        }
        self.keep_lanes(&mut writer);
        let mut index = lock(&self.index);
        made_room |= index.expire(self.clock.now());
        let woken = index.take_woken();
        writer.unreferenced.append(&mut index.take_unreferenced());
        let answers = answers
            .into_iter()
            .map(|answer| answer.unwrap_or(Ok(Outcome::Done)))
            .collect();
        Committed {
            answers,
            woken,
            made_room,
        }
    }

    /// Commits as many operations as fit into a group, at least one; returns how many.
    fn commit_some(
        &self,
        writer: &mut Writer,
        ops: &[Op],
        answers: Answers<'_>,
        made_room: &mut bool,
    ) -> usize {
        let now = self.now();
        let plan = self.plan(writer, ops, answers, now, true);
        let covers = plan.covers;
        let purpose = if plan.has_intake {
            Purpose::Intake
        } else {
            Purpose::Settlement
        };
        match self.write_plan(writer, &plan, purpose) {
            Ok(placement) => self.apply(writer, &plan, placement, answers, now, made_room),
            Err(error @ AppendError::Full(_)) if plan.has_intake => {
                let error = append_error(error, "the disk is full; nothing was stored");
                // A batch may be too large for what is left, and a document alone not.
                if !self.has_room_for_one(writer) {
                    let free = self.disk.free_bytes().unwrap_or(0);
                    self.free_when_full.store(free, Ordering::Relaxed);
                    self.set_mode(Mode::Full(format!("{error}: {}", source_of(&error))));
                }
                for (op, answer) in ops[..covers].iter().zip(&mut *answers) {
                    if is_intake(op) && answer.is_none() {
                        *answer = Some(Err(error.clone()));
                    }
                }
                self.commit_settlements(writer, &ops[..covers], answers, now, made_room);
            }
            Err(error) => self.refuse(&plan, error, answers),
        }
        covers
    }

    /// The same operations without those that need room.
    fn commit_settlements(
        &self,
        writer: &mut Writer,
        ops: &[Op],
        answers: Answers<'_>,
        now: Now,
        made_room: &mut bool,
    ) {
        let plan = self.plan(writer, ops, answers, now, false);
        match self.write_plan(writer, &plan, Purpose::Settlement) {
            Ok(placement) => self.apply(writer, &plan, placement, answers, now, made_room),
            Err(error) => self.refuse(&plan, error, answers),
        }
    }

    fn write_plan(
        &self,
        writer: &mut Writer,
        plan: &Plan,
        purpose: Purpose,
    ) -> Result<Option<Placement>, AppendError> {
        if plan.records.is_empty() {
            return Ok(None);
        }
        let facts = self.facts(writer);
        writer
            .append(&facts, purpose, &|| self.preamble())
            .map(Some)
    }

    fn refuse(&self, plan: &Plan, error: AppendError, answers: Answers<'_>) {
        let error = match error {
            error @ AppendError::Full(_) => append_error(
                error,
                "the disk is full, its reserve too; nothing was written",
            ),
            error @ AppendError::Failed(_) => {
                let error = append_error(
                    error,
                    "the disk did not confirm; look after it, the queue tries again",
                );
                self.set_mode(Mode::ReadOnly(format!("{error}: {}", source_of(&error))));
                error
            }
        };
        for planned in &plan.records {
            answers[planned.op] = Some(Err(error.clone()));
        }
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        let mut current = lock(&self.mode);
        if *current != mode {
            match &mode {
                Mode::Writable => tracing::info!("the queue takes documents in again"),
                Mode::Full(why) | Mode::ReadOnly(why) => {
                    tracing::error!(why, "the queue takes no documents in; delivery goes on");
                }
            }
            *current = mode;
        }
    }

    fn plan(
        &self,
        writer: &mut Writer,
        ops: &[Op],
        answers: Answers<'_>,
        now: Now,
        with_intake: bool,
    ) -> Plan {
        writer.group.clear();
        let index = lock(&self.index);
        let mut plan = Plan::default();
        let mut stored_here = HashSet::new();
        for (number, op) in ops.iter().enumerate() {
            if !with_intake && is_intake(op) {
                plan.covers += 1;
                continue;
            }
            if matches!(op, Op::DeclareLane(_)) && plan.has_intake {
                // The number of a lane follows from those that are known; the next group knows this one.
                break;
            }
            let (records, receipts) = match records_of(op, &index, &stored_here, now) {
                Ok(needed) => needed,
                Err(answer) => {
                    answers[number] = Some(answer);
                    plan.covers += 1;
                    continue;
                }
            };
            let sizes: Vec<usize> = records.iter().map(|record| record.payload.len()).collect();
            if !writer.group.fits_all(&sizes) {
                if plan.records.is_empty() {
                    let message = "the batch is larger than a group of the log; store its documents in smaller batches";
                    answers[number] = Some(Err(Error::new(ErrorKind::TooLarge, message)));
                    plan.covers += 1;
                }
                break;
            }
            for record in records {
                let offset = writer.group.push(record.kind, &record.payload);
                stored_here.extend(record.stores);
                plan.records.push(Planned {
                    op: number,
                    kind: record.kind,
                    offset,
                    payload: record.payload.into(),
                    stores: record.stores,
                });
            }
            if !receipts.is_empty() {
                plan.receipts.push((number, receipts));
            }
            plan.has_intake |= is_intake(op);
            plan.covers += 1;
        }
        plan
    }

    /// Takes what is on the disk now into the index, and answers.
    fn apply(
        &self,
        writer: &mut Writer,
        plan: &Plan,
        placement: Option<Placement>,
        answers: Answers<'_>,
        now: Now,
        made_room: &mut bool,
    ) {
        let Some(placement) = placement else { return };
        self.set_mode_after_success(plan.has_intake);
        for (op, receipts) in &plan.receipts {
            answers[*op] = Some(Ok(Outcome::Receipts(receipts.clone())));
        }
        let mut index = lock(&self.index);
        let mut recent = lock(&self.recent);
        for (number, planned) in plan.records.iter().enumerate() {
            let sequence = placement.first_sequence + 1 + number as u64;
            let location = Location {
                segment: placement.segment as u32,
                offset: placement.offset as u32 + planned.offset,
                len: planned.payload.len() as u32,
            };
            let record = record::decode(planned.kind, &planned.payload)
                .expect("it was encoded a moment ago");
            let applied = index.apply(&record, sequence, location, now);
            let answer = answers[planned.op].get_or_insert(Ok(Outcome::Done));
            if applied == Applied::NotFound {
                *answer = Ok(Outcome::NotFound);
            }
            if let Some(id) = planned.stores {
                recent.keep(id, planned.payload.clone());
            }
            if let record::Record::Lane { lane, .. } = record {
                *answer = Ok(Outcome::Lane(lane));
                writer.keeps_lanes = false;
            }
            *made_room |= matches!(planned.kind, Kind::Settle);
        }
        writer.log.note_confirmed(index.totals());
    }

    fn set_mode_after_success(&self, had_intake: bool) {
        let was = self.mode();
        if had_intake && was != Mode::Writable || matches!(was, Mode::ReadOnly(_)) {
            self.set_mode(Mode::Writable);
        }
    }
}

pub(super) fn append_error(error: AppendError, message: &str) -> Error {
    match error {
        AppendError::Full(source) => Error::with_source(ErrorKind::Full, message, source),
        AppendError::Failed(source) => Error::with_source(ErrorKind::NotDurable, message, source),
    }
}

fn source_of(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(String::new, ToString::to_string)
}

fn is_intake(op: &Op) -> bool {
    matches!(op, Op::Enqueue { .. } | Op::DeclareLane(_))
}

/// A record that an operation needs.
struct Needed {
    kind: Kind,
    payload: Vec<u8>,
    stores: Option<DocumentId>,
}

/// The records that an operation needs and the receipts that hold once they are written, or its answer where it needs
/// none.
type Records = Result<(Vec<Needed>, Vec<Receipt>), Result<Outcome, Error>>;

fn records_of(op: &Op, index: &Index, stored_here: &HashSet<DocumentId>, now: Now) -> Records {
    let only = |kind, payload| {
        Ok((
            vec![Needed {
                kind,
                payload,
                stores: None,
            }],
            Vec::new(),
        ))
    };
    match op {
        Op::Enqueue { documents, claims } => {
            enqueue_records(documents, claims, index, stored_here, now)
        }
        Op::Settle {
            id,
            lane,
            verdict,
            note,
        } => {
            if index.state(*id, *lane).is_none() && !stored_here.contains(id) {
                return Err(Ok(Outcome::NotFound));
            }
            let note = record::cut_note(note);
            let payload = record::encode_settle(*id, *lane, (*verdict).into(), now.wall, note);
            only(Kind::Settle, payload)
        }
        Op::Retry {
            id,
            lane,
            after,
            note,
        } => {
            if !index.state(*id, *lane).is_some_and(State::is_pending) {
                return Err(Ok(Outcome::NotFound));
            }
            let attempts = index.attempts(*id, *lane).saturating_add(1);
            let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            let note = record::cut_note(note);
            let payload = record::encode_retry(*id, *lane, attempts, after, now.wall, note);
            only(Kind::Retry, payload)
        }
        Op::CloseClaims(claims) => {
            let open: Vec<_> = claims
                .iter()
                .copied()
                .filter(|claim| index.is_claim_open(*claim))
                .collect();
            if open.is_empty() {
                return Err(Ok(Outcome::Done));
            }
            only(Kind::Claims, record::encode_claims(&[], &open))
        }
        Op::DeclareLane(name) => {
            if let Some(lane) = index.lane(name) {
                Err(Ok(Outcome::Lane(lane)))
            } else if index.next_lane() < LANES_MAX {
                let lane = LaneId(index.next_lane() as u16);
                only(Kind::Lane, record::encode_lane(lane, name))
            } else {
                let message = format!("a queue has at most {LANES_MAX} lanes");
                Err(Err(Error::new(ErrorKind::TooLarge, message)))
            }
        }
    }
}

fn enqueue_records(
    documents: &[NewDocument],
    claims: &[ClaimId],
    index: &Index,
    stored_here: &HashSet<DocumentId>,
    now: Now,
) -> Records {
    let mut records = Vec::with_capacity(documents.len() + 1);
    let mut receipts = Vec::with_capacity(documents.len());
    let mut fresh = HashSet::new();
    for document in documents {
        if let Some(lane) = document.lanes.iter().find(|lane| !index.has_lane(**lane)) {
            let message = format!("lane {} was never declared; nothing was stored", lane.0);
            return Err(Err(Error::new(ErrorKind::UnknownLane, message)));
        }
        let id = document.id;
        if index.contains(id) || stored_here.contains(&id) || !fresh.insert(id) {
            receipts.push(Receipt::AlreadyThere(id));
            continue;
        }
        receipts.push(Receipt::Accepted(id));
        let payload = record::encode_store(document, now.wall);
        records.push(Needed {
            kind: Kind::Store,
            payload,
            stores: Some(id),
        });
    }
    let unknown: Vec<_> = claims
        .iter()
        .copied()
        .filter(|claim| !index.is_claim_open(*claim))
        .collect();
    if !unknown.is_empty() {
        let payload = record::encode_claims(&unknown, &[]);
        records.push(Needed {
            kind: Kind::Claims,
            payload,
            stores: None,
        });
    }
    if records.is_empty() {
        Err(Ok(Outcome::Receipts(receipts)))
    } else {
        Ok((records, receipts))
    }
}

//! Many operations, one group, one flush.

use super::plan::{Added, Planned, Planner};
use super::{LogStore, Mode, Writer, lock};
use crate::document::{NewBody, Receipt};
use crate::error::{Error, ErrorKind};
use crate::index::{Applied, Location, Now};
use crate::log::{AppendError, Placement, Purpose};
use crate::record::{self, Kind, Record};
use crate::store::{Committed, Op, Outcome};
use crate::sync::atomic::Ordering;

/// What the group holds, and what could be answered without it.
#[derive(Default)]
struct Plan {
    records: Vec<Planned>,
    /// The answers that hold once the group is written.
    receipts: Vec<(usize, Vec<Receipt>)>,
    /// How many documents it stores, and the bytes that they take.
    documents: u64,
    bytes: u64,
    /// How many operations it covers, from the first.
    covers: usize,
    has_intake: bool,
    /// Whether nothing is settled by it, so that the account behind it is known before the index has it.
    stores_alone: bool,
}

/// Where the answers of operations are put.
struct Answers<'a> {
    known: &'a mut [Option<Result<Outcome, Error>>],
    /// The number of the first of them.
    first: usize,
    stored: Stored<'a>,
}

/// Told which operation has stored its documents as soon as they are on the disk. Whoever looks for them from then on waits
/// until the index has them.
pub(crate) type Stored<'a> = &'a mut dyn FnMut(usize, Vec<Receipt>);

impl LogStore {
    pub(super) fn commit_ops(&self, ops: &[Op]) -> Committed {
        let mut stored = Vec::new();
        let mut committed =
            self.commit_telling(ops, &mut |op, receipts| stored.push((op, receipts)));
        for (op, receipts) in stored {
            committed.answers[op] = Ok(Outcome::Receipts(receipts));
        }
        committed
    }

    /// Commits operations. Of those that store documents the answer is told at once, and not told again.
    pub(crate) fn commit_telling(&self, ops: &[Op], stored: Stored<'_>) -> Committed {
        let mut writer = lock(&self.writer);
        let mut answers: Vec<Option<Result<Outcome, Error>>> = ops.iter().map(|_| None).collect();
        let mut made_room = false;
        let mut from = 0;
        while from < ops.len() {
            let answers = &mut Answers {
                known: &mut answers[from..],
                first: from,
                stored: &mut *stored,
            };
            from += self.commit_some(&mut writer, &ops[from..], answers, &mut made_room);
        }
        self.keep_lanes(&mut writer);
        let mut index = self.index();
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
        answers: &mut Answers<'_>,
        made_room: &mut bool,
    ) -> usize {
        let now = self.now();
        let plan = self.plan(writer, ops, answers, now, true);
        let (covers, has_intake) = (plan.covers, plan.has_intake);
        let purpose = if has_intake {
            Purpose::Intake
        } else {
            Purpose::Settlement
        };
        match self.write_plan(writer, &plan, purpose) {
            Ok(placement) => self.apply(writer, plan, placement, answers, now, made_room),
            Err(error @ AppendError::Full(_)) if has_intake => {
                doubt_bodies(&ops[..covers]);
                let error = append_error(error, "the disk is full; nothing was stored");
                // A batch may be too large for what is left, and a document alone not.
                if !self.has_room_for_one(writer) {
                    self.be_full(&error);
                }
                for (op, answer) in ops[..covers].iter().zip(&mut *answers.known) {
                    if is_intake(op) && answer.is_none() {
                        *answer = Some(Err(error.clone()));
                    }
                }
                self.commit_settlements(writer, &ops[..covers], answers, now, made_room);
            }
            Err(error) => {
                doubt_bodies(&ops[..covers]);
                self.refuse(&plan, error, answers);
            }
        }
        covers
    }

    /// The same operations without those that need room.
    fn commit_settlements(
        &self,
        writer: &mut Writer,
        ops: &[Op],
        answers: &mut Answers<'_>,
        now: Now,
        made_room: &mut bool,
    ) {
        let plan = self.plan(writer, ops, answers, now, false);
        match self.write_plan(writer, &plan, Purpose::Settlement) {
            Ok(placement) => self.apply(writer, plan, placement, answers, now, made_room),
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

    fn refuse(&self, plan: &Plan, error: AppendError, answers: &mut Answers<'_>) {
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
            answers.known[planned.op] = Some(Err(error.clone()));
        }
    }

    /// Takes no documents in until the disk has more room than now.
    pub(super) fn be_full(&self, error: &Error) {
        let free = self.disk.free_bytes().unwrap_or(0);
        self.free_when_full.store(free, Ordering::Relaxed);
        self.set_mode(Mode::Full(format!("{error}: {}", source_of(error))));
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
        answers: &mut Answers<'_>,
        now: Now,
        with_intake: bool,
    ) -> Plan {
        writer.group.clear();
        writer.stored_here.clear();
        let index = self.index();
        let mut plan = Plan::default();
        let mut planner = Planner {
            index: &index,
            group: &mut writer.group,
            stored_here: &mut writer.stored_here,
            records: Vec::new(),
            documents: 0,
            bytes: 0,
            now,
        };
        for (number, op) in ops.iter().enumerate() {
            if !with_intake && is_intake(op) {
                plan.covers += 1;
                continue;
            }
            if matches!(op, Op::DeclareLane(_)) && plan.has_intake {
                // The number of a lane follows from those that are known; the next group knows this one.
                break;
            }
            match planner.add(number, op) {
                Added::Answered(answer) => answers.known[number] = Some(answer),
                Added::DoesNotFit => {
                    if planner.records.is_empty() {
                        let message = "the batch is larger than a group of the log; store its documents in smaller batches";
                        answers.known[number] = Some(Err(Error::new(ErrorKind::TooLarge, message)));
                        plan.covers += 1;
                    }
                    break;
                }
                Added::Planned(receipts) => {
                    if !receipts.is_empty() {
                        plan.receipts.push((number, receipts));
                    }
                    plan.has_intake |= is_intake(op);
                }
            }
            plan.covers += 1;
        }
        (plan.documents, plan.bytes) = (planner.documents, planner.bytes);
        plan.records = planner.records;
        let settles = |planned: &Planned| planned.kind == Kind::Settle;
        plan.stores_alone = !plan.records.iter().any(settles);
        plan
    }

    /// Takes what is on the disk now into the index, and answers.
    fn apply(
        &self,
        writer: &mut Writer,
        mut plan: Plan,
        placement: Option<Placement>,
        answers: &mut Answers<'_>,
        now: Now,
        made_room: &mut bool,
    ) {
        let Some(placement) = placement else { return };
        self.set_mode_after_success(plan.has_intake);
        // How far the log is confirmed goes to the disk while nobody waits for the index.
        let totals = plan
            .stores_alone
            .then(|| self.index().totals().plus(plan.documents));
        if let Some(totals) = totals {
            writer.log.note_confirmed(totals);
        }
        let mut index = self.index();
        let mut recent = lock(&self.recent);
        // What they take is counted before anybody gives back what was held for it.
        self.usage.add(plan.documents, plan.bytes);
        let mut tell = |receipts: &mut Vec<(usize, Vec<Receipt>)>| {
            for (op, receipts) in receipts.drain(..) {
                (answers.stored)(answers.first + op, receipts);
            }
        };
        if totals.is_some() {
            // They are on the disk, and the account is known; whoever asks the index for them waits until it has them.
            tell(&mut plan.receipts);
        }
        for (number, planned) in plan.records.iter().enumerate() {
            let sequence = placement.first_sequence + 1 + number as u64;
            let location = Location {
                segment: placement.segment as u32,
                offset: placement.offset as u32 + planned.place.offset,
                len: planned.place.len,
            };
            let payload = writer.group.payload(planned.place);
            let record =
                record::decode(planned.kind, payload).expect("it was encoded a moment ago");
            let applied = index.apply(&record, sequence, location, now);
            let answer = answers.known[planned.op].get_or_insert(Ok(Outcome::Done));
            if applied == Applied::NotFound {
                *answer = Ok(Outcome::NotFound);
            }
            match record {
                Record::Store(head) => recent.keep(head.id, payload),
                Record::Lane { lane, .. } => {
                    *answer = Ok(Outcome::Lane(lane));
                    writer.keeps_lanes = false;
                }
                Record::Settle { .. } => *made_room = true,
                _ => {}
            }
        }
        let after = index.totals();
        debug_assert!(totals.is_none_or(|totals| totals.accepted == after.accepted));
        // Here, so that whoever was told sees all of what the commit came to.
        *made_room |= index.expire(now.moment);
        drop((index, recent));
        if totals.is_none() {
            // Others may see it already, and nobody is told yet: a process that dies here has confirmed less than it did, as after a
            // power cut, and the next one finds the group all the same.
            writer.log.note_confirmed(after);
            tell(&mut plan.receipts);
        }
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

/// What was written before the disk refused may turn out to be whole at the next start, and needs its bodies then.
fn doubt_bodies(ops: &[Op]) {
    for op in ops {
        let Op::Enqueue { documents, .. } = op else {
            continue;
        };
        for document in documents {
            if let NewBody::File(body) = &document.body {
                body.doubt();
            }
        }
    }
}

fn is_intake(op: &Op) -> bool {
    matches!(op, Op::Enqueue { .. } | Op::DeclareLane(_))
}

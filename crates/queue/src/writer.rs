//! The two threads of a queue: one commits, one keeps house.

use crate::core::Core;
use crate::error::Error;
use crate::mailbox::{Asked, Command, Mail};
use crate::store::{Committed, Op, Outcome, Store};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// After this long without work, what the last work left over is tidied up.
const SOON: Duration = Duration::from_millis(200);
/// How often the retention of sent documents is looked at while nothing else happens.
const LATER: Duration = Duration::from_secs(10);
/// How soon maintenance that did not succeed is tried again, and what the disk refused.
const AGAIN: Duration = Duration::from_secs(1);

/// What a thread says that a test has die.
const ON_PURPOSE: &str = "a test asked for it";

/// Wakes the thread that keeps house.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
    closed: AtomicBool,
    /// Whether the thread is to die of a bug, which only tests ask for.
    dies: AtomicBool,
}

impl Bell {
    pub(crate) fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *rung, true) {
            self.changed.notify_one();
        }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ring();
    }

    pub(crate) fn die(&self) {
        self.dies.store(true, Ordering::Release);
        self.ring();
    }

    /// Waits until it is rung, at most for `patience`. Returns whether to go on.
    fn wait(&self, patience: Option<Duration>) -> bool {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        rung = match patience {
            None => self
                .changed
                .wait_while(rung, |rung| !*rung)
                .unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                let waited = self
                    .changed
                    .wait_timeout_while(rung, patience, |rung| !*rung);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        *rung = false;
        !self.closed.load(Ordering::Acquire)
    }
}

/// Lets go of the folder, as far as the thread that keeps house is concerned, in whatever way it ends.
#[derive(Debug)]
struct Leaving<'a>(&'a Core);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What is there is delivered; more of it would fill the disk, as nothing is given back any more.
            self.0
                .thread_died("the thread that keeps the queue's house");
        }
        self.0.thread_ended();
    }
}

/// Keeps segments ready and the log short, until the queue is closed.
pub(crate) fn keep_house(core: &Core) {
    let _leaving = Leaving(core);
    let mut patience = Some(Duration::ZERO);
    while core.bell.wait(patience) {
        assert!(!core.bell.dies.load(Ordering::Acquire), "{ON_PURPOSE}");
        let done = core.store.maintain();
        if done.made_room {
            core.room.notify_waiters();
        }
        patience = done.again_soon.then_some(AGAIN);
    }
}

/// Closes the queue when the writer ends, in whatever way: nobody waits for an answer that will not come.
#[derive(Debug)]
struct Ending<'a>(&'a Core);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.thread_died("the thread that writes the queue");
        }
        self.0.close();
        self.0.store.stop_making_ahead();
        self.0.bell.close();
        // What a bug left undone is dropped, which tells those who wait for it that the queue is closed.
        let mut left = Vec::new();
        self.0.mailbox.receive(&mut left, Some(Duration::ZERO));
        drop(left);
        self.0.thread_ended();
    }
}

/// Commits what comes, until the queue is closed and all that came is done.
pub(crate) fn write(core: &Arc<Core>) {
    let _ending = Ending(core);
    let mut refused: Vec<Op> = Vec::new();
    let mut commands = Vec::new();
    let mut patience = Some(SOON);
    loop {
        let mail = core.mailbox.receive(&mut commands, patience);
        core.begins_work();
        match mail {
            Mail::Commands => {
                commit(core, &mut commands, &mut refused);
                patience = Some(if refused.is_empty() { SOON } else { AGAIN });
            }
            Mail::Idle => {
                retry_refused(core, &mut refused);
                core.store.yield_room();
                publish(core, &core.store.commit(&[]));
                let more = core.store.wants_cleaning() && core.store.clean_step()
                    || core.store.advance_cursor();
                let is_refused = ask_disk_again(core) || !refused.is_empty();
                patience = match (more, is_refused) {
                    (true, _) => Some(Duration::ZERO),
                    (false, true) => Some(AGAIN),
                    (false, false) => (core.store.sent().0 != 0).then_some(LATER),
                };
            }
            Mail::Closed => break,
        }
        if core.store.wants_maintenance() {
            core.bell.ring();
        }
        core.ends_work();
    }
    retry_refused(core, &mut refused);
    core.unrecorded
        .store(refused.len() as u64, Ordering::Release);
    core.bell.close();
    core.store.close();
}

fn commit(core: &Core, commands: &mut Vec<Command>, refused: &mut Vec<Op>) {
    retry_refused(core, refused);
    let mut ops = Vec::with_capacity(commands.len());
    let mut replies = Vec::with_capacity(commands.len());
    let mut together = Vec::new();
    let mut held = Vec::with_capacity(commands.len());
    for command in commands.drain(..) {
        match command.asked {
            Asked::One(op, reply) => {
                ops.push(op);
                replies.push(reply);
                held.push(command.held);
            }
            Asked::Together(more, reply) => {
                together.push((ops.len(), more.len(), reply));
                replies.extend(more.iter().map(|_| None));
                held.extend(more.iter().map(|_| None));
                ops.extend(more);
            }
            Asked::Die => panic!("{ON_PURPOSE}"),
        }
    }
    // Whoever asked may have gone away; what was asked is done all the same.
    let mut tell = |op: usize, answer| {
        if let Some(reply) = replies[op].take() {
            reply.send(answer).ok();
        }
    };
    let committed = core.store.commit_telling(&ops, &mut |op, receipts| {
        // What the documents take is counted now: the places that were held for them are free again.
        drop(held[op].take());
        tell(op, Ok(Outcome::Receipts(receipts)));
    });
    drop(held);
    publish(core, &committed);
    for (first, count, reply) in together {
        let mine = &committed.answers[first..first + count];
        reply.send(mine.to_vec()).ok();
    }
    if committed.answers.iter().any(Result::is_err) {
        refused.extend(refused_settlements(ops, &committed.answers));
    }
    for (op, answer) in committed.answers.into_iter().enumerate() {
        tell(op, answer);
    }
    if core.store.wants_cleaning() {
        core.store.clean_step();
    }
}

/// Where the disk did not confirm: whether it still does not.
fn ask_disk_again(core: &Core) -> bool {
    if !core.store.waits_for_disk() {
        return false;
    }
    let takes = core.store.ask_disk_again();
    if takes {
        core.room.notify_waiters();
    }
    core.changed.notify_waiters();
    // Where it is full by now this thread looks once more for what it can do about that.
    !takes
}

/// They happened, whether the disk takes them or not: the documents are not offered again in this life.
fn refused_settlements(ops: Vec<Op>, answers: &[Result<Outcome, Error>]) -> Vec<Op> {
    let refused = ops.into_iter().zip(answers).filter(|(op, answer)| {
        answer.is_err() && !matches!(op, Op::Enqueue { .. } | Op::DeclareLane(_))
    });
    refused.map(|(op, _)| op).collect()
}

fn retry_refused(core: &Core, refused: &mut Vec<Op>) {
    if refused.is_empty() {
        return;
    }
    let ops = std::mem::take(refused);
    let committed = core.store.commit(&ops);
    publish(core, &committed);
    let still = ops
        .into_iter()
        .zip(committed.answers)
        .filter(|(_, answer)| answer.is_err());
    refused.extend(still.map(|(op, _)| op));
}

fn publish(core: &Core, committed: &Committed) {
    for lane in &committed.woken {
        core.ready(*lane).notify_waiters();
    }
    if committed.made_room {
        core.room.notify_waiters();
    }
    core.changed.notify_waiters();
}

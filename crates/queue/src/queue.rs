//! The queue as its users see it.

use crate::bodies::BodyWriter;
use crate::closed::Closed;
use crate::config::Config;
use crate::core::Core;
use crate::disk::{Disk, RealDisk};
use crate::document::{Batch, ClaimId, DocumentId, LaneId, LaneInfo, NewDocument, Receipt};
use crate::error::{Error, ErrorKind};
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::limits::{check, check_batch};
use crate::log_store::{LogStore, Mode};
use crate::recovery::Recovery;
use crate::status::Status;
use crate::store::{Op, Outcome, Store, Verdict};
use crate::sync::thread;
use crate::writer;
use mainstay_files::Lock;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A durable queue in a folder; clones are handles of one and the same.
#[derive(Clone, Debug)]
pub struct Queue {
    handle: Arc<Handle>,
}

/// Closes the queue when the last handle goes.
#[derive(Debug)]
struct Handle {
    core: Arc<Core>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // What was handed over is still written; nobody is held up for it.
        self.core.close();
    }
}

impl Queue {
    /// Opens the queue in `folder`, made where it is missing, in whatever state the last run left it. Blocks: recovery
    /// reads what was written since the last snapshot.
    ///
    /// # Errors
    /// [`Locked`](ErrorKind::Locked) if another process has it, [`NewerFormat`](ErrorKind::NewerFormat),
    /// [`Damaged`](ErrorKind::Damaged) where not even its format can be read, [`Full`](ErrorKind::Full),
    /// [`Io`](ErrorKind::Io). Nothing is lost by any of them.
    pub fn open(folder: impl AsRef<Path>, config: Config) -> Result<(Self, Recovery), Error> {
        let folder = folder.as_ref();
        check(&config)?;
        let cannot = |what: &str| format!("cannot {what} the queue in `{}`", folder.display());
        mainstay_files::create_dir_all(folder, 0o700).map_err(|error| {
            Error::with_source(ErrorKind::Io, cannot("make the folder of"), error)
        })?;
        let held = Lock::acquire(&folder.join("LOCK")).map_err(|error| {
            let kind = match error.kind() {
                mainstay_files::ErrorKind::Locked => ErrorKind::Locked,
                _ => ErrorKind::Io,
            };
            Error::with_source(kind, cannot("lock"), error)
        })?;
        let disk =
            RealDisk::open(folder, config.io).map_err(|error| Error::io(cannot("open"), error))?;
        Self::open_on(Arc::new(disk), config, held)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        config: Config,
        held: Lock,
    ) -> Result<(Self, Recovery), Error> {
        let (store, recovery) = LogStore::open(disk, &config)?;
        let core = Core::new(store, config, held);
        spawn("queue-writer", &core, writer::write)
            .and_then(|()| spawn("queue-house", &core, |core| writer::keep_house(core)))
            .map_err(|error| {
                core.close();
                core.thread_ended();
                Error::io("cannot start the threads of the queue", error)
            })?;
        let handle = Arc::new(Handle { core });
        Ok((Self { handle }, recovery))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.handle.core
    }

    fn store(&self) -> &LogStore {
        &self.core().store
    }

    // === In ===

    /// Stores a document. It is on the disk when this returns, with all that is needed to find it. A document whose id is
    /// known is answered with [`Receipt::AlreadyThere`].
    ///
    /// Waits for room as the policy says. Dropped before it returns, the document may be stored or not.
    ///
    /// # Errors
    /// [`Full`](ErrorKind::Full), [`TooLarge`](ErrorKind::TooLarge), [`Invalid`](ErrorKind::Invalid),
    /// [`UnknownLane`](ErrorKind::UnknownLane), [`Closed`](ErrorKind::Closed): nothing was stored.
    /// [`NotDurable`](ErrorKind::NotDurable): it may have been; storing it again under the same id is safe.
    pub async fn enqueue(&self, document: NewDocument) -> Result<Receipt, Error> {
        let receipts = self
            .enqueue_batch(Batch {
                documents: vec![document],
                claims: Vec::new(),
            })
            .await?;
        receipts.first().copied().ok_or_else(Error::closed)
    }

    /// Stores documents, all of them or none, with one flush, and remembers the claims that they came from.
    ///
    /// # Errors
    /// As [`enqueue`](Queue::enqueue), for the batch as a whole.
    pub async fn enqueue_batch(&self, batch: Batch) -> Result<Vec<Receipt>, Error> {
        check_batch(&batch)?;
        let bytes = batch
            .documents
            .iter()
            .map(|document| document.body.len() + 256)
            .sum();
        let held = self
            .core()
            .admit(batch.documents.len() as u64, bytes)
            .await?;
        let op = Op::Enqueue {
            documents: batch.documents,
            claims: batch.claims,
        };
        match self.core().submit(op, Some(held)).await? {
            Outcome::Receipts(receipts) => Ok(receipts),
            _ => Ok(Vec::new()),
        }
    }

    /// The same as [`enqueue`](Queue::enqueue) for a thread that may block; a full queue is an error whatever the policy.
    ///
    /// # Errors
    /// As [`enqueue`](Queue::enqueue).
    pub fn enqueue_blocking(&self, document: NewDocument) -> Result<Receipt, Error> {
        let batch = Batch {
            documents: vec![document],
            claims: Vec::new(),
        };
        check_batch(&batch)?;
        if !self.has_room() {
            return Err(Error::new(
                ErrorKind::Full,
                "the queue is full; nothing was stored",
            ));
        }
        let op = Op::Enqueue {
            documents: batch.documents,
            claims: batch.claims,
        };
        match self.core().submit_blocking(op)? {
            Outcome::Receipts(receipts) => receipts.first().copied().ok_or_else(Error::closed),
            _ => Err(Error::closed()),
        }
    }

    /// Takes a large body piece by piece, to be stored with a document as [`NewBody::File`](crate::NewBody::File).
    ///
    /// # Errors
    /// [`Full`](ErrorKind::Full) or [`Io`](ErrorKind::Io).
    pub fn body_writer(&self) -> Result<BodyWriter, Error> {
        self.store().body_writer()
    }

    /// Whether a document would be taken in now, if it is small enough.
    pub fn has_room(&self) -> bool {
        self.has_room_for(1)
    }

    /// Whether a document of this many bytes would be taken in now, beside those that are on their way.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        self.core().why_dead().is_none()
            && self.store().mode() == Mode::Writable
            && self.core().fits(1, bytes)
    }

    /// Waits until there may be room again; wakes now and then for nothing.
    pub async fn room(&self) {
        self.core().room.notified().await;
    }

    /// Whether documents were stored under this claim, and it is not closed.
    pub fn is_claim_committed(&self, claim: ClaimId) -> bool {
        self.store().is_claim_open(claim)
    }

    /// All claims that were committed and not closed.
    pub fn open_claims(&self) -> Vec<ClaimId> {
        self.store().open_claims()
    }

    /// Forgets claims whose files are dealt with. Not waited for: it goes to the disk with the next group.
    pub fn close_claims(&self, claims: Vec<ClaimId>) {
        if !claims.is_empty() {
            self.core().post(Op::CloseClaims(claims));
        }
    }

    // === Lanes ===

    /// Makes a lane known, and returns its number; a lane that is known keeps the one it has. Blocks for the disk.
    ///
    /// # Errors
    /// As [`enqueue`](Queue::enqueue).
    pub fn declare_lane(&self, name: &str) -> Result<LaneId, Error> {
        if name.is_empty() || name.len() > 512 {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the name of a lane has 1 to 512 bytes",
            ));
        }
        if let Some(lane) = self.lanes().into_iter().find(|lane| lane.name == name) {
            return Ok(lane.id);
        }
        match self
            .core()
            .submit_blocking(Op::DeclareLane(name.to_owned()))?
        {
            Outcome::Lane(lane) => Ok(lane),
            _ => Err(Error::closed()),
        }
    }

    /// The lanes that were declared, now or in an earlier life.
    pub fn lanes(&self) -> Vec<LaneInfo> {
        self.store().lanes()
    }

    // === Out ===

    /// Takes the document that is next in line on a lane; waits until there is one. Dropped while it waits, it takes
    /// nothing.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed).
    pub async fn lease(&self, lane: LaneId) -> Result<Lease, Error> {
        let ready = self.core().ready(lane);
        loop {
            let woken = ready.notified();
            tokio::pin!(woken);
            // Registered before looking, so that nothing that becomes ready in between is missed.
            woken.as_mut().enable();
            if self.core().mailbox.is_closed() {
                return Err(Error::closed());
            }
            if let Some(lease) = self.try_lease(lane) {
                return Ok(lease);
            }
            match self.store().next_due(lane) {
                None => woken.await,
                Some(due) => {
                    let due = self
                        .core()
                        .config
                        .clock
                        .sleep(due.max(Duration::from_millis(1)));
                    tokio::select! {
                        () = woken => {}
                        () = due => {}
                    }
                }
            }
        }
    }

    /// Takes the document that is next in line on a lane, if one is ready.
    pub fn try_lease(&self, lane: LaneId) -> Option<Lease> {
        loop {
            let leased = self.store().take_next(lane)?;
            let id = leased.id;
            match self.store().load_leased(&leased) {
                Ok(Some(document)) => {
                    let core = Arc::clone(self.core());
                    return Some(Lease::new(core, lane, document, leased.trouble));
                }
                // Settled by a person between the two, or lost with the disk and reported: the next one.
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Damaged => {}
                Err(error) => {
                    // The disk refuses for now: it waits a while, and holds up no other.
                    let note = format!("cannot be read from the queue: {error}");
                    let after = Duration::from_mins(1);
                    self.core().post(Op::Retry {
                        id,
                        lane,
                        after,
                        note,
                    });
                }
            }
        }
    }

    /// How long until the next waiting document of a lane is due; `None` if none waits.
    pub fn next_due(&self, lane: LaneId) -> Option<Duration> {
        self.store().next_due(lane)
    }

    // === By hand ===

    /// Gives a document up: it waits for a person. On one lane, or on all where it is pending. Returns on how many.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if it is unknown, else as [`Lease::ack`].
    pub async fn bury(
        &self,
        id: DocumentId,
        lane: Option<LaneId>,
        reason: &str,
    ) -> Result<usize, Error> {
        self.settle(id, lane, Verdict::Buried, reason).await
    }

    /// Drops a document by the named policy or person; it is counted as discarded. Returns on how many lanes.
    ///
    /// # Errors
    /// As [`bury`](Queue::bury).
    pub async fn discard(
        &self,
        id: DocumentId,
        lane: Option<LaneId>,
        policy: &str,
    ) -> Result<usize, Error> {
        self.settle(id, lane, Verdict::Discarded, policy).await
    }

    /// Has a document delivered (again) that is dead, sent or waiting: at once, with its attempts forgotten. Returns on
    /// how many lanes.
    ///
    /// # Errors
    /// As [`bury`](Queue::bury).
    pub async fn revive(
        &self,
        id: DocumentId,
        lane: Option<LaneId>,
        reason: &str,
    ) -> Result<usize, Error> {
        self.settle(id, lane, Verdict::Revived, reason).await
    }

    async fn settle(
        &self,
        id: DocumentId,
        lane: Option<LaneId>,
        verdict: Verdict,
        note: &str,
    ) -> Result<usize, Error> {
        let not_found = || {
            Error::new(
                ErrorKind::NotFound,
                format!("no document {id} in the queue"),
            )
        };
        let standing = self.store().standing(id).ok_or_else(not_found)?;
        let mut count = 0;
        for standing in standing
            .iter()
            .filter(|standing| lane.is_none_or(|lane| lane == standing.lane))
        {
            let op = Op::Settle {
                id,
                lane: standing.lane,
                verdict,
                note: note.to_owned(),
            };
            if self.core().submit(op, None).await? == Outcome::Done {
                count += 1;
            }
        }
        Ok(count)
    }

    // === To look at ===

    /// The account of all documents.
    pub fn ledger(&self) -> Ledger {
        self.store().ledger()
    }

    /// How the queue is doing. It waits for no disk, and may be asked from a task.
    pub fn status(&self) -> Status {
        let status = self.store().status();
        match self.core().why_dead() {
            Some(why) => Status {
                mode: Mode::ReadOnly(why),
                ..status
            },
            None => status,
        }
    }

    /// For how long the thread that writes has been at one thing, to a few milliseconds; zero while it waits for work. It is as long as the
    /// disk takes to confirm: where that hangs, nothing is taken in or settled until it answers, and this goes on growing.
    pub fn busy_for(&self) -> Duration {
        self.core().busy_for()
    }

    /// Ready when one of its threads has died of a bug, with the reason; never, while both are well or after they have ended in order.
    /// Nothing is taken in from then on. What was confirmed is on the disk: close the queue, and open it again. Cancel safe.
    pub async fn died(&self) -> String {
        self.core().death().await
    }

    /// Why nothing is taken in, where one of its threads has died of a bug.
    pub fn why_dead(&self) -> Option<String> {
        self.core().why_dead()
    }

    /// Has the thread that writes, or the one that keeps house, die of a bug: for the tests of those who open it again.
    #[doc(hidden)]
    pub fn kill_thread(&self, writes: bool) {
        if writes {
            self.core().kill_writer();
        } else {
            self.core().bell.die();
        }
    }

    /// Has the writer do something, and waits for it.
    pub(crate) fn ask_writer(&self, op: Op) -> Result<Outcome, Error> {
        self.core().submit_blocking(op)
    }

    pub(crate) fn raw_store(&self) -> &LogStore {
        self.store()
    }

    /// Waits until no document has to be delivered any more; dead ones are not waited for.
    pub async fn settled(&self) {
        loop {
            let changed = self.core().changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.ledger().queued == 0 || self.core().mailbox.is_closed() {
                return;
            }
            changed.await;
        }
    }

    // === The end ===

    /// Takes nothing more, writes what was handed over and a snapshot, and lets go of the folder. Blocks until that is
    /// done, and says what is left to the next start. Nothing depends on it: a queue that is killed loses nothing.
    pub fn close_blocking(&self) -> Closed {
        self.core().close();
        self.core().wait_until_finished();
        self.core().closed()
    }

    /// The same, from a task: waits on a thread of its own.
    pub async fn close(self) -> Closed {
        let (done, finished) = tokio::sync::oneshot::channel();
        let core = Arc::clone(self.core());
        core.close();
        let waiting = thread::Builder::new()
            .name("queue-close".to_owned())
            .spawn(move || {
                core.wait_until_finished();
                done.send(()).ok();
            });
        match waiting {
            Ok(_) => drop(finished.await),
            Err(_) => self.core().wait_until_finished(),
        }
        self.core().closed()
    }
}

fn spawn(name: &str, core: &Arc<Core>, work: fn(&Arc<Core>)) -> std::io::Result<()> {
    let core = Arc::clone(core);
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || work(&core))
        .map(drop)
}

#[cfg(test)]
mod tests;

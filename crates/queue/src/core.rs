//! What all handles of a queue share.

use crate::closed::Closed;
use crate::config::{Config, WhenFull};
use crate::document::{LaneId, State};
use crate::error::{Error, ErrorKind};
use crate::log_store::LogStore;
use crate::mailbox::{Asked, Command, Mailbox};
use crate::store::{Op, Outcome, Store, Verdict};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{self, Condvar, Mutex, MutexGuard, Notify};
use crate::writer::Bell;
use mainstay_files::Lock;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// One that writes and one that keeps house.
const THREADS: u32 = 2;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) store: LogStore,
    pub(crate) config: Config,
    pub(crate) mailbox: Mailbox,
    pub(crate) bell: Arc<Bell>,
    /// Documents went: there may be room.
    pub(crate) room: Notify,
    /// Something was committed.
    pub(crate) changed: Notify,
    ready: Mutex<Vec<Arc<Notify>>>,
    /// Places and bytes promised to documents that are on their way.
    promised: Mutex<(u64, u64)>,
    pending: Arc<Semaphore>,
    /// Held as long as a thread or a handle works on the folder.
    lock: Mutex<Option<Lock>>,
    /// How many of its threads are at work.
    threads: Mutex<u32>,
    ended: Condvar,
    /// Which of them has died of a bug, the first.
    died: OnceLock<&'static str>,
    /// Told when that one has.
    death: Notify,
    /// Since when the thread that writes has been at one thing, in nanoseconds of the clock plus 1; 0 while it waits for work.
    busy_since: AtomicU64,
    /// What was settled and could not be written to the end.
    pub(crate) unrecorded: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(crate) fn new(store: LogStore, config: Config, folder: Lock) -> Arc<Self> {
        Arc::new(Self {
            bell: store.bell(),
            store,
            mailbox: Mailbox::default(),
            room: Notify::new(),
            changed: Notify::new(),
            ready: Mutex::new(Vec::new()),
            promised: Mutex::new((0, 0)),
            pending: Arc::new(Semaphore::new(config.pending_bytes as usize)),
            lock: Mutex::new(Some(folder)),
            threads: Mutex::new(THREADS),
            ended: Condvar::new(),
            died: OnceLock::new(),
            death: Notify::new(),
            busy_since: AtomicU64::new(0),
            unrecorded: AtomicU64::new(0),
            config,
        })
    }

    /// Told when a document becomes ready on a lane.
    pub(crate) fn ready(&self, lane: LaneId) -> Arc<Notify> {
        let mut ready = lock(&self.ready);
        let place = usize::from(lane.0);
        while ready.len() <= place {
            ready.push(Arc::new(Notify::new()));
        }
        Arc::clone(&ready[place])
    }

    // === Handing over ===

    /// Hands an operation to the writer and waits for its answer. Once handed over it is done even if nobody waits.
    pub(crate) async fn submit(&self, op: Op, held: Option<Held>) -> Result<Outcome, Error> {
        let answer = self.hand_over(op, held)?;
        answer.await.unwrap_or_else(|_| Err(Error::closed()))
    }

    /// The same for a caller that may block.
    pub(crate) fn submit_blocking(&self, op: Op) -> Result<Outcome, Error> {
        let answer = self.hand_over(op, None)?;
        sync::wait(answer).unwrap_or_else(|_| Err(Error::closed()))
    }

    fn hand_over(
        &self,
        op: Op,
        held: Option<Held>,
    ) -> Result<oneshot::Receiver<Result<Outcome, Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        let command = Command {
            asked: Asked::One(op, Some(reply)),
            held,
        };
        self.mailbox.send(command).map_err(|_| Error::closed())?;
        Ok(answer)
    }

    /// Hands operations to the writer together, and waits for all their answers.
    pub(crate) async fn submit_all(&self, ops: Vec<Op>) -> Vec<Result<Outcome, Error>> {
        let asked = ops.len();
        let (reply, answers) = oneshot::channel();
        let command = Command {
            asked: Asked::Together(ops, reply),
            held: None,
        };
        // Where the queue is closed the command is dropped, and with it who would answer.
        drop(self.mailbox.send(command));
        let closed = || vec![Err(Error::closed()); asked];
        answers.await.unwrap_or_else(|_| closed())
    }

    /// Hands an operation over that nobody waits for.
    pub(crate) fn post(&self, op: Op) {
        let command = Command {
            asked: Asked::One(op, None),
            held: None,
        };
        if let Err(command) = self.mailbox.send(command) {
            tracing::debug!(
                ?command,
                "the queue is closed; what was posted is left to the next start"
            );
        }
    }

    /// Has the writer die of a bug: only tests ask for it. One that has ended already stays as it is.
    pub(crate) fn kill_writer(&self) {
        drop(self.mailbox.send(Command {
            asked: Asked::Die,
            held: None,
        }));
    }

    // === Room ===

    /// Waits for room for documents on their way, in the queue and in memory, as the policy says.
    pub(crate) async fn admit(self: &Arc<Self>, documents: u64, bytes: u64) -> Result<Held, Error> {
        let promise = self.admit_to_queue(documents, bytes).await?;
        let share = bytes
            .max(256 * documents)
            .min(u64::from(self.config.pending_bytes));
        let pending = Arc::clone(&self.pending)
            .acquire_many_owned(share as u32)
            .await;
        Ok(Held {
            _pending: pending.map_err(|_| Error::closed())?,
            _promise: promise,
        })
    }

    async fn admit_to_queue(
        self: &Arc<Self>,
        documents: u64,
        bytes: u64,
    ) -> Result<Promise, Error> {
        let (max_documents, max_bytes) = (self.config.max_documents, self.config.max_bytes);
        if max_documents != 0 && max_documents < documents || max_bytes != 0 && max_bytes < bytes {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "the batch is larger than the queue may become; nothing was stored",
            ));
        }
        if self.mailbox.is_closed() {
            return Err(Error::closed());
        }
        if let Some(promise) = self.try_promise(documents, bytes) {
            return Ok(promise);
        }
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.mailbox.is_closed() {
                return Err(Error::closed());
            }
            if let Some(promise) = self.try_promise(documents, bytes) {
                return Ok(promise);
            }
            match self.config.when_full {
                WhenFull::Block => room.await,
                WhenFull::Reject => return Err(self.full()),
                WhenFull::DropOldest => self.drop_oldest(documents).await?,
            }
        }
    }

    fn try_promise(self: &Arc<Self>, documents: u64, bytes: u64) -> Option<Promise> {
        let mut promised = lock(&self.promised);
        if !self.fits_beside(*promised, documents, bytes) {
            return None;
        }
        promised.0 += documents;
        promised.1 += bytes;
        Some(Promise {
            core: Arc::clone(self),
            documents,
            bytes,
        })
    }

    /// Whether so much has a place now.
    pub(crate) fn fits(&self, documents: u64, bytes: u64) -> bool {
        let promised = *lock(&self.promised);
        self.fits_beside(promised, documents, bytes)
    }

    fn fits_beside(&self, promised: (u64, u64), documents: u64, bytes: u64) -> bool {
        let (used_documents, used_bytes) = self.store.usage();
        let fits = |most: u64, used: u64, more: u64| most == 0 || used.saturating_add(more) <= most;
        fits(
            self.config.max_documents,
            used_documents + promised.0,
            documents,
        ) && fits(self.config.max_bytes, used_bytes + promised.1, bytes)
    }

    fn full(&self) -> Error {
        let (documents, bytes) = self.store.usage();
        let message = format!(
            "the queue is full ({documents} documents, {bytes} bytes); nothing was stored: deliver, discard, or raise its limits"
        );
        Error::new(ErrorKind::Full, message)
    }

    async fn drop_oldest(self: &Arc<Self>, documents: u64) -> Result<(), Error> {
        let states = [State::Ready, State::Waiting, State::Dead];
        let oldest = self.store.select(None, &states, None);
        if oldest.is_empty() {
            return Err(self.full());
        }
        for id in oldest.into_iter().take(documents as usize) {
            for standing in self.store.standing(id).unwrap_or_default() {
                let op = Op::Settle {
                    id,
                    lane: standing.lane,
                    verdict: Verdict::Discarded,
                    note: "drop_oldest".to_owned(),
                };
                self.submit(op, None).await?;
            }
        }
        Ok(())
    }

    #[cfg(all(test, shuttle))]
    pub(crate) fn promised(&self) -> (u64, u64) {
        *lock(&self.promised)
    }

    #[cfg(all(test, shuttle))]
    pub(crate) fn free_memory(&self) -> usize {
        self.pending.available_permits()
    }

    // === The end ===

    pub(crate) fn close(&self) {
        self.mailbox.close();
        self.room.notify_waiters();
        self.changed.notify_waiters();
        for ready in lock(&self.ready).iter() {
            ready.notify_waiters();
        }
    }

    /// Called by each thread at its end. The folder is free for the next only after the last: a thread that makes segments
    /// ahead would take those of the next process for leftovers of its own, and remove them.
    pub(crate) fn thread_ended(&self) {
        let mut threads = lock(&self.threads);
        *threads = threads.saturating_sub(1);
        if *threads == 0 {
            lock(&self.lock).take();
            self.ended.notify_all();
        }
    }

    /// Called by a thread that dies of a bug: nothing is taken in any more, and the status says why.
    pub(crate) fn thread_died(&self, what: &'static str) {
        tracing::error!("{what} has died of a bug; what was confirmed is on the disk");
        self.died.get_or_init(|| what);
        self.death.notify_waiters();
    }

    /// Ready when one of its threads has died, with the reason.
    pub(crate) async fn death(&self) -> String {
        loop {
            let told = self.death.notified();
            tokio::pin!(told);
            // Registered before looking, so that a death in between is not missed.
            told.as_mut().enable();
            if let Some(why) = self.why_dead() {
                return why;
            }
            told.await;
        }
    }

    /// The thread that writes begins to do something.
    pub(crate) fn begins_work(&self) {
        // To a few milliseconds, for a tenth of the price of the exact clock.
        let now = self.config.clock.now_coarse().nanos();
        self.busy_since
            .store(now.saturating_add(1), Ordering::Relaxed);
    }

    /// It is done, and waits for more.
    pub(crate) fn ends_work(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
    }

    /// For how long it has been at one thing.
    pub(crate) fn busy_for(&self) -> Duration {
        match self.busy_since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => {
                let now = self.config.clock.now().nanos();
                Duration::from_nanos(now.saturating_sub(since - 1))
            }
        }
    }

    /// Why nothing can be taken in, where one of its threads has died.
    pub(crate) fn why_dead(&self) -> Option<String> {
        let what = self.died.get()?;
        Some(format!(
            "{what} has died of a bug; what was confirmed is on the disk, and it goes on once the queue is opened again: report this with the log"
        ))
    }

    /// How it was closed, once its threads have ended.
    pub(crate) fn closed(&self) -> Closed {
        Closed {
            unrecorded: self.unrecorded.load(Ordering::Acquire),
            died: self.why_dead(),
        }
    }

    pub(crate) fn wait_until_finished(&self) {
        let threads = lock(&self.threads);
        drop(
            self.ended
                .wait_while(threads, |threads| *threads != 0)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// What is held for documents on their way: places in the queue, and a share of memory.
#[derive(Debug)]
pub(crate) struct Held {
    _pending: OwnedSemaphorePermit,
    _promise: Promise,
}

/// Places that are kept for documents on their way; given back when it is dropped.
#[derive(Debug)]
struct Promise {
    core: Arc<Core>,
    documents: u64,
    bytes: u64,
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut promised = lock(&self.core.promised);
        promised.0 -= self.documents;
        promised.1 -= self.bytes;
        drop(promised);
        // A batch that failed leaves room that others may be waiting for.
        self.core.room.notify_waiters();
    }
}

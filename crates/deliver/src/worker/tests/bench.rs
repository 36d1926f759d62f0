//! A queue and a destination that do what a test wants, on a clock that it moves.

use crate::worker::lane::{InHand, Lane, Settlement, Unsettled};
use crate::worker::run::{Limit, Run};
use crate::worker::shared::{Shared, WorkerHandle};
use crate::worker::status::DestinationStatus;
use crate::{Content, DeliverConfig, Destination, Outcome, Outgoing, Sending};
use bytes::Bytes;
use mainstay_clock::{Clock, ManualClock, Moment, SharedClock};
use mainstay_queue::DocumentId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

// === A queue in memory ===

#[derive(Debug, Clone)]
pub(super) struct Doc {
    pub(super) id: DocumentId,
    order: u64,
    pub(super) attempts: u32,
    pub(super) last_error: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) ready: BTreeMap<u64, Doc>,
    pub(super) waiting: Vec<(Moment, Doc)>,
    pub(super) acknowledged: Vec<DocumentId>,
    pub(super) buried: Vec<(DocumentId, String)>,
    pub(super) retries: Vec<(DocumentId, Duration, String)>,
    /// Settlements fail, and the queue keeps to itself what it was told.
    pub(super) disk_is_full: bool,
    /// Settlements wait until this is taken away.
    pub(super) slow_disk: Option<Arc<Notify>>,
    pub(super) settling: usize,
    pub(super) closed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct TestQueue {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    clock: ManualClock,
}

impl TestQueue {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Puts `count` documents in; they are numbered in the order in which they are offered.
    pub(super) fn put(&self, count: u8) -> Vec<DocumentId> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let id = DocumentId::new();
            let mut state = self.state();
            let order = (state.ready.len() + state.acknowledged.len() + ids.len()) as u64
                + 1000 * state.retries.len() as u64;
            let order = state.ready.keys().last().map_or(order, |last| last + 1);
            state.ready.insert(
                order,
                Doc {
                    id,
                    order,
                    attempts: 0,
                    last_error: None,
                },
            );
            ids.push(id);
        }
        self.changed.notify_waiters();
        ids
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_waiters();
    }

    /// The document with this id, wherever it waits.
    pub(super) fn find(&self, id: DocumentId) -> Option<Doc> {
        let state = self.state();
        let waiting = state.waiting.iter().map(|(_, doc)| doc);
        state
            .ready
            .values()
            .chain(waiting)
            .find(|doc| doc.id == id)
            .cloned()
    }

    fn take(&self) -> Option<Doc> {
        let now = self.clock.now();
        let mut state = self.state();
        let (due, waiting) = std::mem::take(&mut state.waiting)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        state.waiting = waiting;
        for (_, doc) in due {
            state.ready.insert(doc.order, doc);
        }
        state.ready.pop_first().map(|(_, doc)| doc)
    }
}

impl Lane for TestQueue {
    type InHand = TestLease;

    async fn lease(&self) -> Option<TestLease> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.state().closed {
                return None;
            }
            if let Some(lease) = self.try_lease() {
                return Some(lease);
            }
            // Whatever waits is looked at again each time the clock moves.
            tokio::select! {
                () = changed => {}
                () = self.clock.sleep(Duration::from_nanos(1)) => {}
            }
        }
    }

    fn try_lease(&self) -> Option<TestLease> {
        self.take().map(|doc| TestLease {
            doc: Some(doc),
            queue: self.clone(),
        })
    }
}

#[derive(Debug)]
pub(super) struct TestLease {
    doc: Option<Doc>,
    queue: TestQueue,
}

impl TestLease {
    fn doc(&self) -> &Doc {
        self.doc.as_ref().unwrap()
    }
}

impl InHand for TestLease {
    fn id(&self) -> DocumentId {
        self.doc().id
    }

    fn attempts(&self) -> u32 {
        self.doc().attempts
    }

    fn last_error(&self) -> Option<&str> {
        self.doc().last_error.as_deref()
    }

    fn is_in_file(&self) -> bool {
        false
    }

    fn outgoing(&self) -> Result<Outgoing, Outcome> {
        Ok(Outgoing {
            id: self.id(),
            route: "lab".into(),
            source: b"a.txt".to_vec(),
            content_type: "text/plain".into(),
            headers: Vec::new(),
            hash: None,
            body: Content::Bytes(Bytes::from_static(b"content")),
        })
    }

    async fn settle(mut self, settlement: Settlement) -> Result<(), Unsettled> {
        let mut doc = self.doc.take().unwrap();
        let slow_disk = {
            let mut state = self.queue.state();
            state.settling += 1;
            state.slow_disk.clone()
        };
        if let Some(slow_disk) = slow_disk {
            slow_disk.notified().await;
        }
        let now = self.queue.clock.now();
        let mut state = self.queue.state();
        state.settling -= 1;
        if state.closed {
            return Err(Unsettled::Closed);
        }
        if state.disk_is_full {
            return Err(Unsettled::NotYet("the queue is full".into()));
        }
        match settlement {
            Settlement::Acknowledge => state.acknowledged.push(doc.id),
            Settlement::Bury { reason } => state.buried.push((doc.id, reason)),
            Settlement::Retry { after, error } => {
                state.retries.push((doc.id, after, error.clone()));
                doc.attempts += 1;
                doc.last_error = Some(error);
                state.waiting.push((now + after, doc));
                self.queue.changed.notify_waiters();
            }
        }
        Ok(())
    }
}

impl Drop for TestLease {
    fn drop(&mut self) {
        if let Some(doc) = self.doc.take() {
            self.queue.state().ready.insert(doc.order, doc);
            self.queue.changed.notify_waiters();
        }
    }
}

// === A destination with a script ===

pub(super) enum Reply {
    Now(Outcome),
    When(Arc<Notify>, Outcome),
    Never,
}

pub(super) type Script = dyn Fn(DocumentId, usize) -> Reply + Send + Sync;

/// Answers each attempt as its script says: which document, and how many attempts of that document came before.
pub(super) struct TestDestination {
    script: Box<Script>,
    pub(super) log: Mutex<Vec<(Moment, DocumentId)>>,
    pub(super) under_way: Mutex<(usize, usize)>,
    pub(super) acknowledged: Mutex<Vec<DocumentId>>,
    clock: ManualClock,
}

impl std::fmt::Debug for TestDestination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestDestination")
    }
}

impl TestDestination {
    pub(super) fn sent(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    pub(super) fn attempts_of(&self, id: DocumentId) -> usize {
        self.log
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, other)| *other == id)
            .count()
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.under_way.lock().unwrap().1
    }
}

struct UnderWay<'a>(&'a Mutex<(usize, usize)>);

impl<'a> UnderWay<'a> {
    fn begin(counts: &'a Mutex<(usize, usize)>) -> Self {
        let mut now = counts.lock().unwrap();
        now.0 += 1;
        now.1 = now.1.max(now.0);
        drop(now);
        Self(counts)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().0 -= 1;
    }
}

impl Destination for TestDestination {
    fn address(&self) -> &'static str {
        "test://destination"
    }

    fn send(&self, document: Outgoing) -> Sending<'_> {
        Box::pin(async move {
            let _under_way = UnderWay::begin(&self.under_way);
            let before = self.attempts_of(document.id);
            self.log
                .lock()
                .unwrap()
                .push((self.clock.now(), document.id));
            match (self.script)(document.id, before) {
                Reply::Now(outcome) => outcome,
                Reply::When(released, outcome) => {
                    released.notified().await;
                    outcome
                }
                Reply::Never => std::future::pending().await,
            }
        })
    }

    fn acknowledged(&self, id: DocumentId) {
        self.acknowledged.lock().unwrap().push(id);
    }
}

// === All of it ===

pub(super) struct Bench {
    pub(super) clock: ManualClock,
    pub(super) queue: TestQueue,
    pub(super) destination: Arc<TestDestination>,
    pub(super) handle: WorkerHandle,
    pub(super) stop: CancellationToken,
    pub(super) worker: JoinHandle<usize>,
}

impl Bench {
    pub(super) fn start(
        script: impl Fn(DocumentId, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(
            DeliverConfig {
                seed: Some(1),
                ..DeliverConfig::default()
            },
            script,
        )
    }

    pub(super) fn with(
        config: DeliverConfig,
        script: impl Fn(DocumentId, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let clock = ManualClock::new();
        let queue = TestQueue {
            state: Arc::default(),
            changed: Arc::default(),
            clock: clock.clone(),
        };
        let destination = Arc::new(TestDestination {
            script: Box::new(script),
            log: Mutex::default(),
            under_way: Mutex::default(),
            acknowledged: Mutex::default(),
            clock: clock.clone(),
        });
        let shared_clock: SharedClock = Arc::new(clock.clone());
        let status = DestinationStatus::new(destination.address(), clock.wall());
        let shared = Arc::new(Shared::new(status, clock.now()));
        let handle = WorkerHandle {
            shared: Arc::clone(&shared),
        };
        let stop = CancellationToken::new();
        let limit = Limit::of(&config, &shared_clock).unwrap();
        let run = Run::new(
            queue.clone(),
            Arc::clone(&destination) as Arc<dyn Destination>,
            config,
            limit,
            shared_clock,
            shared,
        );
        let stopped = stop.clone();
        let worker = tokio::spawn(async move { run.run(&stopped).await });
        Self {
            clock,
            queue,
            destination,
            handle,
            stop,
            worker,
        }
    }

    /// Lets everything happen that can happen without time passing.
    pub(super) async fn rest(&self) {
        // Enough turns for every task to run dry: the longest chain is a handful of wakes for each of some hundred documents.
        for _ in 0..2000 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass in small steps.
    pub(super) async fn pass(&self, time: Duration) {
        let step = Duration::from_millis(250);
        let mut left = time;
        while !left.is_zero() {
            let part = left.min(step);
            self.clock.advance(part);
            self.rest_a_little().await;
            left -= part;
        }
    }

    async fn rest_a_little(&self) {
        for _ in 0..60 {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.queue.state().acknowledged.len()
    }

    /// How many attempts there were in each whole second.
    pub(super) fn attempts_per_second(&self) -> HashMap<u64, usize> {
        let mut seconds = HashMap::new();
        for (at, _) in self.destination.log.lock().unwrap().iter() {
            *seconds.entry(at.since_origin().as_secs()).or_default() += 1;
        }
        seconds
    }
}

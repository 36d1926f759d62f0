//! A worker whose run ended before its time is run again, and does the rest.

use mainstay_clock::{Clock, ManualClock, SharedClock, system};
use mainstay_deliver::{DeliverConfig, Destination, Outcome, Outgoing, RateLimit, Sending};
use mainstay_deliver::{State, Worker};
use mainstay_queue::{Config, DocumentId, NewDocument, Queue};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Confirms what it gets, except for one attempt, which panics while the others of that time are under way.
#[derive(Debug, Default)]
struct Fragile {
    attempts: AtomicUsize,
    /// The attempt that panics, counted from 1.
    dies_at: usize,
    received: Mutex<Vec<DocumentId>>,
    acknowledged: Mutex<Vec<DocumentId>>,
}

impl Destination for Fragile {
    fn address(&self) -> &'static str {
        "test://fragile"
    }

    fn send(&self, document: Outgoing) -> Sending<'_> {
        Box::pin(async move {
            // All attempts of the time are received before any of them ends.
            self.received.lock().unwrap().push(document.id);
            tokio::task::yield_now().await;
            let attempt = self.attempts.fetch_add(1, Ordering::SeqCst) + 1;
            assert_ne!(attempt, self.dies_at, "the destination panics");
            Outcome::Delivered
        })
    }

    fn acknowledged(&self, id: DocumentId) {
        self.acknowledged.lock().unwrap().push(id);
    }
}

/// A queue with so many documents, and a worker for them.
struct Bench {
    queue: Queue,
    ids: BTreeSet<DocumentId>,
    fragile: Arc<Fragile>,
    worker: Worker,
    _temp: TempDir,
}

impl Bench {
    async fn new(count: usize, dies_at: usize, clock: SharedClock, config: DeliverConfig) -> Self {
        let temp = TempDir::new().unwrap();
        let (queue, _) = Queue::open(temp.path().join("queue"), Config::default()).unwrap();
        let declared = queue.clone();
        let declare = move || declared.declare_lane("lab/fragile").unwrap();
        let lane = tokio::task::spawn_blocking(declare).await.unwrap();
        let mut ids = BTreeSet::new();
        for number in 0..count {
            let document = NewDocument::new(vec![lane], format!("document {number}").into_bytes());
            ids.insert(document.id);
            queue.enqueue(document).await.unwrap();
        }
        let fragile = Arc::new(Fragile {
            dies_at,
            ..Fragile::default()
        });
        let destination = Arc::clone(&fragile) as _;
        let worker = Worker::new(queue.clone(), lane, destination, config, clock).unwrap();
        Self {
            queue,
            ids,
            fragile,
            worker,
            _temp: temp,
        }
    }

    fn received(&self) -> Vec<DocumentId> {
        self.fragile.received.lock().unwrap().clone()
    }

    /// How many attempts began.
    fn sent(&self) -> usize {
        self.received().len()
    }
}

#[tokio::test]
async fn a_worker_that_died_can_be_run_again_and_delivers_the_rest() {
    let bench = Bench::new(20, 8, system(), DeliverConfig::default()).await;
    let (handle, stop) = (bench.worker.handle(), CancellationToken::new());
    let died = tokio::spawn(bench.worker.run(stop.clone())).await;
    assert!(died.unwrap_err().is_panic());
    let dead = handle.status();
    assert_eq!((dead.state, dead.in_flight), (State::Stopped, 0));
    assert!(bench.queue.ledger().queued > 0, "there is a rest");

    let running = tokio::spawn(bench.worker.run(stop.clone()));
    let settled = tokio::time::timeout(PATIENCE, bench.queue.settled());
    settled.await.expect("the rest is delivered in time");
    stop.cancel();
    assert_eq!(running.await.unwrap().abandoned, 0);

    let (received, ledger) = (bench.received(), bench.queue.ledger());
    let distinct: BTreeSet<_> = received.iter().copied().collect();
    assert_eq!(distinct, bench.ids, "each arrived, under its own id");
    // No more than what was under way at the death is sent a second time.
    assert!(received.len() <= bench.ids.len() + DeliverConfig::default().concurrency);
    assert_eq!((ledger.delivered, ledger.queued), (20, 0));
    assert!(ledger.is_balanced(), "{ledger:?}");
    let told = bench.fragile.acknowledged.lock().unwrap().clone();
    let once: BTreeSet<_> = told.iter().copied().collect();
    assert_eq!(told.len(), once.len(), "recorded once each");
    let status = handle.status();
    assert!(
        dead.delivered < status.delivered,
        "what was counted goes on"
    );
    assert!((20..=received.len() as u64).contains(&status.delivered));
    assert_eq!(status.state, State::Stopped);
    bench.queue.close().await;
}

#[tokio::test]
async fn a_worker_that_was_stopped_can_be_run_again() {
    let bench = Bench::new(5, 0, system(), DeliverConfig::default()).await;
    let stop = CancellationToken::new();
    stop.cancel();
    bench.worker.run(stop).await;
    assert_eq!(bench.queue.ledger().queued, 5);
    let stop = CancellationToken::new();
    let clone = bench.worker.clone();
    let running = tokio::spawn(clone.run(stop.clone()));
    let settled = tokio::time::timeout(PATIENCE, bench.queue.settled());
    settled.await.expect("all is delivered in time");
    stop.cancel();
    running.await.unwrap();
    assert_eq!(bench.worker.handle().status().delivered, 5);
    assert_eq!(bench.received().len(), 5);
    bench.queue.close().await;
}

#[tokio::test]
async fn a_run_that_follows_another_gets_no_burst_of_its_own() {
    let clock = ManualClock::new();
    let config = DeliverConfig {
        limit: Some(RateLimit {
            permits: 1,
            per: Duration::from_mins(1),
            burst: 3,
        }),
        ..DeliverConfig::default()
    };
    let bench = Bench::new(10, 0, Arc::new(clock.clone()), config).await;
    let handle = bench.worker.handle();
    for _ in 0..3 {
        let running = tokio::spawn(bench.worker.run(CancellationToken::new()));
        // The last of the burst is spent, and says until when.
        while bench.sent() < 3 || handle.status().limited_until.is_none() {
            tokio::task::yield_now().await;
        }
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert_eq!(bench.sent(), 3);
    }
    assert_eq!(clock.now(), mainstay_clock::Moment::ORIGIN);
    bench.queue.close().await;
}

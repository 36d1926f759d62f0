//! A queue with one lane, a worker, and the account of a server.

use crate::support::{clock, hash, soon};
use mainstay_deliver::{
    Backoff, DeliverConfig, Destination, Http, HttpConfig, Stopped, Worker, WorkerHandle,
};
use mainstay_queue::{Config, DocumentId, LaneId, NewDocument, Queue};
use mainstay_testkit::faulty_server::{FaultyServer, Request};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Waits of milliseconds instead of minutes: what is tested is what happens, not how long it takes.
pub(crate) fn quick() -> DeliverConfig {
    let short = Backoff::doubling(Duration::from_millis(5), Duration::from_millis(40));
    DeliverConfig {
        retry: short,
        probe: short,
        ..DeliverConfig::default()
    }
}

/// A queue with one lane, in a folder of its own.
pub(crate) struct Station {
    pub(crate) queue: Queue,
    pub(crate) lane: LaneId,
    pub(crate) worker: Option<(JoinHandle<Stopped>, CancellationToken, WorkerHandle)>,
}

impl Station {
    pub(crate) async fn open(folder: &Path) -> Self {
        let folder = folder.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let (queue, _) = Queue::open(folder, Config::default()).unwrap();
            let lane = queue.declare_lane("lab/server").unwrap();
            (queue, lane)
        });
        let (queue, lane) = opened.await.unwrap();
        Self {
            queue,
            lane,
            worker: None,
        }
    }

    /// Stores documents with these bodies, and answers their ids and hashes.
    pub(crate) async fn store(
        &self,
        bodies: impl IntoIterator<Item = Vec<u8>>,
    ) -> HashMap<DocumentId, [u8; 32]> {
        let mut stored = HashMap::new();
        for body in bodies {
            let mut document = NewDocument::new(vec![self.lane], body.clone());
            document.source = b"report.txt".to_vec();
            document.route = "lab".into();
            document.hash = Some(hash(&body));
            stored.insert(document.id, hash(&body));
            self.queue.enqueue(document).await.unwrap();
        }
        stored
    }

    pub(crate) fn deliver_to(
        &mut self,
        destination: impl Destination,
        config: DeliverConfig,
    ) -> WorkerHandle {
        let worker = Worker::new(
            self.queue.clone(),
            self.lane,
            Arc::new(destination),
            config,
            clock(),
        )
        .unwrap();
        let (handle, stop) = (worker.handle(), CancellationToken::new());
        let running = tokio::spawn(worker.run(stop.clone()));
        self.worker = Some((running, stop, handle.clone()));
        handle
    }

    /// As a process that is killed leaves it: the worker is gone in the middle of whatever it did.
    pub(crate) async fn kill(mut self) {
        if let Some((running, _, _)) = self.worker.take() {
            running.abort();
            drop(running.await);
        }
        self.queue.close().await;
    }

    pub(crate) async fn stop(mut self) {
        if let Some((running, stop, _)) = self.worker.take() {
            stop.cancel();
            soon("the worker", running).await.unwrap();
        }
        self.queue.close().await;
    }
}

pub(crate) fn http(server: &FaultyServer, timeout: Duration) -> Http {
    let mut config = HttpConfig::new(server.url("/in"));
    config.timeout = timeout;
    Http::new(&config, clock()).unwrap()
}

pub(crate) fn numbered(count: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|number| format!("document {number}").into_bytes())
}

/// What a server has: for each key the hash of what came with it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    stored: Mutex<HashMap<String, [u8; 32]>>,
}

impl Ledger {
    pub(crate) fn store(&self, request: &Request) {
        let key = request.header("idempotency-key").unwrap().to_owned();
        let before = self.stored.lock().unwrap().insert(key, hash(&request.body));
        assert!(
            before.is_none_or(|before| before == hash(&request.body)),
            "one key, two documents"
        );
    }

    pub(crate) fn has(&self, request: &Request) -> bool {
        self.stored
            .lock()
            .unwrap()
            .contains_key(request.header("idempotency-key").unwrap())
    }

    pub(crate) fn assert_has_exactly(&self, documents: &HashMap<DocumentId, [u8; 32]>) {
        let expected: HashMap<_, _> = documents
            .iter()
            .map(|(id, hash)| (id.to_string(), *hash))
            .collect();
        assert!(
            *self.stored.lock().unwrap() == expected,
            "what was stored is not what was accepted"
        );
    }
}

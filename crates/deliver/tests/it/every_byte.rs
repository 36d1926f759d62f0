//! D1, D2: wherever a connection breaks, in a request or in an answer, a document has one effect.

use crate::support::{clock, soon, until};
use mainstay_deliver::{Backoff, DeliverConfig, Http, HttpConfig, Worker};
use mainstay_queue::{Config, NewDocument, Queue};
use mainstay_testkit::cutting_proxy::{Cut, CuttingProxy, Manner, Side};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction, Request};
use mainstay_testkit::given_up::scratch;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A receiver that honours keys: what it stored, by the key it came with.
#[derive(Default)]
struct Store(Mutex<HashMap<String, Vec<u8>>>);

impl Store {
    fn take(&self, request: &Request) -> Reaction {
        let key = request.header("idempotency-key").expect("a key").to_owned();
        let mut stored = self.0.lock().unwrap();
        // Each connection is for one request, so that each cut meets the document that it is meant for.
        match stored.get(&key) {
            None => {
                stored.insert(key, request.body.clone());
                Reaction::answer(201)
            }
            Some(there) => {
                assert_eq!(*there, request.body, "the same key with another content");
                Reaction::answer(409).header("Idempotency-Key", &key)
            }
        }
        .header("Connection", "close")
        .body("what was stored")
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[tokio::test]
async fn wherever_and_however_a_connection_breaks_a_document_has_one_effect() {
    let store = Arc::new(Store::default());
    let server = {
        let store = Arc::clone(&store);
        FaultyServer::start(move |request, _| store.take(request))
            .await
            .unwrap()
    };
    let proxy = CuttingProxy::start(server.address()).await.unwrap();
    let folder = scratch();
    let path = folder.path().to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let (queue, _) = Queue::open(&path, Config::default()).unwrap();
        let lane = queue.declare_lane("lab/http").unwrap();
        (queue, lane)
    });
    let (queue, lane) = opened.await.unwrap();
    let config = HttpConfig::new(format!("http://{}/in", proxy.address()));
    let http = Http::new(&config, clock()).unwrap();
    let soon_again = Backoff::doubling(Duration::from_millis(1), Duration::from_millis(1));
    let patience = DeliverConfig {
        retry: soon_again,
        probe: soon_again,
        ..DeliverConfig::default()
    };
    let worker = Worker::new(queue.clone(), lane, Arc::new(http), patience, clock()).unwrap();
    let (handle, stop) = (worker.handle(), CancellationToken::new());
    let running = tokio::spawn(worker.run(stop.clone()));

    let mut offered = 0;
    let mut deliver = async |cut: Option<Cut>| {
        if let Some(cut) = cut {
            proxy.cut_next(cut);
        }
        let mut document = NewDocument::new(
            vec![lane],
            format!("{{\"result\":{offered:06}}}").into_bytes(),
        );
        document.source = b"report.json".to_vec();
        queue.enqueue(document).await.unwrap();
        offered += 1;
        soon("the document", queue.settled()).await;
        assert_eq!(store.len(), offered, "{cut:?}");
        assert!(proxy.has_cut(), "{cut:?}");
    };
    deliver(None).await;
    until("the connection is counted", || proxy.passed() != [0, 0]).await;
    let [request, answer] = proxy.passed();
    for (side, bytes) in [(Side::Request, request), (Side::Answer, answer)] {
        for at in 0..=bytes {
            for manner in Manner::ALL {
                deliver(Some(Cut { side, at, manner })).await;
            }
        }
    }
    let status = handle.status();
    assert_eq!((status.delivered as usize, status.rejected), (offered, 0));
    assert!(status.retried > request + answer, "{status:?}");
    assert!(offered as u64 > 4 * (request + answer));
    let ledger = queue.ledger();
    assert_eq!(
        (ledger.accepted, ledger.delivered),
        (offered as u64, offered as u64)
    );
    stop.cancel();
    running.await.unwrap();
    queue.close().await;
}

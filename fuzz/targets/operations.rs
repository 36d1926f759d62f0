//! Any sequence of what a queue can be asked, with writes that fail and kills in between: what was answered with `Ok` is
//! there, in the state that it was answered with, and the account balances.

#![no_main]

#[path = "operations/disk.rs"]
mod disk;

use disk::FailingDisk;
use mainstay_clock::ManualClock;
use mainstay_queue::store::{Op, Outcome, Store, StoredBody, Verdict};
use mainstay_queue::{Config, DocumentId, LaneId, LogStore, NewDocument};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Longer sequences find nothing that these do not.
const OPERATIONS_MAX: usize = 200;

struct Run {
    disk: Arc<FailingDisk>,
    config: Config,
    store: LogStore,
    lane: LaneId,
    /// What has to be delivered still: the lengths of the bodies.
    pending: BTreeMap<DocumentId, usize>,
    /// What was answered with an error: it may be there or not.
    doubtful: BTreeMap<DocumentId, usize>,
    next: u8,
}

impl Run {
    fn new() -> Self {
        let config = Config {
            segment_bytes: 64 * 1024,
            first_segment_bytes: 64 * 1024,
            reserve_bytes: 64 * 1024,
            retain_documents: 2,
            clock: Arc::new(ManualClock::new()),
            ..Config::default()
        };
        let disk = Arc::new(FailingDisk::default());
        let (store, _) = LogStore::open(Arc::clone(&disk) as Arc<_>, &config).expect("a queue");
        let declare = Op::DeclareLane("main".to_owned());
        let answers = store.commit(&[declare]).answers;
        let Some(Ok(Outcome::Lane(lane))) = answers.into_iter().next() else {
            panic!("a lane")
        };
        Self {
            disk,
            config,
            store,
            lane,
            pending: BTreeMap::new(),
            doubtful: BTreeMap::new(),
            next: 0,
        }
    }

    fn enqueue(&mut self, len: usize) {
        self.next += 1;
        let id = DocumentId::from_bytes([self.next; 16]);
        let document = NewDocument {
            id,
            ..NewDocument::new(vec![self.lane], vec![self.next; len])
        };
        let op = Op::Enqueue {
            documents: vec![document],
            claims: Vec::new(),
        };
        let kept = match self.store.commit(&[op]).answers.pop() {
            Some(Ok(_)) => &mut self.pending,
            _ => &mut self.doubtful,
        };
        kept.insert(id, len);
    }

    fn settle(&mut self, place: u8, verdict: Option<Verdict>) {
        let Some((id, len)) = self.pending.iter().nth(usize::from(place)) else {
            return;
        };
        let (id, len, lane, note) = (*id, *len, self.lane, String::new());
        let op = match verdict {
            Some(verdict) => Op::Settle {
                id,
                lane,
                verdict,
                note,
            },
            None => Op::Retry {
                id,
                lane,
                after: Duration::from_secs(5),
                note,
            },
        };
        let answer = self.store.commit(&[op]).answers.pop();
        if verdict.is_some() {
            self.pending.remove(&id);
            if !matches!(answer, Some(Ok(_))) {
                self.doubtful.insert(id, len);
            }
        }
    }

    /// A kill and a start.
    fn restart(&mut self) {
        self.disk.heal();
        let (store, recovery) =
            LogStore::open(Arc::clone(&self.disk) as Arc<_>, &self.config).expect("it opens");
        assert_eq!(recovery.damage, [], "nothing was damaged");
        assert_eq!(recovery.unbalanced, 0);
        self.store = store;
        self.check();
    }

    fn check(&self) {
        assert!(
            self.store.ledger().is_balanced(),
            "{:?}",
            self.store.ledger()
        );
        for (id, len) in &self.pending {
            let document = self.store.load(*id).expect("readable").expect("there");
            let StoredBody::Inline(body) = document.body else {
                panic!("a small body")
            };
            assert_eq!(body.len(), *len);
            assert!(body.iter().all(|byte| *byte == id.to_bytes()[0]));
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut run = Run::new();
    let (pairs, _) = bytes.as_chunks::<2>();
    for [what, how] in pairs.iter().take(OPERATIONS_MAX) {
        match what % 12 {
            0..=2 if run.next < u8::MAX => run.enqueue(usize::from(*how) * 97),
            3 => run.settle(*how % 8, Some(Verdict::Acknowledged)),
            4 => run.settle(*how % 8, Some(Verdict::Discarded)),
            5 => run.settle(*how % 8, None),
            6 => drop(run.store.maintain()),
            7 => drop(run.store.clean_step()),
            8 => drop(run.store.advance_cursor()),
            9 => run.disk.fail(*how % 16, how / 16),
            10 => run.restart(),
            11 if *how == 0 => run.store.close(),
            _ => {}
        }
    }
    run.check();
    run.restart();
});

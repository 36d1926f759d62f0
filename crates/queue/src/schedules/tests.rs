//! The queue under schedules that are chosen: who goes on at each lock, wait and call of the disk follows from a seed.
//!
//! Built with `--cfg shuttle` only; `cargo xtask faults concurrency` does that. What runs is the queue itself, on a disk in
//! memory. A schedule in which nobody can go on, or somebody fails, is shown by the library, and can be run again.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends; how many schedules it runs is said by who started it"
)]

mod disk;

use crate::sync::thread;
use crate::{
    Batch, Config, ErrorKind, LaneId, NewDocument, Priority, Queue, Receipt, Recovery, WhenFull,
};
use disk::MemDisk;
use mainstay_clock::ManualClock;
use mainstay_files::Lock;
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

const KIB: u32 = 1024;
/// How often PCT takes the turn away from whoever is most urgent.
const DEPTH: usize = 4;

/// A queue, its disk and its only lane.
#[derive(Clone)]
struct Bench {
    queue: Queue,
    disk: MemDisk,
    lane: LaneId,
}

fn config(most: u64) -> Config {
    Config {
        max_documents: most,
        when_full: WhenFull::Block,
        segment_bytes: 64 * KIB,
        first_segment_bytes: 64 * KIB,
        reserve_bytes: 4 * KIB,
        pending_bytes: 64 * KIB,
        clock: Arc::new(ManualClock::new()),
        ..Config::default()
    }
}

fn open(disk: &MemDisk, config: Config) -> (Queue, Recovery) {
    let folder = tempfile::tempdir().unwrap();
    let held = Lock::acquire(&folder.path().join("LOCK")).unwrap();
    Queue::open_on(Arc::new(disk.clone()), config, held).unwrap()
}

impl Bench {
    fn new(most: u64) -> Self {
        let disk = MemDisk::default();
        let (queue, _) = open(&disk, config(most));
        let lane = queue.declare_lane("lane").unwrap();
        Self { queue, disk, lane }
    }

    fn document(&self, body: &str) -> NewDocument {
        NewDocument::new(vec![self.lane], body.to_owned())
    }

    /// Stores it; whoever is told that it is stored finds it on the disk.
    fn put(&self, body: &str) {
        block_on(self.queue.enqueue(self.document(body))).unwrap();
        assert!(
            self.disk.holds(body.as_bytes()),
            "{body} was answered early"
        );
    }

    /// Takes and acknowledges as many documents as are said.
    fn deliver(&self, count: usize) {
        for _ in 0..count {
            let lease = block_on(self.queue.lease(self.lane)).unwrap();
            assert_eq!(lease.attempts(), 0, "no attempt failed");
            block_on(lease.ack()).unwrap();
        }
    }

    /// That nothing is held for anybody any more, the account balances, and the next start finds what this one left.
    fn end(self) {
        self.queue.close_blocking();
        let core = Arc::clone(self.queue.core());
        assert_eq!(core.promised(), (0, 0), "places are given back");
        assert_eq!(core.free_memory(), config(0).pending_bytes as usize);
        let ledger = self.queue.ledger();
        assert!(ledger.is_balanced(), "{ledger:?}");
        let (queue, recovery) = open(&self.disk.after_power_cut(), config(0));
        assert!(recovery.clean, "{recovery:?}");
        assert_eq!(queue.ledger(), ledger);
        queue.close_blocking();
    }
}

/// Polls a future so many times, letting others go on in between, and drops it. Returns whether it came to its end.
fn poll_and_drop<T>(future: impl Future<Output = T>, times: u32) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        thread::yield_now();
    }
    None
}

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().unwrap())
}

/// Runs it under as many schedules of each kind as `MAINSTAY_SCHEDULES` says, from the seed `MAINSTAY_SEED`.
fn under_all_schedules(work: fn()) {
    fn run(scheduler: impl Scheduler + 'static, work: fn()) -> usize {
        let mut config = shuttle::Config::new();
        config.stack_size = 512 * 1024;
        config.silence_warnings = true;
        shuttle::Runner::new(scheduler, config).run(work)
    }
    let count = number("MAINSTAY_SCHEDULES", 100) as usize;
    let seed = number("MAINSTAY_SEED", 1);
    let random = run(RandomScheduler::new_from_seed(seed, count), work);
    let urgent = run(PctScheduler::new_from_seed(seed, DEPTH, count), work);
    assert_eq!((random, urgent), (count, count), "all of them were run");
}

#[test]
fn nobody_is_answered_before_the_sync_that_covers_them() {
    under_all_schedules(|| {
        let bench = Bench::new(0);
        let producers: Vec<_> = (0..3)
            .map(|who| {
                let bench = bench.clone();
                thread::spawn(move || {
                    bench.put(&format!("first of {who}"));
                    bench.put(&format!("second of {who}"));
                })
            })
            .collect();
        for producer in producers {
            producer.join().unwrap();
        }
        let ledger = bench.queue.ledger();
        assert_eq!((ledger.accepted, ledger.queued), (6, 6));
        bench.end();
    });
}

#[test]
fn whoever_waits_for_a_document_is_woken_and_each_is_delivered_once() {
    under_all_schedules(|| {
        let bench = Bench::new(0);
        let consumers = [(); 2].map(|()| {
            let bench = bench.clone();
            thread::spawn(move || bench.deliver(2))
        });
        let giver = bench.clone();
        let giver = thread::spawn(move || {
            // Whoever gives up while waiting, or gives back what it got, costs the others nothing.
            let times = thread_rng().gen_range(1..4);
            drop(poll_and_drop(giver.queue.lease(giver.lane), times));
        });
        let producers = ["one", "two"].map(|who| {
            let bench = bench.clone();
            thread::spawn(move || {
                bench.put(&format!("{who} 1"));
                bench.put(&format!("{who} 2"));
            })
        });
        for thread in producers.into_iter().chain(consumers).chain([giver]) {
            thread.join().unwrap();
        }
        let ledger = bench.queue.ledger();
        assert_eq!((ledger.accepted, ledger.delivered), (4, 4));
        block_on(bench.queue.settled());
        bench.end();
    });
}

#[test]
fn a_dropped_lease_wakes_whoever_waits_and_counts_nothing() {
    under_all_schedules(|| {
        let bench = Bench::new(0);
        bench.put("given back");
        let lease = block_on(bench.queue.lease(bench.lane)).unwrap();
        let waiting = bench.clone();
        let waiting = thread::spawn(move || waiting.deliver(1));
        drop(lease);
        waiting.join().unwrap();
        assert_eq!(bench.queue.ledger().delivered, 1);
        bench.end();
    });
}

#[test]
fn whoever_waits_for_room_is_woken() {
    under_all_schedules(|| {
        let bench = Bench::new(1);
        let producers = ["one", "two", "three"].map(|body| {
            let bench = bench.clone();
            thread::spawn(move || bench.put(body))
        });
        bench.deliver(3);
        for producer in producers {
            producer.join().unwrap();
        }
        assert_eq!(bench.queue.ledger().delivered, 3);
        bench.end();
    });
}

#[test]
fn a_cancelled_batch_is_stored_whole_or_not_at_all_and_holds_nothing() {
    under_all_schedules(|| {
        let bench = Bench::new(3);
        let cancelled = bench.clone();
        let cancelled = thread::spawn(move || {
            let batch = Batch {
                documents: ["left", "right"]
                    .map(|body| cancelled.document(body))
                    .into(),
                claims: Vec::new(),
            };
            let times = thread_rng().gen_range(0..6);
            poll_and_drop(cancelled.queue.enqueue_batch(batch), times)
        });
        let other = bench.clone();
        let other = thread::spawn(move || {
            other.put("other 1");
            other.put("other 2");
        });
        bench.deliver(2);
        let answer = cancelled.join().unwrap();
        other.join().unwrap();
        bench.queue.close_blocking();
        let stored = bench.queue.ledger().accepted - 2;
        assert!(matches!(stored, 0 | 2), "{stored} of a batch of two");
        if let Some(answer) = answer {
            let receipts = answer.unwrap();
            assert!(receipts.iter().all(|it| matches!(it, Receipt::Accepted(_))));
            assert_eq!(stored, 2);
        }
        bench.end();
    });
}

#[test]
fn closing_answers_everybody_and_keeps_what_it_answered() {
    under_all_schedules(|| {
        let bench = Bench::new(2);
        let producers = ["one", "two", "three"].map(|body| {
            let bench = bench.clone();
            thread::spawn(move || {
                let answer = block_on(bench.queue.enqueue(bench.document(body)));
                match &answer {
                    Ok(_) => assert!(bench.disk.holds(body.as_bytes())),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
                }
                u64::from(answer.is_ok())
            })
        });
        let consumer = bench.clone();
        let consumer = thread::spawn(move || {
            loop {
                match block_on(consumer.queue.lease(consumer.lane)) {
                    Ok(lease) => drop(block_on(lease.ack())),
                    Err(error) => return assert_eq!(error.kind(), ErrorKind::Closed),
                }
            }
        });
        bench.queue.close_blocking();
        let stored: u64 = producers.map(|one| one.join().unwrap()).iter().sum();
        consumer.join().unwrap();
        assert_eq!(bench.queue.ledger().accepted, stored);
        bench.end();
    });
}

#[test]
fn a_document_that_many_settle_is_settled_once() {
    under_all_schedules(|| {
        let bench = Bench::new(0);
        let mut document = bench.document("wanted by many");
        document.priority = Priority::default();
        let id = block_on(bench.queue.enqueue(document)).unwrap().id();
        let lease = block_on(bench.queue.lease(bench.lane)).unwrap();
        let by_hand = bench.clone();
        let by_hand = thread::spawn(move || {
            block_on(by_hand.queue.discard(id, None, "a person")).map_or(0, |count| count)
        });
        let acked = block_on(lease.ack()).is_ok();
        let discarded = by_hand.join().unwrap();
        let ledger = bench.queue.ledger();
        assert_eq!(ledger.delivered + ledger.discarded, 1, "{ledger:?}");
        assert!(acked || discarded == 1);
        bench.end();
    });
}

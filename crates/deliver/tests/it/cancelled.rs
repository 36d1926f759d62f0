//! D1 and D2 where a worker is dropped, at whatever point: what it had in hand goes back, and the next worker brings each
//! document to its folder, once.
//!
//! Queue, folder and files are real. A worker waits for threads: those that place files, and the one that writes the queue. With
//! two of the paces it is polled only when these have nothing left to do, so every await that it comes by is met, in each
//! scene. What is not met is a drop between two steps of a thread, which no drop can reach, and every order in which several
//! threads may end: with the third pace they end as they like, in as many orders as there are lives.

use crate::support::hash;
use mainstay_clock::ManualClock;
use mainstay_deliver::{DeliverConfig, Folder, FolderConfig, Worker};
use mainstay_queue::{Config, INLINE_BODY_MAX, LaneId, NewBody, NewDocument, Queue};
use mainstay_testkit::given_up::{Pace, Work, blocking_is_done, ends_within, scratch};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// So often is looked whether a thread has tidied up; each look waits for another thread, some 20 µs.
const TIDYING: usize = 100_000;

/// What a worker has to do, and what happens meanwhile.
#[derive(Clone, Copy)]
struct Scene {
    /// So many documents in memory, and so many whose bodies are in files.
    small: usize,
    large: usize,
    /// One more, which is not what its hash was taken of, so that it is refused twice, and buried.
    has_damaged: bool,
    concurrency: usize,
    /// The folder is missing for so many turns.
    away: usize,
    /// It is told to stop after so many turns, whatever is left to do.
    stop_after: usize,
}

/// One queue, one folder, and a clock that stands still.
struct Bench {
    temp: TempDir,
    clock: ManualClock,
    queue: Queue,
    lane: LaneId,
    /// The hash of each document, by the name of its file.
    expected: BTreeMap<String, [u8; 32]>,
    /// How many are to be buried.
    dead: u64,
    /// How often it was asked whether the queue is done.
    asked: Cell<usize>,
}

impl Bench {
    fn config(clock: &ManualClock) -> Config {
        Config {
            segment_bytes: 256 * 1024,
            first_segment_bytes: 64 * 1024,
            reserve_bytes: 64 * 1024,
            clock: Arc::new(clock.clone()),
            ..Config::default()
        }
    }

    async fn new(scene: &Scene) -> Self {
        let (temp, clock) = (scratch(), ManualClock::new());
        let (queue, _) = Queue::open(temp.path().join("queue"), Self::config(&clock)).unwrap();
        let mut bench = Self {
            lane: declare(&queue, "lab/folder".into()).await,
            temp,
            clock,
            queue,
            expected: BTreeMap::new(),
            dead: 0,
            asked: Cell::new(0),
        };
        for number in 0..scene.small {
            let body = format!("document {number}").into_bytes();
            bench.put(NewBody::Inline(body.clone().into()), &body).await;
        }
        for number in 0..scene.large {
            let body = vec![number as u8; INLINE_BODY_MAX + 1];
            let mut writer = bench.queue.body_writer().unwrap();
            writer.write(&body).unwrap();
            bench
                .put(NewBody::File(writer.finish().unwrap()), &body)
                .await;
        }
        if scene.has_damaged {
            bench.put(NewBody::Inline("damaged".into()), b"whole").await;
            bench.expected.retain(|_, known| *known != hash(b"whole"));
            bench.dead = 1;
        }
        if scene.away == 0 {
            bench.make_folder();
        }
        bench
    }

    async fn put(&mut self, body: NewBody, bytes: &[u8]) {
        let mut document = NewDocument::new(vec![self.lane], Vec::new());
        document.hash = Some(hash(bytes));
        document.body = body;
        self.expected.insert(document.id.to_string(), hash(bytes));
        self.queue.enqueue(document).await.unwrap();
    }

    fn folder(&self) -> PathBuf {
        self.temp.path().join("out")
    }

    fn make_folder(&self) {
        std::fs::create_dir_all(self.folder()).unwrap();
    }

    fn work(
        &self,
        concurrency: usize,
        clock: &ManualClock,
        stop: &CancellationToken,
    ) -> Work<'static> {
        let clock = Arc::new(clock.clone());
        let mut folder = FolderConfig::new(self.folder());
        folder.name = "{id}".into();
        let folder = Folder::new(&folder, Arc::clone(&clock) as _).unwrap();
        let config = DeliverConfig {
            concurrency,
            bury_after: 2,
            seed: Some(1),
            ..DeliverConfig::default()
        };
        let queue = self.queue.clone();
        let worker = Worker::new(queue, self.lane, Arc::new(folder), config, clock).unwrap();
        let stop = stop.clone();
        Box::pin(async move {
            worker.run(stop).await;
        })
    }

    /// Waits until all that blocks has ended, and the writer of the queue has done all that it was given.
    async fn rest(&self) {
        blocking_is_done().await;
        // The writer does things in their order: with this, all that was handed over before is done.
        let asked = self.asked.get();
        self.asked.set(asked + 1);
        declare(&self.queue, format!("asked {asked}")).await;
    }

    /// A worker that nobody drops does what is left.
    async fn finish(&self, pace: Pace, clock: &ManualClock) {
        let stop = CancellationToken::new();
        let work = self.work(5, clock, &stop);
        let rest = async || self.rest().await;
        let beside = |_| {
            if self.queue.ledger().queued == 0 {
                stop.cancel();
            }
            clock.advance(Duration::from_secs(1));
        };
        assert!(ends_within(usize::MAX, pace, work, rest, beside).await);
    }

    fn leased(&self) -> u64 {
        self.queue.status().lanes[0].leased
    }

    /// Nothing is in anybody's hands, and what left the queue is in the folder.
    fn judge_the_drop(&self, told: &str) {
        let ledger = self.queue.ledger();
        assert!(ledger.is_balanced(), "{told}: {ledger:?}");
        assert_eq!(self.leased(), 0, "{told}");
        let there = files(&self.folder());
        assert!(ledger.delivered <= there.len() as u64, "{told}: {ledger:?}");
        for (name, bytes) in there {
            assert_eq!(self.expected[&name], hash(&bytes), "{told}");
        }
    }

    /// Each document is in the folder, once, and nowhere else.
    async fn judge_the_end(self, told: &str) {
        let ledger = self.queue.ledger();
        assert!(ledger.is_balanced(), "{told}: {ledger:?}");
        let count = self.expected.len() as u64;
        assert_eq!(ledger.accepted, count + self.dead, "{told}");
        let account = (ledger.delivered, ledger.dead, ledger.queued);
        assert_eq!(account, (count, self.dead, 0), "{told}");
        assert_eq!(self.leased(), 0, "{told}");
        let there: BTreeMap<_, _> = files(&self.folder())
            .into_iter()
            .map(|(name, bytes)| (name, hash(&bytes)))
            .collect();
        assert_eq!(there, self.expected, "{told}");
        let is_mark = |name: &String| {
            name.strip_suffix(".placing")
                .is_some_and(|id| there.contains_key(id))
        };
        // A thread of the worker that was dropped may still tidy up behind itself, where several go on at once.
        let mut staged = files(&self.folder().join(".mainstay"));
        for _ in 0..TIDYING {
            if staged.keys().all(is_mark) {
                break;
            }
            blocking_is_done().await;
            staged = files(&self.folder().join(".mainstay"));
        }
        assert!(staged.keys().all(is_mark), "{told}: {:?}", staged.keys());
        self.queue.close().await;
        let (queue, recovery) =
            Queue::open(self.temp.path().join("queue"), Self::config(&self.clock)).unwrap();
        assert!(recovery.clean, "{told}");
        assert_eq!(queue.ledger(), ledger, "{told}");
        queue.close().await;
    }
}

async fn declare(queue: &Queue, name: String) -> LaneId {
    let queue = queue.clone();
    let declared = tokio::task::spawn_blocking(move || queue.declare_lane(&name));
    declared.await.unwrap().unwrap()
}

/// The files in a folder, with their content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return BTreeMap::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .filter_map(|path| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            match std::fs::read(&path) {
                Ok(bytes) => Some((name, bytes)),
                // What is gone by now is not there; whether it should be, whoever asked knows.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => panic!("{}: {error}", path.display()),
            }
        })
        .collect()
}

/// Drops a worker after so many polls, and has another one do the rest. Returns whether the first one came to its end.
async fn live(scene: &Scene, pace: Pace, polls: usize) -> bool {
    let told = format!("{pace:?} after {polls} polls");
    let bench = Bench::new(scene).await;
    let stop = CancellationToken::new();
    let beside = |turns: usize| {
        if scene.stop_after <= turns || bench.queue.ledger().queued == 0 {
            stop.cancel();
        }
        if scene.away <= turns {
            bench.make_folder();
        }
        bench.clock.advance(Duration::from_secs(1));
    };
    let work = bench.work(scene.concurrency, &bench.clock, &stop);
    let rest = async || bench.rest().await;
    let ended = ends_within(polls, pace, work, rest, beside).await;
    if pace == Pace::DroppedAtRest || ended {
        bench.judge_the_drop(&told);
    }
    bench.make_folder();
    bench.finish(pace, &bench.clock).await;
    bench.judge_the_end(&told).await;
    ended
}

/// With every pace, drops a worker after every number of polls, each time on a queue of its own, until it comes to its end.
fn dropped_everywhere(scene: &Scene) {
    for pace in Pace::ALL {
        for polls in 0.. {
            if pace.runtime().block_on(live(scene, pace, polls)) {
                println!("{pace:?}: {polls} polls");
                break;
            }
        }
    }
}

const SCENE: Scene = Scene {
    small: 3,
    large: 0,
    has_damaged: false,
    concurrency: 5,
    away: 0,
    stop_after: usize::MAX,
};

#[test]
fn a_worker_that_is_dropped_anywhere_loses_and_doubles_no_document() {
    dropped_everywhere(&SCENE);
    dropped_everywhere(&Scene {
        small: 2,
        large: 2,
        concurrency: 1,
        ..SCENE
    });
}

#[test]
fn a_worker_that_is_dropped_while_its_destination_is_held_keeps_no_document() {
    dropped_everywhere(&Scene { away: 2, ..SCENE });
}

#[test]
fn a_document_that_is_refused_is_buried_once_whichever_worker_is_dropped_meanwhile() {
    dropped_everywhere(&Scene {
        small: 1,
        has_damaged: true,
        ..SCENE
    });
}

#[test]
fn a_worker_that_is_dropped_while_it_stops_leaves_the_rest_to_the_next() {
    for stop_after in 0..3 {
        dropped_everywhere(&Scene {
            small: 2,
            large: 1,
            concurrency: 2,
            stop_after,
            ..SCENE
        });
    }
}

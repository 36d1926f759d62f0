//! F1, F2 and F5 where a pickup is dropped, at whatever point: each file is in one place, and the next pickup makes one document
//! of it.
//!
//! Files, folders and the queue are real. A pickup waits for threads: the one that touches files, and the one that writes the
//! queue. With two of the paces it is polled only when these have nothing left to do, so every await that it comes by is met, in
//! each scene; an event of the system that comes a moment earlier or later is a poll more or less. What is not met is a drop
//! between two steps of a thread, which no drop can reach (`every_crash_point` and `powercut` are for those), and every order
//! in which the threads may end: with the third pace they end as they like.

use crate::bench::{Folders, Mount, PATIENCE, claim, until};
use crate::stored::{Stored, declare};
use mainstay_clock::ManualClock;
use mainstay_pickup::{After, Claim, Config, ErrorKind, Intake, Pickup, Refusal, Taken};
use mainstay_testkit::given_up::{Pace, Work, blocking_is_done, ends_within, scratch};
use std::cell::{Cell, RefCell};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What there is to take, and what happens meanwhile.
#[derive(Clone)]
struct Scene {
    after: After,
    /// The drop folder is on another file system.
    is_across: bool,
    /// The drop folder is not there at first.
    is_away: bool,
    /// An earlier life has left four files in the work folder, two of them committed.
    has_past: bool,
    /// The queue has room for so many documents.
    room: u64,
    /// Documents are delivered, so that there is room again.
    is_delivered: bool,
    /// It is told to stop after so many turns, whatever is left to do.
    stop_after: usize,
}

const SCENE: Scene = Scene {
    after: After::Archive,
    is_across: false,
    is_away: false,
    has_past: false,
    room: 100,
    is_delivered: false,
    stop_after: usize::MAX,
};

/// The folders of one route, its queue, and a clock that stands still.
struct Bench {
    // Before the folders: what is mounted in them keeps them from being removed.
    _mount: Option<Mount>,
    folders: Folders,
    config: Config,
    clock: ManualClock,
    stored: Stored,
    /// What was dropped, sorted; one more comes while it is at work.
    expected: RefCell<Vec<Vec<u8>>>,
    /// What was delivered.
    delivered: RefCell<Vec<Vec<u8>>>,
    /// How often it was asked whether the queue is done.
    asked: Cell<usize>,
}

impl Bench {
    /// `None` where another file system cannot be had.
    async fn new(scene: &Scene) -> Option<Self> {
        let folders = Folders::at(scratch());
        let mount = if scene.is_across {
            Some(Mount::new("tmpfs", "size=8m", folders.path("drop"))?)
        } else {
            None
        };
        let clock = ManualClock::new();
        clock.set_wall(mainstay_clock::system().wall());
        let stored = Stored::open(&folders.path("queue"), &clock, scene.room).await;
        let mut config = folders.config();
        config.batch_files = 2;
        config.after = scene.after.clone();
        let bench = Self {
            folders,
            _mount: mount,
            config,
            clock,
            stored,
            expected: RefCell::default(),
            delivered: RefCell::default(),
            asked: Cell::new(0),
        };
        if scene.has_past {
            bench.lay_past().await;
        }
        for (name, content) in [
            ("a", vec![1; 10]),
            ("b", vec![2; 300_000]),
            ("c", vec![3; 10]),
        ] {
            bench.put(name, content);
        }
        if scene.is_away {
            std::fs::rename(bench.config.drop.clone(), bench.folders.path("elsewhere")).unwrap();
        }
        Some(bench)
    }

    /// Two files that were claimed, and two that were committed too.
    async fn lay_past(&self) {
        std::fs::create_dir(&self.config.work).unwrap();
        std::fs::set_permissions(&self.config.work, PermissionsExt::from_mode(0o700)).unwrap();
        for number in 1..=4 {
            let content = format!("earlier {number}").into_bytes();
            let name = format!("{}.earlier", claim(number));
            std::fs::write(self.config.work.join(name), &content).unwrap();
            if number % 2 == 0 {
                self.stored.commit_earlier(claim(number), &content).await;
            }
            self.expect(content);
        }
    }

    fn expect(&self, content: Vec<u8>) {
        let mut expected = self.expected.borrow_mut();
        expected.push(content);
        expected.sort();
    }

    /// Drops a file that is old enough to be taken at once.
    fn put(&self, name: &str, content: Vec<u8>) {
        let path = self.folders.drop_path(name);
        std::fs::write(&path, &content).unwrap();
        let file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        let old = SystemTime::now() - Duration::from_hours(2);
        file.set_modified(old).unwrap();
        self.expect(content);
    }

    /// A new pickup, as soon as the thread of the one before has left the folder.
    async fn pickup(&self) -> Pickup<Stored> {
        loop {
            let clock = Arc::new(self.clock.clone());
            match Pickup::open(self.config.clone(), Arc::new(self.stored.clone()), clock) {
                Ok(pickup) => return pickup,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Locked, "{error}"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until all that blocks has ended, and the writer of the queue has done all that it was given.
    async fn rest(&self) {
        blocking_is_done().await;
        let asked = self.asked.get();
        self.asked.set(asked + 1);
        declare(&self.stored.queue, format!("asked {asked}")).await;
    }

    fn count(&self) -> u64 {
        self.expected.borrow().len() as u64
    }

    /// Delivers one document, so that there is room for another.
    fn deliver(&self) {
        if let Some((lease, bytes)) = self.stored.next() {
            self.delivered.borrow_mut().push(bytes);
            drop(tokio::spawn(lease.ack()));
        }
    }

    /// What goes on around a pickup that waits.
    fn beside(&self, scene: &Scene, turns: usize, stop: &CancellationToken) {
        if turns == 1 && scene.is_away {
            std::fs::rename(self.folders.path("elsewhere"), &self.config.drop).unwrap();
        }
        if self.stored.queue.ledger().accepted == self.count() {
            if self.count() % 2 == 1 {
                // Heard of by an event, while it waits.
                self.put("late", b"late".to_vec());
            } else {
                stop.cancel();
            }
        }
        if scene.stop_after <= turns {
            stop.cancel();
        }
        if scene.is_delivered {
            self.deliver();
        }
        self.clock.advance(Duration::from_secs(1));
    }

    /// A pickup that nobody drops does what is left.
    async fn finish(&self, scene: &Scene, pace: Pace, pickup: Pickup<Stored>) {
        let (stop, scene) = (
            CancellationToken::new(),
            Scene {
                stop_after: usize::MAX,
                is_delivered: true,
                is_away: false,
                ..scene.clone()
            },
        );
        let work: Work<'_> = Box::pin(pickup.run(stop.clone()));
        let rest = async || self.rest().await;
        let beside = |turns| self.beside(&scene, turns, &stop);
        assert!(ends_within(usize::MAX, pace, work, rest, beside).await);
        self.rest().await;
    }
}

// === the judge ===

impl Bench {
    /// Nothing goes on: each file is in one place, and what is in the archive is in the queue.
    fn judge_the_drop(&self, scene: &Scene, told: &str) {
        let ledger = self.stored.queue.ledger();
        assert!(ledger.is_balanced(), "{told}: {ledger:?}");
        assert!(ledger.accepted <= self.count(), "{told}: {ledger:?}");
        let archived = self.folders.contents("archive");
        assert!(archived.len() as u64 <= ledger.accepted, "{told}");
        if scene.is_across || scene.is_away || scene.after != After::Archive {
            return;
        }
        let mut everywhere = [archived, self.folders.contents("drop"), self.claimed()].concat();
        everywhere.sort();
        assert_eq!(everywhere, *self.expected.borrow(), "{told}");
    }

    /// The content of what was claimed and is still in the work folder.
    fn claimed(&self) -> Vec<Vec<u8>> {
        let names = self.folders.work_names().into_iter();
        names
            .map(|name| std::fs::read(self.config.work.join(name)).unwrap())
            .collect()
    }

    /// Each file is one document, and where it belongs; nothing is left over.
    async fn judge_the_end(&self, scene: &Scene, told: &str) {
        let stays = scene.after == After::Keep;
        let expected = self.expected.borrow().clone();
        let kept = if stays { &expected[..] } else { &[] };
        assert_eq!(self.folders.contents("drop"), kept, "{told}: drop folder");
        let archived = if stays { &[] } else { &expected[..] };
        assert_eq!(
            self.folders.contents("archive"),
            archived,
            "{told}: archive"
        );
        let memory = |name: &String| name.starts_with("kept/");
        let left: Vec<_> = self.folders.work_names();
        assert!(left.iter().all(memory), "{told}: {left:?}");
        assert!(self.folders.names("quarantine").is_empty(), "{told}");
        assert_eq!(self.stored.queue.open_claims(), [], "{told}");
        while let Some((lease, bytes)) = self.stored.next() {
            self.delivered.borrow_mut().push(bytes);
            lease.ack().await.unwrap();
        }
        let settled = tokio::time::timeout(PATIENCE, self.stored.queue.settled());
        settled.await.expect("each document is settled in time");
        self.delivered.borrow_mut().sort();
        assert_eq!(*self.delivered.borrow(), expected, "{told}: documents");
        let ledger = self.stored.queue.ledger();
        let account = (ledger.accepted, ledger.delivered, ledger.queued);
        assert_eq!(account, (self.count(), self.count(), 0), "{told}");
        assert!(ledger.is_balanced(), "{told}: {ledger:?}");
        self.stored.queue.clone().close().await;
    }
}

/// What is done with a pickup that is dropped.
#[derive(Clone, Copy)]
enum Dropped {
    /// It runs.
    Run,
    /// It recovers; another one goes on.
    Recovery,
    /// It recovers, and goes on itself.
    RecoveryAlone,
}

/// Drops a pickup after so many polls, and has the rest done. Returns whether it came to its end; `None` where another file
/// system cannot be had.
async fn live(scene: &Scene, dropped: Dropped, pace: Pace, polls: usize) -> Option<bool> {
    let told = format!("{pace:?} after {polls} polls");
    let bench = Bench::new(scene).await?;
    let mut pickup = bench.pickup().await;
    let stop = CancellationToken::new();
    let rest = async || bench.rest().await;
    let beside = |turns| bench.beside(scene, turns, &stop);
    let (ended, left) = match dropped {
        Dropped::Run => {
            let work = Box::pin(pickup.run(stop.clone()));
            (ends_within(polls, pace, work, rest, beside).await, None)
        }
        Dropped::Recovery | Dropped::RecoveryAlone => {
            let work = Box::pin(async { drop(pickup.recover().await.unwrap()) });
            let ended = ends_within(polls, pace, work, rest, |_| {}).await;
            let goes_on = matches!(dropped, Dropped::RecoveryAlone);
            (ended, goes_on.then_some(pickup))
        }
    };
    if pace == Pace::DroppedAtRest {
        bench.judge_the_drop(scene, &told);
    }
    if !bench.config.drop.exists() {
        std::fs::rename(bench.folders.path("elsewhere"), &bench.config.drop).unwrap();
    }
    let next = match left {
        Some(pickup) => pickup,
        None => bench.pickup().await,
    };
    bench.finish(scene, pace, next).await;
    bench.judge_the_end(scene, &told).await;
    Some(ended)
}

/// With every pace, drops a pickup after every number of polls, each time in folders of its own, until it comes to its end.
fn dropped_everywhere(scene: &Scene, dropped: Dropped) {
    for pace in Pace::ALL {
        for polls in 0.. {
            match pace.runtime().block_on(live(scene, dropped, pace, polls)) {
                Some(false) => {}
                Some(true) => {
                    println!("{pace:?}: {polls} polls");
                    break;
                }
                None => return,
            }
        }
    }
}

#[test]
fn a_pickup_that_is_dropped_anywhere_loses_and_doubles_no_file() {
    dropped_everywhere(&SCENE, Dropped::Run);
}

#[test]
fn a_pickup_of_files_that_stay_is_dropped_anywhere_and_takes_each_once() {
    let after = After::Keep;
    dropped_everywhere(&Scene { after, ..SCENE }, Dropped::Run);
}

#[test]
fn across_a_pickup_that_is_dropped_anywhere_loses_and_doubles_no_file() {
    let is_across = true;
    dropped_everywhere(&Scene { is_across, ..SCENE }, Dropped::Run);
}

#[test]
fn a_pickup_that_is_dropped_while_it_waits_keeps_no_file() {
    let is_away = true;
    dropped_everywhere(&Scene { is_away, ..SCENE }, Dropped::Run);
    let full = Scene {
        room: 2,
        is_delivered: true,
        ..SCENE
    };
    dropped_everywhere(&full, Dropped::Run);
}

#[test]
fn a_pickup_that_is_dropped_while_it_stops_leaves_the_rest_to_the_next() {
    for stop_after in 0..3 {
        let full = Scene {
            room: 1,
            stop_after,
            ..SCENE
        };
        dropped_everywhere(&full, Dropped::Run);
    }
}

#[test]
fn a_recovery_that_is_dropped_anywhere_is_done_by_the_next_pickup() {
    let has_past = true;
    let past = Scene { has_past, ..SCENE };
    dropped_everywhere(&past, Dropped::Recovery);
    dropped_everywhere(&past, Dropped::Run);
}

#[test]
fn a_recovery_that_is_given_up_is_done_by_the_same_pickup() {
    let has_past = true;
    dropped_everywhere(&Scene { has_past, ..SCENE }, Dropped::RecoveryAlone);
}

type Storing = JoinHandle<Result<(), Refusal>>;

/// Stores what it is given when it is told to, and whoever waited for it may be gone by then.
struct Late {
    stored: Stored,
    may_store: Arc<Notify>,
    storing: Arc<Mutex<Option<Storing>>>,
}

impl Intake for Late {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        let (stored, may_store) = (self.stored.clone(), Arc::clone(&self.may_store));
        let storing = tokio::spawn(async move {
            may_store.notified().await;
            stored.commit(files).await
        });
        *self.storing.lock().unwrap() = Some(storing);
        std::future::pending().await
    }

    fn is_committed(&self, claim: Claim) -> bool {
        self.stored.is_committed(claim)
    }

    fn closed(&self, claims: Vec<Claim>) {
        self.stored.closed(claims);
    }
}

/// A pickup is dropped while it commits; what it committed is stored only after the next one has done all.
async fn stored_late(after: After) {
    let told = format!("{after:?}, stored late");
    let scene = Scene { after, ..SCENE };
    let bench = Bench::new(&scene).await.unwrap();
    let (may_store, storing) = (Arc::new(Notify::new()), Arc::default());
    let late = Late {
        stored: bench.stored.clone(),
        may_store: Arc::clone(&may_store),
        storing: Arc::clone(&storing),
    };
    let clock = Arc::new(bench.clock.clone());
    let pickup = Pickup::open(bench.config.clone(), Arc::new(late), clock).unwrap();
    let running = tokio::spawn(pickup.run(CancellationToken::new()));
    until("a commit", || storing.lock().unwrap().is_some()).await;
    running.abort();
    drop(running.await);
    let next = bench.pickup().await;
    bench.finish(&scene, Pace::DroppedAtOnce, next).await;
    may_store.notify_one();
    let stored = storing.lock().unwrap().take().unwrap();
    stored.await.unwrap().unwrap();
    // Its claims are open again, though their files are dealt with: an agent closes those when it starts.
    let queue = &bench.stored.queue;
    queue.close_claims(queue.open_claims());
    bench.rest().await;
    bench.judge_the_end(&scene, &told).await;
}

#[test]
fn what_is_stored_late_for_a_pickup_that_was_dropped_makes_no_second_document() {
    for after in [After::Archive, After::Keep] {
        Pace::DroppedAtOnce.runtime().block_on(stored_late(after));
    }
}

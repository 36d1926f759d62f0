//! The process: what it is started with, its turns, and its ends.

use super::producer::{DROP, Producer};
use super::shelf::Shelf;
use crate::campaigns::simulation::world::Held;
use crate::random::Random;
use crate::sim_disk::Outcome;
use crate::sim_tree::{Diary, Gone, SimTree, Started, start};
use mainstay_clock::{Clock, ManualClock};
use mainstay_pickup::{After, Config, Pickup};
use std::cell::{RefCell, RefMut};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a start is tried that its disks refuse.
const STARTS_MAX: usize = 12;

/// How many turns it takes at most until nothing is left to do.
const TURNS_MAX: usize = 150;

pub(super) struct Life {
    pub(super) random: Random,
    pub(super) tree: Rc<SimTree>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) config: Config,
    pub(super) has_faults: bool,
    clock: ManualClock,
    producer: Rc<RefCell<Producer>>,
    pickup: Option<Pickup<Shelf>>,
    stop: CancellationToken,
    diary: Option<Diary>,
    /// The power went, and nobody has looked yet what that did to the files.
    is_cut: bool,
    /// Last of all: what is dropped before it may still make calls.
    _started: Started,
}

impl Life {
    pub(super) fn new(seed: u64, folder: &Path, diary: Option<&Diary>) -> Result<Self, String> {
        let mut random = Random::new(seed ^ 0x11fe);
        let broken = |error: std::io::Error| format!("no folders: {error}");
        let tree = Rc::new(SimTree::new(folder, seed).map_err(broken)?);
        if let Some(diary) = diary {
            tree.trace(Arc::clone(diary));
        }
        let share = u8::from(random.below(3) == 0);
        for (folder, volume) in [("data", 0), ("far", 2), ("share", share)] {
            tree.lay_folder(folder, volume).map_err(broken)?;
        }
        for folder in [DROP, "share/drop/sub"] {
            tree.lay_folder(folder, share).map_err(broken)?;
        }
        let config = config(&tree, &mut random, share != 0);
        let clock = ManualClock::new();
        let mut producer = Producer::new(Rc::clone(&tree), seed, diary);
        producer.marker.clone_from(&config.marker);
        producer.is_recursive = config.recursive;
        producer.keeps = config.after == After::Keep;
        Ok(Self {
            has_faults: random.below(3) == 0,
            random,
            shelf: Arc::new(Shelf::new(seed, &clock, diary)),
            config,
            clock,
            producer: Rc::new(RefCell::new(producer)),
            pickup: None,
            stop: CancellationToken::new(),
            diary: diary.cloned(),
            is_cut: false,
            _started: start(Rc::clone(&tree) as Rc<dyn crate::sim_tree::Machine>),
            tree,
        })
    }

    /// What kind of a life it is.
    pub(super) fn described(&self) -> String {
        let after = match &self.config.after {
            After::Archive => "archive",
            After::Delete => "delete",
            After::Move(_) => "move",
            After::Keep => "keep",
        };
        let marker = self.config.marker.as_deref().unwrap_or("no marker");
        format!("{after}, {marker}, faults: {}", self.has_faults)
    }

    /// Whether originals go to another file system than the one that files are taken on.
    pub(super) fn is_archive_far(&self) -> bool {
        self.config.archive == self.tree.path("far/archive")
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if let Some(diary) = &self.diary {
            let mut diary = diary.lock().unwrap_or_else(PoisonError::into_inner);
            diary.push(what());
        }
    }

    pub(super) fn chance(&mut self, of: u64) -> bool {
        self.random.below(of) == 0
    }

    pub(super) fn wall(&self) -> u64 {
        self.clock.wall()
    }

    pub(super) fn producer(&self) -> RefMut<'_, Producer> {
        self.producer.borrow_mut()
    }

    /// Somebody does something in the middle of a call.
    pub(super) fn act_meanwhile(&mut self) {
        let call = 1 + self.random.below(60);
        let producer = Rc::clone(&self.producer);
        let wall = self.wall();
        self.tree
            .meanwhile(call, move || producer.borrow_mut().act(wall));
    }

    /// Time passes.
    pub(super) fn pass(&mut self) {
        let ms = [0, 200, 2_500, 11_000][self.random.below(4) as usize];
        self.clock.advance(Duration::from_millis(ms));
        self.say(|| format!("{ms} ms pass"));
    }

    /// The date is another one.
    pub(super) fn jump(&mut self) {
        let by = self.random.below(1 << 33);
        let wall = self.wall();
        let to = if self.chance(2) {
            wall.saturating_sub(by)
        } else {
            wall + by
        };
        self.clock.set_wall(to);
        self.say(|| "the date jumps".to_owned());
    }

    /// Nothing is refused any more.
    pub(super) fn heal(&mut self) {
        self.tree.refuse(None);
        self.tree.end_in(None);
        self.tree.alone();
        self.shelf.disk().refuse(None);
        self.shelf.disk().cut_in(None);
        self.shelf.feel(u64::MAX);
    }

    // === the process ===

    /// Does something that the process may end in; `None` where it did.
    fn unless_gone<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| act(self))) {
            Ok(done) if !self.is_gone() => Some(done),
            Ok(_) => None,
            Err(panic) if panic.is::<Gone>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }

    fn is_gone(&self) -> bool {
        self.tree.is_gone() || self.shelf.disk().is_stopped()
    }

    /// One turn of the loop.
    pub(super) fn turn(&mut self) -> Held {
        self.say(|| "a turn".to_owned());
        let turned = self.unless_gone(|life| {
            if life.chance(4) {
                life.shelf.tell();
            }
            let pickup = life.pickup.as_mut().expect("it was started");
            done(pickup.turn_by_hand(&life.stop))
        });
        if let Some(turned) = turned {
            return turned.map(drop);
        }
        let outcome = self.outcome();
        self.end(outcome)
    }

    fn outcome(&mut self) -> Outcome {
        match self.random.below(10) {
            0 => Outcome::AllLost,
            1 => Outcome::AllKept,
            2 => Outcome::NamesKept,
            3 => Outcome::Torn,
            4..7 => Outcome::Killed,
            _ => Outcome::Any,
        }
    }

    /// The process is gone, and the power with it or not; another one starts.
    pub(super) fn end(&mut self, outcome: Outcome) -> Held {
        self.leave_behind(outcome)?;
        self.start()
    }

    fn leave_behind(&mut self, outcome: Outcome) -> Held {
        self.say(|| format!("the process ends: {outcome:?}"));
        self.tree.end();
        self.pickup = None;
        self.shelf.end(outcome);
        let restarted = self.tree.restart(outcome);
        restarted.map_err(|error| format!("the tree cannot be shown: {error}"))?;
        if outcome != Outcome::Killed {
            self.is_cut = true;
        }
        Ok(())
    }

    /// Starts, however often the process ends in that.
    pub(super) fn start(&mut self) -> Held {
        for start in 0..STARTS_MAX {
            // One in four recoveries ends early, and some find that calls fail.
            if start != 0 && start + 4 < STARTS_MAX && self.chance(4) {
                let change = 1 + self.random.below(12);
                self.tree.end_in(Some(change));
            }
            match self.unless_gone(Self::try_start) {
                Some(Ok(true)) => return Ok(()),
                Some(Ok(false)) => {
                    self.heal();
                    self.pickup = None;
                    self.shelf.end(Outcome::Killed);
                }
                Some(Err(what)) => return Err(what),
                None => {
                    let outcome = self.outcome();
                    self.leave_behind(outcome)?;
                }
            }
        }
        Err("it never starts".to_owned())
    }

    /// Starts as the agent does; false where that is refused by a disk that refuses.
    fn try_start(&mut self) -> Result<bool, String> {
        let is_refusing = self.tree.is_refusing() || self.shelf.disk().is_refusing();
        let refused = |what: String| if is_refusing { Ok(false) } else { Err(what) };
        self.say(|| "a process starts".to_owned());
        if let Err(what) = self.shelf.open() {
            return refused(what);
        }
        if std::mem::take(&mut self.is_cut) {
            let documents = self.shelf.documents()?.0;
            self.producer().cut(&documents)?;
        }
        let clock = Arc::new(self.clock.clone());
        let shelf = Arc::clone(&self.shelf);
        let pickup = match Pickup::open(self.config.clone(), shelf, clock) {
            Ok(pickup) => self.pickup.insert(pickup),
            Err(error) => return refused(format!("no start on sound disks: {error}")),
        };
        match done(pickup.recover())? {
            Ok(recovered) => {
                self.say(|| format!("{recovered:?}"));
                self.shelf.keep_open(&recovered.open);
                Ok(true)
            }
            Err(error) => refused(format!("no recovery on sound disks: {error}")),
        }
    }

    /// Turns until nothing is left to do.
    pub(super) fn rest(&mut self) -> Held {
        let mut scans = 0;
        for _ in 0..TURNS_MAX {
            self.say(|| "a turn".to_owned());
            let pickup = self.pickup.as_mut().expect("it was started");
            let before = pickup.handle().status().scans;
            let until = done(pickup.turn_by_hand(&self.stop))?;
            let status = pickup.handle().status();
            let left = status.ready + status.settling + status.pending + status.unfinished;
            scans = if left == 0 {
                scans + status.scans - before
            } else {
                0
            };
            // The second look finds what a first one only began to watch.
            if 2 <= scans {
                self.shelf.tell();
                return Ok(());
            }
            if let Some(until) = until {
                self.clock.advance(until.since(self.clock.now()));
            }
        }
        let status = self.pickup.as_ref().map(|pickup| pickup.handle().status());
        Err(format!("it does not come to rest: {status:?}"))
    }
}

fn config(tree: &SimTree, random: &mut Random, is_across: bool) -> Config {
    let archive = if random.below(4) == 0 {
        "far/archive"
    } else {
        "data/archive"
    };
    let quarantine = if is_across {
        "share/quarantine"
    } else {
        "data/quarantine"
    };
    let mut config = Config::new(
        tree.path(DROP),
        tree.path("data/work"),
        tree.path(archive),
        tree.path(quarantine),
    );
    config.after = match random.below(8) {
        0..3 => After::Archive,
        3..5 => After::Delete,
        5 => After::Move(tree.path("data/moved")),
        _ => After::Keep,
    };
    config.recursive = random.below(3) == 0;
    if random.below(6) == 0 {
        config.marker = Some(".done".to_owned());
    }
    config.batch_files = [1, 2, 3, 512][random.below(4) as usize];
    if random.below(4) == 0 {
        config.batch_bytes = 3_000;
    }
    config
}

/// What a future comes to that has nobody to wait for.
fn done<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => Err("it waits for somebody".to_owned()),
    }
}

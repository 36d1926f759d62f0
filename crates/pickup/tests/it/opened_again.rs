//! A pickup that died is opened again in the same process, and whoever watches it sees both, and when it turned last.

use crate::bench::{Folders, Ledger, PATIENCE, Running, until};
use mainstay_clock::{Clock, ManualClock, Moment, SharedClock, Sleep, system};
use mainstay_pickup::{Claim, Config, ErrorKind, Handle, Intake, Pickup, Refusal, State, Taken};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const OLD: Duration = Duration::from_hours(2);

fn drop_some(folders: &Folders, numbers: std::ops::Range<u32>) {
    for number in numbers {
        folders.drop_aged(format!("{number}"), format!("{number}"), OLD);
    }
}

/// All is taken once, and nothing is left over.
fn assert_taken_once(folders: &Folders, ledger: &Ledger, count: usize) {
    assert_eq!(ledger.count(), count);
    assert_eq!(folders.contents("archive"), ledger.contents());
    assert!(folders.work_names().is_empty());
    assert!(folders.names("drop").is_empty());
    ledger.assert_closed();
}

async fn is_idle(handle: &Handle) {
    let waited = tokio::time::timeout(PATIENCE, handle.idle()).await;
    assert!(waited.is_ok(), "{:#?}", handle.status());
}

#[tokio::test]
async fn a_pickup_that_died_is_opened_again_and_takes_the_rest() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), system());
    let config = folders.config();
    drop_some(&folders, 0..5);
    let pickup = Pickup::open(config.clone(), Arc::clone(&ledger), clock.clone()).unwrap();
    let running = Running::run(pickup);
    running.idle().await;
    let alive = running.handle.status();
    let locked = Pickup::reopen(
        &running.handle,
        config.clone(),
        Arc::clone(&ledger),
        clock.clone(),
    );
    assert_eq!(locked.unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(
        running.handle.status(),
        alive,
        "who came too early changed nothing"
    );

    ledger.lock().dies = true;
    drop_some(&folders, 5..20);
    running.handle.wake();
    let handle = running.dies().await;
    let dead = handle.status();
    assert_eq!((dead.state, dead.taken), (State::Failed, 5));
    assert!(dead.reason.starts_with("it died"), "{}", dead.reason);
    is_idle(&handle).await;

    let pickup = Pickup::reopen(&handle, config, Arc::clone(&ledger), clock).unwrap();
    let begun = handle.status();
    assert_eq!(
        (begun.state, begun.pending, begun.taken),
        (State::Starting, 0, 5)
    );
    assert_eq!(begun.reason, "");
    let asked = tokio::spawn({
        let handle = handle.clone();
        async move { is_idle(&handle).await }
    });
    let running = Running::run(pickup);
    asked.await.unwrap();
    is_idle(&handle).await;
    assert_taken_once(&folders, &ledger, 20);
    let status = handle.status();
    assert_eq!((status.state, status.taken), (State::Watching, 20));
    assert!(alive.scans < status.scans, "what was counted goes on");
    drop_some(&folders, 20..25);
    is_idle(&handle).await;
    let status = running.stop().await;
    assert_eq!((status.state, status.taken), (State::Stopped, 25));
    assert_taken_once(&folders, &ledger, 25);
}

#[tokio::test]
async fn a_pickup_that_was_dropped_or_stopped_says_so_and_is_opened_again() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), system());
    let again = |handle: &Handle| {
        Pickup::reopen(handle, folders.config(), Arc::clone(&ledger), clock.clone()).unwrap()
    };
    let unused = Pickup::open(folders.config(), Arc::clone(&ledger), clock.clone()).unwrap();
    let handle = unused.handle();
    drop(unused);
    assert_eq!(handle.status().state, State::Stopped);

    ledger.lock().hangs = true;
    drop_some(&folders, 0..10);
    let running = Running::run(again(&handle));
    until("it is offered", || ledger.lock().commits == 1).await;
    let waits = tokio::spawn({
        let handle = handle.clone();
        async move { is_idle(&handle).await }
    });
    tokio::task::yield_now().await;
    running.drop_it().await;
    waits.await.unwrap();
    assert_eq!(handle.status().state, State::Stopped);

    ledger.lock().hangs = false;
    let running = Running::run(again(&handle));
    is_idle(&handle).await;
    assert_eq!(running.stop().await.state, State::Stopped);
    assert_taken_once(&folders, &ledger, 10);
    let running = Running::run(again(&handle));
    is_idle(&handle).await;
    assert_eq!(running.stop().await.taken, 10);
}

#[tokio::test]
async fn what_an_earlier_life_complained_of_is_found_out_anew() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), system());
    let pickup = Pickup::open(folders.config(), Arc::clone(&ledger), clock.clone()).unwrap();
    // A file stands where the quarantine has to be, so that what has to go there stays.
    let quarantine = folders.path("quarantine");
    std::fs::remove_dir(&quarantine).unwrap();
    std::fs::write(&quarantine, "in the way").unwrap();
    std::os::unix::fs::symlink("nowhere", folders.drop_path("link")).unwrap();
    let running = Running::run(pickup);
    running.idle().await;
    assert_eq!(running.handle.status().waiting_total, 1);
    let handle = running.handle.clone();
    running.stop().await;
    std::fs::remove_file(&quarantine).unwrap();
    let pickup = Pickup::reopen(&handle, folders.config(), Arc::clone(&ledger), clock).unwrap();
    assert_eq!(handle.status().waiting_total, 0);
    let running = Running::run(pickup);
    is_idle(&handle).await;
    let status = running.stop().await;
    assert_eq!((status.quarantined, status.waiting_total), (1, 0));
}

#[tokio::test]
async fn a_pickup_that_is_idle_turns_all_the_same() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    let mut config = folders.config();
    config.rescan = Duration::from_hours(24);
    let running = Running::start_by(config, &ledger, &clock);
    running.idle().await;
    let (scans, turn) = (running.handle.status().scans, Pickup::<Ledger>::TURN);
    for _ in 0..12 {
        let before = running.handle.turned();
        until("it turns", || {
            clock.advance(Duration::from_secs(1));
            turn <= running.handle.turned().since(before)
        })
        .await;
    }
    let status = running.handle.status();
    assert_eq!(
        (status.scans, status.state),
        (scans, State::Watching),
        "nothing was looked at for it"
    );
    assert_eq!(running.handle.is_away(), None);
    // It still hears.
    folders.drop_file("x", "x");
    until("it is taken", || ledger.count() == 1).await;
    running.stop().await;
}

/// A ledger that does not answer when it is told of a claim that is closed, until it may: as a folder that hangs.
struct Hanging {
    ledger: Arc<Ledger>,
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(PartialEq)]
enum Gate {
    Closed,
    Met,
    Open,
}

impl Intake for Hanging {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        self.ledger.commit(files).await
    }

    fn is_committed(&self, claim: Claim) -> bool {
        self.ledger.is_committed(claim)
    }

    fn closed(&self, claims: Vec<Claim>) {
        let mut gate = self.gate.lock().unwrap();
        while *gate != Gate::Open {
            *gate = Gate::Met;
            gate = self.changed.wait(gate).unwrap();
        }
        drop(gate);
        self.ledger.closed(claims);
    }
}

#[tokio::test]
async fn a_pickup_whose_thread_hangs_says_since_when_and_is_not_opened_again_before_it_is_back() {
    let (folders, ledger, clock) = (Folders::new(), Ledger::new(), ManualClock::new());
    let hanging = Arc::new(Hanging {
        ledger: Arc::clone(&ledger),
        gate: Mutex::new(Gate::Closed),
        changed: Condvar::new(),
    });
    let shared_clock: mainstay_clock::SharedClock = Arc::new(clock.clone());
    let open = || {
        Pickup::open(
            folders.config(),
            Arc::clone(&hanging),
            Arc::clone(&shared_clock),
        )
    };
    let running = Running::run(open().unwrap());
    let handle = running.handle.clone();
    running.until("watching", |status| status.has_events).await;
    folders.drop_file("x", "x");
    until("it hangs", || *hanging.gate.lock().unwrap() == Gate::Met).await;
    let since = handle.is_away().expect("it is away");
    let turned = handle.turned();
    for _ in 0..60 {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert_eq!((handle.is_away(), handle.turned()), (Some(since), turned));

    running.drop_it().await;
    assert_eq!(handle.status().state, State::Stopped);
    let again = || {
        let (config, clock) = (folders.config(), Arc::clone(&shared_clock));
        Pickup::reopen(&handle, config, Arc::clone(&hanging), clock)
    };
    assert_eq!(again().unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(handle.is_away(), Some(since), "it still is");

    *hanging.gate.lock().unwrap() = Gate::Open;
    hanging.changed.notify_all();
    let mut opened = None;
    until("it is back", || {
        opened = again().ok();
        opened.is_some()
    })
    .await;
    assert_eq!(handle.is_away(), None);
    assert_eq!(handle.turned(), clock.now());
    let running = Running::run(opened.unwrap());
    running.until("watching", |status| status.has_events).await;
    folders.drop_file("y", "y");
    until("both are taken", || ledger.count() == 2).await;
    is_idle(&handle).await;
    running.stop().await;
    assert_taken_once(&folders, &ledger, 2);
}

/// A ledger that panics when it is told of a claim that is closed, on the thread that has the folders.
struct Dying(Arc<Ledger>);

impl Intake for Dying {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        self.0.commit(files).await
    }

    fn is_committed(&self, claim: Claim) -> bool {
        self.0.is_committed(claim)
    }

    fn closed(&self, _: Vec<Claim>) {
        panic!("it dies");
    }
}

/// A clock by which somebody else tries to take the folders when a thread that dies asks for the time, as it comes back.
#[derive(Debug)]
struct AtLastMoment {
    clock: SharedClock,
    config: Config,
    came_to: Mutex<Vec<Option<ErrorKind>>>,
}

impl Clock for AtLastMoment {
    fn now(&self) -> Moment {
        if std::thread::panicking() {
            let opened = Pickup::open(self.config.clone(), Ledger::new(), system());
            let refused = opened.err().map(|error| error.kind());
            self.came_to.lock().unwrap().push(refused);
        }
        self.clock.now()
    }

    fn wall(&self) -> u64 {
        self.clock.wall()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.clock.sleep(duration)
    }
}

/// The lock was free before a thread that had died was back: of the one that was opened in between it was told then that its thread
/// is not at work.
#[tokio::test]
async fn a_thread_that_dies_is_back_before_anybody_else_can_have_the_folders() {
    let (folders, ledger) = (Folders::new(), Ledger::new());
    let clock = Arc::new(AtLastMoment {
        clock: system(),
        config: folders.config(),
        came_to: Mutex::default(),
    });
    drop_some(&folders, 0..1);
    let dying = Arc::new(Dying(Arc::clone(&ledger)));
    let pickup = Pickup::open(folders.config(), dying, clock.clone()).unwrap();
    let handle = Running::run(pickup).dies().await;
    assert_eq!(*clock.came_to.lock().unwrap(), [Some(ErrorKind::Locked)]);
    assert_eq!(handle.is_away(), None);
    let again = Pickup::reopen(&handle, folders.config(), Arc::clone(&ledger), clock).unwrap();
    let running = Running::run(again);
    is_idle(&handle).await;
    running.stop().await;
    assert_eq!((ledger.count(), handle.is_away()), (1, None));
}

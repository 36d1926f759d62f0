//! F1 and F2 where a process is killed in any of its calls, the next one starts, and then the power goes: what the first had not
//! put on the disk is still undone by that, unless the second has.

use mainstay_clock::{Clock, ManualClock};
use mainstay_pickup::{After, Claim, Config, Content, Intake, Pickup, Refusal, Taken};
use mainstay_testkit::sim_disk::Outcome;
use mainstay_testkit::sim_tree::{EIO, Fault, Gone, Machine, On, SimTree, Volume, at, start};
use std::collections::BTreeSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// More calls than it takes to take one file.
const CALLS: u64 = 24;

/// In no call.
const NEVER: u64 = u64::MAX;

/// Longer than a sector, and not synced by who dropped it.
const CONTENT: [u8; 1_500] = [b'x'; 1_500];

/// Books that survive everything.
#[derive(Default)]
struct Books {
    stored: Mutex<Vec<Vec<u8>>>,
    open: Mutex<BTreeSet<Claim>>,
    rejects: bool,
}

impl Intake for Books {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        if let Some(file) = files.first().filter(|_| self.rejects) {
            return Err(Refusal::Rejected {
                claim: file.claim,
                reason: "nobody wants it".to_owned(),
            });
        }
        for file in files {
            let Content::Bytes(bytes) = file.content else {
                panic!("it is small")
            };
            self.stored.lock().unwrap().push(bytes);
            self.open.lock().unwrap().insert(file.claim);
        }
        Ok(())
    }

    fn is_committed(&self, claim: Claim) -> bool {
        self.open.lock().unwrap().contains(&claim)
    }

    fn closed(&self, claims: Vec<Claim>) {
        let mut open = self.open.lock().unwrap();
        open.retain(|claim| !claims.contains(claim));
    }
}

fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// One life: it recovers, forgets the claims that are over, as the agent does, and takes what is there.
fn live(config: &Config, books: &Arc<Books>, clock: &ManualClock) {
    let clock = Arc::new(clock.clone());
    let mut pickup = Pickup::open(config.clone(), Arc::clone(books), clock.clone()).unwrap();
    let open = done(pickup.recover()).unwrap().open;
    books
        .open
        .lock()
        .unwrap()
        .retain(|claim| open.contains(claim));
    turn(&mut pickup, &clock);
}

/// Turns until there was time for everything.
fn turn(pickup: &mut Pickup<Books>, clock: &ManualClock) {
    for _ in 0..6 {
        let until = done(pickup.turn_by_hand(&CancellationToken::new()));
        if let Some(until) = until {
            clock.advance(until.since(clock.now()));
        }
    }
}

/// The folders, with that of the drops on this file system.
fn tree(volume: Volume) -> (TempDir, Rc<SimTree>) {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.unwrap();
    let tree = Rc::new(SimTree::new(folder.path(), 1).unwrap());
    for (path, volume) in [("data", 0), ("share", volume), ("share/drop", volume)] {
        tree.lay_folder(path, volume).unwrap();
    }
    (folder, tree)
}

fn config(tree: &SimTree) -> Config {
    let path = |name: &str| tree.path(name);
    Config::new(
        path("share/drop"),
        path("data/work"),
        path("data/archive"),
        path("data/quarantine"),
    )
}

/// One life that ends in this call; where there are not so many, it ends well.
fn live_until(tree: &SimTree, call: u64, live: impl Fn()) {
    tree.end_in(Some(call));
    if let Err(panic) = catch_unwind(AssertUnwindSafe(live))
        && !panic.is::<Gone>()
    {
        resume_unwind(panic);
    }
}

/// The process is killed in the one call, and the power goes in the other one of the next process; how many documents there are
/// in the end, and which originals.
fn killed_then_cut(after: &str, volume: u8, killed: u64, cut: u64) -> (usize, Vec<Vec<u8>>) {
    let (_folder, tree) = tree(volume);
    let mut config = config(&tree);
    config.after = match after {
        "archive" => After::Archive,
        "delete" => After::Delete,
        _ => After::Keep,
    };
    let (books, clock) = (Arc::new(Books::default()), ManualClock::new());
    let _started = start(Rc::clone(&tree) as Rc<dyn Machine>);
    live(&config, &books, &clock);
    tree.drop_file("share/drop/x", &CONTENT, at(clock.wall() - 60_000), Some(1))
        .unwrap();
    if cut != NEVER {
        // What its producer did not put on the disk may be lost before it is taken.
        tree.sync("share/drop/x").unwrap();
    }
    live_until(&tree, killed, || live(&config, &books, &clock));
    tree.restart(Outcome::Killed).unwrap();
    live_until(&tree, cut, || live(&config, &books, &clock));
    tree.restart(Outcome::AllLost).unwrap();
    live(&config, &books, &clock);
    let archived = tree.contents("data/archive").unwrap();
    let archived = archived.into_iter().map(|(_, content)| content).collect();
    (books.stored.lock().unwrap().len(), archived)
}

/// Two lives between the kill and the power cut: a claim that was forgotten was committed again.
#[test]
fn a_claim_is_over_only_once_no_power_cut_brings_its_file_back() {
    for (after, volume) in [("delete", 0), ("archive", 0), ("archive", 1), ("keep", 0)] {
        for call in 1..=CALLS {
            let (stored, _) = killed_then_cut(after, volume, call, NEVER);
            assert_eq!(stored, 1, "{after}, volume {volume}, killed in call {call}");
        }
    }
}

/// What was claimed and is copied next was in its old place again, with its copy committed.
#[test]
fn what_an_earlier_life_claimed_is_there_for_good_before_it_is_committed() {
    for (after, volume) in [("delete", 0), ("delete", 1)] {
        for killed in 1..=CALLS / 2 {
            for cut in 1..=CALLS {
                let (stored, _) = killed_then_cut(after, volume, killed, cut);
                assert_eq!(stored, 1, "volume {volume}, {killed} and {cut}");
            }
        }
    }
}

/// On another file system nobody had put its removal on the disk; it was put back, and marked the next file of that name.
#[test]
fn the_marker_of_a_file_that_was_refused_stays_away_after_a_power_cut() {
    for volume in [0, 1] {
        let (_folder, tree) = tree(volume);
        let mut config = config(&tree);
        config.marker = Some(".done".to_owned());
        config.quarantine = tree.path("share/quarantine");
        let books = Arc::new(Books {
            rejects: true,
            ..Books::default()
        });
        let clock = ManualClock::new();
        let _started = start(Rc::clone(&tree) as Rc<dyn Machine>);
        for (name, content) in [("x", &CONTENT[..]), ("x.done", b"")] {
            let path = format!("share/drop/{name}");
            let modified = at(clock.wall() - 60_000);
            tree.drop_file(&path, content, modified, None).unwrap();
            tree.sync(&path).unwrap();
        }
        live(&config, &books, &clock);
        tree.restart(Outcome::AllLost).unwrap();
        live(&config, &books, &clock);
        let left = tree.contents("share/drop").unwrap();
        assert!(left.is_empty(), "volume {volume}: {left:?}");
        let kept = tree.contents("share/quarantine").unwrap();
        assert!(kept.iter().any(|(_, content)| *content == CONTENT));
    }
}

/// Found in the work folder at a start, it was committed and archived, and its content was on no disk.
#[test]
fn an_original_is_whole_though_the_life_that_took_it_was_killed_before_its_sync() {
    for volume in [0, 1] {
        for call in 1..=CALLS {
            let (_, archived) = killed_then_cut("archive", volume, call, NEVER);
            assert!(
                archived == [CONTENT.to_vec()],
                "volume {volume}, killed in call {call}: {} originals",
                archived.len()
            );
        }
    }
}

/// Taken before its file, which could not be, it stayed in the work folder until the next start, and the file where it was
/// dropped.
#[test]
fn a_marker_whose_file_could_not_be_taken_goes_back_while_it_runs() {
    let mut strays = 0;
    let (short, long) = ("x".to_owned(), "y".repeat(250));
    for (volume, stem, marks_again) in [
        (0, &short, false),
        (1, &short, false),
        (0, &long, false),
        (0, &short, true),
    ] {
        for after in 0..8 {
            let (_folder, tree) = tree(volume);
            let mut config = config(&tree);
            config.marker = Some(".done".to_owned());
            config.quarantine = tree.path("share/quarantine");
            let (books, clock) = (Arc::new(Books::default()), ManualClock::new());
            let _started = start(Rc::clone(&tree) as Rc<dyn Machine>);
            let shared = Arc::new(clock.clone());
            let mut pickup = Pickup::open(config, Arc::clone(&books), shared).unwrap();
            done(pickup.recover()).unwrap();
            turn(&mut pickup, &clock);
            let drop_file = |name: &str, content: &[u8]| {
                let path = format!("share/drop/{name}");
                let modified = at(clock.wall() - 60_000);
                tree.drop_file(&path, content, modified, None).unwrap();
            };
            drop_file(stem, &CONTENT);
            drop_file(&format!("{stem}.done"), b"");
            tree.refuse(Some(Fault {
                on: Some(On::Changes),
                after,
                count: u64::MAX,
                code: 24,
            }));
            turn(&mut pickup, &clock);
            let marker = |(name, _): &(String, Vec<u8>)| name.contains('@');
            let held = tree.contents("data/work").unwrap();
            let dropped = tree.contents("share/drop").unwrap();
            let is_file = |(name, _): &(String, Vec<u8>)| name == stem;
            if held.iter().any(marker) && dropped.iter().any(is_file) {
                strays += 1;
                if marks_again {
                    // Its producer does not see it any more.
                    drop_file(&format!("{stem}.done"), b"");
                }
            }
            tree.refuse(None);
            turn(&mut pickup, &clock);
            let stored = books.stored.lock().unwrap().len();
            assert_eq!(stored, 1, "volume {volume}, failing after {after}");
            for folder in ["data/work", "share/drop"] {
                let left = tree.contents(folder).unwrap();
                let is_marker = |(name, _): &(String, Vec<u8>)| name.contains(".done");
                assert!(!left.iter().any(is_marker), "{folder}: {left:?}");
            }
        }
    }
    assert!(0 < strays, "no marker was ever without its file");
}

/// Its name in the work folder is cut; archived under that, nobody would find it again.
#[test]
fn a_path_that_cannot_be_read_at_a_start_is_not_done_without() {
    let name = "y".repeat(250);
    let mut refused = 0;
    for volume in [0, 1] {
        for (look, killed) in (0..30).flat_map(|look| (6..16).map(move |killed| (look, killed))) {
            let (_folder, tree) = tree(volume);
            let config = config(&tree);
            let (books, clock) = (Arc::new(Books::default()), ManualClock::new());
            let _started = start(Rc::clone(&tree) as Rc<dyn Machine>);
            live(&config, &books, &clock);
            let (path, modified) = (format!("share/drop/{name}"), at(clock.wall() - 60_000));
            tree.drop_file(&path, &CONTENT, modified, None).unwrap();
            // In some of them it is claimed, and not committed yet.
            live_until(&tree, killed, || live(&config, &books, &clock));
            tree.restart(Outcome::Killed).unwrap();
            tree.refuse(Some(Fault {
                on: Some(On::Looks),
                after: look,
                count: 1,
                code: EIO,
            }));
            let shared = Arc::new(clock.clone());
            if let Ok(mut pickup) = Pickup::open(config.clone(), Arc::clone(&books), shared) {
                match done(pickup.recover()) {
                    Ok(_) => turn(&mut pickup, &clock),
                    Err(_) => refused += 1,
                }
            }
            tree.refuse(None);
            live(&config, &books, &clock);
            let archived = tree.contents("data/archive").unwrap();
            let names: Vec<_> = archived
                .iter()
                .map(|(path, _)| &path[path.len() - 250..])
                .collect();
            assert_eq!(names, [&*name], "volume {volume}, {killed}, look {look}");
            assert_eq!(books.stored.lock().unwrap().len(), 1);
        }
    }
    assert!(0 < refused, "no start was ever refused");
}

/// Synced once more, the system says Ok and does nothing: the file was back after the power cut, and its claim closed.
#[test]
fn a_removal_that_was_not_confirmed_is_not_believed_because_the_next_sync_says_so() {
    for after in [After::Archive, After::Delete] {
        for (sync, count) in (0..16).flat_map(|sync| [(sync, 1), (sync, 2)]) {
            let (_folder, tree) = tree(1);
            let mut config = config(&tree);
            config.after = after.clone();
            let (books, clock) = (Arc::new(Books::default()), ManualClock::new());
            let _started = start(Rc::clone(&tree) as Rc<dyn Machine>);
            live(&config, &books, &clock);
            let modified = at(clock.wall() - 60_000);
            tree.drop_file("share/drop/x", &CONTENT, modified, None)
                .unwrap();
            tree.sync("share/drop/x").unwrap();
            tree.refuse(Some(Fault {
                on: Some(On::Syncs),
                after: sync,
                count,
                code: EIO,
            }));
            let shared = Arc::new(clock.clone());
            if let Ok(mut pickup) = Pickup::open(config.clone(), Arc::clone(&books), shared)
                && done(pickup.recover()).is_ok()
            {
                turn(&mut pickup, &clock);
                turn(&mut pickup, &clock);
            }
            tree.restart(Outcome::AllLost).unwrap();
            live(&config, &books, &clock);
            let stored = books.stored.lock().unwrap().len();
            assert_eq!(stored, 1, "{after:?}, sync {sync} and {count}");
        }
    }
}

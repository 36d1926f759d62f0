//! What the disk refuses is never counted as done, and what it takes again is taken.

use mainstay_queue::disk::{Disk, DiskFile, Entry, Folder, RealDisk};
use mainstay_queue::store::{Op, Outcome, Store, Verdict};
use mainstay_queue::{
    Config, DocumentId, ErrorKind, Io, LaneId, LogStore, Mode, NewBody, NewDocument,
};
use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tempfile::TempDir;

/// What goes wrong, and what was done.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// So many commits fail, one after the other.
    pub(crate) commits_that_fail: AtomicI64,
    /// So many syncs of a folder fail, one after the other.
    pub(crate) folder_syncs_that_fail: AtomicI64,
    /// After so many changes the machine stops: nothing more reaches the disk. 0 for never.
    pub(crate) stops_after: AtomicU64,
    changes: AtomicU64,
    /// So many bytes are left on the disk.
    pub(crate) free: AtomicU64,
    /// After so many changes more, and while somebody holds the gate for themselves, nothing is written, and whoever writes says so.
    pub(crate) hangs_after: AtomicI64,
    pub(crate) gate: RwLock<()>,
    pub(crate) has_come: AtomicBool,
    /// Files that a commit or a sync failed on, and what was committed to or synced after that.
    failed: Mutex<HashSet<String>>,
    touched_again: Mutex<Vec<String>>,
}

impl Faults {
    fn change(&self) -> io::Result<()> {
        if self.hangs_after.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.has_come.store(true, Ordering::SeqCst);
            drop(self.gate.read().unwrap());
        }
        let count = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        let limit = self.stops_after.load(Ordering::SeqCst);
        if limit != 0 && limit < count {
            Err(io::Error::other("the machine has stopped"))
        } else {
            Ok(())
        }
    }
}

/// The real disk, with faults.
#[derive(Debug)]
struct FaultyDisk {
    disk: RealDisk,
    faults: Arc<Faults>,
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn DiskFile>,
    name: String,
    faults: Arc<Faults>,
}

impl FaultyDisk {
    fn wrap(&self, name: &str, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile {
            file,
            name: name.to_owned(),
            faults: Arc::clone(&self.faults),
        })
    }
}

impl Disk for FaultyDisk {
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>> {
        self.disk.list(folder)
    }

    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.faults.change()?;
        Ok(self.wrap(name, self.disk.create(folder, name)?))
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.wrap(name, self.disk.open(folder, name)?))
    }

    fn rename(&self, folder: Folder, from: &str, to: &str) -> io::Result<()> {
        self.faults.change()?;
        // Under its new name it is another file.
        self.faults.failed.lock().unwrap().remove(from);
        self.disk.rename(folder, from, to)
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        self.faults.change()?;
        let len = self.disk.open(folder, name)?.len()?;
        self.disk.remove(folder, name)?;
        self.faults.free.fetch_add(len, Ordering::SeqCst);
        Ok(())
    }

    fn sync_folder(&self, folder: Folder) -> io::Result<()> {
        self.faults.change()?;
        let left = &self.faults.folder_syncs_that_fail;
        if 0 < left.load(Ordering::SeqCst) && 0 < left.fetch_sub(1, Ordering::SeqCst) {
            return Err(io::Error::other("the disk says no"));
        }
        self.disk.sync_folder(folder)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.faults.free.load(Ordering::SeqCst))
    }
}

impl FaultyFile {
    fn confirm(&self, confirm: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.faults.change()?;
        if self.faults.failed.lock().unwrap().contains(&self.name) {
            self.faults
                .touched_again
                .lock()
                .unwrap()
                .push(self.name.clone());
        }
        confirm()
    }
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.faults.change()?;
        let grows = (offset + bytes.len() as u64).saturating_sub(self.file.len()?);
        let free = self.faults.free.load(Ordering::SeqCst);
        if free < grows {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.faults.free.fetch_sub(grows, Ordering::SeqCst);
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.confirm(|| self.file.sync())
    }

    fn commit_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if 0 < self.faults.commits_that_fail.fetch_sub(1, Ordering::SeqCst) {
            self.faults.failed.lock().unwrap().insert(self.name.clone());
            return Err(io::Error::other("the disk says no"));
        }
        self.confirm(|| self.file.commit_at(bytes, offset))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.change()?;
        let given_back = self.file.len()?.saturating_sub(len);
        self.file.set_len(len)?;
        self.faults.free.fetch_add(given_back, Ordering::SeqCst);
        Ok(())
    }
}

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) config: Config,
    pub(crate) faults: Arc<Faults>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let config = Config {
            first_segment_bytes: 64 * 1024,
            segment_bytes: 256 * 1024,
            reserve_bytes: 64 * 1024,
            retain_documents: 0,
            io: Io::Buffered,
            ..Config::default()
        };
        let bench = Self {
            folder: TempDir::new().unwrap(),
            config,
            faults: Arc::default(),
        };
        bench.heal();
        bench
    }

    pub(crate) fn heal(&self) {
        self.faults.commits_that_fail.store(0, Ordering::SeqCst);
        self.faults
            .folder_syncs_that_fail
            .store(0, Ordering::SeqCst);
        self.faults.stops_after.store(0, Ordering::SeqCst);
        self.faults.changes.store(0, Ordering::SeqCst);
        self.faults.free.store(1 << 40, Ordering::SeqCst);
    }

    pub(crate) fn try_open(&self) -> Result<LogStore, mainstay_queue::Error> {
        let disk = RealDisk::open(self.folder.path(), Io::Buffered).unwrap();
        let disk = FaultyDisk {
            disk,
            faults: Arc::clone(&self.faults),
        };
        LogStore::open(Arc::new(disk), &self.config).map(|(store, _)| store)
    }

    pub(crate) fn open(&self) -> (LogStore, LaneId) {
        let store = self.try_open().unwrap();
        let answer = store
            .commit(&[Op::DeclareLane("main".to_owned())])
            .answers
            .remove(0)
            .unwrap();
        let Outcome::Lane(lane) = answer else {
            panic!("a lane is declared")
        };
        (store, lane)
    }
}

pub(crate) fn put(store: &LogStore, lane: LaneId, size: usize) -> Result<DocumentId, ErrorKind> {
    let document = NewDocument::new(vec![lane], vec![7; size]);
    let id = document.id;
    let op = Op::Enqueue {
        documents: vec![document],
        claims: Vec::new(),
    };
    store
        .commit(&[op])
        .answers
        .remove(0)
        .map(|_| id)
        .map_err(|error| error.kind())
}

pub(crate) fn acknowledge(store: &LogStore, lane: LaneId) -> Result<(), ErrorKind> {
    settle(store, lane, store.lease(lane).expect("a document is ready"))
}

fn settle(store: &LogStore, lane: LaneId, id: DocumentId) -> Result<(), ErrorKind> {
    let op = Op::Settle {
        id,
        lane,
        verdict: Verdict::Acknowledged,
        note: String::new(),
    };
    store
        .commit(&[op])
        .answers
        .remove(0)
        .map(drop)
        .map_err(|error| error.kind())
}

#[test]
fn a_write_that_fails_is_never_repeated_in_the_same_file() {
    let bench = Bench::new();
    let (store, lane) = bench.open();
    put(&store, lane, 100).unwrap();
    bench.faults.commits_that_fail.store(1, Ordering::SeqCst);
    let kept = put(&store, lane, 100).expect("it is written to a fresh segment");
    put(&store, lane, 100).unwrap();
    assert_eq!(
        *bench.faults.touched_again.lock().unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(bench.faults.failed.lock().unwrap().len(), 1);
    assert_eq!(store.mode(), Mode::Writable);
    drop(store);
    let (store, _) = bench.open();
    assert_eq!(store.ledger().queued, 3);
    assert!(store.load(kept).unwrap().is_some());
}

/// The log may speak of it after all, once the disk is back; what it needs then must be there.
#[test]
fn a_body_whose_document_the_disk_did_not_confirm_stays_until_the_next_start() {
    let bench = Bench::new();
    let (store, lane) = bench.open();
    let mut writer = store.body_writer().unwrap();
    writer.write(&[1; 300_000]).unwrap();
    let mut document = NewDocument::new(vec![lane], Vec::new());
    document.body = NewBody::File(writer.finish().unwrap());
    let bodies = || {
        std::fs::read_dir(bench.folder.path().join("bodies"))
            .unwrap()
            .count()
    };
    bench
        .faults
        .commits_that_fail
        .store(i64::MAX, Ordering::SeqCst);
    let op = Op::Enqueue {
        documents: vec![document],
        claims: Vec::new(),
    };
    let answers = store.commit(std::slice::from_ref(&op)).answers;
    assert!(matches!(&answers[0], Err(error) if error.kind() == ErrorKind::NotDurable));
    drop(op);
    bench.heal();
    store.maintain();
    assert_eq!(bodies(), 1);
    drop(store);
    let (store, _) = bench.open();
    assert_eq!(
        bodies() as u64,
        store.ledger().queued,
        "it is there exactly if it is needed"
    );
}

#[test]
fn a_disk_that_confirms_nothing_stops_intake_says_so_and_loses_nothing() {
    let bench = Bench::new();
    let (store, lane) = bench.open();
    let kept = put(&store, lane, 100).unwrap();
    bench
        .faults
        .commits_that_fail
        .store(i64::MAX, Ordering::SeqCst);
    assert_eq!(put(&store, lane, 100), Err(ErrorKind::NotDurable));
    assert!(
        matches!(store.mode(), Mode::ReadOnly(_)),
        "{:?}",
        store.mode()
    );
    assert_eq!(
        store.ledger().accepted,
        1,
        "what was refused is not counted"
    );
    assert_eq!(store.lease(lane), Some(kept), "delivery goes on");
    bench.heal();
    put(&store, lane, 100).expect("it takes documents again once the disk does");
    assert_eq!(store.mode(), Mode::Writable);
    assert_eq!(
        *bench.faults.touched_again.lock().unwrap(),
        Vec::<String>::new()
    );
    drop(store);
    assert_eq!(bench.open().0.ledger().queued, 2);
}

#[test]
fn a_full_disk_takes_acknowledgements_and_then_documents_again() {
    let bench = Bench::new();
    bench.faults.free.store(1_200_000, Ordering::SeqCst);
    let (store, lane) = bench.open();
    store.maintain();
    let mut stored = 0;
    while put(&store, lane, 20_000).is_ok() {
        store.maintain();
        stored += 1;
    }
    assert!(10 < stored && stored < 60, "{stored} stored");
    assert!(matches!(store.mode(), Mode::Full(_)), "{:?}", store.mode());
    assert_eq!(put(&store, lane, 20_000), Err(ErrorKind::Full));
    assert_eq!(
        store.ledger().accepted,
        stored,
        "nothing half-written is counted"
    );
    // It can be opened as it is, and acknowledges.
    drop(store);
    let (store, lane) = bench.open();
    assert_eq!(store.ledger().queued, stored);
    for _ in 0..stored {
        acknowledge(&store, lane).expect("an acknowledgement fits on a full disk");
        // As the thread that keeps house does it: what is settled makes room for the next acknowledgements.
        store.maintain();
    }
    store.commit(&[]);
    store.advance_cursor();
    store.maintain();
    put(&store, lane, 20_000).expect("room has come back");
    assert!(store.ledger().is_balanced());
}

/// What the two threads of the queue do while nothing else happens.
fn tidy_up(store: &LogStore) {
    store.commit(&[]);
    while store.wants_cleaning() && store.clean_step() || store.advance_cursor() {}
    store.maintain();
}

#[test]
fn a_disk_that_others_keep_full_takes_documents_again_once_those_before_are_delivered() {
    let mut bench = Bench::new();
    bench.config.first_segment_bytes = 256 * 1024;
    bench.config.reserve_bytes = 256 * 1024;
    let (store, lane) = bench.open();
    // Room for the reserve, not for a segment made ahead; then others take whatever is left.
    bench.faults.free.store(600_000, Ordering::SeqCst);
    store.maintain();
    bench.faults.free.store(0, Ordering::SeqCst);
    while put(&store, lane, 50_000).is_ok() {}
    assert!(matches!(store.mode(), Mode::Full(_)), "{:?}", store.mode());
    // So few that their acknowledgements fit behind them: the segment in use stays the same.
    while let Some(id) = store.lease(lane) {
        settle(&store, lane, id).unwrap();
    }
    for _ in 0..3 {
        tidy_up(&store);
    }
    assert_eq!(store.mode(), Mode::Writable);
    put(&store, lane, 20_000).expect("what was delivered makes room");
    drop(store);
    assert_eq!(bench.open().0.ledger().queued, 1);
}

/// The name had changed when the sync failed, and the log went on counting on a reserve that had another name: the next
/// acknowledgements found none, for as long as the process lived.
#[test]
fn a_reserve_that_could_not_be_taken_is_there_for_the_next_acknowledgement() {
    let bench = Bench::new();
    let (store, lane) = bench.open();
    store.maintain();
    while bench.folder.path().join("reserve").exists() && put(&store, lane, 20_000).is_ok() {
        // Others keep the disk full: what is there is all that there is.
        bench.faults.free.store(0, Ordering::SeqCst);
    }
    assert!(matches!(store.mode(), Mode::Full(_)), "{:?}", store.mode());
    // Retries are settlements too, and fill what is left of the segment in use.
    let id = store.lease(lane).unwrap();
    let again = || {
        let op = Op::Retry {
            id,
            lane,
            after: Duration::ZERO,
            note: String::new(),
        };
        store.commit(&[op]).answers.remove(0)
    };
    bench
        .faults
        .folder_syncs_that_fail
        .store(1, Ordering::SeqCst);
    let refused = (0..1000).find_map(|_| again().err());
    let refused = refused.expect("the reserve is needed, and its folder cannot be synced");
    assert_eq!(refused.kind(), ErrorKind::NotDurable);
    again().expect("the reserve takes it now");
    assert!(!bench.folder.path().join("reserve").exists());
    acknowledge(&store, lane).expect("and what comes after it");
    let left = store.ledger().queued;
    drop(store);
    bench.heal();
    assert_eq!(bench.open().0.ledger().queued, left);
}

#[test]
fn a_batch_that_is_too_large_for_what_is_left_does_not_keep_single_documents_out() {
    let bench = Bench::new();
    let (store, lane) = bench.open();
    store.maintain();
    bench.faults.free.store(0, Ordering::SeqCst);
    let documents: Vec<_> = (0..20)
        .map(|_| NewDocument::new(vec![lane], vec![7; 20_000]))
        .collect();
    let op = Op::Enqueue {
        documents,
        claims: Vec::new(),
    };
    let answer = store.commit(&[op]).answers.remove(0);
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(store.mode(), Mode::Writable);
    put(&store, lane, 20_000).expect("one alone fits into the segment that was made ahead");
}

#[test]
fn a_segment_that_was_made_ahead_and_is_too_small_is_never_written_after_a_later_one() {
    let mut bench = Bench::new();
    bench.config.reserve_bytes = 0;
    bench.config.segment_bytes = 1024 * 1024;
    let (store, lane) = bench.open();
    // Room for a small segment only, when one is made ahead.
    bench.faults.free.store(600_000, Ordering::SeqCst);
    store.maintain();
    bench.faults.free.store(1 << 40, Ordering::SeqCst);
    let large = put(&store, lane, 200_000).unwrap();
    let mut ids = vec![large];
    for _ in 0..40 {
        ids.push(put(&store, lane, 30_000).unwrap());
    }
    drop(store);
    let (store, _) = bench.open();
    assert_eq!(store.ledger().queued, 41);
    for id in ids {
        assert!(store.load(id).unwrap().is_some(), "{id} is readable");
    }
}

#[test]
fn a_segment_that_was_given_back_is_never_missed_at_a_start() {
    let bench = Bench::new();
    let (store, lane) = bench.open();
    put(&store, lane, 300).unwrap();
    drop(store);
    // Its document is copied forward, and no later group says yet that it is not needed.
    let (store, lane) = bench.open();
    put(&store, lane, 300).unwrap();
    assert!(store.clean_step());
    for _ in 0..3 {
        drop(store_after_upkeep(&bench));
    }
    assert_eq!(bench.open().0.ledger().queued, 2);
}

fn enqueue(documents: Vec<NewDocument>) -> Op {
    Op::Enqueue {
        documents,
        claims: Vec::new(),
    }
}

/// What recovery copies stands under other sequences from then on. Part of it was copied forward under the old ones, the rest at a
/// later start under the new ones: the first of a batch was offered last.
#[test]
fn the_order_of_documents_survives_a_recovery_that_copies_them_and_what_is_copied_forward_after_it()
{
    let mut bench = Bench::new();
    bench.config.first_segment_bytes = 4 << 20;
    bench.config.segment_bytes = 4 << 20;
    let (store, lane) = bench.open();
    let document = |size| NewDocument::new(vec![lane], vec![7; size]);
    let small: Vec<_> = (0..4).map(|_| document(10)).collect();
    let large: Vec<_> = (0..5).map(|_| document(250_000)).collect();
    let wanted: Vec<DocumentId> = large.iter().map(|document| document.id).collect();
    let gone: Vec<DocumentId> = small.iter().map(|document| document.id).collect();
    let mut large = large.into_iter();
    // The others take the places that become free before the first of the large ones.
    let first = large.next().into_iter();
    let mut ops = vec![enqueue(small.into_iter().chain(first).collect())];
    ops.extend(gone.into_iter().map(|id| Op::Settle {
        id,
        lane,
        verdict: Verdict::Discarded,
        note: String::new(),
    }));
    ops.extend(large.map(|document| enqueue(vec![document])));
    assert!(store.commit(&ops).answers.iter().all(Result::is_ok));
    drop(store);
    std::fs::remove_file(bench.folder.path().join("watermark")).unwrap();

    let (store, lane) = bench.open();
    // Others come and go, until the log goes on in another segment.
    for _ in 0..20 {
        let id = put(&store, lane, 200_000).unwrap();
        settle(&store, lane, id).unwrap();
    }
    assert!(store.clean_step(), "a part is copied forward");
    drop(store);
    let (store, _) = bench.open();
    assert!(
        store.clean_step(),
        "the rest is copied forward after a start"
    );
    while store.advance_cursor() {}
    store.maintain();
    drop(store);
    let store = store_after_upkeep(&bench);
    let offered: Vec<_> = (0..5).filter_map(|_| store.lease(lane)).collect();
    assert_eq!(offered, wanted);
}

/// Opens the store, which has to miss nothing, and gives back what it can.
fn store_after_upkeep(bench: &Bench) -> LogStore {
    let (store, _) = bench.open();
    assert_eq!(store.damage(), []);
    store.maintain();
    store
}

#[test]
fn a_recovery_that_is_cut_anywhere_leads_to_the_same_result_at_the_next_start() {
    let bench = Bench::new();
    let (store, lane) = bench.open();
    for size in [100, 9_000, 30_000, 30_000, 100] {
        put(&store, lane, size).unwrap();
    }
    acknowledge(&store, lane).unwrap();
    let expected = store.ledger();
    drop(store);
    // The power goes: nothing says that the last group was confirmed, so recovery has to copy it.
    std::fs::remove_file(bench.folder.path().join("watermark")).unwrap();
    let mut cuts = 0;
    loop {
        bench.heal();
        bench.faults.stops_after.store(cuts + 1, Ordering::SeqCst);
        let opened = bench.try_open();
        if let Ok(store) = opened {
            assert_eq!(store.ledger(), expected, "after {cuts} cuts");
            break;
        }
        cuts += 1;
        assert!(cuts < 500, "recovery never comes to its end");
    }
    assert!(3 <= cuts, "only {cuts} changes were cut");
    bench.heal();
    let (store, _) = bench.open();
    assert_eq!(store.ledger(), expected);
}

#[test]
fn work_that_is_cut_anywhere_keeps_what_was_acknowledged() {
    for cut in 1..200 {
        let bench = Bench::new();
        let (store, lane) = bench.open();
        bench.faults.changes.store(0, Ordering::SeqCst);
        bench.faults.stops_after.store(cut, Ordering::SeqCst);
        let (mut acknowledged, mut settled) = (Vec::new(), 0);
        for round in 0..12 {
            if let Ok(id) = put(&store, lane, 5_000 * (round % 4) + 1) {
                acknowledged.push(id);
            }
            let leased = if round % 3 == 2 {
                store.lease(lane)
            } else {
                None
            };
            if let Some(id) = leased {
                settled += u64::from(settle(&store, lane, id).is_ok());
            }
            store.maintain();
            store.clean_step();
            store.advance_cursor();
        }
        drop(store);
        bench.heal();
        let (store, _) = bench.open();
        let ledger = store.ledger();
        assert!(ledger.is_balanced(), "cut {cut}: {ledger:?}");
        assert!(
            ledger.accepted >= acknowledged.len() as u64,
            "cut {cut}: {ledger:?}"
        );
        assert!(ledger.delivered >= settled, "cut {cut}: {ledger:?}");
        let kept = acknowledged
            .iter()
            .filter(|id| store.load(**id).unwrap().is_some())
            .count() as u64;
        assert!(
            kept + ledger.delivered >= acknowledged.len() as u64,
            "cut {cut}: {kept} kept, {ledger:?}"
        );
    }
}

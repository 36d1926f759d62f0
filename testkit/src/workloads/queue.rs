//! The queue at work: stores, settles, rotates, recycles, copies forward, exports.

use super::content::{content, hash};
use super::facts::Facts;
use super::hurried::hurried;
use super::{HEALS, Place, block_on, judge};
use anyhow::{Context, Result};
use mainstay_queue::{
    Batch, ClaimId, Config, DocumentId, Filter, Io, LaneId, Lease, NewBody, NewDocument, Queue,
};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Those who keep house are done when the log has not changed for so long.
const QUIET: Duration = Duration::from_millis(4);
/// They are waited for so often at most; a disk that fails keeps them busy.
const LOOKS_MAX: u32 = 10;
/// So often where all that they do has to be seen: a second. On a busy machine a tenth of it was too short in one run of seven.
const LATE_LOOKS_MAX: u32 = 250;
/// After a fault that passes the queue is asked so often, each time after so long, whether it takes documents again; by the
/// clock of these workloads the two seconds are a hundred.
const ASKS_MAX: u64 = 100;
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Whether anything was refused in this process.
static WAS_REFUSED: AtomicBool = AtomicBool::new(false);

pub(super) fn folder(place: &Place) -> PathBuf {
    place.folder.join("queue")
}

/// Small enough that a few dozen documents rotate the log and make snapshots due, and that a run takes milliseconds.
pub(super) fn config() -> Config {
    Config {
        first_segment_bytes: 64 * 1024,
        segment_bytes: 64 * 1024,
        reserve_bytes: 64 * 1024,
        snapshot_bytes: 64 * 1024,
        retain_after_ack: Duration::ZERO,
        clock: hurried(),
        ..Config::default()
    }
}

/// Tells of what was refused.
fn refused<T, E: std::fmt::Display>(what: &str, answer: Result<T, E>) -> Option<T> {
    match answer {
        Ok(value) => Some(value),
        Err(error) => {
            println!("refused {what}: {error}");
            WAS_REFUSED.store(true, Ordering::Relaxed);
            None
        }
    }
}

/// What shows in the folder of those who keep house.
struct House {
    segments: BTreeSet<String>,
    snapshot: Option<Vec<u8>>,
}

impl House {
    /// What shows now; nothing where a fault stands in the way of the look.
    fn look(place: &Place) -> Option<Self> {
        refused("a look", Self::try_look(&folder(place)))
    }

    fn try_look(folder: &Path) -> io::Result<Self> {
        let mut segments = BTreeSet::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with("seg-") {
                segments.insert(name);
            }
        }
        Ok(Self {
            segments,
            snapshot: fs::read(folder.join("snapshot")).ok(),
        })
    }
}

/// A queue that is open, with its one lane.
struct AtWork {
    queue: Queue,
    lane: LaneId,
}

impl AtWork {
    fn open(place: &Place) -> Option<Self> {
        Self::open_with(place, config())
    }

    fn open_with(place: &Place, config: Config) -> Option<Self> {
        let (queue, _) = refused("opening", Queue::open(folder(place), config))?;
        let lane = refused("a lane", queue.declare_lane("reports"))?;
        Some(Self { queue, lane })
    }

    fn document(&self, number: u64, len: usize) -> NewDocument {
        let bytes = content("document", number, len);
        let document = NewDocument::new(vec![self.lane], bytes.clone());
        println!("offer {} {}", document.id, hash(&bytes));
        document
    }

    async fn store(&self, number: u64, len: usize) -> Option<DocumentId> {
        let document = self.document(number, len);
        let id = document.id;
        refused("storing", self.queue.enqueue(document).await)?;
        println!("stored {id}");
        Some(id)
    }

    /// One with a body in a file of its own.
    async fn store_large(&self, number: u64, len: usize) -> Option<DocumentId> {
        let bytes = content("large", number, len);
        let mut writer = refused("a body", self.queue.body_writer())?;
        for piece in bytes.chunks(128 * 1024) {
            refused("a part of a body", writer.write(piece))?;
        }
        let mut document = NewDocument::new(vec![self.lane], "");
        document.body = NewBody::File(refused("the end of a body", writer.finish())?);
        let id = document.id;
        println!("offer {id} {}", hash(&bytes));
        refused("storing", self.queue.enqueue(document).await)?;
        println!("stored {id}");
        Some(id)
    }

    async fn store_together(&self, count: u64) {
        let claim = ClaimId::new();
        let documents: Vec<NewDocument> = (0..count)
            .map(|number| self.document(number, 700))
            .collect();
        let ids: Vec<DocumentId> = documents.iter().map(|document| document.id).collect();
        let words: Vec<String> = ids.iter().map(ToString::to_string).collect();
        println!("batch {claim} {}", words.join(" "));
        let batch = Batch {
            documents,
            claims: vec![claim],
        };
        if refused("a batch", self.queue.enqueue_batch(batch).await).is_some() {
            for id in ids {
                println!("stored {id}");
            }
            println!("closing {claim}");
            self.queue.close_claims(vec![claim]);
        }
    }

    /// Settles the document that is next in line, and tells of both.
    async fn settle<F>(&self, state: &str, settle: impl FnOnce(Lease) -> F)
    where
        F: Future<Output = Result<(), mainstay_queue::Error>>,
    {
        let Some(lease) = self.queue.try_lease(self.lane) else {
            return;
        };
        let id = lease.id();
        println!("settling {id} {state}");
        if refused("settling", settle(lease).await).is_some() {
            println!("settled {id} {state}");
        }
    }

    async fn acknowledge(&self) {
        self.settle("sent", |lease| async { lease.ack().await })
            .await;
    }

    fn export(&self, place: &Place) {
        let path = place.folder.join(format!("export-{}.tar", place.round));
        let filter = Filter {
            limit: usize::MAX,
            ..Filter::default()
        };
        let Some(all) = refused("a listing", self.queue.list(&filter)) else {
            return;
        };
        println!("exporting {} {}", path.display(), all.len());
        let exported = || -> Result<()> {
            // In large pieces: cutting into each of fifty small ones would say nothing more.
            let writer = mainstay_files::Writer::create(&path)?;
            let mut pieces = BufWriter::with_capacity(256 * 1024, writer);
            let documents = self.queue.export(&filter, &mut pieces)?.documents;
            anyhow::ensure!(documents == all.len() as u64, "{documents} were exported");
            pieces.into_inner()?.commit()?;
            Ok(())
        };
        if refused("an export", exported()).is_some() {
            println!("exported {} {}", path.display(), all.len());
        }
    }

    /// Gives the threads that keep house the time to do so before the next step, so that their calls do not make durable
    /// what the next step has to make durable itself. No promise hangs on it.
    fn let_keep_house(&self) {
        let mut before = 0;
        for _ in 0..LOOKS_MAX {
            let now = self.queue.status().log_bytes;
            if now == before {
                return;
            }
            before = now;
            thread::sleep(QUIET);
        }
    }

    /// What those who keep house have not done. A document that stays, and none of the segments that were there when it was
    /// stored: it was copied forward, nothing but that keeps it.
    fn undone(&self, before: &House, after: &House) -> Vec<&'static str> {
        let is_recycled = before.segments.is_disjoint(&after.segments);
        let is_copied = is_recycled && 0 < self.queue.status().ledger.dead;
        let is_written = after.snapshot.is_some() && after.snapshot != before.snapshot;
        [
            (is_recycled, "no segment was recycled"),
            (is_copied, "nothing was copied forward"),
            (is_written, "no snapshot was written"),
        ]
        .into_iter()
        .filter_map(|(is_done, what)| (!is_done).then_some(what))
        .collect()
    }

    /// Waits for those who keep house, and tells of what they have not done by then.
    fn tell_undone(&self, place: &Place, before: &House) {
        let mut undone = Vec::new();
        for _ in 0..LATE_LOOKS_MAX {
            let Some(after) = House::look(place) else {
                return;
            };
            undone = self.undone(before, &after);
            if undone.is_empty() {
                return;
            }
            thread::sleep(QUIET);
        }
        for what in undone {
            println!("missed {what}");
        }
    }

    fn close(self) -> Result<()> {
        // Otherwise its calls would make durable what the last step has to make durable itself.
        if HEALS.load(Ordering::Relaxed) && WAS_REFUSED.load(Ordering::Relaxed) {
            block_on(self.tell_whether_it_goes_on())?;
        }
        self.queue.close_blocking();
        Ok(())
    }

    /// A queue that takes documents only when its process is started again would be none that heals.
    async fn tell_whether_it_goes_on(&self) {
        for ask in 0..ASKS_MAX {
            if self.store(1_000 + ask, 100).await.is_some() {
                return;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        let mode = self.queue.status().mode;
        println!(
            "stuck: the queue takes no documents though nothing fails any more, and is {mode:?}"
        );
    }
}

/// 20 documents one by one, and a clean stop with its snapshot.
pub(super) fn enqueue(place: &Place) -> Result<()> {
    let Some(work) = AtWork::open(place) else {
        return Ok(());
    };
    block_on(async {
        for number in 0..20 {
            work.store(number, 10 + 150 * number as usize).await;
        }
    })?;
    work.close()
}

/// Some of both through the page cache, as on a file system that takes no direct writes.
pub(super) fn buffered(place: &Place) -> Result<()> {
    let config = Config {
        io: Io::Buffered,
        ..config()
    };
    let Some(work) = AtWork::open_with(place, config) else {
        return Ok(());
    };
    block_on(async {
        for number in 0..6 {
            work.store(number, 10 + 900 * number as usize).await;
        }
        work.store_together(3).await;
        work.acknowledge().await;
        work.settle("dead", |lease| async { lease.bury("for good").await })
            .await;
    })?;
    work.close()
}

/// A batch with its claim, acknowledgements, a retry, a burial, and more of it after a clean stop.
pub(super) fn settle(place: &Place) -> Result<()> {
    for _ in 0..2 {
        let Some(work) = AtWork::open(place) else {
            return Ok(());
        };
        block_on(async {
            work.store_together(5).await;
            work.acknowledge().await;
            let later = Duration::from_hours(1);
            work.settle("pending", |lease| async move {
                lease.retry(later, "not now").await
            })
            .await;
            work.settle("dead", |lease| async { lease.bury("for good").await })
                .await;
            work.store(5, 2_000).await;
            work.acknowledge().await;
        })?;
        work.close()?;
    }
    Ok(())
}

/// Several segments: one document stays while all others are acknowledged, so that segments are recycled, it is copied
/// forward, and snapshots are due.
pub(super) fn rotate(place: &Place) -> Result<()> {
    let Some(work) = AtWork::open(place) else {
        return Ok(());
    };
    let before = House::look(place);
    block_on(async {
        work.store(0, 500).await;
        work.settle("dead", |lease| async { lease.bury("stays").await })
            .await;
        for number in 0..24 {
            work.store(number, 9_000).await;
            if number % 3 == 2 {
                for _ in 0..3 {
                    work.acknowledge().await;
                }
                work.let_keep_house();
            }
        }
    })?;
    // Before the stop, which writes a snapshot whatever happened.
    if let Some(before) = before {
        work.tell_undone(place, &before);
    }
    work.close()
}

/// What we must never be: documents that belong together are stored one by one.
pub(super) fn piecemeal(place: &Place) -> Result<()> {
    let Some(work) = AtWork::open(place) else {
        return Ok(());
    };
    block_on(async {
        let documents: Vec<NewDocument> = (0..4).map(|number| work.document(number, 700)).collect();
        let ids: Vec<String> = documents
            .iter()
            .map(|document| document.id.to_string())
            .collect();
        println!("batch {} {}", ClaimId::new(), ids.join(" "));
        for document in documents {
            refused("a part of a batch", work.queue.enqueue(document).await);
        }
    })?;
    work.close()
}

/// Bodies in files of their own, one of them acknowledged and removed; then everything as an archive.
pub(super) fn bodies(place: &Place) -> Result<()> {
    let Some(work) = AtWork::open(place) else {
        return Ok(());
    };
    block_on(async {
        work.store_large(1, 300_000).await;
        work.store_large(2, 400_000).await;
        work.store(3, 100).await;
        work.acknowledge().await;
        work.let_keep_house();
        work.store(4, 100).await;
        work.export(place);
        // Nothing but its own syncs makes this one durable: those who keep house have nothing to do.
        work.let_keep_house();
        work.store_large(5, 300_000).await;
        work.store(6, 100).await;
        work.store(7, 100).await;
    })?;
    work.close()
}

/// Opens the queue again and holds it against what was told.
pub(super) fn check(place: &Place, facts: &Facts) -> Result<Vec<String>> {
    let (queue, recovery) =
        Queue::open(folder(place), config()).context("the queue does not open")?;
    let wrong = judge::differences(&queue, &recovery, facts)?;
    queue.close_blocking();
    Ok(wrong)
}

//! Three files on their way from a drop folder into the queue and the archive, on one disk or from another.

mod careless;

use super::content::{content, read};
use super::facts::Facts;
use super::hurried::hurried;
use super::{HEALS, IS_BRIEF, Place, block_on, judge};
use crate::tracer::unwatched;
use anyhow::{Context, Result};
use mainstay_pickup::{Claim, Config, Content, Intake, Pickup, Refusal, State, Status, Taken};
use mainstay_queue::{Batch, ClaimId, DocumentId, ErrorKind, LaneId, NewBody, NewDocument, Queue};
use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;

pub(super) use careless::{forgetful, hasty};

/// Files for each round, one of them with a body of its own in the queue.
const FILES: [usize; 3] = [100, 20_000, 300_000];

/// How long a run tries, of the machine's time; a folder that stays broken is left to the check.
const PATIENCE: Duration = Duration::from_millis(600);

/// A check has to come to its end, on a busy machine too.
const PATIENCE_OF_CHECK: Duration = Duration::from_mins(1);
/// What failed once is tried again before that; less than what a workload may take in all.
const PATIENCE_OF_HEALING: Duration = Duration::from_secs(10);
/// More often than a fault that passes can keep it from being opened.
const OPENINGS_MAX: u32 = 100;

/// Where things are: the drop folder may lie on the other disk, and then what belongs beside it does too.
struct Folders {
    drop: PathBuf,
    quarantine: PathBuf,
    archive: PathBuf,
    work: PathBuf,
    queue: PathBuf,
}

impl Folders {
    fn of(place: &Place, is_across: bool) -> Self {
        let near = &place.folder;
        let far = if is_across { &place.other } else { near };
        Self {
            drop: far.join("drop"),
            quarantine: far.join("quarantine"),
            archive: near.join("archive"),
            work: near.join("work"),
            queue: near.join("queue"),
        }
    }

    fn config(&self) -> Config {
        let mut config = Config::new(&self.drop, &self.work, &self.archive, &self.quarantine);
        config.batch_files = 2;
        config
    }
}

fn name(round: u64, number: usize) -> String {
    format!("report-{round}-{number}")
}

fn whole(round: u64, number: usize) -> Vec<u8> {
    content(&name(round, number), 0, FILES[number])
}

pub(super) fn prepare(place: &Place) -> Result<()> {
    drop_files(&Folders::of(place, false), place.round)
}

pub(super) fn prepare_across(place: &Place) -> Result<()> {
    drop_files(&Folders::of(place, true), place.round)
}

fn drop_files(folders: &Folders, round: u64) -> Result<()> {
    fs::create_dir_all(&folders.drop)?;
    // Old enough to be taken by a scan at once.
    let old = SystemTime::now() - Duration::from_mins(1);
    for number in 0..FILES.len() {
        let path = folders.drop.join(name(round, number));
        fs::write(&path, whole(round, number))?;
        File::options()
            .write(true)
            .open(&path)?
            .set_times(FileTimes::new().set_modified(old))?;
    }
    Ok(())
}

pub(super) fn run(place: &Place) -> Result<()> {
    take(&Folders::of(place, false))
}

pub(super) fn run_across(place: &Place) -> Result<()> {
    take(&Folders::of(place, true))
}

fn take(folders: &Folders) -> Result<()> {
    if let Some(store) = take_into(folders, |store| store)? {
        store.queue.close_blocking();
    }
    Ok(())
}

/// Takes what is there, with the queue behind another intake.
fn take_into<I: Intake>(
    folders: &Folders,
    intake: impl FnOnce(Store) -> I,
) -> Result<Option<Arc<I>>> {
    let intake = match open(folders) {
        Ok(store) => Arc::new(intake(store)),
        Err(error) => {
            println!("refused opening: {error:#}");
            return Ok(None);
        }
    };
    let heals = HEALS.load(Ordering::Relaxed);
    let patience = if heals { PATIENCE_OF_HEALING } else { PATIENCE };
    let mut taken = block_on(until_idle(folders, &intake, patience))?;
    if let (Err(error), true) = (&taken, heals) {
        println!("refused taking: {error:#}");
        // One that runs tries again by itself; one that could not be opened is opened again by who wants it.
        let mut could_open = error.is::<Elapsed>();
        for _ in 0..OPENINGS_MAX {
            if could_open {
                break;
            }
            taken = block_on(until_idle(folders, &intake, patience))?;
            could_open = taken
                .as_ref()
                .err()
                .is_none_or(anyhow::Error::is::<Elapsed>);
        }
        if let Err(error) = &taken {
            println!(
                "stuck: the pickup does not come to its end though nothing fails any more: {error:#}"
            );
        }
    } else if let Err(error) = taken {
        println!("refused taking: {error:#}");
    }
    Ok(Some(intake))
}

pub(super) fn check(place: &Place, _: &Facts) -> Result<Vec<String>> {
    judge(&Folders::of(place, false), place.round)
}

pub(super) fn check_across(place: &Place, _: &Facts) -> Result<Vec<String>> {
    judge(&Folders::of(place, true), place.round)
}

fn judge(folders: &Folders, rounds: u64) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let expected: Vec<String> = (0..=rounds)
        .flat_map(|round| (0..FILES.len()).map(move |number| name(round, number)))
        .collect();
    // Before anything is put in order: each file is whole somewhere.
    let everywhere = [&folders.drop, &folders.work, &folders.archive];
    let there = originals(&everywhere)?;
    for file in &expected {
        if !there.contains_key(file) {
            wrong.push(format!("{file} is whole in no folder"));
        }
    }
    let (queue, recovery) =
        Queue::open(&folders.queue, queue_config()).context("the queue does not open")?;
    let lane = queue.declare_lane("reports")?;
    let store = Arc::new(Store { queue, lane });
    let patience = if IS_BRIEF.load(Ordering::Relaxed) {
        PATIENCE
    } else {
        PATIENCE_OF_CHECK
    };
    if let Err(error) = block_on(until_idle(folders, &store, patience))? {
        wrong.push(format!("it does not come to its end: {error:#}"));
    }
    let inventory = judge::inventory(&store.queue, &recovery)?;
    wrong.extend(inventory.wrong);
    let mut documents: BTreeMap<String, u64> = BTreeMap::new();
    for (id, summary) in &inventory.documents {
        let expected_hash = summary
            .source
            .strip_prefix("report-")
            .and_then(|numbers| numbers.split_once('-'))
            .and_then(|(round, number)| Some(whole(round.parse().ok()?, number.parse().ok()?)))
            .map(|bytes| super::content::hash(&bytes));
        if Some(judge::content_hash(&store.queue, *id)?) != expected_hash {
            wrong.push(format!("document {id} is not `{}`", summary.source));
        }
        *documents.entry(summary.source.clone()).or_default() += 1;
    }
    let archived = originals(&[&folders.archive])?;
    for file in &expected {
        let (stored, kept) = (documents.get(file), archived.get(file));
        if (stored, kept) != (Some(&1), Some(&1)) {
            wrong.push(format!(
                "{file} is {stored:?} times in the queue and {kept:?} times in the archive"
            ));
        }
    }
    let left = originals(&[&folders.drop, &folders.work, &folders.quarantine])?;
    if !left.is_empty() {
        wrong.push(format!("in drop, work and quarantine are left: {left:?}"));
    }
    store.queue.close_blocking();
    Ok(wrong)
}

/// How often each whole file lies below these folders.
fn originals(folders: &[&PathBuf]) -> Result<BTreeMap<String, u64>> {
    unwatched(|| collect_all(folders))
}

fn collect_all(folders: &[&PathBuf]) -> Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for folder in folders {
        if folder.exists() {
            collect(folder, &mut found)?;
        }
    }
    Ok(found)
}

fn collect(folder: &Path, found: &mut BTreeMap<String, u64>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), found)?;
        } else if let Some((name, _)) = read(&fs::read(entry.path())?) {
            *found.entry(name).or_default() += 1;
        }
    }
    Ok(())
}

fn queue_config() -> mainstay_queue::Config {
    mainstay_queue::Config {
        first_segment_bytes: 64 * 1024,
        segment_bytes: 256 * 1024,
        reserve_bytes: 64 * 1024,
        clock: hurried(),
        ..mainstay_queue::Config::default()
    }
}

fn open(folders: &Folders) -> Result<Store> {
    let (queue, _) = Queue::open(&folders.queue, queue_config())?;
    let lane = queue.declare_lane("reports")?;
    Ok(Store { queue, lane })
}

/// Takes files until there is nothing left to take.
async fn until_idle<I: Intake>(
    folders: &Folders,
    intake: &Arc<I>,
    patience: Duration,
) -> Result<()> {
    let mut pickup = Pickup::open(folders.config(), Arc::clone(intake), hurried())?;
    pickup.recover().await?;
    let handle = pickup.handle();
    let stop = CancellationToken::new();
    let running = tokio::spawn(pickup.run(stop.clone()));
    let is_done = |status: &Status| {
        status.state == State::Watching
            && status.ready + status.settling + status.pending + status.unfinished == 0
            && status.waiting_total == 0
    };
    let done = tokio::time::timeout(patience, async {
        loop {
            handle.idle().await;
            if is_done(&handle.status()) {
                return;
            }
        }
    });
    let answer = done.await.with_context(|| format!("{:?}", handle.status()));
    stop.cancel();
    running.await?;
    answer
}

/// The queue as the intake of a pickup.
struct Store {
    queue: Queue,
    lane: LaneId,
}

impl Intake for Store {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        let batch = self.batch(files)?;
        let stored = self.queue.enqueue_batch(batch).await;
        stored.map(drop).map_err(|error| refusal(&error))
    }

    fn is_committed(&self, claim: Claim) -> bool {
        let claim = ClaimId::from_bytes(claim.to_bytes());
        self.queue.is_claim_committed(claim)
    }

    fn closed(&self, claims: Vec<Claim>) {
        let claims = claims
            .into_iter()
            .map(|claim| ClaimId::from_bytes(claim.to_bytes()));
        self.queue.close_claims(claims.collect());
    }

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }
}

impl Store {
    fn batch(&self, files: Vec<Taken>) -> Result<Batch, Refusal> {
        let mut batch = Batch::default();
        for file in files {
            batch
                .claims
                .push(ClaimId::from_bytes(file.claim.to_bytes()));
            batch.documents.push(self.document(file)?);
        }
        Ok(batch)
    }

    fn document(&self, file: Taken) -> Result<NewDocument, Refusal> {
        let mut document = NewDocument::new(vec![self.lane], "");
        document.id = DocumentId::from_bytes(file.claim.to_bytes());
        document.source = file.name.into_encoded_bytes();
        document.body = match file.content {
            Content::Bytes(bytes) => NewBody::Inline(bytes.into()),
            Content::File(open) => self.body(open)?,
        };
        Ok(document)
    }

    fn body(&self, mut open: File) -> Result<NewBody, Refusal> {
        let mut bytes = Vec::new();
        open.read_to_end(&mut bytes)
            .map_err(|error| Refusal::Failed(error.to_string()))?;
        let written = || {
            let mut writer = self.queue.body_writer()?;
            writer.write(&bytes)?;
            writer.finish()
        };
        written()
            .map(NewBody::File)
            .map_err(|error| refusal(&error))
    }
}

fn refusal(error: &mainstay_queue::Error) -> Refusal {
    match error.kind() {
        ErrorKind::Full | ErrorKind::ReadOnly => Refusal::Full(error.to_string()),
        _ => Refusal::Failed(error.to_string()),
    }
}

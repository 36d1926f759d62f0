//! `mainstay bench`: how quickly this machine's own disk makes documents durable.
//!
//! Everything happens in a folder below the data folder, which is removed afterwards, also after Ctrl-C. The bare disk is
//! measured through the same calls that the queue uses, so that the figures below it say what the queue adds.

mod bare;
mod documents;
mod flushes;
mod page;
mod taken;

use crate::cli::BenchArgs;
use crate::control;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::scratch::Scratch;
use crate::signals::{self, Stop};
use crate::terminal;
use documents::Load;
use flushes::Meter;
use mainstay_clock::SharedClock;
use mainstay_queue::Io;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use taken::Taken;
use tokio_util::sync::CancellationToken;

/// What the disk has to have left: the documents of one part and the segments made ahead, several times over.
const ROOM: u64 = 2 << 30;

/// The size of a document, in bytes: what stations write most often.
const DOCUMENT: usize = 1024;

/// So often each part is measured.
const ROUNDS: u32 = 4;

/// What is measured, with the names in the table.
const PARTS: [(&str, Part); 5] = [
    ("sync, 4 KiB", Part::Bare(Io::Buffered)),
    ("sync, 4 KiB, past the cache", Part::Bare(Io::Auto)),
    ("documents, one producer", Part::Documents(Load::One)),
    ("documents, 64 producers", Part::Documents(Load::Many)),
    ("documents, batches of 64", Part::Documents(Load::Batches)),
];

/// A part of the measurement.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// The disk alone.
    Bare(Io),
    /// A queue on it.
    Documents(Load),
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    /// The folder that was measured in, which is gone.
    folder: PathBuf,
    /// Its file system.
    file_system: String,
    /// Whether an agent ran on the data folder meanwhile.
    beside_an_agent: bool,
    /// How long a document was, in bytes.
    document_bytes: usize,
    rows: Vec<Row>,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    /// Syncs or documents in a second; none where it was not measured.
    per_second: Option<f64>,
    /// How long one took, of two and of a hundred.
    median_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Flushes of the whole disk for each; none where the system does not count them.
    flushes_each: Option<f64>,
    /// Why something was not measured.
    not_measured: Option<String>,
}

/// Where each part measures, and how long in each round.
#[derive(Debug, Clone)]
struct Ground {
    clock: SharedClock,
    folder: PathBuf,
    time: Duration,
    stop: CancellationToken,
}

/// Measures, and prints the table.
///
/// # Errors
/// There is no folder to work in, the disk refuses, or it was interrupted.
pub(crate) async fn bench(args: BenchArgs) -> Result<Exit, Failure> {
    let data = DataDir::of(&args.place)?;
    let beside_an_agent = control::answers(&data).await;
    let requests = signals::requests()?;
    let scratch = Scratch::make(&data, ROOM)?;
    let stop = Stop::default();
    let ground = Ground {
        clock: mainstay_clock::system(),
        folder: scratch.path().to_owned(),
        time: Duration::from_secs(args.seconds) / (ROUNDS * PARTS.len() as u32),
        stop: stop.asked.clone(),
    };
    if !args.json {
        terminal::say(&format!(
            "measuring for about {} s in {}",
            args.seconds,
            scratch.path().display()
        ));
    }
    // The first request to stop is answered by the part that is under way: it lets go of the folder before that is removed.
    let rows = tokio::select! {
        rows = measure(&ground) => rows,
        failed = stop.listen_to(requests) => Err(failed),
        () = stop.at_once.cancelled() => Err(interrupted()),
    };
    let rows = if stop.asked.is_cancelled() {
        Err(interrupted())
    } else {
        rows
    };
    let folder = ground.folder;
    let file_system = mainstay_files::file_system(&folder)
        .map_or_else(|_| "unknown".to_owned(), |found| found.kind.into_owned());
    scratch.remove();
    let measured = Measured {
        folder,
        file_system,
        beside_an_agent,
        document_bytes: DOCUMENT,
        rows: rows?,
    };
    if args.json {
        terminal::print_json(&measured)?;
    } else {
        terminal::print(&page::page(&measured))?;
    }
    Ok(Exit::Done)
}

fn interrupted() -> Failure {
    Failure::new(Exit::StoppedEarly, "the measurement was interrupted")
}

/// Every part in turn, and again: what else the disk does meanwhile falls on all of them alike.
async fn measure(ground: &Ground) -> Result<Vec<Row>, Failure> {
    let meter = Meter::of(&ground.folder);
    let mut sums: Vec<(Option<Taken>, Option<u64>)> = Vec::new();
    for _ in 0..ROUNDS {
        for (place, (_, part)) in PARTS.iter().enumerate() {
            if ground.stop.is_cancelled() {
                return Err(interrupted());
            }
            let before = meter.now();
            let taken = match part {
                Part::Bare(io) => bare::measure(ground, *io).await?,
                Part::Documents(load) => Some(documents::measure(ground, *load).await?),
            };
            let flushes = meter.since(before);
            match sums.get_mut(place) {
                None => sums.push((taken, flushes)),
                Some((sum, counted)) => {
                    *sum = sum.take().zip(taken).map(|(sum, taken)| sum.and(taken));
                    *counted = counted.zip(flushes).map(|(sum, more)| sum + more);
                }
            }
        }
    }
    let rows = sums.into_iter().zip(PARTS);
    Ok(rows
        .map(|((taken, flushes), (name, _))| match taken {
            Some(taken) => row(name, &taken, flushes),
            None => Row::not_measured(name, "the file system takes no direct writes"),
        })
        .collect())
}

fn row(name: &'static str, taken: &Taken, flushes: Option<u64>) -> Row {
    Row {
        name,
        per_second: Some(taken.per_second()),
        median_ms: taken.milliseconds(0.5),
        p99_ms: taken.milliseconds(0.99),
        flushes_each: flushes.map(|flushes| flushes as f64 / taken.count().max(1) as f64),
        not_measured: flushes
            .is_none()
            .then(|| "flushes: the system does not count them for this file system".to_owned()),
    }
}

impl Row {
    fn not_measured(name: &'static str, why: &str) -> Self {
        Self {
            name,
            per_second: None,
            median_ms: None,
            p99_ms: None,
            flushes_each: None,
            not_measured: Some(why.to_owned()),
        }
    }
}

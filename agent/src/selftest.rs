//! `mainstay selftest`: what is promised, tried on this machine's own disk.
//!
//! Everything happens in a folder below the data folder, which is removed afterwards. The parts that need root say so where
//! they cannot run; what was not measured never counts as passed.

mod chance;
mod damage;
mod full;
mod kills;
mod library;
mod mount;
mod page;
mod power;

use crate::cli::SelftestArgs;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::scratch::Scratch;
use crate::signals::{self, Stop};
use crate::terminal;
use chance::Chance;
use mainstay_clock::{Moment, SharedClock};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What all parts together take on the disk at most, with room to spare.
const ROOM: u64 = 1 << 30;

/// How a part came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "account", rename_all = "snake_case")]
enum Verdict {
    /// It held; what was tried.
    Pass(String),
    /// It did not hold: what was found.
    Failed(String),
    /// It could not be tried here, and why.
    NotMeasured(String),
}

/// A part and how it came out.
#[derive(Debug, Serialize)]
struct Outcome {
    part: &'static str,
    #[serde(flatten)]
    verdict: Verdict,
}

/// All of it.
#[derive(Debug, Serialize)]
struct Report {
    folder: PathBuf,
    file_system: String,
    /// What repeats the run.
    seed: u64,
    seconds: f64,
    parts: Vec<Outcome>,
}

/// What each part works with.
#[derive(Debug, Clone)]
struct Ground {
    clock: SharedClock,
    folder: PathBuf,
    seed: u64,
    /// How long this part goes on beginning rounds.
    time: Duration,
    stop: CancellationToken,
}

impl Ground {
    /// Whether the part is to begin another round; the first it always does.
    fn goes_on(&self, start: Moment) -> bool {
        self.clock.now().since(start) < self.time && !self.stop.is_cancelled()
    }

    fn chance(&self) -> Chance {
        Chance::new(self.seed)
    }
}

/// The parts, with the share of the time that each takes in a long run, in hundredths. In a short run each has one round.
const PARTS: [(&str, Part, u32); 4] = [
    ("killed processes", Part::Kills, 50),
    ("damaged queue", Part::Damage, 25),
    ("full disk", Part::Full, 5),
    ("power cut", Part::Power, 20),
];

#[derive(Debug, Clone, Copy)]
enum Part {
    Kills,
    Damage,
    Full,
    Power,
}

/// Tries everything, and prints the verdicts.
///
/// # Errors
/// There is no folder to work in, or it was interrupted. That a part failed is no error, but its exit code says so.
pub(crate) async fn selftest(args: SelftestArgs) -> Result<Exit, Failure> {
    let data = DataDir::of(&args.place)?;
    let requests = signals::requests()?;
    let scratch = Scratch::make(&data, ROOM)?;
    let stop = Stop::default();
    let clock = mainstay_clock::system();
    let ground = Ground {
        seed: args.seed.unwrap_or_else(|| clock.wall()),
        clock,
        folder: scratch.path().to_owned(),
        time: args.torture.map_or(Duration::ZERO, |span| span.0),
        stop: stop.asked.clone(),
    };
    let start = ground.clock.now();
    // The first request to stop is answered by the parts, which take away what they have mounted and started.
    let parts = tokio::select! {
        parts = try_all(&ground, args.json) => parts,
        failed = stop.listen_to(requests) => Err(failed),
        () = stop.at_once.cancelled() => Err(interrupted()),
    };
    let parts = if stop.asked.is_cancelled() {
        Err(interrupted())
    } else {
        parts
    };
    let file_system = mainstay_files::file_system(&ground.folder)
        .map_or_else(|_| "unknown".to_owned(), |found| found.kind.into_owned());
    scratch.remove();
    let report = Report {
        file_system,
        seed: ground.seed,
        seconds: ground.clock.now().since(start).as_secs_f64(),
        folder: ground.folder,
        parts: parts?,
    };
    if args.json {
        terminal::print_json(&report)?;
    } else {
        terminal::print(&page::page(&report))?;
    }
    let failed = |result: &Outcome| matches!(result.verdict, Verdict::Failed(_));
    Ok(if report.parts.iter().any(failed) {
        Exit::NotBalanced
    } else {
        Exit::Done
    })
}

fn interrupted() -> Failure {
    Failure::new(Exit::StoppedEarly, "the self-test was interrupted")
}

async fn try_all(ground: &Ground, quiet: bool) -> Result<Vec<Outcome>, Failure> {
    let mut results = Vec::new();
    for (name, part, share) in PARTS {
        if ground.stop.is_cancelled() {
            break;
        }
        if !quiet {
            terminal::say(&format!("{name} …"));
        }
        let ground = Ground {
            time: ground.time * share / 100,
            ..ground.clone()
        };
        let verdict = match part {
            Part::Kills => kills::try_out(&ground).await?,
            Part::Damage => damage::try_out(&ground).await?,
            Part::Full => full::try_out(&ground).await?,
            Part::Power => power::try_out(&ground).await?,
        };
        results.push(Outcome {
            part: name,
            verdict,
        });
    }
    Ok(results)
}

/// Runs blocking work; a panic in it is a finding, not the end of the self-test.
async fn blocking(
    work: impl FnOnce() -> Result<Verdict, String> + Send + 'static,
) -> Result<Verdict, Failure> {
    Ok(match tokio::task::spawn_blocking(work).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(found)) => Verdict::Failed(found),
        Err(died) => Verdict::Failed(format!("a part of the program died: {died}")),
    })
}

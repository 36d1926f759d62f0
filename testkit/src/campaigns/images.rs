//! What the power may leave on a real disk: every write and flush below a file system is recorded, and images are made in which
//! writes that were not flushed are missing or torn. Each is mounted, and held against what was said by then.
//!
//! No two recordings are the same, so a seed gives the same draws and not the same images. A violation therefore keeps the
//! disks as they were before anybody mounted them (`near.crashed`, `far.crashed`), and what was said by then (`facts`). With
//! them mounted at `near` and `far`, `faults workload check-alone NAME FOLDER/near FOLDER/far 0 FOLDER/facts` judges again.

mod bed;
mod states;

use super::{Effort, scratch};
use crate::image::Kind;
use crate::random::Random;
use crate::recorded::RecordedDisks;
use crate::verdict::{Figure, Verdict};
use crate::workloads::{
    ALL, CARELESS, FORGETFUL, HASTY, PIECEMEAL, REOPENED, STUBBORN, UNSYNCED, Workload,
};
use anyhow::{Result, anyhow};
use bed::{Bed, Recorded, Wrong};
use states::{Maker, State};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use tempfile::TempDir;

/// A workload that breaks a promise, and the words by which it is seen.
struct Control {
    workload: Workload,
    promise: &'static str,
    seen_by: &'static str,
}

/// One for each promise that is held against images here.
const CONTROLS: [Control; 6] = [
    Control {
        workload: CARELESS,
        promise: "P1",
        seen_by: "and may hold",
    },
    Control {
        workload: STUBBORN,
        promise: "P2",
        seen_by: "holds None",
    },
    Control {
        workload: UNSYNCED,
        promise: "Q1",
        seen_by: "is None, and may be",
    },
    Control {
        workload: PIECEMEAL,
        promise: "Q2",
        seen_by: "of a batch of",
    },
    Control {
        workload: HASTY,
        promise: "F1, F5",
        seen_by: "is None times in the queue",
    },
    Control {
        workload: FORGETFUL,
        promise: "F2",
        seen_by: "is Some(2) times in the queue",
    },
];

/// Images of each control, of which one has to show it; the one that is rarest shows in each 60th.
const CONTROL_IMAGES: usize = 400;

/// Images that are judged at the same time: most of what one takes is waiting for the kernel.
const BEDS: usize = 8;

/// Of so many images one is on XFS, which takes three times as long to come and go.
const XFS_EACH: u64 = 5;

/// What was done.
#[derive(Default)]
struct Count {
    judged: usize,
    possible: usize,
    runs: usize,
    caught: Vec<String>,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} images of the {} that cuts of {} recorded runs may leave; caught: {}",
            self.judged,
            self.possible,
            self.runs,
            self.caught.join(", ")
        )
    }
}

/// Why there is no number.
enum Failed {
    /// The machine does not allow it.
    NotHere(anyhow::Error),
    /// The campaign does not work.
    Harness(anyhow::Error),
    /// A promise was broken; the folder has the image.
    Promise(String, PathBuf),
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Harness(error)
    }
}

pub(super) fn run(effort: Effort) -> Verdict {
    let mut measured = Vec::new();
    let mut unmeasured = Vec::new();
    let mut judged = 0;
    let on_xfs = effort.images / XFS_EACH;
    for (kind, images) in [(Kind::Ext4, effort.images - on_xfs), (Kind::Xfs, on_xfs)] {
        match run_on(kind, images, effort.seed) {
            Ok(count) => {
                judged += count.judged as u64;
                measured.push(format!("{}: {count}", kind.name()));
            }
            Err(Failed::NotHere(why)) => unmeasured.push(format!("{}: {why:#}", kind.name())),
            Err(Failed::Harness(error)) => return Verdict::from(error.context(kind.name())),
            Err(Failed::Promise(what, kept)) => {
                return Verdict::Violation {
                    what: format!("{what} on {}", kind.name()),
                    seed: effort.seed,
                    kept: Some(kept),
                };
            }
        }
    }
    let measured = measured.join("; ");
    match unmeasured.join("; ") {
        none if none.is_empty() => Verdict::Pass(measured).with(Figure::Images, judged),
        why if measured.is_empty() => Verdict::NotMeasured(format!("images: {why}")),
        why => Verdict::NotMeasured(format!("images, in part: {why}; measured: {measured}")),
    }
}

fn run_on(kind: Kind, images: u64, seed: u64) -> Result<Count, Failed> {
    let mut count = Count::default();
    for control in &CONTROLS {
        let caught = catch(kind, control, seed)?;
        count.caught.push(caught);
    }
    let workloads: Vec<&Workload> = ALL.iter().chain([&REOPENED]).collect();
    let each = (images as usize).div_ceil(workloads.len());
    for workload in workloads {
        let mut random = Random::new(seed);
        let mut left = each;
        // No two runs write the same, and each has so many states only.
        while 0 < left {
            left -= hold(kind, workload, left, random.number(), &mut count)?;
        }
        let (judged, name) = (count.judged, workload.name);
        println!("  {}: {judged} images, {name} was last", kind.name());
    }
    Ok(count)
}

/// Records a workload, and holds what cuts of it leave against its promises: up to so many images. Returns how many.
fn hold(
    kind: Kind,
    workload: &Workload,
    images_max: usize,
    seed: u64,
    count: &mut Count,
) -> Result<usize, Failed> {
    let trial = Trial::record(kind, workload)?;
    let all = states::all(&trial.recorded.recording, seed);
    count.runs += 1;
    count.possible += all.iter().map(Vec::len).sum::<usize>();
    let states = states::sample(all, images_max, seed);
    let seen = trial.judge(&states, &|_| true)?;
    count.judged += states.len();
    match seen {
        None => Ok(states.len()),
        Some(seen) => Err(trial.keep(seen)?),
    }
}

/// A workload that ran once, and what was seen of it.
struct Trial<'a> {
    workload: &'a Workload,
    kind: Kind,
    folder: TempDir,
    recorded: Recorded,
}

/// The state in which something is wrong, and what.
struct Seen {
    state: State,
    wrong: Wrong,
}

impl<'a> Trial<'a> {
    fn record(kind: Kind, workload: &'a Workload) -> Result<Self, Failed> {
        let folder = scratch()?;
        let disks = RecordedDisks::make(folder.path(), kind).map_err(Failed::NotHere)?;
        let recorded = bed::record(&disks, workload, folder.path())?;
        drop(disks);
        Ok(Self {
            workload,
            kind,
            folder,
            recorded,
        })
    }

    /// Judges states until one has something wrong that counts.
    fn judge(
        &self,
        states: &[State],
        counts: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Option<Seen>> {
        let is_over = &AtomicBool::new(false);
        let share = states.len().div_ceil(BEDS).max(1);
        let mut shares = Vec::new();
        for (number, states) in states.chunks(share).enumerate() {
            let bed = Bed::new(self.folder.path(), number, self.kind, &self.recorded)?;
            shares.push((bed, states));
        }
        let parts: Vec<_> = thread::scope(|scope| {
            let judge =
                |(bed, states)| scope.spawn(move || self.judge_part(bed, states, counts, is_over));
            let running: Vec<_> = shares.into_iter().map(judge).collect();
            running.into_iter().map(ScopedJoinHandle::join).collect()
        });
        let mut first = None;
        for part in parts {
            let seen = part.map_err(|_| anyhow!("a thread that judges panicked"))??;
            first = first.or(seen);
        }
        Ok(first)
    }

    fn judge_part(
        &self,
        mut bed: Bed,
        states: &[State],
        counts: &dyn Fn(&str) -> bool,
        is_over: &AtomicBool,
    ) -> Result<Option<Seen>> {
        bed::leave_the_mounts_of_others()?;
        let recording = &self.recorded.recording;
        let mut maker = Maker::new(recording);
        for state in states {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let disks = maker.make(state);
            let said = recording.said_before(state.at);
            let counts = |wrong: &Wrong| match wrong {
                Wrong::Promise(what) => counts(what),
                Wrong::FileSystem(_) => true,
            };
            if let Some(wrong) = bed.judge(self.workload, &disks, &said)?.filter(counts) {
                is_over.store(true, Ordering::Relaxed);
                let state = state.clone();
                return Ok(Some(Seen { state, wrong }));
            }
        }
        Ok(None)
    }

    /// Keeps the disks of a state.
    fn keep(self, Seen { state, wrong }: Seen) -> Result<Failed> {
        let recording = &self.recorded.recording;
        let disks = Maker::new(recording).make(&state);
        bed::keep(self.folder.path(), &disks, &recording.said_before(state.at))?;
        let torn = state.torn.map(|(event, _)| format!(", {event} torn"));
        let cut = format!(
            "{}, cut before event {} of {}, writes {:?} lost{}",
            self.workload.name,
            state.at,
            recording.events.len(),
            state.lost,
            torn.unwrap_or_default()
        );
        let kept = self.folder.keep();
        Ok(match wrong {
            Wrong::Promise(what) => Failed::Promise(format!("{cut}: {what}"), kept),
            Wrong::FileSystem(why) => {
                let kept = kept.display();
                Failed::Harness(anyhow!("{cut}: {why}; kept in {kept}"))
            }
        })
    }
}

/// Finds in what a control leaves the words by which it is known, or the campaign finds nothing.
fn catch(kind: Kind, control: &Control, seed: u64) -> Result<String, Failed> {
    let Control {
        workload,
        promise,
        seen_by,
    } = control;
    let trial = Trial::record(kind, workload)?;
    let all = states::all(&trial.recorded.recording, seed);
    let states = states::sample(all, CONTROL_IMAGES, seed);
    let seen = trial.judge(&states, &|what| what.contains(seen_by))?;
    match seen {
        Some(Seen {
            wrong: Wrong::Promise(_),
            ..
        }) => Ok(format!("{} ({promise})", workload.name)),
        Some(seen) => Err(trial.keep(seen)?),
        None => Err(Failed::Harness(anyhow!(
            "`{}` breaks {promise}, and none of {} images shows it",
            workload.name,
            states.len()
        ))),
    }
}

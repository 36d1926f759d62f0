//! The real queue and the real pickup on disks, a clock and a chance that are simulated, each life from one seed.
//!
//! Most lives are those of a queue alone. Every third is that of a pickup, on folders that lose and tear, in front of a queue.

mod dropped;
mod exhaustive;
mod model;
mod rot;
mod scenario;
mod world;

use super::Effort;
use crate::verdict::{Figure, Verdict};
use scenario::Trouble;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use world::{Held, World};

pub(super) fn run(effort: Effort) -> Verdict {
    if effort.seeds == 1 {
        return replay(effort.seed);
    }
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let is_over = AtomicBool::new(false);
    let work = |worker: usize| {
        let counts = part(effort, worker, workers, &is_over);
        is_over.fetch_or(counts.is_err(), Ordering::Relaxed);
        counts
    };
    let parts: Vec<_> = thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        handles.into_iter().map(ScopedJoinHandle::join).collect()
    });
    let (mut lives, mut total) = (0, exhaustive::Counts::default());
    for part in parts {
        match part {
            Ok(Ok((count, counts))) => {
                lives += count;
                total.sequences += counts.sequences;
                total.cuts += counts.cuts;
            }
            Ok(Err(violation)) => return violation,
            Err(_) => return Verdict::HarnessBroken("a worker panicked".to_owned()),
        }
    }
    Verdict::Pass(format!(
        "{lives} lives from seed {}; {} sequences of up to {} operations, cut {} times",
        effort.seed, total.sequences, effort.sequences, total.cuts
    ))
    .with(Figure::Lives, lives)
}

/// One worker's part of the sequences and the seeds.
fn part(
    effort: Effort,
    worker: usize,
    workers: usize,
    is_over: &AtomicBool,
) -> Result<(u64, exhaustive::Counts), Verdict> {
    let violation = |what, seed| Verdict::Violation {
        what,
        seed,
        kept: None,
    };
    let counts = exhaustive::run(effort.sequences, worker, workers)
        .map_err(|what| violation(what, effort.seed))?;
    let mut lives = 0;
    let scratch = super::scratch().map_err(Verdict::from)?;
    let seeds = (effort.seed..effort.seed + effort.seeds).skip(worker);
    for seed in seeds.step_by(workers) {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        live(seed, false, scratch.path()).0.map_err(|what| {
            let again =
                format!("again, with every call: faults --seed {seed} --seeds 1 simulation");
            violation(format!("{what}\n  {again}"), seed)
        })?;
        lives += 1;
    }
    Ok((lives, counts))
}

/// One life, with every step and every call of the disk said.
fn replay(seed: u64) -> Verdict {
    let scratch = match super::scratch() {
        Ok(scratch) => scratch,
        Err(error) => return error.into(),
    };
    let (held, steps) = live(seed, true, scratch.path());
    for step in steps {
        println!("  {step}");
    }
    match held {
        Ok(()) => Verdict::Pass(format!("the life of seed {seed}")),
        Err(what) => Verdict::Violation {
            what,
            seed,
            kept: None,
        },
    }
}

/// One life, and what happened in it if that is wanted.
fn live(seed: u64, traced: bool, scratch: &Path) -> (Held, Vec<String>) {
    if seed % PICKUP_SHARE == 2 {
        live_with_pickup(seed, traced, scratch)
    } else {
        live_of_queue(seed, traced)
    }
}

/// One in so many lives is that of a pickup.
const PICKUP_SHARE: u64 = 3;

fn live_with_pickup(seed: u64, traced: bool, scratch: &Path) -> (Held, Vec<String>) {
    let folder = scratch.join("life");
    let lived = fs::create_dir(&folder).map(|()| dropped::live(seed, traced, &folder));
    let removed = fs::remove_dir_all(&folder);
    match (lived, removed) {
        (Ok(lived), Ok(())) => lived,
        (Err(error), _) | (_, Err(error)) => {
            let what = format!("no folder for a life: {error}");
            (Err(what), Vec::new())
        }
    }
}

fn live_of_queue(seed: u64, traced: bool) -> (Held, Vec<String>) {
    let trouble = Trouble::of(seed);
    let mut world = None;
    let held = caught(|| {
        let world = world.insert(scenario::begin(seed, trouble, traced)?);
        scenario::run(trouble, world)
    });
    let steps = world.map(World::into_steps).unwrap_or_default();
    (held.map_err(|what| format!("{trouble:?}: {what}")), steps)
}

/// A panic is a violation like any other.
fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panic: {}", what.unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests;

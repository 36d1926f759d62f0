//! A disk that fails for some calls and heals: the second sync says that all is well, memory shows the new bytes, and the disk
//! has the old ones.

use super::trial::Trial;
use super::{Effort, scratch};
use crate::failing_disk::FailingDisk;
use crate::image::Kind;
use crate::random::Random;
use crate::tracer::{self, Fault, Plan, Watched};
use crate::verdict::{Figure, Verdict};
use crate::workloads::{ACROSS, ALL, STUBBORN, Workload, complaints};
use anyhow::Result;
use std::path::Path;

/// Failures of each workload on each file system at random calls, besides one at every sync. A run costs about 150 ms.
const RUNS_SHORT: u64 = 4;
const RUNS_LONG: u64 = 200;

/// Of the syncs on XFS the short form takes one in so many: there a failure costs three times as much as on ext4, and what a
/// workload syncs is the same on both.
const XFS_EACH: u64 = 3;

/// More syncs than any workload makes.
const SYNCS_MAX: u64 = 500;

/// The disk fails during so many calls, at most.
const CALLS_MAX: u64 = 6;

pub(super) fn run(effort: Effort) -> Verdict {
    if !tracer::IS_SUPPORTED {
        return Verdict::NotMeasured(
            "lyingsync: the registers of this machine are not known".to_owned(),
        );
    }
    let (mut runs, mut control) = (0, Vec::new());
    for kind in [Kind::Ext4, Kind::Xfs] {
        let folder = match scratch() {
            Ok(folder) => folder,
            Err(error) => return Verdict::from(error),
        };
        let disk = match FailingDisk::make(folder.path(), "disk", kind) {
            Ok(disk) => disk,
            Err(error) => return Verdict::NotMeasured(format!("lyingsync: {error:#}")),
        };
        let each_sync = match kind {
            Kind::Xfs if !effort.is_long => XFS_EACH,
            _ => 1,
        };
        match fail_all(disk, folder.path(), effort, each_sync, &mut runs) {
            Ok((_, Some(what))) => {
                return Verdict::Violation {
                    what: format!("{}: {what}", kind.name()),
                    seed: effort.seed,
                    kept: None,
                };
            }
            Ok((caught, None)) => control.push(format!("{caught} on {}", kind.name())),
            Err(error) => return Verdict::from(error.context(kind.name())),
        }
    }
    Verdict::Pass(format!(
        "{runs} failures of a disk that healed, and nothing that was confirmed was missing from it; a program that syncs again and believes it was caught: {}",
        control.join(" and ")
    ))
    .with(Figure::DiskFailures, runs)
}

/// Returns how often the control was caught, and what is wrong.
fn fail_all(
    mut disk: FailingDisk,
    folder: &Path,
    effort: Effort,
    each_sync: u64,
    runs: &mut u64,
) -> Result<(u64, Option<String>)> {
    let each = if effort.is_long {
        RUNS_LONG
    } else {
        RUNS_SHORT
    };
    let caught = catch_the_stubborn(&mut disk, folder)?;
    for workload in ALL {
        let mut random = Random::new(effort.seed);
        let calls = trial(workload, disk.path(), folder, Watched::Changes)?
            .rehearse()?
            .0;
        let first = 1 + random.below(each_sync);
        let at_random = (0..each).map(|_| {
            let fault = Fault::Disturbed {
                calls: 1 + random.below(CALLS_MAX),
            };
            let at = 1 + random.below(calls);
            (Watched::Changes, Plan { at, fault })
        });
        // From one sync to the next: so the one that comes after it is the one that lies.
        let fault = Fault::Disturbed { calls: 1 };
        let at_syncs = (first..=SYNCS_MAX)
            .step_by(each_sync as usize)
            .map(|at| (Watched::Syncs, Plan { at, fault }));
        for (watched, plan) in at_random.chain(at_syncs) {
            let (call, wrong) = fail(&mut disk, workload, folder, watched, plan)?;
            *runs += u64::from(call.is_some());
            match (call, wrong) {
                (Some(call), Some(wrong)) => {
                    let what = format!(
                        "{}, the disk failing from call {} ({call}), {:?}: {wrong}",
                        workload.name, plan.at, plan.fault
                    );
                    return Ok((caught, Some(what)));
                }
                (None, _) if watched == Watched::Syncs => break,
                _ => {}
            }
        }
    }
    Ok((caught, None))
}

fn trial<'a>(
    workload: &'a Workload,
    disk: &Path,
    folder: &Path,
    watched: Watched,
) -> Result<Trial<'a>> {
    // A claim from another file system is none if both folders lie on one disk; what else uses both is renamed then, and copied otherwise.
    let near = disk.join("near");
    let far = if workload.name == ACROSS {
        folder.join("far")
    } else {
        disk.join("far")
    };
    std::fs::create_dir_all(&near)?;
    std::fs::create_dir_all(&far)?;
    let notes = folder.join("notes");
    Trial::new(workload, &near, &far, &notes, watched)
}

/// The call from which on the disk failed, if it came to that, and what was wrong afterwards.
fn fail(
    disk: &mut FailingDisk,
    workload: &Workload,
    folder: &Path,
    watched: Watched,
    plan: Plan,
) -> Result<(Option<String>, Option<String>)> {
    let mut trial = trial(workload, disk.path(), folder, watched)?;
    trial.reset()?;
    let (seen, told) = trial.run(Some(plan), &mut || disk.turn())?;
    disk.heal()?;
    disk.forget_memory()?;
    let mut wrong = trial.died(&seen)?;
    if wrong.is_none() {
        wrong = trial.wrong()?;
    }
    let wrong = wrong.map(|wrong| format!("{wrong}; it was told: {:?}", complaints(&told)));
    Ok((seen.hit, wrong))
}

/// Whoever believes the second sync has to lose something here, or the disk does not fail as disks do.
fn catch_the_stubborn(disk: &mut FailingDisk, folder: &Path) -> Result<u64> {
    let mut caught = 0;
    for at in 1.. {
        let plan = Plan {
            at,
            fault: Fault::Disturbed { calls: 1 },
        };
        let (call, wrong) = fail(disk, &STUBBORN, folder, Watched::Changes, plan)?;
        if call.is_none() {
            break;
        }
        caught += u64::from(wrong.is_some());
    }
    anyhow::ensure!(0 < caught, "a sync that failed did not lose anything");
    Ok(caught)
}

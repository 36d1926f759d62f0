//! A system call fails, once or from then on, or writes less than it was given: no panic, no lie, and all is well once it heals.

use super::trial::Trial;
use super::{Effort, scratch};
use crate::random::Random;
use crate::tracer::{self, Fault, Lasts, Plan, Seen, Short, Watched};
use crate::verdict::{Figure, Verdict};
use crate::workloads::{ALL, Workload};
use anyhow::Result;
use nix::errno::Errno;
use std::path::Path;
use tempfile::TempDir;

/// What a disk, a quota, an administrator and a busy system answer.
const ERRORS: [Errno; 8] = [
    Errno::EIO,
    Errno::ENOSPC,
    Errno::EDQUOT,
    Errno::EROFS,
    Errno::EMFILE,
    Errno::ENOMEM,
    Errno::EINTR,
    Errno::EACCES,
];

/// So many calls fail, and then no more: enough that a queue gives its log up, and one that does not go on is stuck.
const A_WHILE: Lasts = Lasts::Calls(40);

const SHORTS: [Short; 3] = [Short::One, Short::Half, Short::AllButOne];

/// Faults of each workload in the short form, drawn by the seed: together they take about 130 s.
const SAMPLE: usize = 60;

/// What was done.
#[derive(Default)]
struct Count {
    failed_once: u64,
    failed_for_a_while: u64,
    failed_for_good: u64,
    short: u64,
    calls: u64,
}

pub(super) fn run(effort: Effort) -> Verdict {
    if !tracer::IS_SUPPORTED {
        return Verdict::NotMeasured(
            "syscalls: the registers of this machine are not known".to_owned(),
        );
    }
    let mut count = Count::default();
    for workload in ALL {
        match fail_workload(workload, effort, &mut count) {
            Ok(None) => println!(
                "  {}: {} calls failed so far",
                workload.name,
                count.failed_once + count.failed_for_good + count.short
            ),
            Ok(Some((what, kept))) => {
                return Verdict::Violation {
                    what,
                    seed: effort.seed,
                    kept: Some(kept.keep()),
                };
            }
            Err(error) => return Verdict::from(error),
        }
    }
    let Count {
        failed_once,
        failed_for_a_while,
        failed_for_good,
        short,
        calls,
    } = count;
    let which = if effort.is_long { "all" } else { "a sample" };
    Verdict::Pass(format!(
        "{which} of the calls of {} workloads ({calls} in one run of each): {failed_once} failed once, {failed_for_a_while} for a while and then no more, {failed_for_good} for good from there, {short} wrote less than asked",
        ALL.len()
    ))
    .with(Figure::CallsFailed, failed_once + failed_for_a_while + failed_for_good + short)
}

/// Every fault of every call of a run.
fn faults(calls: u64) -> Vec<Plan> {
    let mut plans = Vec::new();
    for at in 1..=calls {
        for errno in ERRORS {
            for lasts in [Lasts::Once, A_WHILE, Lasts::ForGood] {
                // A call that is interrupted is made again, by the standard library too; one that is interrupted again and
                // again is nothing that a system does.
                if lasts == Lasts::Once || errno != Errno::EINTR {
                    let errno = errno as i32;
                    plans.push(Plan {
                        at,
                        fault: Fault::Fails { errno, lasts },
                    });
                }
            }
        }
        plans.extend(SHORTS.map(|short| Plan {
            at,
            fault: Fault::Short(short),
        }));
    }
    plans
}

fn fail_workload(
    workload: &Workload,
    effort: Effort,
    count: &mut Count,
) -> Result<Option<(String, TempDir)>> {
    // Two file systems, where there are two: one in memory, one on the disk.
    let (near, far) = (scratch()?, tempfile::tempdir()?);
    let notes = tempfile::tempdir()?;
    let work = near.path().join("work");
    std::fs::create_dir(&work)?;
    let mut trial = Trial::new(workload, &work, far.path(), notes.path(), Watched::Openings)?;
    let (calls, _) = trial.rehearse()?;
    count.calls += calls;
    let mut plans = faults(calls);
    if !effort.is_long {
        let mut random = Random::new(effort.seed);
        let sample = (0..SAMPLE).map(|_| plans[random.below(plans.len() as u64) as usize]);
        plans = sample.collect();
    }
    for plan in plans {
        let (seen, wrong) = fail(&mut trial, plan)?;
        // A run that made fewer calls than the first, or a short write of what is no write.
        let Some(call) = seen.hit else { continue };
        match plan.fault {
            Fault::Fails { lasts, .. } => match lasts {
                Lasts::Once => count.failed_once += 1,
                Lasts::Calls(_) => count.failed_for_a_while += 1,
                Lasts::ForGood => count.failed_for_good += 1,
            },
            _ => count.short += 1,
        }
        if let Some(wrong) = wrong {
            copy(&notes.path().join("facts"), &near.path().join("facts"))?;
            let what = format!(
                "{}, {} at call {} ({call}): {wrong}",
                workload.name,
                described(plan.fault),
                plan.at
            );
            return Ok(Some((what, near)));
        }
    }
    Ok(None)
}

fn fail(trial: &mut Trial<'_>, plan: Plan) -> Result<(Seen, Option<String>)> {
    trial.reset()?;
    let (seen, told) = trial.run(Some(plan), &mut || Ok(()))?;
    if seen.hit.is_none() {
        return Ok((seen, None));
    }
    let wrong = trial.died_or_stuck(&seen, &told)?;
    let wrong = trial.judged(wrong)?;
    Ok((seen, wrong))
}

fn described(fault: Fault) -> String {
    match fault {
        Fault::PowerOff | Fault::Disturbed { .. } => "a fault of another campaign".to_owned(),
        Fault::Fails { errno, lasts } => format!("{:?} {lasts}", Errno::from_raw(errno)),
        Fault::Short(short) => format!("a short write ({short:?})"),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::write(to, std::fs::read(from)?)?;
    Ok(())
}

//! A call that reads or looks fails, once or from then on, or reads less than it was asked for: while the work is done, and
//! while what was left is opened again. What cannot be read now is not damaged, not missing and not empty.

use super::trial::{Saved, Trial};
use super::{Effort, scratch};
use crate::random::Random;
use crate::tracer::{self, Ending, Fault, Lasts, Plan, Seen, Short, Watched};
use crate::verdict::{Figure, Verdict};
use crate::workloads::{ALL, REOPENED, Workload, complaints, findings_of_the_library};
use anyhow::{Result, ensure};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tempfile::TempDir;

const SHORTS: [Short; 3] = [Short::One, Short::Half, Short::AllButOne];

/// The starts that are made to fail find what a run left that was killed after so many quarters of its changes; after the
/// last of them it had come to its end.
const QUARTERS: [u64; 4] = [1, 2, 3, 4];

/// Faults in the short form, of each workload and of each start after it, drawn by the seed: together they take about 50 s.
const SAMPLE: usize = 12;
const SAMPLE_OF_STARTS: usize = 12;

/// What was done.
#[derive(Default)]
struct Count {
    at_work: u64,
    at_starts: u64,
    short: u64,
    calls: u64,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.at_work += other.at_work;
        self.at_starts += other.at_starts;
        self.short += other.short;
        self.calls += other.calls;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at_work,
            at_starts,
            short,
            calls,
        } = self;
        write!(
            f,
            "{at_work} calls that read failed at work and {at_starts} at a start, {short} of them read less than asked ({calls} calls in one run of each)"
        )
    }
}

/// What is wrong, and the disk that shows it.
type Found = Option<(String, TempDir)>;

pub(super) fn run(effort: Effort) -> Verdict {
    if !tracer::IS_SUPPORTED {
        return Verdict::NotMeasured(
            "reads: the registers of this machine are not known".to_owned(),
        );
    }
    let workloads: Vec<&Workload> = [&REOPENED].into_iter().chain(ALL).collect();
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Count::default()));
    // Most of the time is spent waiting for children, each of which is followed by one thread.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let first = thread::scope(|scope| {
        let work = || fail_in_turn(&workloads, effort, &next, &total);
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
        let broken = || Some(Verdict::HarnessBroken("a thread panicked".to_owned()));
        // All are waited for.
        let ends: Vec<_> = ends.map(|end| end.unwrap_or_else(|_| broken())).collect();
        ends.into_iter().flatten().next()
    });
    if let Some(verdict) = first {
        return verdict;
    }
    let count = total.into_inner().unwrap_or_default();
    let which = if effort.is_long { "all" } else { "a sample" };
    Verdict::Pass(format!("{which} of them: {count}"))
        .with(Figure::CallsFailed, count.at_work + count.at_starts)
}

/// Takes one workload after the other until there is none left, or one breaks a promise.
fn fail_in_turn(
    workloads: &[&Workload],
    effort: Effort,
    next: &AtomicUsize,
    total: &Mutex<Count>,
) -> Option<Verdict> {
    loop {
        let workload = workloads.get(next.fetch_add(1, Ordering::Relaxed))?;
        let mut count = Count::default();
        let found = fail_workload(workload, effort, &mut count);
        println!("  {}: {count}", workload.name);
        let verdict = match found {
            Ok(None) => {
                if let Ok(mut total) = total.lock() {
                    total.add(&count);
                }
                continue;
            }
            Ok(Some((what, kept))) => Verdict::Violation {
                what,
                seed: effort.seed,
                kept: Some(kept.keep()),
            },
            Err(error) => Verdict::from(error.context(workload.name)),
        };
        // Nobody begins another.
        next.fetch_max(workloads.len(), Ordering::Relaxed);
        return Some(verdict);
    }
}

/// Calls of a kind: their name, and what kind of file they touch.
type Kinds = BTreeMap<(&'static str, String), usize>;

/// The faults of these calls. The first of a kind that was not `met` before gets every one; of those that follow, as in a
/// loop, the second, fourth, eighth and so on get one each.
fn faults(calls: &[(&'static str, PathBuf)], met: &mut Kinds) -> Vec<Plan> {
    let mut here = Kinds::new();
    let mut plans = Vec::new();
    for (at, (name, path)) in (1..).zip(calls) {
        let kind = (*name, kind(path));
        let turn = here.entry(kind.clone()).or_default();
        *turn += 1;
        if !turn.is_power_of_two() {
            continue;
        }
        let own = faults_of(name, at);
        let times = met.entry(kind).or_default();
        if *times == 0 {
            plans.extend(&own);
        } else {
            // In turn, so that each of them meets every kind of call that is made often.
            plans.extend(own.get((*times - 1) % own.len().max(1)));
        }
        *times += 1;
    }
    plans
}

/// Every fault of a call of this name.
fn faults_of(name: &str, at: u64) -> Vec<Plan> {
    let mut faults = Vec::new();
    for (place, errno) in tracer::errors(name).enumerate() {
        let lasts = Lasts::Once;
        faults.push(Fault::Fails { errno, lasts });
        // Which error it is makes no difference to who is refused for good: the first stands for them, and for those
        // that only who opens something gets, the lack of descriptors.
        if place == 0 || errno == Errno::EMFILE as i32 {
            let lasts = Lasts::ForGood;
            faults.push(Fault::Fails { errno, lasts });
        }
    }
    if matches!(name, "read" | "pread64") {
        faults.extend(SHORTS.map(Fault::Short));
    }
    let plan = |fault| Plan { at, fault };
    faults.into_iter().map(plan).collect()
}

/// A path without what differs from one file of its kind to the next: words that have a digit in them.
fn kind(path: &Path) -> String {
    let text = path.to_string_lossy();
    let words = text.split_inclusive(|byte: char| !byte.is_ascii_alphanumeric());
    let kinds = words.map(|word| {
        let end = word.trim_start_matches(|byte: char| byte.is_ascii_alphanumeric());
        if word.bytes().any(|byte| byte.is_ascii_digit()) {
            format!("#{end}")
        } else {
            word.to_owned()
        }
    });
    kinds.collect()
}

/// All of them in the long form, and else some.
fn chosen(plans: Vec<Plan>, effort: Effort, salt: u64, sample: usize) -> Vec<Plan> {
    if effort.is_long {
        return plans;
    }
    let mut random = Random::new(effort.seed ^ salt);
    (0..sample)
        .map(|_| plans[random.below(plans.len() as u64) as usize])
        .collect()
}

fn fail_workload(workload: &Workload, effort: Effort, count: &mut Count) -> Result<Found> {
    // Two file systems, where there are two: one in memory, one on the disk.
    let (near, far) = (scratch()?, tempfile::tempdir()?);
    let notes = tempfile::tempdir()?;
    let work = near.path().join("work");
    std::fs::create_dir(&work)?;
    let mut trial = Trial::new(workload, &work, far.path(), notes.path(), Watched::Changes)?;
    let changes = trial.rehearse()?.0;
    let wrong = match fail_work(&mut trial, effort, count)? {
        None => fail_starts(&mut trial, changes, effort, count)?,
        wrong => wrong,
    };
    let Some(wrong) = wrong else { return Ok(None) };
    copy(&notes.path().join("facts"), &near.path().join("facts"))?;
    Ok(Some((format!("{}, {wrong}", workload.name), near)))
}

/// Lets the calls of the work fail.
fn fail_work(trial: &mut Trial<'_>, effort: Effort, count: &mut Count) -> Result<Option<String>> {
    trial.watched = Watched::Reading;
    trial.reset()?;
    let (seen, _) = trial.run(None, &mut || Ok(()))?;
    count.calls += seen.calls;
    let plans = faults(&seen.kinds, &mut Kinds::new());
    for plan in chosen(plans, effort, 0, SAMPLE) {
        let (seen, wrong) = fail_at_work(trial, plan)?;
        // A run that made fewer calls than the first, or others.
        let Some(call) = seen.hit else { continue };
        count.at_work += 1;
        count.short += u64::from(matches!(plan.fault, Fault::Short(_)));
        if let Some(wrong) = wrong {
            let (fault, at) = (described(plan.fault), plan.at);
            return Ok(Some(format!("{fault} at call {at} ({call}): {wrong}")));
        }
    }
    Ok(None)
}

fn fail_at_work(trial: &mut Trial<'_>, plan: Plan) -> Result<(Seen, Option<String>)> {
    trial.reset()?;
    let (seen, told) = trial.run(Some(plan), &mut || Ok(()))?;
    if seen.hit.is_none() {
        return Ok((seen, None));
    }
    let mut wrong = trial.died_or_stuck(&seen, &told)?;
    if wrong.is_none() && is_no_failure(plan.fault) {
        let complaints = complaints(&told);
        wrong = (!complaints.is_empty()).then(|| complaints.join("; "));
    }
    let wrong = trial.judged(wrong)?;
    Ok((seen, wrong))
}

/// Lets the calls of a start fail that finds what a run left, whole or killed.
fn fail_starts(
    trial: &mut Trial<'_>,
    changes: u64,
    effort: Effort,
    count: &mut Count,
) -> Result<Option<String>> {
    let mut met = Kinds::new();
    for quarter in QUARTERS {
        let saved = leave(trial, changes, quarter)?;
        trial.watched = Watched::Reading;
        trial.restore(&saved)?;
        let seen = trial.check(None, &mut || Ok(()))?;
        ensure!(
            seen.ending == Ending::Exited(0),
            "killed after {quarter} quarters it is not whole: {}",
            trial.told()?
        );
        count.calls += seen.calls;
        let plans = faults(&seen.kinds, &mut met);
        for plan in chosen(plans, effort, quarter, SAMPLE_OF_STARTS) {
            let (seen, wrong) = fail_at_start(trial, &saved, plan)?;
            let Some(call) = seen.hit else { continue };
            count.at_starts += 1;
            count.short += u64::from(matches!(plan.fault, Fault::Short(_)));
            if let Some(wrong) = wrong {
                let (fault, at) = (described(plan.fault), plan.at);
                return Ok(Some(format!(
                    "{fault} at call {at} ({call}) of the start after {quarter} quarters: {wrong}"
                )));
            }
        }
    }
    Ok(None)
}

/// Runs the workload, kills it, and keeps what it leaves.
fn leave(trial: &mut Trial<'_>, changes: u64, quarter: u64) -> Result<Saved> {
    trial.watched = Watched::Changes;
    trial.reset()?;
    let plan = (quarter < 4).then_some(Plan {
        at: (changes * quarter / 4).max(1),
        fault: Fault::PowerOff,
    });
    trial.run(plan, &mut || Ok(()))?;
    trial.save()
}

fn fail_at_start(
    trial: &mut Trial<'_>,
    saved: &Saved,
    plan: Plan,
) -> Result<(Seen, Option<String>)> {
    trial.restore(saved)?;
    // A short read is no reason to be late.
    let seen = if is_no_failure(plan.fault) {
        trial.check(Some(plan), &mut || Ok(()))?
    } else {
        trial.check_briefly(plan)?
    };
    if seen.hit.is_none() {
        return Ok((seen, None));
    }
    let mut wrong = trial.gave_up_badly(&seen)?;
    if wrong.is_none() {
        let told = trial.told()?;
        let lies = if is_no_failure(plan.fault) {
            told.lines().collect()
        } else {
            findings_of_the_library(&told)
        };
        wrong = (!lies.is_empty()).then(|| format!("it says: {}", lies.join("; ")));
    }
    if wrong.is_none() && is_no_failure(plan.fault) && seen.ending != Ending::Exited(0) {
        wrong = Some(format!("it gives up: {:?}", seen.ending));
    }
    if wrong.is_none() {
        wrong = trial.wrong()?;
    }
    Ok((seen, wrong))
}

/// Whether nothing failed: who asks again gets the rest.
fn is_no_failure(fault: Fault) -> bool {
    matches!(fault, Fault::Short(_))
}

fn described(fault: Fault) -> String {
    match fault {
        Fault::PowerOff | Fault::Disturbed { .. } => "a fault of another campaign".to_owned(),
        Fault::Fails { errno, lasts } => format!("{:?} {lasts}", Errno::from_raw(errno)),
        Fault::Short(short) => format!("a short read ({short:?})"),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::write(to, std::fs::read(from)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_differ_in_a_number_are_of_one_kind() {
        let path = |name: &str| kind(Path::new(name));
        assert_eq!(
            path("/queue/seg-0000000001.log"),
            path("/queue/seg-0000000012.log")
        );
        assert_ne!(path("/queue/snapshot"), path("/queue/watermark"));
    }

    #[test]
    fn each_kind_of_call_meets_every_fault_once_and_a_loop_meets_one_now_and_then() {
        let calls = |count: u32| -> Vec<_> {
            let call = |number| ("pread64", PathBuf::from(format!("seg-{number}.log")));
            (0..count).map(call).collect()
        };
        let all = faults_of("pread64", 1).len();
        let mut met = Kinds::new();
        assert_eq!(faults(&calls(1), &mut met).len(), all);
        let ats: Vec<u64> = faults(&calls(9), &mut met)
            .iter()
            .map(|plan| plan.at)
            .collect();
        assert_eq!(ats, [1, 2, 4, 8], "the start after it");
    }
}

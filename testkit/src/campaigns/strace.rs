//! What our own watcher sees and lets fail, held against another one: `strace`, which knows every system call.
//!
//! A call that the watcher does not know is never made to fail, and no campaign would tell. So strace follows each workload
//! too: it may see no call on the workload's folders that the watcher has not in its lists, and none that changes something
//! which the watcher has not seen in a run of its own. Then strace lets calls fail by its own means: what comes of it is judged as ever, and
//! has to be as well.

mod log;

use super::trial::Trial;
use super::{Effort, scratch};
use crate::random::Random;
use crate::tracer::{self, Known, Watched};
use crate::verdict::{Figure, Verdict};
use crate::workloads::{ALL, STUBBORN, Workload};
use anyhow::{Context, Result, bail, ensure};
use log::Log;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// As strace calls what a disk, a quota, an administrator and a busy system answer.
const ERRORS: [&str; 7] = [
    "EIO", "ENOSPC", "EDQUOT", "EROFS", "EMFILE", "ENOMEM", "EACCES",
];

/// Faults of each workload in the short form, drawn by the seed.
const SAMPLE: usize = 8;

/// One call of a workload: its name and what it touches first.
#[derive(Debug)]
struct Target {
    name: &'static str,
    path: PathBuf,
    /// Which it is of those of its name that touch the same, from 1.
    of_path: u64,
    /// Which of all of its name.
    of_name: u64,
}

/// What was done.
#[derive(Default)]
struct Count {
    seen: u64,
    failed: u64,
    missed: u64,
}

pub(super) fn run(effort: Effort) -> Verdict {
    if !tracer::IS_SUPPORTED {
        return Verdict::NotMeasured(
            "strace: the registers of this machine are not known".to_owned(),
        );
    }
    if !is_there() {
        return Verdict::NotMeasured("strace: it is not installed".to_owned());
    }
    if let Err(error) = finds_what_is_broken() {
        return Verdict::from(error);
    }
    let mut count = Count::default();
    for workload in ALL {
        match compare(workload, effort, &mut count) {
            Ok(None) => println!(
                "  {}: {} calls seen and {} failed so far",
                workload.name, count.seen, count.failed
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
        seen,
        failed,
        missed,
    } = count;
    Verdict::Pass(format!(
        "of {} workloads strace sees {seen} calls, and none that our watcher does not know; it let {failed} fail ({missed} did not come in their run)",
        ALL.len()
    ))
    .with(Figure::CallsFailed, failed)
}

fn is_there() -> bool {
    let mut version = Command::new("strace");
    version
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Where a workload works, on two file systems where there are two: one in memory, one on the disk.
struct Bench {
    near: TempDir,
    far: TempDir,
    notes: TempDir,
}

impl Bench {
    fn new() -> Result<Self> {
        let bench = Self {
            near: scratch()?,
            far: tempfile::tempdir()?,
            notes: tempfile::tempdir()?,
        };
        std::fs::create_dir(bench.work())?;
        Ok(bench)
    }

    fn work(&self) -> PathBuf {
        self.near.path().join("work")
    }

    fn trial<'a>(&self, workload: &'a Workload) -> Result<Trial<'a>> {
        let (far, notes) = (self.far.path(), self.notes.path());
        Trial::new(workload, &self.work(), far, notes, Watched::Openings)
    }

    /// What strace writes down.
    fn log(&self) -> PathBuf {
        self.notes.path().join("strace")
    }
}

/// One that dies of a write that fails has to be found out, or what strace lets fail does not reach the program.
fn finds_what_is_broken() -> Result<()> {
    let bench = Bench::new()?;
    let mut trial = bench.trial(&STUBBORN)?;
    for target in &targets(&watched(&mut trial)?) {
        if let Outcome::Wrong(_) = fail(&mut trial, &bench.log(), target, "EIO")? {
            return Ok(());
        }
    }
    bail!("{} was not found out", STUBBORN.name);
}

/// The calls of one run that change something, as our own watcher sees them.
fn watched(trial: &mut Trial<'_>) -> Result<Vec<(&'static str, PathBuf)>> {
    trial.rehearse()?;
    trial.reset()?;
    let (seen, _) = trial.run(None, &mut || Ok(()))?;
    Ok(seen.kinds)
}

fn compare(
    workload: &Workload,
    effort: Effort,
    count: &mut Count,
) -> Result<Option<(String, TempDir)>> {
    let bench = Bench::new()?;
    let mut trial = bench.trial(workload)?;
    let (by_strace, work) = (bench.log(), bench.work());
    let ours = watched(&mut trial)?;
    trial.reset()?;
    let (ending, _) = trial.run_below(&mut strace(&by_strace, &[]))?;
    if let Some(died) = trial.died_below(ending)? {
        bail!("{} fails below strace: {died}", workload.name);
    }
    let theirs = Log::read(&by_strace, &[&work, bench.far.path()])?;
    // What cannot be read of its words would be seen by nobody, and nothing would be found.
    for (name, path) in &ours {
        let is_seen = theirs.kinds().any(|(seen, _)| seen == *name);
        ensure!(
            is_seen,
            "{}: strace saw no {name} {}",
            workload.name,
            path.display()
        );
    }
    count.seen += theirs.calls();
    if let Some(wrong) = unseen(&ours, &theirs) {
        return Ok(Some((format!("{}: {wrong}", workload.name), bench.near)));
    }

    let targets = targets(&ours);
    for (target, error) in chosen(&targets, effort) {
        let outcome = fail(&mut trial, &by_strace, target, error)?;
        match outcome {
            Outcome::NotMet => count.missed += 1,
            _ => count.failed += 1,
        }
        if let Outcome::Wrong(wrong) = outcome {
            let Target { name, path, .. } = target;
            let path = path.display();
            let what = format!(
                "{}, {error} by strace of {name} {path}: {wrong}",
                workload.name
            );
            return Ok(Some((what, bench.near)));
        }
    }
    Ok(None)
}

/// What strace saw that our watcher does not know, or did not see in its own runs of the same.
fn unseen(ours: &[(&'static str, PathBuf)], theirs: &Log) -> Option<String> {
    for (name, line) in theirs.kinds() {
        match tracer::known(name) {
            None => return Some(format!("our watcher does not know {name}: {line}")),
            Some(Known::Reads) => {}
            Some(Known::Changes) if ours.iter().any(|(seen, _)| *seen == name) => {}
            Some(Known::Changes) => return Some(format!("our watcher saw no {name}: {line}")),
        }
    }
    theirs
        .shared_memory()
        .map(|line| format!("a file is written by way of memory, past our watcher: {line}"))
}

fn targets(calls: &[(&'static str, PathBuf)]) -> Vec<Target> {
    let (mut paths, mut names) = (BTreeMap::new(), BTreeMap::new());
    let mut target = |(name, path): &(&'static str, PathBuf)| {
        let of_path = paths.entry((*name, path.clone())).or_insert(0);
        let of_name = names.entry(*name).or_insert(0);
        *of_path += 1;
        *of_name += 1;
        Target {
            name,
            path: path.clone(),
            of_path: *of_path,
            of_name: *of_name,
        }
    };
    calls.iter().map(&mut target).collect()
}

/// All targets with all errors in the long form, some of them in the short one.
fn chosen(targets: &[Target], effort: Effort) -> Vec<(&Target, &'static str)> {
    let all = targets
        .iter()
        .flat_map(|target| ERRORS.map(|error| (target, error)));
    let all: Vec<_> = all.collect();
    if effort.is_long {
        return all;
    }
    let mut random = Random::new(effort.seed);
    (0..SAMPLE)
        .map(|_| all[random.below(all.len() as u64) as usize])
        .collect()
}

/// What came of a call that was to fail.
enum Outcome {
    /// This run made no such call.
    NotMet,
    Well,
    Wrong(String),
}

/// Lets the call fail that touches this path, and where none does in this run, since many names are drawn by chance, one of
/// its name.
fn fail(trial: &mut Trial<'_>, log: &Path, target: &Target, error: &str) -> Result<Outcome> {
    let Target { name, path, .. } = target;
    let path = path
        .to_str()
        .context("the scratch folder has a plain name")?;
    let mut outcome = fail_call(trial, log, target, error, target.of_path, &["-P", path])?;
    // Those two are made on other files too, what the workload tells among them.
    if matches!(outcome, Outcome::NotMet) && !["write", "openat"].contains(name) {
        outcome = fail_call(trial, log, target, error, target.of_name, &[])?;
    }
    Ok(outcome)
}

fn fail_call(
    trial: &mut Trial<'_>,
    log: &Path,
    target: &Target,
    error: &str,
    number: u64,
    only: &[&str],
) -> Result<Outcome> {
    trial.reset()?;
    let name = target.name;
    let fault = format!("inject={name}:error={error}:when={number}");
    let trace = format!("trace={name}");
    let words = [only, &["-e", &trace, "-e", &fault]].concat();
    let (ending, _) = trial.run_below(&mut strace(log, &words))?;
    if !Log::has_failed(log)? {
        return Ok(Outcome::NotMet);
    }
    let died = trial.died_below(ending)?;
    Ok(trial.judged(died)?.map_or(Outcome::Well, Outcome::Wrong))
}

/// strace with these further words, which follows all threads and writes down what touches files and descriptors.
fn strace(log: &Path, words: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-s", "0", "-o"]).arg(log);
    if words.is_empty() {
        strace.args(["-e", "trace=%file,%desc"]);
    }
    strace.args(words);
    strace
}

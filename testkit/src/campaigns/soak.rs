//! The agent works for long while its receiver fails in every way, and takes no more and more of anything.
//!
//! A round is load under one kind of failure, then a receiver that is well, until nothing is left, and then rest, until the
//! threads that wait for work have gone. What the agent holds at rest, after the rounds in which it warms up, has to stay as it is:
//! descriptors and threads as they were, and memory on a line that rises by less than 1 MiB in an hour (short form: by less than
//! 1 MiB in all, since a minute says nothing of an hour).
//!
//! Nothing of all that is a fault of the agent's own tasks: none of them may have been silent, have failed or have been started again.

use super::faulty::LIVES;
use super::stage::Stage;
use super::{Effort, scratch};
use crate::process::{Mainstay, Receiver};
use crate::verdict::{Figure, Figures, Verdict};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// So long it works in the long form after it is warm, and so many rounds in the short one.
const LONG: Duration = Duration::from_mins(10);
const ROUNDS_SHORT: usize = 4;

/// So long it warms up: a hundred looks of each check are remembered, one every ten seconds, and until then that grows. In the short
/// form two rounds, in which most paths are taken once.
const WARM_UP_LONG: Duration = Duration::from_mins(18);
const WARM_UP_SHORT: usize = 2;

/// How long there is load in a round.
const LOAD: Duration = Duration::from_millis(2_500);

/// A pickup, a delivery, and eight beside them: fewer, and what was looked at was not the agent.
const TASKS_MIN: usize = 10;

/// A thread that waits for work goes after 2 s.
const REST: Duration = Duration::from_secs(3);

/// A thread or a descriptor that something just then needs is there at one look and gone at another.
const LOOKS: usize = 10;
const LOOK: Duration = Duration::from_millis(500);

const MIB: f64 = 1024.0 * 1024.0;

/// How much memory may rise: in an hour, and in all of a short form.
const RISE_MAX: f64 = MIB;

/// What came of all rounds, none of which rose.
#[derive(Debug)]
struct Seen {
    words: String,
    figures: Figures,
}

/// What the agent holds at rest.
#[derive(Debug, Clone, Copy)]
struct Held {
    at: Duration,
    /// Resident, in bytes.
    memory: u64,
    descriptors: usize,
    threads: usize,
}

pub(super) fn run(effort: Effort) -> Verdict {
    let (mut stage, scratch) = match (Stage::new(effort.seed), scratch()) {
        (Ok(stage), Ok(scratch)) => (stage, scratch),
        (Err(error), _) | (_, Err(error)) => return Verdict::from(error),
    };
    let (held, tasks) = match stage
        .put_on(scratch.path())
        .and_then(|()| rounds(&mut stage, effort.is_long))
    {
        Ok(seen) => seen,
        Err(error) => return Verdict::from(error),
    };
    let seen = match tasks_are_well(&tasks).and_then(|()| judge(&held, effort.is_long)) {
        Ok(seen) => seen,
        Err(what) => {
            let seed = effort.seed;
            let kept = Some(stage.keep());
            return Verdict::Violation { what, seed, kept };
        }
    };
    let documents = stage.documents();
    let verdict = stage.judge(&["data"], &seen.words);
    let figures = seen.figures.into_iter();
    figures
        .chain([(Figure::Documents, documents)])
        .fold(verdict, |verdict, (figure, count)| {
            verdict.with(figure, count)
        })
}

/// What was held at rest after each round, and how the tasks stood at the end.
fn rounds(stage: &mut Stage, is_long: bool) -> Result<(Vec<Held>, Value)> {
    let first = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let (address, url) = (first.address().to_owned(), first.url.clone());
    first.kill()?;
    // What was delivered is forgotten at once: kept, it would take its hundred bytes each.
    // Every task has something to do, or to wait for.
    let head = "[queue]\nretain_after_ack = \"0s\"\n[health]\nlisten = \"127.0.0.1:0\"\n\
                [[alert]]\ncommand = [\"true\"]\n";
    let mut agent = stage.agent_that_deletes(head, "data", &url, &[])?;
    let begun = Instant::now();
    let mut held = Vec::new();
    while if is_long {
        begun.elapsed() < WARM_UP_LONG + LONG
    } else {
        held.len() < ROUNDS_SHORT
    } {
        let faults = LIVES[held.len() % LIVES.len()];
        let failing = Receiver::start(&stage.binary, &stage.path(""), &address, faults)?;
        let loaded = Instant::now();
        while loaded.elapsed() < LOAD {
            stage.drop_file()?;
            thread::sleep(Duration::from_millis(5 + stage.random.below(30)));
        }
        failing.kill()?;
        let well = Receiver::start(&stage.binary, &stage.path(""), &address, &[])?;
        agent.until("everything is delivered", || is_empty(stage))?;
        // How many connections stay open for the next document is chance, and none may once the other end is gone.
        well.kill()?;
        thread::sleep(REST);
        let rest = at_rest(&agent, held.first().copied(), begun)?;
        println!(
            "  {:>4} s: {:.2} MiB, {} descriptors, {} threads",
            rest.at.as_secs(),
            rest.memory as f64 / MIB,
            rest.descriptors,
            rest.threads
        );
        held.push(rest);
    }
    let tasks = stage.status("data")?["service"]["tasks"].clone();
    let _well = Receiver::start(&stage.binary, &stage.path(""), &address, &[])?;
    agent.terminate()?;
    Stage::succeed(agent)?;
    Ok((held, tasks))
}

fn tasks_are_well(tasks: &Value) -> std::result::Result<(), String> {
    let tasks = tasks.as_array().map_or(&[][..], Vec::as_slice);
    let is_well = |task: &&Value| task["attempts"] == 1 && task["failures"] == 0;
    match tasks.iter().find(|task| !is_well(task)) {
        Some(task) => Err(format!("a task was not well all the time: {task}")),
        None if tasks.len() < TASKS_MIN => Err(format!("tasks are missing: {tasks:?}")),
        None => Ok(()),
    }
}

fn is_empty(stage: &Stage) -> bool {
    // It is asked again and again, and answers nothing while it is busy.
    thread::sleep(Duration::from_millis(50));
    let is_taken = fs::read_dir(stage.path("drop")).is_ok_and(|mut left| {
        !left.any(|entry| {
            entry.is_ok_and(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        })
    });
    is_taken
        && stage.status("data").is_ok_and(|status| {
            status["ledger"]["queued"] == 0
                && status["ledger"]["accepted"] == status["ledger"]["delivered"]
        })
}

/// The least of some looks, or the first that is no more than before.
fn at_rest(agent: &Mainstay, before: Option<Held>, begun: Instant) -> Result<Held> {
    let mut least = look(agent, begun)?;
    for _ in 0..LOOKS {
        let is_as_before = |before: Held| {
            least.descriptors <= before.descriptors && least.threads <= before.threads
        };
        if before.is_some_and(is_as_before) {
            break;
        }
        thread::sleep(LOOK);
        let now = look(agent, begun)?;
        least.descriptors = least.descriptors.min(now.descriptors);
        least.threads = least.threads.min(now.threads);
        least.memory = least.memory.min(now.memory);
    }
    Ok(least)
}

fn look(agent: &Mainstay, begun: Instant) -> Result<Held> {
    let process = format!("/proc/{}", agent.pid());
    let status = fs::read_to_string(format!("{process}/status"))?;
    let number = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .with_context(|| format!("the system does not say {name}"))?
            .parse()
            .with_context(|| format!("{name} is no number"))
    };
    Ok(Held {
        at: begun.elapsed(),
        memory: number("VmRSS:")? * 1024,
        descriptors: fs::read_dir(format!("{process}/fd"))?.count(),
        threads: usize::try_from(number("Threads:")?)?,
    })
}

/// What was seen; `Err`, in words, where something rises.
fn judge(held: &[Held], is_long: bool) -> std::result::Result<Seen, String> {
    let warm_up = if is_long {
        held.partition_point(|held| held.at < WARM_UP_LONG)
    } else {
        WARM_UP_SHORT
    };
    let (warming, warm) = held.split_at(warm_up.min(held.len()));
    let most = |of: fn(&Held) -> usize, held: &[Held]| held.iter().map(of).max().unwrap_or(0);
    for (what, of) in [
        (
            "descriptors",
            (|held| held.descriptors) as fn(&Held) -> usize,
        ),
        ("threads", |held| held.threads),
    ] {
        let (before, after) = (most(of, warming), most(of, warm));
        if before < after {
            return Err(format!(
                "{after} {what} at rest, and {before} before: {held:?}"
            ));
        }
    }
    let (rise, per) = if is_long {
        (slope(warm) * 3600.0, "an hour")
    } else {
        let memory = |held: Option<&Held>| held.map_or(0.0, |held| held.memory as f64);
        (memory(warm.last()) - memory(warm.first()), "all")
    };
    let (descriptors, threads) = (
        most(|held| held.descriptors, warm),
        most(|held| held.threads, warm),
    );
    let words = format!(
        "{} rounds, {descriptors} descriptors and {threads} threads at rest, memory rises by {:.2} MiB in {per}",
        held.len(),
        rise / MIB
    );
    if RISE_MAX <= rise {
        return Err(format!("{words}: {held:?}"));
    }
    let mut figures = Figures::from([
        (Figure::Descriptors, descriptors as u64),
        (Figure::Threads, threads as u64),
    ]);
    // A minute says nothing of an hour.
    if is_long {
        let kib = (rise / 1_024.0).round().max(0.0);
        figures.insert(Figure::MemoryRise, kib as u64);
    }
    Ok(Seen { words, figures })
}

/// By how many bytes memory rises in a second: the line that lies closest to all of them (least squares).
fn slope(held: &[Held]) -> f64 {
    let count = held.len().max(1) as f64;
    let at = |held: &Held| held.at.as_secs_f64();
    let memory = |held: &Held| held.memory as f64;
    let mean = |of: &dyn Fn(&Held) -> f64| held.iter().map(of).sum::<f64>() / count;
    let (middle, level) = (mean(&at), mean(&memory));
    let spread: f64 = held.iter().map(|held| (at(held) - middle).powi(2)).sum();
    let with: f64 = held
        .iter()
        .map(|held| (at(held) - middle) * (memory(held) - level))
        .sum();
    if spread > 0.0 { with / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn held(at: u64, memory: f64, descriptors: usize, threads: usize) -> Held {
        Held {
            at: Duration::from_secs(at),
            memory: memory as u64,
            descriptors,
            threads,
        }
    }

    #[test]
    fn a_task_that_was_silent_once_is_seen() {
        let task =
            |attempts: u32, failures: u32| json!({ "attempts": attempts, "failures": failures });
        let tasks = |last: Value| {
            let mut tasks = vec![task(1, 0); TASKS_MIN - 1];
            tasks.push(last);
            Value::from(tasks)
        };
        assert_eq!(tasks_are_well(&tasks(task(1, 0))), Ok(()));
        assert!(tasks_are_well(&tasks(task(2, 1))).is_err());
        assert!(tasks_are_well(&tasks(task(1, 1))).is_err());
        assert!(tasks_are_well(&Value::from(vec![task(1, 0)])).is_err());
        assert!(tasks_are_well(&Value::Null).is_err());
    }

    #[test]
    fn what_rises_is_seen_and_what_wavers_is_not() {
        let rounds = |memory: fn(u64) -> f64, last: (usize, usize)| -> Vec<Held> {
            (0..110)
                .map(|round| {
                    let (descriptors, threads) = if round == 109 { last } else { (9, 8) };
                    held(round * 15, memory(round), descriptors, threads)
                })
                .collect()
        };
        // 2 MiB in an hour, and 64 KiB up and down.
        let rises = |round: u64| 20.0 * MIB + round as f64 * 15.0 * 2.0 * MIB / 3600.0;
        let wavers = |round: u64| 20.0 * MIB + (round % 2) as f64 * 65_536.0;
        assert!(judge(&rounds(wavers, (9, 8)), true).is_ok());
        // Half a MiB in an hour.
        let hardly = |round: u64| 20.0 * MIB + round as f64 * 15.0 * 0.5 * MIB / 3600.0;
        let seen = judge(&rounds(hardly, (9, 8)), true).unwrap();
        let figures = Figures::from([
            (Figure::Descriptors, 9),
            (Figure::Threads, 8),
            (Figure::MemoryRise, 512),
        ]);
        assert_eq!(seen.figures, figures, "{}", seen.words);
        let falls = |round: u64| 20.0 * MIB - round as f64 * 1_024.0;
        let seen = judge(&rounds(falls, (9, 8)), true).unwrap();
        assert_eq!(seen.figures[&Figure::MemoryRise], 0, "{}", seen.words);
        let short = judge(&rounds(wavers, (9, 8))[..ROUNDS_SHORT], false).unwrap();
        assert!(!short.figures.contains_key(&Figure::MemoryRise));
        let told = judge(&rounds(rises, (9, 8)), true).unwrap_err();
        assert!(
            told.contains("memory rises by 2.00 MiB in an hour"),
            "{told}"
        );
        assert!(judge(&rounds(wavers, (10, 8)), true).is_err());
        assert!(judge(&rounds(wavers, (9, 9)), true).is_err());
    }
}

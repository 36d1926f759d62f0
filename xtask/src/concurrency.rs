//! `cargo xtask faults concurrency`: threads under chosen schedules, and waits given up between any two awaits.
//!
//! The tests of schedules stand in the crates themselves and are built with `--cfg shuttle`, which one crate at a time is given:
//! what it stands on is the build that the tests use. The long form also looks for races (see `races`).

mod races;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::process::{self, Stream};
use crate::record::{Run, Subject, Verdict};
use crate::workspace::Workspace;

/// Schedules of each of the two kinds, for each test: in CI, and where there is time.
const SHORT: u64 = 850;
const LONG: u64 = 8_500;

/// The kinds of schedules: one picks at random, one prefers and changes its mind a few times.
const KINDS: u64 = 2;

/// The crates that have tests of schedules.
const CRATES: [&str; 2] = ["mainstay-queue", "mainstay-resilience"];

/// What is to be run.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    schedules: u64,
    seed: u64,
    /// Whether races are looked for too.
    races: bool,
    /// Whether what it came to is written down.
    record: bool,
}

/// Runs the campaign: `--long` for ten times as many schedules and a watch for races, `--schedules N` and `--seed N` to choose,
/// `--record` for a line in the record.
pub(crate) fn verb(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    run(workspace, arguments).map(|()| ExitCode::SUCCESS)
}

/// Runs the campaign and prints what it came to.
///
/// # Errors
///
/// When a build fails, or a promise was broken.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let wanted = parse(arguments)?;
    let subject = Subject::look(workspace)?;
    let mut verdict = Verdict::HarnessBroken;
    let told = watch_threads(workspace, &wanted, &mut verdict);
    if wanted.record {
        let schedules = told.as_ref().map_or(0, |(schedules, _)| *schedules);
        let run = Run {
            campaign: "concurrency",
            is_long: wanted.races,
            seed: wanted.seed,
            verdict,
            figures: &[("schedules", schedules)],
        };
        subject.add(workspace, &run)?;
    }
    let (_, told) = told?;
    println!("  pass: {told}");
    Ok(())
}

/// Does it, and says what it came to where it is no pass; returns the schedules and all of it in words.
fn watch_threads(
    workspace: &Workspace,
    wanted: &Wanted,
    verdict: &mut Verdict,
) -> Result<(u64, String)> {
    println!(
        "concurrency: the threads and waiters of queue and resilience under schedules that are chosen, and every wait given up"
    );
    let unwatched = wanted.races.then(|| races::missing(workspace)).flatten();
    if let Some(reason) = unwatched {
        println!("not measured: races: {reason}");
    }
    let watches = wanted.races && unwatched.is_none();
    let programs =
        build(workspace, watches).inspect_err(|error| println!("  HARNESS BROKEN: {error:#}"))?;
    let seed = wanted.seed;
    *verdict = Verdict::Violation;
    let told = measure(workspace, &programs, wanted, watches)
        .inspect_err(|error| println!("  VIOLATION (seed {seed}): {error:#}"))?;
    if let Some(reason) = unwatched {
        // Only the long form looks for races, and there what was not measured is never green.
        *verdict = Verdict::NotMeasured;
        bail!(
            "races were not measured: {reason}; the rest passes: {}",
            told.1
        );
    }
    *verdict = Verdict::Pass;
    Ok(told)
}

/// Runs all of it, and returns what it came to: the schedules, and in words.
fn measure(
    workspace: &Workspace,
    programs: &[String],
    wanted: &Wanted,
    watches: bool,
) -> Result<(u64, String)> {
    let mut kinds = 0;
    for program in programs {
        kinds += count(
            process::program(program, &workspace.root)
                .args(["schedules::", "--nocapture", "--test-threads=1"])
                .env("MAINSTAY_SCHEDULES", wanted.schedules.to_string())
                .env("MAINSTAY_SEED", wanted.seed.to_string()),
        )?;
    }
    let given_up = count(given_up(workspace).arg("cancelled::"))?;
    let schedules = kinds * KINDS * wanted.schedules;
    let told = format!(
        "{schedules} schedules of {kinds} kinds of work, {given_up} kinds of waits given up at every point"
    );
    if !watches {
        return Ok((schedules, told));
    }
    let watched = races::run(workspace)?;
    let told = format!("{told}, no race in {watched} tests of the queue");
    Ok((schedules, told))
}

/// Builds everything that is run; what does not build breaks no promise. Returns the programs with the schedules.
fn build(workspace: &Workspace, watches: bool) -> Result<Vec<String>> {
    process::run(given_up(workspace).arg("--no-run"))?;
    if watches {
        races::build(workspace)?;
    }
    let programs = CRATES.iter().map(|package| {
        test(
            process::cargo(&workspace.root)
                .args(["rustc", "--package", package, "--lib"])
                .args(["--profile", "test", "--quiet"])
                .args(["--message-format", "json", "--", "--cfg", "shuttle"]),
        )
    });
    programs.collect()
}

/// The tests that give up waiting. Of the whole workspace, so that they are the build that the tests use.
fn given_up(workspace: &Workspace) -> std::process::Command {
    let mut command = process::cargo(&workspace.root);
    command.args(["test", "--quiet", "--workspace", "--test", "it"]);
    command
}

fn parse(arguments: &[String]) -> Result<Wanted> {
    let mut wanted = Wanted {
        schedules: SHORT,
        seed: 1,
        races: false,
        record: false,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut number = || -> Result<u64> {
            let text = words
                .next()
                .with_context(|| format!("{word} needs a number"))?;
            text.parse()
                .with_context(|| format!("{word} needs a number, not `{text}`"))
        };
        match word.as_str() {
            "--short" => {}
            "--long" => (wanted.schedules, wanted.races) = (LONG, true),
            "--record" => wanted.record = true,
            "--schedules" => wanted.schedules = number()?,
            "--seed" => wanted.seed = number()?,
            other => bail!(
                "no option `{other}`: there are --short, --long, --record, --schedules N (of each kind, for each test) and --seed N"
            ),
        }
    }
    Ok(wanted)
}

/// Builds a test program and returns its path.
fn test(build: &mut std::process::Command) -> Result<String> {
    let messages = process::read(build).context("the tests of schedules cannot be built")?;
    program(&messages).context("cargo did not say what it built")
}

/// The last program that cargo's messages name.
fn program(messages: &str) -> Option<String> {
    let (_, rest) = messages.rsplit_once("\"executable\":\"")?;
    let (path, _) = rest.split_once('"')?;
    Some(path.to_owned())
}

/// Runs tests and returns how many passed; none is a failure too.
fn count(command: &mut std::process::Command) -> Result<u64> {
    let mut passed = 0;
    let status = process::watch(command, Stream::Out, |line| {
        if let Some(number) = tests_passed(line) {
            passed += number;
        }
    })?;
    if !status.success() {
        bail!("a test failed ({status}): see above for what it says");
    }
    if passed == 0 {
        bail!("no test ran");
    }
    Ok(passed)
}

/// How many tests passed, from the last line of a run.
fn tests_passed(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("test result: ok. ")?;
    rest.split_once(" passed")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_and_what_passed_is_read_from_what_cargo_says() {
        let messages =
            "{\"executable\":null}\n{\"executable\":\"/target/deps/queue-1\",\"fresh\":true}\n{}";
        assert_eq!(program(messages).as_deref(), Some("/target/deps/queue-1"));
        assert_eq!(program("{\"executable\":null}"), None);
        let line = "test result: ok. 6 passed; 0 failed; 0 ignored; 0 measured";
        assert_eq!(tests_passed(line), Some(6));
        assert_eq!(
            tests_passed("test result: FAILED. 5 passed; 1 failed"),
            None
        );
    }

    #[test]
    fn an_option_that_does_not_exist_is_refused() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let wanted = parse(&words(&["--schedules", "7", "--seed", "3"])).unwrap();
        assert_eq!((wanted.schedules, wanted.seed), (7, 3));
        assert!(!wanted.races && !wanted.record);
        assert!(parse(&words(&["--long", "--record"])).unwrap().record);
        let wanted = parse(&words(&["--long"])).unwrap();
        assert!(wanted.schedules == LONG && wanted.races);
        assert!(parse(&words(&["--schedules"])).is_err());
        assert!(parse(&words(&["--seed", "x"])).is_err());
        assert!(parse(&words(&["--fast"])).is_err());
    }
}

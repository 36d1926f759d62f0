//! `cargo xtask fuzz`: readers and sequences of operations, fed by a machine that looks for what breaks them.
//!
//! The targets stand in `fuzz/`, a workspace of its own, because they need a nightly compiler and cargo-fuzz. Where these
//! are not at hand nothing is installed, and it says that nothing was measured.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process::{self, Stream};
use crate::record::{Run, Subject, Verdict};
use crate::workspace::Workspace;

/// How long each target runs, in seconds: in CI, and where there is time.
const SHORT: u32 = 60;
const LONG: u32 = 20 * 60;

/// An input that takes longer is a fault: the slowest sequence of operations takes a hundredth of it.
const INPUT_SECONDS_MAX: u32 = 10;

/// The most bytes of an input, and the most memory: nothing here needs more, and a length that lies shows.
const INPUT_BYTES_MAX: u32 = 64 * 1024;
const MEMORY_MIB_MAX: u32 = 1024;

const TARGETS: &[&str] = &["segment", "snapshot", "heads", "archive", "operations"];

/// What is to be run.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    targets: Vec<&'static str>,
    is_long: bool,
    /// Whether what each target came to is written down.
    record: bool,
    /// Where the machine's chance begins; runs of one build with the same seed and inputs begin alike.
    seed: u64,
}

/// Runs the targets: all, or those that are named; `--long` gives each twenty minutes.
pub(crate) fn verb(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let wanted = parse(arguments)?;
    Ok(match fuzz(workspace, &wanted)? {
        // In the long form what was not measured is never green.
        Some(_) if wanted.is_long => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// Runs all targets in their short form; returns why nothing was measured, if nothing was.
///
/// # Errors
///
/// When a target does not build, or found something.
pub(crate) fn short(workspace: &Workspace) -> Result<Option<String>> {
    fuzz(workspace, &parse(&[])?)
}

fn fuzz(workspace: &Workspace, wanted: &Wanted) -> Result<Option<String>> {
    if let Some(reason) = missing(workspace) {
        println!("not measured: fuzz: {reason}");
        return Ok(Some(reason.to_owned()));
    }
    for target in &wanted.targets {
        fuzz_target(workspace, target, wanted)?;
    }
    Ok(None)
}

fn parse(arguments: &[String]) -> Result<Wanted> {
    let mut wanted = Wanted {
        targets: Vec::new(),
        is_long: false,
        record: false,
        seed: 1,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--short" => {}
            "--long" => wanted.is_long = true,
            "--record" => wanted.record = true,
            "--seed" => {
                let number = words.next().and_then(|word| word.parse().ok());
                // For the machine, 0 means any.
                let number = number.filter(|number| (1..=u64::from(u32::MAX)).contains(number));
                wanted.seed = number.context("--seed needs a number from 1 to 4294967295")?;
            }
            name => match TARGETS.iter().find(|target| **target == name) {
                Some(target) => wanted.targets.push(target),
                None => bail!("no target `{name}`: there are {}", TARGETS.join(", ")),
            },
        }
    }
    if wanted.targets.is_empty() {
        wanted.targets = TARGETS.to_vec();
    }
    Ok(wanted)
}

/// Runs one target, and writes down what it came to where that is wanted.
fn fuzz_target(workspace: &Workspace, target: &str, wanted: &Wanted) -> Result<()> {
    let subject = Subject::look(workspace)?;
    let mut verdict = Verdict::HarnessBroken;
    let inputs = run(workspace, target, wanted, &mut verdict);
    if wanted.record {
        let run = Run {
            campaign: &format!("fuzz-{target}"),
            is_long: wanted.is_long,
            seed: wanted.seed,
            verdict,
            figures: &[("inputs", *inputs.as_ref().unwrap_or(&0))],
        };
        subject.add(workspace, &run)?;
    }
    inputs.map(|inputs| println!("  pass: fuzz {target}: {inputs} inputs"))
}

/// What is not at hand, if anything is.
fn missing(workspace: &Workspace) -> Option<&'static str> {
    let works = |words: &[&str]| {
        process::succeeds(
            Command::new("cargo")
                .args(words)
                .current_dir(&workspace.root),
        )
    };
    if !works(&["+nightly", "--version"]) {
        return Some("there is no nightly compiler (`rustup toolchain install nightly`)");
    }
    if !works(&["+nightly", "fuzz", "--version"]) {
        return Some("there is no cargo-fuzz (`cargo install --locked cargo-fuzz`)");
    }
    let fetch = [
        "+nightly",
        "fetch",
        "--locked",
        "--manifest-path",
        "fuzz/Cargo.toml",
    ];
    (!works(&fetch)).then_some("what the targets depend on cannot be fetched from here")
}

/// Runs one target from its seeds and what earlier runs came upon, and returns how many inputs it was given; an input that
/// breaks it is kept and named.
fn run(workspace: &Workspace, target: &str, wanted: &Wanted, verdict: &mut Verdict) -> Result<u64> {
    let seconds = if wanted.is_long { LONG } else { SHORT };
    println!("fuzz {target}: {seconds} s");
    let fuzz = workspace.root.join("fuzz");
    let kept = workspace.target.join("fuzz").join(target);
    #[expect(
        clippy::disallowed_methods,
        reason = "a folder of the build, not of a user"
    )]
    fs::create_dir_all(&kept).with_context(|| format!("cannot make {}", kept.display()))?;
    process::run(&mut cargo_fuzz(&fuzz, "build", target))?;
    *verdict = Verdict::Violation;
    let mut command = cargo_fuzz(&fuzz, "run", target);
    command
        .arg(&kept)
        .arg(fuzz.join("seeds").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-seed={}", wanted.seed))
        .arg("-verbosity=0")
        .arg("-print_final_stats=1");
    let mut inputs = 0;
    let status = process::watch(&mut command, Stream::Err, |line| {
        inputs = executed(line).unwrap_or(inputs);
    })?;
    if !status.success() {
        bail!(
            "fuzz target `{target}` found something ({status}): see above for the input that it kept"
        );
    }
    if inputs == 0 {
        *verdict = Verdict::HarnessBroken;
        bail!("fuzz target `{target}` did not say how many inputs it was given");
    }
    *verdict = Verdict::Pass;
    Ok(inputs)
}

/// A call of cargo-fuzz for one target, to which what it takes can be added.
fn cargo_fuzz(fuzz: &Path, verb: &str, target: &str) -> Command {
    let mut command = Command::new("cargo");
    // Nothing here is unsafe, so a sanitizer would find nothing, and take half of the speed.
    command.current_dir(fuzz).args([
        "+nightly",
        "fuzz",
        verb,
        "--fuzz-dir",
        ".",
        "-s",
        "none",
        target,
    ]);
    command
}

/// How many inputs were tried, from the last lines of a run.
fn executed(line: &str) -> Option<u64> {
    let (_, number) = line.split_once("stat::number_of_executed_units:")?;
    number.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_fuzzed_is_read_and_nothing_else_is_taken() {
        let parse =
            |words: &[&str]| parse(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        let wanted = parse(&[]).unwrap();
        assert_eq!((wanted.targets.len(), wanted.seed), (TARGETS.len(), 1));
        assert!(!wanted.is_long && !wanted.record);
        let wanted = parse(&["--long", "--record", "--seed", "3", "heads"]).unwrap();
        assert_eq!((wanted.targets, wanted.seed), (vec!["heads"], 3));
        assert!(wanted.is_long && wanted.record);
        for wrong in [
            &["tails"][..],
            &["--seed"],
            &["--seed", "0"],
            &["--seed", "x"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_inputs_are_counted_by_what_the_machine_says_at_the_end() {
        assert_eq!(
            executed("stat::number_of_executed_units: 12345"),
            Some(12_345)
        );
        assert_eq!(executed("stat::average_exec_per_sec:     205"), None);
    }
}

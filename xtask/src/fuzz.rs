//! `cargo xtask fuzz`: readers and sequences of operations, fed by a machine that looks for what breaks them.
//!
//! The targets stand in `fuzz/`, a workspace of its own, because they need a nightly compiler and cargo-fuzz. Where these
//! are not at hand nothing is installed, and it says that nothing was measured.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process;
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

/// Runs the targets: all, or those that are named; `--long` gives each twenty minutes.
pub(crate) fn verb(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let seconds = if arguments.iter().any(|word| word == "--long") {
        LONG
    } else {
        SHORT
    };
    let names: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| !matches!(*word, "--long" | "--short"))
        .collect();
    if let Some(unknown) = names.iter().find(|name| !TARGETS.contains(name)) {
        bail!("no target `{unknown}`: there are {}", TARGETS.join(", "));
    }
    if let Some(reason) = missing(workspace) {
        println!("not measured: fuzz: {reason}");
        // In the long form that is never green.
        return Ok(if seconds == LONG {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        });
    }
    for target in TARGETS {
        if names.is_empty() || names.contains(target) {
            run(workspace, target, seconds)?;
        }
    }
    Ok(ExitCode::SUCCESS)
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
    (!works(&["+nightly", "fuzz", "--version"]))
        .then_some("there is no cargo-fuzz (`cargo install --locked cargo-fuzz`)")
}

/// Runs one target from its seeds and what earlier runs came upon; an input that breaks it is kept and named.
fn run(workspace: &Workspace, target: &str, seconds: u32) -> Result<()> {
    println!("fuzz {target}: {seconds} s");
    let fuzz = workspace.root.join("fuzz");
    let kept = workspace.target.join("fuzz").join(target);
    #[expect(
        clippy::disallowed_methods,
        reason = "a folder of the build, not of a user"
    )]
    fs::create_dir_all(&kept).with_context(|| format!("cannot make {}", kept.display()))?;
    // Nothing here is unsafe, so a sanitizer would find nothing, and take half of the speed.
    let mut command = Command::new("cargo");
    command
        .current_dir(&fuzz)
        .args([
            "+nightly",
            "fuzz",
            "run",
            "--fuzz-dir",
            ".",
            "-s",
            "none",
            target,
        ])
        .arg(&kept)
        .arg(fuzz.join("seeds").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg("-verbosity=0")
        .arg("-print_final_stats=1");
    process::run(&mut command).with_context(|| format!("fuzz target `{target}` found something"))
}

//! `cargo xtask ci`: what CI runs, in the order in which a mistake is cheapest to find.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;
use crate::{concurrency, faults, fuzz, test, tidy, tools};

/// One part of CI.
struct Step {
    name: &'static str,
    run: fn(&Workspace, &mut Outcome) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step {
        name: "lock file",
        run: lock_file,
    },
    Step {
        name: "format",
        run: format,
    },
    Step {
        name: "tidy",
        run: |workspace, _| tidy::check(workspace),
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "deny",
        run: deny,
    },
    Step {
        name: "docs",
        run: docs,
    },
    Step {
        name: "test",
        run: tests,
    },
    Step {
        name: "faults",
        run: campaign,
    },
    Step {
        name: "fuzz",
        run: fuzzing,
    },
];

/// What the steps leave for the end.
#[derive(Debug, Default)]
struct Outcome {
    /// What was not run or not measured, and why.
    notes: Vec<String>,
    /// The test runner's own last line.
    closing: String,
}

/// Runs every step, stops at the first that fails, and ends with the test runner's closing line.
pub(crate) fn verb(workspace: &Workspace) -> ExitCode {
    let mut outcome = Outcome::default();
    let mut times = Vec::new();
    for step in STEPS {
        println!("\n=== {} ===", step.name);
        let start = now();
        let result = (step.run)(workspace, &mut outcome);
        let took = start.elapsed();
        times.push((step.name, took));
        if let Err(error) = result {
            print_times(&times);
            println!("\nci stopped at `{}`: {error:#}", step.name);
            if !outcome.closing.is_empty() {
                println!("{}", outcome.closing);
            }
            return ExitCode::FAILURE;
        }
        println!("=== {} is good, {} ===", step.name, seconds(took));
    }
    print_times(&times);
    let report = test::Report {
        passed: true,
        closing: outcome.closing,
        notes: outcome.notes,
    };
    report.print();
    ExitCode::SUCCESS
}

fn lock_file(workspace: &Workspace, _: &mut Outcome) -> Result<()> {
    process::read(process::cargo(&workspace.root).args([
        "metadata",
        "--locked",
        "--format-version=1",
    ]))?;
    // They have workspaces of their own, and depend on our crates: nothing of theirs is fetched to see that.
    for folder in ["bench/rivals", "fuzz"] {
        process::read(process::cargo(&workspace.root.join(folder)).args([
            "update",
            "--workspace",
            "--locked",
        ]))
        .with_context(|| format!("the lock file of `{folder}` does not know what our crates depend on; run `cargo update --workspace` there"))?;
    }
    Ok(())
}

fn format(workspace: &Workspace, _: &mut Outcome) -> Result<()> {
    process::run(process::cargo(&workspace.root).args(["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace, _: &mut Outcome) -> Result<()> {
    process::run(process::cargo(&workspace.root).args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "--deny",
        "warnings",
    ]))
}

/// Licences, sources and bans always; advisories where their database can be had.
fn deny(workspace: &Workspace, outcome: &mut Outcome) -> Result<()> {
    if !tools::ensure(workspace, tools::DENY) {
        bail!(
            "`cargo deny` is missing and cannot be built: run `cargo install --locked cargo-deny` and see why"
        );
    }
    let check = |what: &[&str]| {
        process::run(
            process::cargo(&workspace.root)
                .args(["deny", "--workspace", "--log-level", "error", "check"])
                .args(what),
        )
    };
    check(&["bans", "licenses", "sources"])?;
    if process::succeeds(process::cargo(&workspace.root).args(["deny", "fetch", "db"])) {
        check(&["advisories"])
    } else {
        let note = "cargo deny check advisories: not run, since the advisory database cannot be fetched from here";
        println!("{note}");
        outcome.notes.push(note.to_owned());
        Ok(())
    }
}

fn docs(workspace: &Workspace, _: &mut Outcome) -> Result<()> {
    process::run(
        process::cargo(&workspace.root)
            .env("RUSTDOCFLAGS", "--deny warnings")
            .args(["doc", "--workspace", "--no-deps", "--quiet"]),
    )
}

fn tests(workspace: &Workspace, outcome: &mut Outcome) -> Result<()> {
    let report = test::run(workspace, &[])?;
    outcome.closing = report.closing;
    outcome.notes.extend(report.notes);
    if !report.passed {
        bail!("a test failed: `cargo xtask test` shows it again");
    }
    Ok(())
}

fn campaign(workspace: &Workspace, outcome: &mut Outcome) -> Result<()> {
    let unmeasured = faults::run(workspace, &["--short".to_owned()])?;
    outcome.notes.extend(
        unmeasured
            .into_iter()
            .map(|reason| format!("faults: {reason}")),
    );
    concurrency::run(workspace, &[])
}

/// Where a nightly compiler and cargo-fuzz are at hand; CI installs neither.
fn fuzzing(workspace: &Workspace, outcome: &mut Outcome) -> Result<()> {
    let missing = fuzz::short(workspace)?;
    outcome
        .notes
        .extend(missing.map(|reason| format!("fuzz: {reason}")));
    Ok(())
}

fn print_times(times: &[(&str, Duration)]) {
    println!("\nwhere the time went:");
    for (name, took) in times {
        println!("  {name:<10} {:>8}", seconds(*took));
    }
    let total = times.iter().map(|(_, took)| *took).sum();
    println!("  {:<10} {:>8}", "all", seconds(total));
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a build took is about this machine; nothing here is simulated"
)]
fn now() -> Instant {
    Instant::now()
}

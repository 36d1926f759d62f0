//! `cargo xtask test`: every test, every documentation test, and what could not be measured.

mod runner;
mod unmeasured;

use std::process::ExitCode;

use anyhow::Result;

use crate::process;
use crate::tools;
use crate::workspace::Workspace;

/// What a run of the tests came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) passed: bool,
    /// The test runner's own last line.
    pub(crate) closing: String,
    /// What was not run or not measured, and why.
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// Prints what was not measured, then the runner's closing line, which stays the last one.
    pub(crate) fn print(&self) {
        if self.notes.is_empty() {
            println!("\nnothing was left out: every test ran and measured what it claims");
        } else {
            println!("\nnot run or not measured:");
            for note in &self.notes {
                println!("  {note}");
            }
        }
        println!("{}", self.closing);
    }
}

/// Runs the tests that `arguments` choose, or all, and prints the report.
pub(crate) fn verb(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let report = run(workspace, arguments)?;
    report.print();
    Ok(if report.passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs the tests that `arguments` choose, or all.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Report> {
    let mut notes = tools::programs();
    let tests = if tools::ensure(workspace, tools::NEXTEST) {
        runner::nextest(workspace, arguments)?
    } else {
        notes.push("cargo-nextest cannot be had: tests ran under `cargo test`, not each in its own process".to_owned());
        runner::cargo_test(workspace, arguments)?
    };
    notes.extend(tests.notes);
    let mut passed = tests.passed;
    if !arguments.is_empty() {
        notes.push("documentation tests: not run, since only a part was asked for".to_owned());
    } else if passed {
        println!("\ndocumentation tests");
        passed = process::run(process::cargo(&workspace.root).args([
            "test",
            "--doc",
            "--workspace",
            "--quiet",
        ]))
        .inspect_err(|error| println!("{error:#}"))
        .is_ok();
    } else {
        notes.push("documentation tests: not run, since tests failed".to_owned());
    }
    Ok(Report {
        passed,
        closing: tests.closing,
        notes,
    })
}

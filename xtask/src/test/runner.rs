//! The two test runners, and the closing line that each leaves.

use std::fs;

use anyhow::Result;

use super::Report;
use super::unmeasured;
use crate::process::{self, Stream};
use crate::workspace::Workspace;

/// The profile in `.config/nextest.toml` whose report keeps what passing tests print.
const PROFILE: &str = "xtask";

/// Every test in a process of its own.
pub(super) fn nextest(workspace: &Workspace, arguments: &[String]) -> Result<Report> {
    let mut command = process::cargo(&workspace.root);
    command.args([
        "nextest",
        "run",
        "--profile",
        PROFILE,
        "--color",
        process::color(),
    ]);
    command.args(everything_unless(arguments)).args(arguments);
    let mut summary = None;
    let status = process::watch(&mut command, Stream::Err, |line| {
        let line = process::plain(line);
        if line.trim_start().starts_with("Summary [") {
            summary = Some(line);
        }
    })?;
    let Some(closing) = summary else {
        return Ok(Report {
            passed: false,
            closing: "the tests did not run: see the errors above".to_owned(),
            notes: Vec::new(),
        });
    };
    // nextest keeps its reports here, wherever cargo keeps what it builds.
    let report = workspace
        .root
        .join("target/nextest")
        .join(PROFILE)
        .join("junit.xml");
    let notes = match fs::read_to_string(&report) {
        Ok(xml) => unmeasured::in_junit(&xml),
        Err(error) => vec![format!(
            "what tests could not measure is not known: cannot read {}: {error}",
            report.display()
        )],
    };
    Ok(Report {
        passed: status.success(),
        closing,
        notes,
    })
}

/// The runner that comes with Rust.
pub(super) fn cargo_test(workspace: &Workspace, arguments: &[String]) -> Result<Report> {
    let mut command = process::cargo(&workspace.root);
    command.args([
        "test",
        "--no-fail-fast",
        "--all-targets",
        "--color",
        process::color(),
    ]);
    command.args(everything_unless(arguments)).args(arguments);
    command.args(["--", "--show-output"]);
    let mut count = Count::default();
    let mut lines = Vec::new();
    let status = process::watch(&mut command, Stream::Out, |line| {
        let line = process::plain(line);
        count.add(&line);
        lines.push(line);
    })?;
    if !status.success() && count.failed == 0 {
        // A build that failed, or a test binary that died before it could count.
        count.failed = 1;
    }
    let closing = format!("{} passed, {} failed", count.passed, count.failed);
    Ok(Report {
        passed: status.success(),
        closing,
        notes: unmeasured::in_output(lines.iter().map(String::as_str)),
    })
}

fn everything_unless(arguments: &[String]) -> &'static [&'static str] {
    if arguments.is_empty() {
        &["--workspace"]
    } else {
        &[]
    }
}

/// The sum over the test binaries of `cargo test`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    /// Adds a line of the form `test result: ok. 5 passed; 0 failed; 0 ignored; …`; any other line is nothing.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let number_before = |word: &str| {
            let (before, _) = result.split_once(word)?;
            before.split_whitespace().next_back()?.parse::<u64>().ok()
        };
        self.passed += number_before(" passed").unwrap_or(0);
        self.failed += number_before(" failed").unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_every_test_binary_are_summed() {
        let mut count = Count::default();
        count.add("running 4 tests");
        count.add("test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        count.add("test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        assert_eq!(
            count,
            Count {
                passed: 11,
                failed: 2
            }
        );
    }
}

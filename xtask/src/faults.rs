//! `cargo xtask faults`: the campaign against the real binary.
//!
//! The short form uses the build that the tests use, so that CI compiles nothing twice; the long form, which runs for
//! hours, is built optimised with its assertions kept.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::process::{self, Stream};
use crate::workspace::Workspace;

/// Runs the campaign; `arguments` go to it as they are.
pub(crate) fn verb(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let unmeasured = run(workspace, arguments)?;
    for reason in unmeasured {
        println!("not measured: {reason}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the campaign and returns what it could not measure.
///
/// # Errors
///
/// When a build fails, or a promise was broken.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Vec<String>> {
    // One build for both, so that the features of what they share are settled once and nothing is compiled twice.
    let is_long = arguments.iter().any(|word| word == "--long");
    let (profile, folder) = if is_long {
        ("faults", "faults")
    } else {
        ("dev", "debug")
    };
    process::run(process::cargo(&workspace.root).args([
        "build",
        "--profile",
        profile,
        "--package",
        "mainstay-agent",
        "--package",
        "mainstay-testkit",
        "--bins",
    ]))?;
    let campaign = workspace.target.join(folder).join("faults");
    let mut unmeasured = Vec::new();
    let status = process::watch(
        process::program(&campaign.to_string_lossy(), &workspace.root).args(arguments),
        Stream::Out,
        |line| {
            if let Some((_, reason)) = line.split_once("NOT MEASURED:") {
                unmeasured.push(reason.trim().to_owned());
            }
        },
    )?;
    if !status.success() {
        bail!(
            "the fault campaign found something ({status}): see above for the seed and the folder that it kept"
        );
    }
    Ok(unmeasured)
}

//! `cargo xtask faults`: the campaign against the real binary.
//!
//! The short form uses the build that the tests use, so that CI compiles nothing twice; the long form, which runs for
//! hours, is built optimised with its assertions kept.

pub(crate) mod table;

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
    let is_long = arguments.iter().any(|word| word == "--long");
    let mut build = process::cargo(&workspace.root);
    let folder = if is_long {
        build.args(["build", "--profile", "faults", "--bins"]);
        build.args([
            "--package",
            "mainstay-agent",
            "--package",
            "mainstay-testkit",
        ]);
        "faults"
    } else {
        // Everything that the tests build, so that the features of what is shared are the same and nothing is built again.
        build.args(["build", "--workspace", "--all-targets"]);
        "debug"
    };
    process::run(&mut build)?;
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

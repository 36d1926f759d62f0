//! `cargo xtask faults`: the campaign against the real binary.
//!
//! The short form uses the build that the tests use, so that CI compiles nothing twice; the long form, which runs for
//! hours, is built optimised with its assertions kept.

pub(crate) mod table;

use std::process::{Command, ExitCode, Stdio};
use std::thread;

use anyhow::{Result, anyhow, bail};

use crate::process::{self, Stream};
use crate::workspace::Workspace;

/// The campaign's exit code for words that it does not take.
const USAGE: i32 = 2;

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
    let is_question = arguments.iter().any(|word| word == "--help");
    let mut build = process::cargo(&workspace.root);
    let folder = if is_question {
        build.args(["build", "--package", "mainstay-testkit", "--bins"]);
        "debug"
    } else if is_long {
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
    let program = || {
        let mut program = process::program(&campaign.to_string_lossy(), &workspace.root);
        program.args(arguments);
        program
    };
    let mut note = |line: &str| {
        if let Some((_, reason)) = line.split_once("NOT MEASURED:") {
            unmeasured.push(reason.trim().to_owned());
        }
    };
    let is_well = if arguments.iter().all(|word| word == "--short") {
        both_rows(program, &mut note)?
    } else {
        let status = process::watch(&mut program(), Stream::Out, note)?;
        if status.code() == Some(USAGE) {
            bail!("no campaign was begun: see above for the words that it takes");
        }
        status.success()
    };
    if !is_well {
        bail!(
            "the fault campaign found something: see above for the seed and the folder that it kept"
        );
    }
    Ok(unmeasured)
}

/// Runs those campaigns that wait for disks beside those that do not, and shows what the others said when the first are done.
fn both_rows(program: impl Fn() -> Command, note: &mut dyn FnMut(&str)) -> Result<bool> {
    let mut others = program();
    others.args(["--row", "others"]).stdin(Stdio::null());
    thread::scope(|scope| {
        let others = scope.spawn(move || others.output());
        let disks = process::watch(program().args(["--row", "disks"]), Stream::Out, &mut *note)?;
        let others = others
            .join()
            .map_err(|_| anyhow!("the thread that waits for a campaign died"))??;
        for line in String::from_utf8_lossy(&others.stdout).lines() {
            println!("{line}");
            note(line);
        }
        eprint!("{}", String::from_utf8_lossy(&others.stderr));
        Ok(disks.success() && others.status.success())
    })
}

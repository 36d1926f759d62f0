//! `cargo xtask bench`: our workloads, built as they ship, and the others beside them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Runs the bench binary; `arguments` choose parts. `--write` writes `bench/RESULTS.md`, `--no-rivals` leaves the others out.
pub(crate) fn verb(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let mut arguments = arguments.to_vec();
    let mut take = |word: &str| {
        let before = arguments.len();
        arguments.retain(|argument| argument != word);
        arguments.len() < before
    };
    let (writes, without_rivals) = (take("--write"), take("--no-rivals"));
    process::run(process::cargo(&workspace.root).args([
        "build",
        "--release",
        "--package",
        "mainstay-agent",
        "--package",
        "mainstay-bench",
    ]))?;
    let built = workspace.target.join("release");
    let bench = built.join("mainstay-bench");
    let mut run = process::program(&bench.to_string_lossy(), &workspace.root);
    run.arg("--dir").arg(&workspace.target);
    if !without_rivals {
        run.arg("--rivals").arg(rivals(workspace)?);
    }
    if writes {
        let commit = process::read(process::program("git", &workspace.root).args([
            "rev-parse",
            "--short",
            "HEAD",
        ]))?;
        run.args(["--commit", commit.trim(), "--write", "bench/RESULTS.md"]);
    }
    process::run(run.args(arguments))?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the program that measures the others, in a workspace of its own.
fn rivals(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.target.join("rivals");
    process::run(
        process::cargo(&workspace.root.join("bench/rivals"))
            .args(["build", "--release", "--locked"])
            .env("CARGO_TARGET_DIR", &target),
    )?;
    Ok(target.join("release/mainstay-bench-rivals"))
}

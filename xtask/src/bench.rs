//! `cargo xtask bench`: our workloads, built as they ship.

use std::process::ExitCode;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Runs the bench binary; `arguments` choose workloads.
pub(crate) fn verb(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    process::run(
        process::cargo(&workspace.root)
            .args(["run", "--release", "--package", "mainstay-bench", "--"])
            .args(arguments),
    )?;
    Ok(ExitCode::SUCCESS)
}

//! The table of mutants and of what saw them, in `docs/guarantees.md`.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::Outcome;
use crate::process;
use crate::workspace::Workspace;

const PAGE: &str = "docs/guarantees.md";
const BEGIN: &str = "<!-- mutants: written by `cargo xtask faults mutate --write` -->";
const END: &str = "<!-- end of mutants -->";

/// Renews the table.
pub(super) fn write(workspace: &Workspace, outcomes: &[Outcome<'_>]) -> Result<()> {
    let path = workspace.root.join(PAGE);
    let page = std::fs::read_to_string(&path)?;
    let (before, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("{PAGE} has no place for the mutants"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("{PAGE}: the table of mutants has no end"))?;
    let commit = process::read(process::program("git", &workspace.root).args([
        "log",
        "-1",
        "--format=%h, %cs",
    ]))?;
    let text = format!(
        "{before}{BEGIN}\n{}{END}{after}",
        table(outcomes, commit.trim())?
    );
    std::fs::write(path, text)?;
    Ok(())
}

fn table(outcomes: &[Outcome<'_>], commit: &str) -> Result<String> {
    let mut text = String::new();
    let seen = outcomes
        .iter()
        .filter(|outcome| outcome.seen.is_some())
        .count();
    writeln!(
        text,
        "\n{} taken out, {seen} seen, of commit {commit}.\n",
        outcomes.len()
    )?;
    writeln!(
        text,
        "| promise | without it | where | seen by |\n|---|---|---|---|"
    )?;
    for Outcome { mutant, seen } in outcomes {
        let seen = seen
            .as_ref()
            .map_or_else(|| "**nobody**".to_owned(), |seen| format!("`{}`", seen.by));
        writeln!(
            text,
            "| {} | {} | `{}` | {seen} |",
            mutant.promise, mutant.name, mutant.file
        )?;
    }
    writeln!(text)?;
    Ok(text)
}

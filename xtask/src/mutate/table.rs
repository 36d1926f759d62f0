//! The table of mutants and of what saw them, in `docs/guarantees.md`.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::list::List;
use super::record::Record;
use crate::workspace::Workspace;

pub(crate) const PAGE: &str = "docs/guarantees.md";
const BEGIN: &str = "<!-- mutants: written by `cargo xtask faults mutate --write` -->";
const END: &str = "<!-- end of mutants -->";

/// Renews the table from what is recorded.
pub(super) fn write(workspace: &Workspace, list: &List, record: &Record) -> Result<()> {
    let path = workspace.root.join(PAGE);
    let page = std::fs::read_to_string(&path)?;
    std::fs::write(path, with_table(&page, list, record)?)?;
    Ok(())
}

/// The page with the table that follows from the list and the record, each as it stands in its file.
///
/// # Errors
///
/// When one of them is not what it has to be, or the page has no place for the table.
pub(crate) fn renewed(page: &str, list: &str, record: &str) -> Result<String> {
    with_table(page, &List::parse(list)?, &Record::parse(record)?)
}

fn with_table(page: &str, list: &List, record: &Record) -> Result<String> {
    let (before, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("{PAGE} has no place for the mutants"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("{PAGE}: the table of mutants has no end"))?;
    let table = table(list, record)?;
    Ok(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

fn table(list: &List, record: &Record) -> Result<String> {
    let outcomes: Vec<_> = list
        .mutants
        .iter()
        .map(|mutant| (mutant, record.of(mutant)))
        .collect();
    let tried: Vec<_> = outcomes.iter().filter_map(|(_, known)| *known).collect();
    let seen = tried.iter().filter(|known| known.seen.is_some()).count();
    let mut text = String::new();
    writeln!(
        text,
        "\n{} are listed, {} were taken out, {seen} of them were seen.\n",
        outcomes.len(),
        tried.len()
    )?;
    writeln!(
        text,
        "| promise | without it | where | seen by | of |\n|---|---|---|---|---|"
    )?;
    for (mutant, known) in outcomes {
        let (seen, commit) = match known {
            Some(known) => (
                known
                    .seen
                    .as_ref()
                    .map_or_else(|| "**nobody**".to_owned(), |by| format!("`{by}`")),
                known.commit.as_str(),
            ),
            None => ("not tried yet".to_owned(), ""),
        };
        writeln!(
            text,
            "| {} | {} | `{}` | {seen} | {commit} |",
            mutant.promise, mutant.name, mutant.file
        )?;
    }
    writeln!(text)?;
    Ok(text)
}

//! `cargo xtask faults mutate`: what the promises rest on is taken out of the code, one thing at a time, and each time a
//! test has to go red.

#![expect(
    clippy::disallowed_methods,
    reason = "a copy of the code is broken on purpose; nothing that it writes has to survive"
)]

mod killer;
mod list;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::Workspace;
use killer::{Killer, Seen};
use list::{List, Mutant};

/// What became of one mutant.
pub(crate) struct Outcome<'a> {
    pub(crate) mutant: &'a Mutant,
    /// Who saw it; nobody is an open defect.
    pub(crate) seen: Option<Seen>,
}

/// Runs all mutants, or those whose name holds one of `arguments`; `--write` renews the table in `docs/guarantees.md`.
pub(crate) fn verb(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let writes = arguments.iter().any(|word| word == "--write");
    if let Some(unknown) = arguments
        .iter()
        .find(|word| word.starts_with('-') && *word != "--write")
    {
        bail!("`{unknown}`: there are only --write, and words that stand in the names of mutants");
    }
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|word| !word.starts_with("--"))
        .collect();
    if writes && !wanted.is_empty() {
        bail!("--write renews the whole table: leave the names out");
    }
    let list = List::read(workspace)?;
    let is_wanted = |mutant: &&Mutant| {
        wanted.is_empty() || wanted.iter().any(|word| mutant.name.contains(*word))
    };
    let mutants: Vec<&Mutant> = list.mutants.iter().filter(is_wanted).collect();
    let bed = Bed::make(workspace)?;
    bed.is_whole(&list, &mutants)?;
    let mut outcomes = Vec::new();
    for mutant in mutants {
        let outcome = bed.run(&list, mutant)?;
        match &outcome.seen {
            Some(seen) => println!("seen  {}: {}", mutant.name, seen.by),
            None => println!("NOT SEEN  {}", mutant.name),
        }
        outcomes.push(outcome);
    }
    let survivors = outcomes
        .iter()
        .filter(|outcome| outcome.seen.is_none())
        .count();
    println!("mutate: {} taken out, {survivors} not seen", outcomes.len());
    if writes {
        table::write(workspace, &outcomes)?;
    }
    if survivors > 0 {
        bail!("{survivors} mutants survive: each is a promise that no test holds");
    }
    Ok(ExitCode::SUCCESS)
}

/// A copy of the last commit, to be broken, and what is built of it.
struct Bed {
    root: PathBuf,
    target: PathBuf,
}

impl Bed {
    fn make(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target.join("mutants");
        let root = folder.join("tree");
        if root.exists() {
            std::fs::remove_dir_all(&root)?;
        }
        let from = workspace.root.to_string_lossy().into_owned();
        let to = root.to_string_lossy().into_owned();
        process::run(
            process::program("git", &workspace.root)
                .args(["clone", "--quiet", "--shared", &from, &to]),
        )?;
        Ok(Self {
            root,
            // Its own, kept from run to run.
            target: folder.join("target"),
        })
    }

    /// Nobody may see anything while nothing is taken out.
    fn is_whole(&self, list: &List, mutants: &[&Mutant]) -> Result<()> {
        let mut asked = Vec::new();
        for mutant in mutants {
            for killer in list.killers(mutant)? {
                if asked.contains(&killer) {
                    continue;
                }
                if let Some(seen) = killer.look(self, "nothing taken out")? {
                    bail!(
                        "{} is red though nothing was taken out: mend that first",
                        seen.by
                    );
                }
                asked.push(killer);
            }
        }
        Ok(())
    }

    /// Takes it out, lets the killers look, and puts it back.
    fn run<'a>(&self, list: &List, mutant: &'a Mutant) -> Result<Outcome<'a>> {
        let path = self.root.join(&mutant.file);
        let whole = std::fs::read_to_string(&path)?;
        std::fs::write(&path, mutant.applied(&whole)?)?;
        let seen = self.ask(list.killers(mutant)?, mutant);
        std::fs::write(&path, whole)?;
        Ok(Outcome {
            mutant,
            seen: seen?,
        })
    }

    fn ask(&self, killers: Vec<Killer>, mutant: &Mutant) -> Result<Option<Seen>> {
        for killer in killers {
            if let Some(seen) = killer.look(self, &mutant.name)? {
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }
}

//! `cargo xtask faults mutate`: what the promises rest on is taken out of the code, one thing at a time, and each time a
//! test has to go red.

#![expect(
    clippy::disallowed_methods,
    reason = "a copy of the code is broken on purpose; nothing that it writes has to survive"
)]

mod killer;
pub(crate) mod list;
pub(crate) mod record;
pub(crate) mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::Workspace;
use killer::{Killer, Seen};
use list::{List, Mutant};
use record::Record;

/// Runs all mutants, or those whose name holds one of `arguments`.
///
/// `--record` writes each outcome down at once, and leaves out what has one already, so that the work can be done in parts; with
/// `--again` nothing is left out. `--write` runs nothing: it renews the table in `docs/guarantees.md` from what is recorded.
pub(crate) fn verb(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    const FLAGS: [&str; 3] = ["--record", "--again", "--write"];
    let has = |flag: &str| arguments.iter().any(|word| word == flag);
    if let Some(unknown) = arguments
        .iter()
        .find(|word| word.starts_with('-') && !FLAGS.contains(&word.as_str()))
    {
        bail!(
            "`{unknown}`: there are {}, and words that stand in the names of mutants",
            FLAGS.join(", ")
        );
    }
    let list = List::read(workspace)?;
    let record = Record::read(workspace)?;
    if has("--write") {
        table::write(workspace, &list, &record)?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|word| !word.starts_with("--"))
        .collect();
    let leaves_out = has("--record") && !has("--again");
    let is_wanted = |mutant: &&Mutant| {
        (wanted.is_empty() || wanted.iter().any(|word| mutant.name.contains(*word)))
            && !(leaves_out && record.of(mutant).is_some())
    };
    let mutants: Vec<&Mutant> = list.mutants.iter().filter(is_wanted).collect();
    let bed = Bed::make(workspace)?;
    bed.is_whole(&list, &mutants)?;
    let mut survivors = 0;
    for mutant in &mutants {
        let seen = bed.run(&list, mutant)?;
        if let Some(seen) = &seen {
            println!("seen  {}: {}", mutant.name, seen.by);
        } else {
            survivors += 1;
            println!("NOT SEEN  {}", mutant.name);
        }
        if has("--record") {
            record::add(
                workspace,
                mutant,
                seen.as_ref().map(|seen| seen.by.as_str()),
            )?;
        }
    }
    println!("mutate: {} taken out, {survivors} not seen", mutants.len());
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
    fn run(&self, list: &List, mutant: &Mutant) -> Result<Option<Seen>> {
        let path = self.root.join(&mutant.file);
        let whole = std::fs::read_to_string(&path)?;
        std::fs::write(&path, mutant.applied(&whole)?)?;
        let seen = self.ask(list.killers(mutant)?, mutant);
        std::fs::write(&path, whole)?;
        seen
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

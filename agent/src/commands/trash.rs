//! `mainstay trash`: deleted, and still there if it was a mistake.

use super::backup::{Told, failed, shown, store};
use super::restore::{Version, settle};
use crate::asking;
use crate::cli::{
    StoreArgs, TrashEmptyArgs, TrashListArgs, TrashPutArgs, TrashRestoreArgs, TrashVerb,
};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Count, Text};
use crate::units::Size;
use mainstay_files::{Backup, Backups, Conflict, ConflictKind, Error, Trash};
use std::path::Path;

/// The name of its folder in the data folder.
pub(crate) const TRASH: &str = "trash";

/// Runs the verb.
///
/// # Errors
/// The trash, or a file, cannot be read or written; the person said no.
pub(crate) fn trash(verb: &TrashVerb) -> Result<Exit, Failure> {
    match verb {
        TrashVerb::Put(args) => put(args),
        TrashVerb::List(args) => list(args),
        TrashVerb::Restore(args) => restore(args),
        TrashVerb::Empty(args) => empty(args),
    }
}

fn open(args: &StoreArgs) -> Result<Trash, Failure> {
    store(args, TRASH).map(Trash::of)
}

fn put(args: &TrashPutArgs) -> Result<Exit, Failure> {
    let trash = open(&args.store)?;
    let mut exit = Exit::Done;
    for file in &args.files {
        match trash.put(file) {
            Ok(deleted) => terminal::say(&format!(
                "deleted; to undo it: mainstay trash restore {} --id {}",
                shown(&deleted.path),
                deleted.id
            )),
            Err(error) => {
                let failure = failed(Exit::NoInput)(error);
                exit = failure.exit();
                terminal::report(&failure);
            }
        }
    }
    Ok(exit)
}

fn list(args: &TrashListArgs) -> Result<Exit, Failure> {
    let deleted = open(&args.store)?.list().map_err(failed(Exit::NoInput))?;
    if args.json {
        let told: Vec<Told> = deleted.iter().map(Told::of).collect();
        terminal::print_json(&told)?;
    } else if deleted.is_empty() {
        terminal::say("the trash is empty");
    } else {
        terminal::print(&page(&deleted))?;
    }
    Ok(Exit::Done)
}

fn page(deleted: &[Backup]) -> String {
    let mut text = Text::default();
    for file in deleted {
        text.line(format_args!(
            "{}  {:>10}  {}",
            file.id,
            Size(file.len).to_string(),
            shown(&file.path)
        ));
    }
    text.finish()
}

fn restore(args: &TrashRestoreArgs) -> Result<Exit, Failure> {
    let trash = open(&args.store)?;
    let deleted = trash.list().map_err(failed(Exit::NoInput))?;
    let chosen = deleted
        .iter()
        .find(|file| is_at(file, &args.file) && args.id.is_none_or(|id| id == file.id))
        .ok_or_else(|| {
            Failure::new(
                Exit::NoInput,
                format!("no such file is in the trash: {}", shown(&args.file)),
            )
            .help("`mainstay trash list` has all that are")
        })?;
    let to = args.to.as_ref().unwrap_or(&chosen.path);
    let conflict =
        Conflict::at(to, ConflictKind::Exists, chosen.len).map_err(failed(Exit::NoOutput))?;
    let version = Deleted {
        trash: &trash,
        file: chosen,
    };
    if let Some(conflict) = conflict {
        return settle(&version, &conflict, args.on_conflict);
    }
    version.put_new(to).map_err(failed(Exit::NoOutput))?;
    terminal::say(&version.done(to));
    Ok(Exit::Done)
}

/// A file in the trash.
struct Deleted<'t> {
    trash: &'t Trash,
    file: &'t Backup,
}

impl Version for Deleted<'_> {
    fn label(&self) -> String {
        format!("deleted as {}", self.file.id)
    }

    fn len(&self) -> u64 {
        self.file.len
    }

    fn read(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.trash.read(self.file, out)
    }

    fn put_new(&self, to: &Path) -> Result<(), Error> {
        self.trash.restore(self.file, to)
    }

    fn put_over(&self, to: &Path) -> Result<Option<String>, Error> {
        let before = self.trash.restore_over(self.file, to)?;
        Ok(before.map(|before| undo(&before)))
    }

    /// Nobody knows what both began as.
    fn base(&self) -> Option<(&Backups, &Backup)> {
        None
    }

    fn done(&self, at: &Path) -> String {
        format!("{} is there again", shown(at))
    }

    fn flags(&self) -> &'static str {
        "say --on-conflict overwrite, skip, rename or keep-both, or another place with --to"
    }
}

fn undo(before: &Backup) -> String {
    format!(
        "mainstay trash restore {} --id {} --on-conflict overwrite",
        shown(&before.path),
        before.id
    )
}

/// Whether this is the path that the file had; a link on the way may be gone as well, so the path as it was given counts too.
fn is_at(deleted: &Backup, file: &Path) -> bool {
    let given = std::path::absolute(file).ok();
    let followed = given.as_ref().and_then(|given| {
        let folder = std::fs::canonicalize(given.parent()?).ok()?;
        Some(folder.join(given.file_name()?))
    });
    Some(&deleted.path) == given.as_ref() || Some(&deleted.path) == followed.as_ref()
}

fn empty(args: &TrashEmptyArgs) -> Result<Exit, Failure> {
    let trash = open(&args.store)?;
    let deleted = match args.older_than {
        Some(age) => trash.older_than(age.0),
        None => trash.list(),
    }
    .map_err(failed(Exit::NoInput))?;
    if deleted.is_empty() {
        terminal::say("nothing to remove");
        return Ok(Exit::Done);
    }
    terminal::print(&page(&deleted))?;
    let number = Count(deleted.len() as u64, "file");
    asking::allow(args.yes, &format!("{number} will be gone for good"))?;
    trash.empty(&deleted).map_err(failed(Exit::NoOutput))?;
    terminal::say(&format!("{number} gone for good"));
    Ok(Exit::Done)
}

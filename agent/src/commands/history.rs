//! `mainstay history`: the versions of a file, what changed between them, and the way back.

use super::backup::{Told, backups, by_id, failed, newest_other, restore, shown, table};
use crate::cli::{BackupListArgs, DiffArgs, HistoryVerb, VersionArgs};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, BOLD, PLAIN, Text};
use crate::units::Size;
use mainstay_files::{Algorithm, Backup, Backups, Difference, ErrorKind, open_regular};
use std::io::Read;
use std::path::Path;

/// The longest version that is compared line by line, in bytes: both are held in memory.
pub(super) const COMPARED_MAX: u64 = 16 * 1024 * 1024;

/// Runs the verb.
///
/// # Errors
/// As [`backup`](super::backup()).
pub(crate) fn history(verb: &HistoryVerb) -> Result<Exit, Failure> {
    match verb {
        HistoryVerb::List(args) => list(args),
        HistoryVerb::Show(args) => show(args),
        HistoryVerb::Diff(args) => diff(args),
        HistoryVerb::Revert(args) => restore(args),
    }
}

fn list(args: &BackupListArgs) -> Result<Exit, Failure> {
    let Some(file) = &args.file else {
        return Err(Failure::new(Exit::Usage, "whose history? FILE is missing")
            .help("`mainstay backup list` has all files that have backups"));
    };
    let listed = backups(&args.store)?
        .list(file)
        .map_err(failed(Exit::NoInput))?;
    super::backup::warn_of_unreadable(&listed);
    let now = match mainstay_files::checksum(file, Algorithm::Sha256) {
        Ok(sum) => Some(sum),
        Err(error) if error.kind() == ErrorKind::NotFound && !listed.backups.is_empty() => None,
        Err(error) => return Err(failed(Exit::NoInput)(error)),
    };
    if args.json {
        let versions: Vec<Told> = listed.backups.iter().map(Told::of).collect();
        let now = now.map(|sum| sum.to_string());
        terminal::print_json(&serde_json::json!({ "now": now, "versions": versions }))?;
        return Ok(Exit::Done);
    }
    let mut text = Text::default();
    match now {
        Some(sum) => {
            let len = mainstay_files::facts(file).map_or(0, |facts| facts.len);
            let kept = listed.backups.iter().any(|backup| backup.hash == sum);
            text.line(format_args!(
                "{BOLD}{:<25}{PLAIN}  {:>10}  {:<9}  {:.12}",
                "now",
                Size(len).to_string(),
                if kept { "kept" } else { "changed" },
                sum.to_string()
            ));
        }
        None => text.line(format_args!("{BOLD}{:<25}{PLAIN}  {:>10}", "now", "gone")),
    }
    text.add(format_args!("{}", table(&listed.backups)));
    terminal::print(&text.finish())?;
    Ok(Exit::Done)
}

fn show(args: &VersionArgs) -> Result<Exit, Failure> {
    let backups = backups(&args.store)?;
    let listed = backups.list(&args.file).map_err(failed(Exit::NoInput))?;
    let chosen = match (args.id, listed.backups.first()) {
        (Some(id), _) => by_id(&listed, &args.file, id)?,
        (None, Some(newest)) => newest,
        (None, None) => newest_other(&listed, &args.file, &args.file)?,
    };
    let mut out = terminal::Output::new();
    let read = backups.read(chosen, &mut out);
    // A reader that went away is no failure of the backup.
    out.finish()?;
    read.map_err(failed(Exit::NoInput))?;
    Ok(Exit::Done)
}

fn diff(args: &DiffArgs) -> Result<Exit, Failure> {
    let backups = backups(&args.store)?;
    let listed = backups.list(&args.file).map_err(failed(Exit::NoInput))?;
    let older = match args.id {
        Some(id) => by_id(&listed, &args.file, id)?,
        None => newest_other(&listed, &args.file, &args.file)?,
    };
    let newer = args
        .with
        .map(|id| by_id(&listed, &args.file, id))
        .transpose()?;
    let old = content(&backups, older)?;
    let (new, name) = match newer {
        Some(newer) => (content(&backups, newer)?, newer.id.to_string()),
        None => (present(&args.file)?, "now".to_owned()),
    };
    match mainstay_files::diff((&older.id.to_string(), &old), (&name, &new)) {
        Difference::None => terminal::say("no difference"),
        Difference::Text(patch) => terminal::print_bytes(&patch)?,
        Difference::Binary => {
            terminal::print(&format!("{} and {name} differ, and are no text", older.id))?;
        }
    }
    Ok(Exit::Done)
}

fn content(backups: &Backups, backup: &Backup) -> Result<Vec<u8>, Failure> {
    refuse_long(backup.len, &backup.to_string())?;
    let mut bytes = Vec::new();
    backups
        .read(backup, &mut bytes)
        .map_err(failed(Exit::NoInput))?;
    Ok(bytes)
}

fn present(file: &Path) -> Result<Vec<u8>, Failure> {
    let (opened, facts) = open_regular(file).map_err(failed(Exit::NoInput))?;
    refuse_long(facts.len, &shown(file))?;
    let mut bytes = Vec::new();
    opened
        .take(COMPARED_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            Failure::new(Exit::NoInput, format!("cannot read {}", shown(file))).because(error)
        })?;
    Ok(bytes)
}

fn refuse_long(len: u64, what: &str) -> Result<(), Failure> {
    if len <= COMPARED_MAX {
        return Ok(());
    }
    Err(Failure::new(
        Exit::NoInput,
        format!(
            "{what} has {}, and no more than {} are compared",
            Size(len),
            Size(COMPARED_MAX)
        ),
    )
    .help("`mainstay history show` prints a version of any length"))
}

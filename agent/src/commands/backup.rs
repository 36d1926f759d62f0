//! `mainstay backup`: earlier versions of any file.

use super::restore::{Version, put_over, settle};
use crate::asking;
use crate::cli::{
    BackupListArgs, BackupVerb, BackupVerifyArgs, CreateArgs, OnConflict, PruneArgs, RestoreArgs,
    RetentionArgs, StoreArgs,
};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Count, GREEN, PLAIN, RED, Text, YELLOW, visible};
use crate::units::Size;
use mainstay_files::{
    Algorithm, Backup, BackupId, Backups, Conflict, ConflictKind, Error, ErrorKind, FolderArchive,
    Integrity, Listed, Reason, Retention,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs the verb.
///
/// # Errors
/// The backup, or the file, cannot be read or written; the person said no.
pub(crate) fn backup(verb: &BackupVerb) -> Result<Exit, Failure> {
    match verb {
        BackupVerb::Scrub(args) => super::standing::scrub(args),
        BackupVerb::Create(args) => create(args),
        BackupVerb::List(args) => list(args),
        BackupVerb::Restore(args) => restore(args),
        BackupVerb::Verify(args) => verify(args),
        BackupVerb::Prune(args) => prune(args),
    }
}

/// A backup, in JSON.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    id: String,
    file: String,
    bytes: u64,
    sha256: String,
    reason: &'static str,
    made_by: String,
}

impl Told {
    pub(super) fn of(backup: &Backup) -> Self {
        Self {
            id: backup.id.to_string(),
            file: backup.path.display().to_string(),
            bytes: backup.len,
            sha256: backup.hash.to_string(),
            reason: backup.reason.name(),
            made_by: backup.made_by.clone(),
        }
    }
}

/// The folder of backups that is meant, by its name in the data folder.
pub(super) fn store(args: &StoreArgs, name: &str) -> Result<Backups, Failure> {
    let folder = match &args.store {
        Some(folder) => folder.clone(),
        None => DataDir::of(&crate::cli::PlaceArgs {
            config: None,
            data: args.data.clone(),
        })?
        .path()
        .join(name),
    };
    let backups = Backups::open(&folder).map_err(failed(Exit::NoInput))?;
    Ok(backups.made_by(concat!("mainstay ", env!("CARGO_PKG_VERSION"))))
}

pub(super) fn backups(args: &StoreArgs) -> Result<Backups, Failure> {
    store(args, crate::scrubbing::FOLDER)
}

fn retaining(backups: Backups, args: &RetentionArgs) -> Backups {
    let backups = backups.retaining(Retention {
        keep: args.keep,
        max_age: args.max_age.map(|span| span.0),
        max_bytes: args.max_bytes.map(|size| size.0),
        compress_after: args.compress_after,
    });
    match &args.archive {
        Some(folder) => backups.archiving_to(Arc::new(FolderArchive::new(folder))),
        None => backups,
    }
}

/// An error of the crate says what, where and how things stand; what it cannot know is the exit code.
pub(super) fn failed(exit: Exit) -> impl Fn(Error) -> Failure {
    move |error| {
        let exit = match error.kind() {
            ErrorKind::Damaged => Exit::Damaged,
            ErrorKind::Locked => Exit::InUse,
            ErrorKind::Exists
            | ErrorKind::DiskFull
            | ErrorKind::Quota
            | ErrorKind::ReadOnly
            | ErrorKind::NotDurable
            | ErrorKind::Unconfirmed => Exit::NoOutput,
            _ => exit,
        };
        let failure = Failure::new(exit, error.to_string());
        match std::error::Error::source(&error) {
            Some(source) => failure.because(source.to_string()),
            None => failure,
        }
    }
}

fn create(args: &CreateArgs) -> Result<Exit, Failure> {
    let backups = retaining(backups(&args.store)?, &args.retention);
    let mut exit = Exit::Done;
    let mut told = Vec::new();
    for file in &args.files {
        match backups.create(file) {
            Ok(made) if args.json => told.push(Told::of(&made)),
            Ok(made) => terminal::print(&format!("{}  {}", made.id, shown(&made.path)))?,
            Err(error) => {
                let failure = failed(Exit::NoInput)(error);
                exit = failure.exit();
                terminal::report(&failure);
            }
        }
    }
    if args.json {
        terminal::print_json(&told)?;
    }
    Ok(exit)
}

fn list(args: &BackupListArgs) -> Result<Exit, Failure> {
    let backups = backups(&args.store)?;
    let listed = match &args.file {
        Some(file) => backups.list(file),
        None => backups.list_all(),
    }
    .map_err(failed(Exit::NoInput))?;
    warn_of_unreadable(&listed);
    if args.json {
        let told: Vec<Told> = listed.backups.iter().map(Told::of).collect();
        terminal::print_json(&told)?;
    } else if listed.backups.is_empty() {
        terminal::say(&format!(
            "no backups{} in {}",
            args.file
                .as_ref()
                .map_or_else(String::new, |file| format!(" of {}", shown(file))),
            shown(backups.folder())
        ));
    } else if args.file.is_some() {
        terminal::print(&table(&listed.backups))?;
    } else {
        terminal::print(&files_page(&backups, &listed.backups)?)?;
    }
    Ok(Exit::Done)
}

pub(super) fn warn_of_unreadable(listed: &Listed) {
    for path in &listed.unreadable {
        terminal::warn(&format!(
            "{} cannot be understood; the backup that it describes is not listed, and nothing beside it is removed",
            shown(path)
        ));
    }
}

/// One line for each backup of one file.
pub(super) fn table(backups: &[Backup]) -> String {
    let mut text = Text::default();
    for backup in backups {
        text.line(format_args!(
            "{}  {:>10}  {:<9}  {:.12}",
            backup.id,
            Size(backup.len).to_string(),
            backup.reason.name(),
            backup.hash.to_string()
        ));
    }
    text.finish()
}

/// One line for each file that has backups.
fn files_page(backups: &Backups, all: &[Backup]) -> Result<String, Failure> {
    let mut files: BTreeMap<&Path, (usize, BackupId)> = BTreeMap::new();
    for backup in all {
        // The newest comes first.
        let entry = files.entry(&backup.path).or_insert((0, backup.id));
        entry.0 += 1;
    }
    let mut text = Text::default();
    for (path, (number, newest)) in &files {
        text.line(format_args!("{newest}  {number:>3}  {}", shown(path)));
    }
    let usage = backups.usage().map_err(failed(Exit::NoInput))?;
    text.line(format_args!(
        "{} of {}, {} in {}",
        Count(usage.backups, "backup"),
        Count(usage.files, "file"),
        Size(usage.bytes),
        shown(backups.folder())
    ));
    Ok(text.finish())
}

/// Puts a backup back, after showing what it will do.
pub(super) fn restore(args: &RestoreArgs) -> Result<Exit, Failure> {
    let backups = retaining(backups(&args.store)?, &args.retention);
    let listed = backups.list(&args.file).map_err(failed(Exit::NoInput))?;
    warn_of_unreadable(&listed);
    let to = args.to.as_ref().unwrap_or(&args.file);
    let chosen = match args.id {
        Some(id) => by_id(&listed, &args.file, id)?,
        None => newest_other(&listed, &args.file, to)?,
    };
    let version = Kept {
        backups: &backups,
        chosen,
        newest: listed.backups.first().filter(|_| args.to.is_none()),
    };
    if let Some(conflict) = unkept(&backups, to, chosen.len)? {
        let overwrite = args.yes.then_some(OnConflict::Overwrite);
        return settle(&version, &conflict, args.on_conflict.or(overwrite));
    }
    let there = match mainstay_files::facts(to) {
        Ok(_) => "; what is there now is backed up first",
        Err(_) => "; nothing is there now",
    };
    asking::allow(
        args.yes || args.on_conflict.is_some(),
        &format!(
            "{} will be as it was in {} ({}){there}",
            shown(to),
            chosen.id,
            Size(chosen.len)
        ),
    )?;
    put_over(&version, to)?;
    Ok(Exit::Done)
}

/// What is at `to`, where its content is in none of its backups: somebody may miss it.
fn unkept(backups: &Backups, to: &Path, new_len: u64) -> Result<Option<Conflict>, Failure> {
    // Where nothing is there, or nothing that could be read, the restore itself says what can be done.
    let Ok(now) = mainstay_files::checksum(to, Algorithm::Sha256) else {
        return Ok(None);
    };
    let listed = backups.list(to).map_err(failed(Exit::NoInput))?.backups;
    if listed.iter().any(|backup| backup.hash == now) {
        return Ok(None);
    }
    Conflict::at(to, ConflictKind::Changed, new_len).map_err(failed(Exit::NoInput))
}

/// A backup that is to be restored.
struct Kept<'b> {
    backups: &'b Backups,
    chosen: &'b Backup,
    /// The newest, where it is of the file that is there.
    newest: Option<&'b Backup>,
}

impl Version for Kept<'_> {
    fn label(&self) -> String {
        format!("kept as {}", self.chosen.id)
    }

    fn len(&self) -> u64 {
        self.chosen.len
    }

    fn read(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.backups.read(self.chosen, out)
    }

    fn put_new(&self, to: &Path) -> Result<(), Error> {
        self.backups.restore_new(self.chosen, to)
    }

    fn put_over(&self, to: &Path) -> Result<Option<String>, Error> {
        let before = self.backups.restore(self.chosen, to)?;
        Ok(before.map(|before| undo(to, &before)))
    }

    /// What is there was changed since the newest backup, and going back to an older one is a change of the newest, too.
    fn base(&self) -> Option<(&Backups, &Backup)> {
        Some((self.backups, self.newest?))
    }

    fn done(&self, at: &Path) -> String {
        format!("{} is as it was in {}", shown(at), self.chosen.id)
    }

    fn flags(&self) -> &'static str {
        "say --yes to overwrite it, after a backup, or --on-conflict skip, rename or keep-both"
    }
}

/// The command that brings back what was there.
pub(super) fn undo(to: &Path, before: &Backup) -> String {
    format!("mainstay backup restore {} --id {}", shown(to), before.id)
}

/// The backup of this id.
pub(super) fn by_id<'l>(
    listed: &'l Listed,
    file: &Path,
    id: BackupId,
) -> Result<&'l Backup, Failure> {
    listed
        .backups
        .iter()
        .find(|backup| backup.id == id)
        .ok_or_else(|| {
            Failure::new(
                Exit::NoInput,
                format!("there is no backup {id} of {}", shown(file)),
            )
            .help(format!("see `mainstay backup list {}`", shown(file)))
        })
}

/// The newest backup that is not what is there already.
pub(super) fn newest_other<'l>(
    listed: &'l Listed,
    file: &Path,
    now: &Path,
) -> Result<&'l Backup, Failure> {
    if listed.backups.is_empty() {
        return Err(Failure::new(
            Exit::NoInput,
            format!("there is no backup of {}", shown(file)),
        )
        .help("`mainstay backup list` has all files that have backups"));
    }
    let present = mainstay_files::checksum(now, Algorithm::Sha256).ok();
    listed
        .backups
        .iter()
        .filter(|backup| backup.reason != Reason::Damaged)
        .find(|backup| present != Some(backup.hash))
        .ok_or_else(|| {
            Failure::new(
                Exit::NothingChanged,
                format!("{} is what all its backups are", shown(now)),
            )
        })
}

fn verify(args: &BackupVerifyArgs) -> Result<Exit, Failure> {
    let backups = backups(&args.store)?;
    let listed = of_files(&backups, &args.files)?;
    warn_of_unreadable(&listed);
    let mut exit = if listed.unreadable.is_empty() {
        Exit::Done
    } else {
        Exit::Damaged
    };
    let (mut text, mut told) = (Text::default(), Vec::new());
    for backup in &listed.backups {
        let (state, colour, why) = match backups.verify(backup) {
            Ok(Integrity::Verified(_)) => ("verified", GREEN, String::new()),
            Ok(Integrity::Mismatch { found, .. }) => {
                ("mismatch", RED, format!(": its content is now {found}"))
            }
            Ok(Integrity::Unknown(why)) => ("unknown", YELLOW, format!(": {why}")),
            Err(error) => ("unknown", YELLOW, format!(": {error}")),
        };
        if state != "verified" {
            exit = Exit::Damaged;
        }
        text.line(format_args!(
            "{}  {}: {colour}{state}{PLAIN}{}",
            backup.id,
            shown(&backup.path),
            visible(&why)
        ));
        told.push(serde_json::json!({
            "id": backup.id.to_string(),
            "file": backup.path.display().to_string(),
            "state": state,
        }));
    }
    if args.json {
        terminal::print_json(&told)?;
    } else if told.is_empty() {
        terminal::say(&format!("no backups in {}", shown(backups.folder())));
    } else {
        terminal::print(&text.finish())?;
    }
    Ok(exit)
}

fn of_files(backups: &Backups, files: &[PathBuf]) -> Result<Listed, Failure> {
    if files.is_empty() {
        return backups.list_all().map_err(failed(Exit::NoInput));
    }
    let mut all = Listed::default();
    for file in files {
        let mut listed = backups.list(file).map_err(failed(Exit::NoInput))?;
        all.backups.append(&mut listed.backups);
        all.unreadable.append(&mut listed.unreadable);
    }
    Ok(all)
}

fn prune(args: &PruneArgs) -> Result<Exit, Failure> {
    let backups = retaining(backups(&args.store)?, &args.retention);
    let mut files: Vec<PathBuf> = args.files.clone();
    if files.is_empty() {
        let all = backups.list_all().map_err(failed(Exit::NoInput))?.backups;
        files.extend(all.into_iter().map(|backup| backup.path));
        files.sort();
        files.dedup();
    }
    let mut text = Text::default();
    let mut number = 0;
    for file in &files {
        for backup in backups.excess(file).map_err(failed(Exit::NoInput))? {
            number += 1;
            text.line(format_args!(
                "{}  {:>10}  {}",
                backup.id,
                Size(backup.len).to_string(),
                shown(&backup.path)
            ));
        }
    }
    if number > 0 {
        terminal::print(&text.finish())?;
    }
    if args.dry_run || (number == 0 && args.retention.compress_after.is_none()) {
        terminal::say(&format!("{} would go", Count(number, "backup")));
        return Ok(Exit::Done);
    }
    let to = match &args.retention.archive {
        Some(folder) => format!("go to {}", shown(folder)),
        None => "go for good (with --archive DIR they would be moved there)".to_owned(),
    };
    asking::allow(args.yes, &format!("{} will {to}", Count(number, "backup")))?;
    let mut gone = 0;
    for file in &files {
        gone += backups.prune(file).map_err(failed(Exit::NoOutput))?.len() as u64;
    }
    terminal::say(&format!("{} went", Count(gone, "backup")));
    Ok(Exit::Done)
}

/// A path, for people.
pub(super) fn shown(path: &Path) -> String {
    mainstay_files::Shown(path).to_string()
}

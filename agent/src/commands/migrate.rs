//! `mainstay migrate`: a folder gets another place, whole, and the way back is told.

use super::backup::{failed, shown};
use crate::asking;
use crate::cli::MigrateArgs;
use crate::exit::{Exit, Failure};
use crate::showing::Showing;
use crate::terminal::{self, Count, Output, Text};
use crate::units::Size;
use mainstay_files::{ErrorKind, Migrated, Migration, Plan, Shown, Way};
use mainstay_work::Unit;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

/// The agent makes it anew at each start, and a socket cannot be copied.
const SOCKET: &str = "control.sock";

/// Moves the folder, or says what that would do.
///
/// # Errors
/// Something is in the way, the person said no, or it cannot be read or written.
pub(crate) fn migrate(args: &MigrateArgs) -> Result<Exit, Failure> {
    let migration = Migration::new(&args.old, &args.new)
        .map_err(failed(Exit::NoInput))?
        .leaving_out(OsStr::new(SOCKET));
    let migration = if args.copy {
        migration.copying()
    } else {
        migration
    };
    let plan = plan(args, &migration)?;
    if args.dry_run {
        return tell_plan(args, &plan);
    }
    if !plan.is_unfinished
        && let Some(obstacle) = plan.obstacles.first()
    {
        let exit = exit_of(obstacle.kind);
        return Err(Failure::new(exit, obstacle.to_string())
            .help("nothing was changed; --dry-run shows all that is in the way"));
    }
    asking::allow(args.yes, &question(&migration, &plan))?;
    let showing = Showing::begin("migrate", "copying", Unit::Bytes, None);
    let migrated = migration.run(&mut |progress| {
        let files = format!("{} of {} files", progress.files, progress.files_total);
        showing.reach(progress.bytes, progress.bytes_total, files);
    });
    let migrated = migrated.map_err(failed(Exit::NoOutput))?;
    showing.finish();
    if args.json {
        terminal::print_json(&told(&migrated))?;
    }
    for line in account(&migration, &migrated).lines() {
        terminal::say(line);
    }
    Ok(Exit::Done)
}

/// What there is to do; a dry run for people lists every path.
fn plan(args: &MigrateArgs, migration: &Migration) -> Result<Plan, Failure> {
    if !args.dry_run || args.json {
        return migration.plan().map_err(failed(Exit::NoInput));
    }
    let mut list = Output::new();
    let plan = migration.plan_telling(&mut |path, facts| {
        let kind = if facts.is_folder() { "/" } else { "" };
        // What cannot be printed is told at the end.
        drop(writeln!(list, "{}{kind}", Shown(path)));
    });
    list.finish()?;
    plan.map_err(failed(Exit::NoInput))
}

fn tell_plan(args: &MigrateArgs, plan: &Plan) -> Result<Exit, Failure> {
    if args.json {
        let obstacles: Vec<Value> = plan
            .obstacles
            .iter()
            .map(|obstacle| {
                json!({ "path": obstacle.path.display().to_string(), "reason": obstacle.reason })
            })
            .collect();
        terminal::print_json(&json!({
            "way": plan.way.to_string(),
            "files": plan.files,
            "folders": plan.folders,
            "links": plan.links,
            "bytes": plan.bytes,
            "needed_bytes": plan.needed.bytes,
            "free_bytes": plan.free.map(|free| free.bytes),
            "unfinished": plan.is_unfinished,
            "obstacles": obstacles,
        }))?;
    } else {
        terminal::say(&summary(plan));
        for obstacle in &plan.obstacles {
            terminal::warn(&obstacle.to_string());
        }
    }
    Ok(match plan.obstacles.first() {
        Some(obstacle) => exit_of(obstacle.kind),
        None => Exit::Done,
    })
}

/// `copy: 3 files, 1 folder, 12.0 MiB; 80.1 GiB free at the new place`.
fn summary(plan: &Plan) -> String {
    let mut text = Text::default();
    if plan.is_unfinished {
        text.add(format_args!("an earlier run was cut; "));
    }
    text.add(format_args!(
        "{}: {}, {}, {}, {}",
        plan.way,
        Count(plan.files, "file"),
        Count(plan.folders, "folder"),
        Count(plan.links, "link"),
        Size(plan.bytes)
    ));
    if let Some(free) = plan.free {
        text.add(format_args!("; {} free at the new place", Size(free.bytes)));
    }
    text.finish()
}

fn question(migration: &Migration, plan: &Plan) -> String {
    let (old, new) = (shown(migration.old()), shown(migration.new_place()));
    let what = match plan.way {
        Way::Rename => "gets the name",
        Way::Copy => "is copied and compared, and is then called by another name; the copy is",
    };
    format!("{}\n{old} {what} {new}", summary(plan))
}

/// Where everything is now, and the way back.
fn account(migration: &Migration, migrated: &Migrated) -> String {
    let (old, new) = (migration.old(), migrated.new.as_path());
    let mut text = Text::default();
    let finished = if migrated.was_unfinished {
        ", as an earlier run had begun"
    } else {
        ""
    };
    text.line(format_args!("the folder is now {}{finished}", shown(new)));
    match &migrated.kept {
        Some(kept) => {
            text.line(format_args!(
                "the old one is kept as {}; remove it when all is well",
                shown(kept)
            ));
            text.line(format_args!("to undo it: {}", renamed(kept, old)));
        }
        None => text.line(format_args!("to undo it: {}", renamed(new, old))),
    }
    if new.join("queue").is_dir() {
        text.line(format_args!(
            "an agent finds it with: mainstay run --data {}",
            shown(new)
        ));
    }
    text.finish()
}

fn renamed(from: &Path, to: &Path) -> String {
    format!("mv {} {}", shown(from), shown(to))
}

fn told(migrated: &Migrated) -> Value {
    let kept = migrated.kept.as_ref();
    json!({
        "way": migrated.way.to_string(),
        "new": migrated.new.display().to_string(),
        "kept": kept.map(|kept| kept.display().to_string()),
        "was_unfinished": migrated.was_unfinished,
    })
}

fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::Locked => Exit::InUse,
        ErrorKind::NotRegular | ErrorKind::CrossDevice => Exit::NoInput,
        _ => Exit::NoOutput,
    }
}

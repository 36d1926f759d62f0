//! `mainstay files status`, `files check` and `backup scrub`: how files stand, and what their disk lost.

use super::backup::{backups, failed};
use crate::cli::{CheckArgs, FilesStatusArgs, ScrubArgs};
use crate::exit::{Exit, Failure};
use crate::scrubbing::{self, Pace, complaint};
use crate::showing::Showing;
use crate::terminal::{self, Count, GREEN, PLAIN, RED, Text, YELLOW, visible};
use crate::units::Size;
use mainstay_files::{
    Check, FileState, FileStatus, Format, Schema, ScrubSummary, Scrubbed, open_regular,
};
use mainstay_work::Unit;
use serde::Serialize;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::SystemTime;

/// The longest schema that is read, in bytes.
const SCHEMA_MAX: u64 = 16 * 1024 * 1024;

/// How one file stands, in JSON.
#[derive(Debug, Serialize)]
struct Told {
    file: String,
    /// `saved`, `modified`, `damaged`, `missing`, `deleted` or `unknown`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_by: Option<String>,
    backups: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_backup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<String>,
}

/// Shows how files stand.
///
/// # Errors
/// Nothing can be printed.
pub(crate) fn file_status(args: &FilesStatusArgs) -> Result<Exit, Failure> {
    let backups = backups(&args.store)?;
    let mut exit = Exit::Done;
    let (mut text, mut told) = (Text::default(), Vec::new());
    for file in &args.files {
        match backups.status(file) {
            Ok(status) => {
                exit = worse(exit, exit_of(&status.state));
                line(&mut text, file, &status);
                told.push(Told::of(file, status));
            }
            Err(error) => {
                let failure = failed(Exit::NoInput)(error);
                exit = worse(exit, failure.exit());
                terminal::report(&failure);
            }
        }
    }
    if args.json {
        terminal::print_json(&told)?;
    } else {
        terminal::print(&text.finish())?;
    }
    Ok(exit)
}

/// A damaged file tells more than one that is not there.
fn worse(one: Exit, other: Exit) -> Exit {
    if one == Exit::Damaged || other == Exit::Done {
        one
    } else {
        other
    }
}

fn exit_of(state: &FileState) -> Exit {
    match state {
        FileState::Damaged(_) => Exit::Damaged,
        FileState::Missing => Exit::NoInput,
        _ => Exit::Done,
    }
}

/// The state in one word, the colour of it, and what is to be said of it.
fn words(status: &FileStatus) -> (&'static str, &'static str, String) {
    match &status.state {
        FileState::Saved => ("saved", GREEN, String::new()),
        FileState::Modified => (
            "modified",
            YELLOW,
            "somebody changed it since it was saved".into(),
        ),
        FileState::Damaged(reason) => ("damaged", RED, reason.clone()),
        FileState::Missing => ("missing", RED, "it is gone, and has backups".into()),
        FileState::Deleted => (
            "deleted",
            YELLOW,
            "it was deleted here, after a backup".into(),
        ),
        _ if status.present.is_none() => ("unknown", YELLOW, "it is not there".into()),
        _ => ("unknown", YELLOW, "nothing of it was saved here".into()),
    }
}

fn line(text: &mut Text, file: &Path, status: &FileStatus) {
    let (state, colour, reason) = words(status);
    let name = visible(&file.display().to_string());
    let colon = if reason.is_empty() { "" } else { ": " };
    text.line(format_args!(
        "{name}: {colour}{state}{PLAIN}{colon}{reason}"
    ));
    if let Some(facts) = &status.present {
        text.line(format_args!("  size         {}", Size(facts.len)));
    }
    if let Some(holder) = &status.holder {
        text.line(format_args!("  {YELLOW}locked{PLAIN} by    {holder}"));
    }
    if let Some(saved) = status.saved {
        text.line(format_args!("  saved        {}", moment(saved)));
    }
    if let Some(verified) = status.verified {
        text.line(format_args!("  verified     {}", moment(verified)));
    }
    match &status.last_backup {
        Some(newest) => text.line(format_args!(
            "  backups      {}, the newest {} ({})",
            status.backups,
            newest.id,
            newest.reason.name()
        )),
        None if status.present.is_none() => {}
        None => text.line(format_args!(
            "  backups      none; `mainstay backup create {name}` makes one"
        )),
    }
    match status.state {
        FileState::Damaged(_) => text.line(format_args!(
            "  what to do   mainstay backup restore {name}"
        )),
        FileState::Missing | FileState::Deleted => text.line(format_args!(
            "  what to do   mainstay backup restore {name}, if it is missed; `mainstay trash list` shows what was put there"
        )),
        _ => {}
    }
}

/// A moment as RFC 3339 has it, to the second.
fn moment(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    crate::status::date(since.as_millis() as u64)
}

impl Told {
    fn of(file: &Path, status: FileStatus) -> Self {
        let (state, _, reason) = words(&status);
        Self {
            file: file.display().to_string(),
            state,
            reason: (!reason.is_empty()).then_some(reason),
            bytes: status.present.map(|facts| facts.len),
            locked_by: status.holder.map(|holder| holder.to_string()),
            backups: status.backups,
            last_backup: status.last_backup.map(|backup| backup.id.to_string()),
            saved: status.saved.map(moment),
            verified: status.verified.map(moment),
        }
    }
}

/// Says of files whether they are what their format asks for.
///
/// # Errors
/// Nothing can be printed.
pub(crate) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    let mut text = Text::default();
    let schema = args.schema.as_deref().map(read_schema).transpose()?;
    for file in &args.files {
        let name = visible(&file.display().to_string());
        let format = args.format.map_or_else(|| by_name(file), |named| named.0);
        let content = open_regular(file).map_err(failed(Exit::NoInput));
        let mut content = match content {
            Ok((content, _)) => std::io::BufReader::new(content),
            Err(failure) => {
                exit = worse(exit, failure.exit());
                terminal::report(&failure);
                continue;
            }
        };
        match check_by(format, schema.as_ref(), &mut content) {
            Ok(()) => text.line(format_args!("{name}: {GREEN}valid{PLAIN}")),
            Err(reason) => {
                exit = Exit::Damaged;
                let reason = visible(&reason);
                text.line(format_args!("{name}: {RED}not valid{PLAIN}: {reason}"));
            }
        }
    }
    terminal::print(&text.finish())?;
    Ok(exit)
}

fn read_schema(path: &Path) -> Result<Schema, Failure> {
    let (file, _) = open_regular(path).map_err(failed(Exit::NoInput))?;
    let mut text = Vec::new();
    let name = || {
        format!(
            "cannot use `{}` as a schema",
            visible(&path.display().to_string())
        )
    };
    file.take(SCHEMA_MAX)
        .read_to_end(&mut text)
        .map_err(|error| Failure::new(Exit::NoInput, name()).because(error))?;
    Schema::new(&text).map_err(|error| Failure::new(Exit::Damaged, name()).because(error))
}

/// By its schema, where there is one; that understands the format, too.
fn check_by(format: Format, schema: Option<&Schema>, content: &mut dyn Read) -> Result<(), String> {
    match (schema, format) {
        (None, format) => format.check(content),
        (Some(schema), Format::Json) => schema.check(content),
        (Some(schema), Format::Toml) => schema.clone().for_toml().check(content),
        (Some(_), _) => Err("a schema is for JSON and TOML; name the format with --format".into()),
    }
}

/// The format that the ending of a name promises; text for all others.
fn by_name(file: &Path) -> Format {
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    match ending.to_ascii_lowercase().as_str() {
        "json" => Format::Json,
        "toml" => Format::Toml,
        "xml" => Format::Xml,
        "csv" => Format::Csv,
        _ => Format::Text,
    }
}

/// Reads all that is kept, slowly, and repairs what it may.
///
/// # Errors
/// The folder of the backups cannot be read; nothing can be printed.
pub(crate) fn scrub(args: &ScrubArgs) -> Result<Exit, Failure> {
    let backups = backups(&args.store)?;
    // With a thread that looks at the time: this one reads, and cannot.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .map_err(|error| Failure::new(Exit::StartFailed, "cannot wait").because(error))?;
    let mut pace = Pace::new(&mainstay_clock::system(), args.rate.0);
    let showing = Showing::begin("scrub", "reading", Unit::Bytes, None);
    let mut told = Vec::new();
    let (summary, remembered) = scrubbing::scrub(
        &backups,
        args.repair,
        &mut |bytes| {
            showing.add(bytes);
            pace.spend(bytes, runtime.handle());
        },
        &mut |scrubbed| {
            if args.json {
                told.push(json(scrubbed));
            } else if let Some(line) = complaint(scrubbed) {
                showing.say(&line);
            }
            ControlFlow::Continue(())
        },
    )
    .map_err(failed(Exit::NoInput))?;
    showing.finish();
    if let Err(error) = remembered {
        terminal::warn(&format!(
            "what the scrub came to is not remembered: {error}"
        ));
    }
    if args.json {
        terminal::print_json(&told)?;
    } else {
        terminal::print(&conclusion(&summary))?;
    }
    Ok(match summary {
        ScrubSummary {
            damaged: 0,
            failed: 0,
            ..
        } => Exit::Done,
        ScrubSummary { damaged: 0, .. } => Exit::NoInput,
        _ => Exit::Damaged,
    })
}

fn conclusion(summary: &ScrubSummary) -> String {
    let mut text = Text::default();
    let colour = if summary.damaged + summary.failed == 0 {
        GREEN
    } else {
        RED
    };
    text.line(format_args!(
        "{} and {} read: {colour}{} damaged{PLAIN}, {} repaired, {} missing, {} could not be looked at",
        Count(summary.files, "file"),
        Count(summary.backups, "backup"),
        summary.damaged,
        summary.repaired,
        summary.missing,
        summary.failed
    ));
    text.finish()
}

fn json(scrubbed: &Scrubbed) -> serde_json::Value {
    let complaint = complaint(scrubbed);
    match scrubbed {
        Scrubbed::File { path, repaired, .. } => serde_json::json!({
            "file": path.display().to_string(),
            "complaint": complaint,
            "repaired_from": repaired.as_ref().map(|backup| backup.id.to_string()),
        }),
        Scrubbed::Backup { backup, .. } => serde_json::json!({
            "file": backup.path.display().to_string(),
            "backup": backup.id.to_string(),
            "complaint": complaint,
        }),
        _ => serde_json::json!({ "complaint": complaint }),
    }
}

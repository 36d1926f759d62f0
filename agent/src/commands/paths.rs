//! `mainstay paths` and `mainstay doctor`: where everything is, and what is wrong there.

use super::TRASH;
use crate::cli::LookArgs;
use crate::config;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::status::date;
use crate::terminal::{self, BOLD, Count, GREEN, PLAIN, RED, Text, YELLOW, visible};
use crate::units::Size;
use mainstay_files::{
    ErrorKind, Held, Inspected, Layout, Lock, Needs, RESERVE, Refused, Shown, first_fit, inspect,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// File systems that the promises hold on.
const TRUSTED: [&str; 3] = ["ext4", "xfs", "btrfs"];

/// One place, in JSON.
#[derive(Debug, Serialize)]
struct Told {
    name: &'static str,
    path: String,
    exists: bool,
    readable: bool,
    writable: bool,
    owner: Option<u32>,
    mode: Option<String>,
    free_bytes: Option<u64>,
    free_inodes: Option<u64>,
    file_system: Option<String>,
    network: Option<bool>,
    mounted_at: Option<String>,
    mount_options: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<HeldBy>,
}

/// Who has the data folder, in JSON.
#[derive(Debug, Serialize)]
struct HeldBy {
    pid: Option<u32>,
    since_ms: Option<u64>,
}

/// Shows every folder, and what can be done with it.
///
/// # Errors
/// Nothing can be printed.
pub(crate) fn paths(args: &LookArgs) -> Result<Exit, Failure> {
    let looked: Vec<(&'static str, Inspected)> = places(args)?
        .into_iter()
        .map(|(name, path)| (name, inspect(&path)))
        .collect();
    if args.json {
        let told: Vec<Told> = looked
            .iter()
            .map(|(name, found)| Told::of(name, found))
            .collect();
        terminal::print_json(&told)?;
    } else {
        terminal::print(&page(&looked))?;
    }
    Ok(Exit::Done)
}

fn places(args: &LookArgs) -> Result<Vec<(&'static str, PathBuf)>, Failure> {
    let dirs = config::app_dirs();
    let data = DataDir::of(&args.place)?;
    let config_file = args
        .place
        .config
        .clone()
        .unwrap_or_else(|| dirs.config_file.clone());
    let mut places = vec![("config file", config_file)];
    for (name, folder) in dirs.folders() {
        let folder = if name == "data" { data.path() } else { folder };
        places.push((name, folder.to_owned()));
    }
    places.push(("queue", data.queue()));
    places.push(("backups", data.path().join(crate::scrubbing::FOLDER)));
    places.push((TRASH, data.path().join(TRASH)));
    Ok(places)
}

fn page(looked: &[(&'static str, Inspected)]) -> String {
    let mut text = Text::default();
    for (name, found) in looked {
        let state = match (&found.facts, found.unwritable) {
            (Some(_), None) if found.is_readable => format!("{GREEN}ok{PLAIN}"),
            (Some(_), None) => format!("{RED}not readable{PLAIN}"),
            (Some(_), Some(why)) => format!("{RED}not writable{PLAIN} ({})", words(why)),
            (None, None) => "not there yet".to_owned(),
            (None, Some(why)) => {
                format!(
                    "{YELLOW}not there, and cannot be made{PLAIN} ({})",
                    words(why)
                )
            }
        };
        text.line(format_args!(
            "{BOLD}{name:<11}{PLAIN} {}\n            {state}{}",
            Shown(&found.path),
            visible(&room(found))
        ));
    }
    text.finish()
}

/// `, 75.2 GiB free on ext4 at / (rw,relatime)`.
fn room(found: &Inspected) -> String {
    let mut text = Text::default();
    if let Some(space) = found.space {
        text.add(format_args!(", {} free", Size(space.bytes)));
    }
    if let Some(system) = &found.file_system {
        text.add(format_args!(" on {}", system.kind));
    }
    if let Some((place, options)) = &found.mount {
        text.add(format_args!(" at {} ({options})", Shown(place)));
    }
    text.finish()
}

fn words(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Permission => "permission denied",
        ErrorKind::ReadOnly => "read-only file system",
        ErrorKind::DiskFull => "disk full",
        ErrorKind::Quota => "quota reached",
        _ => "the system refuses",
    }
}

impl Told {
    fn of(name: &'static str, found: &Inspected) -> Self {
        let facts = found.facts.as_ref();
        Self {
            name,
            path: found.path.display().to_string(),
            exists: facts.is_some(),
            readable: found.is_readable,
            writable: found.unwritable.is_none(),
            owner: facts.map(|facts| facts.uid),
            mode: facts.map(|facts| format!("{:o}", facts.mode & 0o7777)),
            free_bytes: found.space.map(|space| space.bytes),
            free_inodes: found
                .space
                .map(|space| space.inodes)
                .filter(|inodes| *inodes < u64::MAX),
            file_system: found
                .file_system
                .as_ref()
                .map(|system| system.kind.to_string()),
            network: found.file_system.as_ref().map(|system| system.network),
            mounted_at: found
                .mount
                .as_ref()
                .map(|(place, _)| place.display().to_string()),
            mount_options: found.mount.as_ref().map(|(_, options)| options.clone()),
            held_by: Lock::held(&found.path.join("LOCK")).map(|held| HeldBy {
                pid: held.pid,
                since_ms: held.since,
            }),
        }
    }
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    /// It works, and something about it should be known.
    Note,
    Bad,
}

/// One check.
#[derive(Debug, Serialize)]
struct Checked {
    check: &'static str,
    verdict: Verdict,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// Looks for what would keep the agent from its work, and says what to do about each.
///
/// # Errors
/// Nothing can be printed.
pub(crate) fn doctor(args: &LookArgs) -> Result<Exit, Failure> {
    let data = DataDir::of(&args.place)?;
    let mut checked = vec![configuration(args, &data)];
    checked.extend(place_of(&data));
    checked.extend(privacy(&data));
    checked.push(temporary(&data));
    checked.push(holder(&data));
    checked.extend(backups(&data));
    let bad = checked
        .iter()
        .filter(|checked| checked.verdict == Verdict::Bad)
        .count();
    if args.json {
        terminal::print_json(&checked)?;
    } else {
        let mut text = Text::default();
        for check in &checked {
            let mark = match check.verdict {
                Verdict::Good => format!("{GREEN}ok{PLAIN}  "),
                Verdict::Note => format!("{YELLOW}note{PLAIN}"),
                Verdict::Bad => format!("{RED}bad{PLAIN} "),
            };
            text.line(format_args!(
                "{mark} {}: {}",
                check.check,
                visible(&check.says)
            ));
            if let Some(help) = &check.help {
                text.line(format_args!("       help: {}", visible(help)));
            }
        }
        text.line(format_args!(
            "{}",
            match bad {
                0 => "nothing is wrong".to_owned(),
                bad => format!("{} to be put right", Count(bad as u64, "thing")),
            }
        ));
        terminal::print(&text.finish())?;
    }
    Ok(if bad == 0 {
        Exit::Done
    } else {
        Exit::StartFailed
    })
}

fn good(check: &'static str, says: impl Into<String>) -> Checked {
    Checked {
        check,
        verdict: Verdict::Good,
        says: says.into(),
        help: None,
    }
}

fn with(
    check: &'static str,
    verdict: Verdict,
    says: impl Into<String>,
    help: impl Into<String>,
) -> Checked {
    Checked {
        check,
        verdict,
        says: says.into(),
        help: Some(help.into()),
    }
}

fn configuration(args: &LookArgs, data: &DataDir) -> Checked {
    match config::load(&args.place, data) {
        Ok(settings) if settings.warnings.is_empty() => good(
            "configuration",
            format!(
                "{} can be served",
                Count(settings.routes.len() as u64, "route")
            ),
        ),
        Ok(settings) => with(
            "configuration",
            Verdict::Note,
            Count(settings.warnings.len() as u64, "warning").to_string(),
            "`mainstay config check` shows them",
        ),
        Err(failure) => with(
            "configuration",
            Verdict::Bad,
            failure.account(),
            "`mainstay config check` shows every place that is wrong",
        ),
    }
}

fn place_of(data: &DataDir) -> Vec<Checked> {
    let found = inspect(data.path());
    let shown = Shown(data.path()).to_string();
    let mut checked = Vec::new();
    checked.push(match found.unwritable {
        None => good("data folder", format!("`{shown}` can be written")),
        Some(why) => with(
            "data folder",
            Verdict::Bad,
            format!("`{shown}` cannot be written: {}", words(why)),
            "give it to the user that the agent runs as, or name another one with --data",
        ),
    });
    let room = room(&found);
    let room = room.trim_start_matches(", ");
    checked.push(if found.is_short_of(RESERVE) {
        with(
            "room",
            Verdict::Bad,
            room,
            format!(
                "less than {} or {} files are left: the queue will refuse documents; see docs/operating/disk-full.md",
                Size(RESERVE.bytes),
                RESERVE.inodes
            ),
        )
    } else {
        good("room", room)
    });
    checked.push(file_system(&found));
    checked
}

fn file_system(found: &Inspected) -> Checked {
    let check = "file system";
    match &found.file_system {
        Some(system) if system.network => with(
            check,
            Verdict::Bad,
            format!("{} is shared with other machines", system.kind),
            "what was confirmed there may be lost; put the data folder on a local ext4, XFS or btrfs",
        ),
        Some(system) if TRUSTED.contains(&system.kind.as_ref()) => {
            good(check, format!("{} keeps what it confirmed", system.kind))
        }
        Some(system) if matches!(system.kind.as_ref(), "tmpfs" | "ramfs") => with(
            check,
            Verdict::Bad,
            format!("{} is gone when the power is", system.kind),
            "put the data folder on a disk",
        ),
        Some(system) => with(
            check,
            Verdict::Note,
            format!("{} was never measured", system.kind),
            "the promises were tried on ext4 and XFS; `mainstay selftest` tries them here",
        ),
        None => with(
            check,
            Verdict::Note,
            "the system does not say which it is",
            "the promises were tried on ext4 and XFS",
        ),
    }
}

fn holder(data: &DataDir) -> Checked {
    match Lock::held(&data.lock()) {
        Some(held) => good("agent", format!("{} runs in the data folder", who(held))),
        None => with(
            "agent",
            Verdict::Note,
            "none runs in the data folder",
            "`mainstay run` starts one",
        ),
    }
}

/// `process 4711 (since 2026-11-21T16:41:37.123Z)`.
fn who(held: Held) -> String {
    match (held.pid, held.since) {
        (Some(pid), Some(since)) => format!("process {pid} (since {})", date(since)),
        (Some(pid), None) => format!("process {pid}"),
        (None, _) => "one".to_owned(),
    }
}

/// Whether others can look into the data folder.
fn privacy(data: &DataDir) -> Option<Checked> {
    let check = "privacy";
    let exposures = Layout::new().private(data.path()).exposures().ok()?;
    Some(match exposures.first() {
        None if !data.path().exists() => return None,
        None => good(check, "the data folder is its owner's alone"),
        Some(exposure) => with(
            check,
            Verdict::Note,
            exposure.to_string(),
            "documents may be confidential: take the rights from the others (chmod 700), if nobody needs them",
        ),
    })
}

/// Where temporary files would go: anywhere will do, and it is said why it is not the place of custom.
fn temporary(data: &DataDir) -> Checked {
    let check = "temporary files";
    let wishes = [config::app_dirs().temp, data.path().join("temp")];
    let told = |refused: &[Refused]| {
        let told: Vec<String> = refused.iter().map(ToString::to_string).collect();
        told.join("; ")
    };
    match first_fit(&wishes, &Needs::default()) {
        Ok(chosen) if chosen.refused.is_empty() => {
            good(check, format!("`{}` has room", Shown(&chosen.path)))
        }
        Ok(chosen) => with(
            check,
            Verdict::Note,
            told(&chosen.refused),
            format!("`{}` would be used instead", Shown(&chosen.path)),
        ),
        Err(refused) => with(
            check,
            Verdict::Note,
            told(&refused),
            "no other place will do; make room on one of them",
        ),
    }
}

/// Only what the file says of itself: `backup verify` reads them all.
fn backups(data: &DataDir) -> Option<Checked> {
    let folder = data.path().join(crate::scrubbing::FOLDER);
    if !Path::new(&folder).exists() {
        return None;
    }
    let listed = mainstay_files::Backups::open(&folder).and_then(|backups| backups.list_all());
    Some(match listed {
        Ok(listed) if listed.unreadable.is_empty() => good(
            "backups",
            Count(listed.backups.len() as u64, "backup").to_string(),
        ),
        Ok(listed) => with(
            "backups",
            Verdict::Bad,
            format!(
                "{} cannot be understood",
                Count(listed.unreadable.len() as u64, "description")
            ),
            "`mainstay backup list` names them; their contents are still there",
        ),
        Err(error) => with(
            "backups",
            Verdict::Bad,
            error.to_string(),
            "see owner and mode of the folder",
        ),
    })
}

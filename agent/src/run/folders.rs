//! The folders that have to be there before anything starts.

use super::agent::Agent;
use crate::cli::RunArgs;
use crate::config::{Kind, Settings};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Count};
use mainstay_files::Layout;
use mainstay_pickup::Claim;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Makes the outbox, which is ours, and checks the folders that a person has just named on the command line.
///
/// Folders of a configuration file may be missing: a share that is mounted later is waited for.
///
/// # Errors
/// A folder of the command line is missing or is no folder.
pub(super) fn prepare(args: &RunArgs, settings: &Settings, data: &DataDir) -> Result<(), Failure> {
    if let Some(from) = &args.from {
        must_be_folder(from, "take files from", "--from")?;
    }
    for destination in settings.routes.iter().flat_map(|route| &route.to) {
        let Kind::Folder { path, .. } = &destination.kind else {
            continue;
        };
        if *path == data.outbox() {
            mainstay_files::create_dir_all(path, 0o700).map_err(|error| {
                Failure::new(
                    Exit::StartFailed,
                    format!("cannot make the outbox `{}`", path.display()),
                )
                .because(error)
            })?;
        } else if args.to.is_some() {
            must_be_folder(path, "deliver to", "--to")?;
        }
    }
    Ok(())
}

/// Says where others can look into the data folder; it is left as somebody wanted it.
pub(super) fn tell_exposed(data: &DataDir) {
    let layout = Layout::new().private(data.path());
    for exposure in layout.exposures().unwrap_or_default() {
        terminal::warn(&exposure.to_string());
    }
}

/// Work folders of routes that are not configured, with what lies in them.
pub(super) fn left_behind(agent: &Agent) -> Vec<(PathBuf, Count)> {
    let is_known = |name: &OsStr| {
        agent
            .routes
            .iter()
            .any(|route| OsStr::new(&route.template.route) == name)
    };
    let Ok(folders) = std::fs::read_dir(agent.data.work_root()) else {
        return Vec::new();
    };
    let unknown = folders
        .flatten()
        .filter(|folder| !is_known(&folder.file_name()));
    // Claimed files begin with the 36 characters of their claim.
    let is_claimed = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        name.as_encoded_bytes()
            .get(..36)
            .and_then(|claim| std::str::from_utf8(claim).ok())
            .is_some_and(|claim| claim.parse::<Claim>().is_ok())
    };
    let counted = unknown.map(|folder| {
        let entries = std::fs::read_dir(folder.path())
            .into_iter()
            .flatten()
            .flatten();
        (
            folder.path(),
            Count(entries.filter(is_claimed).count() as u64, "file"),
        )
    });
    counted.filter(|(_, files)| files.0 > 0).collect()
}

fn must_be_folder(path: &Path, doing: &str, flag: &str) -> Result<(), Failure> {
    let cannot = || {
        Failure::new(
            Exit::NoInput,
            format!("cannot {doing} `{}`", path.display()),
        )
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(cannot().help(format!("it is not a folder; name one with {flag}"))),
        Err(error) => Err(cannot().because(error).help(format!(
            "make the folder first, or name another with {flag}"
        ))),
    }
}

//! Configuration: what the operator wishes, checked as a whole before anything starts.
//!
//! It comes from a TOML file, or from `--from` and `--to`, or from nothing at all: then files go from `inbox/` to `outbox/` in
//! the data folder. A setting that cannot be is refused with file, line, column and what to write instead.

mod check;
mod document;
mod nearest;
mod place;
mod reading;
mod secret;
mod settings;
mod show;

pub(crate) use check::CONCURRENT_MAX;
pub(crate) use document::{After, Compress};
pub(crate) use nearest::nearest;
pub(crate) use place::Problem;
pub(crate) use secret::SecretRef;
pub(crate) use settings::{
    Alert, AlertTo, Auth, Cache, Connection, Destination, Drop, From, Http, Ingest, Kind, Lookup,
    Proxy, Route, Scrub, Settings, Station,
};
pub(crate) use show::Shown;

use crate::cli::PlaceArgs;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use document::Document;
use mainstay_paths::{AppDirs, AppId, Environment};
use place::{FROM, Source, TO};
use reading::Read;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The configuration file's name in the configuration folder.
const FILE_NAME: &str = "mainstay.toml";

/// A configuration is written by people; a larger file is something else.
const FILE_MAX: u64 = 1024 * 1024;

/// Where this system keeps what belongs to Mainstay.
pub(crate) fn app_dirs() -> AppDirs {
    AppDirs::resolve(&AppId::MAINSTAY, &Environment::from_process())
}

/// Reads the file that was named, else the one in the configuration folder, else takes the defaults.
///
/// # Errors
/// With an exit code of 20 to 22: not there, cannot be read, or every problem in it with its place.
pub(crate) fn load(place: &PlaceArgs, data: &DataDir) -> Result<Settings, Failure> {
    match &place.config {
        Some(path) => read(path, data),
        None => match default_file()? {
            Some(path) => read(&path, data),
            None => defaults(data),
        },
    }
}

/// What the configuration says of the cache alone. Secrets of other sections are not looked for: whoever looks at the cache from a
/// shell need not have them.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_cache(place: &PlaceArgs, data: &DataDir) -> Result<Cache, Failure> {
    let path = match &place.config {
        Some(path) => path.clone(),
        None => match default_file()? {
            Some(path) => path,
            None => return Ok(Cache::default()),
        },
    };
    let text = read_text(&path)?;
    let source = Source::new(&path, &text);
    let checked = match reading::read(&text, &source) {
        Read::Document(document, problems) if problems.is_empty() => {
            check::cache(document.cache, &source, data)
        }
        Read::Document(_, problems) | Read::Problems(problems) => Err(problems),
    };
    checked.map_err(|problems| cannot_be_used(&path, &problems))
}

/// One route, called `cli`, from the command line; whichever end is missing is the data folder's own.
///
/// # Errors
/// With the exit code for usage: what was written is neither an address nor a folder that can be used.
pub(crate) fn from_flags(
    from: Option<&Path>,
    to: Option<&OsStr>,
    data: &DataDir,
) -> Result<Settings, Failure> {
    let url = to.and_then(OsStr::to_str).filter(|to| to.contains("://"));
    let kind = if url.is_some() { "http" } else { "folder" };
    let destination = document::Destination {
        url: url.map(|url| Spanned::new(TO, url.to_owned())),
        path: url
            .is_none()
            .then(|| Spanned::new(TO, to.map_or_else(|| data.outbox(), PathBuf::from))),
        ..document::Destination::default()
    };
    let folder = from.map_or_else(|| data.inbox(), Path::to_owned);
    let route = document::Route {
        name: Spanned::new(FROM, "cli".to_owned()),
        priority: None,
        from: Some(Spanned::new(FROM, document::From::of(folder))),
        to: BTreeMap::from([(
            Spanned::new(TO, kind.to_owned()),
            Spanned::new(TO, destination),
        )]),
        lookup: Vec::new(),
    };
    let document = Document {
        route: vec![Spanned::new(FROM, route)],
        ..Document::default()
    };
    let mut settings = check::check(
        document,
        &Source::none(),
        data,
        "the command line".to_owned(),
    )
    .map_err(|problems| {
        refused(
            Exit::Usage,
            "the command line cannot be followed",
            &problems,
        )
    })?;
    make_own_folders(&mut settings, data);
    Ok(settings)
}

/// From `inbox/` to `outbox/` in the data folder.
///
/// # Errors
/// As [`from_flags`].
pub(crate) fn defaults(data: &DataDir) -> Result<Settings, Failure> {
    let mut settings = from_flags(None, None, data)?;
    "the defaults: there is no configuration file".clone_into(&mut settings.origin);
    settings.is_default = true;
    for route in &mut settings.routes {
        "inbox".clone_into(&mut route.name);
        for destination in &mut route.to {
            "inbox/folder".clone_into(&mut destination.lane);
        }
    }
    Ok(settings)
}

/// The inbox is ours to make; every other drop folder belongs to somebody else.
fn make_own_folders(settings: &mut Settings, data: &DataDir) {
    for from in settings
        .routes
        .iter_mut()
        .filter_map(|route| route.from.as_mut())
    {
        if let From::Folder(drop) = from {
            drop.make = drop.folder == data.inbox();
        }
    }
}

fn default_file() -> Result<Option<PathBuf>, Failure> {
    let path = app_dirs().config.join(FILE_NAME);
    match path.try_exists() {
        Ok(exists) => Ok(exists.then_some(path)),
        Err(error) => Err(unreadable(&path, error)),
    }
}

fn read(path: &Path, data: &DataDir) -> Result<Settings, Failure> {
    let text = read_text(path)?;
    let source = Source::new(path, &text);
    let shown = path.display();
    let problems = match reading::read(&text, &source) {
        Read::Document(document, mut problems) => {
            match check::check(*document, &source, data, format!("`{shown}`")) {
                Ok(mut settings) if problems.is_empty() => {
                    make_own_folders(&mut settings, data);
                    return Ok(settings);
                }
                Ok(_) => {}
                Err(more) => problems.extend(more),
            }
            problems
        }
        Read::Problems(problems) => problems,
    };
    Err(cannot_be_used(path, &problems))
}

fn cannot_be_used(path: &Path, problems: &[Problem]) -> Failure {
    let what = format!("the configuration `{}` cannot be used", path.display());
    refused(Exit::ConfigInvalid, &what, problems)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, error))?;
    if metadata.len() > FILE_MAX {
        let error = std::io::Error::other(format!("it is larger than {FILE_MAX} bytes"));
        return Err(unreadable(path, error));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    let shown = path.display();
    if error.kind() == std::io::ErrorKind::NotFound {
        return Failure::new(Exit::ConfigNotFound, format!("there is no configuration file `{shown}`"))
            .help("name another one with --config, or start without one: mainstay run --from DIR --to URL");
    }
    let help = match error.kind() {
        std::io::ErrorKind::InvalidData => "it has to be text in UTF-8; is it the right file?",
        std::io::ErrorKind::PermissionDenied => "let the user that Mainstay runs as read it",
        std::io::ErrorKind::IsADirectory => "name the file in it",
        _ => "name another one with --config",
    };
    Failure::new(
        Exit::ConfigUnreadable,
        format!("cannot read the configuration `{shown}`"),
    )
    .because(error)
    .help(help)
}

/// Every problem in one failure, so that one look is enough.
fn refused(exit: Exit, what: &str, problems: &[Problem]) -> Failure {
    let mut problems: Vec<&Problem> = problems.iter().collect();
    // In the order in which they stand, as they are mended.
    problems.sort_by_key(|problem| problem.start);
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Failure::new(exit, format!("{what}\n{}", problems.join("\n")))
}

#[cfg(test)]
mod tests;

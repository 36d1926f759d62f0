//! `mainstay config …`.

use crate::cli::{ConfigVerb, LookArgs, PlaceArgs};
use crate::config::{self, Settings, Shown};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Count};
use serde_json::json;

/// Checks or shows the configuration.
///
/// # Errors
/// It is not there or cannot be used; every reason is in the failure.
pub(crate) fn config(verb: ConfigVerb) -> Result<Exit, Failure> {
    match verb {
        ConfigVerb::Check(args) => check(&args),
        ConfigVerb::Show(args) => show(&args),
    }
}

/// Reads the configuration, and says aloud what is doubtful in it.
///
/// # Errors
/// As [`config()`].
pub(super) fn load(place: &PlaceArgs) -> Result<Settings, Failure> {
    let settings = config::load(place, &DataDir::of(place)?)?;
    for warning in &settings.warnings {
        terminal::warn(&warning.to_string());
    }
    Ok(settings)
}

fn check(args: &LookArgs) -> Result<Exit, Failure> {
    let settings = load(&args.place)?;
    let warnings: Vec<String> = settings.warnings.iter().map(ToString::to_string).collect();
    if args.json {
        let answer = json!({ "ok": true, "origin": settings.origin, "routes": settings.routes.len(), "warnings": warnings });
        terminal::print_json(&answer)?;
    } else {
        let (routes, warned) = (settings.routes.len() as u64, warnings.len() as u64);
        let (routes, warned) = (Count(routes, "route"), Count(warned, "warning"));
        terminal::print(&format!(
            "{} can be used: {routes}, {warned}",
            settings.origin
        ))?;
    }
    Ok(Exit::Done)
}

fn show(args: &LookArgs) -> Result<Exit, Failure> {
    let settings = load(&args.place)?;
    let shown = Shown::of(&settings);
    if args.json {
        terminal::print_json(&shown)?;
        return Ok(Exit::Done);
    }
    let text = toml::to_string_pretty(&shown).map_err(|error| {
        Failure::new(Exit::Unexpected, "the configuration cannot be shown").because(error)
    })?;
    terminal::print(&format!("# from {}\n{text}", settings.origin))?;
    Ok(Exit::Done)
}

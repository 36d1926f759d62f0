//! From what stands in the file to what holds: all that cannot be is found at once, each with its place.

mod alert;
mod cache;
mod destination;
mod folders;
mod health;
mod http;
mod ingest;
mod lookup;

pub(super) use cache::cache;
pub(super) use health::or_never;
pub(crate) use ingest::CONCURRENT_MAX;

use super::document::{self, Document};
use super::place::{Problem, Source};
use super::settings::{
    CANCEL, CANCEL_MIN, CLOSE, CLOSE_MIN, Drop, From, GRACE, PRIORITY, Queue, Route, SETTLE, Scrub,
    Settings, Station,
};
use crate::data::DataDir;
use crate::units::Span;
use mainstay_queue::WhenFull;
use std::collections::HashMap;
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// Route and destination names become folder names and lane names.
const NAME_MAX: usize = 64;

/// What is found on the way.
struct Check<'a> {
    source: &'a Source,
    data: &'a DataDir,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Whether lookups ask nobody.
    is_offline: bool,
}

/// Checks everything and fills in the defaults.
///
/// # Errors
/// Every problem that was found, in the order of the file.
pub(super) fn check(
    document: Document,
    source: &Source,
    data: &DataDir,
    origin: String,
) -> Result<Settings, Vec<Problem>> {
    let mut check = Check::new(source, data);
    let station = check.station(document.station);
    let told_at = check.health_place(document.health.as_ref());
    let health = check.health(document.health);
    let cache = check.cache(document.cache);
    let (cancel, close) = check.stop_times(&document.shutdown);
    check.route_names(&document.route);
    check.folders(&document.route);
    check.addresses(&document.route, health.listen.zip(told_at).as_ref());
    check.turns(&document.route);
    let routes: Vec<Route> = document
        .route
        .into_iter()
        .map(|route| check.route(route.span(), route.into_inner()))
        .collect();
    if routes.is_empty() {
        check.refuse(&(0..0), "there is no route", "add a [[route]] with a name, a [route.from] and a [route.to.http] or [route.to.folder]");
    }
    let alerts = check.alerts(document.alert, &routes);
    if !check.problems.is_empty() {
        check.problems.sort_by_key(|problem| problem.start);
        return Err(check.problems);
    }
    Ok(Settings {
        origin,
        is_default: false,
        station,
        queue: queue(document.queue, source.folder(), data),
        grace: document.shutdown.grace.map_or(GRACE, |grace| grace.0),
        cancel,
        close,
        scrub: scrub(&document.backups),
        empty_trash_after: document
            .backups
            .empty_trash_after
            .map_or(Duration::ZERO, |after| after.0),
        cache,
        health,
        alerts,
        routes,
        warnings: check.warnings,
    })
}

/// An error, and what it comes from.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |message, cause| {
        format!("{message}: {cause}")
    })
}

fn scrub(document: &document::Backups) -> Scrub {
    let default = Scrub::default();
    Scrub {
        every: document.scrub_every.map_or(default.every, |every| every.0),
        rate: document.scrub_rate.map_or(default.rate, |rate| rate.0),
        repair: document.repair.unwrap_or(default.repair),
    }
}

impl<'a> Check<'a> {
    fn new(source: &'a Source, data: &'a DataDir) -> Self {
        Self {
            source,
            data,
            problems: Vec::new(),
            warnings: Vec::new(),
            is_offline: false,
        }
    }
}

impl Check<'_> {
    fn refuse(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.problems
            .push(self.source.problem(span, message).help(help));
    }

    fn warn(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.warnings
            .push(self.source.problem(span, message).help(help));
    }

    /// How long what gives up is waited for, and how long a step of the end may take.
    fn stop_times(&mut self, shutdown: &document::Shutdown) -> (Duration, Duration) {
        let mut time = |given: Option<&Spanned<Span>>, default, least: Duration, why: &str| {
            let Some(given) = given else { return default };
            let time = given.get_ref().0;
            if time < least {
                let message = format!("{} is too short: {why}", Span(time));
                let help = format!("write `{}` or more", Span(least));
                self.refuse(&given.span(), message, help);
            }
            time
        };
        let (cancel, close) = (shutdown.cancel.as_ref(), shutdown.close.as_ref());
        (
            time(
                cancel,
                CANCEL,
                CANCEL_MIN,
                "what was told to give up could not come to its next wait",
            ),
            time(
                close,
                CLOSE,
                CLOSE_MIN,
                "the queue's disk could not confirm what was delivered",
            ),
        )
    }

    fn station(&mut self, station: document::Station) -> Station {
        let mut text = |value: Option<Spanned<String>>| {
            let value = value?;
            // It travels in a header of every document.
            if value.get_ref().chars().any(char::is_control) {
                self.refuse(
                    &value.span(),
                    "the text has control characters in it",
                    "write it on one line",
                );
            }
            Some(value.into_inner())
        };
        let (name, location, purpose) = (
            text(station.name),
            text(station.location),
            text(station.purpose),
        );
        Station {
            name,
            location,
            purpose,
        }
    }

    fn route_names(&mut self, routes: &[Spanned<document::Route>]) {
        let mut seen: HashMap<&str, String> = HashMap::new();
        for route in routes {
            let name = &route.get_ref().name;
            self.name("route", name);
            if let Some(first) = seen.get(name.get_ref().as_str()) {
                let message = format!(
                    "the route name `{}` is used twice, first at {first}",
                    name.get_ref()
                );
                self.refuse(&name.span(), message, "give every route a name of its own");
            }
            seen.entry(name.get_ref())
                .or_insert_with(|| self.source.place(&name.span()));
        }
    }

    /// Names that mean the same on every file system, in every log line and on every command line.
    fn name(&mut self, of: &str, name: &Spanned<String>) {
        let text = name.get_ref();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !starts || text.len() > NAME_MAX || !text.chars().all(fits) {
            let message = format!("`{text}` is not a name for a {of}");
            let help = format!(
                "begin with a letter or digit, then letters, digits, `-`, `_` and `.`, {NAME_MAX} at most"
            );
            self.refuse(&name.span(), message, help);
        }
    }

    fn route(&mut self, span: Range<usize>, route: document::Route) -> Route {
        let name = route.name.into_inner();
        if let Some(priority) = route
            .priority
            .as_ref()
            .filter(|priority| !(1..=10).contains(priority.get_ref()))
        {
            self.refuse(
                &priority.span(),
                "a priority is 1 (first) to 10 (last)",
                "leave it out for 5",
            );
        }
        if route.to.is_empty() {
            let message = format!("the route `{name}` goes nowhere");
            self.refuse(
                &span,
                message,
                "add [route.to.http] with a `url`, or [route.to.folder] with a `path`",
            );
        }
        let to = route
            .to
            .into_iter()
            .map(|(key, destination)| self.destination(&name, &key, destination))
            .collect();
        Route {
            priority: route.priority.map_or(PRIORITY, Spanned::into_inner),
            from: route.from.and_then(|from| self.from(from)),
            to,
            lookups: self.lookups(route.lookup),
            name,
        }
    }

    fn from(&mut self, from: Spanned<document::From>) -> Option<From> {
        let span = from.span();
        let mut from = from.into_inner();
        match (from.folder.take(), from.http.take()) {
            (Some(folder), None) => Some(From::Folder(self.source_folder(folder, from))),
            (None, Some(http)) => {
                self.refuse_folder_settings(&span, &from);
                self.ingest(http).map(From::Http)
            }
            (Some(_), Some(http)) => {
                let help = "make two routes of it: both may lead to the same destination";
                self.refuse(
                    &http.span(),
                    "a route takes documents from a `folder` or over `http`, not both",
                    help,
                );
                None
            }
            (None, None) => {
                let help = "give it a `folder`, or a [route.from.http] with `listen`; without [route.from] only `mainstay submit` feeds the route";
                self.refuse(&span, "`from` has neither a `folder` nor an `http`", help);
                None
            }
        }
    }

    fn source_folder(&mut self, path: Spanned<PathBuf>, from: document::From) -> Drop {
        let texts = |patterns: Vec<Spanned<String>>| {
            patterns.into_iter().map(Spanned::into_inner).collect()
        };
        if let Some(marker) = &from.marker
            && (marker.get_ref().is_empty() || marker.get_ref().contains(['/', '\0']))
        {
            self.refuse(
                &marker.span(),
                "the marker is not the end of a file name",
                "write it like `.done`",
            );
        }
        let folder = self.source.folder();
        Drop {
            folder: folder.join(path.into_inner()),
            make: false,
            include: texts(from.include),
            exclude: texts(from.exclude),
            recursive: from.recursive.unwrap_or(false),
            settle: from.settle.map_or(SETTLE, |settle| settle.0),
            marker: from.marker.map(Spanned::into_inner),
            after: match from.after.unwrap_or(document::After::Archive) {
                document::After::Move(dir) => document::After::Move(folder.join(dir)),
                other => other,
            },
        }
    }
}

fn queue(queue: document::Queue, folder: &Path, data: &DataDir) -> Queue {
    let defaults = mainstay_queue::Config::default();
    Queue {
        dir: queue
            .dir
            .map_or_else(|| data.queue(), |dir| folder.join(dir)),
        max_documents: queue.max_documents.unwrap_or(defaults.max_documents),
        max_bytes: queue.max_bytes.map_or(defaults.max_bytes, |size| size.0),
        when_full: queue
            .when_full
            .map_or(defaults.when_full, |policy| match policy {
                document::WhenFull::Block => WhenFull::Block,
                document::WhenFull::Reject => WhenFull::Reject,
                document::WhenFull::DropOldest => WhenFull::DropOldest,
            }),
        retain_after_ack: queue
            .retain_after_ack
            .map_or(defaults.retain_after_ack, |span| span.0),
    }
}

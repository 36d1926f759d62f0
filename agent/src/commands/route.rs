//! `mainstay route …`.

use super::config::load;
use super::submit::regular;
use crate::cli::{LookArgs, RouteTestArgs, RouteVerb};
use crate::config::{self, Destination, Kind, Route, Settings, Shown};
use crate::control::Client;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::hash::sha256;
use crate::run::destination::{AnyDestination, build};
use crate::run::lookups::{Lookups, Room};
use crate::run::{STATION, content_type};
use crate::status::{Lookup, Status, To, date};
use crate::terminal::{self, BOLD, Count, DIM, GREEN, PLAIN, RED, Text, YELLOW, visible};
use futures_util::future::join_all;
use mainstay_deliver::{Certificates, Checked, Content, Outcome, Outgoing, Verdict};
use mainstay_queue::DocumentId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// Lists the routes, or tries their destinations.
///
/// # Errors
/// The configuration cannot be used; for a test also: the route or the file is not there, or a destination cannot take documents.
pub(crate) async fn route(verb: RouteVerb) -> Result<Exit, Failure> {
    match verb {
        RouteVerb::List(args) => list(&args),
        RouteVerb::Test(args) => test(&args).await,
    }
}

fn list(args: &LookArgs) -> Result<Exit, Failure> {
    let settings = load(&args.place)?;
    let shown = Shown::of(&settings);
    if args.json {
        terminal::print_json(&shown.route)?;
        return Ok(Exit::Done);
    }
    let mut text = Text::default();
    for route in &settings.routes {
        let from = route.from.as_ref();
        let from = from.map_or_else(|| "submit".to_owned(), config::From::shown);
        for to in &route.to {
            text.add(format_args!(
                "{BOLD}{}{PLAIN}  {from} -> {}\n",
                route.name,
                to.shown()
            ));
        }
    }
    terminal::print(&text.finish())?;
    Ok(Exit::Done)
}

/// What became of the test of one destination.
#[derive(Debug, Serialize)]
struct Tested {
    route: String,
    lane: String,
    address: String,
    #[serde(flatten)]
    checked: Checked,
    /// What is asked elsewhere about its documents, and what that came to for the file that was sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lookups: Vec<Lookup>,
    /// What became of the file that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<Sent>,
    /// Until when each certificate is valid that was met.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    certificates: BTreeMap<String, String>,
    /// Whether the route's lookups ask nobody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lookups_offline: bool,
    /// What the running agent says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<To>,
}

/// What became of a file that was sent.
#[derive(Debug, Serialize)]
struct Sent {
    /// The key under which it was sent.
    id: String,
    delivered: bool,
    /// Why not; empty where it was.
    reason: String,
}

async fn test(args: &RouteTestArgs) -> Result<Exit, Failure> {
    let settings = load(&args.place)?;
    let routes = wanted(&settings, args.route.as_deref())?;
    let file = args.send.as_deref().map(regular).transpose()?;
    let data = DataDir::of(&args.place)?;
    let status = Client::of(&data).status().await.ok();
    let mut destinations = Vec::new();
    for route in routes {
        for to in &route.to {
            destinations.push(try_out(&settings, route, to, file.as_deref(), data.path()));
        }
    }
    // Side by side: a person waits, and one that hangs takes its ten seconds.
    let mut tested: Vec<Tested> = join_all(destinations)
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
    for tested in &mut tested {
        tested.agent = status
            .as_ref()
            .and_then(|status| told(status, &tested.lane));
        if tested.agent.is_none() && tested.address == data.outbox().display().to_string() {
            excuse_missing_outbox(tested, &data.outbox());
        }
    }
    if args.json {
        terminal::print_json(&tested)?;
    } else {
        terminal::print(&page(&tested))?;
    }
    let failing = tested.iter().any(Tested::is_failing);
    Ok(if failing {
        Exit::Unreachable
    } else {
        Exit::Done
    })
}

impl Tested {
    fn is_failing(&self) -> bool {
        match &self.sent {
            // A document is the better question.
            Some(sent) => !sent.delivered,
            None => self.checked.verdict == Verdict::Failing,
        }
    }
}

fn wanted<'a>(settings: &'a Settings, name: Option<&str>) -> Result<Vec<&'a Route>, Failure> {
    let Some(name) = name else {
        return Ok(settings.routes.iter().collect());
    };
    let route = settings.routes.iter().find(|route| route.name == name);
    let route = route.ok_or_else(|| {
        let names: Vec<&str> = settings
            .routes
            .iter()
            .map(|route| route.name.as_str())
            .collect();
        let message = format!(
            "there is no route `{}` in {}",
            visible(name),
            settings.origin
        );
        Failure::new(Exit::Usage, message).help(format!("there is: {}", names.join(", ")))
    })?;
    Ok(vec![route])
}

async fn try_out(
    settings: &Settings,
    route: &Route,
    to: &Destination,
    file: Option<&Path>,
    data: &Path,
) -> Result<Tested, Failure> {
    let certificates = Certificates::default();
    let destination =
        build(to, &certificates, None, &mainstay_clock::system()).map_err(|error| {
            let message = format!("the destination `{}` cannot be made", to.lane);
            Failure::new(Exit::ConfigInvalid, message).because(error)
        })?;
    let lookups = build_lookups(route, data)?;
    let checked = destination.check(&route.name).await;
    let is_folder = matches!(to.kind, Kind::Folder { .. });
    let sent = match file {
        // It would say the same once more, and where it hangs, never.
        Some(_) if is_folder && checked.verdict == Verdict::Failing => Some(Sent {
            id: DocumentId::new().to_string(),
            delivered: false,
            reason: checked.said.clone(),
        }),
        Some(file) => Some(send(settings, route, &lookups.before(destination), file).await?),
        None => None,
    };
    Ok(Tested {
        route: route.name.clone(),
        lane: to.lane.clone(),
        address: to.shown(),
        checked,
        lookups: lookups.status(),
        sent,
        certificates: until(&certificates, &lookups),
        lookups_offline: settings.cache.offline && !route.lookups.is_empty(),
        agent: None,
    })
}

/// Those of the route, which keep nothing; what they complete and is long lies in `data` until it is sent, under no name.
fn build_lookups(route: &Route, data: &Path) -> Result<Arc<Lookups>, Failure> {
    let (room, clock) = (Room::new(data), mainstay_clock::system());
    Lookups::build(&route.lookups, None, None, &room, &clock).map_err(|error| {
        let message = format!("a lookup of route `{}` cannot be made", route.name);
        Failure::new(Exit::ConfigInvalid, message).because(error)
    })
}

/// Each certificate that was met, and its last day.
fn until(certificates: &Certificates, lookups: &Lookups) -> BTreeMap<String, String> {
    let met = certificates.met().into_iter();
    let looked_up = lookups.certificates().flat_map(|(name, met)| {
        let met = met.met().into_iter();
        met.map(move |(whose, validity)| (format!("{whose}, for the lookup `{name}`,"), validity))
    });
    met.chain(looked_up)
        .map(|(whose, validity)| {
            let ends = validity.until.max(0).unsigned_abs();
            (whose, date(ends.saturating_mul(1_000)))
        })
        .collect()
}

/// The outbox is ours: the agent makes it when it starts.
fn excuse_missing_outbox(tested: &mut Tested, outbox: &Path) {
    if !outbox.exists() {
        tested.checked.verdict = Verdict::Ready;
        "it is made when `mainstay run` starts".clone_into(&mut tested.checked.said);
    }
}

async fn send(
    settings: &Settings,
    route: &Route,
    destination: &AnyDestination,
    path: &Path,
) -> Result<Sent, Failure> {
    let document = document(settings, route, path).map_err(|error| {
        let message = format!("cannot read `{}`", visible(&path.display().to_string()));
        Failure::new(Exit::NoInput, message).because(error)
    })?;
    let id = document.id.to_string();
    let outcome = destination.send(document).await;
    Ok(Sent {
        id,
        delivered: matches!(outcome, Outcome::Delivered | Outcome::AlreadyThere),
        reason: outcome.reason().unwrap_or_default().to_owned(),
    })
}

fn document(settings: &Settings, route: &Route, path: &Path) -> std::io::Result<Outgoing> {
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    let hash = sha256(&file)?;
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let station = settings.station.name.iter();
    Ok(Outgoing {
        id: DocumentId::new(),
        route: route.name.clone(),
        source: name.to_vec(),
        content_type: content_type(name).to_owned(),
        headers: station
            .map(|name| (STATION.to_owned(), name.clone()))
            .collect(),
        hash: Some(hash),
        body: Content::File(file, length),
    })
}

fn told(status: &Status, lane: &str) -> Option<To> {
    let mut to = status.routes.iter().flat_map(|route| &route.to);
    to.find(|to| to.lane == lane).cloned()
}

fn page(tested: &[Tested]) -> String {
    let mut text = Text::default();
    let mut route = None;
    for tested in tested {
        if route != Some(&tested.route) {
            text.line(format_args!("{BOLD}{}{PLAIN}", visible(&tested.route)));
            route = Some(&tested.route);
            if tested.lookups_offline {
                text.line(format_args!(
                    "  lookup  {YELLOW}asks nobody{PLAIN}: `offline` is set in [cache]; documents get what is kept, and of the rest nothing is known"
                ));
            }
        }
        text.line(format_args!("  to      {}", visible(&tested.address)));
        let (colour, word) = match tested.checked.verdict {
            Verdict::Ready => (GREEN, "ready"),
            Verdict::Answers => (YELLOW, "not known"),
            Verdict::Failing => (RED, "failing"),
        };
        let said = visible(&tested.checked.said);
        text.line(format_args!("          {colour}{word}{PLAIN}: {said}"));
        for lookup in &tested.lookups {
            let words = looked_up(lookup, tested.sent.is_some());
            text.line(format_args!("          {words}"));
        }
        for (whose, until) in &tested.certificates {
            let whose = visible(whose);
            text.line(format_args!(
                "          {DIM}the certificate {whose} is valid until {until}{PLAIN}"
            ));
        }
        match &tested.sent {
            Some(sent) if sent.delivered => {
                text.line(format_args!(
                    "          {GREEN}delivered{PLAIN}: under the key {}",
                    sent.id
                ));
            }
            Some(sent) => {
                let reason = visible(&sent.reason);
                text.line(format_args!(
                    "          {RED}not delivered{PLAIN}: {reason}"
                ));
            }
            None if tested.checked.verdict == Verdict::Answers => {
                let todo = "only a document shows whether documents are taken: add `--send FILE`";
                text.line(format_args!("          {todo}"));
            }
            None => {}
        }
        if let Some(to) = &tested.agent {
            text.line(format_args!(
                "          {DIM}{}{PLAIN}",
                visible(&agent_says(to))
            ));
        }
    }
    text.finish()
}

/// What a lookup came to; without a document there is nothing to ask.
fn looked_up(lookup: &Lookup, is_sent: bool) -> String {
    let url = visible(&lookup.url);
    if !is_sent {
        return format!("lookup {url}: only a document is looked up: add `--send FILE`");
    }
    let fields = Count(lookup.fields, "field");
    match lookup.reason.as_str() {
        "" if lookup.documents == 0 => format!("lookup {url}: not asked"),
        "" => format!("lookup {url}: {fields} set, {} unknown", lookup.unknown),
        reason => format!("lookup {url}: {YELLOW}{}{PLAIN}", visible(reason)),
    }
}

fn agent_says(to: &To) -> String {
    let last = match &to.last_success {
        Some(last) => format!(", last delivered {last}"),
        None => String::new(),
    };
    let reason = match to.reason.as_str() {
        "" => String::new(),
        reason => format!("; {reason}"),
    };
    format!(
        "the running agent says: {}, {} queued{last}{reason}",
        to.state, to.queued
    )
}

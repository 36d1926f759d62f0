//! The settings that hold, in the form in which they could be written; secrets stay references.

use super::check::or_never;
use super::document::{After, Compress};
use super::settings::{
    Alert, AlertTo, Auth, Cache, Connection, Destination, Drop, From, Ingest, Kind, Lookup, Proxy,
    Route, Settings,
};
use crate::health::Limits;
use crate::units::{Size, Span};
use mainstay_lookup::OnFailure;
use mainstay_queue::WhenFull;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// All settings, ready to be printed as TOML or JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    station: BTreeMap<&'static str, String>,
    queue: QueueShown,
    shutdown: BTreeMap<&'static str, String>,
    backups: BackupsShown,
    cache: CacheShown,
    /// Where no address was asked for, nothing could be said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<HealthShown>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alert: Vec<Map<String, Value>>,
    /// The routes.
    pub(crate) route: Vec<RouteShown>,
}

#[derive(Debug, Serialize)]
struct HealthShown {
    listen: SocketAddr,
    queue_warning: u64,
    queue_critical: u64,
    age_warning: String,
    age_critical: String,
}

#[derive(Debug, Serialize)]
struct BackupsShown {
    scrub_every: String,
    scrub_rate: String,
    repair: bool,
    empty_trash_after: String,
}

#[derive(Debug, Serialize)]
struct CacheShown {
    limit: String,
    ttl: String,
    stale_if_error: String,
    stale_while_revalidate: String,
    offline: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rule: Vec<CacheRuleShown>,
}

#[derive(Debug, Serialize)]
struct CacheRuleShown {
    pattern: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    never: bool,
}

#[derive(Debug, Serialize)]
struct QueueShown {
    max_documents: u64,
    max_bytes: String,
    when_full: &'static str,
    retain_after_ack: String,
    dir: PathBuf,
}

/// One route.
#[derive(Debug, Serialize)]
pub(crate) struct RouteShown {
    name: String,
    priority: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<FromShown>,
    to: BTreeMap<String, Map<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lookup: Vec<LookupShown>,
}

#[derive(Debug, Serialize)]
struct LookupShown {
    name: String,
    url: String,
    each: String,
    replace: bool,
    on_failure: &'static str,
    concurrency: usize,
    cache: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
    take: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, &'static str>,
    #[serde(skip_serializing_if = "Value::is_null")]
    auth: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    tls: Value,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum FromShown {
    Folder(DropShown),
    Http { http: IngestShown },
}

#[derive(Debug, Serialize)]
struct IngestShown {
    listen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    types: Vec<String>,
    max_body: String,
    max_concurrent: u16,
    max_connections: u16,
    timeout: String,
}

#[derive(Debug, Serialize)]
struct DropShown {
    folder: PathBuf,
    include: Vec<String>,
    exclude: Vec<String>,
    recursive: bool,
    settle: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
    after: Value,
}

impl Shown {
    /// The settings as they would be written.
    pub(crate) fn of(settings: &Settings) -> Self {
        let station = &settings.station;
        let known = [
            ("name", &station.name),
            ("location", &station.location),
            ("purpose", &station.purpose),
        ];
        let queue = &settings.queue;
        Self {
            station: known
                .into_iter()
                .filter_map(|(key, value)| Some((key, value.clone()?)))
                .collect(),
            queue: QueueShown {
                max_documents: queue.max_documents,
                max_bytes: Size(queue.max_bytes).to_string(),
                when_full: match queue.when_full {
                    WhenFull::Reject => "reject",
                    WhenFull::DropOldest => "drop_oldest",
                    _ => "block",
                },
                retain_after_ack: Span(queue.retain_after_ack).to_string(),
                dir: queue.dir.clone(),
            },
            shutdown: BTreeMap::from([
                ("grace", Span(settings.grace).to_string()),
                ("cancel", Span(settings.cancel).to_string()),
                ("close", Span(settings.close).to_string()),
            ]),
            backups: BackupsShown {
                scrub_every: Span(settings.scrub.every).to_string(),
                scrub_rate: Size(settings.scrub.rate).to_string(),
                repair: settings.scrub.repair,
                empty_trash_after: Span(settings.empty_trash_after).to_string(),
            },
            cache: cache(&settings.cache),
            health: settings.health.listen.map(|listen| {
                let Limits { queued, age } = settings.health.limits;
                HealthShown {
                    listen,
                    queue_warning: queued.0,
                    queue_critical: queued.1,
                    age_warning: or_never(age.0),
                    age_critical: or_never(age.1),
                }
            }),
            alert: settings.alerts.iter().map(alert).collect(),
            route: settings.routes.iter().map(route).collect(),
        }
    }
}

fn cache(cache: &Cache) -> CacheShown {
    let kept = &cache.kept;
    let rules = kept.rules.iter().map(|rule| CacheRuleShown {
        pattern: rule.pattern.clone(),
        ttl: rule.ttl.map(|ttl| Span(ttl).to_string()),
        never: rule.never,
    });
    CacheShown {
        limit: Size(kept.limit_bytes).to_string(),
        ttl: Span(kept.default_ttl).to_string(),
        stale_if_error: Span(kept.stale_if_error_max).to_string(),
        stale_while_revalidate: Span(kept.stale_while_revalidate_max).to_string(),
        offline: cache.offline,
        rule: rules.collect(),
    }
}

fn alert(alert: &Alert) -> Map<String, Value> {
    let mut shown = Map::new();
    match &alert.to {
        AlertTo::Url {
            url,
            token,
            connection,
        } => {
            shown.insert("url".to_owned(), json!(AlertTo::url(url)));
            let token = token.as_ref().map(ToString::to_string);
            shown.extend(token.map(|token| ("token".to_owned(), json!(token))));
            let more = [
                ("proxy", json!(proxy(connection))),
                ("tls", tls(connection)),
            ];
            let more = more.into_iter().filter(|(_, value)| !value.is_null());
            shown.extend(more.map(|(key, value)| (key.to_owned(), value)));
        }
        AlertTo::Command(words) => {
            shown.insert("command".to_owned(), json!(words));
        }
    }
    if !alert.checks.is_empty() {
        shown.insert("checks".to_owned(), json!(alert.checks));
    }
    shown.insert("from".to_owned(), json!(alert.from));
    shown
}

fn route(route: &Route) -> RouteShown {
    let to = route.to.iter().map(|to| {
        let name = to
            .lane
            .split_once('/')
            .map_or(to.lane.as_str(), |(_, name)| name);
        (name.to_owned(), destination(to))
    });
    RouteShown {
        name: route.name.clone(),
        priority: route.priority,
        from: route.from.as_ref().map(from),
        to: to.collect(),
        lookup: route.lookups.iter().map(lookup).collect(),
    }
}

fn lookup(lookup: &Lookup) -> LookupShown {
    let settings = &lookup.settings;
    let take = settings.take.iter();
    LookupShown {
        name: lookup.name.clone(),
        url: settings.url.to_string(),
        each: settings.each.to_string(),
        replace: settings.replaces,
        on_failure: match settings.on_failure {
            OnFailure::Wait => "wait",
            OnFailure::Pass => "pass",
            OnFailure::Bury => "bury",
        },
        concurrency: settings.concurrency,
        cache: lookup.cache,
        rate: lookup.rate.map(|rate| rate.to_string()),
        take: take
            .map(|(to, from)| (to.to_string(), from.to_string()))
            .collect(),
        headers: hidden(lookup.headers.keys()),
        auth: lookup.auth.as_ref().map_or(Value::Null, auth),
        proxy: proxy(&lookup.connection).map(str::to_owned),
        tls: tls(&lookup.connection),
    }
}

fn from(from: &From) -> FromShown {
    match from {
        From::Folder(drop) => FromShown::Folder(drop_shown(drop)),
        From::Http(ingest) => FromShown::Http {
            http: ingest_shown(ingest),
        },
    }
}

fn ingest_shown(ingest: &Ingest) -> IngestShown {
    IngestShown {
        listen: ingest.listen.to_string(),
        token: ingest.token.as_ref().map(ToString::to_string),
        types: ingest.types.list().to_vec(),
        max_body: Size(ingest.max_body).to_string(),
        max_concurrent: ingest.max_concurrent,
        max_connections: ingest.max_connections,
        timeout: Span(ingest.timeout).to_string(),
    }
}

fn drop_shown(drop: &Drop) -> DropShown {
    DropShown {
        folder: drop.folder.clone(),
        include: drop.include.clone(),
        exclude: drop.exclude.clone(),
        recursive: drop.recursive,
        settle: Span(drop.settle).to_string(),
        marker: drop.marker.clone(),
        after: match &drop.after {
            After::Archive => json!("archive"),
            After::Delete => json!("delete"),
            After::Keep => json!("keep"),
            After::Move(dir) => json!({ "move": dir }),
        },
    }
}

fn destination(destination: &Destination) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut set = |key: &str, value: Value| {
        if !value.is_null() {
            shown.insert(key.to_owned(), value);
        }
    };
    match &destination.kind {
        Kind::Folder { path, name } => {
            set("path", json!(path));
            set("name", json!(name.as_deref().unwrap_or("{name}")));
        }
        Kind::Http(http) => {
            // What follows the question mark may be a token.
            set("url", json!(destination.shown()));
            set("method", json!(http.method));
            set(
                "headers",
                if http.headers.is_empty() {
                    Value::Null
                } else {
                    json!(hidden(http.headers.iter().map(|(name, _)| name)))
                },
            );
            set("auth", http.auth.as_ref().map_or(Value::Null, auth));
            set("proxy", json!(proxy(&http.connection)));
            set("timeout", json!(Span(http.timeout).to_string()));
            set(
                "if_none_match",
                if http.if_none_match {
                    json!(true)
                } else {
                    Value::Null
                },
            );
            set(
                "compress",
                match http.compress {
                    Compress::None => json!("none"),
                    Compress::Gzip => json!("gzip"),
                    Compress::Zstd => json!("zstd"),
                },
            );
            set("tls", tls(&http.connection));
        }
    }
    set("concurrency", json!(destination.concurrency));
    set("rate", json!(destination.rate.map(|rate| rate.to_string())));
    set("bury_after", json!(destination.bury_after));
    let (initial, max) = (
        Span(destination.retry_initial).to_string(),
        Span(destination.retry_max).to_string(),
    );
    set("retry", json!({ "initial": initial, "max": max }));
    shown
}

/// Where its way leads, without credentials.
fn proxy(connection: &Connection) -> Option<&str> {
    connection.proxy.as_ref().map(Proxy::address)
}

/// Whom it trusts and who we are; null where nothing was said of that.
fn tls(connection: &Connection) -> Value {
    let Connection { ca, client, .. } = connection;
    let cert = client.as_ref().map(|(cert, _)| cert);
    let key = client.as_ref().map(|(_, key)| key);
    without_nulls(json!({ "ca": ca, "cert": cert, "key": key }))
}

/// Values of headers may be secrets, so only their names are shown.
fn hidden<'n>(names: impl Iterator<Item = &'n String>) -> BTreeMap<String, &'static str> {
    names.map(|name| (name.clone(), "(hidden)")).collect()
}

fn auth(auth: &Auth) -> Value {
    match auth {
        Auth::Bearer(token) => json!({ "bearer": token.to_string() }),
        Auth::Basic { user, password } => {
            json!({ "basic": { "user": user, "password": password.to_string() } })
        }
        Auth::ApiKey { header, key } => {
            json!({ "api_key": { "header": header, "key": key.to_string() } })
        }
    }
}

/// TOML has no null; a table that has nothing else is left out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept: Map<String, Value> = map
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect();
            if kept.is_empty() {
                Value::Null
            } else {
                Value::Object(kept)
            }
        }
        other => other,
    }
}

//! What may stand in the configuration file, word for word.
//!
//! Everything is optional here, and every value that a later check may refuse carries its place. What is left out gets its
//! default in [`super::settings`].

use crate::units::{Rate, Size, Span};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use toml::Spanned;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    #[serde(default)]
    pub(crate) station: Station,
    #[serde(default)]
    pub(crate) queue: Queue,
    #[serde(default)]
    pub(crate) shutdown: Shutdown,
    #[serde(default)]
    pub(crate) backups: Backups,
    #[serde(default)]
    pub(crate) cache: Cache,
    pub(crate) health: Option<Health>,
    #[serde(default)]
    pub(crate) alert: Vec<Spanned<Alert>>,
    #[serde(default)]
    pub(crate) route: Vec<Spanned<Route>>,
}

/// `[station]`: who this machine is; its name travels with every document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Station {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) location: Option<Spanned<String>>,
    pub(crate) purpose: Option<Spanned<String>>,
}

/// `[queue]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    pub(crate) max_documents: Option<u64>,
    pub(crate) max_bytes: Option<Size>,
    pub(crate) when_full: Option<WhenFull>,
    pub(crate) retain_after_ack: Option<Span>,
    pub(crate) dir: Option<PathBuf>,
}

/// `when_full`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenFull {
    Block,
    Reject,
    DropOldest,
}

/// `[shutdown]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shutdown {
    pub(crate) grace: Option<Span>,
    pub(crate) cancel: Option<Spanned<Span>>,
    pub(crate) close: Option<Spanned<Span>>,
}

/// `[health]`: opens an address that tells whether the agent is well.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    pub(crate) listen: Option<Spanned<String>>,
    pub(crate) queue_warning: Option<Spanned<u64>>,
    pub(crate) queue_critical: Option<Spanned<u64>>,
    pub(crate) age_warning: Option<Spanned<Span>>,
    pub(crate) age_critical: Option<Spanned<Span>>,
}

/// `[[alert]]`: who is told when a check changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alert {
    pub(crate) url: Option<Spanned<String>>,
    pub(crate) token: Option<Spanned<String>>,
    pub(crate) tls: Option<Spanned<Tls>>,
    pub(crate) proxy: Option<Spanned<Proxy>>,
    pub(crate) command: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    pub(crate) checks: Vec<Spanned<String>>,
    pub(crate) from: Option<AlertFrom>,
}

/// `from` of an alert.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AlertFrom {
    Degraded,
    Unhealthy,
}

/// `[backups]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backups {
    pub(crate) scrub_every: Option<Span>,
    pub(crate) scrub_rate: Option<Size>,
    pub(crate) repair: Option<bool>,
    pub(crate) empty_trash_after: Option<Span>,
}

/// `[cache]`: what lookups keep.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    pub(crate) limit: Option<Spanned<Size>>,
    pub(crate) ttl: Option<Span>,
    pub(crate) stale_if_error: Option<Span>,
    pub(crate) stale_while_revalidate: Option<Span>,
    pub(crate) offline: Option<Spanned<bool>>,
    #[serde(default)]
    pub(crate) rule: Vec<Spanned<CacheRule>>,
}

/// `[[cache.rule]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CacheRule {
    pub(crate) pattern: Spanned<String>,
    pub(crate) ttl: Option<Spanned<Span>>,
    pub(crate) never: Option<bool>,
}

/// `[[route]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    pub(crate) name: Spanned<String>,
    pub(crate) priority: Option<Spanned<u8>>,
    pub(crate) from: Option<Spanned<From>>,
    #[serde(default)]
    pub(crate) to: BTreeMap<Spanned<String>, Spanned<Destination>>,
    #[serde(default)]
    pub(crate) lookup: Vec<Spanned<Lookup>>,
}

/// `[[route.lookup]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) url: Spanned<String>,
    pub(crate) each: Option<Spanned<String>>,
    pub(crate) take: BTreeMap<Spanned<String>, Spanned<String>>,
    pub(crate) replace: Option<bool>,
    pub(crate) on_failure: Option<OnFailure>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<Spanned<String>, Spanned<String>>,
    pub(crate) auth: Option<Spanned<Auth>>,
    pub(crate) tls: Option<Tls>,
    pub(crate) proxy: Option<Spanned<Proxy>>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) rate: Option<Rate>,
    pub(crate) cache: Option<Spanned<bool>>,
}

/// `on_failure`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailure {
    Wait,
    Pass,
    Bury,
}

/// `[route.from]`: a folder, or `http`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    pub(crate) folder: Option<Spanned<PathBuf>>,
    pub(crate) http: Option<Spanned<FromHttp>>,
    #[serde(default)]
    pub(crate) include: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) exclude: Vec<Spanned<String>>,
    pub(crate) recursive: Option<bool>,
    pub(crate) settle: Option<Span>,
    pub(crate) marker: Option<Spanned<String>>,
    pub(crate) after: Option<After>,
}

/// `[route.from.http]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FromHttp {
    pub(crate) listen: Spanned<String>,
    pub(crate) token: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) types: Vec<Spanned<String>>,
    pub(crate) max_body: Option<Spanned<Size>>,
    pub(crate) max_concurrent: Option<Spanned<u16>>,
    pub(crate) max_connections: Option<Spanned<u16>>,
    pub(crate) timeout: Option<Spanned<Span>>,
}

impl From {
    /// This folder, and the defaults.
    pub(crate) fn of(folder: PathBuf) -> Self {
        Self {
            folder: Some(Spanned::new(0..0, folder)),
            http: None,
            include: Vec::new(),
            exclude: Vec::new(),
            recursive: None,
            settle: None,
            marker: None,
            after: None,
        }
    }
}

/// `after`: a word, or `{ move = "DIR" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    Archive,
    Delete,
    Keep,
    Move(PathBuf),
}

/// `[route.to.NAME]`: a URL makes it an HTTP destination, a path a folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Destination {
    pub(crate) url: Option<Spanned<String>>,
    pub(crate) method: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<Spanned<String>, Spanned<String>>,
    pub(crate) auth: Option<Spanned<Auth>>,
    pub(crate) tls: Option<Tls>,
    pub(crate) proxy: Option<Spanned<Proxy>>,
    pub(crate) timeout: Option<Spanned<Span>>,
    pub(crate) compress: Option<Spanned<Compress>>,
    pub(crate) if_none_match: Option<Spanned<bool>>,
    pub(crate) path: Option<Spanned<PathBuf>>,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) concurrency: Option<Spanned<u16>>,
    pub(crate) rate: Option<Rate>,
    #[serde(default)]
    pub(crate) retry: Retry,
    pub(crate) bury_after: Option<Spanned<u32>>,
}

/// `auth`: exactly one of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) bearer: Option<Spanned<String>>,
    pub(crate) basic: Option<Basic>,
    pub(crate) api_key: Option<ApiKey>,
}

/// `auth.basic`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Basic {
    pub(crate) user: String,
    pub(crate) password: Spanned<String>,
}

/// `auth.api_key`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKey {
    pub(crate) header: Spanned<String>,
    pub(crate) key: Spanned<String>,
}

/// `tls`: files in PEM.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) ca: Option<Spanned<PathBuf>>,
    pub(crate) cert: Option<Spanned<PathBuf>>,
    pub(crate) key: Option<Spanned<PathBuf>>,
}

/// `proxy`: an address, or a table with it.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Spanned<String>>,
    pub(crate) bypass: Vec<String>,
}

/// `compress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compress {
    None,
    Gzip,
    Zstd,
}

/// `retry`: the bounds of the wait between two attempts.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    pub(crate) initial: Option<Spanned<Span>>,
    pub(crate) max: Option<Spanned<Span>>,
}

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProxyVisitor)
    }
}

struct ProxyVisitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyTable {
    url: String,
    user: Option<String>,
    password: Option<Spanned<String>>,
    #[serde(default)]
    bypass: Vec<String>,
}

impl<'de> serde::de::Visitor<'de> for ProxyVisitor {
    type Value = Proxy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy's address, or a table with `url`, `user`, `password`, `bypass`")
    }

    fn visit_str<E: serde::de::Error>(self, url: &str) -> Result<Proxy, E> {
        Ok(Proxy {
            url: url.to_owned(),
            user: None,
            password: None,
            bypass: Vec::new(),
        })
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Proxy, A::Error> {
        let table = ProxyTable::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Proxy {
            url: table.url,
            user: table.user,
            password: table.password,
            bypass: table.bypass,
        })
    }
}

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AfterVisitor)
    }
}

struct AfterVisitor;

impl<'de> serde::de::Visitor<'de> for AfterVisitor {
    type Value = After;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"archive\", \"delete\", \"keep\" or { move = \"DIR\" }")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<After, E> {
        match word {
            "archive" => Ok(After::Archive),
            "delete" => Ok(After::Delete),
            "keep" => Ok(After::Keep),
            other => Err(E::unknown_variant(other, &["archive", "delete", "keep"])),
        }
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<After, A::Error> {
        use serde::de::Error;
        let Some(key) = map.next_key::<String>()? else {
            return Err(A::Error::missing_field("move"));
        };
        if key != "move" {
            return Err(A::Error::unknown_field(&key, &["move"]));
        }
        let dir = map.next_value()?;
        match map.next_key::<String>()? {
            Some(other) => Err(A::Error::unknown_field(&other, &["move"])),
            None => Ok(After::Move(dir)),
        }
    }
}

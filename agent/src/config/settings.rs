//! The settings that hold: every default filled in, every name resolved, nothing impossible left.

use super::document::{After, Compress};
use super::place::Problem;
use super::secret::SecretRef;
use crate::alerts;
use crate::health::Limits;
use crate::hub::{self, Kinds};
use crate::units::Rate;
use mainstay_cache::CacheSettings;
use mainstay_lookup::LookupSettings;
use mainstay_queue::WhenFull;
use mainstay_supervise::HealthState;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that the agent goes by.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `queue.max_documents` | 1,000,000 | about 100 MB of index; weeks of a busy station |
/// | `queue.max_bytes` | 10 GiB | fits beside a system on the smallest disks in use |
/// | `queue.when_full` | `block` | files stay in the drop folder, nothing is lost |
/// | `queue.retain_after_ack` | 10 min | longer than the 2 min that a destination may lose after a power cut |
/// | `queue.dir` | `queue` in the data folder | one folder holds all that matters |
/// | `shutdown.grace` | 60 s | a slow upload finishes; systemd's own 90 s are not reached |
/// | `shutdown.cancel` | 2 s, at least 100 ms | what was told to give up ends at its next wait; what does not is blocked, and is left behind |
/// | `shutdown.close` | 10 s, at least 1 s | for each step that is closed or looked at: a sync on the slowest disk that we met takes 1 s |
/// | `backups.scrub_every` | 7 days | damage is found while a backup of it is still kept; 0: never |
/// | `backups.scrub_rate` | 5 MiB a second | nobody notices, and 100 GiB take six hours |
/// | `backups.repair` | false | a person may want to see what is damaged first |
/// | `backups.empty_trash_after` | 0, never | what a person deleted only a person gives up |
/// | `cache.limit` | 100 MiB, at least 64 KiB | a week of lists and metadata of one machine; small beside any disk that holds documents |
/// | `cache.ttl` | 7 days, where the answer does not say | what says nothing seldom changes; 0: asked again each time |
/// | `cache.stale_if_error` | 1 day; 0: never | a server that is down over a day needs a person, not an old answer |
/// | `cache.stale_while_revalidate` | 60 s, and no more than the answer allows | who is answered from before a minute does not notice |
/// | `cache.offline` | false | whoever wants nobody asked says so |
/// | `cache.rule` | none, 256 at most | the server knows best until a person does |
/// | `health` | off | a machine opens no port that nobody asked for; `mainstay health` asks by the control socket |
/// | `health.listen` | 127.0.0.1:9464 | what it tells is for this machine; 9464 is what exporters for Prometheus use |
/// | `health.queue_warning`, `queue_critical` | 100, 500 | what the programs before this one warned of |
/// | `health.age_warning`, `age_critical` | 1 h, 24 h; 0: no age is too old | within an hour a server is back, or a person has to look; a day unseen is too long |
/// | `alert.checks` | all | who wants less says so |
/// | `alert.from` | `degraded` | what is degraded today may be unhealthy tonight |
/// | `lookup.name` | `lookup`, `lookup-2` … | it stands in the status and in the log |
/// | `lookup.each` | the whole document | most documents are about one thing |
/// | `lookup.replace` | false | what the producer wrote is worth more than what somebody else knows |
/// | `lookup.on_failure` | `wait` | nothing is lost by it, and what arrives is whole |
/// | `lookup.concurrency` | 4 | hides the way there and back, and is no burden |
/// | `lookup.rate` | none | most servers know better themselves how much they bear |
/// | `lookup.cache` | true; with headers that may change answers false | what was asked yesterday is not asked again, and no answer is another's |
/// | `route.priority` | 5 | half-way, so that there is room on both sides |
/// | `from.recursive` | false | a folder inside may be the producer's own business |
/// | `from.settle` | 2 s | longer than a producer pauses between two writes |
/// | `from.after` | `archive` | the original is kept until somebody decides otherwise |
/// | `from.http.token` | none | on this machine alone; an address that others can reach has to have one |
/// | `from.http.types` | all | what a document is, its receiver decides |
/// | `from.http.max_body` | 256 MiB, and no more | as large as pickup takes |
/// | `from.http.max_concurrent` | 64, all routes together at most 1024 | a dozen agents with 5 deliveries each; about 64 MiB of memory at once, with zstd up to 576 MiB |
/// | `from.http.max_connections` | 256 | a quarter of the files that a process may usually have open |
/// | `from.http.timeout` | 5 min, and longer for what comes with 16 KiB/s or more | our own senders wait so; nobody keeps a place for ever |
/// | `to.method` | POST | PUT only where the URL names the document |
/// | `to.timeout` | 60 s | an attempt as a whole; then it counts as unknown and is repeated |
/// | `to.rate` | none | most servers know better themselves how much they bear |
/// | `to.concurrency` | 5 | hides the way there and back without burdening a small server |
/// | `to.retry.initial`, `max` | 1 s, 5 min | quick after a hiccup, quiet in a long outage |
/// | `to.bury_after` | 5 | a document refused five times is not refused by accident |
/// | `to.compress` | none | not every server takes it |
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where they come from, in words.
    pub(crate) origin: String,
    /// Whether nobody wished anything: there is no file and no flag.
    pub(crate) is_default: bool,
    /// Who this machine is.
    pub(crate) station: Station,
    /// The queue's limits.
    pub(crate) queue: Queue,
    /// How long a stop may wait.
    pub(crate) grace: Duration,
    /// How long what was told to give up is waited for then.
    pub(crate) cancel: Duration,
    /// How long each step may take that closes something, or looks whether it is closed.
    pub(crate) close: Duration,
    /// How backups are read to find what the disk lost.
    pub(crate) scrub: Scrub,
    /// Deleted files go for good after so long; zero: never.
    pub(crate) empty_trash_after: Duration,
    /// What lookups keep.
    pub(crate) cache: Cache,
    /// How the agent tells whether it is well.
    pub(crate) health: Health,
    /// Who is told when that changes.
    pub(crate) alerts: Vec<Alert>,
    /// Where documents come from and go.
    pub(crate) routes: Vec<Route>,
    /// What works but should not stay so.
    pub(crate) warnings: Vec<Problem>,
}

/// Who this machine is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Station {
    pub(crate) name: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) purpose: Option<String>,
}

/// The queue's limits.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) dir: PathBuf,
    pub(crate) max_documents: u64,
    pub(crate) max_bytes: u64,
    pub(crate) when_full: WhenFull,
    pub(crate) retain_after_ack: Duration,
}

/// What lookups keep.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cache {
    /// How much, and for how long.
    pub(crate) kept: CacheSettings,
    /// Whether nobody is asked: what is kept is all there is.
    pub(crate) offline: bool,
}

/// How the agent tells whether it is well.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Health {
    /// Where it tells; none: on its control socket alone.
    pub(crate) listen: Option<SocketAddr>,
    /// When the queue is degraded, and when unhealthy.
    pub(crate) limits: Limits,
}

/// Who is told when a check changes.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    pub(crate) to: AlertTo,
    /// Patterns of their names; none: all.
    pub(crate) checks: Vec<String>,
    /// The least that is told.
    pub(crate) from: HealthState,
}

/// How somebody is told.
#[derive(Debug, Clone)]
pub(crate) enum AlertTo {
    Url {
        /// Many an address is its own secret.
        url: SecretRef,
        token: Option<SecretRef>,
        connection: Box<Connection>,
    },
    /// A program and its arguments.
    Command(Vec<String>),
}

/// How backups are read to find what the disk lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scrub {
    /// Zero: never.
    pub(crate) every: Duration,
    /// Bytes in a second; 0: as quickly as can be.
    pub(crate) rate: u64,
    pub(crate) repair: bool,
}

impl Default for Scrub {
    fn default() -> Self {
        Self {
            every: Duration::from_hours(7 * 24),
            rate: 5 * 1024 * 1024,
            repair: false,
        }
    }
}

/// One way of documents through the agent.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) priority: u8,
    /// None for a route that only `submit` feeds.
    pub(crate) from: Option<From>,
    /// At least one.
    pub(crate) to: Vec<Destination>,
    /// What is put into each document on its way to them, in this order.
    pub(crate) lookups: Vec<Lookup>,
}

/// One lookup of a route.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub(crate) name: String,
    /// Without its headers and credentials.
    pub(crate) settings: LookupSettings,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) auth: Option<Auth>,
    pub(crate) connection: Connection,
    pub(crate) rate: Option<Rate>,
    /// Whether answers are kept.
    pub(crate) cache: bool,
}

/// Where a route's documents come from.
#[derive(Debug, Clone)]
pub(crate) enum From {
    /// Files of a folder.
    Folder(Drop),
    /// Requests of others.
    Http(Ingest),
}

/// The address that a route takes documents at.
#[derive(Debug, Clone)]
pub(crate) struct Ingest {
    pub(crate) listen: SocketAddr,
    /// None only where nobody but this machine can come.
    pub(crate) token: Option<SecretRef>,
    pub(crate) types: Kinds,
    pub(crate) max_body: u64,
    pub(crate) max_concurrent: u16,
    pub(crate) max_connections: u16,
    /// From the first byte of a body to the last.
    pub(crate) timeout: Duration,
}

/// The folder that a route takes files from.
#[derive(Debug, Clone)]
pub(crate) struct Drop {
    pub(crate) folder: PathBuf,
    /// Whether the agent makes the folder; only its own inbox.
    pub(crate) make: bool,
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) recursive: bool,
    pub(crate) settle: Duration,
    pub(crate) marker: Option<String>,
    pub(crate) after: After,
}

/// One destination of a route, with the queue's lane that leads to it.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) lane: String,
    pub(crate) kind: Kind,
    pub(crate) concurrency: u16,
    /// Attempts in a time, at most.
    pub(crate) rate: Option<Rate>,
    pub(crate) retry_initial: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) bury_after: u32,
}

/// What a destination is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Http(Box<Http>),
    Folder { path: PathBuf, name: Option<String> },
}

/// An HTTP destination.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) auth: Option<Auth>,
    pub(crate) connection: Connection,
    pub(crate) if_none_match: bool,
    pub(crate) timeout: Duration,
    pub(crate) compress: Compress,
}

/// How another machine is reached: whom to trust, who we are, and which way leads there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    /// The only authority that is trusted; none: those of the system.
    pub(crate) ca: Option<PathBuf>,
    /// Our own certificate, and its key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    pub(crate) proxy: Option<Proxy>,
}

/// The proxy on the way to another machine.
#[derive(Debug, Clone)]
pub(crate) enum Proxy {
    /// What `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of the agent say.
    System,
    Manual {
        url: String,
        credentials: Option<(String, SecretRef)>,
        bypass: Vec<String>,
    },
}

/// What `proxy` says where the environment says which.
pub(crate) const SYSTEM: &str = "system";

impl Proxy {
    /// As it is written, without credentials.
    pub(crate) fn address(&self) -> &str {
        match self {
            Self::System => SYSTEM,
            Self::Manual { url, .. } => url,
        }
    }
}

/// How a request proves who sends it.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    Bearer(SecretRef),
    Basic { user: String, password: SecretRef },
    ApiKey { header: String, key: SecretRef },
}

pub(crate) const GRACE: Duration = Duration::from_mins(1);
pub(crate) const CANCEL: Duration = Duration::from_secs(2);
pub(crate) const CANCEL_MIN: Duration = Duration::from_millis(100);
pub(crate) const CLOSE: Duration = Duration::from_secs(10);
pub(crate) const CLOSE_MIN: Duration = Duration::from_secs(1);
pub(crate) const PRIORITY: u8 = 5;
pub(crate) const SETTLE: Duration = Duration::from_secs(2);
pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);
pub(crate) const CONCURRENCY: u16 = 5;
pub(crate) const RETRY_INITIAL: Duration = Duration::from_secs(1);
pub(crate) const RETRY_MAX: Duration = Duration::from_mins(5);
pub(crate) const BURY_AFTER: u32 = 5;

pub(crate) const INGEST_TIMEOUT: Duration = Duration::from_mins(5);
pub(crate) const MAX_CONCURRENT: u16 = 64;
pub(crate) const MAX_CONNECTIONS: u16 = 256;

impl From {
    /// Where it is, for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Folder(drop) => drop.folder.display().to_string(),
            Self::Http(ingest) => hub::shown(ingest.listen),
        }
    }
}

impl AlertTo {
    /// Whether the same is told, by the same command or at the same address, whatever it has for a token.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Url { url, .. }, Self::Url { url: other, .. }) => url.is_same(other),
            (Self::Command(words), Self::Command(others)) => words == others,
            _ => false,
        }
    }

    /// The address, or where it is; without what in it may be secret.
    pub(crate) fn url(url: &SecretRef) -> String {
        match url {
            SecretRef::Inline(url) => alerts::shown(url.expose()),
            elsewhere => elsewhere.to_string(),
        }
    }
}

/// Whom it tells, for people.
impl fmt::Display for AlertTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, .. } => f.write_str(&Self::url(url)),
            Self::Command(words) => f.write_str(words.first().map_or("", String::as_str)),
        }
    }
}

impl Destination {
    /// Where it is, for people; without what a URL may hide after its question mark.
    pub(crate) fn shown(&self) -> String {
        match &self.kind {
            Kind::Http(http) => http.url.split('?').next().unwrap_or_default().to_owned(),
            Kind::Folder { path, .. } => path.display().to_string(),
        }
    }
}

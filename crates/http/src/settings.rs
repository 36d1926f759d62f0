//! How a client behaves; every bound is here.

use crate::limits::TimeLimits;
use crate::secret::Secret;
use mainstay_resilience::{BreakerSettings, BulkheadSettings, RateLimit, RetrySettings};
use std::path::PathBuf;
use std::time::Duration;

/// How a client behaves.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `limits` | by class | see [`TimeLimits`] |
/// | `connect` | 5 s | name, connection and TLS together; who needs longer is not well |
/// | `retry` | [`RetrySettings::client`] | 3 retries, 0.5 s doubling to 10 s, full jitter; its deadline is the total limit of the class |
/// | `breaker` | 5 failures, 60 s | of each origin; see [`BreakerSettings`] |
/// | `bulkhead` | 25 under way, 100 wait for 5 s | of each origin; see [`BulkheadSettings`] |
/// | `limit` | 10,000 in a second | of each origin; no limit in practice, until a server says how many it takes |
/// | `limit_wait` | 5 s | who would wait longer for a turn is told so at once |
/// | `body_max` | 16 MiB | decompressed, in memory; what is longer is a download |
/// | `redirects_max` | 10 | as browsers: more is a loop |
/// | `origins_max` | 256 | breakers, limits and bulkheads; the one not used for longest goes |
/// | `idle_connections` | 8 | of each host; HTTP/2 needs one |
/// | `idle_for` | 90 s | shorter than what most servers keep |
/// | `user_agent` | `mainstay/…` | so that servers know whom to tell |
/// | `tls` | the system's authorities | see [`Tls`] |
/// | `proxy` | none | see [`Proxy`] |
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// How long requests may take, by class.
    pub limits: TimeLimits,
    /// How long a connection may take, its name and TLS included.
    pub connect: Duration,
    /// How often a request is tried; its deadline is not used.
    pub retry: RetrySettings,
    /// When an origin is left alone.
    pub breaker: BreakerSettings,
    /// How many requests to an origin are under way.
    pub bulkhead: BulkheadSettings,
    /// How many requests to an origin pass in what time.
    pub limit: RateLimit,
    /// How long a request waits for that.
    pub limit_wait: Duration,
    /// So many bytes of an answer are read, decompressed.
    pub body_max: usize,
    /// So many redirects are followed.
    pub redirects_max: u32,
    /// So many origins are known at once; at least 1.
    pub origins_max: usize,
    /// So many connections to a host stay open while nothing is asked.
    pub idle_connections: usize,
    /// They stay open for so long.
    pub idle_for: Duration,
    /// `User-Agent`.
    pub user_agent: String,
    /// Whom to trust, and who we are.
    pub tls: Tls,
    /// Whether to go through a proxy.
    pub proxy: Proxy,
}

/// Whom to trust, and who we are. Certificates are always verified, and versions before TLS 1.2 are not spoken; there is no
/// switch for either.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `system_authorities` | yes | what the machine's owner trusts is trusted |
/// | `authorities` | none | |
/// | `client` | none | |
#[derive(Debug, Clone)]
pub struct Tls {
    /// Whether the authorities that the system trusts are trusted.
    pub system_authorities: bool,
    /// PEM files with further authorities.
    pub authorities: Vec<PathBuf>,
    /// Our own certificate, for servers that ask for one.
    pub client: Option<ClientCertificate>,
}

/// Our own certificate.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// A PEM file with the certificate and those that lead to its authority.
    pub certificate: PathBuf,
    /// A PEM file with its private key; nobody but its owner and group may read it.
    pub key: PathBuf,
}

/// Whether to go through a proxy.
#[derive(Debug, Clone, Default)]
pub enum Proxy {
    /// Straight to the server, whatever the environment says.
    #[default]
    None,
    /// What the system says; the caller reads it, since this crate reads no environment.
    System(SystemProxies),
    /// This one.
    Manual {
        /// `http://host:port` (CONNECT for `https`, forwarding for `http`) or `socks5h://host:port`.
        url: String,
        /// The user and the password, if the proxy asks for them.
        credentials: Option<(String, Secret)>,
        /// Hosts that are reached without it: names (with all below them), addresses, networks such as `10.0.0.0/8`, or `*`.
        bypass: Vec<String>,
    },
}

/// The values of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, which may hold passwords.
#[derive(Debug, Clone, Default)]
pub struct SystemProxies {
    /// For `http` addresses.
    pub http: Option<Secret>,
    /// For `https` addresses.
    pub https: Option<Secret>,
    /// For both, where there is none of their own.
    pub all: Option<Secret>,
    /// Hosts that are reached without it, separated by commas.
    pub bypass: Option<String>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            limits: TimeLimits::default(),
            connect: Duration::from_secs(5),
            retry: RetrySettings::client(),
            breaker: BreakerSettings::default(),
            bulkhead: BulkheadSettings {
                max_wait: Duration::from_secs(5),
                ..BulkheadSettings::default()
            },
            limit: RateLimit {
                permits: 10_000,
                per: Duration::from_secs(1),
                burst: 10_000,
            },
            limit_wait: Duration::from_secs(5),
            body_max: 16 << 20,
            redirects_max: 10,
            origins_max: 256,
            idle_connections: 8,
            idle_for: Duration::from_secs(90),
            user_agent: concat!("mainstay/", env!("CARGO_PKG_VERSION")).to_owned(),
            tls: Tls::default(),
            proxy: Proxy::default(),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            system_authorities: true,
            authorities: Vec::new(),
            client: None,
        }
    }
}

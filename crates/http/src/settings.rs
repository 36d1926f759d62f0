//! How a client behaves; every bound is here.

use crate::limits::TimeLimits;
use mainstay_cache::Cache;
use mainstay_resilience::{
    AdaptiveSettings, BreakerSettings, BulkheadSettings, HedgeSettings, RateLimit, RetrySettings,
};
use mainstay_wire::{Connectivity, Proxy, Tls};
use std::sync::Arc;
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
/// | `adaptive` | none | a server that is asked seldom gives nothing to learn from, and most bear what the bulkhead allows |
/// | `hedge` | none | it asks a server that is slow for more; whoever knows that one slow answer in twenty is chance, and not load, says so |
/// | `limit` | 10,000 in a second | of each origin; no limit in practice, until a server says how many it takes |
/// | `limit_wait` | 5 s | who would wait longer for a turn is told so at once |
/// | `body_max` | 16 MiB | decompressed, in memory; what is longer is a download |
/// | `redirects_max` | 10 | as browsers: more is a loop |
/// | `origins_max` | 256 | breakers, limits and bulkheads; the one not used for longest goes, but none that a request is using: there are as many more as that takes |
/// | `idle_connections` | 8 | of each host; HTTP/2 needs one |
/// | `idle_for` | 90 s | shorter than what most servers keep |
/// | `user_agent` | `mainstay/…` | so that servers know whom to tell |
/// | `tls` | the system's authorities | see [`Tls`] |
/// | `proxy` | none | see [`Proxy`] |
/// | `cache` | none | what is kept lies on a disk: whoever wants it says where; its bounds are those of [`CacheSettings`](mainstay_cache::CacheSettings) |
/// | `connectivity` | its own | whoever else asks hosts from the same machine can share theirs |
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
    /// How many requests to an origin are under way besides, by how it answers: less while it says that it is overloaded (503) or is too
    /// slow, and more while it is not. What is above it is turned away at once, as the bulkhead does once its wait is over: a request that
    /// waits is part of an overload, too.
    pub adaptive: Option<AdaptiveSettings>,
    /// When another copy of a request that is slow is sent, whose answer may come first.
    ///
    /// Only of what asks and changes nothing (GET, HEAD, OPTIONS), or has a key by which the server knows both: a PUT or DELETE whose
    /// first copy comes late would undo what was done meanwhile. Downloads have none. Copies are paid for out of the budget of retries
    /// (20 % of the requests, and 10 in a second), and each passes breaker, limit and bulkhead by itself.
    pub hedge: Option<HedgeSettings>,
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
    /// What answers to GET are kept in, and looked for in.
    ///
    /// A request that shows who asks is neither answered from it, nor is its answer kept: one with `Authorization`, `Cookie` or another
    /// of [`credential_headers`](mainstay_cache::CacheSettings::credential_headers), with a
    /// [secret header](crate::RequestBuilder::secret_header), or with a secret in the query, such as `api_key` (see
    /// [`credential_parameters`](mainstay_cache::CacheSettings::credential_parameters)). Such a request always goes to the server. With a
    /// certificate of our own, which all answers may depend on, a cache is refused.
    pub cache: Option<Arc<Cache>>,
    /// Where it is told what requests met of the network.
    pub connectivity: Option<Arc<Connectivity>>,
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
            adaptive: None,
            hedge: None,
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
            cache: None,
            connectivity: None,
        }
    }
}

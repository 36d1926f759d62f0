//! The client: what all its requests share.

use crate::connectivity::Connectivity;
use crate::error::{Error, ErrorKind};
use crate::kept::Kept;
use crate::origin::Origins;
use crate::proxy;
use crate::request::RequestBuilder;
use crate::resolver::Resolver;
use crate::settings::ClientSettings;
use http::Method;
use mainstay_cache::{Cache, CacheStats};
use mainstay_clock::SharedClock;
use mainstay_resilience::{
    AdaptiveLimit, BudgetSettings, Hedge, InvalidSettings, Part, Registry, Retry, RetryBudget,
    Retrying,
};
use mainstay_wire::client_config;
use reqwest::Url;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// An HTTP client; clones share connections, breakers, limits and the budget of retries.
///
/// ```
/// use mainstay_http::{Class, Client, ClientSettings};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// # let server = mainstay_testkit::faulty_server::FaultyServer::start(|_, _| {
/// #     mainstay_testkit::faulty_server::Reaction::answer(200).body("[1, 2]")
/// # })
/// # .await?;
/// # let address = server.url("/parts");
/// let client = Client::new(ClientSettings::default(), mainstay_clock::system())?;
/// let answer = client.get(&address).class(Class::Search).send().await?;
/// let parts: Vec<u32> = answer.json()?;
/// assert_eq!(parts, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With a cache, which blocks while it is opened:
///
/// ```
/// use mainstay_http::{Cache, CacheSettings, Client, ClientSettings, Source};
/// use std::sync::Arc;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let folder = tempfile::TempDir::new()?;
/// # let folder = folder.path();
/// let clock = mainstay_clock::system();
/// let cache = Cache::open(folder, CacheSettings::default(), clock.clone())?;
/// let settings = ClientSettings {
///     cache: Some(Arc::new(cache)),
///     ..ClientSettings::default()
/// };
/// let client = Client::new(settings, clock)?;
/// # runtime.block_on(async {
/// # let server = mainstay_testkit::faulty_server::FaultyServer::start(|_, _| {
/// #     mainstay_testkit::faulty_server::Reaction::answer(200).header("Cache-Control", "max-age=60")
/// # })
/// # .await?;
/// # let address = server.url("/parts");
/// assert_eq!(client.get(&address).send().await?.source, Source::Network);
/// assert!(matches!(client.get(&address).send().await?.source, Source::Cache { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

/// What all requests of a client share.
pub(crate) struct Shared {
    pub(crate) settings: ClientSettings,
    pub(crate) clock: SharedClock,
    pub(crate) web: reqwest::Client,
    /// For downloads: bytes as they are stored, so that their places can be counted.
    pub(crate) raw: reqwest::Client,
    pub(crate) origins: Origins,
    pub(crate) budget: Arc<RetryBudget>,
    pub(crate) connectivity: Arc<Connectivity>,
    pub(crate) kept: Option<Arc<Kept>>,
}

impl Client {
    /// A client with a registry of its own. Nothing is sent before the first request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Settings`]: which of them cannot work, and why.
    pub fn new(settings: ClientSettings, clock: SharedClock) -> Result<Self, Error> {
        Self::with_registry(settings, clock, Arc::new(Registry::new()))
    }

    /// A client whose breakers, limits and bulkheads are listed in this registry, as `https://h:443/breaker`, `…/limiter`,
    /// `…/bulkhead` and, where they are wished for, `…/adaptive` and `…/hedge`. Clients that share a registry share the parts of an origin.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_registry(
        settings: ClientSettings,
        clock: SharedClock,
        registry: Arc<Registry>,
    ) -> Result<Self, Error> {
        check(&settings, &clock)?;
        let budget = RetryBudget::new(BudgetSettings::default(), clock.clone())
            .map_err(|error| Error::settings(error.to_string()))?;
        let budget = Arc::new(budget);
        // Taken: another client of the same registry is listed already.
        drop(registry.add("http/retries", Part::Budget(Arc::clone(&budget))));
        Ok(Self {
            shared: Arc::new(Shared {
                web: web(&settings)?.build().map_err(unbuilt)?,
                raw: web(&settings)?
                    .no_gzip()
                    .no_zstd()
                    .build()
                    .map_err(unbuilt)?,
                origins: Origins::new(registry),
                budget,
                connectivity: settings
                    .connectivity
                    .clone()
                    .unwrap_or_else(|| Arc::new(Connectivity::new(clock.clone()))),
                kept: settings
                    .cache
                    .clone()
                    .map(|cache| Arc::new(Kept::new(cache, Arc::clone(&clock)))),
                settings,
                clock,
            }),
        })
    }

    /// A GET request.
    pub fn get(&self, url: &str) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A request.
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        RequestBuilder::new(Arc::clone(&self.shared), method, url)
    }

    /// The breakers, limits and bulkheads of the origins that were asked lately, to look at, change and reset.
    pub fn registry(&self) -> &Arc<Registry> {
        self.shared.origins.registry()
    }

    /// What is tried again now, by its origin (`https://h.example:443`): which attempt comes next, of how many, in what time, and why
    /// the last one failed. Of several requests to one origin that which was tried most often.
    pub fn retrying(&self) -> BTreeMap<String, Retrying> {
        let now = self.shared.clock.now();
        let mut all = self.shared.origins.retrying();
        for retrying in all.values_mut() {
            retrying.next_in = retrying.begins.since(now);
        }
        all
    }

    /// What is kept, and what it was good for; none without a cache. Reads its folder, on a thread for that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`]: the cache cannot be read, see the source.
    pub async fn cache_stats(&self) -> Result<Option<CacheStats>, Error> {
        let Some(kept) = &self.shared.kept else {
            return Ok(None);
        };
        match kept.on_a_thread(Cache::stats).await {
            Some(Ok(stats)) => Ok(Some(stats)),
            Some(Err(error)) => {
                let message = "the cache of the client cannot be read: see its folder";
                Err(Error::new(ErrorKind::Other, message).because(error))
            }
            None => Err(Error::new(
                ErrorKind::Other,
                "the cache of the client failed",
            )),
        }
    }

    /// Lets go of what is kept of this address, for whoever finds that it is of no use. Nothing of it is served from here on, nor kept
    /// of what was asked before; the next request asks the server, without conditions. Without a cache, nothing happens.
    ///
    /// It waits no longer than a second for the cache.
    pub async fn let_go(&self, url: &Url) {
        let (Some(kept), Ok(url)) = (&self.shared.kept, url.as_str().parse()) else {
            return;
        };
        kept.void_soon(&*self.shared.clock, vec![url]).await;
    }

    /// What the requests so far say of the network, those of all who share it among them.
    pub fn connectivity(&self) -> &Connectivity {
        &self.shared.connectivity
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

fn check(settings: &ClientSettings, clock: &SharedClock) -> Result<(), Error> {
    if settings.connect.is_zero()
        || settings
            .limits
            .all()
            .iter()
            .any(|limits| limits.read.is_zero() || limits.total.is_zero())
    {
        return Err(Error::settings(
            "a limit of time is 0: nothing could be asked",
        ));
    }
    if settings.cache.is_some() && settings.tls.client.is_some() {
        return Err(Error::settings(
            "a client that shows a certificate gets answers that are for it alone, and keeps none: leave out `cache` or `tls.client`",
        ));
    }
    if settings.origins_max == 0 {
        return Err(Error::settings("`origins_max` is 0: nobody could be asked"));
    }
    let refused = |error: InvalidSettings| {
        Error::settings(format!("the settings of the client cannot work: {error}"))
    };
    // What cannot work is refused here, and not at the first request.
    Retry::new("http", settings.retry.clone(), clock.clone()).map_err(refused)?;
    mainstay_resilience::Breaker::new("http", settings.breaker.clone(), clock.clone())
        .map_err(refused)?;
    mainstay_resilience::Bulkhead::new("http", settings.bulkhead, clock.clone())
        .map_err(refused)?;
    mainstay_resilience::RateLimiter::new("http", settings.limit, clock.clone())
        .map_err(refused)?;
    if let Some(adaptive) = settings.adaptive {
        AdaptiveLimit::new("http", adaptive, clock.clone()).map_err(refused)?;
    }
    if let Some(hedge) = settings.hedge {
        Hedge::new(hedge, clock.clone()).map_err(refused)?;
    }
    Ok(())
}

fn web(settings: &ClientSettings) -> Result<reqwest::ClientBuilder, Error> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(client_config(&settings.tls).map_err(Error::unusable)?)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .dns_resolver(Resolver)
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.connect)
        .pool_max_idle_per_host(settings.idle_connections)
        .pool_idle_timeout(settings.idle_for)
        .tcp_keepalive(Duration::from_mins(1))
        .http2_adaptive_window(true);
    for proxy in proxy::proxies(&settings.proxy)? {
        builder = builder.proxy(proxy);
    }
    Ok(builder)
}

fn unbuilt(error: reqwest::Error) -> Error {
    Error::new(
        ErrorKind::Settings,
        "the client cannot be set up; check `user_agent`, TLS and proxy",
    )
    .because(error.without_url())
}

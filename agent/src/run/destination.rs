//! From a destination's settings to the destination itself.

use crate::config::{self, Auth, Compress, Connection, Destination, Http, Kind};
use mainstay_clock::SharedClock;
use mainstay_deliver::{
    Certificates, ClientCertificate, Compression, Connectivity, Folder, FolderConfig, HttpConfig,
    Method, Proxy, Secret, SystemProxies, Tls,
};
use mainstay_paths::Environment;
use std::error::Error;
use std::sync::Arc;

/// Any destination, ready to be delivered to.
pub(crate) type AnyDestination = Arc<dyn mainstay_deliver::Destination>;

/// Why a destination cannot be made; no secret is in its words.
pub(crate) type CannotBuild = Box<dyn Error + Send + Sync>;

/// Makes the destination; nothing is sent, but its address, certificates and secrets are checked. Those that are met go into
/// `certificates`, and what attempts meet of the network into `told`.
///
/// # Errors
/// A setting that cannot work, or a certificate or secret that cannot be read.
pub(crate) fn build(
    destination: &Destination,
    certificates: &Certificates,
    told: Option<&Arc<Connectivity>>,
    clock: &SharedClock,
) -> Result<AnyDestination, CannotBuild> {
    match &destination.kind {
        Kind::Http(http) => {
            let mut config = http_config(http, destination.concurrency)?;
            config.tls.certificates = certificates.clone();
            config.connectivity = told.cloned();
            Ok(Arc::new(mainstay_deliver::Http::new(
                &config,
                clock.clone(),
            )?))
        }
        Kind::Folder { path, name } => {
            let mut config = FolderConfig::new(path);
            if let Some(name) = name {
                name.clone_into(&mut config.name);
            }
            Ok(Arc::new(Folder::new(&config, clock.clone())?))
        }
    }
}

fn http_config(http: &Http, concurrency: u16) -> Result<HttpConfig, CannotBuild> {
    let mut config = HttpConfig::new(&http.url);
    config.method = if http.method == "PUT" {
        Method::Put
    } else {
        Method::Post
    };
    config.headers = http
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), Secret::new(value)))
        .collect();
    config.auth = http
        .auth
        .as_ref()
        .map_or(Ok(mainstay_deliver::Auth::None), auth)?;
    config.compression = match http.compress {
        Compress::None => Compression::None,
        Compress::Gzip => Compression::Gzip,
        Compress::Zstd => Compression::Zstd,
    };
    config.if_none_match = http.if_none_match;
    (config.tls, config.proxy) = reached(&http.connection)?;
    config.timeout = http.timeout;
    // Each delivery that is under way can keep its connection.
    config.idle_connections = usize::from(concurrency);
    Ok(config)
}

/// Whom to trust, who we are, and the way: the same for whatever asks another machine. Secrets are read.
///
/// # Errors
/// A secret that cannot be read; files are read by whoever gets this.
pub(crate) fn reached(connection: &Connection) -> Result<(Tls, Proxy), CannotBuild> {
    let Connection { ca, client, .. } = connection;
    let client = client.clone();
    let tls = Tls {
        // Whoever names an authority means this one and no other.
        system_authorities: ca.is_none(),
        authorities: ca.iter().cloned().collect(),
        client: client.map(|(certificate, key)| ClientCertificate { certificate, key }),
        ..Tls::default()
    };
    let found = connection.proxy.as_ref().map(proxy).transpose()?;
    Ok((tls, found.unwrap_or_default()))
}

fn proxy(proxy: &config::Proxy) -> Result<Proxy, CannotBuild> {
    let config::Proxy::Manual {
        url,
        credentials,
        bypass,
    } = proxy
    else {
        return Ok(Proxy::System(system_proxies()));
    };
    let credentials = credentials
        .as_ref()
        .map(|(user, password)| Ok::<_, CannotBuild>((user.clone(), password.fetch()?)));
    Ok(Proxy::Manual {
        url: url.clone(),
        credentials: credentials.transpose()?,
        bypass: bypass.clone(),
    })
}

/// The variables that other programs heed, too; those in small letters count first, as with curl.
fn system_proxies() -> SystemProxies {
    let environment = Environment::from_process();
    let value = |name: &str| {
        [name.to_ascii_lowercase(), name.to_owned()]
            .iter()
            .find_map(|name| environment.secret_from_env(name))
    };
    SystemProxies {
        http: value("HTTP_PROXY").map(Secret::new),
        https: value("HTTPS_PROXY").map(Secret::new),
        all: value("ALL_PROXY").map(Secret::new),
        bypass: value("NO_PROXY"),
    }
}

fn auth(auth: &Auth) -> Result<mainstay_deliver::Auth, CannotBuild> {
    Ok(match auth {
        Auth::Bearer(token) => mainstay_deliver::Auth::Bearer(token.fetch()?),
        Auth::Basic { user, password } => mainstay_deliver::Auth::Basic {
            user: user.clone(),
            password: password.fetch()?,
        },
        Auth::ApiKey { header, key } => mainstay_deliver::Auth::ApiKey {
            header: header.clone(),
            key: key.fetch()?,
        },
    })
}

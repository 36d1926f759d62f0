//! The way there.

use crate::secret::Secret;

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
        /// `http://host:port` (CONNECT for `https`, forwarding for `http`) or `socks5://host:port` (names are resolved by the
        /// proxy).
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
    /// For `http` destinations.
    pub http: Option<Secret>,
    /// For `https` destinations.
    pub https: Option<Secret>,
    /// For both, where there is none of their own.
    pub all: Option<Secret>,
    /// Hosts that are reached without it, separated by commas.
    pub bypass: Option<String>,
}

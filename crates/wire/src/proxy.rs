//! The way there.

use crate::secret::Secret;
use crate::shown::excerpt;
use std::fmt;

/// Whether to go through a proxy.
#[derive(Clone, Default)]
pub enum Proxy {
    /// Straight to the server, whatever the environment says.
    #[default]
    None,
    /// What the system says, by the variables of its environment alone: the settings of a desktop, a configuration script (PAC) or its
    /// discovery (WPAD) are not asked. The caller reads them, since this crate reads no environment.
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

/// Without what may be secret in the address, which may be anything: whether it is one is found out later.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::System(system) => f.debug_tuple("System").field(system).finish(),
            Self::Manual {
                url,
                credentials,
                bypass,
            } => f
                .debug_struct("Manual")
                .field("url", &place(url))
                .field("credentials", credentials)
                .field("bypass", bypass)
                .finish(),
        }
    }
}

/// Scheme, host and port; nothing of an address with a user in it, whose password may look like anything.
fn place(url: &str) -> String {
    /// Longer than any name of a host.
    const PLACE_MAX: usize = 300;
    if url.contains('@') {
        return "…".to_owned();
    }
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(start);
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    excerpt(&format!("{scheme}{place}"), PLACE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_proxy_shows_no_secret() {
        for (url, shown) in [
            ("http://p:3128", "http://p:3128"),
            ("p:3128", "p:3128"),
            ("http://p:3128/a?s3cr3t", "http://p:3128"),
            ("http://ann:s3cr3t@p:3128", "…"),
            ("http://ann:s3/cr3t@p", "…"),
            ("ann:s3cr3t@p", "…"),
        ] {
            let proxy = Proxy::Manual {
                url: url.to_owned(),
                credentials: Some(("ann".to_owned(), Secret::new("s3cr3t"))),
                bypass: Vec::new(),
            };
            let said = format!("{proxy:?}");
            assert!(said.contains(&format!("url: {shown:?}")), "{said}");
            assert!(!said.contains("s3"), "{said}");
        }
    }
}

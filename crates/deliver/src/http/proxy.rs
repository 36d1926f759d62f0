//! Which way leads to the destination: straight, or through a proxy.

use super::headers::basic;
use crate::Error;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use mainstay_wire::{Proxy, Redactor, SystemProxies};
use std::fmt;

/// The way to one destination; it is known before the first request, since the host never changes.
pub(super) enum Way {
    /// No proxy.
    Straight,
    /// The proxy is asked for a tunnel (CONNECT), and cannot look into it.
    Tunnel {
        /// Where the proxy is.
        proxy: Uri,
        /// `Proxy-Authorization` for the request that asks for the tunnel.
        credentials: Option<HeaderValue>,
    },
    /// The proxy gets the request itself, as proxies expect it for plain `http`.
    Forward {
        /// Where the proxy is.
        proxy: Uri,
        /// `Proxy-Authorization` for every request.
        credentials: Option<HeaderValue>,
    },
    /// SOCKS version 5; names are resolved by the proxy.
    Socks {
        /// Where the proxy is.
        proxy: Uri,
        /// User and password.
        credentials: Option<(String, String)>,
    },
}

impl Way {
    /// # Errors
    /// An address that is none, a scheme that is not spoken, or a password where one would be printed.
    pub(super) fn find(
        setting: &Proxy,
        destination: &Uri,
        redactor: &mut Redactor,
    ) -> Result<Self, Error> {
        match setting {
            Proxy::None => Ok(Self::Straight),
            Proxy::System(system) => Self::by_system(system, destination, redactor),
            Proxy::Manual {
                url,
                credentials,
                bypass,
            } => {
                if url.contains('@') {
                    return Err(Error::setting(
                        "the address of the proxy holds a user or a password; set them as its credentials, from a secret",
                    ));
                }
                let matcher = Matcher::builder()
                    .all(url.as_str())
                    .no(bypass.join(","))
                    .build();
                refuse_unknown(url, &format!("`{url}` is no proxy that can be used"))?;
                let Some(found) = matcher.intercept(destination) else {
                    return Ok(Self::Straight);
                };
                let header = credentials
                    .as_ref()
                    .map(|(user, password)| basic(user, password.expose(), redactor));
                let pair = credentials
                    .as_ref()
                    .map(|(user, password)| (user.clone(), password.expose().to_owned()));
                Ok(Self::through(&found, destination, header, pair))
            }
        }
    }

    /// What to add to messages, so that a person looks at the proxy too.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Straight => String::new(),
            Self::Tunnel { proxy, .. }
            | Self::Forward { proxy, .. }
            | Self::Socks { proxy, .. } => {
                format!(
                    " through the proxy `{}`",
                    proxy.to_string().trim_end_matches('/')
                )
            }
        }
    }

    /// What every request to a forwarding proxy has to carry.
    pub(super) fn credentials_in_request(&self) -> Option<&HeaderValue> {
        match self {
            Self::Forward { credentials, .. } => credentials.as_ref(),
            _ => None,
        }
    }

    fn by_system(
        system: &SystemProxies,
        destination: &Uri,
        redactor: &mut Redactor,
    ) -> Result<Self, Error> {
        let value = |secret: &Option<crate::Secret>| {
            secret
                .as_ref()
                .map_or_else(String::new, |secret| secret.expose().to_owned())
        };
        let (http, https, all) = (
            value(&system.http),
            value(&system.https),
            value(&system.all),
        );
        for (name, value) in [("http", &http), ("https", &https), ("all", &all)] {
            // Not quoted: it may hold a password.
            refuse_unknown(
                value,
                &format!("the system's {name} proxy is none that can be used"),
            )?;
            redactor.add(value);
        }
        let bypass = system.bypass.clone().unwrap_or_default();
        let matcher = Matcher::builder()
            .all(all)
            .http(http)
            .https(https)
            .no(bypass)
            .build();
        let Some(found) = matcher.intercept(destination) else {
            return Ok(Self::Straight);
        };
        if let Some((_, password)) = found.raw_auth() {
            redactor.add(password);
        }
        let header = found.basic_auth().cloned();
        if let Some(encoded) = header.as_ref().and_then(|value| value.to_str().ok()) {
            redactor.add(encoded.trim_start_matches("Basic "));
        }
        let pair = found
            .raw_auth()
            .map(|(user, password)| (user.to_owned(), password.to_owned()));
        Ok(Self::through(&found, destination, header, pair))
    }

    fn through(
        found: &Intercept,
        destination: &Uri,
        header: Option<HeaderValue>,
        pair: Option<(String, String)>,
    ) -> Self {
        let proxy = found.uri().clone();
        if proxy.scheme_str() != Some("http") {
            Self::Socks {
                proxy,
                credentials: pair,
            }
        } else if destination.scheme_str() == Some("https") {
            Self::Tunnel {
                proxy,
                credentials: header,
            }
        } else {
            Self::Forward {
                proxy,
                credentials: header,
            }
        }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Way({})", self.shown().trim())
    }
}

/// An empty value is no proxy; everything else has to be one that we speak to.
fn refuse_unknown(url: &str, message: &str) -> Result<(), Error> {
    let any = Uri::from_static("http://any/");
    let scheme = |found: Intercept| found.uri().scheme_str().map(str::to_owned);
    let spoken = match Matcher::builder()
        .all(url)
        .build()
        .intercept(&any)
        .and_then(scheme)
        .as_deref()
    {
        Some("http" | "socks5" | "socks5h") => true,
        Some(_) => false,
        None => url.is_empty(),
    };
    if spoken {
        return Ok(());
    }
    Err(Error::setting(format!(
        "{message}; write it as http://host:port or socks5://host:port"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn manual(url: &str, bypass: &[&str], destination: &'static str) -> Result<Way, Error> {
        let setting = Proxy::Manual {
            url: url.into(),
            credentials: Some(("ann".into(), Secret::new("s3cr3t"))),
            bypass: bypass.iter().map(ToString::to_string).collect(),
        };
        Way::find(
            &setting,
            &Uri::from_static(destination),
            &mut Redactor::default(),
        )
    }

    #[test]
    fn a_proxy_is_asked_for_a_tunnel_to_https_and_given_the_request_for_http() {
        assert!(matches!(
            manual("http://p:3128", &[], "https://h/").unwrap(),
            Way::Tunnel {
                credentials: Some(_),
                ..
            }
        ));
        assert!(matches!(
            manual("http://p:3128", &[], "http://h/").unwrap(),
            Way::Forward {
                credentials: Some(_),
                ..
            }
        ));
        assert!(matches!(
            manual("socks5://p:1080", &[], "http://h/").unwrap(),
            Way::Socks {
                credentials: Some(_),
                ..
            }
        ));
    }

    #[test]
    fn what_is_to_be_bypassed_is() {
        for (bypass, destination) in [
            ("h", "http://h/"),
            ("example.com", "https://a.example.com/"),
            ("10.0.0.0/8", "http://10.1.2.3/"),
            ("*", "http://x/"),
        ] {
            let way = manual("http://p:3128", &["other", bypass], destination).unwrap();
            assert!(matches!(way, Way::Straight), "{bypass} {destination}");
        }
        assert!(matches!(
            manual("http://p:3128", &["other"], "http://h/").unwrap(),
            Way::Forward { .. }
        ));
    }

    #[test]
    fn the_system_s_proxies_are_followed() {
        let system = Proxy::System(SystemProxies {
            https: Some(Secret::new("http://ann:s3cr3t@p:3128")),
            bypass: Some("localhost,.internal".into()),
            ..SystemProxies::default()
        });
        let mut redactor = Redactor::default();
        let mut find = |destination| {
            Way::find(&system, &Uri::from_static(destination), &mut redactor).unwrap()
        };
        let way = find("https://h/");
        assert!(
            matches!(&way, Way::Tunnel { credentials: Some(value), .. } if value == "Basic YW5uOnMzY3IzdA==")
        );
        assert!(!format!("{way:?}").contains("s3cr3t"));
        assert!(matches!(find("http://h/"), Way::Straight));
        assert!(matches!(find("https://x.internal/"), Way::Straight));
        assert_eq!(redactor.strike("YW5uOnMzY3IzdA=="), "[hidden]");
    }

    #[test]
    fn a_proxy_that_is_none_is_refused_without_repeating_a_password() {
        for url in [
            "https://p:3128",
            "socks4://p",
            "ftp://p",
            "not a proxy",
            "http://ann:s3cr3t@p",
        ] {
            let message = manual(url, &[], "http://h/").unwrap_err().to_string();
            assert!(!message.contains("s3cr3t"), "{message}");
        }
        let system = Proxy::System(SystemProxies {
            all: Some(Secret::new("https://ann:s3cr3t@p")),
            ..SystemProxies::default()
        });
        let message = Way::find(
            &system,
            &Uri::from_static("http://h/"),
            &mut Redactor::default(),
        )
        .unwrap_err()
        .to_string();
        assert!(
            message.contains("the system's all proxy") && !message.contains("s3cr3t"),
            "{message}"
        );
    }
}

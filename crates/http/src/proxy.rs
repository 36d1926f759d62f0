//! Which way leads out: straight, or through a proxy.

use crate::error::Error;
use mainstay_wire::{Proxy, Secret, SystemProxies};
use reqwest::{NoProxy, Url};

/// The proxies of a setting, in the order in which they are asked.
///
/// # Errors
///
/// An address that is none, a scheme that is not spoken, or a password where one would be printed.
pub(crate) fn proxies(setting: &Proxy) -> Result<Vec<reqwest::Proxy>, Error> {
    match setting {
        Proxy::None => Ok(Vec::new()),
        Proxy::System(system) => by_system(system),
        Proxy::Manual {
            url,
            credentials,
            bypass,
        } => {
            if bypasses_all(bypass.iter().map(String::as_str)) {
                return Ok(Vec::new());
            }
            if url.contains('@') {
                return Err(Error::settings(
                    "the address of the proxy holds a user or a password; set them as its credentials",
                ));
            }
            let mut address = parse(url, &format!("`{url}` is no proxy that can be used"))?;
            if let Some((user, password)) = credentials {
                identify(&mut address, user, password)?;
            }
            let proxy = reqwest::Proxy::all(address).map_err(unusable)?;
            Ok(vec![
                proxy.no_proxy(NoProxy::from_string(&bypass.join(","))),
            ])
        }
    }
}

fn by_system(system: &SystemProxies) -> Result<Vec<reqwest::Proxy>, Error> {
    let list = system.bypass.as_deref().unwrap_or_default();
    if bypasses_all(list.split(',')) {
        return Ok(Vec::new());
    }
    let bypass = || NoProxy::from_string(list);
    let mut proxies = Vec::new();
    let mut add = |value: &Option<Secret>, name: &str, of: fn(Url) -> reqwest::Result<_>| {
        let Some(value) = value.as_ref().map(Secret::expose).filter(|v| !v.is_empty()) else {
            return Ok(());
        };
        // Not quoted: it may hold a password.
        let address = parse(
            value,
            &format!("the system's {name} proxy is none that can be used"),
        )?;
        let proxy: reqwest::Proxy = of(address).map_err(unusable)?;
        proxies.push(proxy.no_proxy(bypass()));
        Ok(())
    };
    add(&system.http, "http", reqwest::Proxy::http)?;
    add(&system.https, "https", reqwest::Proxy::https)?;
    add(&system.all, "all", reqwest::Proxy::all)?;
    Ok(proxies)
}

/// Below, a `*` stands for all names, but for no address.
fn bypasses_all<'a>(mut entries: impl Iterator<Item = &'a str>) -> bool {
    entries.any(|entry| entry.trim() == "*")
}

fn identify(address: &mut Url, user: &str, password: &Secret) -> Result<(), Error> {
    let is_set =
        address.set_username(user).is_ok() && address.set_password(Some(password.expose())).is_ok();
    if is_set {
        return Ok(());
    }
    Err(Error::settings(
        "the credentials of the proxy cannot be sent to it; check its address",
    ))
}

/// A value without a scheme is that of an `http` proxy, as everywhere.
fn parse(value: &str, refusal: &str) -> Result<Url, Error> {
    let refuse = || {
        Error::settings(format!(
            "{refusal}; write it as http://host:port or socks5h://host:port"
        ))
    };
    let with_scheme = if value.contains("://") {
        value.to_owned()
    } else {
        format!("http://{value}")
    };
    let address = Url::parse(&with_scheme).map_err(|_| refuse())?;
    let is_spoken = matches!(address.scheme(), "http" | "socks5" | "socks5h");
    if is_spoken && address.has_host() {
        return Ok(address);
    }
    Err(refuse())
}

/// Without its own words: they may hold the address, and that a password.
fn unusable(_: reqwest::Error) -> Error {
    Error::settings("the proxy cannot be used; write it as http://host:port or socks5h://host:port")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manual(url: &str) -> Result<Vec<reqwest::Proxy>, Error> {
        proxies(&Proxy::Manual {
            url: url.into(),
            credentials: Some(("ann".into(), Secret::new("s3cr3t"))),
            bypass: vec!["localhost".into()],
        })
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
            let message = manual(url).unwrap_err().to_string();
            assert!(!message.contains("s3cr3t"), "{message}");
        }
        let system = SystemProxies {
            all: Some(Secret::new("https://ann:s3cr3t@p")),
            ..SystemProxies::default()
        };
        let message = proxies(&Proxy::System(system)).unwrap_err().to_string();
        assert!(message.starts_with("the system's all proxy is none"));
        assert!(!message.contains("s3cr3t"), "{message}");
    }

    #[test]
    fn the_system_s_proxies_are_taken_as_they_are_written_everywhere() {
        let system = SystemProxies {
            http: Some(Secret::new("p:3128")),
            https: Some(Secret::new("http://ann:s3cr3t@p:3128")),
            all: Some(Secret::new("")),
            bypass: Some("localhost,.internal".into()),
        };
        assert_eq!(proxies(&Proxy::System(system)).unwrap().len(), 2);
        assert_eq!(manual("socks5h://p:1080").unwrap().len(), 1);
        assert!(proxies(&Proxy::None).unwrap().is_empty());
    }
}

//! Under which address an answer lies, and which requests the cache keeps out of.

use crate::answer::Refusal;
use crate::directives::Directives;
use crate::settings::CacheSettings;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{Method, Uri};

/// The longest address that is stored: what servers take (8,000 octets, RFC 9110, 4.1) with some room.
pub(crate) const URL_MAX: usize = 8 * 1024;

/// Requests with one of these ask about a part of an answer, or compare it with what they have: they go to the server.
const PARTIAL: &[HeaderName] = &[
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

/// An address in the one spelling that the index knows.
///
/// Only what RFC 3986 calls the same everywhere is made the same: the case of scheme and host, the port that the scheme has
/// anyway, and an empty path. Two addresses that a server could tell apart stay two. A user in it is left out: who asks is no part
/// of what is asked for, and such a request is not answered anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) url: String,
    pub(crate) host: String,
}

impl Address {
    /// The address of a URL; none where it is no complete `http` or `https` one, or is too long.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme().filter(|scheme| is_http(scheme))?;
        let authority = uri.authority()?;
        if authority.host().is_empty() {
            return None;
        }
        let place = place(scheme, authority);
        let mut url = format!("{scheme}://{place}{}", uri.path());
        if let Some(query) = uri.query() {
            url.push('?');
            url.push_str(query);
        }
        let host = authority.host().to_ascii_lowercase();
        (url.len() <= URL_MAX).then_some(Self { url, host })
    }

    /// The address of a request that the cache may answer.
    pub(crate) fn of_request(request: &Parts, settings: &CacheSettings) -> Result<Self, Refusal> {
        if request.method != Method::GET && request.method != Method::HEAD {
            return Err(Refusal::Method);
        }
        if carries_credentials(request, settings) {
            return Err(Refusal::Credentials);
        }
        if Directives::of(&request.headers).has("no-store") {
            return Err(Refusal::Forbidden);
        }
        let address = Self::of(&request.uri).ok_or(Refusal::Address)?;
        if is_sent_elsewhere(request) {
            return Err(Refusal::Address);
        }
        Ok(address)
    }
}

/// Whether the request asks about a part of an answer, or compares it with one of its own.
pub(crate) fn asks_for_part(request: &Parts) -> bool {
    PARTIAL
        .iter()
        .any(|name| request.headers.contains_key(name))
}

fn is_http(scheme: &Scheme) -> bool {
    *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS
}

/// Host and port, without a port that goes without saying.
fn place(scheme: &Scheme, authority: &Authority) -> String {
    let host = authority.host().to_ascii_lowercase();
    let usual = if *scheme == Scheme::HTTP { 80 } else { 443 };
    match authority.port_u16().filter(|port| *port != usual) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// Whether the answer may be meant for this caller alone.
fn carries_credentials(request: &Parts, settings: &CacheSettings) -> bool {
    let in_headers = settings
        .credential_headers
        .iter()
        .any(|name| request.headers.contains_key(name));
    let is_marked = request.headers.values().any(HeaderValue::is_sensitive);
    let user = request.uri.authority();
    let in_authority = user.is_some_and(|user| user.as_str().contains('@'));
    let query = request.uri.query().unwrap_or_default();
    let in_query = query.split(['&', ';']).any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        let known = &settings.credential_parameters;
        known.iter().any(|known| known.eq_ignore_ascii_case(name))
    });
    in_headers || is_marked || in_authority || in_query
}

/// Whether `Host` names another server than the address does; the answer is then not that address's.
fn is_sent_elsewhere(request: &Parts) -> bool {
    let (Some(scheme), Some(authority)) = (request.uri.scheme(), request.uri.authority()) else {
        return true;
    };
    let meant = place(scheme, authority);
    request.headers.get_all(header::HOST).iter().any(|host| {
        Authority::try_from(host.as_bytes()).map_or(true, |host| place(scheme, &host) != meant)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Option<String> {
        Address::of(&text.parse().unwrap()).map(|address| address.url)
    }

    #[test]
    fn what_is_the_same_everywhere_is_one_address_and_nothing_else_is() {
        let plain = Some("http://example.org/".to_owned());
        for same in [
            "http://example.org",
            "HTTP://EXAMPLE.org:80/",
            "http://example.org:/",
            "http://a:b@example.org/",
        ] {
            assert_eq!(url(same), plain, "{same}");
        }
        for other in [
            "https://example.org/",
            "http://example.org:443/",
            "http://example.org/?",
            "http://example.org//",
            "http://example.org/%7Ea",
            "http://example.org/~a",
            "http://example.org/A",
        ] {
            assert_ne!(url(other), plain, "{other}");
        }
        assert_ne!(url("http://example.org/%7Ea"), url("http://example.org/~a"));
    }

    #[test]
    fn what_has_no_address_is_not_cached() {
        let long = format!("http://example.org/{}", "a".repeat(URL_MAX));
        for not in ["/path", "ftp://example.org/", "*", &long] {
            assert_eq!(url(not), None, "{not}");
        }
    }
}

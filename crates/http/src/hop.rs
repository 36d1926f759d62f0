//! One request as it is sent, and where a redirect leads it.
//!
//! Redirects are followed here and not below, because each of them has to pass the breaker and the limit of where it leads, and
//! because what goes along is a decision of ours: to another origin only what says how the answer should look.

use crate::error::{Error, ErrorKind};
use crate::shown;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use reqwest::Url;

/// By this header a server knows a request that it has seen before.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What goes along to another origin; never a value that is marked as sensitive.
const HARMLESS: [HeaderName; 9] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    USER_AGENT,
    RANGE,
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    IF_RANGE,
];

/// What speaks of a body.
const OF_THE_BODY: [HeaderName; 5] = [
    CONTENT_TYPE,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LOCATION,
];

/// One request as it is sent.
#[derive(Clone)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether no more than its origin may be shown.
    pub(crate) is_path_secret: bool,
}

impl Hop {
    /// Its address, as it may stand in a message.
    pub(crate) fn shown(&self) -> String {
        shown::address(&self.url, self.is_path_secret)
    }

    /// Whether it may be made more than once.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent() || self.headers.contains_key(IDEMPOTENCY_KEY)
    }

    /// Whether two of it may be under way at once, of which one may come late.
    pub(crate) fn may_be_copied(&self) -> bool {
        self.method.is_safe() || self.headers.contains_key(IDEMPOTENCY_KEY)
    }

    /// The request that a redirect leads to.
    ///
    /// # Errors
    ///
    /// No address, one that cannot be sent, one without TLS after one with it, one with a user in it, or one elsewhere that the body would go to.
    pub(crate) fn follow(mut self, code: u16, location: &HeaderValue) -> Result<Self, Error> {
        let from = self.shown();
        let refuse = |why: &str| {
            let message = format!("`{from}` redirects {why}");
            Err(Error::new(ErrorKind::Redirect, message))
        };
        // RFC 9110 has it in ASCII; servers send UTF-8.
        let Ok(location) = std::str::from_utf8(location.as_bytes()) else {
            return refuse("to what is no address");
        };
        let Ok(mut url) = self.url.join(location) else {
            return refuse("to what is no address");
        };
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return refuse("to what is neither http nor https");
        }
        if self.url.scheme() == "https" && url.scheme() == "http" {
            return refuse(
                "from https to http, where everybody could read along; ask for the http address itself, if it is meant",
            );
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("to an address with a user in it, which is not followed");
        }
        url.set_fragment(None);
        // The caller's own is the caller's fault, and says nothing of the server; this one is the server's.
        if url.as_str().parse::<Uri>().is_err() {
            return refuse("to what is too long for an address, or none for HTTP");
        }
        self.change_method(code);
        if shown::origin(&url) != shown::origin(&self.url) {
            if !self.body.is_empty() {
                let to = shown::origin(&url);
                return refuse(&format!(
                    "to `{to}`, which was not meant to get the body; send it there, if it is"
                ));
            }
            self.headers = harmless(&self.headers);
        }
        self.url = url;
        Ok(self)
    }

    /// RFC 9110, 15.4: 303 asks for the answer elsewhere, and so do 301 and 302 after a POST, by custom; all others repeat the
    /// request.
    fn change_method(&mut self, code: u16) {
        let is_post = self.method == Method::POST;
        let becomes_get =
            (code == 303 && self.method != Method::HEAD) || (matches!(code, 301 | 302) && is_post);
        if becomes_get {
            self.method = Method::GET;
            self.body = Bytes::new();
            for name in OF_THE_BODY {
                self.headers.remove(name);
            }
            self.headers.remove(IDEMPOTENCY_KEY);
        }
    }
}

fn harmless(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, value)| HARMLESS.contains(name) && !value.is_sensitive())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{AUTHORIZATION, COOKIE};

    fn hop(method: Method, url: &str, body: &'static [u8]) -> Hop {
        let mut headers = HeaderMap::new();
        for name in [AUTHORIZATION, COOKIE, ACCEPT, RANGE, CONTENT_TYPE] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        headers.insert("x-api-key", HeaderValue::from_static("x"));
        let mut marked = HeaderValue::from_static("x");
        marked.set_sensitive(true);
        headers.insert(USER_AGENT, marked);
        Hop {
            method,
            url: Url::parse(url).unwrap(),
            headers,
            body: Bytes::from_static(body),
            is_path_secret: false,
        }
    }

    fn follow(hop: Hop, code: u16, location: &str) -> Result<Hop, String> {
        hop.follow(code, &HeaderValue::from_str(location).unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_method_changes_as_the_standard_has_it() {
        for (code, method, becomes) in [
            (301, Method::POST, Method::GET),
            (302, Method::POST, Method::GET),
            (303, Method::POST, Method::GET),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
            (301, Method::PUT, Method::PUT),
            (302, Method::DELETE, Method::DELETE),
            (307, Method::POST, Method::POST),
            (308, Method::PUT, Method::PUT),
        ] {
            let next = follow(hop(method.clone(), "http://h/a", b"body"), code, "/b").unwrap();
            assert_eq!(next.method, becomes, "{code} {method}");
            assert_eq!(next.body.is_empty(), becomes != method, "{code} {method}");
            assert_eq!(
                next.headers.contains_key(CONTENT_TYPE),
                becomes == method,
                "{code} {method}"
            );
            assert_eq!(next.url.as_str(), "http://h/b");
            assert!(next.headers.contains_key(AUTHORIZATION), "the same origin");
        }
    }

    #[test]
    fn to_another_origin_only_what_is_harmless_goes_along() {
        for other in [
            "http://h:81/",
            "http://other/",
            "https://h/",
            "//h.example/",
            "http://a.h/",
        ] {
            let next = follow(hop(Method::GET, "http://h/a", b""), 302, other).unwrap();
            let names: Vec<&str> = next.headers.keys().map(HeaderName::as_str).collect();
            assert_eq!(names, ["accept", "range"], "{other}");
        }
    }

    #[test]
    fn what_is_not_followed_says_why() {
        for (location, why) in [
            ("ftp://h/", "neither http nor https"),
            ("file:///etc/passwd", "neither http nor https"),
            ("http://h/", "from https to http"),
            ("https://ann:s3cr3t@h/", "a user in it"),
            ("https://other/", "to get the body"),
            ("https://[", "no address"),
            (&"x".repeat(70_000), "too long"),
        ] {
            let refused = follow(hop(Method::PUT, "https://h/a", b"body"), 307, location);
            let said = refused.err().unwrap();
            assert!(said.contains(why) && !said.contains("s3cr3t"), "{said}");
        }
    }
}

//! The headers of an answer: which are kept, how they lie in the index, and how a confirmation changes them.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Headers that belong to one connection (RFC 9110, 7.6.1; RFC 9111, 3.1).
const OF_CONNECTION: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that belong to the body, which a confirmation does not bring anew (RFC 9111, 3.2).
const OF_BODY: &[HeaderName] = &[
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
];

/// The headers that are kept of an answer.
pub(crate) fn kept(headers: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(headers);
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let is_of_connection = OF_CONNECTION.contains(&name.as_str())
            || named.iter().any(|other| other == name.as_str());
        if !is_of_connection {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// What is stored, with everything that the answer 304 says in the place of what was said before.
pub(crate) fn confirmed(stored: &HeaderMap, said: &HeaderMap) -> HeaderMap {
    let said = kept(said);
    let replaces = |name: &HeaderName| said.contains_key(name) && !OF_BODY.contains(name);
    let mut merged = HeaderMap::with_capacity(stored.len() + said.len());
    for (name, value) in stored.iter().filter(|(name, _)| !replaces(name)) {
        merged.append(name.clone(), value.clone());
    }
    for (name, value) in said.iter().filter(|(name, _)| !OF_BODY.contains(name)) {
        merged.append(name.clone(), value.clone());
    }
    // What the caches on the way counted before, and when it was made, say nothing about a new confirmation.
    for name in [header::AGE, header::DATE] {
        if !said.contains_key(&name) {
            merged.remove(name);
        }
    }
    merged
}

/// Names and values as HTTP/1.1 writes them, which no value can break: it holds no line end.
pub(crate) fn encode(headers: &HeaderMap) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(headers.len() * 40);
    for (name, value) in headers {
        encoded.extend_from_slice(name.as_str().as_bytes());
        encoded.push(b':');
        encoded.extend_from_slice(value.as_bytes());
        encoded.push(b'\n');
    }
    encoded
}

/// The headers that [`encode`] wrote; none where it did not.
pub(crate) fn decode(encoded: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in encoded.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n")?;
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_bytes(value).ok()?;
        headers.try_append(name, value).ok()?;
    }
    Some(headers)
}

fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION);
    let mut names = Vec::new();
    for value in values {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        names.extend(text.split(',').map(|name| name.trim().to_owned()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn headers_come_back_as_they_were_with_all_their_values() {
        let mut headers = of(&[
            ("link", "<a>"),
            ("link", "<b>"),
            ("x-empty", ""),
            ("x-colon", "a: b"),
        ]);
        headers.append("x-raw", HeaderValue::from_bytes(b"\xe9\t\xff").unwrap());
        assert_eq!(decode(&encode(&headers)), Some(headers));
        assert_eq!(decode(b""), Some(HeaderMap::new()));
        for broken in [&b"a"[..], b"a:b", b"\xff:b\n", b"a:b\0\n", b"a\n"] {
            assert_eq!(decode(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn headers_of_the_connection_are_not_kept() {
        let headers = of(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("etag", "\"1\""),
        ]);
        assert_eq!(kept(&headers), of(&[("etag", "\"1\"")]));
    }

    #[test]
    fn a_confirmation_replaces_what_it_says_and_nothing_about_the_body() {
        let stored = of(&[
            ("link", "<a>"),
            ("link", "<b>"),
            ("content-length", "3"),
            ("age", "9"),
            ("x-old", "1"),
        ]);
        let said = of(&[("link", "<c>"), ("content-length", "0"), ("x-new", "2")]);
        let expected = of(&[
            ("content-length", "3"),
            ("x-old", "1"),
            ("link", "<c>"),
            ("x-new", "2"),
        ]);
        assert_eq!(confirmed(&stored, &said), expected);
    }
}

//! What `Cache-Control` says.

use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, PRAGMA};
use std::time::Duration;

/// The greatest number of seconds that is believed (RFC 9111, 1.2.2): 68 years, which no sum of two overflows.
pub(crate) const SECONDS_MAX: u64 = 1 << 31;

/// The directives that decide about storing and freshness; others are not kept.
const FLAGS: &[&str] = &[
    "no-store",
    "private",
    "no-cache",
    "public",
    "must-revalidate",
    "proxy-revalidate",
];

/// The directives of a request or an answer, read so that a doubt never makes more cacheable than was meant.
///
/// Names count in either case, `;` separates as `,` does (servers write it), quoting hides nothing, and bytes that are no text
/// spoil only the directive that they are in. Of a number that is given twice the smaller counts, and one that cannot be read
/// is zero; where more is more careful, it is the other way round.
#[derive(Debug, Default)]
pub(crate) struct Directives {
    all: Vec<(String, String)>,
}

impl Directives {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut all = Vec::new();
        for value in headers.get_all(CACHE_CONTROL) {
            let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            for part in text.split([',', ';']) {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                let unquoted = |text: &str| text.trim_matches([' ', '\t', '"']).to_owned();
                all.push((unquoted(name), unquoted(value)));
            }
        }
        for value in headers.get_all(PRAGMA) {
            let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            if text.contains("no-cache") {
                all.push(("no-cache".to_owned(), String::new()));
            }
        }
        Self { all }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.all.iter().any(|(given, _)| given == name)
    }

    pub(crate) fn seconds(&self, name: &str) -> Option<Duration> {
        let given = self.all.iter().filter(|(given, _)| given == name);
        given.map(|(_, value)| seconds(value)).min()
    }

    /// What is asked for at least: the most of it, and more than there can be where it cannot be read.
    pub(crate) fn seconds_at_least(&self, name: &str) -> Option<Duration> {
        let given = self.all.iter().filter(|(given, _)| given == name);
        let read = given.map(|(_, value)| number(value).unwrap_or(u64::MAX));
        read.max().map(Duration::from_secs)
    }

    /// Whether a stale answer must not be served, whatever happens (RFC 9111, 4.2.4).
    pub(crate) fn forbid_stale(&self) -> bool {
        [
            "must-revalidate",
            "proxy-revalidate",
            "no-cache",
            "s-maxage",
        ]
        .iter()
        .any(|name| self.has(name))
    }

    /// The same in the one spelling that the rules of freshness know, with `lifetime` in the place of what it says of its own.
    pub(crate) fn plain(&self, lifetime: Option<Duration>) -> HeaderValue {
        let flags = FLAGS.iter().filter(|name| self.has(name));
        let mut parts: Vec<String> = flags.map(|name| (*name).to_owned()).collect();
        for name in ["max-age", "s-maxage"] {
            let given = self.seconds(name).filter(|_| lifetime.is_none());
            parts.extend(given.map(|given| format!("{name}={}", given.as_secs())));
        }
        parts.extend(lifetime.map(|lifetime| format!("max-age={}", lifetime.as_secs())));
        HeaderValue::from_str(&parts.join(", "))
            .expect("names from a list and digits are plain ASCII")
    }
}

/// A number of seconds; one that is too large is the greatest, anything else that is none is zero.
pub(crate) fn seconds(text: &str) -> Duration {
    Duration::from_secs(number(text).unwrap_or(0))
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(SECONDS_MAX).min(SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&[u8]]) -> Directives {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CACHE_CONTROL, HeaderValue::from_bytes(value).unwrap());
        }
        Directives::of(&headers)
    }

    #[test]
    fn a_directive_counts_however_it_is_spelt() {
        let spellings: [&[u8]; 7] = [
            b"No-Store",
            b"max-age=60; no-store",
            b"public, NO-STORE",
            b"x=\"a, no-store\"",
            b"\xff, no-store",
            b" no-store =1",
            b"\"no-store\"",
        ];
        for value in spellings {
            assert!(of(&[value]).has("no-store"), "{value:?}");
        }
        assert!(of(&[b"public", b"private"]).has("private"));
        assert!(!of(&[b"x-no-store"]).has("no-store"));
    }

    #[test]
    fn a_number_in_doubt_is_the_smaller_one() {
        let seconds = |values: &[&[u8]]| of(values).seconds("max-age").map(|age| age.as_secs());
        assert_eq!(seconds(&[b"max-age=60"]), Some(60));
        assert_eq!(seconds(&[b"max-age=60, max-age=30"]), Some(30));
        assert_eq!(seconds(&[b"max-age=\"60\""]), Some(60));
        for broken in ["max-age=-1", "max-age=soon", "max-age", "max-age=1.5"] {
            assert_eq!(seconds(&[broken.as_bytes()]), Some(0), "{broken}");
        }
        assert_eq!(
            seconds(&[b"max-age=99999999999999999999999"]),
            Some(SECONDS_MAX)
        );
        assert_eq!(seconds(&[b"public"]), None);
    }
}

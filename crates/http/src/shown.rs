//! Addresses and text of others, as they may stand in a message: no secret, and nothing that hides, moves or ends the line.

use reqwest::Url;

/// As many characters of an address are shown.
const URL_MAX: usize = 300;

/// An address without user information, values of the query, and fragment.
pub(crate) fn url(url: &Url) -> String {
    let mut shown = origin(url);
    shown.push_str(url.path());
    if url.query().is_some_and(|query| !query.is_empty()) {
        shown.push_str("?…");
    }
    excerpt(&shown, URL_MAX)
}

/// Scheme, host and port, which is always written: the name of what one breaker and one limit stand for.
pub(crate) fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or("");
    match url.port_or_known_default() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// At most `limit` characters of `text`; control and direction-changing characters are escaped.
pub(crate) fn excerpt(text: &str, limit: usize) -> String {
    let mut safe = String::new();
    for (count, character) in text.trim().chars().enumerate() {
        if count == limit {
            safe.push('…');
            break;
        }
        if character.is_control() || is_direction_mark(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Characters that reorder what stands around them, and so can make a line say something else.
fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret_in_it() {
        let full = Url::parse("https://ann:s3cr3t@h.example/a/b?token=s3cr3t#s3cr3t").unwrap();
        assert_eq!(url(&full), "https://h.example:443/a/b?…");
        assert_eq!(origin(&full), "https://h.example:443");
        let plain = Url::parse("http://[::1]:8080").unwrap();
        assert_eq!(url(&plain), "http://[::1]:8080/");
    }

    #[test]
    fn an_excerpt_is_short_and_harmless() {
        assert_eq!(excerpt("a\nb\u{202e}", 200), "a\\u{a}b\\u{202e}");
        assert_eq!(excerpt("abcdef", 3), "abc…");
    }
}

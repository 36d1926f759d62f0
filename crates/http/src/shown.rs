//! Addresses, as they may stand in a message: no secret, and nothing that hides, moves or ends the line.

use mainstay_wire::excerpt;
use reqwest::Url;
use std::fmt::Write;

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

/// The same, or no more than its origin where what follows is a secret too.
pub(crate) fn address(full: &Url, is_path_secret: bool) -> String {
    if is_path_secret {
        origin(full) + "/…"
    } else {
        url(full)
    }
}

/// Scheme, host and port, which is always written: the name of what one breaker and one limit stand for.
pub(crate) fn origin(url: &Url) -> String {
    let mut name = String::new();
    write_origin(url, &mut name);
    name
}

/// The same at the end of `name`, for whoever has room for it already.
pub(crate) fn write_origin(url: &Url, name: &mut String) {
    name.push_str(url.scheme());
    name.push_str("://");
    name.push_str(url.host_str().unwrap_or(""));
    if let Some(port) = url.port_or_known_default() {
        // Into memory nothing fails.
        write!(name, ":{port}").unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret_in_it() {
        let full = Url::parse("https://ann:s3cr3t@h.example/a/b?token=s3cr3t#s3cr3t").unwrap();
        assert_eq!(url(&full), "https://h.example:443/a/b?…");
        assert_eq!(origin(&full), "https://h.example:443");
        assert_eq!(address(&full, true), "https://h.example:443/…");
        let plain = Url::parse("http://[::1]:8080").unwrap();
        assert_eq!(url(&plain), "http://[::1]:8080/");
    }
}

//! The address that is asked, with places for what a document says.

use crate::error::InvalidSettings;
use crate::place::Place;
use std::fmt;

/// An address with placeholders: `https://metadata.lab/tracks?artist={Artist}&title={Name}`.
///
/// What a document says stands in the path or in the query, never in the name of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    pieces: Vec<Piece>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Place),
}

/// Why an address cannot be made of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfilled {
    /// It does not say what the address needs.
    Missing,
    /// It says a name of a folder that would lead out of the path.
    Dots,
}

impl UrlTemplate {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// An address that is not `http` or `https`, a brace without its partner, a placeholder before the path.
    pub fn parse(text: &str) -> Result<Self, InvalidSettings> {
        let refused =
            |why: &str| InvalidSettings::new(format!("the address `{}` {why}", shown(text)));
        let lower = text.to_ascii_lowercase();
        let Some(start) = ["http://", "https://"]
            .iter()
            .find(|start| lower.starts_with(**start))
        else {
            return Err(refused("begins neither with `http://` nor with `https://`"));
        };
        let server = text.get(start.len()..).unwrap_or_default();
        let server = server.split(['/', '?']).next().unwrap_or_default();
        if server.is_empty() {
            return Err(refused("names no server"));
        }
        if server.contains(['{', '}', '@', '#']) {
            return Err(refused(
                "has a placeholder or a user in the name of the server, which no document may choose; a password belongs into `headers`",
            ));
        }
        if text.contains('#') {
            return Err(refused("has a `#`; what follows it is never sent"));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            let field = from
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'));
            let Some((name, after)) = field else {
                return Err(refused("has a brace without its partner"));
            };
            let place: Place = name.parse()?;
            if place.steps.is_empty() || place.is_plural() {
                return Err(refused("has a placeholder that names no single field"));
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Field(place));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self {
            pieces,
            text: text.to_owned(),
        })
    }

    /// The address for what `field` says; every sign that means something in an address is escaped.
    pub(crate) fn fill(
        &self,
        mut field: impl FnMut(&Place) -> Option<String>,
    ) -> Result<String, Unfilled> {
        let mut url = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => url.push_str(text),
                Piece::Field(place) => {
                    let value = field(place).filter(|value| !value.is_empty());
                    escape(&value.ok_or(Unfilled::Missing)?, &mut url);
                }
            }
        }
        // Escaping them would not help: servers and libraries take `%2E%2E` for the folder above, too.
        let path = url.split('?').next().unwrap_or_default();
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(Unfilled::Dots);
        }
        Ok(url)
    }
}

/// As it was written; what stands in the query is left to whoever configured it.
impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Without what may be a password before an `@`.
fn shown(text: &str) -> String {
    match text.split_once('@') {
        Some((_, after)) => format!("…@{after}"),
        None => text.to_owned(),
    }
}

/// Everything but what RFC 3986 calls unreserved.
fn escape(value: &str, to: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(byte as char);
        } else {
            to.push('%');
            to.push(HEX[usize::from(byte >> 4)] as char);
            to.push(HEX[usize::from(byte & 15)] as char);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, value: &str) -> Result<String, Unfilled> {
        UrlTemplate::parse(template)
            .unwrap()
            .fill(|_| Some(value.to_owned()))
    }

    #[test]
    fn what_a_document_says_stays_what_it_is_in_an_address() {
        assert_eq!(
            filled("http://h/{a}/b?c={d}", "AC/DC & ü?#%").unwrap(),
            "http://h/AC%2FDC%20%26%20%C3%BC%3F%23%25/b?c=AC%2FDC%20%26%20%C3%BC%3F%23%25"
        );
        assert_eq!(filled("http://h/?c={d}", "..").unwrap(), "http://h/?c=..");
        assert_eq!(filled("http://h/v{d}", "..").unwrap(), "http://h/v..");
    }

    #[test]
    fn no_document_leads_out_of_the_path() {
        for template in ["http://h/a/{d}", "http://h/a/{d}/b", "http://h/{d}?x=1"] {
            assert_eq!(filled(template, ".."), Err(Unfilled::Dots), "{template}");
            assert_eq!(filled(template, "."), Err(Unfilled::Dots), "{template}");
            assert!(filled(template, "...").is_ok());
        }
        assert_eq!(filled("http://h/{d}{d}", "."), Err(Unfilled::Dots));
        assert_eq!(filled("http://h/{d}", ""), Err(Unfilled::Missing));
    }

    #[test]
    fn addresses_that_cannot_be_asked_are_refused() {
        for (text, why) in [
            ("ftp://h/{a}", "neither"),
            ("", "neither"),
            ("http://", "no server"),
            ("http:///x", "no server"),
            ("http://{a}/x", "no document may choose"),
            ("http://h{a}?x", "no document may choose"),
            ("http://u:s3cret@h/", "belongs into `headers`"),
            ("http://h/{a", "brace"),
            ("http://h/a}", "brace"),
            ("http://h/{}", "no single field"),
            ("http://h/{a/*}", "no single field"),
            ("http://h/#{a}", "never sent"),
        ] {
            let refused = UrlTemplate::parse(text).unwrap_err().to_string();
            assert!(refused.contains(why), "{text}: {refused}");
            assert!(!refused.contains("s3cret"), "{refused}");
        }
    }
}

//! The address that is asked, with places for what a document says.

use crate::error::InvalidSettings;
use crate::place::Place;
use mainstay_http::Url;
use std::fmt;

/// The longest address, in bytes: what a cache keeps, and more than the 8,000 that every server takes (RFC 9110, 4.1).
pub(crate) const URL_MAX: usize = 8 << 10;

/// An address with placeholders: `https://metadata.lab/tracks?artist={Artist}&title={Name}`.
///
/// What a document says stands in the path or in the query, never in the name of the server.
///
/// Shown, it is without the fixed part of its query, in which a token may stand.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    pieces: Vec<Piece>,
    shown: String,
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
    /// It says so much that no server would take the address.
    TooLong,
    /// What comes of it is none.
    NoAddress,
}

impl UrlTemplate {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// An address that is not `http` or `https`, or that no server can have; a brace without its partner, a placeholder before the
    /// path, a path that leads upwards, a sign that others read as another one.
    pub fn parse(text: &str) -> Result<Self, InvalidSettings> {
        let refused =
            |why: &str| InvalidSettings::new(format!("the address `{}` {why}", unread(text)));
        check_signs(text).map_err(refused)?;
        let pieces = pieces(text).map_err(refused)?;
        let template = Self {
            shown: shown(text),
            pieces,
        };
        // What every document says could not make it one that is asked.
        match template.fill(|_| Some("x".to_owned())) {
            Ok(_) => Ok(template),
            Err(Unfilled::Dots) => Err(refused(
                "has a `.` or `..` in its path; write where that leads",
            )),
            Err(Unfilled::TooLong) => Err(refused("is longer than any server takes")),
            Err(Unfilled::NoAddress | Unfilled::Missing) => Err(refused(
                "is none; write it as http://host/path, with a port from 0 to 65535 if any",
            )),
        }
    }

    /// What a document has to say for it.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Place> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Field(place) => Some(place),
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
                    let value = value.ok_or(Unfilled::Missing)?;
                    // Escaped it is no shorter.
                    if value.len() > URL_MAX {
                        return Err(Unfilled::TooLong);
                    }
                    escape(&value, &mut url);
                }
            }
            if url.len() > URL_MAX {
                return Err(Unfilled::TooLong);
            }
        }
        check_path(&url)?;
        Ok(url)
    }
}

/// Without what may be secret: of the query only what documents say.
impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Likewise.
impl fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UrlTemplate").field(&self.shown).finish()
    }
}

fn check_signs(text: &str) -> Result<(), &'static str> {
    let lower = text.to_ascii_lowercase();
    let start = ["http://", "https://"]
        .iter()
        .find(|start| lower.starts_with(**start))
        .ok_or("begins neither with `http://` nor with `https://`")?;
    if text.contains(|sign: char| sign == '\\' || sign.is_control()) {
        return Err("has a backslash or a control sign, which some read as a slash or not at all");
    }
    let server = text.get(start.len()..).unwrap_or_default();
    let server = server.split(['/', '?']).next().unwrap_or_default();
    if server.is_empty() {
        return Err("names no server");
    }
    if server.contains(['{', '}', '@', '#']) {
        return Err(
            "has a placeholder or a user in the name of the server, which no document may choose; a password belongs into `auth`",
        );
    }
    if text.contains('#') {
        return Err("has a `#`; what follows it is never sent");
    }
    if lower.contains("%2e") {
        return Err("has a `%2e`, which servers take for a dot; write `.`");
    }
    Ok(())
}

fn pieces(text: &str) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        let field = from
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'))
            .filter(|(name, _)| !name.contains('{'));
        let (name, after) = field.ok_or("has a brace without its partner")?;
        let none = "has a placeholder that names no single field, as `{a}` or `{a/b}` would";
        let place: Place = name.parse().map_err(|_| none)?;
        if place.steps.is_empty() || place.is_plural() {
            return Err(none);
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
    Ok(pieces)
}

/// That the path is the one that was written, step by step, also for whoever resolves it.
fn check_path(url: &str) -> Result<(), Unfilled> {
    let parsed = Url::parse(url).map_err(|_| Unfilled::NoAddress)?;
    let path = url.split('?').next().unwrap_or_default();
    // Scheme, nothing, server: what follows is the path.
    let written = path.split('/').skip(3);
    let read: Vec<&str> = parsed
        .path_segments()
        .map_or_else(Vec::new, Iterator::collect);
    // An address without a path has one all the same.
    if read == [""] && path.matches('/').count() == 2 {
        return Ok(());
    }
    // A step upwards takes two away, and a step on the spot leaves nothing where something stood.
    let is_same = written.clone().count() == read.len()
        && written
            .zip(&read)
            .all(|(written, read)| written.is_empty() == read.is_empty());
    if is_same { Ok(()) } else { Err(Unfilled::Dots) }
}

/// A template as people may see it: in the query stand tokens, so nothing of it is shown but what a document says.
fn shown(text: &str) -> String {
    let Some((path, query)) = text.split_once('?') else {
        return text.to_owned();
    };
    let mut parts: Vec<String> = query.split('&').map(shown_part).collect();
    parts.dedup_by(|part, before| part == "…" && before == "…");
    format!("{path}?{}", parts.join("&"))
}

/// `name={field}` as it is; of anything else the fields alone.
fn shown_part(part: &str) -> String {
    let Some((name, value)) = part
        .split_once('=')
        .filter(|(_, value)| value.contains('{'))
    else {
        return if part.is_empty() {
            String::new()
        } else {
            "…".to_owned()
        };
    };
    let name = if name.contains(['{', '}']) {
        "…"
    } else {
        name
    };
    let mut shown = format!("{name}=");
    let mut rest = value;
    while let Some((before, from)) = rest.split_once('{') {
        let (field, after) = from.split_once('}').unwrap_or((from, ""));
        shown.push_str(if before.is_empty() { "" } else { "…" });
        shown.extend(["{", field, "}"]);
        rest = after;
    }
    shown.push_str(if rest.is_empty() { "" } else { "…" });
    shown
}

/// What was not understood, without what may be a password before an `@` or behind a `?`.
fn unread(text: &str) -> String {
    if text.contains('@') {
        return "…".to_owned();
    }
    let shown = match text.split_once('?') {
        Some((path, _)) => format!("{path}?…"),
        None => text.to_owned(),
    };
    shown.escape_debug().to_string()
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
        assert_eq!(filled("http://h/.{d}/x", "."), Err(Unfilled::Dots));
        assert_eq!(filled("http://h/{d}", ""), Err(Unfilled::Missing));
        assert!(filled("http://h//a//{d}/", "x").is_ok());
        assert!(filled("http://h?a=/../{d}", "..").is_ok());
    }

    #[test]
    fn an_address_that_no_server_takes_is_not_made() {
        let long = "x".repeat(URL_MAX - "http://h/?a=".len());
        assert!(filled("http://h/?a={d}", &long).is_ok());
        for template in ["http://h/?a=b{d}", "http://h/?a={d}{d}", "http://h/{d}xx?a"] {
            assert_eq!(filled(template, &long), Err(Unfilled::TooLong));
        }
        let escaped = "ü".repeat(URL_MAX / 4);
        assert_eq!(filled("http://h/{d}", &escaped), Err(Unfilled::TooLong));
    }

    /// A token in the query stood in the status, in reasons and in `config show`.
    #[test]
    fn what_is_fixed_in_a_query_is_shown_nowhere() {
        for (text, expected) in [
            ("http://h/a?a={A}&key=s3cret", "http://h/a?a={A}&…"),
            (
                "http://h/?k=s3cret&t=s3cret&a={A}&s3cret",
                "http://h/?…&a={A}&…",
            ),
            (
                "http://h/?q=s3cret:{A}+{B/c}s3cret",
                "http://h/?q=…{A}…{B/c}…",
            ),
            ("http://h/{x}?{A}=s3cret", "http://h/{x}?…"),
            ("http://h/{x}", "http://h/{x}"),
            ("http://h/?", "http://h/?"),
        ] {
            let template = UrlTemplate::parse(text).unwrap();
            assert_eq!(template.to_string(), expected);
            assert!(!format!("{template:?}").contains("s3cret"));
            UrlTemplate::parse(expected).unwrap();
        }
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
            ("http://u:s3cret@h/", "belongs into `auth`"),
            ("http://u:s3?cret@h/", "is none"),
            ("http://h/?k=s3cret&a={", "brace"),
            ("http://h/?k=s3cret&a=}x@s3cret", "brace"),
            ("http://h/a\\..\\{a}", "backslash"),
            ("http://h\\@elsewhere/{a}", "backslash"),
            ("http://h/a\n/{a}", "control sign"),
            ("http://h/%2E%2e/{a}", "%2e"),
            ("http://h/a/../{a}", "`..`"),
            ("http://h/{a}/./b", "`..`"),
            ("http://h:99999/{a}", "port"),
            ("http://a b/{a}", "is none"),
            ("http://[::1/{a}", "is none"),
            ("http://h/{a", "brace"),
            ("http://h/a}", "brace"),
            ("http://h/{a/{b}", "brace"),
            ("http://h/{}", "no single field"),
            ("http://h/{a/*}", "no single field"),
            ("http://h/#{a}", "never sent"),
        ] {
            let refused = UrlTemplate::parse(text).unwrap_err().to_string();
            assert!(refused.contains(why), "{text}: {refused}");
            assert!(
                !refused.contains("s3") && !refused.contains("cret"),
                "{refused}"
            );
        }
    }
}

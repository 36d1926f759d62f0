//! The address of a destination: checked once, filled in for each document.

use crate::percent::encode;
use crate::template::{Place, Template};
use crate::{Error, Outgoing};
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use std::net::IpAddr;

/// An address with places for what a document is called.
#[derive(Debug, Clone)]
pub(super) struct Address {
    scheme: Scheme,
    authority: Authority,
    path_and_query: Template,
    shown: String,
}

impl Address {
    /// # Errors
    /// Not an `http` or `https` address, a password in it, a placeholder in the host, or a wrong placeholder.
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        // Nothing is quoted before it is known that the address holds no password.
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(Error::setting(
                "the address of the destination has no scheme; write it as http://host/path or https://host/path",
            ));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => {
                return Err(Error::setting(
                    "the address of the destination is neither http nor https; write it as http://host/path or https://host/path",
                ));
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, rest) = rest.split_at(end);
        if host.contains('@') {
            return Err(Error::setting(
                "the address of the destination holds a user or a password; set them as `auth`, from a secret",
            ));
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let path = rest.split_once('?').map_or(rest, |(path, _)| path);
        let shown = format!(
            "{scheme}://{host}{}",
            if path.is_empty() { "/" } else { path }
        );
        let authority = host.parse().ok().filter(has_valid_port).ok_or_else(|| {
            Error::setting(format!(
                "`{shown}` has no valid host and port; write it as {scheme}://host:port/path, the port only where it is not the usual one"
            ))
        })?;
        let rest = if rest.starts_with('/') {
            rest.to_owned()
        } else {
            format!("/{rest}")
        };
        let address = Self {
            scheme,
            authority,
            path_and_query: Template::parse(&rest).map_err(|_| wrong_places(&shown))?,
            shown,
        };
        address.try_out()?;
        Ok(address)
    }

    /// The address of this document. Its errors are about a document with a name of several thousand bytes.
    pub(super) fn of(&self, document: &Outgoing) -> Result<Uri, http::Error> {
        let id = document.id.to_string();
        self.uri(|place| {
            let text = match place {
                Place::Id => id.clone(),
                Place::Name => segment(&document.source, &id),
                Place::Route => segment(document.route.as_bytes(), &id),
            };
            text.into_bytes()
        })
    }

    /// Without query and user information, with its placeholders.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    pub(super) fn has(&self, place: Place) -> bool {
        self.path_and_query.has(place)
    }

    pub(super) fn host(&self) -> &str {
        self.authority.host()
    }

    /// Scheme, host and port, which is always written: what others call the host by.
    pub(super) fn origin(&self) -> String {
        let usual = if self.is_https() { 443 } else { 80 };
        let port = self.authority.port_u16().unwrap_or(usual);
        let host = self.host().to_ascii_lowercase();
        format!("{}://{host}:{port}", self.scheme)
    }

    /// The host as an address, where it is written as one.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        self.host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .ok()
    }

    /// The destination without a document, for what is decided by host and scheme alone.
    pub(super) fn root(&self) -> Uri {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(PathAndQuery::from_static("/"))
            .build()
            .expect("its parts were parsed one by one")
    }

    /// What follows the question mark, which may be a token; `None` where there is nothing.
    pub(super) fn query(url: &str) -> Option<&str> {
        url.split_once('?')
            .map(|(_, query)| query)
            .filter(|query| !query.is_empty())
    }

    fn try_out(&self) -> Result<(), Error> {
        let uri = self.uri(|_| b"x".to_vec()).map_err(|error| {
            Error::setting(format!(
                "`{}` is not a valid address; percent-encode what is special in it",
                self.shown
            ))
            .because(error)
        })?;
        if uri
            .path()
            .split('/')
            .any(|segment| segment == "." || segment == "..")
        {
            return Err(Error::setting(format!(
                "`{}` has `.` or `..` in its path; write the path without them",
                self.shown
            )));
        }
        Ok(())
    }

    fn uri(&self, value: impl FnMut(Place) -> Vec<u8>) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(self.path_and_query.fill(value))
            .build()
    }
}

/// A port that is no number from 1 to 65535 is read as no port at all by what comes later.
fn has_valid_port(authority: &Authority) -> bool {
    match authority.as_str().strip_prefix(authority.host()) {
        Some("") => true,
        _ => authority.port_u16().is_some_and(|port| port != 0),
    }
}

fn wrong_places(shown: &str) -> Error {
    Error::setting(format!(
        "`{shown}` has a wrong placeholder; known are {{id}}, {{name}} and {{route}}, in path and query"
    ))
}

/// One path segment. What a server would take for "this folder" or "the one above" is replaced by the id.
fn segment(bytes: &[u8], id: &str) -> String {
    match bytes {
        b"" | b"." | b".." => id.to_owned(),
        _ => encode(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Content;
    use mainstay_queue::DocumentId;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn document(source: &[u8]) -> Outgoing {
        Outgoing {
            id: ID.parse::<DocumentId>().unwrap(),
            route: "lab 1".into(),
            source: source.to_vec(),
            content_type: "text/plain".into(),
            headers: Vec::new(),
            hash: None,
            body: Content::Bytes(bytes::Bytes::new()),
        }
    }

    fn filled(url: &str, source: &[u8]) -> String {
        Address::parse(url)
            .unwrap()
            .of(&document(source))
            .unwrap()
            .to_string()
    }

    #[test]
    fn a_document_s_own_name_stands_where_it_is_wanted() {
        assert_eq!(filled("http://h:81/in", b"a"), "http://h:81/in");
        assert_eq!(filled("https://h", b"a"), "https://h/");
        assert_eq!(filled("http://h?x=1", b"a"), "http://h/?x=1");
        assert_eq!(
            filled("http://h/{route}/{name}?id={id}", b"a b"),
            format!("http://h/lab%201/a%20b?id={ID}")
        );
    }

    #[test]
    fn no_name_leads_out_of_its_path_segment() {
        assert_eq!(
            filled("http://h/dav/{name}", b"../x?y#z/\xff"),
            "http://h/dav/..%2Fx%3Fy%23z%2F%FF"
        );
        for dots in [&b""[..], b".", b".."] {
            assert_eq!(
                filled("http://h/dav/{name}", dots),
                format!("http://h/dav/{ID}")
            );
        }
    }

    #[test]
    fn what_is_shown_holds_no_query() {
        assert_eq!(
            Address::parse("https://h/a/{id}?token=s3cr3t#f")
                .unwrap()
                .shown(),
            "https://h/a/{id}"
        );
    }

    #[test]
    fn a_wrong_address_is_refused_without_repeating_a_secret() {
        for (url, part) in [
            ("example.com/in", "no scheme"),
            ("ftp://h/", "neither http nor https"),
            ("file:///etc/passwd", "neither http nor https"),
            ("https://ann:s3cr3t@h/", "`auth`"),
            ("https://{name}/", "no valid host"),
            ("https:///path", "no valid host"),
            ("https://h:99999/", "no valid host"),
            ("https://h:/", "no valid host"),
            ("https://h:0/", "no valid host"),
            ("https://h/{serial}?s3cr3t", "wrong placeholder"),
            ("https://h/{id?s3cr3t", "wrong placeholder"),
            ("https://h/a b?s3cr3t", "not a valid address"),
            ("https://h/a/../b", "without them"),
        ] {
            let message = match Address::parse(url) {
                Err(error) => error.to_string(),
                Ok(address) => panic!("`{url}` was taken as {address:?}"),
            };
            assert!(message.contains(part), "{url}: {message}");
            assert!(!message.contains("s3cr3t"), "{url}: {message}");
        }
    }

    #[test]
    fn a_host_is_called_by_what_leads_to_it() {
        let origin = |url: &str| Address::parse(url).unwrap().origin();
        assert_eq!(
            origin("http://Lab.example/in?key=x"),
            "http://lab.example:80"
        );
        assert_eq!(origin("https://lab.example/"), "https://lab.example:443");
        assert_eq!(origin("http://[::1]:8080/{id}"), "http://[::1]:8080");
    }

    #[test]
    fn a_literal_address_is_recognised() {
        assert_eq!(
            Address::parse("http://[::1]:80/").unwrap().literal(),
            "::1".parse().ok()
        );
        assert_eq!(
            Address::parse("http://10.0.0.1/").unwrap().literal(),
            "10.0.0.1".parse().ok()
        );
        assert_eq!(Address::parse("http://localhost/").unwrap().literal(), None);
    }
}

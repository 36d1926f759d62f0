//! What stands above the body: what the person wrote, what the document brings, and what we promise.

use super::config::{Auth, HttpConfig};
use crate::percent::encode;
use crate::{Error, Outgoing};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use mainstay_wire::Redactor;

/// The key under which a server knows a document again.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// RFC 9530: the hash of what follows, as it is on the wire.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The name that the producer gave the document, percent-encoded byte by byte.
const SOURCE: HeaderName = HeaderName::from_static("mainstay-source");
/// The route that it came by, percent-encoded.
const ROUTE: HeaderName = HeaderName::from_static("mainstay-route");

/// The station that it comes from, percent-encoded; the one header of ours that a document brings.
const STATION: HeaderName = HeaderName::from_static("mainstay-station");

/// What nobody but this crate may set, since the promises hang on it; everything that begins with `mainstay-` is ours too.
const OURS: [&str; 9] = [
    "idempotency-key",
    "content-digest",
    "content-encoding",
    "content-length",
    "if-none-match",
    "transfer-encoding",
    "host",
    "expect",
    "proxy-authorization",
];

/// What is about the connection, not about the document (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 6] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

/// What a document may not bring along, because it would speak in the station's name.
const NOT_FROM_A_DOCUMENT: [&str; 4] = ["authorization", "cookie", "content-type", "user-agent"];

/// A document brings at most this many bytes of headers; servers refuse a head above 8 to 16 KiB.
const FROM_A_DOCUMENT_MAX: usize = 4 * 1024;

/// The headers that every request to one destination begins with.
#[derive(Debug, Clone)]
pub(super) struct Fixed {
    map: HeaderMap,
}

impl Fixed {
    /// # Errors
    /// A name or a value that HTTP does not allow, a name that is ours, or two ways to say who we are.
    pub(super) fn check(config: &HttpConfig, redactor: &mut Redactor) -> Result<Self, Error> {
        let mut map = HeaderMap::new();
        map.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("mainstay/", env!("CARGO_PKG_VERSION"))),
        );
        for (name, value) in &config.headers {
            let name = parse_name(name)?;
            if is_ours(name.as_str()) || is_one_of(&HOP_BY_HOP, name.as_str()) {
                return Err(Error::setting(format!(
                    "the header `{name}` is set by the delivery itself; remove it from `headers`"
                )));
            }
            redactor.add(value.expose());
            map.insert(name.clone(), secret_value(name.as_str(), value.expose())?);
        }
        if let Some((name, value)) = authorization(&config.auth, redactor)? {
            if map.contains_key(&name) {
                return Err(Error::setting(format!(
                    "the header `{name}` is set by both `headers` and `auth`; remove one of them"
                )));
            }
            map.insert(name, value);
        }
        Ok(Self { map })
    }

    /// For a request that is about no document.
    pub(super) fn alone(&self) -> HeaderMap {
        self.map.clone()
    }

    /// All headers for one attempt, except those that depend on how the body is sent.
    pub(super) fn of(&self, document: &Outgoing) -> HeaderMap {
        let mut map = brought_along(document);
        map.insert(CONTENT_TYPE, content_type(document));
        for (name, value) in &self.map {
            map.insert(name, value.clone());
        }
        map.insert(IDEMPOTENCY_KEY, plain_value(&document.id.to_string()));
        if !document.source.is_empty() {
            map.insert(SOURCE, plain_value(&encode(&document.source)));
        }
        if !document.route.is_empty() {
            map.insert(ROUTE, plain_value(&encode(document.route.as_bytes())));
        }
        map
    }
}

/// `sha-256=:…:`, as RFC 9530 writes it.
pub(super) fn digest(hash: &[u8; 32]) -> HeaderValue {
    plain_value(&format!("sha-256=:{}:", BASE64_STANDARD.encode(hash)))
}

/// `Basic …`, for a server or a proxy.
pub(super) fn basic(user: &str, password: &str, redactor: &mut Redactor) -> HeaderValue {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    redactor.add(password);
    redactor.add(&encoded);
    let mut value = plain_value(&format!("Basic {encoded}"));
    value.set_sensitive(true);
    value
}

fn authorization(
    auth: &Auth,
    redactor: &mut Redactor,
) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
    Ok(Some(match auth {
        Auth::None => return Ok(None),
        Auth::Bearer(token) => {
            redactor.add(token.expose());
            (
                AUTHORIZATION,
                secret_value("authorization", &format!("Bearer {}", token.expose()))?,
            )
        }
        Auth::Basic { user, .. } if user.contains(':') => {
            return Err(Error::setting(
                "the user of basic authentication holds a colon, which cannot be sent; use another name",
            ));
        }
        Auth::Basic { user, password } => (AUTHORIZATION, basic(user, password.expose(), redactor)),
        Auth::ApiKey { header, key } => {
            let name = parse_name(header)?;
            if is_ours(name.as_str()) || is_one_of(&HOP_BY_HOP, name.as_str()) {
                return Err(Error::setting(format!(
                    "the header `{name}` is set by the delivery itself; the key needs another one"
                )));
            }
            redactor.add(key.expose());
            (name.clone(), secret_value(name.as_str(), key.expose())?)
        }
    }))
}

/// The document's own headers, without what it may not say; what is left out is no reason to hold the document back.
fn brought_along(document: &Outgoing) -> HeaderMap {
    let mut map = HeaderMap::new();
    let mut room = FROM_A_DOCUMENT_MAX;
    for (name, value) in &document.headers {
        let Ok(name) = HeaderName::try_from(name) else {
            continue;
        };
        let is_station = name == STATION;
        let value = if is_station {
            Ok(plain_value(&encode(value.as_bytes())))
        } else {
            HeaderValue::from_str(value)
        };
        let Ok(value) = value else {
            continue;
        };
        let forbidden = is_ours(name.as_str()) && !is_station
            || is_one_of(&HOP_BY_HOP, name.as_str())
            || is_one_of(&NOT_FROM_A_DOCUMENT, name.as_str());
        let size = name.as_str().len() + value.len();
        if !forbidden && size <= room {
            room -= size;
            map.insert(name, value);
        }
    }
    map
}

fn content_type(document: &Outgoing) -> HeaderValue {
    HeaderValue::from_str(&document.content_type)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

fn is_ours(name: &str) -> bool {
    is_one_of(&OURS, name) || name.starts_with("mainstay-")
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.contains(&name)
}

fn parse_name(name: &str) -> Result<HeaderName, Error> {
    name.parse().map_err(|_| {
        Error::setting(format!(
            "`{}` is not the name of a header; letters, digits and - are",
            mainstay_wire::excerpt(name, 80)
        ))
    })
}

fn secret_value(name: &str, value: &str) -> Result<HeaderValue, Error> {
    // The source of the error is left out: it could quote the value.
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Error::setting(format!("the value of the header `{name}` holds a character that cannot be sent, such as a line break"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn plain_value(ascii: &str) -> HeaderValue {
    HeaderValue::from_str(ascii).expect("it was encoded so that it is visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, Secret};
    use mainstay_queue::DocumentId;

    fn document() -> Outgoing {
        Outgoing {
            id: DocumentId::new(),
            route: "labör".into(),
            source: b"m\xfcll 1.json".to_vec(),
            content_type: "application/json".into(),
            headers: Vec::new(),
            hash: None,
            body: Content::Bytes(bytes::Bytes::new()),
        }
    }

    fn config() -> HttpConfig {
        HttpConfig::new("http://h/")
    }

    fn headers_of(document: &Outgoing, config: &HttpConfig) -> HeaderMap {
        Fixed::check(config, &mut Redactor::default())
            .unwrap()
            .of(document)
    }

    fn refusal(config: &HttpConfig) -> String {
        Fixed::check(config, &mut Redactor::default())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn every_request_names_its_document() {
        let document = document();
        let headers = headers_of(&document, &config());
        assert_eq!(headers[IDEMPOTENCY_KEY], document.id.to_string());
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        assert_eq!(headers[SOURCE], "m%FCll%201.json");
        assert_eq!(headers[ROUTE], "lab%C3%B6r");
    }

    #[test]
    fn a_document_cannot_speak_in_the_station_s_name() {
        let mut document = document();
        for name in [
            "Idempotency-Key",
            "Authorization",
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Mainstay-Route",
            "Cookie",
        ] {
            document.headers.push((name.into(), "forged".into()));
        }
        document.headers.push(("X-Serial".into(), "4711".into()));
        document
            .headers
            .push(("Mainstay-Station".into(), "Prüfplatz 4\r\nHost: x".into()));
        document.headers.push(("broken name".into(), "x".into()));
        document
            .headers
            .push(("X-Broken".into(), "a\r\nb: c".into()));
        document
            .headers
            .push(("X-Long".into(), "x".repeat(FROM_A_DOCUMENT_MAX)));
        let headers = headers_of(&document, &config());
        assert_eq!(headers["x-serial"], "4711");
        // But what its agent says of it arrives, whatever signs it has.
        assert_eq!(headers[STATION], "Pr%C3%BCfplatz%204%0D%0AHost%3A%20x");
        assert!(
            headers.values().all(|value| value != "forged"),
            "{headers:?}"
        );
        assert_eq!(headers.len(), 7, "{headers:?}");
    }

    #[test]
    fn what_the_person_wrote_stands_above_what_the_document_brings() {
        let mut document = document();
        document.headers.push(("X-Site".into(), "forged".into()));
        let mut config = config();
        config.headers = vec![
            ("X-Site".into(), Secret::new("hall 3")),
            ("content-type".into(), Secret::new("text/csv")),
        ];
        let headers = headers_of(&document, &config);
        assert_eq!(headers["x-site"], "hall 3");
        assert_eq!(headers[CONTENT_TYPE], "text/csv");
    }

    #[test]
    fn each_way_of_saying_who_we_are_is_written_as_its_standard_says() {
        let with = |auth| {
            let mut config = config();
            config.auth = auth;
            headers_of(&document(), &config)
        };
        assert_eq!(
            with(Auth::Bearer(Secret::new("t0k3n")))[AUTHORIZATION],
            "Bearer t0k3n"
        );
        let basic = with(Auth::Basic {
            user: "Aladdin".into(),
            password: Secret::new("open sesame"),
        });
        assert_eq!(basic[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(
            with(Auth::ApiKey {
                header: "X-API-Key".into(),
                key: Secret::new("k3y")
            })["x-api-key"],
            "k3y"
        );
    }

    #[test]
    fn an_impossible_header_is_refused_and_its_value_not_repeated() {
        let with = |name: &str, value: &str| {
            let mut config = config();
            config.headers = vec![(name.into(), Secret::new(value))];
            refusal(&config)
        };
        assert!(with("Content-Length", "5").contains("set by the delivery itself"));
        assert!(with("mainstay-source", "5").contains("set by the delivery itself"));
        assert!(with("Upgrade", "5").contains("set by the delivery itself"));
        assert!(with("bad name", "5").contains("not the name of a header"));
        let message = with("X-Token", "s3cr3t\r\nX-Evil: 1");
        assert!(
            message.contains("x-token") && !message.contains("s3cr3t"),
            "{message}"
        );
    }

    #[test]
    fn two_ways_of_saying_who_we_are_are_one_too_many() {
        let mut config = config();
        config.headers = vec![("Authorization".into(), Secret::new("Digest x"))];
        config.auth = Auth::Bearer(Secret::new("t0k3n"));
        assert!(refusal(&config).contains("both `headers` and `auth`"));
        config.headers.clear();
        config.auth = Auth::Basic {
            user: "a:b".into(),
            password: Secret::new("x"),
        };
        assert!(refusal(&config).contains("colon"));
    }

    #[test]
    fn no_secret_shows_in_the_headers_when_they_are_printed() {
        let mut config = config();
        config.headers = vec![("X-Site".into(), Secret::new("s3cr3t-1"))];
        config.auth = Auth::Basic {
            user: "ann".into(),
            password: Secret::new("s3cr3t-2"),
        };
        let fixed = Fixed::check(&config, &mut Redactor::default()).unwrap();
        let printed = format!("{config:?} {fixed:?} {:?}", fixed.of(&document()));
        assert!(
            !printed.contains("s3cr3t") && !printed.contains("YW5uOnMzY3IzdC0y"),
            "{printed}"
        );
    }

    #[test]
    fn the_digest_is_written_as_its_standard_says() {
        use sha2::{Digest, Sha256};
        let value = digest(&Sha256::digest(b"").into());
        assert_eq!(
            value,
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
        );
    }
}

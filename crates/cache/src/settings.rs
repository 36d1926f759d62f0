//! What a person may change about the cache.

use crate::address::Address;
use crate::error::Error;
use globset::{GlobBuilder, GlobMatcher};
use http::header::{self, HeaderName};
use std::time::Duration;

/// More rules than this are refused: each is looked at for every request.
const RULES_MAX: usize = 256;

/// A pattern that is longer is refused: compiled it takes some hundred times its length.
const PATTERN_MAX: usize = 1024;

/// Request headers by which servers tell callers apart.
const CREDENTIAL_HEADERS: &[&str] = &[
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth-token",
    "x-access-token",
    "private-token",
    "x-amz-security-token",
];

/// Parameters in an address that hold a secret.
const CREDENTIAL_PARAMETERS: &[&str] = &[
    "access_token",
    "api_key",
    "apikey",
    "auth_token",
    "client_secret",
    "password",
    "refresh_token",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-signature",
    "x-goog-signature",
];

/// What a cache keeps, and for how long. Zero is a value everywhere, never "the usual".
///
/// # Defaults
///
/// | field | value | why |
/// |---|---|---|
/// | `enabled` | yes | a cache that is off is never found |
/// | `limit_bytes` | 100 MiB | a week of lists and metadata of one machine; small beside any disk that holds documents |
/// | `entry_max` | 16 MiB | one answer takes no more than a sixth of the room, and is held in memory when it is served |
/// | `entries_max` | 50,000 | a file takes 4 KiB of disk whatever is in it: 200 MiB at most |
/// | `default_ttl` | 7 d | what says nothing seldom changes; one that says when it last changed gets a tenth of that time, and no more than this |
/// | `stale_if_error_max` | 1 d | a server that is down over a day needs a person, not an old answer |
/// | `stale_while_revalidate_max` | 60 s | who is answered from before a minute does not notice |
/// | `credential_headers` | `Authorization`, `Cookie`, `X-Api-Key` and the like | by these servers tell callers apart |
/// | `credential_parameters` | `access_token`, `api_key`, `signature` and the like | secrets in addresses, that would lie in the index |
/// | `rules` | none, 256 at most | the server knows best until a person does |
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// Whether anything is stored and answered; what is on the disk already stays there.
    pub enabled: bool,
    /// Bytes of all that is stored: bodies, headers and addresses.
    pub limit_bytes: u64,
    /// Bytes of one answer above which it is not stored.
    pub entry_max: u64,
    /// How many answers are stored at most.
    pub entries_max: u64,
    /// How long an answer is fresh that says nothing about it.
    pub default_ttl: Duration,
    /// How long after its end an answer may be served because the server fails; an answer may ask for less, not for more.
    pub stale_if_error_max: Duration,
    /// How long after its end an answer that allows it may be served while it is asked for again.
    pub stale_while_revalidate_max: Duration,
    /// Request headers that make an answer one caller's own: such a request is neither answered nor stored.
    pub credential_headers: Vec<HeaderName>,
    /// Names of parameters in an address that do the same, in either case.
    pub credential_parameters: Vec<String>,
    /// What holds for some hosts and addresses; of several that fit, the first counts.
    pub rules: Vec<Rule>,
}

/// What holds for some hosts or addresses.
///
/// A rule holds for what is stored already, too, from when the cache is opened with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A glob: of a host (`*.example.org`), or of an address where it has `://` in it (`https://example.org/api/*`).
    ///
    /// `*` stands for anything, `/` included, and `?` for any one character. Scheme and host fit in either case, and a port that
    /// goes without saying may be there or not.
    pub pattern: String,
    /// How long such an answer is fresh, whatever it says; zero means that it is asked for again each time.
    ///
    /// What has to be asked for again (`no-cache`), or must not be stored, stays so.
    pub ttl: Option<Duration>,
    /// Nothing of it is stored or answered.
    pub never: bool,
}

impl Default for CacheSettings {
    fn default() -> Self {
        let of_others = CREDENTIAL_HEADERS
            .iter()
            .map(|name| HeaderName::from_static(name));
        Self {
            enabled: true,
            limit_bytes: 100 * 1024 * 1024,
            entry_max: 16 * 1024 * 1024,
            entries_max: 50_000,
            default_ttl: Duration::from_hours(7 * 24),
            stale_if_error_max: Duration::from_hours(24),
            stale_while_revalidate_max: Duration::from_mins(1),
            credential_headers: [header::AUTHORIZATION, header::COOKIE]
                .into_iter()
                .chain(of_others)
                .collect(),
            credential_parameters: CREDENTIAL_PARAMETERS
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            rules: Vec::new(),
        }
    }
}

/// The rules, ready to be asked.
#[derive(Debug)]
pub(crate) struct Rules {
    rules: Vec<(GlobMatcher, Rule)>,
}

impl Rules {
    pub(crate) fn new(rules: &[Rule]) -> Result<Self, Error> {
        if rules.len() > RULES_MAX {
            let what = format!(
                "{} cache rules are too many, {RULES_MAX} at most",
                rules.len()
            );
            return Err(Error::invalid(&what, None));
        }
        let compiled = rules.iter().map(|rule| {
            let is_of_host = !rule.pattern.contains("://");
            let pattern = if is_of_host {
                rule.pattern.to_ascii_lowercase()
            } else {
                rule.pattern.clone()
            };
            Ok((glob(&pattern)?, rule.clone()))
        });
        Ok(Self {
            rules: compiled.collect::<Result<_, Error>>()?,
        })
    }

    /// The first rule that fits.
    pub(crate) fn of(&self, address: &Address) -> Option<&Rule> {
        let fits = |(matcher, rule): &&(GlobMatcher, Rule)| {
            let is_of_host = !rule.pattern.contains("://");
            matcher.is_match(if is_of_host {
                &address.host
            } else {
                &address.url
            })
        };
        self.rules.iter().find(fits).map(|(_, rule)| rule)
    }

    pub(crate) fn forbid(&self, address: &Address) -> bool {
        self.of(address).is_some_and(|rule| rule.never)
    }
}

/// A glob in which `*` crosses slashes.
pub(crate) fn glob(pattern: &str) -> Result<GlobMatcher, Error> {
    if pattern.is_empty() || pattern.len() > PATTERN_MAX {
        let what = format!(
            "a pattern has 1 to {PATTERN_MAX} bytes, this one {}",
            pattern.len()
        );
        return Err(Error::invalid(&what, None));
    }
    let glob = GlobBuilder::new(&as_addresses_are_spelt(pattern))
        .literal_separator(false)
        .build();
    let glob = glob.map_err(|error| {
        Error::invalid(
            &format!("`{pattern}` is no pattern, see the cause"),
            Some(Box::new(error)),
        )
    })?;
    Ok(glob.compile_matcher())
}

/// The pattern of an address in the one spelling that the index knows: scheme and host in lower case, no port that goes without
/// saying, and a path where nothing else can follow.
fn as_addresses_are_spelt(pattern: &str) -> String {
    let Some((scheme, rest)) = pattern.split_once("://") else {
        return pattern.to_owned();
    };
    let scheme = scheme.to_ascii_lowercase();
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let place = place.to_ascii_lowercase();
    let place = match scheme.as_str() {
        "http" => without_port(&place, ":80"),
        "https" => without_port(&place, ":443"),
        _ => place,
    };
    let is_complete = path.is_empty() && !place.contains(['*', '?', '[', '{', '/']);
    let root = if is_complete { "/" } else { "" };
    format!("{scheme}://{place}{root}{path}")
}

/// `host:443*` meant the port, and then anything; `host*` would be other hosts, too.
fn without_port(place: &str, usual: &str) -> String {
    if let Some(host) = place.strip_suffix(usual) {
        return host.to_owned();
    }
    let open = place
        .strip_suffix('*')
        .and_then(|place| place.strip_suffix(usual));
    open.map_or_else(|| place.to_owned(), |host| format!("{host}/*"))
}

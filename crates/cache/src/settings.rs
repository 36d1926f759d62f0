//! What a person may change about the cache.

use crate::address::Address;
use crate::error::Error;
use globset::{GlobBuilder, GlobMatcher};
use http::header::{self, HeaderName};
use std::net::Ipv6Addr;
use std::time::Duration;

/// More rules than this are refused: each is looked at for every request.
pub const RULES_MAX: usize = 256;

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

// === impl Rule ===

impl Rule {
    /// Refuses a pattern that is none, or that nothing which is ever asked for can fit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), with what to write instead.
    pub fn check(&self) -> Result<(), Error> {
        self.compiled()?;
        let Self { pattern, .. } = self;
        if self.can_fit() {
            return Ok(());
        }
        let what = if self.is_of_host() {
            format!(
                "`{pattern}` fits no host, which has no port and no path: write `example.org`, `*.example.org`, or a whole address such as `https://example.org/api/*`"
            )
        } else {
            format!(
                "`{pattern}` fits no address: write it as it is asked for, such as `https://example.org/api/*`, without a user and without what begins at `#`, and what is not ASCII as `%C3%BC`"
            )
        };
        Err(Error::invalid(&what, None))
    }

    /// Whether all that fits `later` fits this one, too, so that `later`, standing behind it, never counts.
    ///
    /// A `true` is certain. With `?`, `[…]` or `{…}` in this one, or with `[…]` or `{…}` in the other, `false` is said of what is
    /// not the same, as nobody looks further.
    pub fn covers(&self, later: &Self) -> bool {
        let pattern = later.spelt();
        if self.is_of_host() == later.is_of_host() && self.spelt() == pattern {
            return true;
        }
        let Ok(of_this) = self.compiled() else {
            return false;
        };
        // Of what has no other signs each star takes in a whole stretch, with the stars that are in it.
        if self.pattern.contains(['?', '[', '{', '\\']) || pattern.contains(['[', '{', '\\']) {
            return false;
        }
        match (self.is_of_host(), later.is_of_host()) {
            (true, true) | (false, false) => of_this.is_match(&pattern),
            (true, false) => {
                let (scheme, rest) = pattern.split_once("://").unwrap_or_default();
                let host = rest.split(['/', ':']).next().unwrap_or_default();
                // A star may go on into the path, and then the host is another one.
                let is_open = scheme.contains(['*', '?']) || host.contains(['*', '?']);
                self.pattern == "*" || (!is_open && of_this.is_match(host))
            }
            (false, true) => false,
        }
    }

    fn is_of_host(&self) -> bool {
        !self.pattern.contains("://")
    }

    /// The pattern in the spelling of what it is compared with.
    fn spelt(&self) -> String {
        if self.is_of_host() {
            // An address of IPv6 has its brackets in every address, whether they were written here or not.
            let host = self.pattern.to_ascii_lowercase();
            let bare = host.parse::<Ipv6Addr>();
            bare.map_or(host, |host| format!("[{host}]"))
        } else {
            as_addresses_are_spelt(&self.pattern)
        }
    }

    fn compiled(&self) -> Result<GlobMatcher, Error> {
        if self.is_of_host() {
            glob(&self.spelt())
        } else {
            glob(&self.pattern)
        }
    }

    /// Whether there is an address for it; a pattern with `[…]` or `{…}` in it is believed.
    fn can_fit(&self) -> bool {
        let pattern = self.spelt();
        if self.is_of_host()
            && let Some((_, port)) = ipv6(&pattern)
        {
            return port.is_empty();
        }
        // With `::` it is an address of IPv6, whose brackets a star stands for.
        if pattern.contains(['[', '{', '\\', '`']) || (self.is_of_host() && pattern.contains("::"))
        {
            return true;
        }
        // In the place of a star a digit may stand everywhere: in a host, in a port, in a path.
        let sample = |pattern: &str| pattern.replace(['*', '?'], "1");
        let is_asked = |url: &str| {
            let address = url.parse().ok().and_then(|url| Address::of(&url));
            url.is_ascii() && address.is_some_and(|address| address.url == url)
        };
        if self.is_of_host() {
            return is_asked(&format!("https://{}/", sample(&pattern)))
                && !pattern.contains(['/', ':']);
        }
        let (scheme, rest) = pattern.split_once("://").unwrap_or_default();
        let is_open = scheme.contains(['*', '?']);
        // The last star may stand for a path, too.
        let ends = if rest.ends_with('*') {
            &["", "/"][..]
        } else {
            &[""]
        };
        let known = ["http", "https"].into_iter();
        let mut samples = known
            .filter(|known| is_open || scheme == *known)
            .flat_map(|known| {
                ends.iter()
                    .map(move |end| format!("{known}://{}{end}", sample(rest)))
            });
        samples.any(|sample| is_asked(&sample))
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
            rule.check()?;
            Ok((rule.compiled()?, rule.clone()))
        });
        Ok(Self {
            rules: compiled.collect::<Result<_, Error>>()?,
        })
    }

    /// The first rule that fits.
    pub(crate) fn of(&self, address: &Address) -> Option<&Rule> {
        let fits = |(matcher, rule): &&(GlobMatcher, Rule)| {
            matcher.is_match(if rule.is_of_host() {
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
    let spelt = as_addresses_are_spelt(pattern);
    let glob = GlobBuilder::new(&with_brackets(&spelt))
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
    let place = ipv6(&place).map_or(place.clone(), |(host, port)| format!("[{host}]{port}"));
    let open = ipv6(&place).map_or(&*place, |(_, port)| port);
    let is_complete = path.is_empty() && !open.contains(['*', '?', '[', '{', '/']);
    let root = if is_complete { "/" } else { "" };
    format!("{scheme}://{place}{root}{path}")
}

/// The host of a place that is an address of IPv6, in its one spelling, and what follows it; in no name is a colon.
fn ipv6(place: &str) -> Option<(String, &str)> {
    let (host, port) = place.strip_prefix('[')?.split_once(']')?;
    let fits = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '*' | '?');
    if host.matches(':').count() < 2 || !host.chars().all(fits) {
        return None;
    }
    let known = host.parse::<Ipv6Addr>();
    Some((
        known.map_or_else(|_| host.to_owned(), |host| host.to_string()),
        port,
    ))
}

/// A pattern in which the brackets around an address of IPv6 stand for themselves, and for no class of signs.
fn with_brackets(pattern: &str) -> String {
    let start = pattern.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = pattern.split_at(start);
    match ipv6(rest) {
        Some((host, port)) => format!("{scheme}[[]{host}[]]{port}"),
        None => pattern.to_owned(),
    }
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

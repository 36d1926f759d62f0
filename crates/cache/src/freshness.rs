//! How long an answer holds, and what may be done with it afterwards.

use crate::directives::{Directives, seconds};
use crate::settings::{CacheSettings, Rule};
use http::header::{self, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use http_cache_semantics::{CacheOptions, CachePolicy};
use std::time::{Duration, SystemTime};

/// The last millisecond of the year 9999: the rules of freshness know no later date, and nor does HTTP.
const DATE_MAX_MS: u64 = 253_402_300_799_999;

/// An answer as the rules see it: by the standard, by what the settings say where it says nothing, and by a rule of a person.
#[derive(Debug)]
pub(crate) struct Freshness {
    policy: CachePolicy,
    said: Directives,
    lifetime: Duration,
    age_at_start: Duration,
    stored_at: u64,
}

/// What is known of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    /// When it came, or was confirmed, in milliseconds since 1970.
    pub(crate) stored_at: u64,
}

impl Freshness {
    pub(crate) fn of(known: Known<'_>, rule: Option<&Rule>, settings: &CacheSettings) -> Self {
        let said = Directives::of(known.headers);
        let of_rule = rule.and_then(|rule| rule.ttl);
        let mut policy = policy(known, &said, of_rule);
        let mut lifetime = policy.time_to_live(date(known.stored_at));
        if of_rule.is_none() && !says_lifetime(known.headers, &said) {
            // Where it says when it last changed, a tenth of that time (RFC 9111, 4.2.2).
            let is_dated = known.headers.contains_key(header::LAST_MODIFIED);
            if !is_dated || lifetime > settings.default_ttl {
                policy = self::policy(known, &said, Some(settings.default_ttl));
                lifetime = policy.time_to_live(date(known.stored_at));
            }
        }
        Self {
            policy,
            said,
            lifetime,
            age_at_start: age_at_start(known),
            stored_at: known.stored_at,
        }
    }

    /// Whether the standard allows an answer to be stored, before any lifetime is added to what it says.
    pub(crate) fn is_storable(known: Known<'_>) -> bool {
        let said = Directives::of(known.headers);
        policy(known, &said, None).is_storable()
    }

    /// Whether it tells its own lifetime.
    pub(crate) fn says_lifetime(headers: &HeaderMap) -> bool {
        says_lifetime(headers, &Directives::of(headers))
    }

    pub(crate) fn age(&self, now: u64) -> Duration {
        self.age_at_start.saturating_add(self.policy.age(date(now)))
    }

    /// When it ends, in milliseconds since 1970.
    pub(crate) fn ends_at(&self) -> u64 {
        let left = self.lifetime.saturating_sub(self.age_at_start);
        self.stored_at.saturating_add(left.as_millis() as u64)
    }

    /// Whether it may be served to `request` without asking anybody.
    ///
    /// What came later than now was stored under another date: nobody knows how old it is, so it is asked for again.
    pub(crate) fn is_fresh_for(&self, request: &HeaderMap, now: u64) -> bool {
        let wanted = Directives::of(request);
        let age = self.age(now);
        let is_fresh = !self.is_from_later(now) && age < self.lifetime;
        let is_young_enough = wanted.seconds("max-age").is_none_or(|max| age <= max);
        let left = self.lifetime.saturating_sub(age);
        let lasts = wanted
            .seconds_at_least("min-fresh")
            .is_none_or(|min| left >= min);
        is_fresh && is_young_enough && lasts && !wanted.has("no-cache")
    }

    /// Whether it may be served although it is over, while it is asked for again.
    pub(crate) fn may_serve_while_revalidating(
        &self,
        request: &HeaderMap,
        now: u64,
        settings: &CacheSettings,
    ) -> bool {
        let allowed = self.said.seconds("stale-while-revalidate");
        allowed.is_some_and(|allowed| {
            let window = allowed.min(settings.stale_while_revalidate_max);
            self.is_over_by_less_than(window, now) && !wants_news(request)
        })
    }

    /// Whether it may be served although it is over, because the server fails.
    pub(crate) fn may_serve_on_error(
        &self,
        request: &HeaderMap,
        now: u64,
        settings: &CacheSettings,
    ) -> bool {
        let longest = settings.stale_if_error_max;
        let asked = self.said.seconds("stale-if-error");
        let window = asked.map_or(longest, |asked| asked.min(longest));
        self.is_over_by_less_than(window, now) && !wants_news(request)
    }

    /// Whether it may be served although it is over, however long, because no network is wanted.
    pub(crate) fn may_serve_offline(&self) -> bool {
        !self.said.forbid_stale()
    }

    /// Whether it is over, and has to be asked for again before anything else.
    pub(crate) fn is_never_served_alone(&self) -> bool {
        self.lifetime <= self.age_at_start && self.said.forbid_stale()
    }

    fn is_over_by_less_than(&self, window: Duration, now: u64) -> bool {
        let over = self.age(now).saturating_sub(self.lifetime);
        // A window of zero is none, at the very moment of the end, too.
        let is_within = !window.is_zero() && over <= window;
        is_within && !self.said.forbid_stale() && !self.is_from_later(now)
    }

    fn is_from_later(&self, now: u64) -> bool {
        self.stored_at > now
    }
}

/// Whether whoever asks wants nothing that is over.
fn wants_news(request: &HeaderMap) -> bool {
    let wanted = Directives::of(request);
    ["no-cache", "max-age", "min-fresh"]
        .iter()
        .any(|name| wanted.has(name))
}

fn says_lifetime(headers: &HeaderMap, said: &Directives) -> bool {
    said.has("max-age") || said.has("s-maxage") || headers.contains_key(header::EXPIRES)
}

/// How old it was when it came (RFC 9111, 4.2.3): what caches on the way counted, or what its date says, whichever is more.
fn age_at_start(known: Known<'_>) -> Duration {
    let ages = known.headers.get_all(header::AGE).iter();
    let counted = ages.map(|age| age.to_str().map_or(Duration::ZERO, seconds));
    let made = known
        .headers
        .get(header::DATE)
        .and_then(|date| date.to_str().ok());
    let made = made.and_then(|date| httpdate::parse_http_date(date).ok());
    // A date that lies ahead is a clock that does.
    let apparent = made.and_then(|made| date(known.stored_at).duration_since(made).ok());
    let whole = Duration::from_secs(apparent.unwrap_or_default().as_secs());
    counted.max().unwrap_or_default().max(whole)
}

/// The rules of the standard, for what an answer says; with `lifetime` in the place of its own.
///
/// They are given only the headers that they need, each in the one spelling that they know: they take a directive in capitals
/// for an unknown one, and a great `Age` makes them overflow.
fn policy(known: Known<'_>, said: &Directives, lifetime: Option<Duration>) -> CachePolicy {
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, said.plain(lifetime));
    let dates = [header::DATE, header::EXPIRES, header::LAST_MODIFIED];
    for name in dates {
        let is_replaced = name == header::EXPIRES && lifetime.is_some();
        if let Some(value) = known.headers.get(&name).filter(|_| !is_replaced) {
            headers.insert(name, value.clone());
        }
    }
    let mut response = Response::new(());
    *response.status_mut() = known.status;
    *response.headers_mut() = headers;
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    let options = CacheOptions {
        shared: true,
        cache_heuristic: 0.1,
        immutable_min_time_to_live: Duration::ZERO,
        ignore_cargo_cult: false,
    };
    CachePolicy::new_options(&request, &response, date(known.stored_at), options)
}

fn date(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms.min(DATE_MAX_MS))
}

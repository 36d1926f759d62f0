//! What a server says of its own limits: when to come back, and how much is left.

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest wait a server can ask for. A wrong year in a header must not stop anybody for a year.
const WAIT_MAX: Duration = Duration::from_hours(1);

/// From this number on `X-RateLimit-Reset` is a date, in seconds since 1970: 2001 was before any of this.
const DATE_MIN: u64 = 1_000_000_000;

const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What a server says of its limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// `X-RateLimit-Remaining`.
    pub remaining: Option<u64>,
    /// `X-RateLimit-Reset`.
    pub reset_in: Option<Duration>,
}

impl Told {
    /// Dates are compared with the server's own `Date` where it sent one, since our clock may be years off; otherwise with
    /// `wall` (milliseconds since 1970), which is asked only then. What cannot be understood was not said.
    pub fn read(headers: &HeaderMap, wall: impl FnOnce() -> u64) -> Self {
        // Most say nothing, and what time it is does not matter then.
        let says = |name| headers.contains_key(name);
        if !says(RETRY_AFTER) && !says(REMAINING) && !says(RESET) {
            return Self::default();
        }
        let now = http_date(text(headers, &DATE))
            .unwrap_or_else(|| UNIX_EPOCH + Duration::from_millis(wall()));
        Self {
            retry_after: retry_after(headers, now),
            remaining: number(text(headers, &REMAINING)),
            reset_in: reset_in(headers, now),
        }
    }
}

fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let said = text(headers, &RETRY_AFTER);
    match number(said) {
        Some(seconds) => Some(Duration::from_secs(seconds).min(WAIT_MAX)),
        None => Some(until(http_date(said)?, now)),
    }
}

fn reset_in(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let number = number(text(headers, &RESET))?;
    if number < DATE_MIN {
        return Some(Duration::from_secs(number).min(WAIT_MAX));
    }
    Some(until(
        UNIX_EPOCH.checked_add(Duration::from_secs(number))?,
        now,
    ))
}

/// A date that has passed is no wait.
fn until(date: SystemTime, now: SystemTime) -> Duration {
    date.duration_since(now)
        .unwrap_or(Duration::ZERO)
        .min(WAIT_MAX)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// More digits than fit are a large number, not a mistake.
fn number(text: Option<&str>) -> Option<u64> {
    let text = text?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn http_date(text: Option<&str>) -> Option<SystemTime> {
    httpdate::parse_http_date(text?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    /// 2015-10-21 07:28:00 UTC.
    const WALL: u64 = 1_445_412_480_000;

    fn told(said: &[(&'static str, &str)]) -> Told {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            let name = HeaderName::from_static(name);
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        Told::read(&headers, || WALL)
    }

    fn after(text: &str) -> Option<u64> {
        let told = told(&[("retry-after", text)]);
        told.retry_after.map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_understood_in_seconds_and_as_a_date_and_capped_at_an_hour() {
        assert_eq!(after("0"), Some(0));
        assert_eq!(after(" 120 "), Some(120));
        assert_eq!(after("3601"), Some(3600));
        assert_eq!(after("99999999999999999999999999"), Some(3600));
        assert_eq!(after("Wed, 21 Oct 2015 07:29:30 GMT"), Some(90));
        assert_eq!(after("Wednesday, 21-Oct-15 07:29:30 GMT"), Some(90));
        assert_eq!(after("Wed Oct 21 07:29:30 2015"), Some(90));
        assert_eq!(after("Wed, 21 Oct 2015 07:27:00 GMT"), Some(0));
        assert_eq!(after("Fri, 21 Oct 2101 07:28:00 GMT"), Some(3600));
        for nonsense in ["", "-5", "soon", "1.5", "12 34"] {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_date_counts_from_the_clock_of_the_server() {
        let told = told(&[
            ("retry-after", "Fri, 21 Oct 2016 00:00:30 GMT"),
            ("date", "Fri, 21 Oct 2016 00:00:00 GMT"),
        ]);
        assert_eq!(told.retry_after, Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_is_left_and_when_there_is_more_is_understood_as_seconds_and_as_a_date() {
        for (reset, seconds) in [("30", 30), ("1445412510", 30), ("1445412400", 0)] {
            let told = told(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)]);
            assert_eq!(told.remaining, Some(0));
            assert_eq!(told.reset_in, Some(Duration::from_secs(seconds)), "{reset}");
        }
        assert_eq!(told(&[("x-ratelimit-reset", "soon")]), Told::default());
    }
}

//! When a server asks to be asked again.

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest wait a server can ask for. A wrong year in a header must not stop a station for a year.
pub(super) const MAX: Duration = Duration::from_hours(1);

/// The wait that `Retry-After` asks for, in seconds or as a date; a date that has passed is no wait.
///
/// A date is compared with the server's own `Date` where it sent one, since the clock of a station may be years off;
/// otherwise with `wall` (milliseconds since 1970). What is neither a number nor a date is ignored.
pub(super) fn parse(headers: &HeaderMap, wall: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time, not a mistake.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = date(headers).unwrap_or(UNIX_EPOCH + Duration::from_millis(wall));
    Some(until.duration_since(now).unwrap_or(Duration::ZERO).min(MAX))
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// 2015-10-21 07:28:00 UTC.
    const WALL: u64 = 1_445_412_480_000;

    fn after(retry_after: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        parse(&headers, WALL)
    }

    #[test]
    fn seconds_are_understood_and_capped_at_an_hour() {
        assert_eq!(after("0", None), Some(Duration::ZERO));
        assert_eq!(after(" 120 ", None), Some(Duration::from_mins(2)));
        assert_eq!(after("3601", None), Some(MAX));
        assert_eq!(after("99999999999999999999999999", None), Some(MAX));
    }

    #[test]
    fn all_three_forms_of_a_date_are_understood() {
        for form in [
            "Wed, 21 Oct 2015 07:29:30 GMT",
            "Wednesday, 21-Oct-15 07:29:30 GMT",
            "Wed Oct 21 07:29:30 2015",
        ] {
            assert_eq!(after(form, None), Some(Duration::from_secs(90)), "{form}");
        }
    }

    #[test]
    fn a_date_in_the_past_is_now_and_one_far_ahead_is_an_hour() {
        assert_eq!(
            after("Wed, 21 Oct 2015 07:27:59 GMT", None),
            Some(Duration::ZERO)
        );
        assert_eq!(
            after("Thu, 01 Jan 1970 00:00:00 GMT", None),
            Some(Duration::ZERO)
        );
        assert_eq!(after("Fri, 21 Oct 2101 07:28:00 GMT", None), Some(MAX));
    }

    #[test]
    fn a_date_counts_from_the_clock_of_the_server() {
        let server_is_a_year_ahead = Some("Fri, 21 Oct 2016 00:00:00 GMT");
        assert_eq!(
            after("Fri, 21 Oct 2016 00:00:30 GMT", server_is_a_year_ahead),
            Some(Duration::from_secs(30))
        );
    }

    #[test]
    fn nonsense_is_ignored() {
        for nonsense in [
            "",
            "-5",
            "soon",
            "1.5",
            "Wed, 99 Oct 2015 07:29:30 GMT",
            "12 34",
        ] {
            assert_eq!(after(nonsense, None), None, "{nonsense}");
        }
        assert_eq!(parse(&HeaderMap::new(), WALL), None);
    }
}

//! Moments as people write them: `2026-11-21T08:00:00Z`, or an age such as `10m` or `2h`.

use crate::units::Span;
use mainstay_clock::Clock;
use std::str::FromStr;
use std::time::Duration;

/// A moment from the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// So long ago.
    Ago(Duration),
    /// At this time, ms since 1970.
    At(u64),
}

impl When {
    /// The moment in ms since 1970.
    pub(crate) fn unix_ms(self, clock: &dyn Clock) -> u64 {
        match self {
            Self::At(at) => at,
            Self::Ago(age) => clock.wall().saturating_sub(age.as_millis() as u64),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(Span(age)) = text.parse() {
            return Ok(Self::Ago(age));
        }
        let at = text.trim().parse::<jiff::Timestamp>().ok();
        let at = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
        at.map(Self::At).ok_or_else(|| {
            format!(
                "`{text}` is neither a time nor an age; write it like `2026-11-21T08:00:00Z`, `2026-11-21T09:00:00+01:00`, `10m` or `2h`"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;

    #[test]
    fn a_time_and_an_age_are_both_understood() {
        let at = |text: &str| text.parse::<When>().unwrap();
        assert_eq!(at("1970-01-01T00:01:00Z"), When::At(60_000));
        assert_eq!(at("1970-01-01T02:01:00+02:00"), When::At(60_000));
        assert_eq!(at("10m"), When::Ago(Duration::from_mins(10)));
        let clock = ManualClock::new();
        let now = clock.wall();
        assert_eq!(at("2h").unix_ms(&clock), now.saturating_sub(7_200_000));
    }

    #[test]
    fn what_is_neither_is_refused_with_the_way_to_write_it() {
        for text in ["", "yesterday", "2026-11-21", "10", "1960-01-01T00:00:00Z"] {
            let refused = text.parse::<When>().unwrap_err();
            assert!(refused.contains("write it like"), "{refused}");
        }
    }
}

//! The date of a moment, for the names of archive folders and for the reasons beside what is in quarantine.

use std::fmt;

/// A date and time, UTC, by the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
}

impl Date {
    /// The date that lies so many milliseconds after 1970-01-01.
    pub(crate) fn of(wall_ms: u64) -> Self {
        let seconds = wall_ms / 1_000;
        let days = seconds / 86_400;
        // Days are counted from 0000-03-01, so that the leap day ends a year: the algorithm of Howard Hinnant,
        // `civil_from_days`, for dates from 1970 on.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        Self {
            year,
            month,
            day,
            second_of_day: seconds % 86_400,
        }
    }

    /// `YYYY-MM-DD`.
    pub(crate) fn day(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// As RFC 3339 writes it, to the second.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = (
            self.second_of_day / 3_600,
            self.second_of_day / 60 % 60,
            self.second_of_day % 60,
        );
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}Z", self.day())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_577_836_799_999, "2019-12-31T23:59:59Z"),
            (1_577_836_800_000, "2020-01-01T00:00:00Z"),
            (1_795_233_845_000, "2026-11-21T04:04:05Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ];
        for (wall, date) in cases {
            assert_eq!(Date::of(wall).to_string(), date);
        }
    }
}

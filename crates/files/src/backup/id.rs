//! What a backup is called: when it was made, so that names sort by age.

use std::fmt;
use std::str::FromStr;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The last millisecond of the year 9999: later ones would need more digits.
const WALL_MAX: u64 = 253_402_300_799_999;

/// The name of a backup: the UTC time at which it was made, to the millisecond, and a counter for those of one millisecond.
///
/// Those of one file are all different, and sort by the order in which they were made, also where the clock was set back
/// in between: a new one is always later than the newest that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId {
    wall: u64,
    counter: u32,
}

impl BackupId {
    /// The one to use at this time (milliseconds since 1970), behind the newest.
    pub(super) fn next(wall: u64, newest: Option<Self>) -> Self {
        let fresh = Self {
            wall: wall.min(WALL_MAX),
            counter: 0,
        };
        match newest {
            Some(newest) if newest >= fresh => newest.following(),
            _ => fresh,
        }
    }

    fn following(self) -> Self {
        match self.counter.checked_add(1) {
            Some(counter) if counter < 10_000 => Self { counter, ..self },
            _ => Self {
                wall: self.wall + 1,
                counter: 0,
            },
        }
    }

    /// When it was made, in milliseconds since 1970-01-01 UTC, as the clock then said.
    pub fn wall(self) -> u64 {
        self.wall
    }
}

/// `20261121T142253.123Z-0000`.
impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (second, ms) = (utc(self.wall), self.wall % 1000);
        write!(f, "{second}.{ms:03}Z-{:04}", self.counter)
    }
}

/// The UTC time (milliseconds since 1970) to the second, for names: `20261121T142253`.
pub(crate) fn utc(wall: u64) -> String {
    let wall = wall.min(WALL_MAX);
    let (year, month, day) = date(wall / DAY_MS);
    let ms = wall % DAY_MS;
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}")
}

/// The text is no name of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotABackupId;

impl fmt::Display for NotABackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the id of a backup, such as 20261121T142253.123Z-0000")
    }
}

impl std::error::Error for NotABackupId {}

impl FromStr for BackupId {
    type Err = NotABackupId;

    fn from_str(text: &str) -> Result<Self, NotABackupId> {
        let number = |from: usize, to: usize| -> Result<u64, NotABackupId> {
            let digits = text.get(from..to).ok_or(NotABackupId)?;
            digits.parse().map_err(|_| NotABackupId)
        };
        let days = days(number(0, 4)?, number(4, 6)?, number(6, 8)?);
        let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
        let ms = ((hour * 60 + minute) * 60 + second) * 1000 + number(16, 19)?;
        let id = Self {
            wall: days * DAY_MS + ms,
            counter: number(21, 25)? as u32,
        };
        // One text for each id: whatever was written otherwise is none.
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(NotABackupId)
        }
    }
}

/// Year, month and day of a day since 1970-01-01, by Howard Hinnant's `civil_from_days`: years begin in March, so that the
/// leap day is their last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

/// The other way; what is no date gives a day whose date is another.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.saturating_sub(1), month + 9)
    };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day.saturating_sub(1);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_shows_the_utc_time() {
        let id = BackupId::next(1_795_270_973_123, None);
        assert_eq!(id.to_string(), "20261121T142253.123Z-0000");
        assert_eq!(
            BackupId::next(0, None).to_string(),
            "19700101T000000.000Z-0000"
        );
        assert_eq!(
            BackupId::next(u64::MAX, None).to_string(),
            "99991231T235959.999Z-0000"
        );
    }

    #[test]
    fn ids_of_one_millisecond_differ_and_a_clock_that_goes_back_makes_none_earlier() {
        let first = BackupId::next(5000, None);
        let second = BackupId::next(5000, Some(first));
        let third = BackupId::next(1000, Some(second));
        assert!(first < second && second < third);
        let mut id = first;
        for _ in 0..20_000 {
            let next = BackupId::next(5000, Some(id));
            assert!(next > id && next.to_string() > id.to_string());
            id = next;
        }
    }

    #[test]
    fn what_is_no_id_is_none() {
        for wrong in [
            "",
            "x",
            "20261121T142253.123Z-000",
            "20261121T142253.123Z-00000",
            "20261321T142253.123Z-0000",
            "20260230T142253.123Z-0000",
            "20261121T142260.123Z-0000",
            "2026+121T142253.123Z-0000",
            "20261121 142253.123Z-0000",
            "äöüäöüäöüäöüäöüäöüäö",
        ] {
            assert_eq!(wrong.parse::<BackupId>(), Err(NotABackupId), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_back_as_it_was_and_sorts_as_text(a in 0..=WALL_MAX, b in 0..=WALL_MAX, counter in 0..10_000u32) {
            let (a, b) = (BackupId { wall: a, counter }, BackupId { wall: b, counter: 0 });
            prop_assert_eq!(a.to_string().parse::<BackupId>().unwrap(), a);
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}

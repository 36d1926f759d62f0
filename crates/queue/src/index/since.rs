//! Since when a document has been waiting.

use super::Now;
use std::time::Duration;

/// The index counts from so long before its clock's origin, in seconds: that origin is the start of this process, and most of what
/// a queue is opened with was stored by earlier ones. 68 years, and as many to come.
const BEFORE_ORIGIN: u64 = 1 << 31;

/// When a document was stored, in seconds of the index's own time: the date may be set in between, and no age is measured anew by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Since(u32);

impl Since {
    /// Of what was stored at this date, ms since 1970. What comes from the future was stored now.
    pub(crate) fn new(stored: u64, now: Now) -> Self {
        let age = now.wall.saturating_sub(stored) / 1_000;
        Self(u32::try_from(seconds(now).saturating_sub(age)).unwrap_or(u32::MAX))
    }

    /// How long ago that was, to the second.
    pub(crate) fn age(self, now: Now) -> Duration {
        Duration::from_secs(seconds(now).saturating_sub(u64::from(self.0)))
    }
}

fn seconds(now: Now) -> u64 {
    BEFORE_ORIGIN + now.moment.since_origin().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::Moment;

    const HOUR: u64 = 3_600;
    const YEAR: u64 = 365 * 24 * HOUR;

    fn now(seconds: u64, wall: u64) -> Now {
        Now {
            moment: Moment::after_origin(Duration::from_secs(seconds)),
            wall: wall * 1_000,
        }
    }

    #[test]
    fn what_was_stored_before_this_process_began_is_as_old_as_it_is() {
        let wall = 50 * YEAR;
        let since = Since::new((wall - 3 * HOUR) * 1_000, now(5, wall));
        assert_eq!(since.age(now(5, wall)), Duration::from_hours(3));
        assert_eq!(since.age(now(5 + HOUR, wall)), Duration::from_hours(4));
        // A date that is set in between changes nothing.
        assert_eq!(since.age(now(5, wall + YEAR)), Duration::from_hours(3));
    }

    #[test]
    fn what_comes_from_the_future_was_stored_now_and_what_is_older_than_that_is_old() {
        let since = Since::new(u64::MAX, now(5, YEAR));
        assert_eq!(since.age(now(7, YEAR)), Duration::from_secs(2));
        let oldest = Since::new(0, now(5, 1_000 * YEAR));
        assert!(Duration::from_secs(68 * YEAR) < oldest.age(now(5, 0)));
    }
}

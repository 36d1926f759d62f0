//! What only shows over time: a date that jumps, processors that are busy, a queue that grows.

use super::Limits;
use super::system::{self, Share};
use crate::terminal::Count;
use crate::units::rounded;
use mainstay_clock::{Moment, SharedClock};
use mainstay_queue::Status;
use mainstay_supervise::Observed;
use std::time::Duration;

/// So long the processors are watched at least before something is said of them.
const LOOK_MIN: Duration = Duration::from_secs(1);

/// A date that differs by more has jumped: a machine that is busy comes late by less.
const JUMP_MS: u64 = 2_000;

/// So long a jump is told.
const JUMP_TOLD: Duration = Duration::from_mins(5);

/// A burst is over by then.
const BURST: Duration = Duration::from_secs(30);

/// The date, as it was at the last look.
#[derive(Debug)]
pub(super) struct Jumps {
    at: Moment,
    wall: u64,
    /// What the last jump was, and when.
    last: Option<(Moment, String)>,
}

impl Jumps {
    pub(super) fn new(clock: &SharedClock) -> Self {
        Self {
            at: clock.now(),
            wall: clock.wall(),
            last: None,
        }
    }

    pub(super) fn look(&mut self, now: Moment, wall: u64) -> Observed {
        let passed = now.since(self.at).as_millis() as u64;
        let expected = self.wall.saturating_add(passed);
        let (ahead, behind) = (wall.saturating_sub(expected), expected.saturating_sub(wall));
        let seconds = ahead.max(behind) / 1_000;
        if JUMP_MS < ahead {
            self.last = Some((now, format!("the date leapt ahead by {seconds} s")));
        } else if JUMP_MS < behind {
            self.last = Some((now, format!("the date went back by {seconds} s")));
        }
        (self.at, self.wall) = (now, wall);
        match &self.last {
            Some((at, words)) if now.since(*at) < JUMP_TOLD => Observed::degraded(words),
            _ => Observed::healthy(),
        }
    }
}

/// What the processors did for this process, as it was at the last look.
#[derive(Debug)]
pub(super) struct Work {
    at: Moment,
    used: Duration,
    last: Observed,
}

impl Work {
    pub(super) fn new(clock: &SharedClock) -> Self {
        Self {
            at: clock.now(),
            used: system::processor_time(),
            last: Observed::healthy(),
        }
    }

    /// Its share of all of them since the last look.
    pub(super) fn look(&mut self, now: Moment, used: Duration, processors: u32) -> Observed {
        let passed = now.since(self.at);
        // Over less it says more of the look than of the process.
        if LOOK_MIN <= passed {
            let part = Share {
                used: used.saturating_sub(self.used).as_millis() as u64,
                limit: passed.as_millis() as u64 * u64::from(processors),
            };
            self.last = part
                .observed(|part| format!("{} % of the processors' time are used", part.percent()));
            (self.at, self.used) = (now, used);
        }
        self.last.clone()
    }
}

/// What waits in the queue.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queued: u64,
    /// The age of the oldest, and on which lane it is.
    oldest: Duration,
    lane: String,
}

impl Waiting {
    pub(super) fn of(queue: &Status) -> Self {
        let ages = queue.lanes.iter().filter_map(|lane| {
            let seconds = lane.oldest_seconds?;
            Some((seconds, lane.name.as_str()))
        });
        let (seconds, lane) = ages.max().unwrap_or_default();
        Self {
            queued: queue.ledger.queued,
            oldest: Duration::from_secs(seconds),
            lane: lane.to_owned(),
        }
    }
}

/// How long the queue has been long by now, or one of it old: a burst is over after half a minute, and so is what the night left; a
/// queue that is still long then grows.

#[derive(Debug)]
pub(super) struct Backlog {
    limits: Limits,
    /// Since when there have been so many that it is a warning, and so many that it is critical.
    many: (Option<Moment>, Option<Moment>),
    /// Since when one has been so old.
    old: (Option<Moment>, Option<Moment>),
}

impl Backlog {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            many: (None, None),
            old: (None, None),
        }
    }

    pub(super) fn look(&mut self, now: Moment, waiting: &Waiting) -> Observed {
        let lasts = |since: &mut Option<Moment>, is_so: bool| {
            if !is_so {
                *since = None;
                return false;
            }
            BURST <= now.since(*since.get_or_insert(now))
        };
        let (limits, queued, oldest) = (self.limits, waiting.queued, waiting.oldest);
        let many = [
            lasts(&mut self.many.0, limits.queued.0 <= queued),
            lasts(&mut self.many.1, limits.queued.1 <= queued),
        ];
        let old = [
            lasts(&mut self.old.0, limits.age.0 <= oldest),
            lasts(&mut self.old.1, limits.age.1 <= oldest),
        ];
        let mut words = format!("{} queued", Count(queued, "document"));
        if old[0] || old[1] {
            let age = rounded(oldest);
            words = format!("{words}, the oldest for {age} on `{}`", waiting.lane);
        }
        let observed = if many[1] || old[1] {
            Observed::unhealthy(words)
        } else if many[0] || old[0] {
            Observed::degraded(words)
        } else {
            Observed::healthy()
        };
        observed
            .with("queued", queued)
            .with("oldest_seconds", oldest.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use mainstay_supervise::HealthState;
    use std::sync::Arc;

    const EVERY: Duration = Duration::from_secs(10);

    #[test]
    fn a_date_that_jumps_either_way_is_told_for_five_minutes() {
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let mut jumps = Jumps::new(&clock);
        let look = |jumps: &mut Jumps| jumps.look(clock.now(), clock.wall());
        manual.advance(EVERY);
        assert_eq!(look(&mut jumps).state(), HealthState::Healthy);
        for jump in [3_600_000_i64, -7_200_000] {
            manual.set_wall(clock.wall().saturating_add_signed(jump));
            manual.advance(EVERY);
            let observed = look(&mut jumps);
            assert_eq!(observed.state(), HealthState::Degraded);
            let words = if jump > 0 {
                "ahead by 3600 s"
            } else {
                "back by 7200 s"
            };
            assert!(observed.message().contains(words), "{observed:?}");
            manual.advance(JUMP_TOLD);
            assert_eq!(look(&mut jumps).state(), HealthState::Healthy);
        }
    }

    #[test]
    fn the_processors_are_busy_by_what_was_used_since_the_last_look() {
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let mut work = Work::new(&clock);
        let mut used = work.used;
        let mut look = |percent: u64, seconds: u64| {
            manual.advance(Duration::from_secs(seconds));
            // Of two processors.
            used += Duration::from_millis(percent * seconds * 20);
            work.look(clock.now(), used, 2).state()
        };
        assert_eq!(look(79, 10), HealthState::Healthy);
        assert_eq!(look(80, 10), HealthState::Degraded);
        assert_eq!(look(100, 10), HealthState::Unhealthy);
        // Two looks at one time are one.
        assert_eq!(look(0, 0), HealthState::Unhealthy);
        assert_eq!(look(1, 10), HealthState::Healthy);
    }

    fn limits() -> Limits {
        Limits {
            queued: (3, 5),
            age: (Duration::from_hours(1), Duration::from_hours(24)),
        }
    }

    #[test]
    fn a_queue_is_long_when_it_was_so_for_half_a_minute_however_often_it_is_looked_at() {
        let clock = ManualClock::new();
        let mut backlog = Backlog::new(limits());
        let mut look = |seconds: u64, queued: u64| {
            clock.advance(Duration::from_secs(seconds));
            let waiting = Waiting {
                queued,
                ..Waiting::default()
            };
            let now = mainstay_clock::Clock::now(&clock);
            backlog.look(now, &waiting).state()
        };
        for _ in 0..29 {
            assert_eq!(look(1, 6), HealthState::Healthy);
        }
        assert_eq!(look(1, 6), HealthState::Healthy);
        assert_eq!(look(1, 6), HealthState::Unhealthy);
        assert_eq!(look(0, 4), HealthState::Degraded);
        assert_eq!(
            look(0, 5),
            HealthState::Degraded,
            "critical for a moment only"
        );
        assert_eq!(look(0, 2), HealthState::Healthy);
        assert_eq!(look(29, 9), HealthState::Healthy);
    }

    #[test]
    fn one_document_that_waits_too_long_is_told_with_its_lane_and_what_the_night_left_is_not() {
        let clock = ManualClock::new();
        let mut backlog = Backlog::new(limits());
        let mut look = |seconds: u64, age: Duration| {
            clock.advance(Duration::from_secs(seconds));
            let waiting = Waiting {
                queued: 1,
                oldest: age,
                lane: "lab/server".to_owned(),
            };
            backlog.look(mainstay_clock::Clock::now(&clock), &waiting)
        };
        let night = Duration::from_hours(12);
        assert_eq!(look(10, night).state(), HealthState::Healthy, "a start");
        assert_eq!(look(20, Duration::ZERO).state(), HealthState::Healthy);
        assert_eq!(look(10, night).state(), HealthState::Healthy);
        let told = look(30, night);
        assert_eq!(told.state(), HealthState::Degraded);
        let words = "1 document queued, the oldest for 12h on `lab/server`";
        assert_eq!(told.message(), words);
        let day = Duration::from_hours(24);
        assert_eq!(look(10, day).state(), HealthState::Degraded);
        assert_eq!(look(30, day).state(), HealthState::Unhealthy);
        assert_eq!(look(10, Duration::ZERO).state(), HealthState::Healthy);
    }
}

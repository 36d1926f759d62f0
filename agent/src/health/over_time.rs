//! What only shows over time: a date that jumps, processors that are busy, a queue that grows.

use super::checks::Limits;
use super::system::{self, Share};
use mainstay_clock::{Moment, SharedClock};
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

/// How long the queue has been long by now: a burst is over after half a minute, and a queue that is still long then grows.
#[derive(Debug)]
pub(super) struct Backlog {
    limits: Limits,
    /// Since when there have been so many that it is a warning, and so many that it is critical.
    warning: Option<Moment>,
    critical: Option<Moment>,
}

impl Backlog {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            warning: None,
            critical: None,
        }
    }

    pub(super) fn look(&mut self, now: Moment, queued: u64) -> Observed {
        let lasts = |since: &mut Option<Moment>, limit: u64| {
            if queued < limit {
                *since = None;
                return false;
            }
            BURST <= now.since(*since.get_or_insert(now))
        };
        let warning = lasts(&mut self.warning, self.limits.warning);
        let critical = lasts(&mut self.critical, self.limits.critical);
        let words = format!("{queued} documents wait");
        let observed = if critical {
            Observed::unhealthy(words)
        } else if warning {
            Observed::degraded(words)
        } else {
            Observed::healthy()
        };
        observed.with("queued", queued)
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

    #[test]
    fn a_queue_is_long_when_it_was_so_for_half_a_minute_however_often_it_is_looked_at() {
        let clock = ManualClock::new();
        let mut backlog = Backlog::new(Limits {
            warning: 3,
            critical: 5,
        });
        let mut look = |seconds: u64, queued: u64| {
            clock.advance(Duration::from_secs(seconds));
            backlog
                .look(mainstay_clock::Clock::now(&clock), queued)
                .state()
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
}

//! When a breaker opens, for how long, and what closes it.

use crate::error::InvalidSettings;
use std::time::Duration;

/// When a circuit breaker opens, for how long, and what closes it again.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `consecutive` | 5 | one or two failures happen to everybody; five in a row to nobody who is well |
/// | `rate` | none | a share needs enough calls to mean something; whoever has them names a window |
/// | `open_for` | 60 s | long enough for a restart on the other side, short enough for a person who waits |
/// | `open_growth` | 1.0 | the same each time; 2.0 doubles it with each opening in a row |
/// | `open_max` | 10 min | what grows has an end |
/// | `open_jitter` | 0.1 | a share by which it is longer or shorter: a thousand clients do not return at once |
/// | `half_open_permits` | 1 | one call finds out; the others are not risked |
/// | `half_open_for` | 60 s | after so long without an answer the probe counts as failed |
/// | `successes_to_close` | 2 | one success may be luck |
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerSettings {
    /// It opens after so many failures in a row; none: however many.
    pub consecutive: Option<u32>,
    /// It opens when too large a share of the last calls failed, or was slow.
    pub rate: Option<Rate>,
    /// It stays open so long.
    pub open_for: Duration,
    /// Each opening that follows another without a close in between is so many times as long.
    pub open_growth: f64,
    /// It never stays open longer, jitter included.
    pub open_max: Duration,
    /// By how large a random share it is longer or shorter; 0 to 1.
    pub open_jitter: f64,
    /// So many calls may find out at once whether the other side is back.
    pub half_open_permits: u32,
    /// A call that should find out has so long; where several follow each other without a pause, they together.
    pub half_open_for: Duration,
    /// So many successes in a row close it.
    pub successes_to_close: u32,
}

/// Which share of the last calls opens a breaker.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `window` | 30 s | an outage shows within it, and a bad minute is forgotten soon |
/// | `calls_min` | 20 | of fewer calls a share is an accident |
/// | `failed` | 0.5 | every second call fails: waiting is better for both sides |
/// | `slow` | none | what is slow only the caller knows |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Which calls count.
    pub window: Window,
    /// With fewer calls in the window nothing is decided.
    pub calls_min: u32,
    /// It opens when this share or more of them failed; above 0, at most 1.
    pub failed: f64,
    /// It opens when too many of them were slow.
    pub slow: Option<Slow>,
}

/// Which calls count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The last so many; at most 65,536.
    Calls(u32),
    /// Those of the last while.
    Time(Duration),
}

/// Which calls are slow, and how many are too many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// A call that takes longer is slow, whether it failed or not.
    pub longer_than: Duration,
    /// It opens when this share or more were slow; above 0, at most 1.
    pub share: f64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            consecutive: Some(5),
            rate: None,
            open_for: Duration::from_mins(1),
            open_growth: 1.0,
            open_max: Duration::from_mins(10),
            open_jitter: 0.1,
            half_open_permits: 1,
            half_open_for: Duration::from_mins(1),
            successes_to_close: 2,
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            window: Window::Time(Duration::from_secs(30)),
            calls_min: 20,
            failed: 0.5,
            slow: None,
        }
    }
}

impl BreakerSettings {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), InvalidSettings> {
        let is_share = |share: f64| share > 0.0 && share <= 1.0;
        let refuse = |is_wrong: bool, what: &str| {
            if is_wrong {
                return Err(InvalidSettings::new(what));
            }
            Ok(())
        };
        refuse(
            self.consecutive.is_none() && self.rate.is_none(),
            "`consecutive` or `rate`: with neither the breaker never opens",
        )?;
        refuse(
            self.consecutive == Some(0),
            "`consecutive` is 0: it takes at least 1 failure to open",
        )?;
        refuse(
            self.open_for.is_zero(),
            "`open_for` is 0: it would never be open",
        )?;
        refuse(
            self.open_max < self.open_for,
            "`open_max` is shorter than `open_for`",
        )?;
        refuse(
            !(1.0..=100.0).contains(&self.open_growth),
            "`open_growth` must lie between 1 and 100",
        )?;
        refuse(
            !(0.0..=1.0).contains(&self.open_jitter),
            "`open_jitter` must lie between 0 and 1",
        )?;
        refuse(
            self.half_open_permits == 0,
            "`half_open_permits` is 0: nothing could ever close it",
        )?;
        refuse(self.half_open_for.is_zero(), "`half_open_for` is 0")?;
        refuse(
            self.successes_to_close == 0,
            "`successes_to_close` is 0: it takes at least 1",
        )?;
        let Some(rate) = self.rate else {
            return Ok(());
        };
        refuse(
            !is_share(rate.failed),
            "`rate.failed` must lie above 0, up to 1",
        )?;
        refuse(
            rate.slow
                .is_some_and(|slow| !is_share(slow.share) || slow.longer_than.is_zero()),
            "`rate.slow`: `longer_than` must be above 0, `share` above 0, up to 1",
        )?;
        match rate.window {
            Window::Calls(calls) => refuse(
                calls == 0 || calls > 65_536 || calls < rate.calls_min,
                "`rate.window` must hold `calls_min` calls, and 65,536 at most",
            ),
            Window::Time(time) => refuse(
                time < Duration::from_millis(10),
                "`rate.window` must be 10 ms long at least",
            ),
        }
    }
}

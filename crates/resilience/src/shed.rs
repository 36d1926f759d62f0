//! Which calls are dropped first when there is more to do than can be done.

use crate::error::{InvalidSettings, RejectedBy, Rejection};
use serde::Serialize;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How much depends on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Nobody waits for it: prefetching, statistics.
    Low,
    /// The usual.
    Normal,
    /// Somebody waits for it.
    High,
    /// Never dropped: what is needed to get out of the overload, and what would be lost.
    Critical,
}

/// At which load which calls are dropped. 1.0 is as much as can be done; it may be more.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `low` | 0.80 | where the runbook of the layer before this one warns |
/// | `normal` | 0.95 | where it calls the load critical |
/// | `high` | 1.10 | more than can be done: only what is critical goes on |
/// | `hysteresis` | 0.10 | a load that swings by less does not switch at each swing |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shedding {
    /// From this load on, calls of low priority are dropped.
    pub low: f64,
    /// From this load on, those of normal priority too; not less than `low`.
    pub normal: f64,
    /// From this load on, those of high priority too; not less than `normal`.
    pub high: f64,
    /// How far the load has to fall below a threshold before its calls pass again; less than `low`.
    pub hysteresis: f64,
}

/// Turns calls away by their priority while the load is high.
pub struct LoadShedder {
    name: Arc<str>,
    settings: RwLock<Shedding>,
    load: Box<dyn Fn() -> f64 + Send + Sync>,
    /// How many priorities are dropped, the lowest first.
    level: AtomicU8,
    admitted: AtomicU64,
    rejected: AtomicU64,
}

/// What a [`LoadShedder`] is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShedderStatus {
    /// The load of now.
    pub load: f64,
    /// The highest priority that is dropped; none where all pass.
    pub shedding: Option<Priority>,
    /// How many calls passed.
    pub admitted: u64,
    /// How many were turned away.
    pub rejected: u64,
}

// === impl Priority ===

impl Priority {
    /// All there are, the first to be dropped first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];
}

// === impl Shedding ===

impl Default for Shedding {
    fn default() -> Self {
        Self {
            low: 0.80,
            normal: 0.95,
            high: 1.10,
            hysteresis: 0.10,
        }
    }
}

impl Shedding {
    fn thresholds(&self) -> [f64; 3] {
        [self.low, self.normal, self.high]
    }

    fn check(&self) -> Result<(), InvalidSettings> {
        let thresholds = self.thresholds();
        let fits = thresholds.is_sorted()
            && thresholds.iter().all(|threshold| threshold.is_finite())
            && (0.0..self.low).contains(&self.hysteresis);
        if fits {
            return Ok(());
        }
        Err(InvalidSettings::new(format!(
            "load shedding at {thresholds:?} with a hysteresis of {} cannot work: the thresholds rise from low to high, and the \
             hysteresis is at least 0 and less than the first",
            self.hysteresis
        )))
    }

    /// How many priorities are dropped at `load`, where `level` were before. A load that is not a number changes nothing.
    fn level(&self, level: u8, load: f64) -> u8 {
        let thresholds = self.thresholds();
        let reached =
            |margin: f64| thresholds.iter().filter(|at| **at - margin <= load).count() as u8;
        if load.is_nan() {
            level
        } else {
            level.clamp(reached(0.0), reached(self.hysteresis))
        }
    }
}

// === impl LoadShedder ===

impl LoadShedder {
    /// A shedder that asks `load` for the load at each call that is not critical, so that this should be quick: a gauge, or
    /// somebody else's measurement.
    ///
    /// # Errors
    ///
    /// Where the thresholds do not rise, are not finite, or the hysteresis is negative or reaches down to zero.
    pub fn new(
        name: impl Into<Arc<str>>,
        settings: Shedding,
        load: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Result<Self, InvalidSettings> {
        settings.check()?;
        Ok(Self {
            name: name.into(),
            settings: RwLock::new(settings),
            load: Box::new(load),
            level: AtomicU8::new(0),
            admitted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        })
    }

    /// Drops by other thresholds from the next call on.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); it follows the old ones.
    pub fn set(&self, settings: Shedding) -> Result<(), InvalidSettings> {
        settings.check()?;
        let mut followed = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *followed = settings;
        Ok(())
    }

    /// Counts from 0 again, and looks at the next load as if there had been none before: what its hysteresis kept away passes.
    pub fn reset(&self) {
        self.level.store(0, Ordering::Relaxed);
        for count in [&self.admitted, &self.rejected] {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lets a call pass, or not, by the load of now.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] where calls of this priority are dropped; never for one that is critical.
    pub fn admit(&self, priority: Priority) -> Result<(), Rejection> {
        if priority != Priority::Critical && (priority as u8) < self.level((self.load)()) {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            return Err(Rejection::new(RejectedBy::Shedder, &self.name, None));
        }
        self.admitted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// What it is doing.
    pub fn status(&self) -> ShedderStatus {
        let load = (self.load)();
        let level = usize::from(self.level(load));
        ShedderStatus {
            load,
            shedding: level.checked_sub(1).map(|highest| Priority::ALL[highest]),
            admitted: self.admitted.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }

    /// The level at `load`. Threads that do this at once have about the same load, and the last one's level stays; the next call
    /// puts it right.
    fn level(&self, load: f64) -> u8 {
        let before = self.level.load(Ordering::Relaxed);
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        let level = settings.level(before, load);
        drop(settings);
        if level != before {
            self.level.store(level, Ordering::Relaxed);
        }
        level
    }
}

impl fmt::Debug for LoadShedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadShedder")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shedder with the defaults, and the hundredths of its load.
    fn shedder() -> (LoadShedder, Arc<AtomicU64>) {
        let percent = Arc::new(AtomicU64::new(0));
        let load = Arc::clone(&percent);
        let shedder = LoadShedder::new("agent", Shedding::default(), move || {
            load.load(Ordering::Relaxed) as f64 / 100.0
        });
        (shedder.unwrap(), percent)
    }

    /// How many priorities pass at this load.
    fn passing(shedder: &LoadShedder, percent: &AtomicU64, load: u64) -> usize {
        percent.store(load, Ordering::Relaxed);
        let passes = |priority: &Priority| shedder.admit(*priority).is_ok();
        let passing = Priority::ALL.iter().filter(|priority| passes(priority));
        passing.count()
    }

    #[test]
    fn as_the_load_rises_the_least_important_calls_go_first() {
        let (shedder, percent) = shedder();
        let loads = [0, 79, 80, 94, 95, 109, 110, 5_000];
        let passing = loads.map(|load| passing(&shedder, &percent, load));
        assert_eq!(passing, [4, 4, 3, 3, 2, 2, 1, 1]);
        percent.store(95, Ordering::Relaxed);
        let rejection = shedder.admit(Priority::Normal).unwrap_err();
        assert_eq!(rejection.by, RejectedBy::Shedder);
        assert_eq!(&*rejection.name, "agent");
    }

    #[test]
    fn a_load_that_swings_about_a_threshold_does_not_switch_at_each_swing() {
        let (shedder, percent) = shedder();
        let loads = [79, 80, 79, 71, 80, 71, 69, 71, 79];
        let passing = loads.map(|load| passing(&shedder, &percent, load));
        assert_eq!(passing, [4, 3, 3, 3, 3, 3, 4, 4, 4]);
    }

    #[test]
    fn a_load_that_falls_at_once_lets_everything_pass_at_once() {
        let (shedder, percent) = shedder();
        assert_eq!(passing(&shedder, &percent, 200), 1);
        assert_eq!(passing(&shedder, &percent, 99), 2, "110 − 10 is passed");
        assert_eq!(passing(&shedder, &percent, 0), 4);
    }

    #[test]
    fn critical_calls_pass_whatever_the_load_and_a_load_of_nonsense_changes_nothing() {
        for load in [f64::INFINITY, 1e300] {
            let shedder = LoadShedder::new("agent", Shedding::default(), move || load).unwrap();
            shedder.admit(Priority::Critical).unwrap();
            assert!(shedder.admit(Priority::High).is_err());
        }
        let unknown = || -> f64 { panic!("asked for a call that passes anyway") };
        let shedder = LoadShedder::new("agent", Shedding::default(), unknown).unwrap();
        shedder.admit(Priority::Critical).unwrap();
        let shedder = LoadShedder::new("agent", Shedding::default(), || f64::NAN).unwrap();
        shedder.admit(Priority::Low).unwrap();
    }

    #[test]
    fn a_status_names_what_is_dropped() {
        let (shedder, percent) = shedder();
        assert_eq!(shedder.status().shedding, None);
        assert_eq!(passing(&shedder, &percent, 96), 2);
        let status = serde_json::to_value(shedder.status()).unwrap();
        let expected = serde_json::json!({
            "load": 0.96, "shedding": "normal", "admitted": 2, "rejected": 2,
        });
        assert_eq!(status, expected);
    }

    #[test]
    fn thresholds_that_cannot_work_are_refused() {
        let good = Shedding::default();
        let bad = [
            Shedding { low: 0.96, ..good },
            Shedding {
                high: f64::INFINITY,
                ..good
            },
            Shedding {
                normal: f64::NAN,
                ..good
            },
            Shedding {
                hysteresis: -0.1,
                ..good
            },
            Shedding {
                hysteresis: 0.8,
                ..good
            },
            Shedding {
                hysteresis: f64::NAN,
                ..good
            },
        ];
        for settings in bad {
            let refused = LoadShedder::new("agent", settings, || 0.0).unwrap_err();
            assert!(refused.to_string().contains("cannot work"), "{settings:?}");
        }
    }
}

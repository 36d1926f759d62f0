//! Every protection of a program by its name: to look at, to reset, to change while it runs.

use crate::adaptive::{AdaptiveLimit, AdaptiveSettings, AdaptiveStatus};
use crate::breaker::{Breaker, BreakerSettings, BreakerStatus};
use crate::budget::{BudgetSettings, BudgetStatus, RetryBudget};
use crate::bulkhead::{Bulkhead, BulkheadSettings, BulkheadStatus};
use crate::error::InvalidSettings;
use crate::limiter::{LimiterStatus, RateLimit, RateLimiter};
use crate::shed::{LoadShedder, ShedderStatus, Shedding};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// A protection that is known by a name.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Part {
    /// A circuit breaker.
    Breaker(Arc<Breaker>),
    /// A rate limiter.
    Limiter(Arc<RateLimiter>),
    /// A bulkhead.
    Bulkhead(Arc<Bulkhead>),
    /// A limit of concurrency that adapts itself.
    Adaptive(Arc<AdaptiveLimit>),
    /// A budget of retries.
    Budget(Arc<RetryBudget>),
    /// A load shedder.
    Shedder(Arc<LoadShedder>),
}

/// How a part stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartStatus {
    /// A circuit breaker.
    Breaker(BreakerStatus),
    /// A rate limiter.
    Limiter(LimiterStatus),
    /// A bulkhead.
    Bulkhead(BulkheadStatus),
    /// A limit of concurrency that adapts itself.
    Adaptive(AdaptiveStatus),
    /// A budget of retries.
    Budget(BudgetStatus),
    /// A load shedder.
    Shedder(ShedderStatus),
}

/// Settings that a part follows from now on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Of a circuit breaker.
    Breaker(BreakerSettings),
    /// Of a rate limiter.
    Limiter(RateLimit),
    /// Of a bulkhead.
    Bulkhead(BulkheadSettings),
    /// Of a limit of concurrency that adapts itself.
    Adaptive(AdaptiveSettings),
    /// Of a budget of retries.
    Budget(BudgetSettings),
    /// Of a load shedder.
    Shedder(Shedding),
}

/// Why something by a name could not be done; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unregistered {
    /// Nothing has this name.
    Unknown(String),
    /// Something else has this name.
    Taken(String),
    /// What has this name is of another kind, or cannot be changed.
    OtherKind(String),
    /// The settings cannot work.
    Settings(InvalidSettings),
    /// There are as many as may be.
    Full,
}

/// The parts of a program by their names.
///
/// ```
/// use mainstay_resilience::{Breaker, BreakerSettings, BreakerState, Part, Registry};
/// use std::sync::Arc;
///
/// let registry = Registry::new();
/// let breaker = Breaker::new("hub", BreakerSettings::default(), mainstay_clock::system())?;
/// let breaker = Arc::new(breaker);
/// registry.add("hub/breaker", Part::Breaker(Arc::clone(&breaker)))?;
/// breaker.force_open();
/// registry.reset("hub/breaker")?;
/// assert_eq!(breaker.state(), BreakerState::Closed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Registry {
    parts: RwLock<BTreeMap<String, Part>>,
}

impl Registry {
    /// So many parts at most: more are a leak.
    pub const PARTS_MAX: usize = 10_000;

    /// One without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a part known by a name.
    ///
    /// # Errors
    ///
    /// [`Unregistered::Taken`]: it is never replaced silently; [`Unregistered::Full`].
    pub fn add(&self, name: &str, part: Part) -> Result<(), Unregistered> {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        if parts.contains_key(name) {
            return Err(Unregistered::Taken(name.to_owned()));
        }
        if parts.len() >= Self::PARTS_MAX {
            return Err(Unregistered::Full);
        }
        parts.insert(name.to_owned(), part);
        Ok(())
    }

    /// Forgets a name; who holds the part goes on using it.
    pub fn remove(&self, name: &str) -> Option<Part> {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        parts.remove(name)
    }

    /// Forgets a name where `is_to_go` holds for its part. Nobody gets the part by its name meanwhile; `is_to_go` must not ask the
    /// registry.
    pub fn remove_if(&self, name: &str, is_to_go: impl FnOnce(&Part) -> bool) -> Option<Part> {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        if !is_to_go(parts.get(name)?) {
            return None;
        }
        parts.remove(name)
    }

    /// The part of a name.
    pub fn get(&self, name: &str) -> Option<Part> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        parts.get(name).cloned()
    }

    /// How all stand, by their names.
    pub fn status(&self) -> BTreeMap<String, PartStatus> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        parts
            .iter()
            .map(|(name, part)| (name.clone(), part.status()))
            .collect()
    }

    /// Puts a part back to its beginning: closes a breaker, ends the hold of a limiter.
    ///
    /// # Errors
    ///
    /// [`Unregistered::Unknown`]; [`Unregistered::OtherKind`] where there is nothing to reset.
    pub fn reset(&self, name: &str) -> Result<(), Unregistered> {
        match self.known(name)? {
            Part::Breaker(breaker) => breaker.reset(),
            Part::Limiter(limiter) => limiter.release(),
            _ => return Err(Unregistered::OtherKind(name.to_owned())),
        }
        Ok(())
    }

    /// Has a breaker reject everything until it is [`reset`](Self::reset).
    ///
    /// # Errors
    ///
    /// [`Unregistered::Unknown`]; [`Unregistered::OtherKind`] where it is no breaker.
    pub fn force_open(&self, name: &str) -> Result<(), Unregistered> {
        match self.known(name)? {
            Part::Breaker(breaker) => breaker.force_open(),
            _ => return Err(Unregistered::OtherKind(name.to_owned())),
        }
        Ok(())
    }

    /// Has a part follow other settings from now on.
    ///
    /// # Errors
    ///
    /// [`Unregistered::Unknown`], [`Unregistered::OtherKind`], [`Unregistered::Settings`]; it follows the old ones.
    pub fn set(&self, name: &str, change: Change) -> Result<(), Unregistered> {
        match (self.known(name)?, change) {
            (Part::Breaker(breaker), Change::Breaker(settings)) => breaker.set(settings),
            (Part::Limiter(limiter), Change::Limiter(limit)) => limiter.set(limit),
            (Part::Bulkhead(bulkhead), Change::Bulkhead(settings)) => bulkhead.set(settings),
            (Part::Adaptive(limit), Change::Adaptive(settings)) => limit.set(settings),
            (Part::Budget(budget), Change::Budget(settings)) => budget.set(settings),
            (Part::Shedder(shedder), Change::Shedder(settings)) => shedder.set(settings),
            _ => return Err(Unregistered::OtherKind(name.to_owned())),
        }
        .map_err(Unregistered::Settings)
    }

    fn known(&self, name: &str) -> Result<Part, Unregistered> {
        self.get(name)
            .ok_or_else(|| Unregistered::Unknown(name.to_owned()))
    }
}

impl Part {
    /// How it stands.
    pub fn status(&self) -> PartStatus {
        match self {
            Self::Breaker(part) => PartStatus::Breaker(part.status()),
            Self::Limiter(part) => PartStatus::Limiter(part.status()),
            Self::Bulkhead(part) => PartStatus::Bulkhead(part.status()),
            Self::Adaptive(part) => PartStatus::Adaptive(part.status()),
            Self::Budget(part) => PartStatus::Budget(part.status()),
            Self::Shedder(part) => PartStatus::Shedder(part.status()),
        }
    }
}

impl fmt::Display for Unregistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "nothing is registered as `{name}`"),
            Self::Taken(name) => write!(f, "something is registered as `{name}` already"),
            Self::OtherKind(name) => write!(f, "what is registered as `{name}` is of another kind"),
            Self::Settings(error) => write!(f, "the settings cannot work: {error}"),
            Self::Full => write!(f, "there are {} parts already", Registry::PARTS_MAX),
        }
    }
}

impl std::error::Error for Unregistered {}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> (Registry, Arc<Breaker>) {
        let clock = mainstay_clock::system();
        let registry = Registry::new();
        let settings = BreakerSettings::default();
        let breaker = Arc::new(Breaker::new("hub", settings, clock.clone()).unwrap());
        let limiter = RateLimiter::new("hub", RateLimit::default(), clock.clone()).unwrap();
        let budget = RetryBudget::new(BudgetSettings::default(), clock).unwrap();
        for (name, part) in [
            ("hub/breaker", Part::Breaker(Arc::clone(&breaker))),
            ("hub/limiter", Part::Limiter(Arc::new(limiter))),
            ("hub/budget", Part::Budget(Arc::new(budget))),
        ] {
            registry.add(name, part).unwrap();
        }
        (registry, breaker)
    }

    #[test]
    fn what_is_registered_is_the_same_part_and_is_never_replaced_silently() {
        let (registry, breaker) = registry();
        let Some(Part::Breaker(found)) = registry.get("hub/breaker") else {
            panic!("it was registered");
        };
        assert!(Arc::ptr_eq(&found, &breaker));
        let again = registry.add("hub/breaker", Part::Breaker(found));
        assert_eq!(again, Err(Unregistered::Taken("hub/breaker".to_owned())));
    }

    #[test]
    fn a_part_is_removed_only_where_the_condition_holds() {
        let (registry, breaker) = registry();
        drop(breaker);
        let mut asked = 0;
        let mut remove = |name, is_to_go| {
            let removed = registry.remove_if(name, |_| {
                asked += 1;
                is_to_go
            });
            removed.is_some()
        };
        assert!(!remove("hub", true), "there is none");
        assert!(!remove("hub/breaker", false));
        assert!(registry.get("hub/breaker").is_some());
        assert!(remove("hub/breaker", true));
        assert!(registry.get("hub/breaker").is_none() && asked == 2);
    }

    #[test]
    fn all_are_listed_with_how_they_stand() {
        let (registry, breaker) = registry();
        breaker.force_open();
        let status = registry.status();
        let names: Vec<&str> = status.keys().map(String::as_str).collect();
        assert_eq!(names, ["hub/breaker", "hub/budget", "hub/limiter"]);
        let told = serde_json::to_value(&status).unwrap();
        assert_eq!(told["hub/breaker"]["kind"], "breaker");
        assert_eq!(told["hub/breaker"]["state"], "forced_open");
    }

    #[test]
    fn a_part_is_changed_and_reset_by_its_name_and_a_wrong_name_or_kind_is_told() {
        let (registry, breaker) = registry();
        let settings = BreakerSettings {
            consecutive: Some(1),
            ..BreakerSettings::default()
        };
        registry
            .set("hub/breaker", Change::Breaker(settings.clone()))
            .unwrap();
        breaker.enter().unwrap().failure();
        assert!(breaker.enter().is_err());
        registry.reset("hub/breaker").unwrap();
        assert!(breaker.enter().is_ok());

        let unknown = registry.reset("hub").unwrap_err();
        assert_eq!(unknown.to_string(), "nothing is registered as `hub`");
        let other = registry.set("hub/limiter", Change::Breaker(settings));
        assert_eq!(
            other,
            Err(Unregistered::OtherKind("hub/limiter".to_owned()))
        );
        let wrong = Change::Breaker(BreakerSettings {
            consecutive: Some(0),
            ..BreakerSettings::default()
        });
        let refused = registry.set("hub/breaker", wrong).unwrap_err();
        assert!(refused.to_string().contains("consecutive"), "{refused}");
    }

    #[test]
    fn every_kind_of_part_follows_other_settings_at_once_and_none_that_cannot_work() {
        let (registry, _) = registry();
        let clock = mainstay_clock::system();
        let limit = AdaptiveLimit::new("hub", AdaptiveSettings::default(), clock).unwrap();
        let shedder = LoadShedder::new("hub", Shedding::default(), || 0.5).unwrap();
        let (limit, shedder) = (Arc::new(limit), Arc::new(shedder));
        for (name, part) in [
            ("hub/adaptive", Part::Adaptive(Arc::clone(&limit))),
            ("hub/shedder", Part::Shedder(Arc::clone(&shedder))),
        ] {
            registry.add(name, part).unwrap();
        }
        let none = BudgetSettings {
            least: 0,
            ..BudgetSettings::default()
        };
        let small = AdaptiveSettings {
            initial: 2,
            min: 1,
            max: 3,
            ..AdaptiveSettings::default()
        };
        let early = Shedding {
            low: 0.4,
            ..Shedding::default()
        };
        registry.set("hub/budget", Change::Budget(none)).unwrap();
        registry
            .set("hub/adaptive", Change::Adaptive(small))
            .unwrap();
        registry.set("hub/shedder", Change::Shedder(early)).unwrap();
        let Some(PartStatus::Budget(budget)) = registry.status().remove("hub/budget") else {
            panic!("it was registered");
        };
        assert_eq!(budget.left, 0, "nobody has paid for a retry");
        assert_eq!(limit.status().limit, 3, "it was 20");
        assert!(shedder.admit(crate::Priority::Low).is_err());

        let impossible = [
            (
                "hub/budget",
                Change::Budget(BudgetSettings {
                    share: -1.0,
                    ..none
                }),
            ),
            (
                "hub/adaptive",
                Change::Adaptive(AdaptiveSettings { min: 0, ..small }),
            ),
            (
                "hub/shedder",
                Change::Shedder(Shedding { low: 2.0, ..early }),
            ),
        ];
        for (name, change) in impossible {
            let refused = registry.set(name, change.clone()).unwrap_err();
            assert!(matches!(refused, Unregistered::Settings(_)), "{name}");
            let other = registry.set("hub/limiter", change);
            assert_eq!(
                other,
                Err(Unregistered::OtherKind("hub/limiter".to_owned()))
            );
        }
        assert_eq!(limit.status().limit, 3);
        assert!(shedder.admit(crate::Priority::Low).is_err());
    }

    #[test]
    fn a_breaker_is_forced_open_by_its_name_and_nothing_else_is() {
        let (registry, breaker) = registry();
        registry.force_open("hub/breaker").unwrap();
        assert_eq!(breaker.state(), crate::BreakerState::ForcedOpen);
        let other = registry.force_open("hub/budget");
        assert_eq!(other, Err(Unregistered::OtherKind("hub/budget".to_owned())));
        registry.reset("hub/breaker").unwrap();
        assert!(breaker.enter().is_ok());
    }
}

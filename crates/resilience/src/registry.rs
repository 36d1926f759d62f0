//! Every protection of a program by its name: to look at, to reset, to change while it runs.

use crate::adaptive::{AdaptiveLimit, AdaptiveSettings, AdaptiveStatus};
use crate::breaker::{Breaker, BreakerSettings, BreakerStatus};
use crate::budget::{BudgetSettings, BudgetStatus, RetryBudget};
use crate::bulkhead::{Bulkhead, BulkheadSettings, BulkheadStatus};
use crate::error::InvalidSettings;
use crate::hedge::{Hedge, HedgeSettings, HedgeStatus};
use crate::keyed::{AnyKeyed, KeyedStatus};
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
    /// A rate limiter for each key.
    Keyed(Arc<dyn AnyKeyed>),
    /// A hedge.
    Hedge(Arc<Hedge>),
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
    /// A rate limiter for each key.
    Keyed(KeyedStatus),
    /// A hedge.
    Hedge(HedgeStatus),
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
    /// Of a rate limiter, or of each key of a keyed one.
    Limiter(RateLimit),
    /// Of a hedge.
    Hedge(HedgeSettings),
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

    /// Puts a part back to its beginning; what is under way goes on, and nobody loses what it holds.
    ///
    /// | part | what its reset does |
    /// |---|---|
    /// | breaker | closes it |
    /// | limiter, keyed limiter | ends the hold that a server asked for; permits that were taken stay taken |
    /// | bulkhead | counts from 0 |
    /// | adaptive limit | begins at its initial limit, and counts from 0 |
    /// | budget | forgets calls and retries, so that there is as much left as at the beginning |
    /// | shedder | forgets which load there was before, and counts from 0 |
    /// | hedge | forgets what the last calls took, and counts from 0 |
    ///
    /// # Errors
    ///
    /// [`Unregistered::Unknown`].
    pub fn reset(&self, name: &str) -> Result<(), Unregistered> {
        match self.known(name)? {
            Part::Breaker(breaker) => breaker.reset(),
            Part::Limiter(limiter) => limiter.release(),
            Part::Keyed(limiter) => limiter.release(),
            Part::Bulkhead(bulkhead) => bulkhead.reset(),
            Part::Adaptive(limit) => limit.reset(),
            Part::Budget(budget) => budget.reset(),
            Part::Shedder(shedder) => shedder.reset(),
            Part::Hedge(hedge) => hedge.reset(),
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
            (Part::Keyed(limiter), Change::Limiter(limit)) => limiter.set(limit),
            (Part::Hedge(hedge), Change::Hedge(settings)) => hedge.set(settings),
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
            Self::Keyed(part) => PartStatus::Keyed(part.status()),
            Self::Hedge(part) => PartStatus::Hedge(part.status()),
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
mod tests;

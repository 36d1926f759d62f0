//! What is kept of each origin: its breaker, its limit, its places.

use crate::error::Error;
use crate::settings::ClientSettings;
use crate::shown;
use crate::status;
use mainstay_clock::SharedClock;
use mainstay_resilience::{
    Breaker, Bulkhead, InvalidSettings, Part, RateLimiter, Registry, RetryBudget, RetrySettings,
    Stack,
};
use mainstay_wire::Told;
use reqwest::Url;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Scheme, host and port of a server, and what protects it and us.
#[derive(Debug)]
pub(crate) struct Origin {
    name: String,
    breaker: Arc<Breaker>,
    limiter: Arc<RateLimiter>,
    bulkhead: Arc<Bulkhead>,
}

/// The origins that were asked lately; the one not asked for longest goes when there are too many.
#[derive(Debug)]
pub(crate) struct Origins {
    registry: Arc<Registry>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<String, (Arc<Origin>, u64)>,
    /// Counts uses, so that the oldest can be told.
    uses: u64,
}

/// What a stack is put together from besides the origin's own parts.
pub(crate) struct Course<'a> {
    pub(crate) settings: &'a ClientSettings,
    pub(crate) clock: &'a SharedClock,
    pub(crate) budget: &'a Arc<RetryBudget>,
    /// What is left of the total limit.
    pub(crate) left: Duration,
    /// Whether it may be made more than once.
    pub(crate) is_repeatable: bool,
}

impl Origins {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            known: Mutex::default(),
        }
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// That of an address, new where it was not asked lately.
    pub(crate) fn of(
        &self,
        url: &Url,
        settings: &ClientSettings,
        clock: &SharedClock,
    ) -> Result<Arc<Origin>, Error> {
        let name = shown::origin(url);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.uses += 1;
        let uses = known.uses;
        if let Some((origin, used)) = known.by_name.get_mut(&name) {
            *used = uses;
            return Ok(Arc::clone(origin));
        }
        while known.by_name.len() >= settings.origins_max.max(1) {
            self.forget_oldest(&mut known);
        }
        let origin =
            Origin::new(&name, settings, clock, &self.registry).map_err(|error| refused(&error))?;
        let origin = Arc::new(origin);
        known.by_name.insert(name, (Arc::clone(&origin), uses));
        Ok(origin)
    }

    fn forget_oldest(&self, known: &mut Known) {
        let oldest = known
            .by_name
            .iter()
            .min_by_key(|(_, (_, used))| *used)
            .map(|(name, _)| name.clone());
        let Some(name) = oldest else { return };
        known.by_name.remove(&name);
        for part in ["breaker", "limiter", "bulkhead"] {
            drop(self.registry.remove(&format!("{name}/{part}")));
        }
    }
}

impl Origin {
    /// With the parts that are registered for it where another client has registered some, so that both see one breaker.
    fn new(
        name: &str,
        settings: &ClientSettings,
        clock: &SharedClock,
        registry: &Registry,
    ) -> Result<Self, InvalidSettings> {
        let breaker = match registry.get(&format!("{name}/breaker")) {
            Some(Part::Breaker(breaker)) => breaker,
            _ => Arc::new(Breaker::new(name, settings.breaker.clone(), clock.clone())?),
        };
        let limiter = match registry.get(&format!("{name}/limiter")) {
            Some(Part::Limiter(limiter)) => limiter,
            _ => Arc::new(RateLimiter::new(name, settings.limit, clock.clone())?),
        };
        let bulkhead = match registry.get(&format!("{name}/bulkhead")) {
            Some(Part::Bulkhead(bulkhead)) => bulkhead,
            _ => Arc::new(Bulkhead::new(name, settings.bulkhead, clock.clone())?),
        };
        for (part, of) in [
            ("breaker", Part::Breaker(Arc::clone(&breaker))),
            ("limiter", Part::Limiter(Arc::clone(&limiter))),
            ("bulkhead", Part::Bulkhead(Arc::clone(&bulkhead))),
        ] {
            // Taken: it is the same part. Full: it works, and is not listed.
            drop(registry.add(&format!("{name}/{part}"), of));
        }
        Ok(Self {
            name: name.to_owned(),
            breaker,
            limiter,
            bulkhead,
        })
    }

    /// Its name, such as `https://h.example:443`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The stack of one request: the origin's own parts, and the limits of the request.
    pub(crate) fn stack(&self, course: &Course<'_>) -> Result<Stack, Error> {
        let retry = RetrySettings {
            attempts: if course.is_repeatable {
                course.settings.retry.attempts
            } else {
                1
            },
            deadline: None,
            ..course.settings.retry.clone()
        };
        Stack::builder(&self.name, course.clock.clone())
            .deadline(course.left)
            .retry(retry)
            .budget(Arc::clone(course.budget))
            .breaker(Arc::clone(&self.breaker))
            .limiter(Arc::clone(&self.limiter), course.settings.limit_wait)
            .bulkhead(Arc::clone(&self.bulkhead))
            .build()
            .map_err(|error| refused(&error))
    }

    /// Keeps to what the server said of its limits.
    pub(crate) fn heed(&self, code: u16, told: &Told) {
        let wait = told
            .retry_after
            .filter(|_| status::may_ask_for_a_wait(code));
        if wait.is_some() || told.remaining.is_some() {
            self.limiter.observe(told.remaining, told.reset_in, wait);
        }
    }
}

fn refused(error: &InvalidSettings) -> Error {
    Error::settings(format!("the settings of the client cannot work: {error}"))
}

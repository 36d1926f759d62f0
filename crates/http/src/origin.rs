//! What is kept of each origin: its breaker, its limit, its places.

use crate::error::Error;
use crate::settings::ClientSettings;
use crate::shown;
use crate::status;
use mainstay_clock::SharedClock;
use mainstay_resilience::{
    AdaptiveLimit, Breaker, Bulkhead, Hedge, InvalidSettings, Part, RateLimiter, Registry,
    RetryBudget, RetrySettings, Retrying, Stack,
};
use mainstay_wire::Told;
use reqwest::Url;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Scheme, host and port of a server, and what protects it and us.
#[derive(Debug)]
pub(crate) struct Origin {
    name: String,
    breaker: Arc<Breaker>,
    limiter: Arc<RateLimiter>,
    bulkhead: Arc<Bulkhead>,
    /// Where it is wished for.
    adaptive: Option<Arc<AdaptiveLimit>>,
    hedge: Option<Arc<Hedge>>,
    /// What a request goes through, by its kind. Put together when the first of its kind comes.
    stacks: [OnceLock<Stack>; 3],
}

/// The origins that were asked lately; when there are too many, the one not asked for longest goes that no request is using.
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
    /// Room for the name of the one that is looked for.
    name: String,
}

/// What a stack is put together from besides the origin's own parts.
pub(crate) struct Course<'a> {
    pub(crate) settings: &'a ClientSettings,
    pub(crate) clock: &'a SharedClock,
    pub(crate) budget: &'a Arc<RetryBudget>,
    /// Whether it may be made more than once.
    pub(crate) is_repeatable: bool,
    /// Whether that may be at the same time.
    pub(crate) may_be_copied: bool,
}

/// What may be done with a request; the number is the place of its stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Once,
    Again,
    Copied,
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
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known {
            by_name,
            uses,
            name,
        } = &mut *known;
        *uses += 1;
        name.clear();
        shown::write_origin(url, name);
        if let Some((origin, used)) = by_name.get_mut(name) {
            *used = *uses;
            return Ok(Arc::clone(origin));
        }
        let (name, uses) = (name.clone(), *uses);
        while known.by_name.len() >= settings.origins_max.max(1) && self.forget_oldest(&mut known) {
        }
        let origin =
            Origin::new(&name, settings, clock, &self.registry).map_err(|error| refused(&error))?;
        let origin = Arc::new(origin);
        known.by_name.insert(name, (Arc::clone(&origin), uses));
        Ok(origin)
    }

    /// What is tried again now, by the name of its origin.
    pub(crate) fn retrying(&self) -> BTreeMap<String, Retrying> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let origins = known.by_name.iter();
        origins
            .filter_map(|(name, (origin, _))| Some((name.clone(), origin.retrying()?)))
            .collect()
    }

    /// Forgets the one not asked for longest that no request is using; `false` where all are in use.
    fn forget_oldest(&self, known: &mut Known) -> bool {
        let oldest = known
            .by_name
            .iter()
            .filter(|(_, (origin, _))| Arc::strong_count(origin) == 1)
            .min_by_key(|(_, (_, used))| *used)
            .map(|(name, _)| name.clone());
        let Some((origin, _)) = oldest.and_then(|name| known.by_name.remove(&name)) else {
            return false;
        };
        origin.unlist(&self.registry);
        true
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
        let breaker = shared(
            registry,
            &format!("{name}/breaker"),
            Part::Breaker,
            |part| match part {
                Part::Breaker(breaker) => Some(breaker),
                _ => None,
            },
            || Breaker::new(name, settings.breaker.clone(), clock.clone()),
        )?;
        let limiter = shared(
            registry,
            &format!("{name}/limiter"),
            Part::Limiter,
            |part| match part {
                Part::Limiter(limiter) => Some(limiter),
                _ => None,
            },
            || RateLimiter::new(name, settings.limit, clock.clone()),
        )?;
        let bulkhead = shared(
            registry,
            &format!("{name}/bulkhead"),
            Part::Bulkhead,
            |part| match part {
                Part::Bulkhead(bulkhead) => Some(bulkhead),
                _ => None,
            },
            || Bulkhead::new(name, settings.bulkhead, clock.clone()),
        )?;
        let adaptive = settings.adaptive.map(|settings| {
            shared(
                registry,
                &format!("{name}/adaptive"),
                Part::Adaptive,
                |part| match part {
                    Part::Adaptive(limit) => Some(limit),
                    _ => None,
                },
                || AdaptiveLimit::new(name, settings, clock.clone()),
            )
        });
        let hedge = settings.hedge.map(|settings| {
            shared(
                registry,
                &format!("{name}/hedge"),
                Part::Hedge,
                |part| match part {
                    Part::Hedge(hedge) => Some(hedge),
                    _ => None,
                },
                || Hedge::new(settings, clock.clone()),
            )
        });
        Ok(Self {
            name: name.to_owned(),
            breaker,
            limiter,
            bulkhead,
            adaptive: adaptive.transpose()?,
            hedge: hedge.transpose()?,
            stacks: Default::default(),
        })
    }

    /// Takes its parts from the list, except those that another client still has: it would go on with one, and the next with
    /// another.
    fn unlist(self: Arc<Self>, registry: &Registry) {
        // Besides the registry, only we and our stacks have it; and while it is asked, nobody gets it from there.
        let stacks = || self.stacks.iter().filter_map(OnceLock::get);
        let ours = 2 + stacks().count();
        let ours_of_hedge = 2 + stacks().filter(|stack| stack.hedge().is_some()).count();
        let is_ours_alone = |part: &Part| match part {
            Part::Breaker(part) => Arc::strong_count(part) <= ours,
            Part::Limiter(part) => Arc::strong_count(part) <= ours,
            Part::Bulkhead(part) => Arc::strong_count(part) <= ours,
            Part::Adaptive(part) => Arc::strong_count(part) <= ours,
            Part::Hedge(part) => Arc::strong_count(part) <= ours_of_hedge,
            _ => false,
        };
        for part in ["breaker", "limiter", "bulkhead", "adaptive", "hedge"] {
            drop(registry.remove_if(&format!("{}/{part}", self.name), is_ours_alone));
        }
    }

    /// Its name, such as `https://h.example:443`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What a request goes through: the origin's own parts, and the client's retry. The time that the request has is its own.
    pub(crate) fn stack(&self, course: &Course<'_>) -> Result<&Stack, Error> {
        let kind = match (course.is_repeatable, course.may_be_copied) {
            (true, true) if self.hedge.is_some() => Kind::Copied,
            (true, _) => Kind::Again,
            (false, _) => Kind::Once,
        };
        let place = &self.stacks[kind as usize];
        if let Some(stack) = place.get() {
            return Ok(stack);
        }
        let stack = self.put_together(course, kind)?;
        Ok(place.get_or_init(|| stack))
    }

    /// What is tried again now.
    fn retrying(&self) -> Option<Retrying> {
        let retries = self.stacks.iter().filter_map(|stack| stack.get()?.retry());
        let told = retries.filter_map(|retry| retry.watch().borrow().clone());
        told.max_by_key(|retrying| retrying.attempt)
    }

    fn put_together(&self, course: &Course<'_>, kind: Kind) -> Result<Stack, Error> {
        let retry = RetrySettings {
            attempts: match kind {
                Kind::Once => 1,
                Kind::Again | Kind::Copied => course.settings.retry.attempts,
            },
            deadline: None,
            ..course.settings.retry.clone()
        };
        let mut builder = Stack::builder(&self.name, course.clock.clone())
            .retry(retry)
            .budget(Arc::clone(course.budget))
            .breaker(Arc::clone(&self.breaker))
            .limiter(Arc::clone(&self.limiter), course.settings.limit_wait)
            .bulkhead(Arc::clone(&self.bulkhead));
        if let Some(limit) = &self.adaptive {
            builder = builder.adaptive(Arc::clone(limit));
        }
        if let Some(hedge) = self.hedge.as_ref().filter(|_| kind == Kind::Copied) {
            builder = builder.hedge(Arc::clone(hedge)).idempotent();
        }
        builder.build().map_err(|error| refused(&error))
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

/// The part of this name that is listed, or a new one, which is listed then.
fn shared<T>(
    registry: &Registry,
    name: &str,
    list: impl FnOnce(Arc<T>) -> Part,
    is: impl Fn(Part) -> Option<Arc<T>>,
    make: impl FnOnce() -> Result<T, InvalidSettings>,
) -> Result<Arc<T>, InvalidSettings> {
    let listed = || registry.get(name).and_then(&is);
    if let Some(part) = listed() {
        return Ok(part);
    }
    let part = Arc::new(make()?);
    match registry.add(name, list(Arc::clone(&part))) {
        Ok(()) => Ok(part),
        // Taken: another client was quicker, and both have to see one part. Full: it works, and is not listed.
        Err(_) => Ok(listed().unwrap_or(part)),
    }
}

fn refused(error: &InvalidSettings) -> Error {
    Error::settings(format!("the settings of the client cannot work: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    fn settings() -> ClientSettings {
        ClientSettings {
            origins_max: 2,
            ..ClientSettings::default()
        }
    }

    fn of(origins: &Origins, name: &str) -> Arc<Origin> {
        let url = Url::parse(&format!("http://{name}/")).unwrap();
        origins
            .of(&url, &settings(), &mainstay_clock::system())
            .unwrap()
    }

    fn is_listed(registry: &Registry, name: &str) -> bool {
        registry.get(&format!("http://{name}:80/breaker")).is_some()
    }

    /// One that was forgotten under a request came back with another breaker, and the places of both were taken.
    #[test]
    fn an_origin_that_is_in_use_is_not_forgotten() {
        let registry = Arc::new(Registry::new());
        let origins = Origins::new(Arc::clone(&registry));
        let used = of(&origins, "used");
        drop(of(&origins, "idle"));
        drop(of(&origins, "new"));
        assert!(Arc::ptr_eq(&used.breaker, &of(&origins, "used").breaker));
        assert!(is_listed(&registry, "used") && !is_listed(&registry, "idle"));
        // Where all are in use there is one more, until some are not.
        let held = [of(&origins, "new"), of(&origins, "more")];
        assert!(Arc::ptr_eq(&used, &of(&origins, "used")));
        drop((held, used));
        drop(of(&origins, "last"));
        let listed = ["used", "new", "more", "last"].map(|name| is_listed(&registry, name));
        assert_eq!(listed.iter().filter(|is| **is).count(), 2, "{listed:?}");
        assert!(is_listed(&registry, "last"));
    }

    #[test]
    fn what_another_client_still_has_stays_listed() {
        let registry = Arc::new(Registry::new());
        let [one, other] = [(); 2].map(|()| Origins::new(Arc::clone(&registry)));
        let shared = of(&other, "shared");
        drop(of(&one, "shared"));
        for name in ["a", "b"] {
            drop(of(&one, name));
        }
        assert!(is_listed(&registry, "shared"));
        assert!(Arc::ptr_eq(&shared.breaker, &of(&one, "shared").breaker));
    }

    #[test]
    fn clients_that_come_to_an_origin_at_once_share_its_parts() {
        let registry = Arc::new(Registry::new());
        for round in 0..500 {
            let name = format!("h{round}");
            let start = Barrier::new(2);
            let come = || {
                let origins = Origins::new(Arc::clone(&registry));
                start.wait();
                of(&origins, &name)
            };
            let (one, other) = std::thread::scope(|scope| {
                let one = scope.spawn(come);
                (come(), one.join().unwrap())
            });
            assert!(Arc::ptr_eq(&one.breaker, &other.breaker), "{round}");
            assert!(Arc::ptr_eq(&one.limiter, &other.limiter), "{round}");
            assert!(Arc::ptr_eq(&one.bulkhead, &other.bulkhead), "{round}");
        }
    }

    /// Between the look at who has a part, and its leaving the list, another client took it from there: it went on with one
    /// breaker, and the next with another.
    #[test]
    fn a_part_that_somebody_takes_at_the_last_moment_stays_listed() {
        for round in 0..2_000 {
            let registry = Arc::new(Registry::new());
            let name = "a";
            let one = Origins::new(Arc::clone(&registry));
            drop(of(&one, name));
            drop(of(&one, "b"));
            let start = Barrier::new(2);
            let other = std::thread::scope(|scope| {
                let forgetting = scope.spawn(|| {
                    start.wait();
                    drop(of(&one, "c"));
                });
                start.wait();
                let other = of(&Origins::new(Arc::clone(&registry)), name);
                forgetting.join().unwrap();
                other
            });
            let third = of(&Origins::new(Arc::clone(&registry)), name);
            assert!(Arc::ptr_eq(&other.breaker, &third.breaker), "{round}");
            assert!(Arc::ptr_eq(&other.limiter, &third.limiter), "{round}");
            assert!(Arc::ptr_eq(&other.bulkhead, &third.bulkhead), "{round}");
        }
    }
}

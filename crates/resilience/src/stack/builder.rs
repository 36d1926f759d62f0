//! Puts a stack together.

use super::fallback::{Fallback, WithFallback};
use super::hedged::Hedged;
use super::order::{self, Layer};
use super::{Gate, Stack};
use crate::adaptive::AdaptiveLimit;
use crate::breaker::Breaker;
use crate::budget::RetryBudget;
use crate::bulkhead::Bulkhead;
use crate::error::InvalidSettings;
use crate::hedge::Hedge;
use crate::limiter::RateLimiter;
use crate::random::Random;
use crate::retry::{Retry, RetrySettings};
use crate::shed::LoadShedder;
use mainstay_clock::SharedClock;
use std::sync::Arc;
use std::time::Duration;

/// Puts a [`Stack`] together; what is not named is not there.
///
/// Without an order of its own it takes this one, from the outside in:
///
/// | layer | why here |
/// |---|---|
/// | fallback | sees what all below comes to, and is neither tried again, nor counted, nor cut off |
/// | deadline | covers attempts, pauses and all waiting |
/// | shedder | a call is turned away once, not once for each attempt |
/// | retry | each attempt asks everything below anew |
/// | hedge | its copies are one attempt to the retry, which pays for them; to all below each copy is a call of its own |
/// | breaker | each attempt counts by itself; what it turns away costs nothing below |
/// | limiter | a call that waits for its turn holds no place below |
/// | bulkhead, adaptive limit | a place is held only while the call is made |
/// | limit of an attempt | counts the call alone, not our own waiting |
///
/// `O` is the fallback, of which there is none at first.
#[derive(Debug)]
pub struct StackBuilder<O = ()> {
    name: String,
    clock: SharedClock,
    order: Option<Vec<Layer>>,
    deadline: Option<Duration>,
    shedder: Option<Arc<LoadShedder>>,
    retry: Option<RetrySettings>,
    budget: Option<Arc<RetryBudget>>,
    random: Option<Random>,
    breaker: Option<Arc<Breaker>>,
    limiter: Option<(Arc<RateLimiter>, Duration)>,
    bulkhead: Option<Arc<Bulkhead>>,
    adaptive: Option<Arc<AdaptiveLimit>>,
    attempt_limit: Option<Duration>,
    hedge: Option<Arc<Hedge>>,
    is_idempotent: bool,
    fallback: O,
}

impl StackBuilder {
    pub(super) fn new(name: &str, clock: SharedClock) -> Self {
        Self {
            name: name.to_owned(),
            clock,
            order: None,
            deadline: None,
            shedder: None,
            retry: None,
            budget: None,
            random: None,
            breaker: None,
            limiter: None,
            bulkhead: None,
            adaptive: None,
            attempt_limit: None,
            hedge: None,
            is_idempotent: false,
            fallback: (),
        }
    }

    /// Does `otherwise` with the error of a call that came to nothing, whatever ended it: a failure, a rejection, a limit of time.
    ///
    /// No limit of time covers it, so that it has its own where it needs one. A call whose future is dropped has none.
    #[must_use]
    pub fn fallback<O>(self, otherwise: O) -> StackBuilder<Fallback<O>> {
        StackBuilder {
            name: self.name,
            clock: self.clock,
            order: self.order,
            deadline: self.deadline,
            shedder: self.shedder,
            retry: self.retry,
            budget: self.budget,
            random: self.random,
            breaker: self.breaker,
            limiter: self.limiter,
            bulkhead: self.bulkhead,
            adaptive: self.adaptive,
            attempt_limit: self.attempt_limit,
            hedge: self.hedge,
            is_idempotent: self.is_idempotent,
            fallback: Fallback(otherwise),
        }
    }

    /// The stack.
    ///
    /// # Errors
    ///
    /// An order in which something does not protect, or that names other layers than those that are there; settings of the retry
    /// that cannot work; a limit of time of 0; a hedge without a budget, or without the word that the calls are
    /// [`idempotent`](Self::idempotent).
    pub fn build(self) -> Result<Stack, InvalidSettings> {
        self.put_together(false).map(|(stack, ())| stack)
    }
}

impl<O> StackBuilder<Fallback<O>> {
    /// The stack with its fallback.
    ///
    /// # Errors
    ///
    /// As without one.
    pub fn build(self) -> Result<WithFallback<O>, InvalidSettings> {
        let (stack, Fallback(otherwise)) = self.put_together(true)?;
        Ok(WithFallback::new(stack, otherwise))
    }
}

impl<O> StackBuilder<O> {
    /// All together takes no longer, whatever the retry's own deadline.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// Turns calls away while there is too much to do.
    #[must_use]
    pub fn shedder(self, shedder: Arc<LoadShedder>) -> Self {
        Self {
            shedder: Some(shedder),
            ..self
        }
    }

    /// Tries again.
    #[must_use]
    pub fn retry(self, settings: RetrySettings) -> Self {
        Self {
            retry: Some(settings),
            ..self
        }
    }

    /// Takes retries and the copies of a hedge out of this budget.
    #[must_use]
    pub fn budget(self, budget: Arc<RetryBudget>) -> Self {
        Self {
            budget: Some(budget),
            ..self
        }
    }

    /// Takes waits from this randomness.
    #[must_use]
    pub fn random(self, random: Random) -> Self {
        Self {
            random: Some(random),
            ..self
        }
    }

    /// Stops calling what does not work.
    #[must_use]
    pub fn breaker(self, breaker: Arc<Breaker>) -> Self {
        Self {
            breaker: Some(breaker),
            ..self
        }
    }

    /// Calls no more often than allowed; waits for its turn so long at most.
    #[must_use]
    pub fn limiter(self, limiter: Arc<RateLimiter>, max_wait: Duration) -> Self {
        Self {
            limiter: Some((limiter, max_wait)),
            ..self
        }
    }

    /// Has no more calls under way than allowed.
    #[must_use]
    pub fn bulkhead(self, bulkhead: Arc<Bulkhead>) -> Self {
        Self {
            bulkhead: Some(bulkhead),
            ..self
        }
    }

    /// Has no more calls under way than the other side bears.
    #[must_use]
    pub fn adaptive(self, limit: Arc<AdaptiveLimit>) -> Self {
        Self {
            adaptive: Some(limit),
            ..self
        }
    }

    /// An attempt takes no longer.
    #[must_use]
    pub fn attempt_limit(self, limit: Duration) -> Self {
        Self {
            attempt_limit: Some(limit),
            ..self
        }
    }

    /// Starts another copy of an attempt that is slow, and takes the first success; each copy passes everything further in by itself.
    ///
    /// A copy is paid for by the [`budget`](Self::budget), as a retry is, and none is started while none of those before has passed
    /// our own limits: it would only stand in line behind them. Needs [`idempotent`](Self::idempotent).
    #[must_use]
    pub fn hedge(self, hedge: Arc<Hedge>) -> Self {
        Self {
            hedge: Some(hedge),
            ..self
        }
    }

    /// Says that a call does no harm when it is made several times at once, also when it is given up halfway.
    #[must_use]
    pub fn idempotent(self) -> Self {
        Self {
            is_idempotent: true,
            ..self
        }
    }

    /// Puts the layers in this order, from the outside in, and not in that which the table shows.
    #[must_use]
    pub fn order(self, order: &[Layer]) -> Self {
        Self {
            order: Some(order.to_vec()),
            ..self
        }
    }

    fn put_together(self, has_fallback: bool) -> Result<(Stack, O), InvalidSettings> {
        let order = self.checked_order(has_fallback)?;
        for (limit, name) in [
            (self.deadline, "deadline"),
            (self.attempt_limit, "attempt_limit"),
        ] {
            if limit.is_some_and(|limit| limit.is_zero()) {
                return Err(InvalidSettings::new(format!("`{name}` is 0")));
            }
        }
        let gates = self.gates(&order);
        let hedged = self.hedged()?;
        let retry = match self.retry {
            None => None,
            Some(mut settings) => {
                settings.deadline = self.deadline.or(settings.deadline);
                let mut retry = Retry::new(&self.name, settings, self.clock.clone())?;
                if let Some(budget) = self.budget {
                    retry = retry.paid_by(budget);
                }
                if let Some(random) = self.random {
                    retry = retry.with_random(random);
                }
                Some(retry)
            }
        };
        let stack = Stack {
            name: self.name.as_str().into(),
            clock: self.clock,
            order,
            deadline: self.deadline,
            shedder: self.shedder,
            retry,
            hedged,
            gates,
            attempt_limit: self.attempt_limit,
        };
        Ok((stack, self.fallback))
    }

    fn gates(&self, order: &[Layer]) -> Vec<Gate> {
        order
            .iter()
            .filter_map(|layer| match layer {
                Layer::Breaker => self.breaker.clone().map(Gate::Breaker),
                Layer::Limiter => {
                    let (limiter, wait) = self.limiter.clone()?;
                    Some(Gate::Limiter(limiter, wait))
                }
                Layer::Bulkhead => self.bulkhead.clone().map(Gate::Bulkhead),
                Layer::Adaptive => self.adaptive.clone().map(Gate::Adaptive),
                _ => None,
            })
            .collect()
    }

    fn hedged(&self) -> Result<Option<Hedged>, InvalidSettings> {
        let Some(hedge) = &self.hedge else {
            return Ok(None);
        };
        if !self.is_idempotent {
            return Err(InvalidSettings::new(
                "a hedge makes a call several times at once: say `idempotent` if that does no harm",
            ));
        }
        let Some(budget) = &self.budget else {
            return Err(InvalidSettings::new(
                "a hedge needs a `budget`: without one every call is made several times as soon as all are slow",
            ));
        };
        Ok(Some(Hedged {
            hedge: Arc::clone(hedge),
            budget: Arc::clone(budget),
        }))
    }

    fn checked_order(&self, has_fallback: bool) -> Result<Vec<Layer>, InvalidSettings> {
        let is_there = |layer: &Layer| match layer {
            Layer::Fallback => has_fallback,
            Layer::Hedge => self.hedge.is_some(),
            Layer::Deadline => self.deadline.is_some(),
            Layer::Shedder => self.shedder.is_some(),
            Layer::Retry => self.retry.is_some(),
            Layer::Breaker => self.breaker.is_some(),
            Layer::Limiter => self.limiter.is_some(),
            Layer::Bulkhead => self.bulkhead.is_some(),
            Layer::Adaptive => self.adaptive.is_some(),
            Layer::AttemptLimit => self.attempt_limit.is_some(),
        };
        let Some(order) = &self.order else {
            return Ok(order::DEFAULT.into_iter().filter(is_there).collect());
        };
        order::check(order)?;
        if let Some(missing) = order::DEFAULT
            .iter()
            .find(|layer| is_there(layer) && !order.contains(layer))
        {
            return Err(InvalidSettings::new(format!(
                "`order` does not say where {missing} stands"
            )));
        }
        if let Some(absent) = order.iter().find(|layer| !is_there(layer)) {
            return Err(InvalidSettings::new(format!(
                "`order` names {absent}, which is not there"
            )));
        }
        Ok(order.clone())
    }
}

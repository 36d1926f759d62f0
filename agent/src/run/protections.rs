//! What protects those that are asked and delivered to, by name: to look at, to hold, to release, to reset and to change while the agent
//! runs.

mod changed;

use super::agent::{Agent, Target};
use crate::config::nearest;
use crate::control::views::{Protection, Shield};
use crate::exit::{Exit, Failure};
use mainstay_deliver::{DestinationStatus, State};
use mainstay_resilience::{
    BreakerState, LimiterStatus, Part, PartStatus, RateLimiter, Registry, Unregistered,
};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// One of them, as the agent has it.
enum Found<'a> {
    /// What lets documents through to a destination, or holds them.
    Gate(&'a Target),
    /// The limit of attempts at a destination.
    Limit(&'a RateLimiter),
    /// A part of a lookup, and its name among those.
    Part(&'a Arc<Registry>, String, Part),
}

impl Agent {
    /// All of them, by their names.
    pub(crate) fn protections(&self) -> Vec<Protection> {
        let found = self.found().into_iter();
        let mut all: Vec<Protection> = found.map(|(name, found)| found.told(name)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Does this to the one of this name, and answers how it stands then; a gate follows within moments.
    ///
    /// # Errors
    /// There is none of this name, or there is nothing of that kind to be done to it.
    pub(crate) fn shield(&self, wish: &Shield) -> Result<Protection, Failure> {
        let (verb, name) = (wish.verb(), wish.name());
        let all = self.found();
        let Some((_, found)) = all.iter().find(|(known, _)| known == name) else {
            let names = all.iter().map(|(known, _)| known.as_str());
            return Err(unknown(name, names));
        };
        if let Shield::Set(wanted) = wish {
            found.set(wanted)?;
            return Ok(found.told(name.to_owned()));
        }
        match wish {
            Shield::Hold(_) => found.hold(),
            Shield::Release(_) => found.release(),
            Shield::Reset(_) => found.reset(),
            Shield::Set(_) => Ok(()),
        }
        .map_err(|why| {
            let message = format!("`{name}` cannot be told to {verb}: {why}");
            Failure::new(Exit::NothingChanged, message).help("mainstay protections list")
        })?;
        tracing::info!(protection = name, "by hand: {verb}");
        Ok(found.told(name.to_owned()))
    }

    fn found(&self) -> Vec<(String, Found<'_>)> {
        let mut all = Vec::new();
        for route in &self.routes {
            for to in &route.to {
                all.push((format!("{}/gate", to.lane), Found::Gate(to)));
                if let Some(limiter) = &to.limiter {
                    all.push((format!("{}/limiter", to.lane), Found::Limit(limiter)));
                }
            }
            for (lookup, registry) in route.lookups.registries() {
                for name in registry.status().into_keys() {
                    // It may be gone by now: origins that were not asked for longest make room for others.
                    let Some(part) = registry.get(&name) else {
                        continue;
                    };
                    let short = name.strip_prefix("http/").unwrap_or(&name);
                    let shown = format!("{}/{lookup}/{short}", route.template.route);
                    all.push((shown, Found::Part(registry, name, part)));
                }
            }
        }
        all
    }
}

impl Found<'_> {
    fn hold(&self) -> Result<(), String> {
        match self {
            Self::Gate(to) if to.handle.is_paused() => Err("it is held by hand already".to_owned()),
            Self::Gate(to) => {
                to.handle.pause();
                Ok(())
            }
            Self::Part(registry, name, Part::Breaker(_)) => told(registry.force_open(name)),
            _ => Err("only a gate and a breaker can be held by hand".to_owned()),
        }
    }

    fn release(&self) -> Result<(), String> {
        match self {
            Self::Gate(to) if to.handle.is_paused() => {
                to.handle.resume();
                Ok(())
            }
            Self::Part(registry, name, Part::Breaker(breaker))
                if breaker.state() == BreakerState::ForcedOpen =>
            {
                told(registry.reset(name))
            }
            _ => Err(
                "it is not held by hand; `reset` has what holds by itself tried at once".to_owned(),
            ),
        }
    }

    fn reset(&self) -> Result<(), String> {
        match self {
            Self::Gate(to) => {
                to.handle.try_now();
                Ok(())
            }
            Self::Limit(limiter) => {
                limiter.release();
                Ok(())
            }
            Self::Part(registry, name, _) => told(registry.reset(name)),
        }
    }

    fn told(&self, name: String) -> Protection {
        let (kind, stands, status) = match self {
            Self::Gate(to) => {
                let status = to.handle.status();
                ("gate", gate(&status, to.handle.is_paused()), value(&status))
            }
            Self::Limit(limiter) => {
                let status = limiter.status();
                ("limiter", limit(&status), value(&status))
            }
            Self::Part(.., part) => {
                let status = part.status();
                let (kind, stands) = part_stands(&status);
                (kind, stands, value(&status))
            }
        };
        Protection {
            name,
            kind: kind.to_owned(),
            stands,
            status,
        }
    }
}

/// How a gate stands; a pause counts from when it is wished for.
fn gate(status: &DestinationStatus, is_paused: bool) -> String {
    let state = match &status.state {
        _ if is_paused => "held by hand".to_owned(),
        State::Held {
            reason, failures, ..
        } => format!("held after {failures} failures: {reason}"),
        State::Waiting { reason, .. } => format!("quiet for a while: {reason}"),
        State::Stopped => "stopped".to_owned(),
        _ => "open".to_owned(),
    };
    let failing = status.failing.map_or(0, |failing| failing.attempts);
    let (in_flight, delivered) = (status.in_flight, status.delivered);
    format!("{state}; {in_flight} under way, {delivered} delivered, {failing} failed in a row")
}

fn limit(status: &LimiterStatus) -> String {
    let LimiterStatus {
        available,
        burst,
        waiting,
        admitted,
        rejected,
        ..
    } = status;
    let held = match status.held_for.as_secs_f64() {
        0.0 => String::new(),
        seconds => format!("held for {seconds:.0} s; "),
    };
    format!(
        "{held}{available} of {burst} left, {waiting} wait, {admitted} passed, {rejected} refused"
    )
}

fn part_stands(status: &PartStatus) -> (&'static str, String) {
    match status {
        PartStatus::Breaker(breaker) => {
            let reason = match breaker.reason.as_str() {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            let failures = breaker.failure_count;
            let state = breaker.state;
            (
                "breaker",
                format!("{state}{reason}; {failures} failed in a row"),
            )
        }
        PartStatus::Limiter(limiter) => ("limiter", limit(limiter)),
        PartStatus::Bulkhead(bulkhead) => {
            let (used, most) = (bulkhead.in_use, bulkhead.max_concurrent);
            let (waiting, rejected) = (bulkhead.waiting, bulkhead.rejected);
            let stands = format!("{used} of {most} in use, {waiting} wait, {rejected} refused");
            ("bulkhead", stands)
        }
        PartStatus::Budget(budget) => {
            let (retries, calls, left) = (budget.retries, budget.calls, budget.left);
            let stands = format!("{left} retries left, {retries} for {calls} calls lately");
            ("budget", stands)
        }
        PartStatus::Adaptive(limit) => {
            let (used, most) = (limit.in_flight, limit.limit);
            let rejected = limit.rejected;
            let stands = format!("{used} of {most} that it bears in use, {rejected} refused");
            ("adaptive", stands)
        }
        PartStatus::Hedge(hedge) => {
            let (calls, extra, won) = (hedge.calls, hedge.extra, hedge.won);
            let stands = format!("{extra} copies of {calls} calls, {won} came first");
            ("hedge", stands)
        }
        other => ("other", format!("{other:?}")),
    }
}

fn told(done: Result<(), Unregistered>) -> Result<(), String> {
    done.map_err(|error| error.to_string())
}

fn value(status: &impl Serialize) -> Value {
    serde_json::to_value(status).unwrap_or_default()
}

fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Failure {
    let message = format!("nothing that protects is called `{name}`");
    let help = if let Some(meant) = nearest(name, names.clone()) {
        format!("did you mean `{meant}`?")
    } else {
        let names: Vec<&str> = names.collect();
        format!(
            "there are: {}; those of a lookup's server once it was asked",
            names.join(", ")
        )
    };
    Failure::new(Exit::Usage, message).help(help)
}

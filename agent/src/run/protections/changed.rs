//! Settings that a person gives to something that protects, for as long as the agent runs with its configuration.
//!
//! | kind | keys |
//! |---|---|
//! | limiter | `rate` (`10/s`), `burst` (1 and more) |
//! | bulkhead | `size` (1 and more under way), `waiting` (how many may wait), `wait` (for how long) |
//! | breaker | `failures` (in a row, 1 and more), `open` (for how long) |
//! | budget | `share` (retries for each call), `least` (retries in a second) |

use super::Found;
use crate::control::views::Wanted;
use crate::exit::{Exit, Failure};
use crate::units::{Rate, Span};
use mainstay_resilience::{
    BreakerSettings, BudgetSettings, BulkheadSettings, Change, InvalidSettings, Part, RateLimit,
    Unregistered,
};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// What was asked for, by its key; each is taken out as it is understood.
struct Asked<'a> {
    left: BTreeMap<&'a str, &'a str>,
}

impl Found<'_> {
    /// Has it follow what is wanted; what is not named stays as it is.
    ///
    /// # Errors
    /// It has no such setting, or that value cannot work; all stays as it was.
    pub(super) fn set(&self, wanted: &Wanted) -> Result<(), Failure> {
        let name = &wanted.name;
        self.follow(wanted).map_err(|why| {
            let message = format!("`{name}` cannot be changed: {why}");
            Failure::new(Exit::Usage, message).help("mainstay protections set --help")
        })?;
        let changes = wanted.changes.iter();
        let changes: Vec<String> = changes
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let changes = changes.join(" ");
        tracing::info!(
            protection = name,
            changes,
            "by hand: set, until the agent starts or reads its configuration again"
        );
        Ok(())
    }

    fn follow(&self, wanted: &Wanted) -> Result<(), String> {
        let changes = wanted.changes.iter();
        let mut asked = Asked {
            left: changes
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
        };
        match self {
            Self::Gate(_) => Err("a gate has no settings; hold, release or reset it".to_owned()),
            Self::Limit(limiter) => {
                let limit = asked.limit(limiter.limit())?;
                limiter.set(limit).map_err(|error| cannot_work(&error))
            }
            Self::Part(registry, name, part) => {
                let change = match part {
                    Part::Limiter(limiter) => Change::Limiter(asked.limit(limiter.limit())?),
                    Part::Bulkhead(part) => Change::Bulkhead(asked.bulkhead(part.settings())?),
                    Part::Breaker(part) => Change::Breaker(asked.breaker(&part.settings())?),
                    Part::Budget(part) => Change::Budget(asked.budget(part.settings())?),
                    _ => return Err("nothing of it can be changed by hand".to_owned()),
                };
                registry.set(name, change).map_err(|error| match error {
                    Unregistered::Settings(error) => cannot_work(&error),
                    other => other.to_string(),
                })
            }
        }
    }
}

impl Asked<'_> {
    fn limit(&mut self, now: RateLimit) -> Result<RateLimit, String> {
        let rate = self.take::<Rate>("rate")?;
        let burst = self.take("burst")?;
        self.nothing_else("rate and burst")?;
        Ok(RateLimit {
            permits: rate.map_or(now.permits, |rate| rate.number),
            per: rate.map_or(now.per, |rate| rate.per),
            burst: burst.unwrap_or(now.burst),
        })
    }

    fn bulkhead(&mut self, now: BulkheadSettings) -> Result<BulkheadSettings, String> {
        let changed = BulkheadSettings {
            max_concurrent: self.take("size")?.unwrap_or(now.max_concurrent),
            max_waiting: self.take("waiting")?.unwrap_or(now.max_waiting),
            max_wait: self.take("wait")?.map_or(now.max_wait, |Span(wait)| wait),
        };
        self.nothing_else("size, waiting and wait")?;
        Ok(changed)
    }

    fn breaker(&mut self, now: &BreakerSettings) -> Result<BreakerSettings, String> {
        let consecutive = self.take("failures")?.or(now.consecutive);
        let open_for = self.take("open")?.map_or(now.open_for, |Span(open)| open);
        self.nothing_else("failures and open")?;
        Ok(BreakerSettings {
            consecutive,
            open_for,
            // What a person wants is not cut short by what was meant for less.
            open_max: now.open_max.max(open_for),
            ..now.clone()
        })
    }

    fn budget(&mut self, now: BudgetSettings) -> Result<BudgetSettings, String> {
        let changed = BudgetSettings {
            share: self.take("share")?.unwrap_or(now.share),
            least: self.take("least")?.unwrap_or(now.least),
            ..now
        };
        self.nothing_else("share and least")?;
        Ok(changed)
    }

    fn take<T: FromStr<Err: Display>>(&mut self, key: &str) -> Result<Option<T>, String> {
        let Some(value) = self.left.remove(key) else {
            return Ok(None);
        };
        let parsed = value.parse().map(Some);
        parsed.map_err(|error| format!("`{key}={value}`: {error}"))
    }

    /// Refuses what was not understood.
    fn nothing_else(&self, known: &str) -> Result<(), String> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!("it has no `{key}`; it has {known}")),
        }
    }
}

fn cannot_work(error: &InvalidSettings) -> String {
    format!("that cannot work: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn asked<'a>(changes: &[(&'a str, &'a str)]) -> Asked<'a> {
        Asked {
            left: changes.iter().copied().collect(),
        }
    }

    #[test]
    fn each_kind_is_changed_by_its_own_keys_and_what_is_not_named_stays() {
        let limit = RateLimit {
            permits: 7,
            per: Duration::from_secs(1),
            burst: 3,
        };
        let changed = asked(&[("rate", "5/min")]).limit(limit).unwrap();
        assert_eq!((changed.permits, changed.per), (5, Duration::from_mins(1)));
        assert_eq!(changed.burst, 3);
        let changed = asked(&[("burst", "9")]).limit(limit).unwrap();
        assert_eq!(changed, RateLimit { burst: 9, ..limit });

        let usual = BulkheadSettings::default();
        let changed = asked(&[("size", "2"), ("wait", "3s")]).bulkhead(usual);
        let expected = BulkheadSettings {
            max_concurrent: 2,
            max_wait: Duration::from_secs(3),
            ..usual
        };
        assert_eq!(changed, Ok(expected));

        let usual = BreakerSettings::default();
        let changed = asked(&[("open", "1h")]).breaker(&usual).unwrap();
        assert_eq!(changed.consecutive, usual.consecutive);
        let hour = Duration::from_hours(1);
        // The longest of before would have cut it.
        assert_eq!((changed.open_for, changed.open_max), (hour, hour));
        let changed = asked(&[("failures", "1")]).breaker(&usual).unwrap();
        let expected = BreakerSettings {
            consecutive: Some(1),
            ..usual
        };
        assert_eq!(changed, expected);

        let usual = BudgetSettings::default();
        let changed = asked(&[("share", "0.5")]).budget(usual).unwrap();
        assert_eq!((changed.share, changed.least), (0.5, usual.least));
        for (key, value) in [("rate", "1/s"), ("share", "much")] {
            assert!(asked(&[(key, value)]).budget(usual).is_err(), "{key}");
        }
    }
}
